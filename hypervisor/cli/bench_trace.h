/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: command line - `pvbatch bench trace`: what recording a guest's batches costs.
 *
 *   bench_trace.c      options, table, document
 *   bench_trace_run.c  a VMM without KVM; instructions of its doorbell, records a second
 */
#ifndef PVB_CLI_BENCH_TRACE_H
#define PVB_CLI_BENCH_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include <cli/steps.h>

#define BENCH_TRACE_ROUNDS_MAX 100U

/* What the guest submits, again and again: all of it a change of protection to and fro. */
struct bench_trace_shape {
	uint32_t entries; /* a batch */
	uint32_t ptes; /* an entry */
};

#define BENCH_TRACE_SHAPES 4
extern const struct bench_trace_shape bench_trace_shapes[BENCH_TRACE_SHAPES];

/* Instructions of one batch, from the doorbell to the answer. */
struct bench_trace_cost {
	uint64_t without; /* a doorbell that knows nothing of tracing */
	uint64_t off; /* nobody records */
	uint64_t headers, entries; /* somebody does */
};

/* In shared memory: a child fills it in, single-stepped. */
struct bench_trace {
	struct steps steps;
	bool wrong; /* a batch was not answered as it should be */
	struct bench_trace_cost cost[BENCH_TRACE_SHAPES];
};

/* bench_trace_count() - the child. @arg: struct bench_trace. Returns 0, or 1 without memory. */
int bench_trace_count(void *arg);

/* A guest that submits as fast as it can, while `pvbatch trace record` writes. */
struct bench_trace_rate {
	bool with_entries; /* or headers alone */
	uint64_t batches, dropped; /* in the file, and counted in it */
	uint64_t bytes; /* of the file */
	double per_second[BENCH_TRACE_ROUNDS_MAX]; /* records taken, in each round; sorted */
};

/*
 * bench_trace_record() - @rounds of @seconds each. An exit code, said why.
 */
int bench_trace_record(const struct bench_trace_shape *shape, unsigned int rounds, double seconds,
		       struct bench_trace_rate *rate);

/*
 * cmd_bench_trace() - @argv: the subcommand's name and its own arguments. Returns an exit
 * code: 0 done; 1 a wrong answer, or with --check a broken promise; 2 usage; 3 something is
 * missing; 6 the results could not be written.
 */
int cmd_bench_trace(int argc, char **argv);

#endif /* PVB_CLI_BENCH_TRACE_H */
