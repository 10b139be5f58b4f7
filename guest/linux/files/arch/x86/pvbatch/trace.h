/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: Linux guest - tracepoints, events/pvbatch: when names go to the host, and why.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM pvbatch

#if !defined(_PVBATCH_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _PVBATCH_TRACE_H

#include <linux/tracepoint.h>

/* TRACE_EVENT is a language of its own. */
/* clang-format off */
/* A queue has gone: @entries runs, because of enum pvb_flush_reason @reason. */
TRACE_EVENT(pvbatch_submit,
	TP_PROTO(unsigned int entries, unsigned int reason, bool must, long result),
	TP_ARGS(entries, reason, must, result),
	TP_STRUCT__entry(
		__field(unsigned int, entries)
		__field(unsigned int, reason)
		__field(bool, must)
		__field(long, result)
	),
	TP_fast_assign(
		__entry->entries = entries;
		__entry->reason = reason;
		__entry->must = must;
		__entry->result = result;
	),
	TP_printk("entries %u reason %s%s result %ld", __entry->entries,
		  __print_symbolic(__entry->reason, { 0, "leave" }, { 1, "switch" }, { 2, "full" },
				   { 3, "tlb" }, { 4, "eager" }, { 5, "result" }),
		  __entry->must ? " lowers" : "", __entry->result)
);

/* A flush found names of the same address space on another CPU, and waited for them. */
TRACE_EVENT(pvbatch_wait,
	TP_PROTO(unsigned int cpu),
	TP_ARGS(cpu),
	TP_STRUCT__entry(__field(unsigned int, cpu)),
	TP_fast_assign(__entry->cpu = cpu;),
	TP_printk("cpu %u", __entry->cpu)
);

/* Something changed that could not be named: the host synchronises everything. */
TRACE_EVENT(pvbatch_unnamed,
	TP_PROTO(unsigned int entries),
	TP_ARGS(entries),
	TP_STRUCT__entry(__field(unsigned int, entries)),
	TP_fast_assign(__entry->entries = entries;),
	TP_printk("entries %u go first", __entry->entries)
);

#endif /* _PVBATCH_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH ../../arch/x86/pvbatch
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
