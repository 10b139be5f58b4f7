// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest on Xen - event channels in the place of interrupts, and TLB flushes,
 * which Xen does for all vCPUs by itself.
 */
#include "../console.h"
#include "../cpu.h"
#include "../platform.h"
#include "../smp.h"
#include "../trap.h"
#include "xen.h"

#define BITS 64U

static uint32_t wake_port[MAX_CPUS];

static struct vcpu_info *vcpu_info(void)
{
	return &xen_shared->vcpu_info[this_cpu()->index];
}

static void unmask(uint32_t port)
{
	struct evtchn_unmask op = { .port = port };

	(void)xen_event_channel_op(EVTCHNOP_unmask, &op);
}

void xen_events_init(uint32_t index)
{
	struct evtchn_bind_ipi bind = { .vcpu = index };

	if (xen_event_channel_op(EVTCHNOP_bind_ipi, &bind))
		xen_die("boot: Xen binds no event\n");
	unmask(bind.port);
	__atomic_store_n(&wake_port[index], bind.port, __ATOMIC_RELEASE);
}

void irq_enable(void)
{
	struct vcpu_info *info = vcpu_info();

	__atomic_store_n(&info->evtchn_upcall_mask, 0, __ATOMIC_SEQ_CST);
	/* What came in while masked is delivered at the end of any hypercall. */
	if (__atomic_load_n(&info->evtchn_upcall_pending, __ATOMIC_SEQ_CST))
		(void)hypercall4(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0);
}

bool irq_save(void)
{
	uint8_t *mask = &vcpu_info()->evtchn_upcall_mask;
	bool on = !*mask;

	__atomic_store_n(mask, 1, __ATOMIC_SEQ_CST);
	return on;
}

/* The only events are IPIs, whose purpose is to end platform_sleep(). */
static void clear_pending(struct vcpu_info *info)
{
	uint64_t words;

	__atomic_store_n(&info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
	words = __atomic_exchange_n(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
	for (; words; words &= words - 1) {
		unsigned int word = (unsigned int)__builtin_ctzll(words);
		uint64_t ports = xen_shared->evtchn_pending[word] & ~xen_shared->evtchn_mask[word];

		__atomic_fetch_and(&xen_shared->evtchn_pending[word], ~ports, __ATOMIC_SEQ_CST);
	}
}

void irq_dispatch(uint64_t vector)
{
	struct cpu *cpu = this_cpu();

	(void)vector;
	cpu->irq_depth++;
	clear_pending(vcpu_info());
	cpu->irq_depth--;
}

void platform_sleep(void)
{
	/* Unmasks events itself, and returns at once if one is pending. */
	(void)xen_sched_op(SCHEDOP_block, NULL);
	(void)irq_save();
}

void platform_wake_others(void)
{
	for (uint32_t i = 0; i < nr_cpus; i++) {
		struct evtchn_send send = { .port = wake_port[i] };

		if (i != this_cpu()->index)
			(void)xen_event_channel_op(EVTCHNOP_send, &send);
	}
}
