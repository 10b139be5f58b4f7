// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: beside the host engine - the ring that records wait in for their reader. A record
 * for which there is no room is counted, and the count goes into the stream.
 */
#include "record.h"

/* There is room. */
static void put(struct pvb_ring *ring, const void *src, uint64_t bytes)
{
	uint64_t at = ring->head & (ring->bytes - 1);
	uint64_t first = ring->bytes - at;

	if (first > bytes)
		first = bytes;
	__builtin_memcpy(ring->data + at, src, first);
	__builtin_memcpy(ring->data, (const char *)src + first, bytes - first);
	ring->head += bytes;
}

static void put_count(struct pvb_ring *ring, enum trace_kind kind, uint64_t count, uint64_t now_ns)
{
	struct trace_count record = {
		.record = { .bytes = sizeof(record), .kind = (uint16_t)kind, .time_ns = now_ns },
		.count = count
	};

	put(ring, &record, sizeof(record));
}

/* Say what was dropped, if there is room for that and @bytes more. */
static bool make_room(struct pvb_ring *ring, uint64_t bytes, uint64_t now_ns)
{
	/* pvb_ring_end() must never be without room for two more. */
	if (ring->bytes - pvb_ring_used(ring) < bytes + 3 * sizeof(struct trace_count))
		return false;
	if (ring->dropped)
		put_count(ring, TRACE_DROPPED, ring->dropped, now_ns);
	ring->dropped = 0;
	return true;
}

void pvb_ring_begin(struct pvb_ring *ring, char *data, uint64_t bytes,
		    const struct trace_machine *machine)
{
	*ring = (struct pvb_ring){ .data = data, .bytes = bytes };
	put(ring, machine, sizeof(*machine));
}

void pvb_ring_put(struct pvb_ring *ring, const struct trace_batch *batch, uint64_t now_ns)
{
	if (!ring->data || ring->ended)
		return;
	if (make_room(ring, batch->record.bytes, now_ns)) {
		put(ring, batch, batch->record.bytes);
		ring->batches++;
	} else {
		ring->dropped++;
	}
}

void pvb_ring_end(struct pvb_ring *ring, uint64_t now_ns)
{
	if (!ring->data || ring->ended)
		return;
	if (ring->dropped)
		put_count(ring, TRACE_DROPPED, ring->dropped, now_ns);
	ring->dropped = 0;
	put_count(ring, TRACE_END, ring->batches, now_ns);
	ring->ended = true;
}

uint64_t pvb_ring_peek(const struct pvb_ring *ring, const char **src)
{
	uint64_t at = ring->tail & (ring->bytes - 1);
	uint64_t bytes = pvb_ring_used(ring);

	*src = ring->data + at;
	return bytes < ring->bytes - at ? bytes : ring->bytes - at;
}
