// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host engine, 5 of 5: complete - the answers, the result bitmaps, the counters.
 *
 * Before: flush.c. After: the guest, in guest/core's submit. Only OUT fields are
 * written to the guest's buffer, never a field of its own back.
 */
#include "stages.h"

/* result_gpa() - where the bitmaps of @entry lie in guest memory. */
static pvb_gpa_t result_gpa(const struct pvb_work *work, const struct pvb_entry *entry)
{
	return pvb_gpa_add(work->buffer, entry->result * 8ULL);
}

/*
 * pvb_result_open() - begin the bitmaps of @entry: empty, or in the middle of an entry
 * (@skip > 0) what the call before this one has left. False: they cannot be read.
 */
bool pvb_result_open(struct pvb_work *work, const struct pvb_entry *entry, uint32_t skip)
{
	uint32_t words = 2 * pvb_result_words(entry->nr);
	uint32_t i;

	if (skip)
		return !work->backend->read_guest(work->vcpu->ctx, result_gpa(work, entry),
						  work->result, words * 8);
	for (i = 0; i < words; i++)
		work->result[i] = 0;
	return true;
}

/* pvb_result_add() - add what the piece that holds PTE @at has seen. */
void pvb_result_add(struct pvb_work *work, const struct pvb_entry *entry, uint32_t at)
{
	uint32_t word = at / PVB_PIECE;

	work->result[word] |= work->seen.young;
	work->result[pvb_result_words(entry->nr) + word] |= work->seen.dirty;
}

/* pvb_result_close() - write both bitmaps of @entry. 0 or -PVB_EFAULT. */
int pvb_result_close(struct pvb_work *work, const struct pvb_entry *entry)
{
	uint32_t bytes = 2 * pvb_result_words(entry->nr) * 8;

	return work->backend->write_guest(work->vcpu->ctx, result_gpa(work, entry), work->result,
					  bytes) ?
		       -PVB_EFAULT :
		       0;
}

/* pvb_answer_entry() - entry @index of the chunk ended in @status after @done PTEs. */
void pvb_answer_entry(struct pvb_work *work, uint32_t index, enum pvb_status status, uint32_t done)
{
	work->answers[index] = pvb_answer(status, done);
	if (unlikely(status == PVB_ST_CONFLICT))
		work->hdr.conflicts++;
	else if (unlikely(status != PVB_ST_OK))
		work->hdr.refused++;
}

/* pvb_answer_singles() - @nr single-PTE entries from @index of the chunk on went well. */
void pvb_answer_singles(struct pvb_work *work, uint32_t index, uint32_t nr)
{
	uint64_t answer = pvb_answer(PVB_ST_OK, 1);
	uint64_t four = answer << 48 | answer << 32 | answer << 16 | answer;
	uint32_t i;

	/* Up to three too many: those are of entries yet to be answered. */
	for (i = 0; i < nr; i += PVB_ANSWERS_AT_ONCE)
		__builtin_memcpy(&work->answers[index + i], &four, sizeof(four));
}

/* pvb_complete_chunk() - write the answers of @nr entries from @first on. 0 or -PVB_EFAULT. */
int pvb_complete_chunk(struct pvb_work *work, uint32_t first, uint32_t nr)
{
	const struct pvb_backend *backend = work->backend;
	pvb_gpa_t gpa = pvb_entry_gpa(work, first);
	struct pvb_vcpu *vcpu = work->vcpu;
	const uint16_t *answer = work->answers;

	if (backend->write_answers)
		return backend->write_answers(vcpu->ctx, gpa, answer, nr) ? -PVB_EFAULT : 0;
	gpa = pvb_gpa_add(gpa, offsetof(struct pvb_entry, answer));
	for (; nr; nr--, answer++) {
		if (backend->write_guest(vcpu->ctx, gpa, answer, (uint32_t)sizeof(*answer)))
			return -PVB_EFAULT;
		gpa = pvb_gpa_add(gpa, sizeof(struct pvb_entry));
	}
	return 0;
}

/* count() - add to a counter that other threads may read meanwhile. */
static void count(uint64_t *counter, uint64_t n)
{
	if (n)
		pvb_store(counter, *counter + n);
}

/* pvb_account() - add one submission that ended in @result to the vCPU's counters. */
void pvb_account(struct pvb_work *work, int64_t result)
{
	struct pvb_host_stats *stats = &work->vcpu->stats;
	const struct pvb_batch_hdr *hdr = &work->hdr;

	count(&stats->calls, 1);
	if (result < 0) {
		count(&stats->failed, 1);
	} else if (result == PVB_SUBMIT_PARTIAL) {
		count(&stats->partial, 1);
	} else {
		count(&stats->batches, 1);
		count(&stats->hist[pvb_hist_bucket(hdr->nr)], 1);
	}
	count(&stats->entries, work->entries);
	count(&stats->applied, hdr->applied);
	count(&stats->carried_a, work->seen.carried_a);
	count(&stats->carried_d, work->seen.carried_d);
	count(&stats->conflicts, hdr->conflicts);
	count(&stats->refused, hdr->refused);
}

/*
 * pvb_complete() - write the header's answer and count. @result: the call's so far.
 *
 * hdr.done and hdr.done_ptes are in place. Returns the result for the guest, which is
 * @result unless the answer cannot be written.
 */
int64_t pvb_complete(struct pvb_work *work, int64_t result)
{
	struct pvb_batch_hdr *hdr = &work->hdr;
	pvb_gpa_t gpa = pvb_gpa_add(work->buffer, PVB_HDR_IN_BYTES);

	hdr->status = (int32_t)result;
	hdr->carried = work->seen.carried;
	hdr->reserved2 = 0;
	if (work->backend->write_guest(work->vcpu->ctx, gpa, &hdr->status,
				       (uint32_t)sizeof(*hdr) - PVB_HDR_IN_BYTES))
		result = -PVB_EFAULT;
	pvb_account(work, result);
	return result;
}
