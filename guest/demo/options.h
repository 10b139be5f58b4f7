/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - its command line: words of the form key=value. docs/demo.md explains
 * each.
 */
#ifndef DEMO_OPTIONS_H
#define DEMO_OPTIONS_H

#include <pvbatch/types.h>

enum workload {
	WORKLOAD_HELLO,
	WORKLOAD_TOGGLE,
	WORKLOAD_COMPARE,
	WORKLOAD_RACE,
	WORKLOAD_MM,
	WORKLOAD_SELFCHECK,
	WORKLOAD_CONFORM,
	WORKLOAD_HOSTILE,
	WORKLOAD_VICTIM,
	WORKLOAD_HALT,
	WORKLOAD_TRIPLE,
};

enum fault {
	FAULT_NONE,
	FAULT_PF,
	FAULT_GP,
	FAULT_UD,
	FAULT_DF,
};

enum doorbell {
	DOORBELL_AUTO, /* the hypercall if it is answered, else the port */
	DOORBELL_PIO,
	DOORBELL_HYPERCALL,
};

/* Race: bugs on purpose, which it has to find. */
enum plant {
	PLANT_NONE,
	PLANT_LOST_DIRTY, /* a plain store in place of the merge */
	PLANT_NO_FLUSH, /* batches lose their flush */
};

/* How a hostile guest ends. */
enum end {
	END_DONE, /* when all CPUs are through */
	END_EXIT, /* CPU 0 leaves while the others go on */
	END_TRIPLE, /* the same, by a triple fault */
};

/* Which of the modes that exist are run, as bits. */
#define APPLY_HOST 1U
#define APPLY_GUEST 2U
#define APPLY_DIRECT 4U /* no batches at all: the guest's own stores and flushes */

#define MODE_PER_ENTRY 1U
#define MODE_BATCHED 2U
#define MODE_RANGE 4U

struct options {
	uint32_t workload; /* enum workload */
	uint32_t fault; /* enum fault */
	uint32_t doorbell; /* enum doorbell */
	uint32_t apply; /* APPLY_* */
	uint32_t mode; /* MODE_* */
	uint32_t pages;
	uint32_t rounds;
	uint32_t batch; /* entries per hypercall of mode=batched; 0: 1, 2, 4 ... 512 */
	uint32_t vcpus; /* how many take part; 0: all */
	bool lock_all; /* one lock section for all tables instead of one for each */
	uint32_t plant; /* enum plant */
	uint32_t end; /* enum end */
	uint32_t seed; /* of what is random */
};

extern struct options options;

/* options_parse() - fill in options; a mistake ends the guest with EXIT_USAGE. */
void options_parse(const char *cmdline);

#endif /* DEMO_OPTIONS_H */
