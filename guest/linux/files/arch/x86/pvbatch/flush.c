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

/* Of pvbatch_unnamed, those that a flush of everything has covered. */
static int unnamed_flushed;

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
		bool failed = p->failed;
		s64 result;

		p->failed = false;
		result = pvb_submit(&p->core, reason, PVB_FLUSH_ALL, 0, pvb_gva(0), 0);
		/* Whose flush it is to be may be another CPU, or comes after a context switch. */
		if (unlikely(p->failed))
			atomic_inc(&pvbatch_unnamed);
		p->failed |= failed;
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
 * Everything, whatever changed: changes that nobody could name, @seq of them when last
 * counted. No names may be left that would limit the host to them.
 *
 * They count as flushed only afterwards, so that another CPU that comes meanwhile flushes
 * for itself. Two that end out of order make one flush more.
 */
static void flush_unnamed(struct pvbatch_cpu *p, int seq)
{
	trace_pvbatch_unnamed(p->core.nr);
	pvbatch_drain(p, PVB_REASON_TLB, false);
	p->failed = false;
	pvb_flush_all(&p->core, 0);
	if (!p->failed)
		WRITE_ONCE(unnamed_flushed, seq);
}

/*
 * guest_applies() - does this CPU, as far as anybody knows, name its changes to a host that
 * listens? One CPU's finding that it does not is enough: the others have promised in vain.
 */
static bool guest_applies(const struct pvbatch_cpu *p)
{
	return p->core.mode == PVB_MODE_GUEST_APPLY &&
	       READ_ONCE(pvbatch_guest.mode) == PVB_MODE_GUEST_APPLY;
}

/* Hand over what this CPU has. false: the kernel has to flush by its own means. */
static bool flush_here(void)
{
	struct pvbatch_cpu *p = this_cpu_ptr(&pvbatch_cpu);
	int seq;

	if (static_branch_unlikely(&pvbatch_host_applies))
		return false;
	p->failed = false;
	if (p->pending)
		pvbatch_drain(p, PVB_REASON_TLB, true);
	if (unlikely(!guest_applies(p)))
		return false;
	seq = atomic_read(&pvbatch_unnamed);
	if (unlikely(seq != READ_ONCE(unnamed_flushed)))
		flush_unnamed(p, seq);
	return guest_applies(p) && !p->failed;
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

static void end_promise(void *unused)
{
	pvbatch_unregister(this_cpu_ptr(&pvbatch_cpu));
}

void pvbatch_end_promises(void)
{
	on_each_cpu_mask(&pvbatch_promised, end_promise, NULL, true);
}

static void synchronise_here(void *unused)
{
	native_flush_tlb_global();
}

/*
 * With interrupts off nobody waits for another CPU. Linux flushes so only what no other has
 * loaded, and what this one has changed (text_poke()'s address space).
 */
static bool alone(void)
{
	return irqs_disabled();
}

/*
 * The kernel is about to flush by its own means, which a vCPU that has promised to name its
 * changes would be served too little for. Mostly the host has ended all promises, or nobody
 * has made one; but one CPU may have lost its registration alone. Or a call has failed for
 * once, or this CPU is not registered yet, or no more: the promises hold, and each vCPU is
 * served in full for a toggle of CR4.PGE: all tables, whoever uses them.
 */
static void on_its_own(void)
{
	if (alone())
		synchronise_here(NULL);
	else if (READ_ONCE(pvbatch_guest.mode) == PVB_MODE_DIRECT)
		pvbatch_end_promises();
	else
		on_each_cpu_mask(&pvbatch_promised, synchronise_here, NULL, true);
}

static bool flush(const struct mm_struct *mm)
{
	bool done;

	preempt_disable();
	done = flush_here();
	if (done && unlikely(!cpumask_empty(&pvbatch_pending)) && !alone()) {
		flush_others(mm);
		/* One of them may have found the host gone, or that it could not. */
		done = flush_here();
	}
	if (unlikely(!done && !cpumask_empty(&pvbatch_promised)))
		on_its_own();
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
	if (unlikely(!done && !cpumask_empty(&pvbatch_promised)))
		on_its_own();
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
 * The address space goes, with all its tables. Each would be found out by the host as it is
 * unlinked; instead the host forgets at once what is below the root's entries, and the root,
 * too, unless a CPU still has it loaded, being lazy. What is changed in these tables afterwards
 * is still named, of tables that nothing shadows.
 */
static void name_root(struct pvbatch_cpu *p, struct mm_struct *mm)
{
	unsigned int nr = cpumask_empty(mm_cpumask(mm)) ? PTRS_PER_PGD : KERNEL_PGD_BOUNDARY;

	(void)pvb_changed(&p->core, (uint64_t *)mm->pgd, nr);
#ifdef CONFIG_MITIGATION_PAGE_TABLE_ISOLATION
	if (boot_cpu_has(X86_FEATURE_PTI))
		(void)pvb_changed(&p->core, (uint64_t *)kernel_to_user_pgdp(mm->pgd), nr);
#endif
}

void pvbatch_exit_mmap(struct mm_struct *mm)
{
	struct pvbatch_cpu *p;

	preempt_disable();
	p = this_cpu_ptr(&pvbatch_cpu);
	if (guest_applies(p)) {
		if (this_cpu_read(cpu_tlbstate.loaded_mm) == mm)
			leave_mm();
		p->busy = true;
		barrier();
		pvbatch_close_run(p);
		name_root(p, mm);
		p->must = true;
		barrier();
		p->busy = false;
		pvbatch_drain(p, PVB_REASON_TLB, false);
	}
	preempt_enable();
}

/*
 * pvbatch_replaces_at_once() - does an entry that is cleared, set to another page and then flushed
 * change for all CPUs in one moment? With one shadow entry for all, which changes under the host's
 * lock, none uses the new page while another still uses the old one; so the flush of a copy on write
 * may come last, and the host maps the copy with it. Preemption off.
 */
bool pvbatch_replaces_at_once(void)
{
	return guest_applies(this_cpu_ptr(&pvbatch_cpu));
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
