/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: beside the host engine - recording what goes through it: what a guest submits, the
 * PTEs that it names, what is answered, as records (pvbatch/trace.h) in a ring.
 *
 *   doorbell -> pvb_record_before() -> engine -> pvb_record_after() -> pvb_ring_put()
 *
 * The engine has no part in it and decides by its own copy of the batch (law 7); what is
 * read here decides nothing. Compiled into KVM and into the VMM: no libc, no allocation, no
 * lock. Whoever calls serialises what is done to one ring.
 */
#ifndef PVB_RECORD_H
#define PVB_RECORD_H

#include <pvbatch/engine.h>
#include <pvbatch/trace.h>

/* struct pvb_ring - records on their way to a reader. */
struct pvb_ring {
	char *data; /* NULL: nobody records */
	uint64_t bytes; /* a power of two, more than TRACE_MAX_BYTES */
	uint64_t head, tail; /* bytes put in and taken out since the start */
	uint64_t batches, dropped;
	bool ended;
};

/* pvb_ring_begin() - an empty ring in @data, with the record that a stream begins with. */
void pvb_ring_begin(struct pvb_ring *ring, char *data, uint64_t bytes,
		    const struct trace_machine *machine);
/*
 * pvb_ring_put() - a record of a batch, or, if there is no room, a record less, which is
 * counted; the count goes into the stream as soon as there is room for it (@now_ns).
 */
void pvb_ring_put(struct pvb_ring *ring, const struct trace_batch *batch, uint64_t now_ns);
/* pvb_ring_end() - the last records. Whoever is recording right now comes too late. */
void pvb_ring_end(struct pvb_ring *ring, uint64_t now_ns);
/* pvb_ring_peek() - the next contiguous bytes; when they are taken, they are added to tail. */
uint64_t pvb_ring_peek(const struct pvb_ring *ring, const char **src);

static inline uint64_t pvb_ring_used(const struct pvb_ring *ring)
{
	return ring->head - ring->tail;
}

/* From how much on it is worth waking the reader. */
static inline uint64_t pvb_ring_wake_bytes(const struct pvb_ring *ring)
{
	return ring->bytes / 8;
}

/*
 * Read @nr PTEs, aligned and of one page, at @gpa, each at once. False: there is no memory.
 */
typedef bool (*pvb_read_ptes)(void *ctx, pvb_gpa_t gpa, uint64_t *ptes, uint32_t nr);

/*
 * pvb_record_before() - before the engine's PVB_CALL_SUBMIT, on the vCPU's thread: the
 * header; with @entries also the entries and their PTEs. @batch: room for TRACE_MAX_BYTES.
 */
void pvb_record_before(struct pvb_vcpu *vcpu, struct trace_batch *batch, bool entries,
		       pvb_read_ptes read_ptes);
/* pvb_record_after() - after it: the answers. Time and vCPU are the caller's to fill in. */
void pvb_record_after(struct pvb_vcpu *vcpu, struct trace_batch *batch, int64_t result);

#endif /* PVB_RECORD_H */
