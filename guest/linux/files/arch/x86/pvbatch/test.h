/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: Linux guest, tests - what the KUnit suites share.
 *
 *   test_area.c  pages mapped by the kernel, for tests to change
 *   test_spy.c   sees, and answers if it is to, what goes to the host
 *   test.c       suite pvbatch: what hardware does after changes and flushes
 *   test_told.c  suite pvbatch_told: what the host is told and when, in guest-apply mode
 *   test_mm.c    suite pvbatch_mm: the same of what processes do
 *   test_gone.c  suite pvbatch_gone: calls that fail, a host that goes, CPUs that do
 *   test_host.c  suite pvbatch_host: host-apply mode
 */
#ifndef _PVBATCH_TEST_H
#define _PVBATCH_TEST_H

#include <kunit/test.h>

#include "pvbatch.h"

/* Three leaf tables at least. */
#define PAGES 1200U

struct fixture {
	struct page *pages[PAGES];
	void *area;
};

/* The suites' init: test->priv is a struct fixture whose pages are all present, A, D, W. */
int pvbatch_test_init(struct kunit *test);
void pvbatch_test_exit(struct kunit *test);

bool area_reads(const void *at);
bool area_writes(void *at);
void *area_page(const struct fixture *f, unsigned int i);
pte_t *area_pte(const struct fixture *f, unsigned int i);
void area_flush(const struct fixture *f, unsigned int first, unsigned int nr);
/* The first of @nr pages from @first on whose entries are in one table. */
unsigned int area_run(const struct fixture *f, unsigned int first, unsigned int nr);
/* W is taken away: at once; in a transaction. */
void area_wrprotect(const struct fixture *f, unsigned int i);
void area_protect(const struct fixture *f, unsigned int i);

/* What the spy answers in the host's place. */
enum spy_host {
	SPY_HOST, /* what the host says */
	SPY_BUSY, /* batches: -PVB_EAGAIN, on spy->cpus */
	SPY_GONE, /* everything: -PVB_EPERM; ends of registrations are let through */
};

/* A call to the host. Of a batch @nr runs were handed over, spy->runs[first] and on. */
struct spied {
	enum pvb_call call;
	unsigned int cpu;
	bool in_task;
	u64 a0, a1;
	s64 result;
	enum pvb_flush flush;
	u32 first, nr;
};

#define SPY_CALLS 512
#define SPY_RUNS 3000

struct spy {
	enum spy_host host;
	struct cpumask cpus;
	void (*meanwhile)(void); /* once, at the end of the next batch's call */
	unsigned int nr_calls, nr_runs;
	bool full; /* there was more than is here */
	struct spied calls[SPY_CALLS];
	struct pvb_entry runs[SPY_RUNS];
};

/*
 * spy_begin() - from now on calls are recorded. Skips the test where that cannot be, or
 * where the mode is not @mode. They are no longer after spy_end(), or with the test's end.
 */
struct spy *spy_begin(struct kunit *test, enum pvb_mode mode);
void spy_end(void);
/* Forget what was recorded. */
void spy_clear(struct spy *spy);
/* Batches handed over in a task on this CPU; @last: the last of them, if there is one. */
unsigned int spy_batches_here(struct spy *spy, const struct spied **last);
/* Which call was the first to name the entry? -1: none. @times: how many have. */
int spy_named(struct spy *spy, const pte_t *pte, unsigned int *times);
/* Which call was the first with @call, and behind call @after? -1: none. */
int spy_first(struct spy *spy, enum pvb_call call, int after);

#endif /* _PVBATCH_TEST_H */
