// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, Xen transport - whole batches: order, overlaps, continuations, conflicts,
 * refusals at any request, flushes. The machine is quiet, so each entry of each batch can
 * be compared with what a plain loop over the entries makes of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

#define ROUNDS 3000U
#define FORBIDDEN (1ULL << RIG_PHYS_BITS) /* the first frame that may not be mapped */

static struct rig rig;
static uint64_t model[RIG_PTES];
static uint64_t seed = 1;

static uint32_t random_below(uint32_t n)
{
	/* Knuth's LCG; the upper bits are the good ones. */
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((seed >> 33) % n);
}

static bool refuses_frame(struct rig *r, const uint64_t *pte, uint64_t val)
{
	(void)r;
	(void)pte;
	return (val & PVB_PTE_P) && (val & PVB_PTE_PFN_MASK) >= FORBIDDEN;
}

static uint64_t random_pte(void)
{
	static const uint64_t flags[] = { PVB_PTE_P, PVB_PTE_W,	    PVB_PTE_A,
					  PVB_PTE_D, PVB_PTE_SOFT0, PVB_PTE_NX };
	uint64_t pte = (0x1000ULL + random_below(64)) << PVB_PAGE_SHIFT;

	for (unsigned int i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		pte |= random_below(4) ? flags[i] : 0;
	return pte;
}

static uint64_t nth(const struct pvb_entry *entry, uint64_t template, uint32_t i)
{
	return entry->flags & PVB_ENT_FIXED ? template : template + i * PVB_PAGE_SIZE;
}

/* A frame that is not there: what our handler says of it, as Xen does, and the small Xen. */
static enum pvb_status refusal(void)
{
	return rig.handled ? PVB_ST_DENIED : PVB_ST_BAD_PTE;
}

/* One entry of a batch, by the book; returns the answer. */
static uint16_t model_entry(const struct pvb_entry *entry, bool *young, bool *dirty)
{
	uint32_t first = (uint32_t)((entry->pte_gpa - rig_pte_gpa(&rig, 0)) / 8);

	for (uint32_t i = 0; i < entry->nr; i++) {
		uint64_t *pte = &model[first + i], cur = *pte, val;

		if (entry->op == PVB_OP_COMMIT) {
			uint64_t old = nth(entry, entry->old, i);

			if ((cur ^ old) & ~PVB_PTE_AD)
				return pvb_answer(PVB_ST_CONFLICT, i);
			val = nth(entry, entry->new, i) | (cur & ~old & PVB_PTE_AD);
		} else if (entry->op == PVB_OP_MASK) {
			if (!(cur & PVB_PTE_P))
				return pvb_answer(PVB_ST_NOTPRESENT, i);
			val = (cur & ~entry->old) | entry->new;
		} else {
			val = nth(entry, entry->new, i);
		}
		if (val != cur && refuses_frame(&rig, NULL, val))
			return pvb_answer(refusal(), i);
		young[i] = cur & PVB_PTE_A;
		dirty[i] = cur & PVB_PTE_D;
		*pte = val;
	}
	return pvb_answer(PVB_ST_OK, entry->nr);
}

static struct pvb_entry random_entry(uint16_t result)
{
	uint32_t table = random_below(RIG_TABLES), slot = random_below(PVB_PTES_PER_TABLE);
	uint32_t room = PVB_PTES_PER_TABLE - slot;
	uint32_t at = table * PVB_PTES_PER_TABLE + slot;
	struct pvb_entry entry = {
		.pte_gpa = rig_pte_gpa(&rig, at),
		.nr = (uint16_t)(1 + random_below(random_below(3) ? (room < 4 ? room : 4) : room)),
		.op = (uint8_t)(PVB_OP_SET + random_below(3)),
	};

	switch (entry.op) {
	case PVB_OP_COMMIT:
		entry.old = random_below(8) ? model[at] : random_pte();
		entry.new = (entry.old & ~PVB_PTE_AD) ^ (random_below(2) ? PVB_PTE_W : 0);
		entry.new |= random_below(2) ? entry.old &PVB_PTE_AD : 0;
		break;
	case PVB_OP_MASK:
		entry.old = random_below(4) ? PVB_PTE_AD : ~0ULL;
		entry.new = entry.old == ~0ULL ? 0 : random_below(2) * PVB_PTE_SOFT0;
		break;
	default:
		entry.new = random_pte();
		if (!random_below(16)) /* refused somewhere inside the run, or at its start */
			entry.new = (FORBIDDEN - random_below(4) * PVB_PAGE_SIZE) | PVB_PTE_P;
		if (!random_below(4))
			entry.flags = PVB_ENT_FIXED;
	}
	if (random_below(3)) {
		entry.flags |= PVB_ENT_RESULT;
		entry.result = result;
	}
	return entry;
}

static void expect_results(const struct pvb_entry *entry, const bool *young, const bool *dirty)
{
	const uint64_t *bits = (const uint64_t *)rig.buffer + entry->result;
	uint32_t words = (entry->nr + 63U) / 64;

	for (uint32_t i = 0; i < pvb_answer_done(entry->answer); i++) {
		assert_int_equal(bits[i / 64] >> i % 64 & 1, young[i]);
		assert_int_equal(bits[words + i / 64] >> i % 64 & 1, dirty[i]);
	}
}

static void random_batches(void **state)
{
	static bool young[16][PVB_PTES_PER_TABLE], dirty[16][PVB_PTES_PER_TABLE];
	uint32_t refused = 0, partial = 0;

	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t nr = 1 + random_below(16);
		uint16_t expected[16];

		if (round % 16 == 0)
			for (uint32_t i = 0; i < RIG_PTES; i++)
				rig.ptes[i] = random_pte();
		memcpy(model, rig.ptes, sizeof(model));
		for (uint32_t i = 0; i < nr; i++) {
			struct pvb_entry *entry = &rig_entries(&rig)[i];

			*entry = random_entry((uint16_t)(1024 + 16 * i));
			expected[i] = model_entry(entry, young[i], dirty[i]);
			refused += pvb_answer_status(expected[i]) == refusal();
		}
		partial += rig_submit(&rig, nr, PVB_FLUSH_ALL, 0) > 1;
		assert_int_equal(rig.after_flush, 0);
		for (uint32_t i = 0; i < nr; i++) {
			assert_int_equal(rig_entries(&rig)[i].answer, expected[i]);
			if (rig_entries(&rig)[i].flags & PVB_ENT_RESULT)
				expect_results(&rig_entries(&rig)[i], young[i], dirty[i]);
		}
		assert_memory_equal(rig.ptes, model, sizeof(model));
	}
	/* The rounds have met what they are for. */
	assert_true(refused > 100 && partial > 100);
	assert_true(rig.cpu.stats.frozen > 1000 && !rig.cpu.stats.stuck);
}

static uint32_t countdown; /* the request that this Xen refuses; 0: none */

static bool refuses_nth(struct rig *r, const uint64_t *pte, uint64_t val)
{
	(void)r;
	(void)pte;
	(void)val;
	return countdown && --countdown == 0;
}

/*
 * A run of accessed pages that are made old and read-only, so that each is taken out and
 * then stored; and an entry behind it. Xen refuses the requests one after another: first
 * those that take out, the entry behind, then those that store.
 */
static void refused_everywhere(void **state)
{
	enum {
		NR = 5,
		OTHER = 100
	};
	const uint64_t old = 0x5000000 | PVB_PTE_P | PVB_PTE_W | PVB_PTE_A;
	const uint64_t new = 0x6000000 | PVB_PTE_P | PVB_PTE_W;
	struct pvb_entry *entry = rig_entries(&rig);

	(void)state;
	for (uint32_t at = 0; at <= 2 * NR; at++) {
		uint32_t done = at < NR ? at : at == NR ? NR : at - NR - 1;

		for (uint32_t i = 0; i < NR; i++)
			rig.ptes[i] = old + i * PVB_PAGE_SIZE;
		rig.ptes[OTHER] = 0;
		entry[0] = (struct pvb_entry){
			.pte_gpa = rig_pte_gpa(&rig, 0),
			.old = PVB_PTE_A | PVB_PTE_W,
			.nr = NR,
			.op = PVB_OP_MASK,
		};
		entry[1] = (struct pvb_entry){
			.pte_gpa = rig_pte_gpa(&rig, OTHER),
			.new = new,
			.nr = 1,
			.op = PVB_OP_SET,
		};
		countdown = at + 1;
		rig.refuses = refuses_nth;
		rig_submit(&rig, 2, PVB_FLUSH_RANGE, 3);
		assert_int_equal(rig.after_flush, 0);
		assert_int_equal(entry[0].answer,
				 pvb_answer(done < NR ? PVB_ST_BAD_PTE : PVB_ST_OK, done));
		assert_int_equal(entry[1].answer, at == NR ? pvb_answer(PVB_ST_BAD_PTE, 0) :
							     pvb_answer(PVB_ST_OK, 1));
		/* Those before the refused one are changed, it and those behind as they were. */
		for (uint32_t i = 0; i < NR; i++)
			assert_int_equal(rig.ptes[i],
					 (old + i * PVB_PAGE_SIZE) &
						 ~(i < done ? PVB_PTE_A | PVB_PTE_W : 0));
		assert_int_equal(rig.ptes[OTHER], at == NR ? 0 : new);
	}
	assert_int_equal(rig.cpu.stats.stuck, 0);
}

/* Even the old value is not taken back: counted, and the rest goes on. */
static bool refuses_all_stores(struct rig *r, const uint64_t *pte, uint64_t val)
{
	(void)r;
	return pte == &rig.ptes[1] && val;
}

static void stuck(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		rig.ptes[i] = 0x5000000 | PVB_PTE_P | PVB_PTE_W | PVB_PTE_A;
	rig_entries(&rig)[0] = (struct pvb_entry){
		.pte_gpa = rig_pte_gpa(&rig, 0),
		.old = PVB_PTE_A | PVB_PTE_W,
		.nr = 3,
		.op = PVB_OP_MASK,
	};
	rig.refuses = refuses_all_stores;
	rig_submit(&rig, 1, PVB_FLUSH_ALL, 0);
	rig.refuses = refuses_frame;
	assert_int_equal(rig_entries(&rig)[0].answer, pvb_answer(PVB_ST_BAD_PTE, 1));
	assert_int_equal(rig.cpu.stats.stuck, 1);
	assert_int_equal(rig.ptes[1], PVB_PTE_A); /* its A and D are still there to be seen */
	assert_int_equal(rig.ptes[2], 0x5000000 | PVB_PTE_P | PVB_PTE_W | PVB_PTE_A);
}

static void statuses(void **state)
{
	static const struct {
		int64_t error;
		enum pvb_status status;
	} cases[] = {
		{ -PVB_EPERM, PVB_ST_DENIED },	{ -PVB_EFAULT, PVB_ST_BAD_GPA },
		{ -PVB_EAGAIN, PVB_ST_RETRY },	{ -PVB_ENOMEM, PVB_ST_RETRY },
		{ -PVB_EBUSY, PVB_ST_BAD_PTE }, { -PVB_EINVAL, PVB_ST_BAD_PTE },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig_entries(&rig)[0] = (struct pvb_entry){
			.pte_gpa = rig_pte_gpa(&rig, 0),
			.new = FORBIDDEN | PVB_PTE_P,
			.nr = 1,
			.op = PVB_OP_SET,
		};
		rig.error = cases[i].error;
		rig_submit(&rig, 1, PVB_FLUSH_NONE, 0);
		assert_int_equal(rig_entries(&rig)[0].answer, pvb_answer(cases[i].status, 0));
	}
}

/* Entries that the library never makes. */
static void wrong_entries(void **state)
{
	const struct pvb_entry good = {
		.pte_gpa = rig_pte_gpa(&rig, 0),
		.nr = 1,
		.op = PVB_OP_SET,
	};
	struct pvb_entry *entry = rig_entries(&rig);

	(void)state;
	for (uint32_t i = 0; i < 6; i++)
		entry[i] = good;
	entry[0].op = PVB_OP_CHANGED;
	entry[1].nr = 513;
	entry[2].pte_gpa += 4;
	entry[3].nr = 2;
	entry[3].pte_gpa += 511 * 8;
	entry[4].flags = PVB_ENT_RESULT;
	entry[4].result = 8191;
	rig_submit(&rig, 6, PVB_FLUSH_NONE, 0);
	assert_int_equal(entry[0].answer, pvb_answer(PVB_ST_BAD_OP, 0));
	assert_int_equal(entry[1].answer, pvb_answer(PVB_ST_BAD_NR, 0));
	assert_int_equal(entry[2].answer, pvb_answer(PVB_ST_UNALIGNED, 0));
	assert_int_equal(entry[3].answer, pvb_answer(PVB_ST_CROSSES, 0));
	assert_int_equal(entry[4].answer, pvb_answer(PVB_ST_BAD_RESULT, 0));
	assert_int_equal(entry[5].answer, pvb_answer(PVB_ST_OK, 1));
}

static void flushes(void **state)
{
	uint32_t before = rig.flushes;

	(void)state;
	rig_submit(&rig, 0, PVB_FLUSH_NONE, 0);
	assert_int_equal(rig.flushes, before);
	rig_submit(&rig, 0, PVB_FLUSH_ALL, 0);
	assert_int_equal(rig.flushes, before + 1);
	rig_submit(&rig, 0, PVB_FLUSH_RANGE, PVB_XEN_INVLPG_MAX);
	assert_int_equal(rig.flushes, before + 1 + PVB_XEN_INVLPG_MAX);
	rig_submit(&rig, 0, PVB_FLUSH_RANGE, PVB_XEN_INVLPG_MAX + 1);
	assert_int_equal(rig.flushes, before + 2 + PVB_XEN_INVLPG_MAX);
}

static void calls(void **state)
{
	struct pvb_batch_hdr *hdr = rig_header(&rig);
	struct pvb_xen *x = &rig.xen;

	(void)state;
	*hdr = (struct pvb_batch_hdr){ .version = PVB_VERSION + 1 };
	assert_int_equal(pvb_xen_call(x, PVB_CALL_SUBMIT, 0, 0), -PVB_EINVAL);
	*hdr = (struct pvb_batch_hdr){ .version = PVB_VERSION, .start = 1 };
	assert_int_equal(pvb_xen_call(x, PVB_CALL_SUBMIT, 0, 0), -PVB_E2BIG);
	*hdr = (struct pvb_batch_hdr){ .version = PVB_VERSION, .nr = 3000 };
	assert_int_equal(pvb_xen_call(x, PVB_CALL_SUBMIT, 0, 0), -PVB_E2BIG);
	assert_int_equal(pvb_xen_call(x, PVB_CALL_STATS, 0, 0), -PVB_ENOSYS);
	assert_int_equal(pvb_xen_call(x, PVB_CALL_NOP, 0, 0), 0);
	assert_int_equal(pvb_xen_call(x, PVB_CALL_REGISTER, (uint64_t)rig.buffer, 100),
			 -PVB_EINVAL);
	assert_int_equal(pvb_xen_call(x, PVB_CALL_SUBMIT, 0, 0), -PVB_ENXIO);
	rig.neg.version_min = PVB_VERSION + 1;
	rig.neg.version_max = PVB_VERSION + 1;
	assert_int_equal(pvb_xen_call(x, PVB_CALL_NEGOTIATE, (uint64_t)&rig.neg, 0),
			 -PVB_EOPNOTSUPP);
	rig.neg.version_min = PVB_VERSION;
	rig.xen.preserve_ad = false;
	assert_int_equal(pvb_xen_call(x, PVB_CALL_NEGOTIATE, (uint64_t)&rig.neg, 0),
			 -PVB_EOPNOTSUPP);
}

static int setup(void **state)
{
	(void)state;
	rig_start(&rig, false);
	rig.refuses = refuses_frame;
	return 0;
}

static int setup_handled(void **state)
{
	(void)state;
	rig_start(&rig, true);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(random_batches, setup),
		cmocka_unit_test_setup(random_batches, setup_handled),
		cmocka_unit_test_setup(refused_everywhere, setup),
		cmocka_unit_test_setup(stuck, setup),
		cmocka_unit_test_setup(statuses, setup),
		cmocka_unit_test_setup(wrong_entries, setup),
		cmocka_unit_test_setup(flushes, setup),
		cmocka_unit_test_setup(calls, setup),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
