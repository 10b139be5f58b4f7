/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: Linux guest on Xen PV - what pvbatch.c, mmu_pv.c and multicalls.c share, beyond
 * xen-ops.h.
 */
#ifndef _XEN_PVBATCH_H
#define _XEN_PVBATCH_H

#include <linux/percpu.h>
#include <xen/interface/xen.h>
#include <asm/pvbatch_xen.h>

/* mmu_pv.c: does Xen guard this table? */
bool xen_page_pinned(void *ptr);

/* multicalls.c: bytes of arguments in one multicall; 512 without pvbatch, as it always was. */
#ifdef CONFIG_PVBATCH_GUEST
#define XEN_PVBATCH_MC_ARGS (512 * 16)
#else
#define XEN_PVBATCH_MC_ARGS 0
#endif
extern unsigned int xen_mc_args_limit;
/* Put one request into the queue, after those that are there. Interrupts off. */
void xen_mc_add_mmu_update(u64 ptr, u64 val);

/*
 * The table that this CPU has queued requests for last: guarded by Xen, and where. It can
 * be neither freed nor moved while its requests wait; the end of the queue is its end.
 */
struct xen_pvbatch_table {
	unsigned long address; /* 0: none */
	u64 machine;
};
DECLARE_PER_CPU(struct xen_pvbatch_table, xen_pvbatch_table);

/* In front of the requests of one call: how many Xen has done (its success_count). */
struct xen_pvbatch_done {
	u32 nr, unused;
};

/* /sys/kernel/debug/pvbatch/xen */
struct xen_pvbatch_stats {
	u64 calls; /* multicalls with queued changes in them */
	u64 queued; /* entries in runs that were queued */
	u64 trapped; /* by a locked instruction, where no request is exact */
	u64 plain; /* stored into tables that Xen does not guard yet */
	u64 refused; /* requests that Xen has refused */
};
DECLARE_PER_CPU(struct xen_pvbatch_stats, xen_pvbatch_stats);

#ifdef CONFIG_PVBATCH_GUEST
/* The queue has been issued. */
static inline void xen_pvbatch_forget_table(void)
{
	if (__this_cpu_read(xen_pvbatch_table.address)) {
		__this_cpu_write(xen_pvbatch_table.address, 0);
		__this_cpu_inc(xen_pvbatch_stats.calls);
	}
}

/*
 * Xen has stopped at a request of @mc: say which, and do those behind it. Upstream they would
 * be lost.
 */
void xen_pvbatch_resume(const struct multicall_entry *mc);

/* set_pte(): true if it is done; false: the caller's way is as good. */
bool xen_pvbatch_set_pte(pte_t *ptep, pte_t pte);
#else
static inline void xen_pvbatch_forget_table(void)
{
}

static inline void xen_pvbatch_resume(const struct multicall_entry *mc)
{
}

static inline bool xen_pvbatch_set_pte(pte_t *ptep, pte_t pte)
{
	return false;
}
#endif

#endif /* _XEN_PVBATCH_H */
