// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, the race: a guest CPU whose page table only it changes (it holds the PTE
 * lock, so to say), while hardware sets A and D in it all the time.
 *
 * It toggles W by commits, and it is a cleaner, as in live migration: it clears D with
 * the flush in the same batch, and copies the pages that the result bitmap calls dirty.
 * A page whose write left no D behind is never copied again: at the end it differs.
 */
#include <sched.h>
#include <string.h>

#include "race.h"

#define SINGLES 40U

static uint32_t below(struct committer *committer, uint32_t n)
{
	return (uint32_t)race_random(&committer->random) % n;
}

/* start() - law 3: a plain read. */
static uint64_t start(const struct committer *committer, uint32_t slot)
{
	return __atomic_load_n(&committer->ptes[slot], __ATOMIC_RELAXED);
}

static void batch(struct committer *committer)
{
	memset(committer->hdr, 0, sizeof(*committer->hdr));
	committer->hdr->version = PVB_VERSION;
}

static void flush_with_it(struct committer *committer, uint32_t slot, uint32_t nr)
{
	committer->hdr->flush = PVB_FLUSH_RANGE;
	committer->hdr->flush_va = race_va(committer->id * TABLE_PAGES + slot);
	committer->hdr->flush_pages = nr;
}

static struct pvb_entry *add(struct committer *committer, enum pvb_op op, uint32_t slot,
			     uint32_t nr, uint64_t old, uint64_t new)
{
	const struct race *race = committer->race;
	struct pvb_entry *entry = &committer->entries[committer->hdr->nr++];

	*entry = (struct pvb_entry){
		.pte_gpa = pvb_gpa_raw(pvb_inproc_gpa_of(race->host, &committer->ptes[slot])),
		.old = old,
		.new = new,
		.nr = (uint16_t)nr,
		.op = (uint8_t)op,
	};
	if (op == PVB_OP_COMMIT && race->liars)
		entry->flags = PVB_ENT_SOFT1;
	return entry;
}

static void want_results(struct pvb_entry *entry)
{
	entry->flags |= PVB_ENT_RESULT;
	entry->result = RESULT_AT / 8;
}

/* linger() - between start and commit hardware gets its chance, sometimes a long one. */
static void linger(struct committer *committer)
{
	uint32_t turns = below(committer, 200), i;

	if (below(committer, 256) == 0)
		sched_yield();
	for (i = 0; i < turns; i++)
		__asm__ volatile("" ::: "memory");
}

/* submit() - until done; adds up what the answers say. */
static void submit(struct committer *committer)
{
	struct pvb_batch_hdr *hdr = committer->hdr;
	int64_t result;
	uint32_t i;

	linger(committer);
	do {
		result = pvb_inproc_call(committer->cpu, PVB_CALL_SUBMIT, 0, 0);
		committer->carried += hdr->carried;
		committer->conflicts += hdr->conflicts;
		hdr->start = hdr->done;
		hdr->skip = hdr->done_ptes;
	} while (result == PVB_SUBMIT_PARTIAL);
	if (result != PVB_SUBMIT_DONE)
		committer->errors++;
	for (i = 0; i < hdr->nr; i++) {
		const struct pvb_entry *entry = &committer->entries[i];
		enum pvb_status status = pvb_answer_status(entry->answer);

		if (entry->op == PVB_OP_COMMIT)
			committer->commits += pvb_answer_done(entry->answer);
		if (status != PVB_ST_OK && (status != PVB_ST_CONFLICT || !committer->race->liars))
			committer->errors++;
	}
}

/* uniform() - how many PTEs from @slot on are @old moved on, but for A, D and what is soft. */
static uint32_t uniform(const struct committer *committer, uint32_t slot, uint32_t max,
			uint64_t *old)
{
	uint64_t soft = committer->race->liars ? 1ULL << SOFT_BIT : 0, fold = *old;
	uint32_t nr;

	for (nr = 0; nr < max; nr++) {
		uint64_t pte = start(committer, slot + nr);

		if ((pte ^ pvb_pte_advance(*old, nr)) & ~(PVB_PTE_AD | soft))
			break;
		fold = pvb_pte_fold(fold, pte);
	}
	*old = fold; /* law 2: the union of the run's A and D */
	return nr;
}

/* toggle_range() - W changes over a run; what was A or D is kept, whatever @old knew of it. */
static void toggle_range(struct committer *committer)
{
	uint32_t slot = below(committer, TABLE_PAGES), nr;
	uint64_t old = start(committer, slot);

	nr = uniform(committer, slot, TABLE_PAGES - slot, &old);
	if (below(committer, 2))
		old &= ~PVB_PTE_AD; /* as if it had been clean: all is carried */
	batch(committer);
	add(committer, PVB_OP_COMMIT, slot, nr ? nr : 1, old, old ^ PVB_PTE_W);
	flush_with_it(committer, slot, nr ? nr : 1);
	submit(committer);
}

/* toggle_singles() - the same, PTE by PTE, here and there, in one batch. */
static void toggle_singles(struct committer *committer)
{
	uint32_t slot = below(committer, TABLE_PAGES), i;

	batch(committer);
	for (i = 0; i < SINGLES; i++) {
		uint64_t old = start(committer, slot);

		add(committer, PVB_OP_COMMIT, slot, 1, old, old ^ PVB_PTE_W);
		slot = (slot + 1 + below(committer, 3)) % TABLE_PAGES;
		if (slot < SINGLES * 3 && i > SINGLES / 2)
			break; /* around the end: no PTE twice, its old would be stale */
	}
	flush_with_it(committer, 0, TABLE_PAGES);
	submit(committer);
}

/* copy() - the first @nr results say which pages from @slot on were dirty. */
static void copy(struct committer *committer, uint32_t slot, uint32_t nr)
{
	const struct race *race = committer->race;
	const uint64_t *dirty = committer->results + (nr + 63) / 64;
	uint32_t i;

	for (i = 0; i < nr; i++) {
		uint64_t page = committer->id * TABLE_PAGES + slot + i;
		const uint64_t *word;

		if (!(dirty[i / 64] >> i % 64 & 1))
			continue;
		word = pvb_inproc_ptr(race->host, pvb_gpa(race->data + page * PVB_PAGE_SIZE),
				      sizeof(*word), false);
		committer->backup[slot + i] = __atomic_load_n(word, __ATOMIC_ACQUIRE);
		committer->copied++;
	}
}

/* clean_by_mask() - clear D, flush, copy: after the answer the bitmap can be trusted. */
static void clean_by_mask(struct committer *committer, uint32_t slot, uint32_t nr)
{
	batch(committer);
	want_results(add(committer, PVB_OP_MASK, slot, nr, PVB_PTE_D, 0));
	flush_with_it(committer, slot, nr);
	submit(committer);
	copy(committer, slot, nr);
}

/* clean_by_commit() - the same as a transaction: D is in old and not in new. */
static void clean_by_commit(struct committer *committer)
{
	uint32_t slot = below(committer, TABLE_PAGES), nr;
	uint64_t old = start(committer, slot);

	nr = uniform(committer, slot, TABLE_PAGES - slot, &old);
	nr = nr ? nr : 1;
	old |= PVB_PTE_AD;
	batch(committer);
	want_results(add(committer, PVB_OP_COMMIT, slot, nr, old, old & ~PVB_PTE_D));
	flush_with_it(committer, slot, nr);
	submit(committer);
	copy(committer, slot, nr);
}

/* clean_by_set() - whatever was there is replaced; the results lose nothing. */
static void clean_by_set(struct committer *committer)
{
	uint32_t slot = below(committer, TABLE_PAGES), nr;
	uint64_t old = start(committer, slot);

	nr = uniform(committer, slot, TABLE_PAGES - slot, &old);
	batch(committer);
	want_results(add(committer, PVB_OP_SET, slot, nr, 0, (old | PVB_PTE_A) & ~PVB_PTE_D));
	flush_with_it(committer, slot, nr);
	submit(committer);
	copy(committer, slot, nr);
}

/* mkold() - clear A over the table; who walked since the last time must be called young. */
static void mkold(struct committer *committer)
{
	struct race *race = committer->race;
	uint64_t epoch = race->epoch[committer->id];
	bool walked[TABLE_PAGES] = { false };
	uint32_t i, w;

	for (w = 0; w < WALKERS; w++) {
		for (i = 0; i < TABLE_PAGES; i++)
			walked[i] |=
				__atomic_load_n(&race->ledger[w][committer->id * TABLE_PAGES + i],
						__ATOMIC_ACQUIRE) == epoch;
	}
	batch(committer);
	want_results(add(committer, PVB_OP_MASK, 0, TABLE_PAGES, PVB_PTE_A, 0));
	flush_with_it(committer, 0, TABLE_PAGES);
	submit(committer);
	for (i = 0; i < TABLE_PAGES; i++) {
		if (walked[i] && !(committer->results[i / 64] >> i % 64 & 1))
			committer->lost_a++;
	}
	__atomic_store_n(&race->epoch[committer->id], epoch + 1, __ATOMIC_RELEASE);
}

/* How often a committer does its commits until it has met the others. */
#define PATIENCE 64U

/* A busy machine may run one thread after the other: then there has been no race yet. */
static bool done(const struct committer *committer)
{
	const struct race *race = committer->race;
	bool raced = committer->carried && (committer->conflicts || !race->liars);

	return committer->errors || committer->commits >= (raced ? 1 : PATIENCE) * race->target;
}

void *committer_run(void *arg)
{
	struct committer *committer = arg;
	const struct race *race = committer->race;

	while (!done(committer)) {
		uint32_t first = below(committer, TABLE_PAGES);

		switch (below(committer, 64)) {
		case 0:
		case 1:
			clean_by_mask(committer, first, 1 + below(committer, TABLE_PAGES - first));
			break;
		case 2:
		case 3:
			clean_by_commit(committer);
			break;
		case 4:
			if (!race->liars) /* SET would replace a lie, rightly */
				clean_by_set(committer);
			break;
		case 5:
			mkold(committer);
			break;
		default:
			if (below(committer, 2))
				toggle_singles(committer);
			else
				toggle_range(committer);
			break;
		}
	}
	return NULL;
}

void committer_finish(struct committer *committer)
{
	clean_by_mask(committer, 0, TABLE_PAGES);
}
