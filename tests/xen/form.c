// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, Xen transport - one PTE, every operation, everything that hardware can do
 * and when (docs/xen.md). What is left in the entry and what is reported must be as if the
 * operation had been one exchange at some moment between the reading and the end.
 *
 * The law is stated a second time here, bit by bit, and not taken from merge.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

#define FRAME 0x1234000ULL

static struct rig rig;
static uint64_t late; /* what hardware sets before each request */

struct outcome {
	uint64_t pte;
	bool young;
	bool dirty;
};

/* What one exchange of an entry that is @x leaves behind. */
static struct outcome exchanged(const struct pvb_entry *entry, uint64_t x)
{
	struct outcome out = { .young = x & PVB_PTE_A, .dirty = x & PVB_PTE_D };

	switch (entry->op) {
	case PVB_OP_COMMIT:
		out.pte = entry->new & ~PVB_PTE_AD;
		for (unsigned int bit = 5; bit <= 6; bit++) {
			bool old = entry->old >> bit & 1, new = entry->new >> bit & 1;
			bool now = x >> bit & 1;

			/* Set anyway; or set by hardware since start and not by the guest cleared. */
			if (new || (now && !old))
				out.pte |= 1ULL << bit;
		}
		break;
	case PVB_OP_MASK:
		out.pte = 0;
		for (unsigned int bit = 0; bit < 64; bit++) {
			bool keep = x >> bit & 1 && !(entry->old >> bit & 1);

			if (keep || entry->new >> bit & 1)
				out.pte |= 1ULL << bit;
		}
		break;
	default:
		out.pte = entry->new;
	}
	return out;
}

static void hardware_is_late(struct rig *r, uint64_t *pte)
{
	(void)r;
	rig_hardware(pte, late);
}

static bool same(const struct outcome *a, const struct outcome *b, bool reported)
{
	return a->pte == b->pte && (!reported || (a->young == b->young && a->dirty == b->dirty));
}

static unsigned long cases;

/* @start: the entry at start; @early: set before the call; @late_ad: within it. */
static void one_case(struct pvb_entry entry, uint64_t start, uint64_t early, uint64_t late_ad)
{
	bool reported = entry.flags & PVB_ENT_RESULT;
	struct outcome got, at_once, at_end;
	const uint64_t *bits;
	uint64_t read;

	entry.pte_gpa = rig_pte_gpa(&rig, 7);
	entry.nr = 1;
	entry.result = 512;
	rig.ptes[7] = start;
	rig_hardware(&rig.ptes[7], early);
	read = rig.ptes[7];
	if (entry.op == PVB_OP_MASK && !(read & PVB_PTE_P))
		return; /* PVB_ST_NOTPRESENT: transport.c */

	at_once = exchanged(&entry, read);
	rig_hardware(&at_once.pte, late_ad);
	rig.ptes[8] = read;
	rig_hardware(&rig.ptes[8], late_ad);
	at_end = exchanged(&entry, rig.ptes[8]);

	late = late_ad;
	rig_entries(&rig)[0] = entry;
	rig_submit(&rig, 1, PVB_FLUSH_NONE, 0);
	assert_int_equal(rig_entries(&rig)[0].answer, pvb_answer(PVB_ST_OK, 1));
	/* An entry that needs no request still meets the hardware. */
	rig_hardware(&rig.ptes[7], late_ad);
	rig_hardware(&at_end.pte, late_ad);
	bits = (const uint64_t *)rig.buffer + entry.result;
	got = (struct outcome){ rig.ptes[7], bits[0] & 1, bits[1] & 1 };
	cases++;
	if (!same(&got, &at_once, reported) && !same(&got, &at_end, reported))
		fail_msg("op %u old 0x%lx new 0x%lx: from 0x%lx with late 0x%lx: 0x%lx y%u d%u, "
			 "not 0x%lx y%u d%u nor 0x%lx y%u d%u",
			 entry.op, (unsigned long)entry.old, (unsigned long)entry.new,
			 (unsigned long)read, (unsigned long)late_ad, (unsigned long)got.pte,
			 got.young, got.dirty, (unsigned long)at_once.pte, at_once.young,
			 at_once.dirty, (unsigned long)at_end.pte, at_end.young, at_end.dirty);
}

/* P, W, A and D from four bits. */
static uint64_t flags_of(unsigned int bits)
{
	return (bits & 1 ? PVB_PTE_P : 0) | (bits & 2 ? PVB_PTE_W : 0) |
	       (bits & 4 ? PVB_PTE_A : 0) | (bits & 8 ? PVB_PTE_D : 0);
}

static uint64_t ad_of(unsigned int bits)
{
	return (bits & 1 ? PVB_PTE_A : 0) | (bits & 2 ? PVB_PTE_D : 0);
}

static void with_hardware(const struct pvb_entry *entry, uint64_t start)
{
	for (unsigned int early = 0; early < 4; early++)
		for (unsigned int late_ad = 0; late_ad < 4; late_ad++)
			one_case(*entry, start, ad_of(early), ad_of(late_ad));
}

static void every_commit(void **state)
{
	(void)state;
	for (unsigned int from = 0; from < 16; from++) {
		for (unsigned int to = 0; to < 16; to++) {
			for (unsigned int report = 0; report < 2; report++) {
				struct pvb_entry entry = {
					.op = PVB_OP_COMMIT,
					.old = flags_of(from) | FRAME,
					.new = flags_of(to) | FRAME,
					.flags = report ? PVB_ENT_RESULT : 0,
				};

				with_hardware(&entry, entry.old);
				/* Old as the union over a run (law 2): bits that this entry has not. */
				with_hardware(&entry, entry.old & ~PVB_PTE_A);
				with_hardware(&entry, entry.old & ~PVB_PTE_D);
				with_hardware(&entry, entry.old & ~PVB_PTE_AD);
			}
		}
	}
}

static void every_mask(void **state)
{
	(void)state;
	for (unsigned int from = 0; from < 16; from++) {
		for (unsigned int clear = 0; clear < 16; clear++) {
			for (unsigned int set = 0; set < 16; set++) {
				for (unsigned int report = 0; report < 2; report++) {
					struct pvb_entry entry = {
						.op = PVB_OP_MASK,
						.old = flags_of(clear),
						.new = flags_of(set),
						.flags = report ? PVB_ENT_RESULT : 0,
					};

					with_hardware(&entry, flags_of(from) | FRAME);
					entry.old = ~0ULL; /* get-and-clear */
					entry.new = 0;
					with_hardware(&entry, flags_of(from) | FRAME);
				}
			}
		}
	}
}

static void every_set(void **state)
{
	(void)state;
	for (unsigned int from = 0; from < 16; from++) {
		for (unsigned int to = 0; to < 16; to++) {
			for (unsigned int report = 0; report < 2; report++) {
				struct pvb_entry entry = {
					.op = PVB_OP_SET,
					.new = flags_of(to) | FRAME,
					.flags = report ? PVB_ENT_RESULT : 0,
				};

				with_hardware(&entry, flags_of(from) | FRAME);
			}
		}
	}
}

/* All four forms were taken, and it was as many cases as it should be. */
static void all_forms(void **state)
{
	const struct pvb_xen_stats *stats = &rig.cpu.stats;

	(void)state;
	assert_true(stats->stored > 1000);
	assert_true(stats->preserved > 1000);
	assert_true(stats->frozen > 1000);
	assert_true(stats->unchanged > 1000);
	assert_true(cases > 100000);
}

static int setup(void **state)
{
	(void)state;
	rig_start(&rig, false);
	rig.before = hardware_is_late;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_commit),
		cmocka_unit_test(every_mask),
		cmocka_unit_test(every_set),
		cmocka_unit_test(all_forms),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, NULL);
}
