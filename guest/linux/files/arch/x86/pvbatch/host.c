// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest - host-apply mode (pvbatch=host-apply): within lazy MMU mode changes
 * are queued and the host writes the entries; the queue goes before lazy mode is left, so
 * before the lock of the table is dropped (law 3). Everything else is written as ever, and
 * flushes are the kernel's own.
 *
 * Only what Linux may find unwritten in lazy mode is queued, which is what Xen's guests
 * have taught it: stores and commits. What returns the entry's value waits for the queue if
 * the entry is in there (pvb_read()).
 */
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <asm/paravirt.h>

#include "pvbatch.h"

/* The queue of this CPU, if the caller may queue now. Preemption off. */
static struct pvb_cpu *lazy_queue(void)
{
	struct pvb_cpu *c = &this_cpu_ptr(&pvbatch_cpu)->core;

	return c->lazy && in_task() ? c : NULL;
}

void pvbatch_host_set(pte_t *ptep, pte_t pte)
{
	struct pvb_cpu *c;

	preempt_disable();
	c = lazy_queue();
	if (c)
		(void)pvb_set(c, (uint64_t *)ptep, pte.pte);
	else
		native_set_pte(ptep, pte);
	preempt_enable();
}

pte_t pvbatch_host_read(pte_t *ptep)
{
	struct pvb_cpu *c;
	pte_t pte;

	preempt_disable();
	c = lazy_queue();
	pte.pte = c ? pvb_read(c, (uint64_t *)ptep) : READ_ONCE(ptep->pte);
	preempt_enable();
	return pte;
}

bool pvbatch_host_commit(pte_t *ptep, u64 old, u64 new)
{
	struct pvb_cpu *c;

	preempt_disable();
	c = lazy_queue();
	if (c)
		pvb_commit(c, (uint64_t *)ptep, old, new);
	preempt_enable();
	return c;
}

void pvbatch_lazy_enter(void)
{
	preempt_disable();
	pvb_lazy_enter(&this_cpu_ptr(&pvbatch_cpu)->core);
	preempt_enable();
}

void pvbatch_lazy_leave(void)
{
	preempt_disable();
	pvb_lazy_leave(&this_cpu_ptr(&pvbatch_cpu)->core);
	preempt_enable();
}

void pvbatch_lazy_flush(void)
{
	preempt_disable();
	pvb_lazy_flush(&this_cpu_ptr(&pvbatch_cpu)->core);
	preempt_enable();
}

/* Lazy mode belongs to the task: changes of kernel mappings need no lock and may sleep. */
void pvbatch_host_start_switch(struct task_struct *prev)
{
	struct pvb_cpu *c = &this_cpu_ptr(&pvbatch_cpu)->core;

	if (!c->lazy)
		return;
	pvb_lazy_leave(c);
	set_ti_thread_flag(task_thread_info(prev), TIF_LAZY_MMU_UPDATES);
}

void pvbatch_host_end_switch(struct task_struct *next)
{
	if (test_and_clear_ti_thread_flag(task_thread_info(next), TIF_LAZY_MMU_UPDATES))
		pvb_lazy_enter(&this_cpu_ptr(&pvbatch_cpu)->core);
}
