// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of the engine, apply: each operation does what abi.h says, on single
 * entries and on runs, and a run stops where it must (laws 1, 2 and 5). The exhaustive
 * truth table is tests/model's; these are the shapes of runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine_rig.h"

#define RW (PVB_PTE_P | PVB_PTE_W | PVB_PTE_U)
#define RO (PVB_PTE_P | PVB_PTE_U)
#define PFN(n) ((uint64_t)(n) << PVB_PAGE_SHIFT)

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, 2, PVB_F_ALL, 16384);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

/* fill() - @nr entries from slot @first on: @flags and PFNs from @pfn up. */
static void fill(uint32_t first, uint32_t nr, uint64_t pfn, uint64_t flags)
{
	uint32_t i;

	for (i = 0; i < nr; i++)
		rig.table[first + i] = PFN(pfn + i) | flags;
}

static void expect(const struct pvb_entry *entry, enum pvb_status status, uint32_t done)
{
	assert_int_equal(pvb_answer_status(entry->answer), status);
	assert_int_equal(pvb_answer_done(entry->answer), done);
}

static void commit_single(void **state)
{
	struct pvb_entry *entry;

	(void)state;
	fill(7, 1, 0x100, RW | PVB_PTE_A | PVB_PTE_D);
	entry = rig_add(&rig, PVB_OP_COMMIT, 7, 1, PFN(0x100) | RW, PFN(0x100) | RO);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	expect(entry, PVB_ST_OK, 1);
	assert_int_equal(rig.table[7], PFN(0x100) | RO | PVB_PTE_A | PVB_PTE_D);
	assert_int_equal(rig.hdr->applied, 1);
	assert_int_equal(rig.hdr->carried, 1);
	assert_int_equal(rig.hdr->done, 1);
	assert_int_equal(rig.table[6], 0);
	assert_int_equal(rig.table[8], 0);
}

/* Law 1: what the guest cleared on purpose stays clear. */
static void commit_clears_on_purpose(void **state)
{
	(void)state;
	fill(0, 1, 0x100, RW | PVB_PTE_A | PVB_PTE_D);
	rig_add(&rig, PVB_OP_COMMIT, 0, 1, PFN(0x100) | RW | PVB_PTE_A | PVB_PTE_D,
		PFN(0x100) | RO);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(rig.table[0], PFN(0x100) | RO);
	assert_int_equal(rig.hdr->carried, 0);
}

/* Law 2: old and new advance in the PFN and in nothing else, over the whole table. */
static void commit_range(void **state)
{
	struct pvb_entry *entry;
	uint32_t i;

	(void)state;
	fill(0, 512, 0x1ff, RW);
	for (i = 0; i < 512; i += 3)
		rig.table[i] |= PVB_PTE_A;
	for (i = 0; i < 512; i += 5)
		rig.table[i] |= PVB_PTE_D;
	entry = rig_add(&rig, PVB_OP_COMMIT, 0, 512, PFN(0x1ff) | RW | PVB_PTE_A, PFN(0x1ff) | RO);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	expect(entry, PVB_ST_OK, 512);
	for (i = 0; i < 512; i++)
		assert_int_equal(rig.table[i], (PFN(0x1ff + i) | RO) + (i % 5 ? 0 : PVB_PTE_D));
	assert_int_equal(rig.hdr->applied, 512);
	assert_int_equal(rig.hdr->carried, 103);
}

/* Law 2: a conflict stops the run there; law 5: the next entry is applied all the same. */
static void commit_conflict_stops_run(void **state)
{
	struct pvb_entry *first, *second;
	uint32_t i;

	(void)state;
	fill(0, 512, 0x100, RW);
	rig.table[100] ^= PVB_PTE_W;
	first = rig_add(&rig, PVB_OP_COMMIT, 0, 200, PFN(0x100) | RW, PFN(0x100) | RO);
	second = rig_add(&rig, PVB_OP_COMMIT, 200, 200, PFN(0x1c8) | RW, PFN(0x1c8) | RO);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	expect(first, PVB_ST_CONFLICT, 100);
	expect(second, PVB_ST_OK, 200);
	for (i = 0; i < 512; i++) {
		bool done = i < 100 || (i >= 200 && i < 400) || i == 100;

		assert_int_equal(rig.table[i], PFN(0x100 + i) | (done ? RO : RW));
	}
	assert_int_equal(rig.hdr->conflicts, 1);
	assert_int_equal(rig.hdr->refused, 0);
	assert_int_equal(rig.hdr->applied, 300);
}

static void commit_soft_bits(void **state)
{
	static const struct {
		uint8_t flag;
		uint64_t bit;
	} soft[] = {
		{ PVB_ENT_SOFT0, 1ULL << 9 },
		{ PVB_ENT_SOFT1, 1ULL << 10 },
		{ PVB_ENT_SOFT2, 1ULL << 11 },
		{ PVB_ENT_SOFT3, 1ULL << 58 },
	};
	struct pvb_entry *entry;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		/* declared soft: it may have moved, and stays as it is */
		rig_batch(&rig);
		rig.table[0] = PFN(5) | RW | soft[i].bit;
		entry = rig_add(&rig, PVB_OP_COMMIT, 0, 1, PFN(5) | RW, PFN(5) | RO);
		entry->flags = soft[i].flag;
		assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
		expect(entry, PVB_ST_OK, 1);
		assert_int_equal(rig.table[0], PFN(5) | RO | soft[i].bit);

		/* not declared, or another one declared: a conflict */
		rig_batch(&rig);
		rig.table[0] = PFN(5) | RW | soft[i].bit;
		entry = rig_add(&rig, PVB_OP_COMMIT, 0, 1, PFN(5) | RW, PFN(5) | RO);
		entry->flags = soft[(i + 1) % 4].flag;
		assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
		expect(entry, PVB_ST_CONFLICT, 0);
		assert_int_equal(rig.table[0], PFN(5) | RW | soft[i].bit);
	}
}

static void set_run(void **state)
{
	struct pvb_entry *entry;
	uint32_t i;

	(void)state;
	fill(10, 20, 0x900, RW | PVB_PTE_D);
	rig_add(&rig, PVB_OP_SET, 10, 10, 0, PFN(0x40) | RO);
	entry = rig_add(&rig, PVB_OP_SET, 20, 10, 0, PFN(0x50) | RO);
	entry->flags = PVB_ENT_FIXED;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	for (i = 0; i < 10; i++) {
		assert_int_equal(rig.table[10 + i], PFN(0x40 + i) | RO);
		assert_int_equal(rig.table[20 + i], PFN(0x50) | RO);
	}
	assert_int_equal(rig.hdr->carried, 0);
	assert_int_equal(rig.hdr->applied, 20);
}

static void mask_run(void **state)
{
	struct pvb_entry *entry;
	uint32_t i;

	(void)state;
	fill(0, 100, 0x300, RW | PVB_PTE_A | PVB_PTE_D);
	rig.table[60] &= ~PVB_PTE_P;
	entry = rig_add(&rig, PVB_OP_MASK, 0, 100, PVB_PTE_W | PVB_PTE_D, PVB_PTE_SOFT1);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	expect(entry, PVB_ST_NOTPRESENT, 60);
	for (i = 0; i < 60; i++)
		assert_int_equal(rig.table[i], PFN(0x300 + i) | RO | PVB_PTE_A | PVB_PTE_SOFT1);
	for (i = 61; i < 100; i++)
		assert_int_equal(rig.table[i], PFN(0x300 + i) | RW | PVB_PTE_A | PVB_PTE_D);
	assert_int_equal(rig.hdr->refused, 1);
}

/* Get-and-clear: the whole entry goes, A and D are reported. */
static void mask_clears_all(void **state)
{
	uint64_t *bitmaps = (uint64_t *)((uint8_t *)rig.hdr + 8192);
	struct pvb_entry *entry;
	uint32_t i;

	(void)state;
	fill(0, 130, 0x300, RW);
	for (i = 0; i < 130; i += 2)
		rig.table[i] |= PVB_PTE_A;
	for (i = 0; i < 130; i += 7)
		rig.table[i] |= PVB_PTE_D;
	memset(bitmaps, 0xff, 64);
	entry = rig_add(&rig, PVB_OP_MASK, 0, 130, ~0ULL, 0);
	entry->flags = PVB_ENT_RESULT;
	entry->result = 8192 / 8;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	expect(entry, PVB_ST_OK, 130);
	for (i = 0; i < 192; i++) {
		assert_int_equal(bitmaps[i / 64] >> i % 64 & 1, i < 130 && !(i % 2));
		assert_int_equal(bitmaps[3 + i / 64] >> i % 64 & 1, i < 130 && !(i % 7));
		assert_int_equal(rig.table[i], 0);
	}
	assert_int_equal(bitmaps[6], ~0ULL); /* nothing behind them is touched */
}

/* SET and COMMIT report what they met, too, up to where they stopped. */
static void results_of_stopped_commit(void **state)
{
	uint64_t *bitmaps = (uint64_t *)((uint8_t *)rig.hdr + 8192);
	struct pvb_entry *entry;

	(void)state;
	fill(0, 128, 0x300, RW | PVB_PTE_A | PVB_PTE_D);
	rig.table[70] ^= PVB_PTE_U;
	entry = rig_add(&rig, PVB_OP_COMMIT, 0, 128, PFN(0x300) | RW, PFN(0x300) | RO);
	entry->flags = PVB_ENT_RESULT;
	entry->result = 8192 / 8;
	entry = rig_add(&rig, PVB_OP_SET, 127, 1, 0, 0);
	entry->flags = PVB_ENT_RESULT;
	entry->result = 8192 / 8 + 4;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	expect(&rig.entries[0], PVB_ST_CONFLICT, 70);
	assert_int_equal(bitmaps[0], ~0ULL);
	assert_int_equal(bitmaps[1], 0x3f);
	assert_int_equal(bitmaps[2], ~0ULL);
	assert_int_equal(bitmaps[3], 0x3f);
	assert_int_equal(bitmaps[4], 1);
	assert_int_equal(bitmaps[5], 1);
	assert_int_equal(rig.table[127], 0);
}

/* CHANGED writes nothing: the guest has. */
static void changed_writes_nothing(void **state)
{
	struct pvb_entry *entry;
	uint32_t i;

	(void)state;
	fill(0, 512, 0x300, RW);
	entry = rig_add(&rig, PVB_OP_CHANGED, 0, 512, 0, 0);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	expect(entry, PVB_ST_OK, 512);
	for (i = 0; i < 512; i++)
		assert_int_equal(rig.table[i], PFN(0x300 + i) | RW);
	assert_int_equal(rig.hdr->applied, 512);
	assert_int_equal(rig.cpu->told, 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(commit_single, setup, teardown),
		cmocka_unit_test_setup_teardown(commit_clears_on_purpose, setup, teardown),
		cmocka_unit_test_setup_teardown(commit_range, setup, teardown),
		cmocka_unit_test_setup_teardown(commit_conflict_stops_run, setup, teardown),
		cmocka_unit_test_setup_teardown(commit_soft_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(set_run, setup, teardown),
		cmocka_unit_test_setup_teardown(mask_run, setup, teardown),
		cmocka_unit_test_setup_teardown(mask_clears_all, setup, teardown),
		cmocka_unit_test_setup_teardown(results_of_stopped_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(changed_writes_nothing, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
