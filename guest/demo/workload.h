/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - the workloads that the command line chooses from. Those that return
 * return an exit code.
 */
#ifndef DEMO_WORKLOAD_H
#define DEMO_WORKLOAD_H

#include <pvbatch/types.h>

/* What workloads need to know of the machine. */
struct machine {
	uint32_t tsc_khz; /* 0: unknown, and so are times */
};

extern struct machine machine;

unsigned int workload_hello(void);
/* Pages change protection, nothing else runs: a few batch sizes, or all (toggle.c). */
unsigned int workload_toggle(void);
unsigned int workload_compare(void);
/* The same and cleaning, while the other CPUs read and write the pages (race.c). */
unsigned int workload_race(void);
/* guest/mm's operations, page by page and batched, on pages in use (memory.c). */
unsigned int workload_mm(void);
/* The host's answers to right and wrong batches, and the library's counters (selfcheck.c). */
unsigned int workload_selfcheck(void);
unsigned int workload_conform(void);
/* Batches from good to nonsense, from all CPUs (hostile.c), and who must not notice (victim.c). */
unsigned int workload_hostile(void);
unsigned int workload_victim(void);
void workload_halt(void) __attribute__((noreturn));
void workload_triple(void) __attribute__((noreturn));
/* workload_fault() - provoke the exception that options.fault names; ends in its dump. */
void workload_fault(void) __attribute__((noreturn));

#endif /* DEMO_WORKLOAD_H */
