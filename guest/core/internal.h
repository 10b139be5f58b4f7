/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: guest core - what its files share and nobody else uses.
 *
 *   queue.c -> submit.c -> answer.c      the way of a batch
 *      |                      |
 *      `-----> direct.c <-----'          writes without the host
 *   interrupt.c                          around the queue
 */
#ifndef PVBATCH_GUEST_INTERNAL_H
#define PVBATCH_GUEST_INTERNAL_H

#include <pvbatch/guest.h>

/* A run's own words of result bitmaps, at most: young and dirty of 512 PTEs. */
#define PVB_RESULT_BYTES (2 * PVB_PTES_PER_TABLE / 8)

/* One operation over a run, as handed in. */
struct pvb_request {
	enum pvb_op op;
	uint8_t flags;
	uint32_t nr;
	uint64_t *ptep;
	uint64_t old;
	uint64_t new;
};

/* A flush as it goes into a batch header. */
struct pvb_flush_arg {
	enum pvb_flush type;
	uint16_t flags;
	pvb_gva_t va;
	uint32_t pages;
};

static inline struct pvb_entry *pvb_entries(const struct pvb_cpu *c)
{
	return (struct pvb_entry *)(c->buffer + 1);
}

/* Index of a PTE in its table. */
static inline uint32_t pvb_slot(uint64_t address)
{
	return (address % PVB_PAGE_SIZE) / sizeof(uint64_t);
}

static inline bool pvb_interrupted(const struct pvb_cpu *c)
{
	const struct pvb_guest_ops *ops = c->guest->ops;

	return ops->in_interrupt && ops->in_interrupt();
}

/*
 * pvb_commit_entry() - the guest's own exchange of one entry, under the A/D law. *@cur:
 * what the entry was. false: a conflict, and the entry is left as it is.
 */
static inline __attribute__((always_inline)) bool
pvb_commit_entry(uint64_t *ptep, uint64_t old, uint64_t new, uint64_t soft, uint64_t *cur)
{
	uint64_t result;

	*cur = pvb_load64(ptep);
	do {
		if (pvb_unlikely(pvb_merge_conflict(old, *cur, soft)))
			return false;
		result = pvb_merge_commit(old, new, *cur, soft);
	} while (pvb_unlikely(!pvb_cmpxchg64(ptep, cur, result)));
	return true;
}

/* direct.c */

/*
 * pvb_direct() - carry out @req on the guest's own entries, under the A/D law. A and D
 * of what was exchanged go to @map, if not NULL. Counts what was carried and left
 * untouched in @stats. Returns the number of PTEs left untouched; *@live (may be NULL)
 * says whether any entry that the hardware may know has changed.
 */
uint32_t pvb_direct(struct pvb_cpu *c, struct pvb_guest_stats *stats, const struct pvb_request *req,
		    struct pvb_ad_map *map, bool *live);
void pvb_own_flush(struct pvb_cpu *c, struct pvb_guest_stats *stats,
		   const struct pvb_flush_arg *flush);

/* submit.c */

/*
 * pvb_call_submit() - submit @nr entries that are in the buffer, until all are answered.
 * @start, @skip: how far it got. Returns 0 or -PVB_E*.
 */
int64_t pvb_call_submit(struct pvb_cpu *c, struct pvb_guest_stats *stats,
			const struct pvb_flush_arg *flush, uint32_t nr, uint32_t *start,
			uint32_t *skip);
/* The host's support is gone: this CPU works directly from now on, the guest is told once. */
void pvb_lose_host(struct pvb_cpu *c, int64_t error);
bool pvb_error_is_loss(int64_t error);

/* answer.c */

struct pvb_outcome {
	bool repaired; /* something was written directly, after the host's flush */
	bool unsynced; /* the host refused to synchronise something */
};

/*
 * pvb_take_answers() - evaluate the answers of a batch and repair what the host did not
 * do. Entries before @start, and the first @skip PTEs of that, are answered. Leaves in
 * the queue what is to be submitted again.
 */
void pvb_take_answers(struct pvb_cpu *c, uint32_t start, uint32_t skip,
		      struct pvb_outcome *outcome);

/* interrupt.c: the registered buffer, borrowed for one call */

void pvb_interrupt_changed(struct pvb_cpu *c, uint64_t *ptep, uint32_t nr);
void pvb_interrupt_flush(struct pvb_cpu *c, const struct pvb_flush_arg *flush);

#endif /* PVBATCH_GUEST_INTERNAL_H */
