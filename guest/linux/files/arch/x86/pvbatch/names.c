// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest - changes of leaf entries in guest-apply mode, and the names of what
 * changed. The next stage is flush.c, or core/queue.c where runs become entries of a batch.
 *
 * An entry is named if the host may hold a translation of it (present and accessed before)
 * and the change takes something away. Changes that only permit more are named too: the
 * host brings a run of them up to date at once instead of fault by fault; but they need no
 * flush, so a single one waits for the next call (pvbatch_flush_mm()).
 */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/preempt.h>

#include "pvbatch.h"

DEFINE_PER_CPU_ALIGNED(struct pvbatch_cpu, pvbatch_cpu);
struct cpumask pvbatch_pending;
bool pvbatch_unnamed;

static bool at_table_start(const pte_t *ptep)
{
	return !((unsigned long)ptep & ~PAGE_MASK);
}

void pvbatch_close_run(struct pvbatch_cpu *p)
{
	/* First, so that no interrupt lengthens a run whose end has been read. */
	pte_t *end = xchg(&p->next, NULL);
	unsigned int nr;

	if (!end)
		return;
	nr = end - p->first;
	if (p->lost)
		p->must = true;
	else
		p->raised += nr;
	(void)pvb_changed(&p->core, (uint64_t *)p->first, nr); /* one table: cannot fail */
}

/* Whose changes are queued. Set before the lock of the table is dropped. */
static void set_pending(struct pvbatch_cpu *p, struct mm_struct *mm)
{
	if (!mm)
		mm = PVBATCH_ANY_MM;
	if (p->pending == mm || p->pending == PVBATCH_ANY_MM)
		return;
	if (p->pending) {
		WRITE_ONCE(p->pending, PVBATCH_ANY_MM);
		return;
	}
	WRITE_ONCE(p->pending, mm);
	/* Pairs with pvbatch_flush_mm(): who sees the bit sees whose it is. */
	smp_mb__before_atomic();
	cpumask_set_cpu(smp_processor_id(), &pvbatch_pending);
}

static noinline void new_run(struct mm_struct *mm, pte_t *ptep, unsigned int nr, u64 lost)
{
	struct pvbatch_cpu *p = this_cpu_ptr(&pvbatch_cpu);

	if (unlikely(p->core.mode != PVB_MODE_GUEST_APPLY)) {
		/* Not registered yet, or no more: the next flush is one of everything. */
		if (lost && pvbatch_guest.mode == PVB_MODE_GUEST_APPLY)
			WRITE_ONCE(pvbatch_unnamed, true);
		return;
	}
	if (unlikely(!in_task())) {
		(void)pvb_changed(&p->core, (uint64_t *)ptep, nr); /* a call of its own */
		return;
	}
	p->busy = true;
	barrier();
	pvbatch_close_run(p);
	set_pending(p, mm);
	p->first = ptep;
	p->lost = lost;
	barrier();
	p->next = ptep + nr;
	barrier();
	p->busy = false;
	if (unlikely(READ_ONCE(p->drain)))
		pvbatch_drain(p, PVB_REASON_TLB, true);
}

static __always_inline void named(struct mm_struct *mm, pte_t *ptep, u64 old, u64 new)
{
	u64 lost = (old & ~new & PVBATCH_LOSS) | ((old ^ new) & PVBATCH_CHANGE);

	if ((old & (_PAGE_PRESENT | _PAGE_ACCESSED)) != (_PAGE_PRESENT | _PAGE_ACCESSED))
		return;
	preempt_disable();
	if (likely(ptep == this_cpu_read(pvbatch_cpu.next) && !at_table_start(ptep))) {
		this_cpu_or(pvbatch_cpu.lost, lost);
		this_cpu_write(pvbatch_cpu.next, ptep + 1);
	} else {
		new_run(mm, ptep, 1, lost);
	}
	preempt_enable();
}

void pvbatch_set_pte(pte_t *ptep, pte_t pte)
{
	pte_t old = READ_ONCE(*ptep);

	WRITE_ONCE(*ptep, pte);
	if (old.pte != pte.pte)
		named(NULL, ptep, old.pte, pte.pte);
}
EXPORT_SYMBOL(pvbatch_set_pte);

pte_t pvbatch_get_and_clear(struct mm_struct *mm, pte_t *ptep)
{
	pte_t old = native_ptep_get_and_clear(ptep);

	named(mm, ptep, old.pte, 0);
	return old;
}
EXPORT_SYMBOL(pvbatch_get_and_clear);

void pvbatch_wrprotect(struct mm_struct *mm, pte_t *ptep, unsigned int nr)
{
	for (; nr; nr--, ptep++) {
		pte_t old = READ_ONCE(*ptep), new;

		do {
			new = pte_wrprotect(old);
		} while (!try_cmpxchg((long *)&ptep->pte, (long *)&old, *(long *)&new));
		if (old.pte != new.pte)
			named(mm, ptep, old.pte, new.pte);
	}
}
EXPORT_SYMBOL(pvbatch_wrprotect);

bool pvbatch_clear_young(struct mm_struct *mm, pte_t *ptep)
{
	pteval_t old = READ_ONCE(ptep->pte);

	if (!(old & _PAGE_ACCESSED) ||
	    !test_and_clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)&ptep->pte))
		return false;
	named(mm, ptep, old, old & ~_PAGE_ACCESSED);
	return true;
}
EXPORT_SYMBOL(pvbatch_clear_young);

/*
 * The A/D law (merge.h) for one entry. x86 keeps Dirty of a read-only entry in a software
 * bit, since Write=0,Dirty=1 means a shadow stack: pte_mksaveddirty().
 */
static __always_inline void commit(struct mm_struct *mm, pte_t *ptep, u64 old, u64 new)
{
	u64 cur = old;
	u64 merged = new;

	while (unlikely(!try_cmpxchg((u64 *)&ptep->pte, &cur, merged))) {
		if (pvb_merge_conflict(old, cur, 0)) {
			/* Nobody else may change it under the lock. */
			WARN_ONCE(1, "pvbatch: pte %llx was %llx at start\n", cur, old);
			return;
		}
		merged = pvb_merge_commit(old, new, cur, 0);
		if (!(merged & _PAGE_RW))
			merged = native_pte_val(pte_mksaveddirty(native_make_pte(merged)));
	}
	named(mm, ptep, cur, merged);
}

void pvbatch_commit(struct vm_area_struct *vma, pte_t *ptep, pte_t old, pte_t new,
		    unsigned int nr)
{
	u64 o = old.pte, n = new.pte;

	for (; nr; nr--, ptep++, o += PAGE_SIZE, n += PAGE_SIZE)
		commit(vma->vm_mm, ptep, o, n);
}
EXPORT_SYMBOL(pvbatch_commit);
