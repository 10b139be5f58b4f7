// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - guest/mm in the demo guest: every operation, page by page and batched, with
 * the host and with the guest applying, and what each costs in calls; no A or D is lost.
 */
#include "run.h"

#include <stdio.h>

#define PAGES 1024
#define TABLES 2
#define ROUNDS 2
#define LONG (4 * SECONDS)

static void row(const struct run *run, const char *name, const char *apply, unsigned int rounds,
		int64_t per_entry, int64_t batched)
{
	const char *modes[] = { "per-entry", "range" };
	const int64_t calls[] = { per_entry, batched };

	for (unsigned int i = 0; i < 2; i++) {
		json_t *result = run_result(run, name, apply, modes[i], i ? 512 : 1);

		assert_int_equal(result_int(result, "ptes"), PAGES * rounds);
		assert_int_equal(result_int(result, "hypercalls"), calls[i]);
		result_exits(run, result, calls[i]);
		assert_int_equal(result_int(result, "ad_lost"), 0);
		assert_int_equal(result_int(result, "conflicts"), 0);
		assert_int_equal(result_int(result, "verified"), PAGES * rounds);
	}
}

/* Pages that the guest writes before round @r: one in three, others each time. */
static int64_t dirty_pages(unsigned int r)
{
	int64_t nr = 0;

	for (unsigned int i = 0; i < PAGES; i++)
		nr += (i + r) % 3 == 0;
	return nr;
}

static void operations(const char *apply, int64_t walk_calls)
{
	struct run run;
	char cmdline[80];
	int64_t dirty = 0;

	for (unsigned int r = 0; r < ROUNDS; r++)
		dirty += dirty_pages(r);
	snprintf(cmdline, sizeof(cmdline), "workload=mm pages=%d rounds=%d apply=%s", PAGES, ROUNDS,
		 apply);
	run_demo(&run, 1, LONG, cmdline);
	run_exits(&run, PVBATCH_OK);
	row(&run, "transaction", apply, ROUNDS, PAGES * ROUNDS, TABLES * ROUNDS);
	row(&run, "modify-prot", apply, ROUNDS, PAGES * ROUNDS, TABLES * ROUNDS);
	row(&run, "mkold-clean", apply, ROUNDS, PAGES * ROUNDS, TABLES * ROUNDS);
	row(&run, "change-prot", apply, ROUNDS, PAGES * ROUNDS, walk_calls * ROUNDS);
	/* A flush for each table, under its lock, whoever applies. */
	row(&run, "wrprotect", apply, 1, PAGES, TABLES);
	row(&run, "clean-record", apply, ROUNDS, dirty, TABLES * ROUNDS);
	run_free(&run);
}

static void host_applies(void **state)
{
	(void)state;
	operations("host", TABLES);
}

/* Runs of all tables go with the one flush at the end. */
static void guest_applies(void **state)
{
	(void)state;
	operations("guest", 1);
}

/* One lock for all tables: so they do where the host applies. */
static void one_lock(void **state)
{
	struct run run;
	json_t *result;

	(void)state;
	run_demo(&run, 1, LONG, "workload=mm pages=1024 rounds=1 apply=host lock=all");
	run_exits(&run, PVBATCH_OK);
	result = run_result(&run, "change-prot", "host", "range", 512);
	assert_int_equal(result_int(result, "hypercalls"), 1);
	run_free(&run);
}

/* Without a host the same operations, directly. */
static void direct(void **state)
{
	struct run run;

	(void)state;
	run_demo(&run, 1, LONG, "workload=mm pages=1024 rounds=1 apply=direct");
	run_says(&run, "clean-record apply=direct mode=range");
	run_free(&run);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_applies),
		cmocka_unit_test(guest_applies),
		cmocka_unit_test(one_lock),
		cmocka_unit_test(direct),
	};

	return run_main(argc, argv, "demo guest's memory management", tests,
			sizeof(tests) / sizeof(tests[0]));
}
