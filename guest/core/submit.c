// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest core - the call: header, doorbell, and the loop over partial progress
 * (law 5). What the answers mean is in answer.c.
 */
#include "internal.h"

/* How often -PVB_EAGAIN is taken for an answer before the guest helps itself. */
#define AGAIN_MAX 8
/* How often entries answered PVB_ST_RETRY are submitted again. */
#define ROUNDS_MAX 8

bool pvb_error_is_loss(int64_t error)
{
	return error == -PVB_ENOSYS || error == -PVB_EPERM || error == -PVB_ENXIO ||
	       error == -PVB_EOPNOTSUPP;
}

void pvb_lose_host(struct pvb_cpu *c, int64_t error)
{
	struct pvb_guest *g = c->guest;

	c->mode = PVB_MODE_DIRECT;
	__atomic_store_n((uint32_t *)&g->mode, PVB_MODE_DIRECT, __ATOMIC_RELAXED);
	/* Several CPUs may find out at once, each for its own queue; one tells. */
	if (!__atomic_exchange_n(&g->lost, 1, __ATOMIC_ACQ_REL) && g->ops->lost)
		g->ops->lost(error);
}

int64_t pvb_call_submit(struct pvb_cpu *c, struct pvb_guest_stats *stats,
			const struct pvb_flush_arg *flush, uint32_t nr, uint32_t *start,
			uint32_t *skip)
{
	const struct pvb_transport *transport = c->guest->transport;
	struct pvb_batch_hdr *hdr = c->buffer;
	unsigned int again = 0;

	*start = 0;
	*skip = 0;
	while (true) {
		int64_t r;

		*hdr = (struct pvb_batch_hdr){
			.version = (uint16_t)c->guest->version,
			.flush = (uint8_t)flush->type,
			.flush_flags = flush->flags,
			.nr = nr,
			.start = *start,
			.skip = *skip,
			.flush_pages = flush->pages,
			.flush_va = pvb_gva_raw(flush->va),
		};
		r = transport->call(transport->ctx, PVB_CALL_SUBMIT, 0, 0);
		stats->calls++;
		if (r >= 0)
			stats->carried += hdr->carried;
		if (r == PVB_SUBMIT_DONE) {
			*start = nr;
			*skip = 0;
			return 0;
		}
		if (r == -PVB_EAGAIN && again++ < AGAIN_MAX) {
			stats->retries++;
			continue;
		}
		if (r != PVB_SUBMIT_PARTIAL)
			return r < 0 ? r : -PVB_EPROTO;
		/* Progress 0 with no error is an error, and so is progress to nowhere. */
		if (hdr->done > nr || hdr->done < *start ||
		    (hdr->done == *start && hdr->done_ptes <= *skip) ||
		    hdr->done_ptes >= (hdr->done < nr ? pvb_entries(c)[hdr->done].nr : 1U))
			return -PVB_EPROTO;
		stats->partial++;
		*start = hdr->done;
		*skip = hdr->done < nr ? hdr->done_ptes : 0;
	}
}

/* Lay out the result bitmaps behind the entries, cleared: the host only adds to them. */
static void place_results(struct pvb_cpu *c)
{
	uint32_t at = (uint32_t)sizeof(*c->buffer) + c->nr * (uint32_t)sizeof(struct pvb_entry);

	for (uint32_t i = 0; i < c->nr; i++) {
		struct pvb_entry *entry = &pvb_entries(c)[i];
		uint32_t words = 2 * ((entry->nr + 63U) / 64);
		uint64_t *bits = (uint64_t *)((char *)c->buffer + at);

		if (!(entry->flags & PVB_ENT_RESULT))
			continue;
		entry->result = (uint16_t)(at / sizeof(uint64_t));
		for (uint32_t w = 0; w < words; w++)
			bits[w] = 0;
		at += words * (uint32_t)sizeof(uint64_t);
	}
}

/* One pass over the queue. Entries to be submitted again stay in it. */
static int64_t submit_once(struct pvb_cpu *c, const struct pvb_flush_arg *flush)
{
	const struct pvb_flush_arg all = { .type = PVB_FLUSH_ALL };
	struct pvb_outcome outcome = { 0 };
	uint32_t start, skip;
	int64_t r;

	place_results(c);
	r = pvb_call_submit(c, &c->stats, flush, c->nr, &start, &skip);
	if (pvb_error_is_loss(r))
		pvb_lose_host(c, r);
	pvb_take_answers(c, start, skip, &outcome);
	if (flush->type != PVB_FLUSH_NONE && !r)
		c->stats.flushes++;
	/* Updates come first, then the flush (law 4): a repair was late for the host's. */
	if (outcome.unsynced)
		pvb_own_flush(c, &c->stats, &all);
	else if (flush->type != PVB_FLUSH_NONE && (r || outcome.repaired))
		pvb_own_flush(c, &c->stats, flush);
	return r;
}

/* What is left in the queue cannot be synchronised by name. */
static void give_up(struct pvb_cpu *c)
{
	const struct pvb_flush_arg all = { .type = PVB_FLUSH_ALL };

	for (uint32_t i = 0; i < c->nr; i++)
		c->stats.unsynced += pvb_entries(c)[i].nr;
	pvb_own_flush(c, &c->stats, &all);
	c->nr = 0;
}

int64_t pvb_submit(struct pvb_cpu *c, enum pvb_flush_reason reason, enum pvb_flush type,
		   uint16_t flush_flags, pvb_gva_t va, uint32_t pages)
{
	struct pvb_flush_arg wanted = { type, flush_flags, va, pages };
	struct pvb_flush_arg none = { .type = PVB_FLUSH_NONE };
	bool carries = type != PVB_FLUSH_NONE && (c->guest->features & PVB_F_FLUSH);
	const struct pvb_flush_arg *flush = carries ? &wanted : &none;
	bool own = type != PVB_FLUSH_NONE && !carries;
	int64_t r = 0;

	if (c->submitting)
		return -PVB_EBUSY;
	if (c->mode == PVB_MODE_DIRECT) {
		if (type != PVB_FLUSH_NONE)
			pvb_own_flush(c, &c->stats, &wanted);
		return 0;
	}
	pvb_run_close(c);
	if (c->nr || carries) {
		c->submitting = true;
		c->stats.batches++;
		c->stats.reasons[reason]++;
		c->stats.hist[pvb_hist_bucket(c->nr)]++;
		c->stats.entries += c->nr;
		r = submit_once(c, flush);
		for (unsigned int round = 1; c->nr && !r && round < ROUNDS_MAX; round++) {
			c->stats.retries++;
			r = submit_once(c, flush);
		}
		if (c->nr)
			give_up(c);
		c->results = 0;
		c->run = (struct pvb_run){ 0 };
		c->high = 0;
		c->submitting = false;
	}
	if (own)
		pvb_own_flush(c, &c->stats, &wanted);
	return r;
}
