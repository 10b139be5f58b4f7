// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - starting pvbatch and reading what it says.
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *pvbatch, *guest;

int run_main(int argc, char **argv, const char *name, const struct CMUnitTest *tests,
	     size_t nr_tests)
{
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: %s PVBATCH GUEST\n", argv[0]);
		return 2;
	}
	pvbatch = argv[1];
	guest = argv[2];
	fd = open("/dev/kvm", O_RDWR);
	if (fd < 0) {
		printf("1..0 # SKIP /dev/kvm: %s\n", strerror(errno));
		return 0;
	}
	close(fd);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests(name, tests, nr_tests, NULL, NULL);
}

static void child(int output, const char *json, unsigned int cpus, unsigned int seconds,
		  const char *cmdline)
{
	char cpus_text[16], seconds_text[16];

	snprintf(cpus_text, sizeof(cpus_text), "%u", cpus);
	snprintf(seconds_text, sizeof(seconds_text), "%u", seconds);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	execl(pvbatch, pvbatch, "run", "--backend", "kvm", "--guest", guest, "--cpus", cpus_text,
	      "--memory", "64", "--timeout", seconds_text, "--json", json, "--cmdline", cmdline,
	      (char *)NULL);
	perror(pvbatch);
	_exit(127);
}

static char *read_all(int fd)
{
	struct stat stat;
	char *text;
	ssize_t got;

	assert_int_equal(fstat(fd, &stat), 0);
	text = malloc((size_t)stat.st_size + 1);
	assert_non_null(text);
	got = pread(fd, text, (size_t)stat.st_size, 0);
	assert_int_equal(got, stat.st_size);
	text[got] = 0;
	return text;
}

void run_demo(struct run *run, unsigned int cpus, unsigned int seconds, const char *cmdline)
{
	char output_path[] = "/tmp/pvbatch-vm-XXXXXX", json_path[] = "/tmp/pvbatch-vm-XXXXXX";
	int output = mkstemp(output_path), json = mkstemp(json_path), status;
	pid_t pid;

	assert_true(output >= 0 && json >= 0);
	unlink(output_path);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		child(output, json_path, cpus, seconds, cmdline);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	run->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	run->output = read_all(output);
	/* A run that could not start leaves no document, and some tests want just that. */
	run->document = json_load_file(json_path, 0, NULL);
	run->results = json_object_get(run->document, "results");
	unlink(json_path);
	close(output);
	close(json);
}

void run_free(struct run *run)
{
	free(run->output);
	json_decref(run->document);
}

void run_says(const struct run *run, const char *text)
{
	if (!strstr(run->output, text))
		fail_msg("'%s' is not in the output:\n%s", text, run->output);
}

void run_exits(const struct run *run, int code)
{
	if (run->code != code)
		fail_msg("exit code %d, expected %d, output:\n%s", run->code, code, run->output);
}

static bool has(const json_t *result, const char *key, const char *value)
{
	const char *text = json_string_value(json_object_get(result, key));

	return text && !strcmp(text, value);
}

json_t *run_result(const struct run *run, const char *workload, const char *apply, const char *mode,
		   unsigned int batch)
{
	json_t *result, *found = NULL;
	size_t i;

	json_array_foreach(run->results, i, result)
	{
		if (has(result, "workload", workload) && has(result, "apply", apply) &&
		    has(result, "mode", mode) && result_int(result, "batch") == batch) {
			if (found)
				fail_msg("two results of %s, %s, %s, %u", workload, apply, mode,
					 batch);
			found = result;
		}
	}
	if (!found)
		fail_msg("no result of %s, %s, %s, %u; output:\n%s", workload, apply, mode, batch,
			 run->output);
	return found;
}

int64_t result_int(const json_t *result, const char *key)
{
	json_t *value = json_object_get(result, key);

	if (!json_is_integer(value))
		fail_msg("a result has no number '%s'", key);
	return json_integer_value(value);
}

void result_exits(const struct run *run, const json_t *result, int64_t calls)
{
	const json_t *ns = json_object_get(json_object_get(result, "ns_per_pte"), "max");
	double seconds = json_number_value(ns) * (double)result_int(result, "ptes") / 1e9;
	int64_t exits = result_int(result, "exits");

	if (strstr(run->output, "doorbell: VM")) {
		assert_in_range(exits, 0, 2 * seconds);
		exits = result_int(result, "kvm_exits");
		assert_true(exits >= calls);
		return;
	}
	assert_in_range(exits, calls, calls + (int64_t)(2 * seconds));
}
