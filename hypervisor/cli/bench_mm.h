/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: command line - `pvbatch bench mm`: what guest/mm costs the guest. bench_mm.c has
 * the command and its report, bench_mm_run.c the measurements.
 */
#ifndef PVB_CLI_BENCH_MM_H
#define PVB_CLI_BENCH_MM_H

#include <pvbatch/guest.h>

#include <cli/steps.h>

#define BENCH_MM_RUNS 128
#define BENCH_MM_RANGES 32

/* An operation on runs of PTEs, or on ranges: averages over a table, or a part of one. */
struct bench_mm_run {
	const char *operation;
	const char *form; /* "batched", "generic" or "single" */
	enum pvb_mode mode;
	uint32_t run; /* PTEs in one call of the operation */
	uint32_t ptes; /* all */
	uint32_t counted; /* of them, with instructions */
	uint64_t entries, hypercalls;
	uint64_t instructions; /* of the guest's, in the operation */
	uint64_t submit; /* and when lazy mode is left, with the flush */
};

/* A change of protection over many tables. */
struct bench_mm_range {
	const char *locks; /* "one" or "split" */
	enum pvb_mode mode;
	uint32_t folio; /* pages that belong together */
	bool unbatched; /* entry by entry though they do */
	uint32_t pages, tables;
	uint64_t entries, hypercalls, flushes;
	uint32_t counted_pages; /* instructions are counted on fewer: stepping is slow */
	uint64_t instructions;
};

/* In shared memory: a child fills it in, single-stepped. */
struct bench_mm {
	struct steps steps;
	bool wrong; /* an entry was not what it should be afterwards */
	uint32_t nr_runs, nr_ranges;
	struct bench_mm_run runs[BENCH_MM_RUNS];
	struct bench_mm_range ranges[BENCH_MM_RANGES];
};

/* bench_mm_measure() - the child. @arg: struct bench_mm. Returns 0, or 1 without memory. */
int bench_mm_measure(void *arg);

/*
 * cmd_bench_mm() - @argv: the subcommand's name and its own arguments. Returns an exit
 * code: 0 done; 1 a wrong entry, or with --check a broken promise; 2 usage; 6 the
 * results could not be written.
 */
int cmd_bench_mm(int argc, char **argv);

#endif /* PVB_CLI_BENCH_MM_H */
