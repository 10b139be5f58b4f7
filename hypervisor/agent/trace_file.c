// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - reading and checking files of recorded batches.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <agent/trace_file.h>

void trace_block_seal(struct trace_block *block, const void *records, uint32_t bytes,
		      uint32_t sequence)
{
	block->magic = TRACE_BLOCK_MAGIC;
	block->bytes = bytes;
	block->crc = (uint32_t)crc32(0, records, bytes);
	block->sequence = sequence;
}

/* The PTEs must be those that the entries name. */
static bool ptes_good(const struct trace_batch *batch)
{
	const struct pvb_entry *entries = trace_entries(batch);
	const struct trace_ptes *runs = trace_runs(batch);
	uint64_t named = 0, given = 0;

	for (uint32_t i = 0; i < batch->nr_entries; i++)
		if (trace_has_ptes(&entries[i]))
			named += entries[i].nr;
	for (uint32_t i = 0; i < batch->nr_runs; i++) {
		if (!runs[i].nr || runs[i].how > TRACE_PTES_NONE)
			return false;
		given += runs[i].nr;
	}
	return named == given;
}

static bool batch_good(const struct trace_batch *batch)
{
	const struct pvb_batch_hdr *hdr = &batch->hdr;
	uint64_t bytes = sizeof(*batch);

	if (batch->nr_entries > PVB_MAX_ENTRIES(PVB_BUFFER_MAX) ||
	    batch->nr_runs > TRACE_MAX_RUNS || batch->flags & ~(TRACE_ENTRIES | TRACE_PTES) ||
	    batch->buffer_bytes > PVB_BUFFER_MAX)
		return false;
	bytes += batch->nr_entries * sizeof(struct pvb_entry);
	bytes += batch->nr_runs * sizeof(struct trace_ptes);
	if (bytes != batch->record.bytes)
		return false;
	if (!(batch->flags & TRACE_ENTRIES))
		return !batch->nr_entries && !batch->nr_runs && !(batch->flags & TRACE_PTES);
	if (hdr->start > hdr->nr || hdr->nr - hdr->start != batch->nr_entries ||
	    batch->buffer_bytes < PVB_BUFFER_MIN || hdr->nr > PVB_MAX_ENTRIES(batch->buffer_bytes))
		return false;
	return batch->flags & TRACE_PTES ? ptes_good(batch) : !batch->nr_runs;
}

bool trace_record_good(const struct trace_record *record, size_t bytes)
{
	const struct trace_machine *machine = (const struct trace_machine *)record;

	if (bytes < sizeof(*record) || record->bytes > bytes || record->bytes % 8)
		return false;
	switch (record->kind) {
	case TRACE_MACHINE:
		return record->bytes == sizeof(*machine) &&
		       !machine->name[sizeof(machine->name) - 1];
	case TRACE_BATCH:
		return record->bytes >= sizeof(struct trace_batch) &&
		       batch_good((const struct trace_batch *)record);
	case TRACE_DROPPED:
	case TRACE_END:
		return record->bytes == sizeof(struct trace_count);
	}
	return false;
}

struct reader {
	bool (*record)(void *ctx, const struct trace_record *record);
	void *ctx;
	struct trace_totals *totals;
	bool ended;
};

/* The records of one block. False: enough. */
static bool read_records(struct reader *reader, const char *at, size_t bytes)
{
	while (bytes) {
		const struct trace_record *record = (const struct trace_record *)at;

		if (reader->ended || !trace_record_good(record, bytes)) {
			reader->totals->state = TRACE_DAMAGED;
			return false;
		}
		if (record->kind == TRACE_BATCH)
			reader->totals->batches++;
		else if (record->kind == TRACE_DROPPED)
			reader->totals->dropped += ((const struct trace_count *)record)->count;
		else if (record->kind == TRACE_END)
			reader->totals->recorded = ((const struct trace_count *)record)->count;
		reader->ended = record->kind == TRACE_END;
		if (!reader->record(reader->ctx, record))
			return false;
		at += record->bytes;
		bytes -= record->bytes;
	}
	return true;
}

/* The next block into @records. False: there is none; the state says why. */
static bool read_block(struct reader *reader, FILE *file, void *records, uint32_t *bytes)
{
	struct trace_totals *totals = reader->totals;
	struct trace_block block;
	size_t got = fread(&block, 1, sizeof(block), file);

	if (!got && feof(file)) {
		totals->state = reader->ended ? TRACE_COMPLETE : TRACE_CUT;
		return false;
	}
	totals->state = TRACE_CUT;
	if (got != sizeof(block))
		return false;
	totals->state = TRACE_DAMAGED;
	if (block.magic != TRACE_BLOCK_MAGIC || !block.bytes || block.bytes > TRACE_BLOCK_MAX ||
	    block.sequence != (uint32_t)totals->blocks)
		return false;
	if (fread(records, 1, block.bytes, file) != block.bytes) {
		totals->state = TRACE_CUT;
		return false;
	}
	if (crc32(0, records, block.bytes) != block.crc)
		return false;
	totals->blocks++;
	totals->bytes += sizeof(block) + block.bytes;
	*bytes = block.bytes;
	return true;
}

int trace_read(FILE *file, bool (*record)(void *ctx, const struct trace_record *record), void *ctx,
	       struct trace_totals *totals)
{
	struct reader reader = { .record = record, .ctx = ctx, .totals = totals };
	struct trace_file_head head;
	uint32_t bytes = 0;
	void *records;

	memset(totals, 0, sizeof(*totals));
	totals->state = TRACE_NONE;
	if (fread(&head, 1, sizeof(head), file) != sizeof(head) ||
	    memcmp(head.magic, TRACE_FILE_MAGIC, sizeof(head.magic)) ||
	    head.version != TRACE_VERSION)
		return ferror(file) ? -EIO : 0;
	totals->bytes = sizeof(head);
	records = malloc(TRACE_BLOCK_MAX);
	if (!records)
		return -ENOMEM;
	while (read_block(&reader, file, records, &bytes) && read_records(&reader, records, bytes))
		;
	free(records);
	return ferror(file) ? -EIO : 0;
}
