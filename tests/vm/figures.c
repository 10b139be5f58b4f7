// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the figures that the benchmark promises, exactly: hypercalls and exits for
 * 4096 PTEs in eight tables by batch size; and the race in every mode, long enough to mean
 * something.
 */
#include "run.h"

#include <stdio.h>
#include <string.h>

#define PTES 4096
#define TABLES 8
#define LONG (4 * SECONDS)

static void costs(const struct run *run, const char *apply, const char *mode, unsigned int batch,
		  int64_t calls)
{
	json_t *result = run_result(run, "compare", apply, mode, batch);

	assert_int_equal(result_int(result, "ptes"), PTES);
	assert_int_equal(result_int(result, "hypercalls"), calls);
	result_exits(run, result, calls);
	assert_int_equal(result_int(result, "conflicts"), 0);
}

static void compare(const char *apply)
{
	struct run run;
	char cmdline[64];

	snprintf(cmdline, sizeof(cmdline), "workload=compare rounds=1 apply=%s", apply);
	run_demo(&run, 1, LONG, cmdline);
	run_exits(&run, PVBATCH_OK);
	costs(&run, apply, "per-entry", 1, PTES);
	for (unsigned int batch = 1; batch <= 512; batch *= 2)
		costs(&run, apply, "batched", batch, PTES / batch);
	costs(&run, apply, "range", 512, TABLES);
	assert_int_equal(json_array_size(run.results), 12);
	run_free(&run);
}

static void compare_host_applies(void **state)
{
	(void)state;
	compare("host");
}

static void compare_guest_applies(void **state)
{
	(void)state;
	compare("guest");
}

/* All tables under one lock: the whole address space in one call. */
static void compare_one_section(void **state)
{
	struct run run;

	(void)state;
	run_demo(&run, 1, LONG, "workload=compare rounds=1 mode=range lock=all");
	run_exits(&run, PVBATCH_OK);
	costs(&run, "host", "range", 512, 1);
	costs(&run, "guest", "range", 512, 1);
	run_free(&run);
}

#define SHAPES 3

static void race(const char *apply)
{
	static const struct {
		const char *mode;
		unsigned int batch;
	} shapes[SHAPES] = { { "per-entry", 1 }, { "batched", 512 }, { "range", 512 } };
	size_t at_stake = 0;
	char cmdline[64];

	snprintf(cmdline, sizeof(cmdline), "workload=race pages=256 rounds=4 apply=%s", apply);
	/* On a busy machine the CPUs that use the pages may hardly have run. */
	for (int i = 0; i < 5 && at_stake < SHAPES; i++) {
		struct run run;

		at_stake = 0;
		run_demo(&run, 4, LONG, cmdline);
		run_exits(&run, PVBATCH_OK);
		for (size_t shape = 0; shape < SHAPES; shape++) {
			json_t *result = run_result(&run, "race", apply, shapes[shape].mode,
						    shapes[shape].batch);

			assert_int_equal(result_int(result, "ad_lost"), 0);
			assert_int_equal(result_int(result, "conflicts"), 0);
			at_stake += result_int(result, "verified") > 100 &&
				    result_int(result, "ad_merged") > 0;
		}
		run_free(&run);
	}
	assert_int_equal(at_stake, SHAPES);
}

static void race_host_applies(void **state)
{
	(void)state;
	race("host");
}

static void race_guest_applies(void **state)
{
	(void)state;
	race("guest");
}

/*
 * Law 4: without the flush a CPU goes on writing through the old, dirty translation. Only
 * hardware that keeps translations over the flushless call shows it: with shadow page tables
 * KVM drops them for each changed entry anyway. A translation also goes with each exit of
 * the CPU that holds it, so a run may be lucky; not several.
 */
static void race_planted_no_flush(void **state)
{
	int64_t lost = 0;
	bool kept = true;
	struct run run;

	(void)state;
	for (int i = 0; i < 5 && !lost && kept; i++) {
		run_demo(&run, 2, LONG,
			 "workload=race pages=32 rounds=200 mode=range plant=no-flush apply=host");
		lost = result_int(run_result(&run, "race", "host", "range", 512), "ad_lost");
		run_exits(&run, lost ? PVBATCH_FAILED : PVBATCH_OK);
		kept = strstr(run.output, ", second-level paging");
		run_free(&run);
	}
	if (!kept) {
		print_message("no second-level paging here\n");
		skip();
	}
	assert_true(lost > 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(compare_host_applies), cmocka_unit_test(compare_guest_applies),
		cmocka_unit_test(compare_one_section),	cmocka_unit_test(race_host_applies),
		cmocka_unit_test(race_guest_applies),	cmocka_unit_test(race_planted_no_flush),
	};

	return run_main(argc, argv, "demo guest's figures", tests,
			sizeof(tests) / sizeof(tests[0]));
}
