// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, the oracle - every combination of the PTE flags that matter, times the
 * operation, times what hardware and a lying guest did meanwhile and when. The engine's
 * entry, status and result bits must be exactly the oracle's (laws 1 and 2).
 *
 * The flags: P W U A D G NX and one software bit, in old, in new and in memory. What
 * happened between start and commit: any of A and D set, or on top of that one bit
 * changed that hardware never changes, or the frame number. When: before the engine
 * looked, or after it looked and before its exchange. On which path: as one of many
 * single entries, or with results asked for.
 *
 * As model_flags_all it goes through all of them, as model_flags through every seventh.
 */
#include <stdio.h>
#include <string.h>

#include "../unit/engine_rig.h"
#include "hooked_apply.h"
#include "oracle.h"

#define BATCH 64U
#define RESULTS 4096U /* where the bitmaps begin in the buffer */
#define FRAME 0x5a5a5ULL

/* The flags that matter, and what one may change that hardware may not. */
static const unsigned int flag_bits[8] = { 0, 1, 2, 5, 6, 8, 9, 63 };
static const uint64_t lies[] = {
	0,	   1ULL << 0,  1ULL << 1,  1ULL << 2,  1ULL << 8,
	1ULL << 9, 1ULL << 63, 1ULL << 12, 1ULL << 57, 1ULL << 51,
};

#define LIES (sizeof(lies) / sizeof(lies[0]))

struct probe {
	uint64_t before; /* in memory when the engine looks */
	uint64_t after; /* in memory when it exchanges for the first time */
};

static struct rig rig;
static struct probe probes[BATCH];
static bool pending[BATCH]; /* hardware's turn is still to come */
static unsigned long checked, wrong, met, stride;

static void hardware(uint64_t *pte)
{
	size_t slot = (size_t)(pte - rig.table);

	if (pending[slot]) {
		pending[slot] = false;
		*pte = probes[slot].after;
	}
}

static uint64_t flags_of(unsigned int combination)
{
	uint64_t flags = 0;
	unsigned int i;

	for (i = 0; i < 8; i++)
		flags |= (uint64_t)(combination >> i & 1) << flag_bits[i];
	return flags;
}

static void complain(const struct pvb_entry *entry, const struct probe *probe,
		     const struct oracle *expected, uint64_t pte)
{
	if (++wrong > 10)
		return;
	printf("# op %u flags 0x%02x\n#   old      %s\n#   new      %s\n", entry->op, entry->flags,
	       oracle_name(entry->old), oracle_name(entry->new));
	printf("#   memory   %s\n#   then     %s\n", oracle_name(probe->before),
	       oracle_name(probe->after));
	printf("#   expected %s: %s\n", oracle_status(expected->status),
	       oracle_name(expected->pte));
	printf("#   is       %s: %s\n", oracle_status(pvb_answer_status(entry->answer)),
	       oracle_name(pte));
	printf("#   differs  %s\n", oracle_name(pte ^ expected->pte));
}

static void check(uint32_t i, uint32_t *applied, uint32_t *carried)
{
	const uint64_t *bitmaps = (const uint64_t *)((uint8_t *)rig.hdr + RESULTS) + 2ULL * i;
	const struct pvb_entry *entry = &rig.entries[i];
	struct oracle expected = oracle_pte(entry, 0, probes[i].before);
	bool same;

	/* what was wrong at the first look ends it; what changed after it counts */
	if (expected.status == PVB_ST_OK)
		expected = oracle_pte(entry, 0, probes[i].after);
	else
		pending[i] = false;
	same = rig.table[i] == expected.pte && !pending[i] &&
	       entry->answer == pvb_answer(expected.status, expected.status == PVB_ST_OK);
	if (entry->flags & PVB_ENT_RESULT)
		same &= bitmaps[0] == expected.young && bitmaps[1] == expected.dirty;
	if (!same)
		complain(entry, &probes[i], &expected, rig.table[i]);
	*applied += expected.status == PVB_ST_OK;
	*carried += expected.carried_a || expected.carried_d;
	checked++;
}

/* run() - submit what has been collected and compare. */
static void run(void)
{
	uint32_t i, nr = rig.hdr->nr, applied = 0, carried = 0;

	if (!nr)
		return;
	for (i = 0; i < nr; i++) {
		rig.table[i] = probes[i].before;
		pending[i] = probes[i].before != probes[i].after;
	}
	if (rig_submit(&rig) != PVB_SUBMIT_DONE)
		wrong++;
	for (i = 0; i < nr; i++)
		check(i, &applied, &carried);
	if (rig.hdr->applied != applied || rig.hdr->carried != carried) {
		printf("# applied %u carried %u, expected %u and %u\n", rig.hdr->applied,
		       rig.hdr->carried, applied, carried);
		wrong++;
	}
	rig_batch(&rig);
}

/*
 * probe() - collect one. @start: the entry as the guest saw it; @after: what has become of
 * it; @late: after the engine looked.
 */
static void probe(enum pvb_op op, uint8_t flags, uint64_t old, uint64_t new, uint64_t start,
		  uint64_t after, bool late)
{
	uint32_t i = rig.hdr->nr;
	struct pvb_entry *entry;

	if (met++ % stride)
		return;
	entry = rig_add(&rig, op, i, 1, old, new);
	entry->flags = flags;
	if (flags & PVB_ENT_RESULT)
		entry->result = (uint16_t)(RESULTS / 8 + 2 * i);
	probes[i].before = late ? start : after;
	probes[i].after = after;
	if (rig.hdr->nr == BATCH)
		run();
}

/* happened() - @pte after hardware set the A and D in @ad and somebody told a lie. */
static uint64_t happened(uint64_t pte, unsigned int ad, size_t lie)
{
	return (pte | (ad & 1 ? 1ULL << 5 : 0) | (ad & 2 ? 1ULL << 6 : 0)) ^ lies[lie];
}

static void commits(uint8_t flags, bool late)
{
	unsigned int old, new, ad;
	size_t lie;

	for (old = 0; old < 256; old++) {
		for (new = 0; new < 256; new ++) {
			for (ad = 0; ad < 4; ad++) {
				for (lie = 0; lie < LIES; lie++) {
					uint64_t start = FRAME << 12 | flags_of(old);

					probe(PVB_OP_COMMIT, flags, start,
					      (FRAME + new) << 12 | flags_of(new), start,
					      happened(start, ad, lie), late);
				}
			}
		}
	}
	run();
}

/* The four ways to ask for it take turns: each combination of masks meets them all. */
static void masks(void)
{
	unsigned int clear, set, start, turn;

	for (clear = 0; clear < 256; clear++) {
		for (set = 0; set < 256; set++) {
			for (start = 0; start < 256; start++) {
				uint64_t pte = FRAME << 12 | flags_of(start);

				turn = clear + set + start;
				probe(PVB_OP_MASK, turn & 1 ? PVB_ENT_RESULT : 0, flags_of(clear),
				      flags_of(set), pte,
				      happened(pte, turn >> 2 & 3, turn >> 4 & 1 ? 0 : turn % LIES),
				      turn & 2);
			}
		}
	}
	run();
}

static void get_and_clears(void)
{
	unsigned int start, ad, turn;
	size_t lie;

	for (start = 0; start < 256; start++) {
		for (ad = 0; ad < 4; ad++) {
			for (lie = 0; lie < LIES; lie++) {
				for (turn = 0; turn < 4; turn++) {
					uint64_t pte = FRAME << 12 | flags_of(start);

					probe(PVB_OP_MASK, turn & 1 ? PVB_ENT_RESULT : 0, ~0ULL, 0,
					      pte, happened(pte, ad, lie), turn & 2);
				}
			}
		}
	}
	run();
}

static void sets(void)
{
	unsigned int new, start, turn;
	size_t lie;

	for (new = 0; new < 256; new ++) {
		for (start = 0; start < 256; start++) {
			for (lie = 0; lie < LIES; lie++) {
				uint64_t pte = FRAME << 12 | flags_of(start);
				uint8_t flags;

				turn = new + start + (unsigned int)lie;
				flags = (turn & 1 ? PVB_ENT_RESULT : 0) |
					(turn & 2 ? PVB_ENT_FIXED : 0);
				probe(PVB_OP_SET, flags, 0, (FRAME + 7) << 12 | flags_of(new), pte,
				      happened(pte, turn >> 2 & 3, lie), turn & 16);
			}
		}
	}
	run();
}

static unsigned int number;

/* report() - one TAP line; the counters start anew. */
static int report(const char *what)
{
	int failed = wrong != 0;

	printf("%s %u - %s: %lu combinations, %lu wrong\n", failed ? "not ok" : "ok", ++number,
	       what, checked, wrong);
	fflush(stdout);
	checked = 0;
	wrong = 0;
	return failed;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *what;
		uint8_t flags;
	} kinds[] = {
		{ "commit", 0 },
		{ "commit, results", PVB_ENT_RESULT },
		{ "commit, soft bit", PVB_ENT_SOFT0 },
		{ "commit, soft bit, results", PVB_ENT_SOFT0 | PVB_ENT_RESULT },
	};
	int failed = 0;
	size_t i;

	stride = argc && strstr(argv[0], "_all") ? 1 : 7;
	rig_open(&rig, 1, PVB_F_ALL, 8192);
	apply_hook = hardware;
	printf("1..7\n");
	for (i = 0; i < 4; i++) {
		commits(kinds[i].flags, false);
		commits(kinds[i].flags, true);
		failed |= report(kinds[i].what);
	}
	masks();
	failed |= report("mask");
	get_and_clears();
	failed |= report("get and clear");
	sets();
	failed |= report("set");
	rig_close(&rig);
	return failed;
}
