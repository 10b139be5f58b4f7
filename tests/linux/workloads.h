/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: Linux tests - the workloads whose cost is compared: what a process asks of the
 * kernel's memory management. Run by guest.c.
 */
#ifndef TESTS_LINUX_WORKLOADS_H
#define TESTS_LINUX_WORKLOADS_H

#define WL_PAGES 4096UL /* 4 KiB pages: eight leaf tables */
#define WL_PAGE 4096UL

/*
 * struct workload - one row of the table.
 * @unit: what the cost is divided by: "page" or "call".
 * @rounds: how often @round runs under the clock.
 * @units: pages (or calls) in one round.
 * @calls: system calls (or switches) in one round, by which exits are divided.
 * @setup: before the clock starts; 0, or a negative errno. May be NULL.
 * @before: before each round, not counted. May be NULL.
 * @round: what is measured. 0, or a negative errno.
 * @teardown: after it. May be NULL.
 */
struct workload {
	const char *name;
	const char *unit;
	unsigned long rounds;
	unsigned long units;
	unsigned long calls;
	int (*setup)(void);
	int (*before)(void);
	int (*round)(void);
	void (*teardown)(void);
};

/* All workloads; ends with a NULL name. */
extern const struct workload workloads[];

#endif /* TESTS_LINUX_WORKLOADS_H */
