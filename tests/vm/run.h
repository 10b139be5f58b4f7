/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests - `pvbatch run` with the demo guest, as a function; what came out, and what
 * the guest measured.
 */
#ifndef TESTS_VM_RUN_H
#define TESTS_VM_RUN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
#include <jansson.h>

#define SECONDS 120 /* after which a guest is hopeless */

/* Exit codes of pvbatch (its --help). */
enum {
	PVBATCH_OK = 0,
	PVBATCH_FAILED = 1,
	PVBATCH_CRASH = 5,
	PVBATCH_TIMEOUT = 124,
};

struct run {
	int code; /* of pvbatch */
	char *output; /* its output and its messages, in the order they came */
	json_t *results; /* array of measurements; NULL if there is no document */
	json_t *document;
};

/*
 * run_main() - take the paths of pvbatch and the guest from the arguments, skip all tests
 * where /dev/kvm cannot be opened, else run @tests. For main().
 */
int run_main(int argc, char **argv, const char *name, const struct CMUnitTest *tests,
	     size_t nr_tests);

/* run_demo() - boot the guest on /dev/kvm with @cpus vCPUs. Free with run_free(). */
void run_demo(struct run *run, unsigned int cpus, unsigned int seconds, const char *cmdline);
void run_free(struct run *run);

/* run_says() - @text has to be in the output; run_exits() - and pvbatch's exit code be @code. */
void run_says(const struct run *run, const char *text);
void run_exits(const struct run *run, int code);

/* run_result() - the one measurement of that kind; the test fails if there is none. */
json_t *run_result(const struct run *run, const char *workload, const char *apply, const char *mode,
		   unsigned int batch);
/* result_int() - a number of it. */
int64_t result_int(const json_t *result, const char *key);
/*
 * result_exits() - its exits to the VMM have to be @calls, and no more than the VMM causes
 * itself: it looks after a guest that has not exited for half a second. Where KVM takes
 * the calls itself none reaches the VMM, and all VM exits are at least as many.
 */
void result_exits(const struct run *run, const json_t *result, int64_t calls);

#endif /* TESTS_VM_RUN_H */
