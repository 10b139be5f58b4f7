/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - what the vCPUs of the race know of their own accesses, kept apart
 * from the page tables, so that a lost Accessed or Dirty bit shows.
 *
 * A worker numbers its writes. Before write n it publishes intent = n, after it done = n;
 * likewise for reads. The auditor cleans a page (clears A and D, flush included) again and
 * again, and between two cleanings k and k+1 it holds:
 *
 *   floor = intent, read after the flush of cleaning k was over
 *   reach = done, read before cleaning k+1 began
 *
 * If reach > floor, a write began after the flush of k and had ended before k+1. No TLB
 * held a dirty translation of the page when it began, so hardware has set D in the entry
 * since; and nothing but cleaning k+1 may have cleared it. So k+1 reports the page dirty,
 * or leaves it dirty. If neither is so, D was lost, and with it the content of a page that
 * a migration or a swap device would have had to copy. Writes that overlap a cleaning are
 * left out, as both answers are right for them: there are no false alarms. For A the same
 * holds with reads and writes.
 */
#ifndef DEMO_LEDGER_H
#define DEMO_LEDGER_H

#include <pvbatch/types.h>

/* One worker's account of one kind of access to one page. */
struct ledger {
	uint64_t intent; /* worker */
	uint64_t done; /* worker */
	uint64_t floor; /* auditor */
	uint64_t reach; /* auditor */
};

struct page_ledger {
	struct ledger writes;
	struct ledger reads;
};

/* What the workers count. */
struct race_totals {
	uint64_t writes;
	uint64_t reads;
	uint64_t faults; /* page faults on read-only pages, waited out */
	uint64_t spurious; /* of these, on pages that the entry said are writable */
};

/*
 * race_workers_start() - CPUs 1 to options.vcpus - 1 begin to read and write the pages of
 * the workload area, most of the time those of the table that race_focus() names.
 */
void race_workers_start(void);
void race_workers_stop(void);
void race_focus(uint32_t first_page, uint32_t pages);
void race_totals(struct race_totals *totals);

/*
 * race_pace() - paced, the workers stand still but for a few accesses at each
 * race_progress(); else they run as they can. Both are needed: a worker that runs freely
 * while the auditor has no CPU leaves no page clean, so there is nothing to set anew.
 */
void race_pace(bool pace);

/* race_progress() - wait, not for ever, until the workers have done some accesses. */
void race_progress(void);

/* The auditor's side, for pages from @first on, before and after a cleaning. */
void ledger_reach(uint32_t first, uint32_t nr);
void ledger_floor(uint32_t first, uint32_t nr);
/* Did an access begin and end between two cleanings? */
bool ledger_written(uint32_t page);
bool ledger_accessed(uint32_t page);

/* ledger_check_content() - does every page hold what its writers wrote last? Returns errors. */
uint64_t ledger_check_content(void);

#endif /* DEMO_LEDGER_H */
