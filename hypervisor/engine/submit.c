// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host engine - one PVB_CALL_SUBMIT, through all stages.
 *
 * Before: call.c. The batch is taken in chunks of entries, an entry in pieces of PTEs;
 * after each piece the call may end early (law 7) with PVB_SUBMIT_PARTIAL and the
 * point to go on from (law 5). The point goes to the guest and comes back from it: it
 * is checked like everything else, and forging it only repeats or leaves out the
 * guest's own work.
 */
#include "stages.h"

static uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* charge() - @nr units of work are done. */
static void charge(struct pvb_work *work, uint32_t nr)
{
	work->budget -= min32(nr, work->budget);
	work->unpolled += nr;
}

/*
 * exhausted() - is this the place to end the call early? Never before one piece of
 * work is done, so that each call makes progress (law 5).
 */
static bool exhausted(struct pvb_work *work)
{
	if (unlikely(!work->budget))
		return true;
	if (likely(work->unpolled < PVB_PIECE))
		return false;
	work->unpolled = 0;
	return work->backend->should_yield && work->backend->should_yield(work->vcpu->ctx);
}

/* piece_end() - where the piece that starts at PTE @at of @entry ends. */
static uint32_t piece_end(const struct pvb_work *work, const struct pvb_entry *entry, uint32_t at)
{
	uint32_t end = entry->nr;

	if (entry->op != PVB_OP_CHANGED)
		end = min32(end, (at / PVB_PIECE + 1) * PVB_PIECE);
	return at + min32(end - at, work->budget);
}

/*
 * apply_entry() - apply the PTEs of @entry from *@at on, piece by piece.
 * Returns PVB_ST_PENDING when the call is to end within the entry.
 */
static enum pvb_status apply_entry(struct pvb_work *work, const struct pvb_entry *entry,
				   uint32_t *at)
{
	enum pvb_status status = PVB_ST_OK;
	uint32_t from = *at;

	while (status == PVB_ST_OK && *at < entry->nr) {
		if (*at != from && exhausted(work))
			return PVB_ST_PENDING;
		from = *at;
		status = pvb_apply(work, entry, at, piece_end(work, entry, from));
		if (entry->flags & PVB_ENT_RESULT)
			pvb_result_add(work, entry, from);
		if (*at != from) {
			charge(work, *at - from);
			work->hdr.applied += *at - from;
			pvb_table_changed(work, entry, from, *at - from);
		}
	}
	return status;
}

/*
 * run_entry() - apply @entry, which is good, from PTE *@at on.
 * @fault: set when guest memory that was there has gone.
 * Returns its status; PVB_ST_PENDING when the call is to end within it.
 */
static enum pvb_status run_entry(struct pvb_work *work, const struct pvb_entry *entry, uint32_t *at,
				 bool *fault)
{
	enum pvb_status status = pvb_table_use(work, entry);

	if (status != PVB_ST_OK)
		return status;
	if (!(entry->flags & PVB_ENT_RESULT))
		return apply_entry(work, entry, at);

	if (!pvb_result_open(work, entry, *at))
		return PVB_ST_BAD_RESULT;
	status = apply_entry(work, entry, at);
	if (pvb_result_close(work, entry))
		*fault = true;
	return status;
}

/*
 * run_singles() - apply and answer single-PTE entries of the mapped table, from @index of
 * the chunk on: @good of them, or fewer. Returns how many.
 */
static uint32_t run_singles(struct pvb_work *work, uint32_t index, uint32_t good)
{
	uint32_t nr;

	if (!work->shape.single || !work->ptes)
		return 0;
	nr = pvb_apply_singles(work, index, min32(min32(good, work->budget), PVB_PIECE));
	pvb_answer_singles(work, index, nr);
	charge(work, nr);
	work->hdr.applied += nr;
	return nr;
}

/*
 * run_chunk() - process the @nr entries of the chunk, the first from PTE *@at on.
 * Returns how many are answered; if fewer than @nr, *@at says how far the next one got.
 */
static uint32_t run_chunk(struct pvb_work *work, uint32_t nr, uint32_t *at, bool *fault)
{
	uint32_t i = 0, good = 0; /* entries from i on that are known to be good */

	while (i < nr && !*fault) {
		enum pvb_status status = PVB_ST_OK;
		uint32_t budget = work->budget, singles;

		if (i && unlikely(exhausted(work)))
			break;
		if (!good)
			good = pvb_validate_run(work, i, nr - i, &status);
		if (likely(good)) {
			singles = run_singles(work, i, good);
			i += singles;
			good -= singles;
			if (singles)
				continue;
			good--;
			status = run_entry(work, &work->vcpu->chunk[i], at, fault);
			if (unlikely(status == PVB_ST_PENDING))
				break;
		}
		if (unlikely(work->budget == budget))
			charge(work, 1); /* a refused entry is work, too */
		pvb_answer_entry(work, i++, status, *at);
		*at = 0;
	}
	return i;
}

/* call_end() - the entry before which the call ends at the latest. */
static uint32_t call_end(const struct pvb_work *work)
{
	uint32_t max = pvb_load(&work->vcpu->vm->max_entries);
	const struct pvb_batch_hdr *hdr = &work->hdr;

	return unlikely(max) ? hdr->start + min32(hdr->nr - hdr->start, max) : hdr->nr;
}

/* run_batch() - entries from the header's start on. Returns the call's result. */
static int64_t run_batch(struct pvb_work *work)
{
	struct pvb_batch_hdr *hdr = &work->hdr;
	uint32_t at = hdr->skip, stop = call_end(work);
	bool first = true, fault = false;

	while (hdr->done < stop) {
		uint32_t nr = min32(stop - hdr->done, PVB_CHUNK);
		uint32_t answered;

		if (!first && exhausted(work))
			return PVB_SUBMIT_PARTIAL;
		if (pvb_decode_chunk(work, hdr->done, nr))
			return first ? -PVB_EFAULT : PVB_SUBMIT_PARTIAL;
		if (first && pvb_validate_skip(work, &work->vcpu->chunk[0]))
			return -PVB_E2BIG;
		first = false;
		answered = run_chunk(work, nr, &at, &fault);
		if (pvb_complete_chunk(work, hdr->done, answered) || fault)
			return -PVB_EFAULT;
		work->entries += answered;
		hdr->done += answered;
		hdr->done_ptes = at;
		if (answered < nr)
			return PVB_SUBMIT_PARTIAL;
	}
	if (likely(stop == hdr->nr))
		return PVB_SUBMIT_DONE;
	pvb_store(&work->vcpu->limited, work->vcpu->limited + 1);
	return PVB_SUBMIT_PARTIAL;
}

/*
 * pvb_engine_submit() - process the batch in the calling vCPU's registered buffer.
 * Returns PVB_SUBMIT_DONE, PVB_SUBMIT_PARTIAL or -PVB_E*, as abi.h says.
 */
int64_t pvb_engine_submit(struct pvb_vcpu *vcpu)
{
	struct pvb_work work = {
		.vcpu = vcpu,
		.backend = vcpu->vm->backend,
		.features = pvb_load(&vcpu->vm->features),
		.buffer = vcpu->buffer,
		.bytes = vcpu->bytes,
		.budget = vcpu->vm->max_work,
		.shape.raw = ~0ULL, /* of no entry */
	};
	int64_t result;

	if (!work.bytes) {
		pvb_account(&work, -PVB_ENXIO);
		return -PVB_ENXIO;
	}
	result = pvb_decode_header(&work);
	if (!result)
		result = pvb_validate_header(&work);
	work.hdr.done = work.hdr.start;
	work.hdr.done_ptes = work.hdr.skip;
	if (!result)
		result = run_batch(&work);
	pvb_table_drop(&work);
	if (result == PVB_SUBMIT_DONE)
		pvb_flush(&work);
	return pvb_complete(&work, result);
}
