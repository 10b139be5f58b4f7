// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest mm - write-protect a range, or clean it and record what was dirty: for
 * whoever tracks writes to memory that others share.
 *
 * The order is everything: entries change, then no TLB holds the old ones, then the lock
 * is dropped. Were the flush outside, a CPU could write through its TLB, which says
 * "dirty already", to a page that the bitmap of the next round calls clean (law 4).
 */
#include "internal.h"

struct clean {
	struct pvb_walk walk; /* first: callbacks get a pointer to it */
	enum pvb_huge huge;
	struct pvb_touched *touched;
	struct pvb_dirty_bitmap *bitmap;
};

static inline void touch(struct clean *clean, uint64_t addr, uint32_t nr)
{
	struct pvb_touched *touched = clean->touched;
	uint64_t end = addr + nr * PVB_PAGE_SIZE;

	touched->total += nr;
	if (addr < touched->start)
		touched->start = addr;
	if (end > touched->end)
		touched->end = end;
}

static bool is_writable(uint64_t pte)
{
	return pvb_pte_mapped(pte) && pvb_pte_write(pte);
}

static bool is_dirty(uint64_t pte)
{
	return pvb_pte_mapped(pte) && pvb_pte_dirty(pte);
}

/*
 * How many entries from @ptep on, at most @max, are to be changed? Inlined, with what
 * @wanted asks: a page alone is the common case and costs what a transaction costs.
 */
static ALWAYS_INLINE uint32_t stretch(struct pvb_cpu *c, const uint64_t *ptep, uint32_t max,
				      bool (*wanted)(uint64_t pte))
{
	uint32_t nr = 0;

	while (nr < max && wanted(pvb_ptep_get(c, ptep + nr)))
		nr++;
	return nr;
}

static int wrprotect_ptes(struct pvb_walk *walk, uint64_t *ptep, uint64_t addr, uint32_t nr)
{
	struct clean *clean = (struct clean *)walk;

	for (uint32_t n; nr; nr -= n, ptep += n, addr += n * PVB_PAGE_SIZE) {
		n = stretch(walk->c, ptep, nr, is_writable);
		if (!n) {
			n = 1;
			continue;
		}
		if (pvb_likely(n == 1)) {
			uint64_t old = pvb_ptep_modify_prot_start(walk->c, addr, ptep);

			pvb_ptep_modify_prot_commit(walk->c, addr, ptep, old,
						    pvb_pte_wrprotect(old));
		} else {
			pvb_wrprotect_ptes(walk->c, addr, ptep, n);
		}
		pvb_walk_flush(walk, addr, addr + n * PVB_PAGE_SIZE);
		touch(clean, addr, n);
	}
	return 0;
}

/* Page offset of @addr as a bit of the bitmap. */
static uint64_t bit_of(const struct clean *clean, uint64_t addr)
{
	const struct pvb_vma *vma = clean->walk.vma;

	return (addr - vma->start) / PVB_PAGE_SIZE + vma->pgoff - clean->bitmap->pgoff;
}

static inline void record(struct clean *clean, uint64_t addr)
{
	struct pvb_dirty_bitmap *bitmap = clean->bitmap;
	uint64_t bit = bit_of(clean, addr);

	bitmap->map[bit / 64] |= 1ULL << bit % 64;
	if (bit < bitmap->first)
		bitmap->first = bit;
	if (bit + 1 > bitmap->last)
		bitmap->last = bit + 1;
}

/* @nr entries from @addr on are clean now. Inlined for the sake of a page alone. */
static ALWAYS_INLINE void cleaned(struct pvb_walk *walk, uint64_t addr, uint32_t nr)
{
	struct clean *clean = (struct clean *)walk;

	pvb_walk_flush(walk, addr, addr + nr * PVB_PAGE_SIZE);
	touch(clean, addr, nr);
	for (uint32_t i = 0; i < nr; i++)
		record(clean, addr + i * PVB_PAGE_SIZE);
}

/*
 * Entries that were dirty when they were read are dirty when they are exchanged: nobody
 * else cleans them under the lock. So all of a stretch is recorded.
 */
static int clean_ptes(struct pvb_walk *walk, uint64_t *ptep, uint64_t addr, uint32_t nr)
{
	for (uint32_t n; nr; nr -= n, ptep += n, addr += n * PVB_PAGE_SIZE) {
		n = stretch(walk->c, ptep, nr, is_dirty);
		if (!n) {
			n = 1;
			continue;
		}
		if (pvb_likely(n == 1)) {
			uint64_t old = pvb_ptep_modify_prot_start(walk->c, addr, ptep);

			pvb_ptep_modify_prot_commit(walk->c, addr, ptep, old, pvb_pte_mkclean(old));
			cleaned(walk, addr, 1);
		} else {
			pvb_clear_young_dirty_ptes(walk->c, addr, ptep, n, PVB_CLEAR_DIRTY);
			cleaned(walk, addr, n);
		}
	}
	return 0;
}

static int huge_if(struct clean *clean, bool touched)
{
	if (!touched)
		return 0;
	return clean->huge == PVB_HUGE_SPLIT ? PVB_WALK_SPLIT : -PVB_EOPNOTSUPP;
}

static int wrprotect_huge(struct pvb_walk *walk, uint64_t *pmdp, uint64_t addr, uint64_t next)
{
	(void)addr;
	(void)next;
	return huge_if((struct clean *)walk, is_writable(pvb_load64(pmdp)));
}

static int clean_huge(struct pvb_walk *walk, uint64_t *pmdp, uint64_t addr, uint64_t next)
{
	(void)addr;
	(void)next;
	return huge_if((struct clean *)walk, is_dirty(pvb_load64(pmdp)));
}

int pvb_wrprotect_range(struct pvb_vma *vma, uint64_t start, uint64_t end, enum pvb_huge huge,
			struct pvb_touched *touched)
{
	struct clean clean = {
		.walk = { .vma = vma,
			  .ptes = wrprotect_ptes,
			  .huge = wrprotect_huge,
			  .flush_each = true },
		.huge = huge,
		.touched = touched,
	};

	*touched = (struct pvb_touched){ .start = ~0ULL };
	return pvb_walk_range(&clean.walk, start, end);
}

int pvb_clean_record_range(struct pvb_vma *vma, uint64_t start, uint64_t end, enum pvb_huge huge,
			   struct pvb_dirty_bitmap *bitmap, struct pvb_touched *touched)
{
	struct clean clean = {
		.walk = { .vma = vma, .ptes = clean_ptes, .huge = clean_huge, .flush_each = true },
		.huge = huge,
		.touched = touched,
		.bitmap = bitmap,
	};

	*touched = (struct pvb_touched){ .start = ~0ULL };
	/* Empty and foreign ranges are refused by the walk, before anything is written. */
	if (start < end && start >= vma->start &&
	    (bit_of(&clean, start) >= bitmap->bits ||
	     bit_of(&clean, end - PVB_PAGE_SIZE) >= bitmap->bits))
		return -PVB_EINVAL;
	if (bitmap->first >= bitmap->last) {
		bitmap->first = ~0ULL;
		bitmap->last = 0;
	}
	return pvb_walk_range(&clean.walk, start, end);
}
