// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of guest/mm - what neither the model nor the race says: how many calls it
 * takes, what is refused and leaves everything as it was, transaction rules, and batches.
 */
#include "rig.h"

static int teardown_bugs(void **state)
{
	(void)state;
	space_close();
	return 0;
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
		{ space_va(0) - PVB_PAGE_SIZE, space_va(7) },
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
		{ 8, 0, space_va(8), space_pte(8) },
		{ 8, 513, space_va(8), space_pte(8) },
		{ 500, 13, space_va(500), space_pte(500) },
		{ 8, 2, space_va(9), space_pte(8) },
		{ 8, 2, space_va(8) + 8, space_pte(8) },
		{ 8, 2, space_va(8), odd },
		{ 8, 1, space_va(9), space_pte(8) },
		{ 8, 1, space_va(8) + 8, space_pte(8) },
		{ 8, 1, space_va(8), odd },
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
		if (nr != 1) /* a plain read */
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

	/* Another mapping of the same memory, four pages on: one record of both. */
	space.vma.pgoff = 994;
	*space_pte(40) = pvb_pte_mkdirty(pvb_pte_make(space.memory, pvb_prot(RW)));
	assert_int_equal(pvb_clean_record_range(&space.vma, space_va(10), space_va(134),
						PVB_HUGE_REFUSE, &bitmap, &touched),
			 0);
	assert_int_equal(bits[0],
			 1ULL << 0 | 1ULL << 7 | 1ULL << 14 | 1ULL << 21 | 1ULL << 28 | 1ULL << 34);
	assert_int_equal(bitmap.first, 0);
	assert_int_equal(bitmap.last, 35);
	assert_int_equal(touched.total, 1);
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
		cmocka_unit_test_setup_teardown(bitmap_offsets, setup, teardown),
		cmocka_unit_test_setup_teardown(walks_end, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
