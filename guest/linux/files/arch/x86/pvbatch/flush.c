// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest - TLB flushes in guest-apply mode: the call that hands over the names.
 *
 * With every change named, the host flushes what it lowered in the shadow tables, on all
 * CPUs of the guest, before the call returns. So a flush is a call if something is queued,
 * and nothing at all if not; no interprocessor interrupts, and mm->context.tlb_gen stays.
 *
 * A flush also covers what other CPUs have changed before: Linux relies on that where one
 * CPU finds an entry gone whose flush is still another's to do (mmu_gather, reclaim's
 * batches, lazily purged vmalloc space). If such a CPU has names of the same address space
 * queued, it is asked to hand them over.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <asm/paravirt.h>
#include <asm/tlbflush.h>

#include "pvbatch.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* So many entries that only permit more are left to the next call, or to faults. */
#define RAISED_WAIT 1

/* Nobody has to wait for what this CPU still has queued. */
static void clear_pending(struct pvbatch_cpu *p)
{
	if (!p->pending)
		return;
	smp_store_release(&p->pending, NULL);
	cpumask_clear_cpu(smp_processor_id(), &pvbatch_pending);
}

static void submit(struct pvbatch_cpu *p, enum pvb_flush_reason reason)
{
	pvbatch_close_run(p);
	if (p->core.nr) {
		unsigned int entries = p->core.nr;
		s64 result = pvb_submit(&p->core, reason, PVB_FLUSH_ALL, 0, pvb_gva(0), 0);

		trace_pvbatch_submit(entries, reason, p->must, result);
	}
	p->must = false;
	p->raised = 0;
}

void pvbatch_drain(struct pvbatch_cpu *p, enum pvb_flush_reason reason, bool unnecessary_waits)
{
	p->busy = true;
	barrier();
	do {
		p->drain = false;
		pvbatch_close_run(p);
		/* A few entries that only permit more go with the next call. */
		if (p->must || !unnecessary_waits || p->raised > RAISED_WAIT)
			submit(p, reason);
		clear_pending(p);
		/* The host has answered: whoever waits for these names may go on. */
		smp_store_release(&p->drains, p->drains + 1);
		barrier();
	} while (READ_ONCE(p->drain));
	p->busy = false;
}

/*
 * Everything, whatever changed: changes that nobody could name. No names may be left that
 * would limit the host to them.
 */
static void flush_unnamed(struct pvbatch_cpu *p)
{
	trace_pvbatch_unnamed(p->core.nr);
	pvbatch_drain(p, PVB_REASON_TLB, false);
	WRITE_ONCE(pvbatch_unnamed, false);
	/* Changes before this flush were made before the flag was seen; others set it anew. */
	smp_mb();
	pvb_flush_all(&p->core, 0);
}

/* Hand over what this CPU has. false: the kernel has to flush by its own means. */
static bool flush_here(void)
{
	struct pvbatch_cpu *p = this_cpu_ptr(&pvbatch_cpu);

	if (static_branch_unlikely(&pvbatch_host_applies))
		return false;
	p->failed = false;
	if (p->pending)
		pvbatch_drain(p, PVB_REASON_TLB, true);
	if (unlikely(READ_ONCE(pvbatch_unnamed)))
		flush_unnamed(p);
	return p->core.mode == PVB_MODE_GUEST_APPLY && !p->failed;
}

static void asked_to_drain(void *unused)
{
	struct pvbatch_cpu *p = this_cpu_ptr(&pvbatch_cpu);

	if (p->busy) {
		p->drain = true; /* at the end of what was interrupted */
		return;
	}
	p->lent = true;
	pvbatch_drain(p, PVB_REASON_TLB, true);
	p->lent = false;
}

static bool concerns(const struct pvbatch_cpu *p, const struct mm_struct *mm)
{
	struct mm_struct *pending = READ_ONCE(p->pending);

	return pending && (pending == mm || pending == PVBATCH_ANY_MM || !mm);
}

/* Other CPUs' names of @mm (NULL: of any). Interrupts on, preemption off. */
static void flush_others(const struct mm_struct *mm)
{
	unsigned int cpu, self = smp_processor_id();

	/* Pairs with set_pending(). */
	smp_mb();
	for_each_cpu(cpu, &pvbatch_pending)
	{
		struct pvbatch_cpu *p = per_cpu_ptr(&pvbatch_cpu, cpu);
		u64 drains = smp_load_acquire(&p->drains);

		if (cpu == self || !concerns(p, mm))
			continue;
		trace_pvbatch_wait(cpu);
		if (smp_call_function_single(cpu, asked_to_drain, NULL, 1))
			continue; /* gone, and it has drained before it went */
		while (smp_load_acquire(&p->drains) == drains && concerns(p, mm))
			cpu_relax();
	}
}

static bool flush(const struct mm_struct *mm)
{
	bool done;

	preempt_disable();
	done = flush_here();
	if (done && unlikely(!cpumask_empty(&pvbatch_pending)))
		flush_others(mm);
	preempt_enable();
	return done;
}

bool pvbatch_flush_mm(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	return flush(mm);
}

bool pvbatch_flush_kernel(unsigned long start, unsigned long end)
{
	return flush(&init_mm);
}

bool pvbatch_flush_own(void)
{
	bool done;

	preempt_disable();
	done = flush_here();
	preempt_enable();
	return done;
}

/* What is queued is the outgoing task's; the next one on this CPU does not flush for it. */
void pvbatch_start_context_switch(struct task_struct *prev)
{
	struct pvbatch_cpu *p = this_cpu_ptr(&pvbatch_cpu);

	if (p->pending)
		pvbatch_drain(p, PVB_REASON_FLUSH, true);
}

/*
 * Flushes of this CPU alone: the kernel's own way, taken by what is not worth a hook, or
 * does not know why it flushes.
 */
void pvbatch_flush_tlb_local(void)
{
	if (in_task())
		flush_here();
	native_flush_tlb_local();
}

void pvbatch_flush_tlb_global(void)
{
	if (in_task())
		flush_here();
	native_flush_tlb_global();
}

/*
 * While the kernel boots on one CPU, an unmapping of its own can wait until something else
 * gets mapped: nobody looks at the address before. Early boot unmaps page by page.
 */
static bool can_wait(unsigned long addr)
{
	unsigned int level;
	pte_t *pte;

	if (system_state != SYSTEM_BOOTING || num_online_cpus() > 1)
		return false;
	pte = lookup_address(addr, &level);
	return !pte || pte_none(*pte);
}

void pvbatch_flush_tlb_one(unsigned long addr)
{
	if (in_task() && can_wait(addr))
		return;
	if (!in_task() || !flush_here())
		native_flush_tlb_one_user(addr);
}
