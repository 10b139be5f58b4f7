// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: beside the host engine - the record of one batch: what the guest submits and the
 * PTEs it names, read before the engine's call, and the answers after it.
 */
#include "record.h"

#define HDR_IN_BYTES ((uint32_t)offsetof(struct pvb_batch_hdr, status))
#define PIECE 64U /* PTEs read at once */
#define ANSWERS 16U /* entries */

static pvb_gpa_t after(pvb_gpa_t gpa, uint64_t bytes)
{
	return pvb_gpa(pvb_gpa_raw(gpa) + bytes);
}

static bool read_guest(struct pvb_vcpu *vcpu, pvb_gpa_t at, void *dst, uint32_t bytes)
{
	return !vcpu->vm->backend->read_guest(vcpu->ctx, at, dst, bytes);
}

struct ptes {
	struct trace_ptes *runs;
	uint32_t nr;
	bool full;
};

static void add_pte(struct ptes *ptes, uint64_t value, bool there)
{
	struct trace_ptes *run = ptes->nr ? &ptes->runs[ptes->nr - 1] : NULL;
	uint32_t how = there ? TRACE_PTES_SAME : TRACE_PTES_NONE;

	if (run && there && run->nr == 1 && run->how == TRACE_PTES_SAME &&
	    value == run->first + PVB_PAGE_SIZE)
		run->how = TRACE_PTES_PFN;
	if (run &&
	    (run->how == TRACE_PTES_PFN ? there && value == run->first + run->nr * PVB_PAGE_SIZE :
					  run->how == how && run->first == value)) {
		run->nr++;
		return;
	}
	if (ptes->nr == TRACE_MAX_RUNS) {
		ptes->full = true;
		return;
	}
	ptes->runs[ptes->nr++] = (struct trace_ptes){ .first = value, .nr = 1, .how = how };
}

static void add_entry(struct pvb_vcpu *vcpu, const struct pvb_entry *entry, struct ptes *ptes,
		      pvb_read_ptes read_ptes)
{
	uint64_t values[PIECE];
	uint32_t at = 0, nr, i;

	if (entry->nr == 1) { /* of which there are many in a batch, or none */
		bool there = !(entry->pte_gpa % 8) &&
			     read_ptes(vcpu->ctx, pvb_gpa(entry->pte_gpa), values, 1);

		add_pte(ptes, there ? values[0] : 0, there);
		return;
	}
	while (at < entry->nr && !ptes->full) {
		uint64_t gpa = entry->pte_gpa + at * 8ULL;
		uint32_t room = (uint32_t)((PVB_PAGE_SIZE - gpa % PVB_PAGE_SIZE) / 8);
		bool there;

		nr = entry->nr - at < PIECE ? entry->nr - at : PIECE;
		nr = room && room < nr ? room : nr;
		there = !(gpa % 8) && read_ptes(vcpu->ctx, pvb_gpa(gpa), values, nr);
		for (i = 0; i < nr; i++)
			add_pte(ptes, there ? values[i] : 0, there);
		at += nr;
	}
}

void pvb_record_before(struct pvb_vcpu *vcpu, struct trace_batch *batch, bool entries,
		       pvb_read_ptes read_ptes)
{
	struct pvb_batch_hdr *hdr = &batch->hdr;
	struct pvb_entry *entry = (struct pvb_entry *)(batch + 1);
	struct ptes ptes = { 0 };
	pvb_gpa_t at = vcpu->buffer;
	uint32_t i;

	*batch = (struct trace_batch){ .record = { .kind = TRACE_BATCH } };
	batch->features = __atomic_load_n(&vcpu->vm->features, __ATOMIC_RELAXED);
	batch->buffer_bytes = vcpu->bytes;
	if (!vcpu->bytes || !read_guest(vcpu, at, hdr, HDR_IN_BYTES))
		return;
	if (!entries || hdr->start > hdr->nr || hdr->nr > PVB_MAX_ENTRIES(vcpu->bytes))
		return;
	at = after(at, sizeof(*hdr) + hdr->start * sizeof(*entry));
	if (!read_guest(vcpu, at, entry, (hdr->nr - hdr->start) * (uint32_t)sizeof(*entry)))
		return;
	batch->nr_entries = hdr->nr - hdr->start;
	batch->flags = TRACE_ENTRIES;
	ptes.runs = (struct trace_ptes *)(entry + batch->nr_entries);
	for (i = 0; i < batch->nr_entries && !ptes.full; i++)
		if (trace_has_ptes(&entry[i]))
			add_entry(vcpu, &entry[i], &ptes, read_ptes);
	if (ptes.full)
		return;
	batch->flags |= TRACE_PTES;
	batch->nr_runs = ptes.nr;
}

/* read_answers() - a few entries at a time; of them the answers alone are recorded. */
static void read_answers(struct pvb_vcpu *vcpu, struct trace_batch *batch)
{
	struct pvb_entry *entry = (struct pvb_entry *)(batch + 1), now[ANSWERS];
	pvb_gpa_t at = after(vcpu->buffer, sizeof(batch->hdr) + batch->hdr.start * sizeof(*entry));
	uint32_t done = 0, nr, i;

	for (; done < batch->nr_entries; done += nr) {
		nr = batch->nr_entries - done < ANSWERS ? batch->nr_entries - done : ANSWERS;
		if (!read_guest(vcpu, after(at, done * sizeof(*entry)), now,
				nr * (uint32_t)sizeof(*entry)))
			return;
		for (i = 0; i < nr; i++)
			entry[done + i].answer = now[i].answer;
	}
}

void pvb_record_after(struct pvb_vcpu *vcpu, struct trace_batch *batch, int64_t result)
{
	struct pvb_batch_hdr *hdr = &batch->hdr;

	batch->result = (int32_t)result;
	batch->record.bytes =
		(uint32_t)(sizeof(*batch) + batch->nr_entries * sizeof(struct pvb_entry) +
			   batch->nr_runs * sizeof(struct trace_ptes));
	if (!vcpu->bytes)
		return;
	read_guest(vcpu, after(vcpu->buffer, HDR_IN_BYTES), &hdr->status,
		   (uint32_t)sizeof(*hdr) - HDR_IN_BYTES);
	read_answers(vcpu, batch);
}
