// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the VMM on a real /dev/kvm with a guest of its own (tests/vmm/guest): how a
 * run ends, what comes out of the console, that the doorbell survives nonsense, law 4, and
 * what a VM costs the host. Runs on whatever KVM there is, here or inside the testbed; the
 * guest's word "flush" proves something only where translations are cached.
 *
 * usage: vmm-machine GUEST.elf
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <vmm/vmm.h>

#define MEMORY (16ULL << 20)
#define OVERHEAD_MAX_KIB 8192 /* issue: RAM plus at most 8 MiB */

static const char *image;
static struct vmm_host host;

/* Run the guest; its console goes to *@text (free it) unless NULL. */
static void run(const char *cmdline, unsigned int cpus, unsigned int timeout,
		struct vmm_result *result, char **text)
{
	struct vmm_config config = { .image = image,
				     .cmdline = cmdline,
				     .cpus = cpus,
				     .memory = MEMORY,
				     .timeout = timeout,
				     .console = -1 };
	struct vmm_error error = { 0 };
	off_t bytes;
	int rc;

	if (text)
		config.console = memfd_create("console", MFD_CLOEXEC);
	rc = vmm_run(&config, &host, result, &error);
	if (rc)
		fail_msg("%s: %s", cmdline, error.text);
	if (!text)
		return;
	bytes = lseek(config.console, 0, SEEK_END);
	*text = calloc(1, (size_t)bytes + 1);
	assert_non_null(*text);
	assert_int_equal(pread(config.console, *text, (size_t)bytes, 0), bytes);
	close(config.console);
}

/* The guest must leave with exit code 0; if not, what it said is the reason. */
static void run_ok(const char *cmdline, unsigned int cpus)
{
	struct vmm_result result;
	char *text;

	run(cmdline, cpus, 100, &result, &text);
	if (result.end != VMM_END_EXIT || result.code)
		fail_msg("%s: %s: %s", cmdline, result.why, text);
	free(text);
	vmm_result_free(&result);
}

static void hello(void **state)
{
	struct vmm_result result;
	char *text;

	(void)state;
	run("hello 42", 4, 60, &result, &text);
	assert_int_equal(result.end, VMM_END_EXIT);
	assert_int_equal(result.code, 42);
	assert_string_equal(text, "hello\n!\n");
	free(text);
	vmm_result_free(&result);
}

static void halt(void **state)
{
	struct vmm_result result;

	(void)state;
	run("halt", 3, 60, &result, NULL);
	assert_int_equal(result.end, VMM_END_HALT);
	assert_true(result.seconds < 30);
	vmm_result_free(&result);
}

static void triple_fault(void **state)
{
	struct vmm_result result;

	(void)state;
	run("triple", 2, 60, &result, NULL);
	assert_int_equal(result.end, VMM_END_TRIPLE_FAULT);
	vmm_result_free(&result);
}

static void timeout(void **state)
{
	struct vmm_result result;

	(void)state;
	run("spin", 2, 1, &result, NULL);
	assert_int_equal(result.end, VMM_END_TIMEOUT);
	assert_true(result.seconds >= 1 && result.seconds < 20);
	vmm_result_free(&result);
}

static void *interrupt(void *arg)
{
	(void)arg;
	usleep(300000);
	kill(getpid(), SIGTERM);
	return NULL;
}

static void signal_ends_it(void **state)
{
	struct vmm_result result;
	pthread_t thread;
	sigset_t set;

	(void)state;
	/* Nobody but the VMM's signalfd may take it. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_create(&thread, NULL, interrupt, NULL);
	run("spin", 2, 60, &result, NULL); /* skips the test where no VM can run */
	pthread_join(thread, NULL); /* NOLINT(*CallAndMessage) */
	assert_int_equal(result.end, VMM_END_INTERRUPTED);
	assert_int_equal(result.code, SIGTERM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	vmm_result_free(&result);
}

/* Memory that is neither RAM nor a device, the flush slot among it: the guest's end. */
static void holes(void **state)
{
	static const char *const words[] = { "hole 3072", "hole 3328", "hole 4000" };

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct vmm_result result;

		run(words[i], 1, 60, &result, NULL);
		if (result.end != VMM_END_CRASH)
			fail_msg("%s: %s", words[i], result.why);
		vmm_result_free(&result);
	}
}

static void flood(void **state)
{
	struct vmm_result result;
	char *text, *at;
	char want[64];

	(void)state;
	run("flood 2000", 1, 100, &result, &text);
	assert_int_equal(result.end, VMM_END_EXIT);
	at = text;
	for (unsigned int i = 0; i < 2000; i++) {
		snprintf(want, sizeof(want), "%07u abcdefghijklmnopqrstuvwxyz\n", i);
		if (strncmp(at, want, strlen(want)))
			fail_msg("line %u is wrong: %.40s", i, at);
		at += strlen(want);
	}
	assert_string_equal(at, "");
	free(text);
	vmm_result_free(&result);
}

/* Nobody reads the console: the guest waits on it, and a timeout still ends it at once. */
static void blocked_console(void **state)
{
	struct vmm_config config = {
		.image = image, .cmdline = "flood 100000", .cpus = 2, .memory = MEMORY, .timeout = 2
	};
	struct vmm_result result;
	struct vmm_error error;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	config.console = ends[1];
	assert_int_equal(vmm_run(&config, &host, &result, &error), 0);
	assert_int_equal(result.end, VMM_END_TIMEOUT);
	assert_true(result.seconds < 20);
	close(ends[0]);
	close(ends[1]);
	vmm_result_free(&result);
}

static void record(void **state)
{
	struct vmm_result result;
	char *text;

	(void)state;
	run("record 25", 2, 60, &result, &text);
	if (result.end != VMM_END_EXIT || result.code)
		fail_msg("%s: %s", result.why, text);
	assert_int_equal(result.nr_records, 1);
	assert_string_equal(result.records[0].workload, "record");
	assert_int_equal(result.records[0].exits, 25);
	assert_int_equal(result.records[0].ptes, 7);
	free(text);
	vmm_result_free(&result);
}

static void doorbell(void **state)
{
	(void)state;
	run_ok("doorbell", 2);
}

static void doorbell_at_cpl3(void **state)
{
	(void)state;
	run_ok("user", 1);
}

static void flush(void **state)
{
	(void)state;
	run_ok(host.native ? "flush 2000" : "flush 20", 3);
}

static void flush_each_other(void **state)
{
	(void)state;
	run_ok(host.native ? "cross 2000" : "cross 50", 4);
}

/* The slot's bits run out after 32768 flushes. */
static void flush_for_long(void **state)
{
	(void)state;
	run_ok("cross 20000", 2);
}

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

static void nothing_left_open(void **state)
{
	struct vmm_result result;
	unsigned int before = open_files();

	(void)state;
	for (int i = 0; i < 5; i++) {
		run("hello", 2, 60, &result, NULL);
		vmm_result_free(&result);
	}
	assert_int_equal(open_files(), before);
}

static void bad_config(void **state)
{
	struct vmm_config config = {
		.image = image, .cmdline = "hello", .cpus = 0, .memory = MEMORY, .console = -1
	};
	char longer[PVB_CMDLINE_MAX + 1];
	struct vmm_result result;
	struct vmm_error error;

	(void)state;
	assert_true(vmm_run(&config, &host, &result, &error) < 0);
	assert_int_equal(error.fault, VMM_FAULT_CONFIG);
	config.cpus = 1;
	config.memory = MEMORY + 4096;
	assert_true(vmm_run(&config, &host, &result, &error) < 0);
	assert_int_equal(error.fault, VMM_FAULT_CONFIG);
	config.memory = VMM_MAX_MEMORY + (2 << 20);
	assert_true(vmm_run(&config, &host, &result, &error) < 0);
	assert_int_equal(error.fault, VMM_FAULT_CONFIG);
	config.memory = MEMORY;
	memset(longer, 'a', PVB_CMDLINE_MAX);
	longer[PVB_CMDLINE_MAX] = 0;
	config.cmdline = longer;
	assert_true(vmm_run(&config, &host, &result, &error) < 0);
	assert_int_equal(error.fault, VMM_FAULT_CONFIG);
	config.cmdline = "hello";
	config.image = "/nonexistent";
	assert_true(vmm_run(&config, &host, &result, &error) < 0);
	assert_int_equal(error.fault, VMM_FAULT_IMAGE);
}

/* A sanitizer's own memory would count. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static long peak_kib(void)
{
	char line[128];
	long kib = 0;
	FILE *file = fopen("/proc/self/status", "r");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmHWM: %ld kB", &kib) == 1)
			break;
	fclose(file);
	return kib;
}

/* All of a guest's RAM touched: the whole process must not need much more than that. */
static void host_memory(void **state)
{
	struct vmm_config config = { .image = image,
				     .cmdline = "touch 64",
				     .cpus = 8,
				     .memory = 64ULL << 20,
				     .timeout = 100,
				     .console = -1 };
	struct vmm_result result;
	struct vmm_error error;
	long over;

	(void)state;
	assert_int_equal(vmm_run(&config, &host, &result, &error), 0);
	assert_int_equal(result.end, VMM_END_EXIT);
	over = peak_kib() - (64L << 10);
	print_message("# 64 MiB guest, 8 vCPUs: peak RSS %ld KiB over RAM\n", over);
	assert_in_range(over + (64L << 10), 60L << 10, (64L << 10) + OVERHEAD_MAX_KIB);
	vmm_result_free(&result);
}
#endif

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello),
		cmocka_unit_test(halt),
		cmocka_unit_test(triple_fault),
		cmocka_unit_test(timeout),
		cmocka_unit_test(signal_ends_it),
		cmocka_unit_test(holes),
		cmocka_unit_test(flood),
		cmocka_unit_test(blocked_console),
		cmocka_unit_test(record),
		cmocka_unit_test(doorbell),
		cmocka_unit_test(doorbell_at_cpl3),
		cmocka_unit_test(flush),
		cmocka_unit_test(flush_each_other),
		cmocka_unit_test(flush_for_long),
		cmocka_unit_test(nothing_left_open),
		cmocka_unit_test(bad_config),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
		cmocka_unit_test(host_memory),
#endif
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
	return cmocka_run_group_tests_name("vmm machine", tests, NULL, NULL);
}
