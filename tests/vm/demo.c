// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the demo guest end to end, in seconds: it boots, it dumps its faults, its
 * selfcheck finds the host keeping every promise, batches cost the exits they should, no
 * A/D bit is lost - and one that is lost on purpose is found.
 */
#include "run.h"

#include <stdio.h>
#include <string.h>

static unsigned int occurrences(const char *text, const char *of)
{
	unsigned int n = 0;

	for (; (text = strstr(text, of)); text += strlen(of))
		n++;
	return n;
}

static void hello(unsigned int cpus)
{
	struct run run;
	char line[32];

	run_demo(&run, cpus, SECONDS, "workload=hello");
	run_exits(&run, PVBATCH_OK);
	snprintf(line, sizeof(line), "guest: %u CPUs, 64 MiB", cpus);
	run_says(&run, line);
	for (unsigned int i = 0; i < cpus; i++) {
		snprintf(line, sizeof(line), "CPU %u here\n", i);
		assert_int_equal(occurrences(run.output, line), 1);
	}
	run_free(&run);
}

static void hello_one_cpu(void **state)
{
	(void)state;
	hello(1);
}

static void hello_four_cpus(void **state)
{
	(void)state;
	hello(4);
}

/* 64 + vector, and the dump names what happened and where. */
static void fault(const char *cmdline, const char *name, const char *detail, const char *code)
{
	struct run run;

	run_demo(&run, 1, SECONDS, cmdline);
	run_exits(&run, PVBATCH_FAILED);
	run_says(&run, name);
	run_says(&run, " on CPU 0, rip 0x000000000020");
	run_says(&run, detail);
	run_says(&run, code);
	run_free(&run);
}

static void fault_page(void **state)
{
	(void)state;
	fault("fault=pf", "*** #PF page fault",
	      "error 0x3: protection of a present page, write at CPL 0 to 2\n", "exit code 78");
}

/* The walk ends at the entry that forbids it. */
static void fault_page_walk(void **state)
{
	(void)state;
	fault("fault=pf", "page tables for 0x0000008000000000:", "PML4[  1] 0x", "exit code 78");
	fault("fault=pf", "  PT[  0] 0x8000", "present read-only kernel", "exit code 78");
}

static void fault_protection(void **state)
{
	(void)state;
	fault("fault=gp", "*** #GP general protection", "error 0x0\n", "exit code 77");
}

static void fault_opcode(void **state)
{
	(void)state;
	fault("fault=ud", "*** #UD invalid opcode", "rax ", "exit code 70");
}

static void fault_double(void **state)
{
	(void)state;
	fault("fault=df", "*** #DF double fault", "cr2 0000007ffffffff8", "exit code 72");
}

static void ends(const char *cmdline, unsigned int seconds, int code)
{
	struct run run;

	run_demo(&run, 2, seconds, cmdline);
	run_exits(&run, code);
	run_free(&run);
}

static void halted_guest(void **state)
{
	(void)state;
	ends("workload=halt", SECONDS, PVBATCH_OK);
}

static void triple_fault(void **state)
{
	(void)state;
	ends("workload=triple", SECONDS, PVBATCH_CRASH);
}

/* One line that says what is wrong, and the guest's exit code for it. */
static void wrong_command_line(void **state)
{
	static const char *const cases[][3] = {
		{ "colour=blue", "'colour' is unknown; keys are:", "exit code 2" },
		{ "workload", "'workload' is unknown; keys are:", "exit code 2" },
		{ "workload=dance", "workload=dance is unknown; there are: hello", "exit code 2" },
		{ "pages=0", "pages=0: not a number from 1 to 65536", "exit code 2" },
		{ "pages=12x", "pages=12x: not a number", "exit code 2" },
		{ "rounds=99999999999999999999", "not a number from 1", "exit code 2" },
		{ "batch=513", "batch=513: not a number from 1 to 512", "exit code 2" },
		{ "vcpus=3", "vcpus=3, but the machine has 1", "exit code 2" },
		{ "workload=race", "one CPU has nobody to race with", "exit code 3" },
		{ "workload=toggle pages=65536", "pages=65536 need 262144 KiB", "exit code 3" },
	};
	struct run run;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run_demo(&run, 1, SECONDS, cases[i][0]);
		run_exits(&run, PVBATCH_FAILED);
		run_says(&run, cases[i][1]);
		run_says(&run, cases[i][2]);
		run_free(&run);
	}
}

static void selfcheck(unsigned int cpus)
{
	struct run run;
	char line[64];

	run_demo(&run, cpus, SECONDS, "workload=selfcheck");
	run_exits(&run, PVBATCH_OK);
	snprintf(line, sizeof(line), "selfcheck: %u CPUs, 2 modes, ", cpus);
	run_says(&run, line);
	run_says(&run, " checks, 0 failed");
	assert_int_equal(result_int(run_result(&run, "nop", "host", "per-entry", 0), "hypercalls"),
			 64);
	run_free(&run);
}

static void selfcheck_one_cpu(void **state)
{
	(void)state;
	selfcheck(1);
}

static void selfcheck_four_cpus(void **state)
{
	(void)state;
	selfcheck(4);
}

static void costs(const struct run *run, const char *apply, const char *mode, unsigned int batch,
		  int64_t ptes, int64_t calls)
{
	json_t *result = run_result(run, "compare", apply, mode, batch);

	assert_int_equal(result_int(result, "ptes"), ptes);
	assert_int_equal(result_int(result, "hypercalls"), calls);
	result_exits(run, result, calls);
	assert_int_equal(result_int(result, "conflicts"), 0);
}

/* A table and 88 PTEs: a call for each; for each 16 of a table; for each table. */
static void compare_exits(void **state)
{
	struct run run;

	(void)state;
	run_demo(&run, 1, SECONDS, "workload=compare pages=600 rounds=1 batch=16");
	run_exits(&run, PVBATCH_OK);
	for (int guest = 0; guest < 2; guest++) {
		const char *apply = guest ? "guest" : "host";

		costs(&run, apply, "per-entry", 1, 600, 600);
		costs(&run, apply, "batched", 16, 600, 32 + 6);
		costs(&run, apply, "range", 512, 600, 2);
	}
	assert_int_equal(json_array_size(run.results), 6);
	run_free(&run);
}

/* Eight tables: one call for each lock section, so eight or one. */
static void range_exits(void **state)
{
	struct run run;

	(void)state;
	run_demo(&run, 1, SECONDS, "workload=compare mode=range apply=host rounds=1");
	run_exits(&run, PVBATCH_OK);
	costs(&run, "host", "range", 512, 4096, 8);
	run_free(&run);
	run_demo(&run, 1, SECONDS, "workload=compare mode=range apply=host rounds=1 lock=all");
	run_exits(&run, PVBATCH_OK);
	costs(&run, "host", "range", 512, 4096, 1);
	run_free(&run);
}

/* The kernel's own stores and flushes: the baseline, and no batch at all. */
static void direct(void **state)
{
	struct run run;

	(void)state;
	run_demo(&run, 2, SECONDS, "workload=toggle apply=direct mode=range pages=64 rounds=2");
	run_exits(&run, PVBATCH_OK);
	run_says(&run, "toggle apply=direct mode=range batch=512 rounds=2 ptes=128 hypercalls=0");
	assert_int_equal(json_array_size(run.results), 0);
	run_free(&run);
}

static void race(const char *apply)
{
	struct run run;
	char cmdline[80];
	json_t *result;

	snprintf(cmdline, sizeof(cmdline), "workload=race pages=256 rounds=4 mode=range apply=%s",
		 apply);
	run_demo(&run, 3, SECONDS, cmdline);
	run_exits(&run, PVBATCH_OK);
	result = run_result(&run, "race", apply, "range", 512);
	assert_int_equal(result_int(result, "ad_lost"), 0);
	assert_int_equal(result_int(result, "conflicts"), 0);
	assert_true(result_int(result, "verified") > 0);
	assert_true(result_int(result, "ad_merged") > 0);
	run_free(&run);
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

/* The detector detects: a plain store over what hardware has set since start. */
static void race_planted(const char *apply)
{
	struct run run;
	char cmdline[100];
	json_t *result;

	snprintf(cmdline, sizeof(cmdline),
		 "workload=race pages=256 rounds=6 mode=range plant=lost-dirty apply=%s", apply);
	run_demo(&run, 3, SECONDS, cmdline);
	run_exits(&run, PVBATCH_FAILED);
	run_says(&run, "FAIL: Dirty bits lost: ");
	result = run_result(&run, "race", apply, "range", 512);
	assert_true(result_int(result, "ad_lost") > 0);
	run_free(&run);
}

static void race_planted_host_applies(void **state)
{
	(void)state;
	race_planted("host");
}

static void race_planted_guest_applies(void **state)
{
	(void)state;
	race_planted("guest");
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_one_cpu),
		cmocka_unit_test(hello_four_cpus),
		cmocka_unit_test(fault_page),
		cmocka_unit_test(fault_page_walk),
		cmocka_unit_test(fault_protection),
		cmocka_unit_test(fault_opcode),
		cmocka_unit_test(fault_double),
		cmocka_unit_test(halted_guest),
		cmocka_unit_test(triple_fault),
		cmocka_unit_test(wrong_command_line),
		cmocka_unit_test(selfcheck_one_cpu),
		cmocka_unit_test(selfcheck_four_cpus),
		cmocka_unit_test(compare_exits),
		cmocka_unit_test(range_exits),
		cmocka_unit_test(direct),
		cmocka_unit_test(race_host_applies),
		cmocka_unit_test(race_guest_applies),
		cmocka_unit_test(race_planted_host_applies),
		cmocka_unit_test(race_planted_guest_applies),
	};

	return run_main(argc, argv, "demo guest", tests, sizeof(tests) / sizeof(tests[0]));
}
