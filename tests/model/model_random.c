// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, the oracle - random batches over three tables, engine and oracle side by
 * side: runs of all lengths, good and bad entries mixed, hardware and liars at work
 * between look and exchange, calls cut short at random points. After each batch the
 * tables, answers, bitmaps and counters must be the same (laws 1, 2, 5 and 9).
 *
 * PVB_SEED=n chooses another sequence; a failure prints the one it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/engine_rig.h"
#include "hooked_apply.h"
#include "oracle.h"

#define BATCHES 30000U
#define TABLES 3U
#define SLOTS (TABLES * 512U)
#define BUFFER 32768U
#define RESULTS 16384U
#define ENTRIES_MAX 48U

static struct rig rig;
static uint64_t base; /* gpa of the first table; they follow each other */
static uint64_t *tables; /* the engine's */
static uint64_t model[SLOTS]; /* the oracle's */
static uint64_t acts[SLOTS]; /* what hardware or a liar makes of the PTE, once */
static bool pending[SLOTS];
static bool seen[SLOTS]; /* the oracle's copy of pending */
static enum pvb_status expected[ENTRIES_MAX]; /* of bad entries; PVB_ST_OK: ask the oracle */
static uint64_t seed;

static uint64_t random64(void)
{
	/* xorshift64* */
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545f4914f6cdd1dULL;
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(random64() >> 33) % n;
}

static bool one_in(uint32_t n)
{
	return !below(n);
}

static void hook(uint64_t *pte)
{
	size_t slot = (size_t)(pte - tables);

	if (pending[slot]) {
		pending[slot] = false;
		*pte = acts[slot];
	}
}

static bool yield_sometimes(void *ctx)
{
	(void)ctx;
	return one_in(8);
}

/* Runs of pages with the same flags, some A and D; holes and swap entries. */
static void fill_tables(void)
{
	uint32_t slot = 0;

	while (slot < SLOTS) {
		uint32_t nr = 1 + below(one_in(3) ? 512 : 20), i;
		uint64_t pte = (uint64_t)below(1 << 20) << 12 |
			       (random64() & 0x8000000000000f07ULL);

		for (i = 0; i < nr && slot < SLOTS; i++, slot++) {
			tables[slot] = oracle_advance(pte, i) | (one_in(2) ? 1 << 5 : 0) |
				       (one_in(3) ? 1 << 6 : 0);
		}
	}
}

static void plan_acts(void)
{
	uint32_t slot;

	for (slot = 0; slot < SLOTS; slot++) {
		pending[slot] = seen[slot] = one_in(5);
		acts[slot] = tables[slot] | (random64() & 0x60);
		if (one_in(40))
			acts[slot] ^= 1ULL << (one_in(4) ? 52 + below(12) : below(RIG_PHYS_BITS));
	}
}

/* good_entry() - something that a guest may ask for, on the table as it is now. */
static struct pvb_entry *good_entry(void)
{
	uint32_t slot = below(SLOTS), room = 512 - slot % 512;
	uint32_t nr = 1 + below(one_in(2) ? 1 : one_in(2) ? room : room < 9 ? room : 9);
	enum pvb_op op = PVB_OP_SET + below(4);
	uint64_t now = tables[slot];
	struct pvb_entry *entry = rig_add(&rig, op, 0, nr, 0, 0);

	entry->pte_gpa = base + slot * 8ULL;
	switch (op) {
	case PVB_OP_SET:
		entry->new = (uint64_t)below(1 << 20) << 12 | (random64() & 0x8400000000000fffULL);
		entry->flags = one_in(3) ? PVB_ENT_FIXED : 0;
		break;
	case PVB_OP_COMMIT:
		entry->old = one_in(2) ? now : now | 0x60;
		entry->new = entry->old ^ (random64() & 0x8400000000000e66ULL);
		if (one_in(4))
			entry->new ^= (uint64_t)below(64) << 12;
		if (one_in(3))
			entry->flags = (uint8_t)(random64() & PVB_ENT_SOFT);
		break;
	case PVB_OP_MASK:
		entry->old = one_in(4) ? ~0ULL : random64() & 0xfff0000000000fffULL;
		entry->new = entry->old == ~0ULL ? 0 : random64() & 0x8400000000000fffULL;
		break;
	case PVB_OP_CHANGED:
		if (one_in(2)) {
			entry->flags = PVB_ENT_HINT;
			entry->old = random64();
			entry->new = random64();
		}
		break;
	}
	if (op != PVB_OP_CHANGED && one_in(3)) {
		entry->flags |= PVB_ENT_RESULT;
		entry->result = (uint16_t)((RESULTS + 128 * (rig.hdr->nr - 1)) / 8);
	}
	return entry;
}

/* spoil() - make one thing wrong; returns what the engine has to say of it. */
static enum pvb_status spoil(struct pvb_entry *entry)
{
	switch (below(8)) {
	case 0:
		entry->op = (uint8_t)(PVB_OP_CHANGED + 1 + below(250));
		return PVB_ST_BAD_OP;
	case 1:
		entry->flags |= 0x08;
		return PVB_ST_BAD_FLAGS;
	case 2:
		entry->nr = (uint16_t)(one_in(2) ? 0 : 513 + below(65536 - 513));
		return PVB_ST_BAD_NR;
	case 3:
		entry->pte_gpa |= 1 + below(7);
		return PVB_ST_UNALIGNED;
	case 4:
		entry->pte_gpa |= 0xff8;
		entry->nr = 512;
		entry->flags &= (uint8_t)~PVB_ENT_RESULT;
		entry->result = 0;
		return PVB_ST_CROSSES;
	case 5:
		entry->pte_gpa += one_in(2) ? RIG_RAM : 1ULL << (36 + below(28));
		return PVB_ST_BAD_GPA;
	case 6:
		entry->pte_gpa = pvb_gpa_raw(rig.cpu->engine.buffer) + (entry->pte_gpa & 0xfff);
		return PVB_ST_DENIED;
	default:
		entry->flags &= (uint8_t)~PVB_ENT_RESULT;
		entry->result = (uint16_t)(1 + below(65535));
		return PVB_ST_BAD_RESULT;
	}
}

/* What the oracle makes of the batch, to be compared with the engine's. */
struct outcome {
	uint32_t applied, carried, conflicts, refused;
	uint64_t carried_a, carried_d;
};

static void add(struct outcome *sum, const struct outcome *part)
{
	sum->applied += part->applied;
	sum->carried += part->carried;
	sum->conflicts += part->conflicts;
	sum->refused += part->refused;
	sum->carried_a += part->carried_a;
	sum->carried_d += part->carried_d;
}

static bool answer_is(uint32_t index, enum pvb_status status, uint32_t done)
{
	uint16_t answer = rig.entries[index].answer;

	if (answer == pvb_answer(status, done))
		return true;
	printf("# entry %u: expected %s at %u, is %s at %u\n", index, oracle_status(status), done,
	       oracle_status(pvb_answer_status(answer)), pvb_answer_done(answer));
	return false;
}

/* model_entry() - apply entry @index to the model; is the engine's answer the same? */
static bool model_entry(uint32_t index, struct outcome *outcome)
{
	const struct pvb_entry *entry = &rig.entries[index];
	const uint64_t *bitmaps = (const uint64_t *)((uint8_t *)rig.hdr + entry->result * 8ULL);
	uint64_t young[8] = { 0 }, dirty[8] = { 0 };
	uint32_t slot = (uint32_t)((entry->pte_gpa - base) / 8), words = (entry->nr + 63U) / 64, i;
	enum pvb_status status = PVB_ST_OK;

	if (expected[index] != PVB_ST_OK) {
		outcome->refused++;
		return answer_is(index, expected[index], 0);
	}
	for (i = 0; i < entry->nr; i++, slot++) {
		struct oracle step = oracle_pte(entry, i, model[slot]);

		if (step.status == PVB_ST_OK && entry->op != PVB_OP_CHANGED && seen[slot]) {
			seen[slot] = false;
			model[slot] = acts[slot];
			step = oracle_pte(entry, i, model[slot]);
		}
		status = step.status;
		if (status != PVB_ST_OK)
			break;
		model[slot] = step.pte;
		young[i / 64] |= (uint64_t)step.young << i % 64;
		dirty[i / 64] |= (uint64_t)step.dirty << i % 64;
		outcome->applied++;
		outcome->carried += step.carried_a || step.carried_d;
		outcome->carried_a += step.carried_a;
		outcome->carried_d += step.carried_d;
	}
	outcome->conflicts += status == PVB_ST_CONFLICT;
	outcome->refused += status != PVB_ST_OK && status != PVB_ST_CONFLICT;
	if (entry->flags & PVB_ENT_RESULT && (memcmp(bitmaps, young, 8UL * words) != 0 ||
					      memcmp(bitmaps + words, dirty, 8UL * words) != 0)) {
		printf("# entry %u: result bitmaps differ\n", index);
		return false;
	}
	return answer_is(index, status, i);
}

/* engine_batch() - submit until done, adding up what the header says of each call. */
static struct outcome engine_batch(void)
{
	struct outcome sum = { 0 };
	int64_t result;

	do {
		result = rig_submit(&rig);
		add(&sum, &(struct outcome){
				  .applied = rig.hdr->applied,
				  .carried = rig.hdr->carried,
				  .conflicts = rig.hdr->conflicts,
				  .refused = rig.hdr->refused,
			  });
		rig.hdr->start = rig.hdr->done;
		rig.hdr->skip = rig.hdr->done_ptes;
	} while (result == PVB_SUBMIT_PARTIAL);
	return sum;
}

static bool one_batch(struct outcome *total)
{
	struct outcome is, should = { 0 };
	uint32_t i, nr = 1 + below(ENTRIES_MAX);

	if (one_in(20))
		fill_tables();
	plan_acts();
	memcpy(model, tables, sizeof(model));
	rig_batch(&rig);
	rig.host->vm.max_work = one_in(2) ? 8192 : 1 + below(600);
	for (i = 0; i < nr; i++) {
		struct pvb_entry *entry = good_entry();

		expected[i] = one_in(8) ? spoil(entry) : PVB_ST_OK;
	}
	is = engine_batch();
	for (i = 0; i < nr; i++) {
		if (!model_entry(i, &should))
			return false;
	}
	add(total, &should);
	for (i = 0; i < SLOTS; i++) {
		if (tables[i] != model[i]) {
			printf("# PTE %u: expected %s\n#   is       %s\n", i, oracle_name(model[i]),
			       oracle_name(tables[i]));
			return false;
		}
	}
	if (is.applied != should.applied || is.carried != should.carried ||
	    is.conflicts != should.conflicts || is.refused != should.refused) {
		printf("# header: applied %u carried %u conflicts %u refused %u, expected %u %u %u %u\n",
		       is.applied, is.carried, is.conflicts, is.refused, should.applied,
		       should.carried, should.conflicts, should.refused);
		return false;
	}
	return true;
}

/* Law 9: the counters of the whole run are those of the oracle, and add up. */
static bool counters_add_up(const struct outcome *total)
{
	const struct pvb_host_stats *stats = &rig.cpu->engine.stats;
	uint64_t hist = 0;
	unsigned int i;

	for (i = 0; i < PVB_HIST_BUCKETS; i++)
		hist += stats->hist[i];
	return stats->batches == BATCHES && hist == BATCHES && !stats->failed && stats->partial &&
	       stats->calls == stats->batches + stats->partial &&
	       stats->applied == total->applied && stats->conflicts == total->conflicts &&
	       stats->refused == total->refused && stats->carried_a == total->carried_a &&
	       stats->carried_d == total->carried_d && rig.cpu->told == total->applied;
}

int main(void)
{
	const char *given = getenv("PVB_SEED");
	uint64_t first = given ? strtoull(given, NULL, 0) : 0x70766274;
	struct outcome total = { 0 };
	pvb_gpa_t gpa;
	unsigned int i;

	seed = first ? first : 1;
	rig_open(&rig, 1, PVB_F_ALL, BUFFER);
	rig.host->backend.should_yield = yield_sometimes;
	gpa = pvb_inproc_alloc(rig.host, TABLES);
	base = pvb_gpa_raw(gpa);
	tables = pvb_inproc_ptr(rig.host, gpa, TABLES * PVB_PAGE_SIZE, true);
	apply_hook = hook;
	fill_tables();
	printf("1..2\n");
	for (i = 0; i < BATCHES && one_batch(&total); i++)
		;
	printf("%s 1 - %u random batches, %u PTEs, %u conflicts, as the oracle says\n",
	       i == BATCHES ? "ok" : "not ok", i, total.applied, total.conflicts);
	if (i != BATCHES)
		printf("# PVB_SEED=%llu\n", (unsigned long long)first);
	printf("%s 2 - counters add up\n", counters_add_up(&total) ? "ok" : "not ok");
	i = i == BATCHES && counters_add_up(&total) ? 0 : 1;
	rig_close(&rig);
	return (int)i;
}
