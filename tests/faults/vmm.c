// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, faults - the VMM where the host fails it: each allocation, mapping, file,
 * thread and ioctl in turn, calls interrupted at any moment, a console that is full. A run
 * ends with one line that says why, or goes on without what was missing; nothing is left
 * open, nothing leaks, nothing hangs.
 *
 * The linker puts fault.c between the VMM and the C library (build.mk).
 *
 * usage: vmm-faults GUEST.elf
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include <vmm/vmm.h>

#include "fault.h"

#define HANGS 100 /* seconds */

static const char *image;
static struct vmm_host host;
static char why[sizeof(((struct vmm_error *)NULL)->text)]; /* the last run did not begin */

static unsigned int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nr = 0;

	assert_non_null(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

/* One run with the faults that are planned. Returns its end; VMM_END_NONE: it never began. */
static enum vmm_end run(const char *cmdline, unsigned int cpus, int console)
{
	const struct vmm_config config = { .image = image,
					   .cmdline = cmdline,
					   .cpus = cpus,
					   .memory = VMM_MIN_MEMORY,
					   .timeout = HANGS / 2,
					   .console = console };
	unsigned int files = open_files();
	struct vmm_error error = { 0 };
	struct vmm_result result;
	enum vmm_end end;
	int rc;

	alarm(HANGS);
	rc = vmm_run(&config, &host, &result, &error);
	fault.at = 0;
	fault.request = 0;
	fault.ring = 0;
	alarm(0);
	assert_int_equal(open_files(), files);
	if (rc) {
		assert_true(rc < 0);
		assert_int_equal(error.fault, fault.image ? VMM_FAULT_IMAGE : VMM_FAULT_HOST);
		assert_true(strlen(error.text) > 5 && !strchr(error.text, '\n'));
		snprintf(why, sizeof(why), "%s", error.text);
		return VMM_END_NONE;
	}
	end = result.end;
	if (end == VMM_END_HOST || end == VMM_END_CRASH)
		assert_true(strlen(result.why) > 5);
	if (end == VMM_END_EXIT && result.code)
		fail_msg("%s: exit code %u", cmdline, result.code);
	vmm_result_free(&result);
	return end;
}

/*
 * Every call that a start makes fails once, and then, as on a host that has run out, with
 * all after it.
 */
static void each_call_of_a_start(void **state)
{
	unsigned int failed = 0, went_on = 0, calls;

	(void)state;
	fault.begun = false;
	fault.calls = 0;
	assert_int_equal(run("record 1", 2, -1), VMM_END_EXIT);
	calls = fault.calls;
	assert_true(calls > 40);
	for (unsigned int n = 1; n <= calls; n++) {
		for (unsigned int all = 0; all < 2; all++) {
			enum vmm_end end;

			fault.begun = false;
			fault.calls = 0;
			fault.all = all;
			fault.image = false;
			fault.at = n;
			end = run("record 1", 2, -1);
			if (end != VMM_END_NONE && end != VMM_END_EXIT && end != VMM_END_HOST)
				fail_msg("call %u of a start fails: the guest ends with %d", n,
					 end);
			failed += end != VMM_END_EXIT;
			went_on += end == VMM_END_EXIT;
		}
	}
	fault.all = false;
	fault.image = false;
	print_message("# %u calls; of %u runs %u ended early, %u went on\n", calls,
		      failed + went_on, failed, went_on);
	assert_true(failed > calls);
	/* And afterwards it is as if nothing had been. */
	assert_int_equal(run("record 1", 2, -1), VMM_END_EXIT);
}

/* An ioctl of a running machine fails. */
static void ioctls_of_a_run(void **state)
{
	static const struct {
		unsigned long request;
		int error;
		unsigned int nth;
		const char *cmdline;
		enum vmm_end end;
	} cases[] = {
		{ KVM_RUN, EINTR, 3, "flood 20", VMM_END_EXIT },
		{ KVM_RUN, EAGAIN, 2, "flood 20", VMM_END_EXIT },
		{ KVM_RUN, EFAULT, 4, "flood 20", VMM_END_CRASH },
		{ KVM_RUN, EIO, 4, "flood 20", VMM_END_HOST },
		{ KVM_RUN, ENOMEM, 1, "flood 20", VMM_END_HOST },
		{ KVM_GET_REGS, EIO, 1, "flush 3", VMM_END_HOST },
		{ KVM_GET_REGS, EINTR, 2, "flush 3", VMM_END_HOST },
		{ KVM_CLEAR_DIRTY_LOG, ENOENT, 1, "flush 3", VMM_END_HOST },
		{ KVM_CLEAR_DIRTY_LOG, EINTR, 2, "flush 3", VMM_END_HOST },
	};

	(void)state;
	/* A machine is created all the same. */
	fault.begun = false;
	fault.calls = 0;
	fault.create = EINTR;
	assert_int_equal(run("hello", 1, -1), VMM_END_EXIT);
	assert_int_equal(fault.create, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum vmm_end end;

		if (cases[i].request == KVM_CLEAR_DIRTY_LOG && !host.flush)
			continue;
		fault.begun = false;
		fault.calls = 0;
		fault.request = cases[i].request;
		fault.error = cases[i].error;
		fault.nth = cases[i].nth;
		end = run(cases[i].cmdline, 2, -1);
		if (end != cases[i].end)
			fail_msg("case %zu ends with %d, not %d: %s", i, end, cases[i].end, why);
	}
}

/* The ring says that it has been interrupted, has no memory, or must be emptied first. */
static void ring_of_a_run(void **state)
{
	static const int errors[] = { EINTR, EAGAIN, EBUSY };

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		fault.ring = errors[i];
		assert_int_equal(run("hello", 1, -1), VMM_END_EXIT);
	}
	fault.ring = ENXIO;
	assert_int_equal(run("hello", 1, -1), VMM_END_NONE);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* Signals all the time, to any thread, without SA_RESTART: no system call ends in peace. */
static void interrupted_everywhere(void **state)
{
	const struct itimerval often = { { 0, 300 }, { 0, 300 } }, never = { 0 };
	struct sigaction action = { .sa_handler = on_alarm };

	(void)state;
	sigaction(SIGVTALRM, &action, NULL);
	sigaction(SIGPROF, &action, NULL);
	setitimer(ITIMER_PROF, &often, NULL);
	setitimer(ITIMER_VIRTUAL, &often, NULL);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(run("flood 300", 2, -1), VMM_END_EXIT);
	assert_int_equal(run("flush 5", 3, -1), VMM_END_EXIT);
	setitimer(ITIMER_PROF, &never, NULL);
	setitimer(ITIMER_VIRTUAL, &never, NULL);
}

/* The disk behind the console is full, or the console is a descriptor that is none. */
static void console_cannot_be_written(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(full >= 0);
	assert_int_equal(run("flood 300", 1, full), VMM_END_EXIT);
	close(full);
	assert_int_equal(run("flood 300", 1, full), VMM_END_EXIT);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call_of_a_start),
		cmocka_unit_test(ioctls_of_a_run),
		cmocka_unit_test(ring_of_a_run),
		cmocka_unit_test(interrupted_everywhere),
		cmocka_unit_test(console_cannot_be_written),
	};
	struct vmm_error error;

	if (argc != 2) {
		fprintf(stderr, "usage: %s GUEST.elf\n", argv[0]);
		return 2;
	}
	image = argv[1];
	if (vmm_probe(&host, &error)) {
		printf("1..0 # SKIP %s\n", error.text);
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
