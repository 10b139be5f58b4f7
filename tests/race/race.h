/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests, the race - threads as hardware against batches; what they share.
 *
 *   race_ad.c    the machine, the threads, the verdict
 *   committer.c  a guest CPU that changes its page table by batches
 *   walker.c     a CPU that reads and writes through it, and one that lies
 */
#ifndef RACE_H
#define RACE_H

#include <inproc/inproc.h>

#define COMMITTERS 2U
#define WALKERS 3U
#define TABLE_PAGES 96U /* a committer's pages: few, so that they meet; */
#define FIRST_SLOT 208U /* in the middle of a table of its own */
#define PAGES (COMMITTERS * TABLE_PAGES)
#define BUFFER 32768U
#define RESULT_AT 28672U

#define LIE_BIT 57U /* hardware and guest leave it alone: a conflict */
#define SOFT_BIT 10U /* declared soft (PVB_ENT_SOFT1): no conflict */

struct race {
	struct pvb_inproc *host;
	pvb_gpa_t root;
	uint64_t data; /* gpa of the first data page; they follow each other */
	bool liars; /* a thread changes LIE_BIT and SOFT_BIT */
	uint64_t target; /* commits that each committer is to do */
	uint32_t stop; /* atomic: walkers and liars end */
	/* Of each committer's table: counts up when a mkold and its flush are over. Atomic. */
	uint64_t epoch[COMMITTERS];
	/* Epoch at which the walker last set A by a walk of the page. Atomic. */
	uint64_t ledger[WALKERS][PAGES];
	uint64_t lies[PAGES]; /* the liar's own: LIE_BIT and SOFT_BIT as they must be */
};

struct committer {
	struct race *race;
	unsigned int id;
	struct pvb_inproc_vcpu *cpu;
	struct pvb_batch_hdr *hdr;
	struct pvb_entry *entries;
	uint64_t *results;
	uint64_t *ptes;
	uint64_t random;
	uint64_t backup[TABLE_PAGES]; /* what the pages held when last seen dirty */
	/* Outcome: */
	uint64_t commits; /* PTEs that a commit has written */
	uint64_t carried; /* of these, with A or D carried */
	uint64_t conflicts;
	uint64_t lost_a; /* walked since the last mkold, and not young: must stay 0 */
	uint64_t copied; /* pages copied because they were dirty */
	uint64_t errors; /* answers that must not be */
};

struct walker {
	struct race *race;
	unsigned int id;
	struct pvb_inproc_vcpu *cpu;
	uint64_t writes;
	uint64_t faults;
};

/* Threads: their argument is the struct above, for liars a struct race. */
void *committer_run(void *arg);
void *walker_run(void *arg);
void *liar_run(void *arg);

/* One last cleaning, when nothing else runs: all that is dirty has been copied after it. */
void committer_finish(struct committer *committer);

static inline uint64_t race_va(uint32_t page)
{
	uint64_t table = page / TABLE_PAGES, slot = FIRST_SLOT + page % TABLE_PAGES;

	return (table * PVB_PTES_PER_TABLE + slot) << PVB_PAGE_SHIFT;
}

static inline uint64_t race_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL >> 32;
}

#endif /* RACE_H */
