// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of guest/core - young and dirty bits of what is exchanged, the same from
 * every mode, with the flush in the same call (law 4).
 */
#include "core_rig.h"

static int setup(void **state)
{
	(void)state;
	rig_open(PVB_MODE_HOST_APPLY);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close();
	return 0;
}

static bool bit(const uint64_t *map, unsigned int i)
{
	return map[i / 64] >> i % 64 & 1;
}

/* A and D by a rule that fits no word boundary. */
static uint64_t ad_of(unsigned int i)
{
	return (i % 3 ? PVB_PTE_A : 0) | (i % 5 ? 0 : PVB_PTE_D);
}

static void fill(void)
{
	for (unsigned int i = 0; i < 512; i++)
		*rig_pte(0, i) = PFN(0x1000 + i) | RW | ad_of(i);
}

/* Young and dirty of [first, end), nothing else; and the entries cleaned there alone. */
static void expect_map(const struct pvb_ad_map *map, unsigned int first, unsigned int end)
{
	for (unsigned int i = 0; i < 512; i++) {
		bool in = i >= first && i < end;

		assert_int_equal(bit(map->young, i), in && (ad_of(i) & PVB_PTE_A));
		assert_int_equal(bit(map->dirty, i), in && (ad_of(i) & PVB_PTE_D));
		assert_int_equal(*rig_pte(0, i), PFN(0x1000 + i) | RW | (in ? 0 : ad_of(i)));
	}
}

/* Every way to lie across the words of the bitmaps. */
static void bits_are_at_their_slots(void **state)
{
	static const unsigned int runs[][2] = { { 0, 512 },  { 0, 1 },	   { 511, 512 },
						{ 63, 65 },  { 1, 512 },   { 64, 128 },
						{ 60, 130 }, { 448, 512 }, { 447, 511 } };
	static const enum pvb_mode modes[] = { PVB_MODE_HOST_APPLY, PVB_MODE_GUEST_APPLY,
					       PVB_MODE_DIRECT };

	(void)state;
	for (unsigned int m = 0; m < 3; m++) {
		rig_close();
		rig_open(modes[m]);
		for (unsigned int r = 0; r < sizeof(runs) / sizeof(*runs); r++) {
			unsigned int first = runs[r][0], end = runs[r][1];
			struct pvb_ad_map map;

			fill();
			assert_int_equal(pvb_mask_ptes_ad(&rig.c, rig_pte(0, first), PVB_PTE_AD, 0,
							  end - first, &map),
					 0);
			expect_map(&map, first, end);
		}
	}
}

/* Several runs and the flush: one call; what was queued before goes first. */
static void runs_and_flush_are_one_call(void **state)
{
	struct pvb_ad_map map;

	(void)state;
	fill();
	rig_fill(1, 0, 1, PFN(0x5000) | RW);
	pvb_lazy_enter(&rig.c);
	rig_modify(rig_pte(1, 0), PVB_PTE_W, 0);
	pvb_collect_begin(&rig.c, &map);
	for (unsigned int i = 32; i < 96; i++)
		assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, i), PVB_PTE_AD, 0, 1), 0);
	*rig_pte(0, 200) = 0;
	assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, 100), PVB_PTE_AD, 0, 28), 0);
	assert_int_equal(rig.submits, 0);
	pvb_collect_end(&rig.c, PVB_FLUSH_RANGE, 0, pvb_gva(0x20000), 128);
	assert_int_equal(rig.submits, 1);
	assert_int_equal(rig.hdr.nr, 3);
	assert_int_equal(rig.hdr.flush, PVB_FLUSH_RANGE);
	assert_int_equal(rig.entries[1].nr, 64);
	for (unsigned int i = 0; i < 512; i++) {
		bool in = (i >= 32 && i < 96) || (i >= 100 && i < 128);

		assert_int_equal(bit(map.young, i), in && (ad_of(i) & PVB_PTE_A));
		assert_int_equal(bit(map.dirty, i), in && (ad_of(i) & PVB_PTE_D));
	}
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.submits, 1);
	assert_int_equal(*rig_pte(1, 0), PFN(0x5000) | RO);
}

/* More runs than the buffer has room for bitmaps: more calls, the same map. */
static void many_runs_take_several_calls(void **state)
{
	struct pvb_ad_map map;

	(void)state;
	fill();
	pvb_collect_begin(&rig.c, &map);
	for (unsigned int i = 0; i < 512; i += 2)
		assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, i), PVB_PTE_AD, 0, 1), 0);
	pvb_collect_end(&rig.c, PVB_FLUSH_ALL, 0, pvb_gva(0), 0);
	assert_in_range(rig.submits, 3, 16);
	assert_int_equal(rig.host_flushes, 1);
	for (unsigned int i = 0; i < 512; i++) {
		assert_int_equal(bit(map.young, i), !(i % 2) && (ad_of(i) & PVB_PTE_A));
		assert_int_equal(bit(map.dirty, i), !(i % 2) && (ad_of(i) & PVB_PTE_D));
	}
}

/* In pieces: the host only adds to the bitmaps (PARTIAL), the library to the map. */
static void partial_progress_keeps_bits(void **state)
{
	struct pvb_ad_map map;

	(void)state;
	fill();
	rig.work = 37;
	assert_int_equal(pvb_mask_ptes_ad(&rig.c, rig_pte(0, 10), PVB_PTE_AD, 0, 500, &map), 0);
	assert_in_range(rig.submits, 13, 16);
	expect_map(&map, 10, 510);
}

/* Entries that are not present are left, the others are done all the same. */
static void holes_are_left(void **state)
{
	struct pvb_ad_map map;

	(void)state;
	fill();
	*rig_pte(0, 70) = 0xabc000; /* a swap entry, say */
	assert_int_equal(pvb_mask_ptes_ad(&rig.c, rig_pte(0, 60), PVB_PTE_AD, 0, 20, &map), 0);
	assert_int_equal(*rig_pte(0, 70), 0xabc000);
	*rig_pte(0, 70) = PFN(0x1000 + 70) | RW | ad_of(70);
	for (unsigned int i = 60; i < 80; i++) {
		if (i == 70)
			continue;
		assert_int_equal(*rig_pte(0, i), PFN(0x1000 + i) | RW);
		assert_int_equal(bit(map.young, i), !!(ad_of(i) & PVB_PTE_A));
		assert_int_equal(bit(map.dirty, i), !!(ad_of(i) & PVB_PTE_D));
	}
	assert_false(bit(map.young, 70));
	assert_int_equal(rig_stats().untouched, 1);
	assert_int_equal(rig_stats().applied, 10);
	assert_int_equal(rig_stats().fallbacks, 9);
}

/* The host refuses half of a run, or is lost: the bits come from the repair. */
static void repaired_runs_report_too(void **state)
{
	struct pvb_ad_map map;

	(void)state;
	fill();
	rig.refuse.pte = 100;
	rig.refuse.status = PVB_ST_RETRY;
	rig.refuse.times = 1;
	assert_int_equal(pvb_mask_ptes_ad(&rig.c, rig_pte(0, 3), PVB_PTE_AD, 0, 300, &map), 0);
	expect_map(&map, 3, 303);
	fill();
	rig.script[1] = -PVB_ENOSYS;
	rig.script[0] = RIG_NORMAL;
	rig.nr_script = 2;
	assert_int_equal(pvb_mask_ptes_ad(&rig.c, rig_pte(0, 3), PVB_PTE_AD, 0, 300, &map), 0);
	expect_map(&map, 3, 303);
	assert_int_equal(rig.losses, 1);
}

/* A host that reports no bits: exchanged by the guest, after what is queued. */
static void host_without_results(void **state)
{
	struct pvb_ad_map map;

	(void)state;
	rig.g.features &= ~PVB_F_RESULTS;
	fill();
	pvb_lazy_enter(&rig.c);
	assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, 9), 0, PVB_PTE_SOFT0, 1), 0);
	pvb_collect_begin(&rig.c, &map);
	assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, 9), PVB_PTE_AD, 0, 5), 0);
	assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, 500), PVB_PTE_AD, 0, 50), -PVB_EINVAL);
	pvb_collect_end(&rig.c, PVB_FLUSH_ALL, 0, pvb_gva(0), 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(*rig_pte(0, 9), PFN(0x1009) | RW | PVB_PTE_SOFT0);
	*rig_pte(0, 9) &= ~PVB_PTE_SOFT0;
	expect_map(&map, 9, 14);
	assert_int_equal(rig.host_flushes, 1);
	assert_int_equal(rig_stats().fallbacks, 5);
	rig.g.features |= PVB_F_RESULTS;
}

/* The guest applies: bits at once, the runs named, the flush in one call. */
static void guest_applies(void **state)
{
	struct pvb_ad_map map;

	(void)state;
	rig_close();
	rig_open(PVB_MODE_GUEST_APPLY);
	fill();
	pvb_collect_begin(&rig.c, &map);
	assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, 0), PVB_PTE_AD, 0, 64), 0);
	pvb_collect_end(&rig.c, PVB_FLUSH_RANGE, 0, pvb_gva(0), 64);
	expect_map(&map, 0, 64);
	assert_int_equal(rig.submits, 1);
	assert_int_equal(rig.entries[0].op, PVB_OP_CHANGED);
	assert_int_equal(rig.entries[0].flags, 0);
	assert_int_equal(rig_stats().synced, 64);
}

/* What an interrupt does in the meantime is not the collector's. */
static void interrupts_report_nothing(void **state)
{
	struct pvb_ad_map map;

	(void)state;
	fill();
	pvb_collect_begin(&rig.c, &map);
	assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, 0), PVB_PTE_AD, 0, 10), 0);
	rig.interrupt = true;
	*rig_pte(1, 50) = PFN(1) | RW | PVB_PTE_AD;
	assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(1, 50), PVB_PTE_AD, 0, 1), 0);
	rig.interrupt = false;
	pvb_collect_end(&rig.c, PVB_FLUSH_NONE, 0, pvb_gva(0), 0);
	expect_map(&map, 0, 10);
	assert_int_equal(rig_stats().bypassed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bits_are_at_their_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(runs_and_flush_are_one_call, setup, teardown),
		cmocka_unit_test_setup_teardown(many_runs_take_several_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(partial_progress_keeps_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(holes_are_left, setup, teardown),
		cmocka_unit_test_setup_teardown(repaired_runs_report_too, setup, teardown),
		cmocka_unit_test_setup_teardown(host_without_results, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_applies, setup, teardown),
		cmocka_unit_test_setup_teardown(interrupts_report_nothing, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
