/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: protocol, beside the contract - what is recorded of each batch: the records that a
 * host streams to whoever asked for them (hypervisor/record makes them, for the VMM and for
 * KVM's handler), and that the recorder keeps in a file (hypervisor/agent/trace_file.h).
 * docs/trace.md explains.
 *
 * Little-endian, sizes are multiples of 8. A record is a struct trace_record and, as its kind
 * says, more.
 */
#ifndef PVBATCH_TRACE_H
#define PVBATCH_TRACE_H

#include <pvbatch/abi.h>

enum trace_kind {
	TRACE_MACHINE = 1, /* struct trace_machine; the first of a stream */
	TRACE_BATCH = 2, /* struct trace_batch, its entries, its PTEs */
	TRACE_DROPPED = 3, /* struct trace_count: records that did not fit since the last one */
	TRACE_END = 4, /* struct trace_count: the batches recorded; the stream is complete */
};

struct trace_record {
	uint32_t bytes; /* of the record, this header included */
	uint16_t kind; /* enum trace_kind */
	uint16_t vcpu;
	uint64_t time_ns; /* CLOCK_MONOTONIC, at the record's beginning */
};

struct trace_machine {
	struct trace_record record;
	uint32_t version; /* of this format */
	uint32_t phys_bits;
	uint32_t max_work;
	uint32_t vcpus;
	char name[32];
};

#define TRACE_VERSION 1U

struct trace_count {
	struct trace_record record;
	uint64_t count;
};

/* trace_batch::flags */
#define TRACE_ENTRIES 1U /* the entries follow */
#define TRACE_PTES 2U /* and the PTEs that they named, as they were before */

/*
 * struct trace_batch - one PVB_CALL_SUBMIT.
 *
 * With TRACE_ENTRIES the header's start to nr entries follow, with their answers. With
 * TRACE_PTES, after them, nr_runs struct trace_ptes: the values of all PTEs of all entries
 * for which trace_has_ptes(), in order.
 */
struct trace_batch {
	struct trace_record record;
	int32_t result;
	uint32_t duration_ns;
	uint64_t features; /* negotiated */
	uint32_t buffer_bytes; /* registered */
	uint32_t flags;
	uint32_t nr_entries;
	uint32_t nr_runs;
	struct pvb_batch_hdr hdr; /* IN as it was before the call, OUT as after it */
};

/* A run of PTEs whose values follow each other. */
struct trace_ptes {
	uint64_t first;
	uint32_t nr;
	uint32_t how; /* enum trace_ptes_how */
};

enum trace_ptes_how {
	TRACE_PTES_SAME = 0, /* all are first */
	TRACE_PTES_PFN = 1, /* each is the one before plus a page */
	TRACE_PTES_NONE = 2, /* there is no memory */
};

/* Entries whose PTEs nobody looks at: named alone, or refused before. */
static inline bool trace_has_ptes(const struct pvb_entry *entry)
{
	return entry->op != PVB_OP_CHANGED && entry->nr <= PVB_PTES_PER_TABLE;
}

/* Beyond that a batch is recorded without its PTEs. */
#define TRACE_MAX_RUNS 4096U
#define TRACE_MAX_BYTES \
	(sizeof(struct trace_batch) + PVB_BUFFER_MAX + TRACE_MAX_RUNS * sizeof(struct trace_ptes))

PVB_ASSERT(sizeof(struct trace_record) == 16);
PVB_ASSERT(sizeof(struct trace_machine) == 64);
PVB_ASSERT(sizeof(struct trace_batch) == 112);
PVB_ASSERT_AT(trace_batch, hdr, 48);
PVB_ASSERT(sizeof(struct trace_ptes) == 16);

#endif /* PVBATCH_TRACE_H */
