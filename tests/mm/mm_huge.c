// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of guest/mm - what is above the leaf tables: huge entries, huge pages that
 * migrate, tables that are missing, a fifth level.
 */
#include "rig.h"

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

/* The entry of level 3 above all tables. */
static uint64_t *pud_of_space(void)
{
	uint64_t *root = pvb_inproc_ptr(space.machine.host, space.mm.root, 4096, true);
	uint64_t pte = root[pvb_pte_index(space_va(0), 4)];
	uint64_t *level3 =
		pvb_inproc_ptr(space.machine.host, pvb_gpa(pte & PVB_PTE_PFN_MASK), 4096, true);

	return &level3[pvb_pte_index(space_va(0), 3)];
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

/* A huge page that migrates: changed as a whole, in part split, and never written by cleaning. */
static void huge_soft_leaves(void **state)
{
	uint64_t first = space.memory + 512, *pud;
	uint64_t leaf = pvb_swp_make(PVB_SWP_MIGRATION_WRITE, first);
	struct pvb_touched touched;
	uint64_t *table;

	(void)state;
	space.anon = true;
	*pmd_of(1) = leaf;
	assert_int_equal(pvb_wrprotect_range(&space.vma, space_va(512), space_va(1024),
					     PVB_HUGE_REFUSE, &touched),
			 0);
	assert_int_equal(*pmd_of(1), leaf);
	assert_int_equal(protect(512, 512, PVB_PROT_READ, 0), PVB_PTES_PER_TABLE);
	leaf = pvb_swp_make(PVB_SWP_MIGRATION_READ_EXCLUSIVE, first);
	assert_int_equal(*pmd_of(1), leaf);
	assert_int_equal(protect(512, 512, PVB_PROT_READ, 0), 0);
	/* In part: as many soft leaves of a page, each with its own offset. */
	leaf = pvb_swp_make(PVB_SWP_MIGRATION_WRITE, first);
	*pmd_of(1) = leaf;
	assert_int_equal(protect(600, 10, PVB_PROT_READ, 0), 10);
	assert_true(pvb_pte_present(*pmd_of(1)) && !pvb_pte_leaf(*pmd_of(1)));
	table = pvb_inproc_ptr(space.machine.host, pvb_gpa(*pmd_of(1) & PVB_PTE_PFN_MASK), 4096,
			       true);
	for (uint32_t i = 0; i < PVB_PTES_PER_TABLE; i++) {
		bool inside = i >= 600 - 512 && i < 610 - 512;

		assert_int_equal(pvb_swp_offset(table[i]), first + i);
		assert_int_equal(pvb_swp_type(table[i]), inside ? PVB_SWP_MIGRATION_READ_EXCLUSIVE :
								  PVB_SWP_MIGRATION_WRITE);
	}
	/* To report writes page by page it is split, too. */
	*pmd_of(1) = leaf;
	assert_int_equal(protect(512, 512, RW, PVB_CP_UFFD_WP), PVB_PTES_PER_TABLE);
	table = pvb_inproc_ptr(space.machine.host, pvb_gpa(*pmd_of(1) & PVB_PTE_PFN_MASK), 4096,
			       true);
	assert_int_equal(table[7], pvb_swp_make(PVB_SWP_MIGRATION_READ_EXCLUSIVE, first + 7) |
					   PVB_SWP_UFFD_WP);
	/* Larger ones are refused, as mapped ones are. */
	pud = pud_of_space();
	*pud = leaf;
	assert_int_equal(protect(0, 16, 0, 0), -PVB_EOPNOTSUPP);
	assert_int_equal(*pud, leaf);
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
	uint64_t *pud = pud_of_space();
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

#if PVB_LEVELS_MAX >= 5
/* One level more above the tables: a range over the end of an entry of the topmost. */
static void five_levels(void **state)
{
	const struct space_config config = { .mode = PVB_MODE_HOST_APPLY,
					     .nr_vcpus = 2,
					     .levels = 5 };
	uint64_t *root;

	(void)state;
	space_close();
	space_open(&config);
	root = pvb_inproc_ptr(space.machine.host, space.mm.root, 4096, true);
	assert_true(pvb_pte_present(root[2]) && pvb_pte_present(root[3]));
	fill(0, SPACE_PAGES, RW);
	assert_true(space_access(1, 3, true) && space_access(1, SPACE_PAGES - 1, true));
	assert_int_equal(protect(3, SPACE_PAGES - 3, PVB_PROT_READ, 0), SPACE_PAGES - 3);
	assert_true(pvb_pte_write(*space_pte(2)));
	for (uint32_t i = 3; i < SPACE_PAGES; i++)
		assert_false(pvb_pte_write(*space_pte(i)));
	assert_false(space_access(1, 3, true) || space_access(1, SPACE_PAGES - 1, true));
	assert_true(pvb_pte_dirty(*space_pte(3)));
	/* What one level of them would not tell apart. */
	space.mm.levels = 4;
	assert_int_equal(protect(2, 1, PVB_PROT_READ, 0), 0);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(huge_entry_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(huge_entry_keeps_the_law, setup, teardown),
		cmocka_unit_test_setup_teardown(huge_entry_splits, setup, teardown),
		cmocka_unit_test_setup_teardown(huge_soft_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(huge_entry_and_cleaning, setup, teardown),
		cmocka_unit_test_setup_teardown(gigantic_entries_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(markers_make_tables, setup, teardown),
#if PVB_LEVELS_MAX >= 5
		cmocka_unit_test_setup_teardown(five_levels, setup, teardown),
#endif
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
