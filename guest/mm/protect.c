// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest mm - change protection: mprotect, userfaultfd write protection, NUMA
 * hinting. The walk comes from walk.c; here is what happens to the entries of one table.
 *
 * The common case is a page alone, so everything below change_present_ptes() is inlined
 * twice: for a batch of one, where the constant folds all batching away, and for the rest.
 */
#include "internal.h"

struct change {
	struct pvb_walk walk; /* first: callbacks get a pointer to it */
	uint64_t newprot;
	unsigned int flags;
	uint8_t soft; /* PVB_ENT_SOFT* that may differ inside a run */
	int64_t pages;
};

/*
 * May the entry become writable without a fault to notice it? Not without read access,
 * not if writes are to be noticed for soft-dirty or by userfaultfd.
 */
static bool maybe_change_writable(const struct pvb_vma *vma, uint64_t pte)
{
	if (!(vma->flags & PVB_VM_WRITE) || pvb_pte_protnone(pte) || pvb_pte_uffd_wp(pte))
		return false;
	return (vma->flags & PVB_VM_SOFTDIRTY) || pvb_pte_soft_dirty(pte);
}

/*
 * Commit @nr entries of a run from its index @at on, writable or not, and gather the flush.
 * @soft: PVB_ENT_SOFT* in which the entries of the run may differ.
 */
static ALWAYS_INLINE void commit_flush(struct change *change, uint64_t addr, uint64_t *ptep,
				       uint64_t old, uint64_t new, uint32_t nr, uint32_t at,
				       uint8_t soft, bool set_write)
{
	struct pvb_walk *walk = &change->walk;

	addr += at * PVB_PAGE_SIZE;
	old = pvb_pte_advance(old, at);
	new = pvb_pte_advance(new, at);
	if (set_write)
		new = pvb_pte_mkwrite(new);
	pvb_modify_prot_commit_ptes(walk->c, addr, ptep + at, old, new, nr, soft);
	if (pvb_pte_needs_flush(old, new))
		pvb_walk_flush(walk, addr, addr + nr * PVB_PAGE_SIZE);
}

/*
 * Private anonymous memory: pages exclusive to this address space may be written, the
 * others need their fault. Runs of either kind are committed as such.
 */
static ALWAYS_INLINE void commit_anon_folio(struct change *change, uint64_t addr, uint64_t *ptep,
					    uint64_t old, uint64_t new, uint32_t nr, uint8_t soft)
{
	const struct pvb_mm *mm = change->walk.vma->mm;
	uint64_t pfn = pvb_pte_pfn(old);
	uint32_t len;

	for (uint32_t at = 0; at < nr; at += len) {
		bool exclusive = mm->ops->anon_exclusive &&
				 mm->ops->anon_exclusive(mm->ctx, pfn + at);

		for (len = 1; at + len < nr; len++) {
			if ((mm->ops->anon_exclusive &&
			     mm->ops->anon_exclusive(mm->ctx, pfn + at + len)) != exclusive)
				break;
		}
		commit_flush(change, addr, ptep, old, new, len, at, soft, exclusive);
	}
}

/* Whatever the new permissions: an entry that is to report writes is not writable. */
static ALWAYS_INLINE uint64_t change_uffd_wp(uint64_t pte, unsigned int flags)
{
	if (flags & PVB_CP_UFFD_WP_RESOLVE)
		pte = pvb_pte_clear_uffd_wp(pte);
	if ((flags & PVB_CP_UFFD_WP) || pvb_pte_uffd_wp(pte))
		pte = pvb_pte_mkuffd_wp(pte);
	return pte;
}

/* One transaction on @nr entries of one folio (or on one of none). */
static ALWAYS_INLINE void change_present_ptes(struct change *change, uint64_t addr, uint64_t *ptep,
					      uint32_t nr, const struct pvb_folio *folio)
{
	const struct pvb_vma *vma = change->walk.vma;
	uint64_t old = pvb_modify_prot_start_ptes(change->walk.c, addr, ptep, nr);
	uint64_t new = change_uffd_wp(pvb_pte_modify(old, change->newprot), change->flags);
	uint8_t soft = nr > 1 ? change->soft : 0;
	bool dirty = pvb_pte_dirty(new);

	if (nr > 1) {
		/* The run's A and D are not one page's: let the merge keep each one's own. */
		old = pvb_pte_without_ad(old);
		new = pvb_pte_without_ad(new);
	}
	if (!(change->flags & PVB_CP_TRY_CHANGE_WRITABLE) || pvb_pte_write(new) ||
	    !maybe_change_writable(vma, new))
		commit_flush(change, addr, ptep, old, new, nr, 0, soft, false);
	else if (vma->flags & PVB_VM_SHARED)
		/* Dirty already: whoever wants to know of the first write does. */
		commit_flush(change, addr, ptep, old, new, nr, 0, soft, dirty);
	else if (folio && folio->anon)
		commit_anon_folio(change, addr, ptep, old, new, nr, soft);
	else
		commit_flush(change, addr, ptep, old, new, nr, 0, soft, false);
}

/* How many entries from @ptep on may be one run? */
static uint32_t batch(const struct change *change, const struct pvb_folio *folio,
		      const uint64_t *ptep, uint64_t pte, uint32_t max)
{
	unsigned int flags = 0;

	/* In a shared mapping dirty decides whether the entry becomes writable. */
	if (!(change->flags & PVB_CP_TRY_CHANGE_WRITABLE) ||
	    !(change->walk.vma->flags & PVB_VM_SHARED))
		flags |= PVB_FPB_IGNORE_DIRTY;
	if (change->soft)
		flags |= PVB_FPB_IGNORE_SOFT_DIRTY;
	return pvb_folio_pte_batch(change->walk.c, folio, ptep, pte, max, flags);
}

/* Entries from @ptep on that map pages: returns how many were dealt with. */
static uint32_t change_mapped(struct change *change, uint64_t *ptep, uint64_t pte, uint64_t addr,
			      uint32_t max)
{
	const struct pvb_vma *vma = change->walk.vma;
	const struct pvb_mm *mm = vma->mm;
	bool numa = change->flags & PVB_CP_PROT_NUMA;
	struct pvb_folio folio;
	bool has_folio;
	uint32_t nr = 1;

	/* It is to fault, and will. */
	if (numa && pvb_pte_protnone(pte))
		return 1;
	has_folio = mm->ops->folio && mm->ops->folio(mm->ctx, pte, &folio);
	if (has_folio && folio.nr > 1 && max > 1 && !(change->flags & PVB_CP_SINGLE))
		nr = batch(change, &folio, ptep, pte, max);
	if (numa && mm->ops->numa_skip &&
	    mm->ops->numa_skip(mm->ctx, vma, has_folio ? &folio : NULL))
		return nr;

	if (pvb_likely(nr == 1))
		change_present_ptes(change, addr, ptep, 1, has_folio ? &folio : NULL);
	else
		change_present_ptes(change, addr, ptep, nr, &folio);
	change->pages += nr;
	return nr;
}

static int change_ptes(struct pvb_walk *walk, uint64_t *ptep, uint64_t addr, uint32_t nr)
{
	struct change *change = (struct change *)walk;

	for (uint32_t n; nr; nr -= n, ptep += n, addr += n * PVB_PAGE_SIZE) {
		uint64_t pte = pvb_ptep_get(walk->c, ptep);

		n = 1;
		if (pvb_pte_mapped(pte))
			n = change_mapped(change, ptep, pte, addr, nr);
		else
			change->pages += pvb_change_softleaf(walk, ptep, pte, change->flags);
	}
	return 0;
}

static int change_huge(struct pvb_walk *walk, uint64_t *pmdp, uint64_t addr, uint64_t next)
{
	struct change *change = (struct change *)walk;
	const struct pvb_mm *mm = walk->vma->mm;
	uint64_t old, new;
	struct pvb_folio folio;
	bool has_folio;

	if (next - addr < PVB_PMD_SIZE || (change->flags & PVB_CP_UFFD_WP))
		return PVB_WALK_SPLIT;
	old = pvb_load64(pmdp);
	if (!pvb_pte_mapped(old)) {
		/* A huge page that migrates: not hardware's, so the lock is all it takes. */
		new = pvb_softleaf_modify(walk->vma, old, change->flags);
		if (new != old && pvb_cmpxchg64(pmdp, &old, new))
			change->pages += PVB_PTES_PER_TABLE;
		return 0;
	}
	if (change->flags & PVB_CP_PROT_NUMA) {
		has_folio = mm->ops->folio && mm->ops->folio(mm->ctx, old, &folio);
		if (pvb_pte_protnone(old) ||
		    (mm->ops->numa_skip &&
		     mm->ops->numa_skip(mm->ctx, walk->vma, has_folio ? &folio : NULL)))
			return 0;
	}
	new = pvb_pte_mkleaf(pvb_pte_modify(old, change->newprot));
	new = change_uffd_wp(new, change->flags);
	/* Under the lock nothing but A and D moves: there is no conflict to be had. */
	if (pvb_change_huge_pmd(pmdp, old, new)) {
		change->pages += PVB_PTES_PER_TABLE;
		if (pvb_pte_needs_flush(old, new))
			pvb_walk_flush(walk, addr, next);
	}
	return 0;
}

int64_t pvb_change_protection(struct pvb_vma *vma, uint64_t start, uint64_t end, uint64_t newprot,
			      unsigned int flags)
{
	struct change change = {
		.walk = { .vma = vma, .ptes = change_ptes, .huge = change_huge },
		.newprot = newprot,
		.flags = flags,
	};
	int r;

	/* Nobody tracks soft-dirty here: runs may differ in it, each entry keeps its own. */
	if (vma->flags & PVB_VM_SOFTDIRTY)
		change.soft = PVB_ENT_SOFT_DIRTY;
	change.walk.alloc = (flags & PVB_CP_UFFD_WP) && (vma->flags & PVB_VM_UFFD_MARKERS);
	r = pvb_walk_range(&change.walk, start, end);
	return r ? r : change.pages;
}
