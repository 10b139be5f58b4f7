// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of guest/core - queue and coalescing: which entries a stream of
 * operations becomes, and that nothing changes before its time (laws 2 and 3).
 */
#include "core_rig.h"

static int setup(void **state)
{
	(void)state;
	rig_open(PVB_MODE_HOST_APPLY);
	pvb_lazy_enter(&rig.c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close();
	return 0;
}

static void expect_entry(uint32_t index, enum pvb_op op, unsigned int table, unsigned int slot,
			 uint32_t nr, uint64_t old, uint64_t new)
{
	const struct pvb_entry *entry = &rig.entries[index];

	assert_int_equal(entry->op, op);
	assert_int_equal(entry->pte_gpa, rig_pte_gpa(table, slot));
	assert_int_equal(entry->nr, nr);
	assert_int_equal(entry->old, old);
	assert_int_equal(entry->new, new);
}

/* A loop over a whole table of ordinary commits becomes one entry. */
static void loop_becomes_range(void **state)
{
	(void)state;
	rig_fill(0, 0, 512, PFN(0x1000) | RW);
	for (unsigned int i = 0; i < 512; i++)
		rig_modify(rig_pte(0, i), PVB_PTE_W, 0);
	assert_int_equal(rig.submits, 0);
	assert_int_equal(*rig_pte(0, 0), PFN(0x1000) | RW);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.submits, 1);
	assert_int_equal(rig.hdr.nr, 1);
	expect_entry(0, PVB_OP_COMMIT, 0, 0, 512, PFN(0x1000) | RW, PFN(0x1000) | RO);
	for (unsigned int i = 0; i < 512; i++)
		assert_int_equal(*rig_pte(0, i), PFN(0x1000 + i) | RO);
	assert_int_equal(rig_stats().coalesced, 511);
	assert_int_equal(rig_stats().applied, 512);
}

/* The next table is another entry, even if its slots follow in memory. */
static void table_end_ends_range(void **state)
{
	(void)state;
	rig_fill(0, 510, 4, PFN(0x1000) | RW);
	for (unsigned int i = 510; i < 514; i++)
		rig_modify(rig_pte(0, i), PVB_PTE_W, 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.hdr.nr, 2);
	expect_entry(0, PVB_OP_COMMIT, 0, 510, 2, PFN(0x1000) | RW, PFN(0x1000) | RO);
	expect_entry(1, PVB_OP_COMMIT, 1, 0, 2, PFN(0x1002) | RW, PFN(0x1002) | RO);
}

/* Another change, another PFN, a hole in the slots: each is its own entry. */
static void what_differs_is_not_merged(void **state)
{
	(void)state;
	rig_fill(0, 0, 16, PFN(0x1000) | RW);
	rig_modify(rig_pte(0, 0), PVB_PTE_W, 0);
	rig_modify(rig_pte(0, 1), PVB_PTE_U, 0); /* another change */
	*rig_pte(0, 2) = PFN(0x2000) | RW;
	rig_modify(rig_pte(0, 2), PVB_PTE_U, 0); /* another PFN */
	rig_modify(rig_pte(0, 4), PVB_PTE_U, 0); /* a hole */
	rig_modify(rig_pte(0, 3), PVB_PTE_U, 0); /* backwards */
	*rig_pte(0, 5) |= PVB_PTE_G;
	rig_modify(rig_pte(0, 5), PVB_PTE_U, 0); /* after entry 4, but another old */
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.hdr.nr, 6);
	assert_int_equal(rig_stats().coalesced, 0);
	assert_int_equal(*rig_pte(0, 0), PFN(0x1000) | RO);
	assert_int_equal(*rig_pte(0, 2), PFN(0x2000) | (RW & ~PVB_PTE_U));
	assert_int_equal(*rig_pte(0, 5), PFN(0x1005) | (RW & ~PVB_PTE_U) | PVB_PTE_G);
}

/* Pages differ in A and D and the caller leaves them alone: one entry, each keeps its own. */
static void mixed_ad_is_merged_exactly(void **state)
{
	static const uint64_t ad[4] = { PVB_PTE_A | PVB_PTE_D, PVB_PTE_A, 0, PVB_PTE_D };

	(void)state;
	for (unsigned int i = 0; i < 64; i++)
		*rig_pte(0, i) = PFN(0x1000 + i) | RW | ad[i % 4];
	for (unsigned int i = 0; i < 64; i++)
		rig_modify(rig_pte(0, i), PVB_PTE_W, 0);
	*rig_pte(0, 2) |= PVB_PTE_D; /* the walker, meanwhile */
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.hdr.nr, 1);
	expect_entry(0, PVB_OP_COMMIT, 0, 0, 64, PFN(0x1000) | RW, PFN(0x1000) | RO);
	for (unsigned int i = 0; i < 64; i++)
		assert_int_equal(*rig_pte(0, i),
				 PFN(0x1000 + i) | RO | ad[i % 4] | (i == 2 ? PVB_PTE_D : 0));
}

/* What all pages have in common stays in the template: it was not carried. */
static void common_ad_stays_in_template(void **state)
{
	(void)state;
	rig_fill(0, 0, 8, PFN(0x1000) | RW | PVB_PTE_A);
	*rig_pte(0, 3) |= PVB_PTE_D;
	for (unsigned int i = 0; i < 8; i++)
		rig_modify(rig_pte(0, i), PVB_PTE_W, 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.hdr.nr, 1);
	expect_entry(0, PVB_OP_COMMIT, 0, 0, 8, PFN(0x1000) | RW | PVB_PTE_A,
		     PFN(0x1000) | RO | PVB_PTE_A);
	assert_int_equal(*rig_pte(0, 3), PFN(0x1003) | RO | PVB_PTE_A | PVB_PTE_D);
	assert_int_equal(*rig_pte(0, 4), PFN(0x1004) | RO | PVB_PTE_A);
}

/* Clearing D on purpose is a change of its own: clean pages are not merged with it. */
static void cleaning_is_not_merged_with_keeping(void **state)
{
	(void)state;
	rig_fill(0, 0, 4, PFN(0x1000) | RW | PVB_PTE_D);
	*rig_pte(0, 2) &= ~PVB_PTE_D;
	for (unsigned int i = 0; i < 4; i++)
		rig_modify(rig_pte(0, i), PVB_PTE_D, 0);
	*rig_pte(0, 2) |= PVB_PTE_D; /* the walker: this page got dirty after start */
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.hdr.nr, 3);
	assert_int_equal(*rig_pte(0, 1), PFN(0x1001) | RW);
	assert_int_equal(*rig_pte(0, 2), PFN(0x1002) | RW | PVB_PTE_D);
	assert_int_equal(*rig_pte(0, 3), PFN(0x1003) | RW);
}

/* Runs merge with runs and with single commits, by the same rule. */
static void runs_are_merged(void **state)
{
	uint64_t old;

	(void)state;
	rig_fill(0, 0, 64, PFN(0x1000) | RW);
	old = pvb_start_ptes(rig_pte(0, 0), 16);
	assert_int_equal(pvb_commit_ptes(&rig.c, rig_pte(0, 0), old, old & ~PVB_PTE_W, 16), 0);
	old = pvb_start_ptes(rig_pte(0, 16), 16);
	assert_int_equal(pvb_commit_ptes(&rig.c, rig_pte(0, 16), old, old & ~PVB_PTE_W, 16), 0);
	for (unsigned int i = 32; i < 40; i++)
		rig_modify(rig_pte(0, i), PVB_PTE_W, 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.hdr.nr, 1);
	expect_entry(0, PVB_OP_COMMIT, 0, 0, 40, PFN(0x1000) | RW, PFN(0x1000) | RO);
	assert_int_equal(rig_stats().ops, 10);
}

/*
 * A run's template stands for all of its pages (law 2): A and D that it carries are not
 * dropped because the next page has none.
 */
static void folded_ad_of_a_run_is_kept(void **state)
{
	uint64_t old;

	(void)state;
	rig_fill(0, 0, 8, PFN(0x1000) | RW);
	*rig_pte(0, 3) |= PVB_PTE_D;
	old = pvb_start_ptes(rig_pte(0, 0), 4);
	assert_int_equal(old, PFN(0x1000) | RW | PVB_PTE_D);
	assert_int_equal(pvb_commit_ptes(&rig.c, rig_pte(0, 0), old, old & ~PVB_PTE_W, 4), 0);
	rig_modify(rig_pte(0, 4), PVB_PTE_W, 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.hdr.nr, 2);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(*rig_pte(0, i), PFN(0x1000 + i) | RO | PVB_PTE_D);
	assert_int_equal(*rig_pte(0, 4), PFN(0x1004) | RO);
}

/* A change of PFN merges as long as both PFNs advance. */
static void new_pfn_is_merged(void **state)
{
	(void)state;
	rig_fill(0, 0, 8, PFN(0x1000) | RO);
	for (unsigned int i = 0; i < 8; i++)
		pvb_commit(&rig.c, rig_pte(0, i), pvb_start(rig_pte(0, i)), PFN(0x7000 + i) | RW);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.hdr.nr, 1);
	expect_entry(0, PVB_OP_COMMIT, 0, 0, 8, PFN(0x1000) | RO, PFN(0x7000) | RW);
}

/* Soft bits may differ inside a run and stay as they are. */
static void soft_bits_stay(void **state)
{
	uint64_t old;

	(void)state;
	rig_fill(0, 0, 8, PFN(0x1000) | RW);
	*rig_pte(0, 5) |= PVB_PTE_SOFT2;
	old = pvb_start_ptes(rig_pte(0, 0), 8);
	assert_int_equal(
		pvb_commit_run(&rig.c, rig_pte(0, 0), old, old & ~PVB_PTE_W, 8, PVB_ENT_SOFT2), 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.conflicts, 0);
	assert_int_equal(*rig_pte(0, 4), PFN(0x1004) | RO);
	assert_int_equal(*rig_pte(0, 5), PFN(0x1005) | RO | PVB_PTE_SOFT2);
}

/* Stores: advancing, or all the same. */
static void stores_are_merged(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 32; i++)
		pvb_set(&rig.c, rig_pte(0, i), PFN(0x1000 + i) | RW);
	rig_fill(1, 0, 32, PFN(0x2000) | RW);
	for (unsigned int i = 0; i < 32; i++)
		pvb_set(&rig.c, rig_pte(1, i), 0);
	assert_int_equal(pvb_set_ptes(&rig.c, rig_pte(1, 32), 0, 8, PVB_ENT_FIXED), 0);
	assert_int_equal(pvb_set_ptes(&rig.c, rig_pte(1, 40), PFN(0x3000) | RO, 8, 0), 0);
	pvb_set(&rig.c, rig_pte(1, 48), PFN(0x3000) | RO); /* the same again: not the next */
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.hdr.nr, 4);
	expect_entry(0, PVB_OP_SET, 0, 0, 32, 0, PFN(0x1000) | RW);
	assert_int_equal(rig.entries[0].flags, 0);
	expect_entry(1, PVB_OP_SET, 1, 0, 40, 0, 0);
	assert_int_equal(rig.entries[1].flags, PVB_ENT_FIXED);
	expect_entry(2, PVB_OP_SET, 1, 40, 8, 0, PFN(0x3000) | RO);
	assert_int_equal(*rig_pte(0, 31), PFN(0x101f) | RW);
	assert_int_equal(*rig_pte(1, 39), 0);
	assert_int_equal(*rig_pte(1, 47), PFN(0x3007) | RO);
}

/* Masks merge by slot alone. */
static void masks_are_merged(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 16; i++)
		*rig_pte(0, i) = PFN(0x1000 + 7 * i) | RW | PVB_PTE_D;
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, i), PVB_PTE_W, 0, 1), 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.hdr.nr, 1);
	expect_entry(0, PVB_OP_MASK, 0, 0, 16, PVB_PTE_W, 0);
	assert_int_equal(*rig_pte(0, 15), PFN(0x1000 + 7 * 15) | RO | PVB_PTE_D);
}

/* Every operation its own entry, for benchmarks. */
static void coalescing_can_be_switched_off(void **state)
{
	(void)state;
	rig.c.coalesce = false;
	rig_fill(0, 0, 8, PFN(0x1000) | RW);
	for (unsigned int i = 0; i < 8; i++)
		rig_modify(rig_pte(0, i), PVB_PTE_W, 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.hdr.nr, 8);
}

/* A full queue degrades to a synchronous call; nothing is dropped (law 6). */
static void full_queue_is_submitted(void **state)
{
	uint32_t capacity = rig.c.capacity;

	(void)state;
	assert_int_equal(capacity, 126);
	rig_fill(0, 0, 512, PFN(0x1000) | RW);
	for (unsigned int i = 0; i < 512; i += 2)
		rig_modify(rig_pte(0, i), PVB_PTE_W, 0);
	assert_int_equal(rig.submits, 2);
	assert_int_equal(rig.hdr.nr, capacity);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.submits, 3);
	assert_int_equal(rig.hdr.nr, 256 - 2 * capacity);
	for (unsigned int i = 0; i < 512; i++)
		assert_int_equal(*rig_pte(0, i), PFN(0x1000 + i) | (i % 2 ? RW : RO));
	assert_int_equal(rig_stats().reasons[PVB_REASON_FULL], 2);
}

/* limit makes smaller batches; 1 is one call per entry. */
static void limit_bounds_the_batch(void **state)
{
	(void)state;
	rig.c.limit = 1;
	rig.c.coalesce = false;
	rig_fill(0, 0, 8, PFN(0x1000) | RW);
	for (unsigned int i = 0; i < 8; i++)
		rig_modify(rig_pte(0, i), PVB_PTE_W, 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.submits, 8);
	assert_int_equal(rig_stats().hist[0], 8);
}

/* An entry is read again through the library: the queue goes first (law 3). */
static void read_of_queued_entry_drains(void **state)
{
	(void)state;
	rig_fill(0, 0, 64, PFN(0x1000) | RW);
	for (unsigned int i = 8; i < 16; i++)
		rig_modify(rig_pte(0, i), PVB_PTE_W, 0);
	rig_modify(rig_pte(0, 32), PVB_PTE_W, 0);
	/* Not queued: no call. */
	assert_int_equal(pvb_read(&rig.c, rig_pte(0, 7)), PFN(0x1007) | RW);
	assert_int_equal(pvb_read(&rig.c, rig_pte(0, 16)), PFN(0x1010) | RW);
	assert_int_equal(pvb_read(&rig.c, rig_pte(0, 33)), PFN(0x1021) | RW);
	assert_int_equal(rig.submits, 0);
	assert_int_equal(pvb_read(&rig.c, rig_pte(0, 12)), PFN(0x100c) | RO);
	assert_int_equal(rig.submits, 1);
	/* And while the run is being extended. */
	rig_modify(rig_pte(0, 40), PVB_PTE_W, 0);
	rig_modify(rig_pte(0, 41), PVB_PTE_W, 0);
	assert_int_equal(pvb_read(&rig.c, rig_pte(0, 41)), PFN(0x1029) | RO);
	assert_int_equal(rig.submits, 2);
	/* The first and the last of a run are in it. */
	for (unsigned int i = 50; i < 60; i += 5) {
		for (unsigned int j = 0; j < 4; j++)
			rig_modify(rig_pte(0, i + j), PVB_PTE_W, 0);
		assert_int_equal(pvb_read(&rig.c, rig_pte(0, i == 50 ? 50 : 58)),
				 PFN(i == 50 ? 0x1032 : 0x103a) | RO);
	}
	assert_int_equal(rig.submits, 4);
	assert_int_equal(rig_stats().reasons[PVB_REASON_FLUSH], 4);
}

/* Runs that are empty, too long, misaligned, leave their table or the PFN field. */
static void bad_runs_are_refused(void **state)
{
	uint64_t *odd = (uint64_t *)((uintptr_t)rig_pte(0, 3) + 4);
	uint64_t last = PVB_PTE_PFN_MASK | RW;

	(void)state;
	rig_fill(0, 0, 512, PFN(0x1000) | RW);
	assert_int_equal(pvb_commit_ptes(&rig.c, rig_pte(0, 0), RW, RO, 0), -PVB_EINVAL);
	assert_int_equal(pvb_commit_ptes(&rig.c, rig_pte(0, 0), RW, RO, 513), -PVB_EINVAL);
	assert_int_equal(pvb_commit_ptes(&rig.c, rig_pte(0, 500), RW, RO, 13), -PVB_EINVAL);
	assert_int_equal(pvb_commit_ptes(&rig.c, odd, RW, RO, 1), -PVB_EINVAL);
	assert_int_equal(pvb_commit_ptes(&rig.c, rig_pte(0, 0), last, last, 2), -PVB_EINVAL);
	assert_int_equal(pvb_commit_run(&rig.c, rig_pte(0, 0), RW, RO, 1, PVB_ENT_RESULT),
			 -PVB_EINVAL);
	assert_int_equal(pvb_set_ptes(&rig.c, rig_pte(0, 511), 0, 2, 0), -PVB_EINVAL);
	assert_int_equal(pvb_set_ptes(&rig.c, rig_pte(0, 0), last, 2, 0), -PVB_EINVAL);
	assert_int_equal(pvb_set_ptes(&rig.c, rig_pte(0, 0), 0, 1, PVB_ENT_HINT), -PVB_EINVAL);
	assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, 0), PVB_PTE_W, 0, 0), -PVB_EINVAL);
	assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, 0), PFN(1), 0, 1), -PVB_EINVAL);
	assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, 0), 0, PFN(1), 1), -PVB_EINVAL);
	assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, 0), ~0ULL, PVB_PTE_P, 1), -PVB_EINVAL);
	assert_int_equal(pvb_changed(&rig.c, rig_pte(0, 511), 2), -PVB_EINVAL);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.submits, 0);
	for (unsigned int i = 0; i < 512; i++)
		assert_int_equal(*rig_pte(0, i), PFN(0x1000 + i) | RW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(loop_becomes_range, setup, teardown),
		cmocka_unit_test_setup_teardown(table_end_ends_range, setup, teardown),
		cmocka_unit_test_setup_teardown(what_differs_is_not_merged, setup, teardown),
		cmocka_unit_test_setup_teardown(mixed_ad_is_merged_exactly, setup, teardown),
		cmocka_unit_test_setup_teardown(common_ad_stays_in_template, setup, teardown),
		cmocka_unit_test_setup_teardown(cleaning_is_not_merged_with_keeping, setup,
						teardown),
		cmocka_unit_test_setup_teardown(runs_are_merged, setup, teardown),
		cmocka_unit_test_setup_teardown(folded_ad_of_a_run_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(new_pfn_is_merged, setup, teardown),
		cmocka_unit_test_setup_teardown(soft_bits_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(stores_are_merged, setup, teardown),
		cmocka_unit_test_setup_teardown(masks_are_merged, setup, teardown),
		cmocka_unit_test_setup_teardown(coalescing_can_be_switched_off, setup, teardown),
		cmocka_unit_test_setup_teardown(full_queue_is_submitted, setup, teardown),
		cmocka_unit_test_setup_teardown(limit_bounds_the_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(read_of_queued_entry_drains, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_runs_are_refused, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
