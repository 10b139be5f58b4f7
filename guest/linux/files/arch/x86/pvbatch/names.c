// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest - changes of leaf entries, and the names of what changed, for a host
 * that synchronises (guest-apply mode); host.c has the other mode. The next stage is
 * flush.c, or core/queue.c where runs become entries of a batch.
 *
 * An entry is named if the host may hold a translation of it (present and accessed before)
 * and the change takes something away. Changes that only permit more are named too: the
 * host brings a run of them up to date at once instead of fault by fault; but they need no
 * flush, so a single one waits for the next call (flush.c).
 */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/preempt.h>

#include "pvbatch.h"

DEFINE_PER_CPU_ALIGNED(struct pvbatch_cpu, pvbatch_cpu);
struct cpumask pvbatch_pending;
struct cpumask pvbatch_promised;
atomic_t pvbatch_unnamed;

static __always_inline bool host_applies(void)
{
	return static_branch_unlikely(&pvbatch_host_applies);
}

static __always_inline bool at_table_start(const pte_t *ptep)
{
	return !((unsigned long)ptep & ~PAGE_MASK);
}

/*
 * What a change takes from a translation that the host may hold: what must not be there
 * any more, or not as it was.
 */
static u64 loss(u64 old, u64 new)
{
	const u64 gone = _PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED | _PAGE_DIRTY;
	const u64 other = PTE_PFN_MASK | _PAGE_NX | _PAGE_PWT | _PAGE_PCD | _PAGE_PAT |
			  _PAGE_GLOBAL;

	return (old & ~new &gone) | ((old ^ new) & other);
}

void pvbatch_close_run(struct pvbatch_cpu *p)
{
	/* First, so that no interrupt lengthens a run whose end has been read. */
	pte_t *end = p->next;
	unsigned int nr;

	if (!end)
		return;
	p->next = NULL;
	barrier();
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
	/* Pairs with flush_others(): who sees the bit sees whose it is. */
	smp_mb__before_atomic();
	cpumask_set_cpu(smp_processor_id(), &pvbatch_pending);
}

/*
 * A call of its own, from an interrupt. If it fails, the flush to come has to know; so has a
 * flush that was interrupted, if its own calls have failed.
 */
static void name_now(struct pvbatch_cpu *p, pte_t *ptep)
{
	bool failed = p->failed;

	p->failed = false;
	(void)pvb_changed(&p->core, (uint64_t *)ptep, 1);
	if (p->failed)
		atomic_inc(&pvbatch_unnamed);
	p->failed |= failed;
}

static void name_it(struct mm_struct *mm, pte_t *ptep, u64 old, u64 new)
{
	struct pvbatch_cpu *p = this_cpu_ptr(&pvbatch_cpu);
	u64 lost = loss(old, new);

	if (unlikely(p->core.mode != PVB_MODE_GUEST_APPLY)) {
		/* Not registered yet, or no more: the next flush is one of everything. */
		if (lost && pvbatch_guest.mode == PVB_MODE_GUEST_APPLY)
			atomic_inc(&pvbatch_unnamed);
		return;
	}
	if (unlikely(!in_task())) {
		name_now(p, ptep);
		return;
	}
	p->busy = true;
	barrier();
	if (p->next != ptep || at_table_start(ptep)) {
		pvbatch_close_run(p);
		set_pending(p, mm);
		p->first = ptep;
		p->lost = 0;
	}
	p->lost |= lost;
	p->delta = old ^ new;
	p->gone = old & ~new;
	if (!(new &_PAGE_PRESENT)) {
		/* Which page it was does not matter: one that is unmapped is like another. */
		p->delta &= ~PTE_PFN_MASK;
		p->gone &= ~PTE_PFN_MASK;
	}
	barrier();
	p->next = ptep + 1;
	barrier();
	p->busy = false;
	if (unlikely(READ_ONCE(p->drain)))
		pvbatch_drain(p, PVB_REASON_TLB, true);
}

/*
 * name() - entry @ptep has changed from @old to @new. Preemption off, on when it returns.
 *
 * Out of line: everything but one more of the same.
 */
static noinline void name(struct mm_struct *mm, pte_t *ptep, u64 old, u64 new)
{
	name_it(mm, ptep, old, new);
	preempt_enable_notrace();
}

/* May the host hold a translation of an entry that was @old? */
static __always_inline bool may_be_held(u64 old)
{
	return !(~old & (_PAGE_PRESENT | _PAGE_ACCESSED));
}

/*
 * one_more() - the common case in a few instructions: the next entry of the run, changed
 * in the same bits (@delta) and the same way (@gone).
 *
 * The run is found open and lengthened by one instruction: an interrupt that hands it over
 * for another CPU in between would leave an entry behind that nobody knows to be pending.
 */
static __always_inline void one_more(struct mm_struct *mm, pte_t *ptep, u64 old, u64 new, u64 delta,
				     u64 gone)
{
	pte_t *next = ptep;

	preempt_disable_notrace();
	if (unlikely(delta != this_cpu_read(pvbatch_cpu.delta) ||
		     gone != this_cpu_read(pvbatch_cpu.gone) || at_table_start(ptep) ||
		     !this_cpu_try_cmpxchg(pvbatch_cpu.next, &next, ptep + 1))) {
		name(mm, ptep, old, new);
		return;
	}
	preempt_enable_notrace();
}

static __always_inline void changed(struct mm_struct *mm, pte_t *ptep, u64 old, u64 new)
{
	if (!host_applies() && may_be_held(old))
		one_more(mm, ptep, old, new, old ^ new, old & ~new);
}

/* changed() to nothing at all. */
static __always_inline void cleared(struct mm_struct *mm, pte_t *ptep, u64 old)
{
	const u64 flags = old & ~PTE_PFN_MASK;

	if (!host_applies() && may_be_held(old))
		one_more(mm, ptep, old, 0, flags, flags);
}

void pvbatch_set_pte(pte_t *ptep, pte_t pte)
{
	pte_t old;

	if (host_applies()) {
		pvbatch_host_set(ptep, pte);
		return;
	}
	old = READ_ONCE(*ptep);
	WRITE_ONCE(*ptep, pte);
	if (old.pte != pte.pte)
		changed(NULL, ptep, old.pte, pte.pte);
}

pte_t pvbatch_start(pte_t *ptep)
{
	return host_applies() ? pvbatch_host_read(ptep) : READ_ONCE(*ptep);
}
EXPORT_SYMBOL(pvbatch_start);

pte_t pvbatch_get_and_clear(struct mm_struct *mm, pte_t *ptep)
{
	pte_t old;

	if (host_applies())
		(void)pvbatch_host_read(ptep);
	old = native_ptep_get_and_clear(ptep);
	cleared(mm, ptep, old.pte);
	return old;
}
EXPORT_SYMBOL(pvbatch_get_and_clear);

void pvbatch_wrprotect(struct mm_struct *mm, pte_t *ptep, unsigned int nr)
{
	for (; nr; nr--, ptep++) {
		pte_t old = pvbatch_start(ptep), new = pte_wrprotect(old);

		if (old.pte == new.pte ||
		    (host_applies() && pvbatch_host_commit(ptep, old.pte, new.pte)))
			continue;
		while (!try_cmpxchg((long *)&ptep->pte, (long *)&old, *(long *)&new))
			new = pte_wrprotect(old);
		changed(mm, ptep, old.pte, new.pte);
	}
}
EXPORT_SYMBOL(pvbatch_wrprotect);

bool pvbatch_clear_young(struct mm_struct *mm, pte_t *ptep)
{
	pteval_t old = pvbatch_start(ptep).pte;

	if (!(old & _PAGE_ACCESSED) ||
	    !test_and_clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)&ptep->pte))
		return false;
	changed(mm, ptep, old, old & ~_PAGE_ACCESSED);
	return true;
}

/*
 * With PVB_F_DIRTY_AROUND, what becomes clean stays young (MADV_FREE asks for both): the host
 * maps no entry before A is set, so that it would have to be asked for each page twice. A is
 * a hint; reclaim looks at such a page one time more.
 */
void pvbatch_clear_young_dirty(struct vm_area_struct *vma, pte_t *ptep, unsigned int nr, bool young,
			       bool dirty)
{
	if (dirty && (pvbatch_guest.features & PVB_F_DIRTY_AROUND))
		young = false;
	for (; nr; nr--, ptep++) {
		pte_t old = pvbatch_start(ptep), new;

		do {
			new = young ? pte_mkold(old) : old;
			new = dirty ? pte_mkclean(new) : new;
		} while (!try_cmpxchg((long *)&ptep->pte, (long *)&old, *(long *)&new));
		if (old.pte != new.pte)
			changed(vma->vm_mm, ptep, old.pte, new.pte);
	}
}
EXPORT_SYMBOL(pvbatch_clear_young_dirty);

/*
 * The entry may have moved on since start: the A/D law (merge.h). x86 keeps Dirty of a
 * read-only entry in a software bit, since Write=0,Dirty=1 means a shadow stack.
 */
static noinline void merge(struct vm_area_struct *vma, pte_t *ptep, u64 old, u64 new)
{
	u64 cur = READ_ONCE(ptep->pte);
	u64 merged;

	do {
		if (pvb_merge_conflict(old, cur, 0)) {
			/* Nobody else may change it under the lock. */
			WARN_ONCE(1, "pvbatch: pte %llx was %llx at start\n", cur, old);
			return;
		}
		merged = pvb_merge_commit(old, new, cur, 0);
		if (!(merged & _PAGE_RW))
			merged = native_pte_val(pte_mksaveddirty(native_make_pte(merged)));
	} while (!try_cmpxchg((u64 *)&ptep->pte, &cur, merged));
	changed(vma->vm_mm, ptep, cur, merged);
}

static noinline void commit_host(struct vm_area_struct *vma, pte_t *ptep, u64 old, u64 new)
{
	if (!pvbatch_host_commit(ptep, old, new))
		merge(vma, ptep, old, new);
}

/* Some 25 instructions for the common case; all else is a tail call. */
void pvbatch_commit(struct vm_area_struct *vma, pte_t *ptep, pte_t old, pte_t new)
{
	u64 cur = old.pte;

	if (host_applies())
		return commit_host(vma, ptep, old.pte, new.pte);
	if (unlikely(!try_cmpxchg((u64 *)&ptep->pte, &cur, new.pte)))
		return merge(vma, ptep, old.pte, new.pte);
	changed(vma->vm_mm, ptep, old.pte, new.pte);
}
EXPORT_SYMBOL(pvbatch_commit);
