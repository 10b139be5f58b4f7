/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: guest mm - the memory-management side of a batch: what an operating system does
 * with a range of addresses, down to the runs of PTEs in mm-ptes.h. Portable, allocates
 * nothing but page tables through the kernel's callback, and only where a huge entry is
 * split or a marker is put where there is no table.
 *
 * Locking is one of two configurations of struct pvb_mm_ops:
 *
 *   split locks     lock and unlock given: each leaf table has its lock, held while the
 *                   table is worked on. Where the host applies, a queue drains before its
 *                   lock is dropped: one call a table.
 *   one lock        lock NULL: the caller holds one lock over the whole operation, with
 *                   preemption off. Queue entries of many tables travel in one call.
 *
 * The flush of a range travels with the last table's queue, under its lock (law 4).
 */
#ifndef PVBATCH_MM_H
#define PVBATCH_MM_H

#include <pvbatch/mm-ptes.h>

struct pvb_vma;

/*
 * struct pvb_folio - consecutive pages that belong together. Runs are made within one
 * folio alone.
 */
struct pvb_folio {
	uint64_t pfn; /* the first page */
	uint32_t nr; /* pages */
	bool anon;
};

struct pvb_mm_ops {
	/* The 512 entries of the page table at @gpa. */
	uint64_t *(*table)(void *ctx, pvb_gpa_t gpa);
	/* The calling CPU's queue. Preemption is off. */
	struct pvb_cpu *(*cpu)(void *ctx);
	/* The lock of a leaf table, or of one that holds a huge entry. See above. */
	void (*lock)(void *ctx, uint64_t *table);
	void (*unlock)(void *ctx, uint64_t *table);
	/*
	 * The folio that the mapped entry @pte maps a page of. false: none (a special
	 * mapping, the zero page). NULL: there are no folios, each page is alone.
	 */
	bool (*folio)(void *ctx, uint64_t pte, struct pvb_folio *folio);
	/* Is anonymous page @pfn exclusive to this address space? NULL: none is. */
	bool (*anon_exclusive)(void *ctx, uint64_t pfn);
	/* Leave @folio (NULL: none) out of NUMA hinting? NULL: no. */
	bool (*numa_skip)(void *ctx, const struct pvb_vma *vma, const struct pvb_folio *folio);
	/* A zeroed page table: its gpa, and *table; 0: no memory. NULL: never any. */
	uint64_t (*alloc_table)(void *ctx, uint64_t **table);
};

struct pvb_mm {
	const struct pvb_mm_ops *ops;
	void *ctx; /* handed to the callbacks */
	pvb_gpa_t root; /* the top-level table */
	unsigned int levels; /* 4, or 5 where PVB_LEVELS_MAX is */
};

#define PVB_VM_WRITE 0x1U /* may be written, possibly after a fault */
#define PVB_VM_SHARED 0x2U
#define PVB_VM_SOFTDIRTY 0x4U /* all of it counts as soft-dirty: nothing is tracked */
#define PVB_VM_UFFD_MARKERS 0x8U /* uffd-wp of pages that are not there needs markers */

/* struct pvb_vma - a range of addresses that are alike. */
struct pvb_vma {
	struct pvb_mm *mm;
	uint64_t start; /* page-aligned */
	uint64_t end;
	uint64_t pgoff; /* of start in what is mapped, in pages */
	uint32_t flags; /* PVB_VM_* */
};

/*
 * pvb_folio_pte_batch() - how many entries from @ptep on, at most @max >= 1, map the next
 * pages of @folio with the bits of the first, which is @pte (from pvb_ptep_get())?
 * @flags: bits that may differ; young always may.
 */
#define PVB_FPB_IGNORE_DIRTY 0x1U
#define PVB_FPB_IGNORE_SOFT_DIRTY 0x2U
#define PVB_FPB_IGNORE_WRITE 0x4U
uint32_t pvb_folio_pte_batch(struct pvb_cpu *c, const struct pvb_folio *folio, const uint64_t *ptep,
			     uint64_t pte, uint32_t max, unsigned int flags);

/*
 * pvb_change_protection() - give the pages of [@start, @end) of @vma the permissions
 * @newprot (pvb_prot(); for private writable memory without write, so that writes fault).
 *
 * Every page keeps its own A and D. Entries of swapped-out and migrating pages change
 * accordingly. A huge entry, or the soft leaf of a huge page that migrates, changes as a whole
 * or, in part or with PVB_CP_UFFD_WP, is split.
 * @flags: PVB_CP_*. Returns the number of pages changed; -PVB_EINVAL for a range that is
 * empty, misaligned or outside @vma, nothing is changed then; -PVB_ENOMEM or
 * -PVB_EOPNOTSUPP at a huge entry that cannot be split, what is before it is changed and
 * flushed then.
 */
#define PVB_CP_TRY_CHANGE_WRITABLE 0x1U /* allow writing at once where no fault is needed */
#define PVB_CP_PROT_NUMA 0x2U /* for NUMA hinting: @newprot is pvb_prot(0) */
#define PVB_CP_UFFD_WP 0x4U /* write faults go to user space */
#define PVB_CP_UFFD_WP_RESOLVE 0x8U /* no more */
#define PVB_CP_SINGLE 0x10U /* entry by entry, for comparison */
int64_t pvb_change_protection(struct pvb_vma *vma, uint64_t start, uint64_t end, uint64_t newprot,
			      unsigned int flags);

/* What a walk below has touched. */
struct pvb_touched {
	uint64_t total; /* entries changed */
	uint64_t start; /* the changed entries' addresses; start >= end: none */
	uint64_t end;
};

/* What to do about huge entries. */
enum pvb_huge {
	PVB_HUGE_REFUSE, /* -PVB_EOPNOTSUPP, and the walk ends there */
	PVB_HUGE_SPLIT, /* split them, if touched */
};

/*
 * pvb_wrprotect_range() - write-protect all writable entries of [@start, @end).
 *
 * The flush of each table is done under its lock: when its lock is dropped no CPU can
 * write to its pages any more. Returns 0 or -PVB_E* as above; @touched is right in any case.
 */
int pvb_wrprotect_range(struct pvb_vma *vma, uint64_t start, uint64_t end, enum pvb_huge huge,
			struct pvb_touched *touched);

/* The pages that were dirty: bit i is page offset pgoff + i of what is mapped. */
struct pvb_dirty_bitmap {
	uint64_t pgoff; /* of the first bit */
	uint64_t bits; /* size; the range must fit: else -PVB_EINVAL */
	uint64_t *map; /* ORed into */
	/*
	 * The lowest bit set, and one beyond the highest: first >= last: none. Calls only widen
	 * it, so that several mappings of the same pages make one record; start with zeros.
	 */
	uint64_t first;
	uint64_t last;
};

/*
 * pvb_clean_record_range() - make all dirty entries of [@start, @end) clean and record
 * their pages. Flushed under the lock, like pvb_wrprotect_range(): a page that is not
 * recorded has not been written through an entry seen clean, and whoever copies the
 * recorded pages after the return finds every later write dirty again.
 */
int pvb_clean_record_range(struct pvb_vma *vma, uint64_t start, uint64_t end, enum pvb_huge huge,
			   struct pvb_dirty_bitmap *bitmap, struct pvb_touched *touched);

/*
 * The walk that these are made of.
 */
struct pvb_walk {
	struct pvb_vma *vma;
	struct pvb_cpu *c; /* set by the walk, valid in the callbacks */
	bool alloc; /* make missing tables, if the kernel can */
	/*
	 * A piece of one leaf table, under its lock and in lazy mode. 0, or a result that
	 * ends the walk.
	 */
	int (*ptes)(struct pvb_walk *walk, uint64_t *ptep, uint64_t addr, uint32_t nr);
	/*
	 * A huge entry of level 2, mapped or a soft leaf, under its table's lock; [addr,
	 * next) is the part inside the range. 0: done; PVB_WALK_SPLIT: split it, then ptes()
	 * gets it; or an error. NULL: -PVB_EOPNOTSUPP.
	 */
	int (*huge)(struct pvb_walk *walk, uint64_t *pmdp, uint64_t addr, uint64_t next);
	/* Flush at the end of each table, not once at the end. */
	bool flush_each;
	uint64_t flush_start; /* what pvb_walk_flush() gathered */
	uint64_t flush_end;
};

#define PVB_WALK_SPLIT 1

/*
 * pvb_walk_range() - call back for each piece of a leaf table that exists in [@start, @end).
 * Flushes what was gathered before it returns, under the last lock it takes.
 * Returns 0, what a callback returned, -PVB_EINVAL as above, -PVB_EOPNOTSUPP at an entry
 * larger than level 2, or -PVB_ENOMEM.
 */
int pvb_walk_range(struct pvb_walk *walk, uint64_t start, uint64_t end);

/* pvb_walk_flush() - for the callbacks: [addr, end) needs a flush before the walk is over. */
static inline void pvb_walk_flush(struct pvb_walk *walk, uint64_t addr, uint64_t end)
{
	if (addr < walk->flush_start)
		walk->flush_start = addr;
	if (end > walk->flush_end)
		walk->flush_end = end;
}

/*
 * pvb_split_huge_pmd() - replace the huge entry at *@pmdp, which maps @addr or is a soft leaf
 * in place of what does, by a table of small ones with its permissions, A and D. Under the
 * lock of the table that holds it. Written directly: it is no leaf table's entry. 0,
 * -PVB_ENOMEM, or -PVB_EOPNOTSUPP without alloc_table.
 */
int pvb_split_huge_pmd(struct pvb_mm *mm, struct pvb_cpu *c, uint64_t *pmdp, uint64_t addr);

/* pvb_change_huge_pmd() - commit a transaction on a huge entry, directly (law 1). */
bool pvb_change_huge_pmd(uint64_t *pmdp, uint64_t old, uint64_t new);

#endif /* PVBATCH_MM_H */
