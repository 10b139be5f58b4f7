/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: command line - instructions of a piece of code, counted exactly: a child process
 * runs it and is single-stepped. No counters of the CPU are needed, which virtual machines
 * often have not, and nothing else that happens on the machine counts.
 */
#ifndef PVB_CLI_STEPS_H
#define PVB_CLI_STEPS_H

#include <stdint.h>

/* Between the two processes, in shared memory. */
struct steps {
	uint64_t marks; /* written by the child before each mark */
	uint64_t counted; /* written by the parent */
	int stepping; /* the parent can step: else all counts are 0 */
};

/*
 * steps_run() - run @child with @arg in a process of its own and step it where it says.
 * @arg: in shared memory, if the child is to leave anything there; so is @steps.
 * Returns the child's exit code, or -1 if there is no child to be had.
 */
int steps_run(struct steps *steps, int (*child)(void *arg), void *arg);

/* In the child. */

/* Each call switches between counting and not counting. */
void steps_mark(void);
/* steps_begin() - count from here on, from 0. */
void steps_begin(void);
/* steps_end() - stop; returns the instructions since steps_begin(). */
uint64_t steps_end(void);

#endif /* PVB_CLI_STEPS_H */
