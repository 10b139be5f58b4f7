/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: host agent - a file of recorded batches: records of pvbatch/trace.h in blocks.
 *
 * A block has a length and a checksum and is written at once, so that a file whose recorder
 * or machine died is readable up to the last block that was written. The last record of a
 * complete file is TRACE_END.
 */
#ifndef PVB_AGENT_TRACE_FILE_H
#define PVB_AGENT_TRACE_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include <pvbatch/trace.h>

#define TRACE_FILE_MAGIC "PVBTRACE"
#define TRACE_BLOCK_MAGIC 0x4b425650U /* "PVBK" */
#define TRACE_BLOCK_MAX (1U << 20) /* bytes of records in one */

struct trace_file_head {
	char magic[8];
	uint32_t version; /* TRACE_VERSION */
	uint32_t reserved; /* 0 */
};

struct trace_block {
	uint32_t magic;
	uint32_t bytes; /* of whole records that follow */
	uint32_t crc; /* crc32() of them */
	uint32_t sequence; /* from 0 */
};

/* trace_block_seal() - fill in the head of a block of @bytes of records. */
void trace_block_seal(struct trace_block *block, const void *records, uint32_t bytes,
		      uint32_t sequence);

enum trace_state {
	TRACE_COMPLETE, /* to the recorded end */
	TRACE_CUT, /* it ends before: the recorder died, or is still at it */
	TRACE_DAMAGED, /* a block is not what was written */
	TRACE_NONE /* not a trace of this version */
};

struct trace_totals {
	enum trace_state state;
	uint64_t blocks, bytes; /* read well; bytes of the file */
	uint64_t batches, dropped;
	uint64_t recorded; /* what TRACE_END says */
};

/*
 * trace_read() - call @record for each record of a file, all of it untrusted: a record that
 * is handed on is consistent in itself (trace_record_good()). Stops where @record returns
 * false. Returns 0, or -ENOMEM, -EIO.
 */
int trace_read(FILE *file, bool (*record)(void *ctx, const struct trace_record *record), void *ctx,
	       struct trace_totals *totals);

/* trace_record_good() - are a record of at most @bytes and what it says of itself possible? */
bool trace_record_good(const struct trace_record *record, size_t bytes);

static inline const struct pvb_entry *trace_entries(const struct trace_batch *batch)
{
	return (const struct pvb_entry *)(batch + 1);
}

static inline const struct trace_ptes *trace_runs(const struct trace_batch *batch)
{
	return (const struct trace_ptes *)(trace_entries(batch) + batch->nr_entries);
}

#endif /* PVB_AGENT_TRACE_FILE_H */
