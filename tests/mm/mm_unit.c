// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of guest/mm - what neither the model nor the race says: how many calls it
 * takes, what is refused and leaves everything as it was, huge entries, tables that are
 * missing, transaction rules, and batches.
 */
#include <setjmp.h>
#include <stdarg.h>

#include "space.h"

#include <cmocka.h>

#define RW (PVB_PROT_READ | PVB_PROT_WRITE)

static void open_space(enum pvb_mode mode, bool split_locks)
{
	const struct space_config config = { .mode = mode,
					     .split_locks = split_locks,
					     .nr_vcpus = 2 };

	space_open(&config);
}

static int setup(void **state)
{
	(void)state;
	open_space(PVB_MODE_HOST_APPLY, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(space.bugs, 0);
	space_close();
	return 0;
}

static int teardown_bugs(void **state)
{
	(void)state;
	space_close();
	return 0;
}

/* Pages [page, page + nr) mapped to consecutive memory, written to the tables directly. */
static void fill(uint32_t page, uint32_t nr, unsigned int prot)
{
	for (uint32_t i = 0; i < nr; i++)
		*space_pte(page + i) =
			pvb_pte_make(space.memory + (page + i) % SPACE_MEMORY, pvb_prot(prot));
}

static uint64_t calls(void)
{
	struct pvb_guest_stats stats;

	pvb_cpu_stats(space_cpu(), &stats);
	return stats.calls;
}

static int64_t protect(uint32_t page, uint32_t nr, unsigned int prot, unsigned int flags)
{
	return pvb_change_protection(&space.vma, space_va(page), space_va(page + nr),
				     pvb_prot(prot), flags);
}

/* One call per table with split locks: the flush rides with the last. */
static void split_locks_one_call_a_table(void **state)
{
	(void)state;
	fill(0, SPACE_PAGES, RW);
	assert_int_equal(protect(0, SPACE_PAGES, PVB_PROT_READ, 0), SPACE_PAGES);
	assert_int_equal(calls(), SPACE_TABLES);
	assert_false(pvb_pte_write(*space_pte(SPACE_PAGES - 1)));
	/* A hole at the end: the flush is a call of its own. */
	space_lock(0);
	pvb_set_ptes(space_cpu(), space_pte(3 * PVB_PTES_PER_TABLE), 0, 512, PVB_ENT_FIXED);
	space_unlock(0);
	assert_int_equal(protect(0, SPACE_PAGES, RW, 0), SPACE_PAGES - PVB_PTES_PER_TABLE);
	assert_in_range(calls(), 2 * SPACE_TABLES, 2 * SPACE_TABLES + 1);
}

/* One lock: entries of many tables in one call, with the flush. */
static void one_lock_one_call(void **state)
{
	struct pvb_guest_stats stats;

	(void)state;
	space_close();
	open_space(PVB_MODE_HOST_APPLY, false);
	fill(0, SPACE_PAGES, RW);
	assert_int_equal(protect(0, SPACE_PAGES, PVB_PROT_READ, 0), SPACE_PAGES);
	pvb_cpu_stats(space_cpu(), &stats);
	assert_int_equal(stats.calls, 1);
	assert_int_equal(stats.entries, SPACE_TABLES);
	assert_int_equal(stats.flushes, 1);
	assert_int_equal(stats.applied, SPACE_PAGES);
	for (uint32_t i = 0; i < SPACE_PAGES; i++)
		assert_false(pvb_pte_write(*space_pte(i)));
}

/* The guest applies: one call whatever the locks. */
static void guest_applies_one_call(void **state)
{
	(void)state;
	space_close();
	open_space(PVB_MODE_GUEST_APPLY, true);
	fill(0, SPACE_PAGES, RW);
	assert_int_equal(protect(0, SPACE_PAGES, PVB_PROT_READ, 0), SPACE_PAGES);
	assert_int_equal(calls(), 1);
}

/* Nothing to flush: no flush, and no call for pages that stay as they are. */
static void what_needs_no_flush(void **state)
{
	uint64_t pte = pvb_pte_make(space.memory, pvb_prot(RW));
	uint64_t none = pvb_prot(0);

	(void)state;
	assert_true(pvb_pte_needs_flush(pte, pvb_pte_wrprotect(pte)));
	assert_true(pvb_pte_needs_flush(pte, pvb_pte_modify(pte, none)));
	assert_true(pvb_pte_needs_flush(pvb_pte_mkdirty(pte), pte));
	assert_true(pvb_pte_needs_flush(pvb_pte_mkyoung(pte), pte));
	assert_true(pvb_pte_needs_flush(pte, pvb_pte_advance(pte, 1)));
	assert_false(pvb_pte_needs_flush(pte, pvb_pte_mkdirty(pvb_pte_mkyoung(pte))));
	assert_false(pvb_pte_needs_flush(pte, pvb_pte_mksoft_dirty(pte)));
	assert_false(pvb_pte_needs_flush(pvb_pte_modify(pte, none), pte));
	assert_int_equal(protect(0, 600, PVB_PROT_READ, 0), 0);
	assert_int_equal(calls(), 0);
}

/* Ranges that are empty, misaligned, outside or backwards: nothing happens. */
static void bad_ranges(void **state)
{
	uint64_t bits[SPACE_PAGES / 64] = { 0 };
	struct pvb_dirty_bitmap bitmap = { .bits = SPACE_PAGES, .map = bits };
	struct pvb_touched touched;
	const uint64_t bad[][2] = {
		{ space_va(5), space_va(5) },
		{ space_va(6), space_va(5) },
		{ space_va(5) + 8, space_va(7) },
		{ space_va(5), space_va(7) + 8 },
		{ SPACE_BASE - PVB_PAGE_SIZE, space_va(7) },
		{ space_va(5), space_va(SPACE_PAGES) + PVB_PAGE_SIZE },
		{ 0, ~0ULL << PVB_PAGE_SHIFT },
	};

	(void)state;
	fill(0, 16, RW);
	*space_pte(5) = pvb_pte_mkdirty(*space_pte(5));
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(
			pvb_change_protection(&space.vma, bad[i][0], bad[i][1], pvb_prot(0), 0),
			-PVB_EINVAL);
		assert_int_equal(pvb_wrprotect_range(&space.vma, bad[i][0], bad[i][1],
						     PVB_HUGE_SPLIT, &touched),
				 -PVB_EINVAL);
		assert_true(touched.start >= touched.end && !touched.total);
		assert_int_equal(pvb_clean_record_range(&space.vma, bad[i][0], bad[i][1],
							PVB_HUGE_SPLIT, &bitmap, &touched),
				 -PVB_EINVAL);
		assert_true(bitmap.first >= bitmap.last);
	}
	/* A bitmap that the range does not fit into. */
	bitmap.bits = 6;
	assert_int_equal(pvb_clean_record_range(&space.vma, space_va(0), space_va(7),
						PVB_HUGE_SPLIT, &bitmap, &touched),
			 -PVB_EINVAL);
	bitmap.bits = SPACE_PAGES;
	bitmap.pgoff = 4;
	assert_int_equal(pvb_clean_record_range(&space.vma, space_va(0), space_va(7),
						PVB_HUGE_SPLIT, &bitmap, &touched),
			 -PVB_EINVAL);
	assert_int_equal(calls(), 0);
	assert_true(pvb_pte_write(*space_pte(5)) && pvb_pte_dirty(*space_pte(5)));
}

/* Runs that are empty, leave their table, or whose address is another slot's. */
static void bad_runs(void **state)
{
	struct pvb_cpu *c = space_cpu();
	uint64_t *odd = (uint64_t *)((uintptr_t)space_pte(8) + 4);
	const struct {
		uint32_t page, nr;
		uint64_t addr, *ptep;
	} bad[] = {
		{ 8, 0, space_va(8), space_pte(8) },	    { 8, 513, space_va(8), space_pte(8) },
		{ 500, 13, space_va(500), space_pte(500) }, { 8, 2, space_va(9), space_pte(8) },
		{ 8, 2, space_va(8) + 8, space_pte(8) },    { 8, 2, space_va(8), odd },
	};

	(void)state;
	fill(0, 512, RW);
	space_lock(0);
	space.debug[0].locked = NULL; /* odd addresses have no lock */
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint64_t addr = bad[i].addr, *ptep = bad[i].ptep;
		uint32_t nr = bad[i].nr;

		assert_int_equal(pvb_modify_prot_start_ptes(c, addr, ptep, nr), 0);
		assert_int_equal(pvb_modify_prot_commit_ptes(c, addr, ptep, 1, 0, nr, 0),
				 -PVB_EINVAL);
		pvb_mm_debug(c, NULL);
		assert_int_equal(pvb_modify_prot_start_ptes(c, addr, ptep, nr), 0);
		assert_int_equal(pvb_modify_prot_commit_ptes(c, addr, ptep, 1, 0, nr, 0),
				 -PVB_EINVAL);
		assert_int_equal(pvb_generic_modify_prot_start_ptes(c, addr, ptep, nr), 0);
		assert_int_equal(pvb_generic_modify_prot_commit_ptes(c, addr, ptep, 1, 0, nr, 0),
				 -PVB_EINVAL);
		assert_int_equal(pvb_set_new_ptes(c, addr, ptep, 0, nr), -PVB_EINVAL);
		assert_int_equal(pvb_generic_set_new_ptes(c, addr, ptep, 0, nr), -PVB_EINVAL);
		assert_int_equal(pvb_wrprotect_ptes(c, addr, ptep, nr), -PVB_EINVAL);
		assert_int_equal(pvb_generic_wrprotect_ptes(c, addr, ptep, nr), -PVB_EINVAL);
		assert_int_equal(pvb_mkold_clean_ptes(c, addr, ptep, nr), -PVB_EINVAL);
		assert_int_equal(pvb_generic_clear_young_dirty_ptes(c, addr, ptep, nr, 3),
				 -PVB_EINVAL);
		assert_int_equal(pvb_get_and_clear_full_ptes(c, addr, ptep, nr), 0);
		assert_int_equal(pvb_generic_get_and_clear_full_ptes(c, addr, ptep, nr), 0);
		pvb_mm_debug(c, &space.debug[0]);
	}
	space_unlock(0);
	assert_int_equal(calls(), 0);
	for (uint32_t i = 0; i < 512; i++)
		assert_int_equal(*space_pte(i), pvb_pte_make(space.memory + i, pvb_prot(RW)));
	space.bugs = 0; /* commits without their start, as intended here */
}

static void expect_bug(const char *what)
{
	assert_int_equal(space.bugs, 1);
	assert_string_equal(space.bug, what);
	space.bugs = 0;
}

/* Exact pairing, and the lock: a breach is reported, and nothing is written. */
static void transaction_rules(void **state)
{
	struct pvb_cpu *c = space_cpu();
	uint64_t old;

	(void)state;
	fill(0, 64, RW);
	/* No lock */
	assert_int_equal(pvb_ptep_modify_prot_start(c, space_va(3), space_pte(3)), 0);
	expect_bug("transaction without the page-table lock");
	space_lock(0);
	/* No start */
	old = *space_pte(3);
	pvb_ptep_modify_prot_commit(c, space_va(3), space_pte(3), old, 0);
	expect_bug("commit without its start");
	/* Twice */
	assert_int_equal(pvb_ptep_modify_prot_start(c, space_va(3), space_pte(3)), old);
	assert_int_equal(pvb_modify_prot_start_ptes(c, space_va(0), space_pte(0), 8), 0);
	expect_bug("start inside an open transaction");
	/* Another run */
	assert_int_equal(pvb_modify_prot_commit_ptes(c, space_va(3), space_pte(3), old, 0, 2, 0),
			 -PVB_EINVAL);
	expect_bug("commit without its start");
	/* Left open */
	pvb_mm_debug_idle(c);
	expect_bug("transaction left open");
	/* A run may be committed in pieces, but in order and no more than it was. */
	old = pvb_modify_prot_start_ptes(c, space_va(0), space_pte(0), 8);
	assert_int_equal(pvb_modify_prot_commit_ptes(c, space_va(0), space_pte(0), old,
						     pvb_pte_wrprotect(old), 5, 0),
			 0);
	pvb_ptep_modify_prot_commit(c, space_va(6), space_pte(6), old, 0);
	expect_bug("commit without its start");
	old = pvb_pte_advance(old, 5);
	assert_int_equal(pvb_modify_prot_commit_ptes(c, space_va(5), space_pte(5), old,
						     pvb_pte_wrprotect(old), 3, 0),
			 0);
	pvb_mm_debug_idle(c);
	assert_int_equal(space.bugs, 0);
	/* Too many */
	for (uint32_t i = 0; i < PVB_OPEN_MAX; i++)
		pvb_ptep_modify_prot_start(c, space_va(i), space_pte(i));
	pvb_ptep_modify_prot_start(c, space_va(20), space_pte(20));
	expect_bug("too many open transactions");
	space_unlock(0);
	assert_int_equal(*space_pte(3),
			 pvb_pte_make(space.memory + 3, pvb_prot(PVB_PROT_READ)) | (old & 0));
	assert_true(pvb_pte_write(*space_pte(20)));
}

/* folio_pte_batch: where it ends, and what may differ. */
static void batches_end(void **state)
{
	struct pvb_folio folio = { .pfn = space.memory + 16, .nr = 32 };
	struct pvb_cpu *c = space_cpu();
	uint64_t *ptep = space_pte(16);

	(void)state;
	fill(16, 64, RW);
	assert_int_equal(pvb_folio_pte_batch(c, &folio, ptep, *ptep, 64, 0), 32);
	assert_int_equal(pvb_folio_pte_batch(c, &folio, ptep, *ptep, 7, 0), 7);
	assert_int_equal(pvb_folio_pte_batch(c, &folio, ptep + 30, ptep[30], 64, 0), 2);
	/* A page of another folio */
	assert_int_equal(pvb_folio_pte_batch(c, &folio, ptep + 40, ptep[40], 64, 0), 1);
	ptep[3] = pvb_pte_mkyoung(ptep[3]);
	ptep[5] = pvb_pte_mkdirty(ptep[5]);
	ptep[8] = pvb_pte_mksoft_dirty(ptep[8]);
	ptep[11] = pvb_pte_wrprotect(ptep[11]);
	ptep[14] = pvb_pte_mkuffd_wp(ptep[14]);
	assert_int_equal(pvb_folio_pte_batch(c, &folio, ptep, *ptep, 64, 0), 5);
	assert_int_equal(pvb_folio_pte_batch(c, &folio, ptep, *ptep, 64, PVB_FPB_IGNORE_DIRTY), 8);
	assert_int_equal(pvb_folio_pte_batch(c, &folio, ptep, *ptep, 64,
					     PVB_FPB_IGNORE_DIRTY | PVB_FPB_IGNORE_SOFT_DIRTY),
			 11);
	assert_int_equal(pvb_folio_pte_batch(c, &folio, ptep, *ptep, 64,
					     PVB_FPB_IGNORE_DIRTY | PVB_FPB_IGNORE_SOFT_DIRTY |
						     PVB_FPB_IGNORE_WRITE),
			 14);
	/* The next page is not the next page. */
	fill(16, 64, RW);
	ptep[6] = ptep[7];
	assert_int_equal(pvb_folio_pte_batch(c, &folio, ptep, *ptep, 64, 7), 6);
	ptep[6] = 0;
	assert_int_equal(pvb_folio_pte_batch(c, &folio, ptep, *ptep, 64, 7), 6);
}

/* The entry of level 2 above table @i. */
static uint64_t *pmd_of(uint32_t i)
{
	uint64_t *level = pvb_inproc_ptr(space.machine.host, space.mm.root, 4096, true);

	for (unsigned int n = 4; n > 2; n--) {
		uint64_t pte = level[pvb_pte_index(space_va(i * PVB_PTES_PER_TABLE), n)];

		level = pvb_inproc_ptr(space.machine.host, pvb_gpa(pte & PVB_PTE_PFN_MASK), 4096,
				       true);
	}
	return level + pvb_pte_index(space_va(i * PVB_PTES_PER_TABLE), 2);
}

static uint64_t huge(uint32_t i, unsigned int prot)
{
	uint64_t pte = pvb_pte_make(space.memory + i * PVB_PTES_PER_TABLE, pvb_prot(prot));

	return *pmd_of(i) = pvb_pte_mkleaf(pvb_pte_mkyoung(pte));
}

/* A huge entry changes as a whole, with its A and D, and without being split. */
static void huge_entry_changes(void **state)
{
	uint64_t pmd;

	(void)state;
	huge(1, RW);
	assert_true(space_access(1, 600, true));
	assert_int_equal(protect(500, 600, PVB_PROT_READ, 0), PVB_PTES_PER_TABLE);
	pmd = *pmd_of(1);
	assert_true(pvb_pte_leaf(pmd) && pvb_pte_dirty(pmd) && pvb_pte_young(pmd));
	assert_false(pvb_pte_write(pmd));
	assert_false(space_access(1, 600, true));
	assert_true(space_access(1, 600, false));
	/* NUMA hinting: not accessible, once. The folio of page 512 is not skipped. */
	if (!space_is_numa_skipped(space.memory + 512)) {
		assert_int_equal(protect(512, 512, 0, PVB_CP_PROT_NUMA), PVB_PTES_PER_TABLE);
		assert_int_equal(protect(512, 512, 0, PVB_CP_PROT_NUMA), 0);
		assert_true(pvb_pte_protnone(*pmd_of(1)) && pvb_pte_leaf(*pmd_of(1)));
	}
	assert_int_equal(protect(512, 512, RW, PVB_CP_UFFD_WP_RESOLVE), PVB_PTES_PER_TABLE);
	assert_true(space_access(1, 600, true));
}

/* Hardware writes between start and commit of a huge entry. */
static void huge_entry_keeps_the_law(void **state)
{
	uint64_t old = huge(1, RW);

	(void)state;
	assert_true(space_access(1, 700, true));
	assert_true(pvb_change_huge_pmd(pmd_of(1), old, pvb_pte_wrprotect(old)));
	assert_true(pvb_pte_dirty(*pmd_of(1)) && !pvb_pte_write(*pmd_of(1)));
	/* Anything else that moved is a conflict. */
	old = *pmd_of(1);
	*pmd_of(1) = pvb_pte_mksoft_dirty(old);
	assert_false(pvb_change_huge_pmd(pmd_of(1), old, pvb_pte_mkwrite(old)));
	assert_int_equal(*pmd_of(1), pvb_pte_mksoft_dirty(old));
}

/* A part of one: split, each small entry with the permissions, A and D it had. */
static void huge_entry_splits(void **state)
{
	uint64_t *table;

	(void)state;
	huge(2, RW);
	assert_true(space_access(1, 1030, true));
	assert_int_equal(protect(1100, 10, PVB_PROT_READ, 0), 10);
	assert_false(pvb_pte_leaf(*pmd_of(2)));
	table = pvb_inproc_ptr(space.machine.host, pvb_gpa(*pmd_of(2) & PVB_PTE_PFN_MASK), 4096,
			       true);
	for (uint32_t i = 0; i < PVB_PTES_PER_TABLE; i++) {
		bool inside = i >= 1100 - 1024 && i < 1110 - 1024;

		assert_int_equal(pvb_pte_pfn(table[i]), space.memory + 1024 + i);
		assert_true(pvb_pte_dirty(table[i]) && pvb_pte_young(table[i]));
		assert_int_equal(pvb_pte_write(table[i]), !inside);
		assert_int_equal(space_access(1, 1024 + i, true), !inside);
	}
	/* No table to be had: what is before it is done, it is left. */
	fill(1000, 24, RW);
	huge(2, RW);
	space.no_tables = true;
	assert_int_equal(protect(1000, 100, PVB_PROT_READ, 0), -PVB_ENOMEM);
	assert_false(pvb_pte_write(*space_pte(1023)));
	assert_true(pvb_pte_write(*pmd_of(2)) && pvb_pte_leaf(*pmd_of(2)));
	space.ops.alloc_table = NULL;
	assert_int_equal(protect(1000, 100, PVB_PROT_READ, 0), -PVB_EOPNOTSUPP);
}

/* Cleaning refuses a dirty huge entry, or splits it; a clean one is nothing to it. */
static void huge_entry_and_cleaning(void **state)
{
	uint64_t bits[SPACE_PAGES / 64] = { 0 };
	struct pvb_dirty_bitmap bitmap = { .bits = SPACE_PAGES, .map = bits };
	struct pvb_touched touched;

	(void)state;
	fill(500, 12, RW);
	*space_pte(505) = pvb_pte_mkdirty(*space_pte(505));
	huge(1, RW);
	assert_int_equal(pvb_clean_record_range(&space.vma, space_va(500), space_va(700),
						PVB_HUGE_REFUSE, &bitmap, &touched),
			 0);
	assert_int_equal(touched.total, 1);
	assert_true(space_access(1, 515, true));
	*space_pte(505) = pvb_pte_mkdirty(*space_pte(505));
	assert_int_equal(pvb_clean_record_range(&space.vma, space_va(500), space_va(700),
						PVB_HUGE_REFUSE, &bitmap, &touched),
			 -PVB_EOPNOTSUPP);
	assert_int_equal(touched.total, 1); /* 505: done before */
	assert_int_equal(bitmap.first, 505);
	assert_int_equal(bitmap.last, 506);
	assert_int_equal(pvb_clean_record_range(&space.vma, space_va(500), space_va(700),
						PVB_HUGE_SPLIT, &bitmap, &touched),
			 0);
	assert_int_equal(touched.total, 700 - 512);
	assert_int_equal(touched.start, space_va(512));
	assert_int_equal(touched.end, space_va(700));
	/* Writable: the same for write protection. */
	huge(3, PVB_PROT_READ);
	assert_int_equal(pvb_wrprotect_range(&space.vma, space_va(1536), space_va(1540),
					     PVB_HUGE_REFUSE, &touched),
			 0);
	huge(3, RW);
	assert_int_equal(pvb_wrprotect_range(&space.vma, space_va(1536), space_va(1540),
					     PVB_HUGE_REFUSE, &touched),
			 -PVB_EOPNOTSUPP);
	assert_int_equal(pvb_wrprotect_range(&space.vma, space_va(1536), space_va(1540),
					     PVB_HUGE_SPLIT, &touched),
			 0);
	assert_int_equal(touched.total, 4);
	assert_false(space_access(1, 1539, true));
	assert_true(space_access(1, 1540, true));
}

/* Entries larger than level 2 are refused, whatever is wanted. */
static void gigantic_entries_are_refused(void **state)
{
	uint64_t *root = pvb_inproc_ptr(space.machine.host, space.mm.root, 4096, true);
	uint64_t *level3 = pvb_inproc_ptr(
		space.machine.host, pvb_gpa(root[pvb_pte_index(SPACE_BASE, 4)] & PVB_PTE_PFN_MASK),
		4096, true);
	uint64_t *pud = &level3[pvb_pte_index(SPACE_BASE, 3)];
	uint64_t pte = pvb_pte_mkleaf(pvb_pte_make(space.memory, pvb_prot(RW)));

	(void)state;
	*pud = pte;
	assert_int_equal(protect(0, 16, 0, 0), -PVB_EOPNOTSUPP);
	assert_int_equal(*pud, pte);
}

/* Markers where there is not even a table. */
static void markers_make_tables(void **state)
{
	uint64_t *pmd = pmd_of(1);

	(void)state;
	space.vma.flags = PVB_VM_UFFD_MARKERS;
	*pmd = 0;
	assert_int_equal(protect(510, 6, RW, PVB_CP_UFFD_WP), 6);
	assert_true(pvb_pte_present(*pmd) && !pvb_pte_leaf(*pmd));
	assert_int_equal(*space_pte(511), pvb_swp_make(PVB_SWP_MARKER, PVB_MARKER_UFFD_WP));
	assert_int_equal(protect(510, 6, RW, PVB_CP_UFFD_WP_RESOLVE), 6);
	assert_int_equal(*space_pte(511), 0);
	/* Without memory nothing can be marked there; without the flag nothing is made. */
	*pmd = 0;
	space.no_tables = true;
	assert_int_equal(protect(510, 6, RW, PVB_CP_UFFD_WP), 2);
	assert_int_equal(*pmd, 0);
	space.no_tables = false;
	assert_int_equal(protect(512, 6, PVB_PROT_READ, 0), 0);
	assert_int_equal(*pmd, 0);
}

/* The bitmap counts pages of what is mapped, from its own first one on. */
static void bitmap_offsets(void **state)
{
	uint64_t bits[2] = { 0 };
	struct pvb_dirty_bitmap bitmap = { .pgoff = 1000, .bits = 128, .map = bits };
	struct pvb_touched touched;

	(void)state;
	space.vma.pgoff = 990;
	fill(0, 40, RW);
	for (uint32_t i = 10; i < 40; i += 7)
		*space_pte(i) = pvb_pte_mkdirty(*space_pte(i));
	assert_int_equal(pvb_clean_record_range(&space.vma, space_va(10), space_va(138),
						PVB_HUGE_REFUSE, &bitmap, &touched),
			 0);
	assert_int_equal(bits[0], 1ULL << 0 | 1ULL << 7 | 1ULL << 14 | 1ULL << 21 | 1ULL << 28);
	assert_int_equal(bitmap.first, 0);
	assert_int_equal(bitmap.last, 29);
	assert_int_equal(touched.total, 5);
	assert_int_equal(touched.start, space_va(10));
	assert_int_equal(touched.end, space_va(39));
}

/* A walk ends where its callback says so, and what was gathered is flushed. */
static int stop_at_second(struct pvb_walk *walk, uint64_t *ptep, uint64_t addr, uint32_t nr)
{
	(void)nr;
	pvb_wrprotect_ptes(walk->c, addr, ptep, 1);
	pvb_walk_flush(walk, addr, addr + PVB_PAGE_SIZE);
	return addr == space_va(512) ? -7 : 0;
}

static void walks_end(void **state)
{
	struct pvb_walk walk = { .vma = &space.vma, .ptes = stop_at_second };

	(void)state;
	fill(0, SPACE_PAGES, RW);
	for (uint32_t i = 0; i < SPACE_PAGES; i += 512)
		assert_true(space_access(1, i, true));
	assert_int_equal(pvb_walk_range(&walk, space_va(0), space_va(SPACE_PAGES)), -7);
	assert_false(space_access(1, 0, true));
	assert_false(space_access(1, 512, true));
	assert_true(space_access(1, 1024, true));
}

#if PVB_LEVELS_MAX >= 5
/* One level more above the tables, where the format has it. */
static void five_levels(void **state)
{
	pvb_gpa_t top = pvb_inproc_alloc(space.machine.host, 1);
	uint64_t *level5 = pvb_inproc_ptr(space.machine.host, top, 4096, true);

	(void)state;
	level5[pvb_pte_index(SPACE_BASE, 5)] = pvb_pte_of_table(pvb_gpa_raw(space.mm.root));
	space.mm.root = top;
	space.mm.levels = 5;
	fill(0, SPACE_PAGES, RW);
	assert_int_equal(protect(3, SPACE_PAGES - 3, PVB_PROT_READ, 0), SPACE_PAGES - 3);
	assert_true(pvb_pte_write(*space_pte(2)));
	assert_false(pvb_pte_write(*space_pte(3)));
	assert_false(pvb_pte_write(*space_pte(SPACE_PAGES - 1)));
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(split_locks_one_call_a_table, setup, teardown),
		cmocka_unit_test_setup_teardown(one_lock_one_call, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_applies_one_call, setup, teardown),
		cmocka_unit_test_setup_teardown(what_needs_no_flush, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_ranges, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(transaction_rules, setup, teardown_bugs),
		cmocka_unit_test_setup_teardown(batches_end, setup, teardown),
		cmocka_unit_test_setup_teardown(huge_entry_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(huge_entry_keeps_the_law, setup, teardown),
		cmocka_unit_test_setup_teardown(huge_entry_splits, setup, teardown),
		cmocka_unit_test_setup_teardown(huge_entry_and_cleaning, setup, teardown),
		cmocka_unit_test_setup_teardown(gigantic_entries_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(markers_make_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(bitmap_offsets, setup, teardown),
		cmocka_unit_test_setup_teardown(walks_end, setup, teardown),
#if PVB_LEVELS_MAX >= 5
		cmocka_unit_test_setup_teardown(five_levels, setup, teardown),
#endif
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
