// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest core - what became of each entry, and the repair of what the host did not
 * do: directly, under the same law, counted (law 6). This is the way back of a batch.
 */
#include "internal.h"

/* The part of @entry from PTE index @from on, as a request on the guest's own entries. */
static struct pvb_request rest_of(const struct pvb_cpu *c, const struct pvb_entry *entry,
				  uint32_t from)
{
	bool advances = entry->op == PVB_OP_COMMIT ||
			(entry->op == PVB_OP_SET && !(entry->flags & PVB_ENT_FIXED));

	return (struct pvb_request){
		.op = (enum pvb_op)entry->op,
		.flags = entry->flags,
		.nr = entry->nr - from,
		.ptep = c->guest->ops->pte_at(pvb_gpa(entry->pte_gpa)) + from,
		.old = advances ? pvb_pte_advance(entry->old, from) : entry->old,
		.new = advances ? pvb_pte_advance(entry->new, from) : entry->new,
	};
}

/* OR one entry's result bitmaps into the caller's map, which counts slots of the table. */
static void take_results(struct pvb_cpu *c, const struct pvb_entry *entry)
{
	uint32_t words = (entry->nr + 63U) / 64;
	uint32_t slot = pvb_slot(entry->pte_gpa);
	const uint64_t *young = (const uint64_t *)c->buffer + entry->result;
	const uint64_t *dirty = young + words;

	for (uint32_t w = 0; w < words; w++) {
		uint32_t at = slot / 64 + w;
		uint32_t shift = slot % 64;

		c->collect->young[at] |= young[w] << shift;
		c->collect->dirty[at] |= dirty[w] << shift;
		if (shift && at + 1 < PVB_PTES_PER_TABLE / 64) {
			c->collect->young[at + 1] |= young[w] >> (64 - shift);
			c->collect->dirty[at + 1] |= dirty[w] >> (64 - shift);
		}
	}
}

/* Where the host has got to: the PTEs before PTE @skip of entry @start, but for refusals. */
struct reached {
	uint32_t start, skip;
};

/* How many PTEs of entry @index the host has done, and why no more. */
static uint32_t done_of(const struct pvb_cpu *c, uint32_t index, struct reached reached,
			enum pvb_status *status)
{
	const struct pvb_entry *entry = &pvb_entries(c)[index];
	uint32_t done;

	*status = PVB_ST_PENDING;
	if (index >= reached.start)
		return index == reached.start ? reached.skip : 0;
	done = pvb_answer_done(entry->answer);
	*status = pvb_answer_status(entry->answer);
	/* An answer that contradicts itself says nothing. */
	if (done > entry->nr || (*status == PVB_ST_OK && done < entry->nr)) {
		*status = PVB_ST_PENDING;
		return 0;
	}
	return done;
}

/*
 * The host has already applied later entries of the batch; where they cover what has
 * just been repaired they are applied once more, so that the later one wins (law 5).
 * Only stores and masks can: a commit's start would have drained the queue (law 3).
 */
static void redo_later(struct pvb_cpu *c, uint32_t index, uint32_t from, struct reached reached)
{
	const struct pvb_entry *entries = pvb_entries(c);
	uint64_t low = entries[index].pte_gpa + from * sizeof(uint64_t);
	uint64_t high = entries[index].pte_gpa + entries[index].nr * sizeof(uint64_t);

	for (uint32_t i = index + 1; i < reached.start + !!reached.skip; i++) {
		const struct pvb_entry *later = &entries[i];
		enum pvb_status status;
		uint32_t done = done_of(c, i, reached, &status);
		uint64_t first = later->pte_gpa > low ? later->pte_gpa : low;
		uint64_t end = later->pte_gpa + done * sizeof(uint64_t);
		struct pvb_ad_map *map = later->flags & PVB_ENT_RESULT ? c->collect : NULL;
		struct pvb_request req;

		if (end > high)
			end = high;
		if (later->op == PVB_OP_COMMIT || first >= end)
			continue;
		req = rest_of(c, later, (uint32_t)((first - later->pte_gpa) / sizeof(uint64_t)));
		req.nr = (uint32_t)((end - first) / sizeof(uint64_t));
		c->stats.untouched -= pvb_direct(c, &c->stats, &req, map, NULL);
	}
}

/* Apply PTEs @from.. of entry @index directly. */
static void repair(struct pvb_cpu *c, uint32_t index, uint32_t from, struct reached reached)
{
	const struct pvb_entry *entry = &pvb_entries(c)[index];
	struct pvb_request req = rest_of(c, entry, from);
	struct pvb_ad_map *map = entry->flags & PVB_ENT_RESULT ? c->collect : NULL;
	uint32_t untouched = pvb_direct(c, &c->stats, &req, map, NULL);

	c->stats.fallbacks += req.nr - untouched;
	redo_later(c, index, from, reached);
}

/* The host refused PTEs @from.. of @entry, and the kernel does not want them written. */
static void leave(struct pvb_cpu *c, const struct pvb_entry *entry, uint32_t from,
		  enum pvb_status status)
{
	uint64_t *ptep = c->guest->ops->pte_at(pvb_gpa(entry->pte_gpa)) + from;

	c->stats.untouched += entry->nr - from;
	c->guest->ops->refused(ptep, entry->nr - from, status);
}

/* A run that the guest has changed itself: nothing to write, only to name. */
static void answer_changed(struct pvb_cpu *c, const struct pvb_entry *entry, uint32_t done,
			   enum pvb_status status, struct pvb_outcome *outcome)
{
	c->stats.synced += done;
	if (done == entry->nr)
		return;
	if (status == PVB_ST_RETRY || status == PVB_ST_PENDING) {
		pvb_entries(c)[c->nr++] = (struct pvb_entry){
			.pte_gpa = entry->pte_gpa + done * sizeof(uint64_t),
			.nr = (uint16_t)(entry->nr - done),
			.op = PVB_OP_CHANGED,
		};
		return;
	}
	c->stats.unsynced += entry->nr - done;
	outcome->unsynced = true;
}

void pvb_take_answers(struct pvb_cpu *c, uint32_t start, uint32_t skip, struct pvb_outcome *outcome)
{
	const struct reached reached = { start, skip };
	uint32_t nr = c->nr;

	c->nr = 0; /* counts again what has to stay */
	for (uint32_t i = 0; i < nr; i++) {
		const struct pvb_entry *entry = &pvb_entries(c)[i];
		enum pvb_status status;
		uint32_t done = done_of(c, i, reached, &status);

		if (entry->op == PVB_OP_CHANGED) {
			answer_changed(c, entry, done, status, outcome);
			continue;
		}
		c->stats.applied += done;
		if ((entry->flags & PVB_ENT_RESULT) && done)
			take_results(c, entry);
		if (done == entry->nr)
			continue;
		if (status == PVB_ST_CONFLICT || status == PVB_ST_NOTPRESENT) {
			c->stats.conflicts++;
		} else if (c->guest->ops->refused && status != PVB_ST_PENDING &&
			   status != PVB_ST_RETRY) {
			leave(c, entry, done, status);
			continue;
		}
		repair(c, i, done, reached);
		outcome->repaired = true;
	}
}
