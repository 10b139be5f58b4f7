/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: in-kernel KVM - tracepoints: one call, one synchronised run, one flush.
 * In tracefs: events/pvbatch/.
 */
#if !defined(__KVM_X86_PVBATCH_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define __KVM_X86_PVBATCH_TRACE_H

#include <linux/tracepoint.h>

#undef TRACE_SYSTEM
#define TRACE_SYSTEM pvbatch

/* TRACE_EVENT is a language of its own. */
/* clang-format off */
TRACE_EVENT(kvm_pvb_call,
	TP_PROTO(int vcpu, unsigned long call, unsigned long a0, unsigned long a1, long result),
	TP_ARGS(vcpu, call, a0, a1, result),

	TP_STRUCT__entry(
		__field(int, vcpu)
		__field(unsigned long, call)
		__field(unsigned long, a0)
		__field(unsigned long, a1)
		__field(long, result)
	),

	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->call = call;
		__entry->a0 = a0;
		__entry->a1 = a1;
		__entry->result = result;
	),

	TP_printk("vcpu %d call %lu a0 0x%lx a1 0x%lx result %ld", __entry->vcpu,
		  __entry->call, __entry->a0, __entry->a1, __entry->result)
);

TRACE_EVENT(kvm_pvb_sync,
	TP_PROTO(u64 gfn, unsigned int first, unsigned int nr, u64 in_place, u64 dropped),
	TP_ARGS(gfn, first, nr, in_place, dropped),

	TP_STRUCT__entry(
		__field(u64, gfn)
		__field(unsigned int, first)
		__field(unsigned int, nr)
		__field(u64, in_place)
		__field(u64, dropped)
	),

	TP_fast_assign(
		__entry->gfn = gfn;
		__entry->first = first;
		__entry->nr = nr;
		__entry->in_place = in_place;
		__entry->dropped = dropped;
	),

	TP_printk("gfn 0x%llx first %u nr %u: %llu in place, %llu dropped",
		  __entry->gfn, __entry->first, __entry->nr, __entry->in_place,
		  __entry->dropped)
);

TRACE_EVENT(kvm_pvb_flush,
	TP_PROTO(int vcpu, unsigned int type, bool local, u64 va, unsigned int pages, bool done),
	TP_ARGS(vcpu, type, local, va, pages, done),

	TP_STRUCT__entry(
		__field(int, vcpu)
		__field(unsigned int, type)
		__field(bool, local)
		__field(u64, va)
		__field(unsigned int, pages)
		__field(bool, done)
	),

	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->type = type;
		__entry->local = local;
		__entry->va = va;
		__entry->pages = pages;
		__entry->done = done;
	),

	TP_printk("vcpu %d %s%s va 0x%llx pages %u%s", __entry->vcpu,
		  __entry->type == 1 ? "range" : "all", __entry->local ? " local" : "",
		  __entry->va, __entry->pages, __entry->done ? " (done with the sync)" : "")
);

#endif /* __KVM_X86_PVBATCH_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH ../../arch/x86/kvm/pvbatch
#define TRACE_INCLUDE_FILE pvb_trace

#include <trace/define_trace.h>
/* clang-format on */
