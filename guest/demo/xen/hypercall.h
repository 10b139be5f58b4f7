/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest on Xen - hypercalls, as Xen's public headers (libxen-dev) define them.
 * Xen fills hypercall_page (start.S) with a stub of 32 bytes for each number.
 */
#ifndef DEMO_XEN_HYPERCALL_H
#define DEMO_XEN_HYPERCALL_H

#include <pvbatch/types.h>

#ifndef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#endif
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

extern uint8_t hypercall_page[];

/* hypercall4() - hypercall @nr with up to four arguments; a result below 0 is -XEN_E*. */
static inline int64_t hypercall4(unsigned int nr, uint64_t a1, uint64_t a2, uint64_t a3,
				 uint64_t a4)
{
	register uint64_t r10 asm("r10") = a4;
	int64_t result;

	asm volatile("call *%[stub]"
		     : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10)
		     : [stub] "rm"(hypercall_page + 32UL * nr)
		     : "rcx", "r11", "r8", "r9", "memory", "cc");
	return result;
}

static inline int64_t xen_mmu_update(const struct mmu_update *req, uint32_t count, uint32_t *done)
{
	return hypercall4(__HYPERVISOR_mmu_update, (uint64_t)req, count, (uint64_t)done,
			  DOMID_SELF);
}

static inline int64_t xen_mmuext_op(const struct mmuext_op *op, uint32_t count, uint32_t *done)
{
	return hypercall4(__HYPERVISOR_mmuext_op, (uint64_t)op, count, (uint64_t)done, DOMID_SELF);
}

static inline int64_t xen_multicall(struct multicall_entry *calls, uint32_t nr)
{
	return hypercall4(__HYPERVISOR_multicall, (uint64_t)calls, nr, 0, 0);
}

static inline int64_t xen_update_va_mapping(uint64_t va, uint64_t pte, uint64_t flags)
{
	return hypercall4(__HYPERVISOR_update_va_mapping, va, pte, flags, 0);
}

static inline int64_t xen_event_channel_op(int cmd, void *arg)
{
	return hypercall4(__HYPERVISOR_event_channel_op, (uint64_t)cmd, (uint64_t)arg, 0, 0);
}

static inline int64_t xen_sched_op(int cmd, void *arg)
{
	return hypercall4(__HYPERVISOR_sched_op, (uint64_t)cmd, (uint64_t)arg, 0, 0);
}

static inline int64_t xen_vcpu_op(int cmd, uint32_t vcpu, void *arg)
{
	return hypercall4(__HYPERVISOR_vcpu_op, (uint64_t)cmd, vcpu, (uint64_t)arg, 0);
}

static inline int64_t xen_console_write(const char *text, size_t bytes)
{
	return hypercall4(__HYPERVISOR_console_io, CONSOLEIO_write, bytes, (uint64_t)text, 0);
}

#endif /* DEMO_XEN_HYPERCALL_H */
