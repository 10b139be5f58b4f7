// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest mm - the walk: from a range of addresses to pieces of leaf tables, each under
 * its lock and in lazy mode, and the flush at the right moment (laws 3 and 4).
 */
#include "internal.h"

struct step {
	struct pvb_walk *walk;
	uint64_t end; /* of the whole range */
};

static void flush_gathered(struct pvb_walk *walk)
{
	uint64_t pages = (walk->flush_end - walk->flush_start) / PVB_PAGE_SIZE;

	if (walk->flush_start < walk->flush_end) {
		if (pages > UINT32_MAX)
			pvb_flush_all(walk->c, 0);
		else
			pvb_flush_range(walk->c, pvb_gva(walk->flush_start), (uint32_t)pages, 0);
	}
	walk->flush_start = ~0ULL;
	walk->flush_end = 0;
}

static void lock_table(struct pvb_walk *walk, uint64_t *table)
{
	const struct pvb_mm *mm = walk->vma->mm;

	if (!mm->ops->lock)
		return;
	mm->ops->lock(mm->ctx, table);
	walk->c = mm->ops->cpu(mm->ctx);
	pvb_lazy_enter(walk->c);
}

/* @last: nothing comes after this: what was gathered is flushed now, with the queue. */
static void unlock_table(struct pvb_walk *walk, uint64_t *table, bool last)
{
	const struct pvb_mm *mm = walk->vma->mm;

	if (last || walk->flush_each)
		flush_gathered(walk);
	if (!mm->ops->lock)
		return;
	pvb_lazy_leave(walk->c);
#ifdef PVB_MM_DEBUG
	pvb_mm_debug_idle(walk->c);
#endif
	mm->ops->unlock(mm->ctx, table);
}

/* The part of [addr, end) that one entry of @level covers ends here. */
static uint64_t entry_end(uint64_t addr, uint64_t end, unsigned int level)
{
	/* Levels count from 1. NOLINTNEXTLINE(*UndefinedBinaryOperatorResult) */
	uint64_t size = 1ULL << (PVB_PAGE_SHIFT + 9 * (level - 1));
	uint64_t next = (addr & ~(size - 1)) + size;

	/* next is 0 at the end of the address space. */
	return next - 1 < end - 1 ? next : end;
}

static int walk_leaf(const struct step *step, uint64_t *table, uint64_t addr, uint64_t end)
{
	struct pvb_walk *walk = step->walk;
	int r;

	lock_table(walk, table);
	r = walk->ptes(walk, table + pvb_pte_index(addr, 1), addr,
		       (uint32_t)((end - addr) / PVB_PAGE_SIZE));
	unlock_table(walk, table, r || end == step->end);
	return r;
}

/* Is there a page above the leaf tables: mapped, or a soft leaf in its place? */
static bool is_huge(uint64_t pte)
{
	return pvb_pte_leaf(pte) || (!pvb_pte_none(pte) && !pvb_pte_mapped(pte));
}

/* A huge entry in @table. *@split: it is none any more. */
static int walk_huge(const struct step *step, uint64_t *table, uint64_t *pmdp, uint64_t addr,
		     uint64_t next, bool *split)
{
	struct pvb_walk *walk = step->walk;
	int r = 0;

	lock_table(walk, table);
	/* Another CPU may have split it before the lock was taken. */
	*split = !is_huge(pvb_load64(pmdp));
	if (!*split) {
		r = walk->huge ? walk->huge(walk, pmdp, addr, next) : -PVB_EOPNOTSUPP;
		if (r == PVB_WALK_SPLIT) {
			r = pvb_split_huge_pmd(walk->vma->mm, walk->c, pmdp, addr);
			*split = !r;
		}
	}
	unlock_table(walk, table, r || (!*split && next == step->end));
	return r;
}

/* Put a new table where there is none. 0 without one: then there is nothing to walk. */
static uint64_t new_table(struct pvb_walk *walk, uint64_t *table, uint64_t *entry)
{
	const struct pvb_mm *mm = walk->vma->mm;
	uint64_t pte = 0, gpa, none = 0;
	uint64_t *fresh;

	if (!walk->alloc || !mm->ops->alloc_table)
		return 0;
	gpa = mm->ops->alloc_table(mm->ctx, &fresh);
	if (!gpa)
		return 0;
	lock_table(walk, table);
	pte = pvb_pte_of_table(gpa);
	/* Another CPU may have been first; its table serves as well, ours stays empty. */
	if (!pvb_cmpxchg64(entry, &none, pte))
		pte = none;
	unlock_table(walk, table, false);
	return pte;
}

static int walk_level(const struct step *step, uint64_t *table, unsigned int level, uint64_t addr,
		      uint64_t end)
{
	struct pvb_walk *walk = step->walk;
	const struct pvb_mm *mm = walk->vma->mm;
	uint64_t next;
	int r = 0;

	if (level == 1)
		return walk_leaf(step, table, addr, end);
	for (; !r && addr != end; addr = next) {
		uint64_t *entry = table + pvb_pte_index(addr, level);
		uint64_t pte = pvb_load64(entry);
		bool split = false;

		next = entry_end(addr, end, level);
		if (is_huge(pte)) {
			if (level > 2)
				return -PVB_EOPNOTSUPP;
			r = walk_huge(step, table, entry, addr, next, &split);
			if (!split)
				continue;
			pte = pvb_load64(entry);
		}
		if (pvb_pte_none(pte))
			pte = new_table(walk, table, entry);
		if (!pvb_pte_present(pte))
			continue;
		r = walk_level(step, mm->ops->table(mm->ctx, pvb_gpa(pte & PVB_PTE_PFN_MASK)),
			       level - 1, addr, next);
	}
	return r;
}

int pvb_walk_range(struct pvb_walk *walk, uint64_t start, uint64_t end)
{
	const struct pvb_vma *vma = walk->vma;
	const struct pvb_mm *mm = vma->mm;
	struct step step = { .walk = walk, .end = end };
	uint64_t *root;
	int r;

	if (start >= end || start % PVB_PAGE_SIZE || end % PVB_PAGE_SIZE || start < vma->start ||
	    end > vma->end)
		return -PVB_EINVAL;
	walk->c = mm->ops->cpu(mm->ctx);
	walk->flush_start = ~0ULL;
	walk->flush_end = 0;
	root = mm->ops->table(mm->ctx, mm->root);
	if (!mm->ops->lock)
		pvb_lazy_enter(walk->c);
	r = walk_level(&step, root, mm->levels, start, end);
	/* The last table was missing, or an error ended the walk between tables. */
	flush_gathered(walk);
	if (!mm->ops->lock)
		pvb_lazy_leave(walk->c);
	return r;
}
