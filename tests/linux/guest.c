// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux tests - process 1 of the measured kernel, natively or as a KVM guest: runs
 * the workloads and prints what each cost.
 *
 * The clock is the guest's own. Under QEMU's -icount shift=0 its nanoseconds are
 * instructions, those of the host's kernel and of KVM included. Exits are KVM's counters,
 * asked for over the second serial port (probe.h); what asking costs is measured by asking
 * twice, and subtracted.
 *
 * Output, one line each:  row NAME UNIT UNITS CALLS ROUNDS INSTRUCTIONS COUNTER=VALUE...
 * (totals over all rounds), "boot ..." first, "done" last. Arguments (of init, behind "--"
 * on the kernel's command line): names of workloads, or NAME:N for N times as many rounds;
 * none: all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"
#include "workloads.h"

struct sample {
	long long ns;
	long long counter[PROBE_COUNTERS];
};

static int probe_fd = -1;
static struct sample asking; /* what two samples in a row differ by */

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void probe_open(void)
{
	struct termios raw;

	probe_fd = open(PROBE_TTY, O_RDWR | O_NOCTTY);
	if (probe_fd < 0 || tcgetattr(probe_fd, &raw)) {
		printf("no counters: " PROBE_TTY ": %s\n", strerror(errno));
		probe_fd = -1;
		return;
	}
	cfmakeraw(&raw);
	tcsetattr(probe_fd, TCSANOW, &raw);
}

/* On Xen what went in batches is known to the guest (guest/linux/xen). */
static void own_counters(long long *counter)
{
	FILE *file = fopen("/sys/kernel/debug/pvbatch/xen", "r");
	char name[32];
	long long value;

	while (file && fscanf(file, "%31s %lld", name, &value) == 2)
		for (size_t i = 0; i < PROBE_COUNTERS; i++)
			if (!strcmp(name, probe_counters[i]))
				counter[i] = value;
	if (file)
		fclose(file);
}

static void probe_read(long long *counter)
{
	char line[PROBE_LINE], *at = line, ask = PROBE_ASK;
	size_t len = 0;

	memset(counter, 0, sizeof(*counter) * PROBE_COUNTERS);
	if (probe_fd < 0)
		own_counters(counter);
	if (probe_fd < 0 || write(probe_fd, &ask, 1) != 1)
		return;
	while (len < sizeof(line) - 1 && read(probe_fd, line + len, 1) == 1 && line[len] != '\n')
		len++;
	line[len] = 0;
	for (size_t i = 0; i < PROBE_COUNTERS; i++)
		counter[i] = strtoll(at, &at, 10);
}

/* The clock is read nearest to the workload: asking costs no instructions, only exits. */
static void sample_begin(struct sample *s)
{
	probe_read(s->counter);
	s->ns = now();
	PROBE_MARK(PROBE_BEGIN);
}

static void sample_end(struct sample *s)
{
	PROBE_MARK(PROBE_END);
	s->ns = now();
	probe_read(s->counter);
}

static void sample_minus(struct sample *s, const struct sample *t)
{
	s->ns -= t->ns;
	for (size_t i = 0; i < PROBE_COUNTERS; i++)
		s->counter[i] -= t->counter[i];
}

static void sample_plus(struct sample *s, const struct sample *t)
{
	s->ns += t->ns;
	for (size_t i = 0; i < PROBE_COUNTERS; i++)
		s->counter[i] += t->counter[i];
}

static void print_sample(const struct sample *s)
{
	PROBE_MARK(PROBE_ROW);
	printf(" %lld", s->ns);
	for (size_t i = 0; i < PROBE_COUNTERS; i++)
		printf(" %s=%lld", probe_counters[i], s->counter[i]);
	printf("\n");
	fflush(stdout);
}

/* Asking twice with nothing between: the least of several, so that a tick does not count. */
static void calibrate(void)
{
	for (int i = 0; i < 8; i++) {
		struct sample a, b;

		sample_begin(&a);
		sample_end(&b);
		sample_minus(&b, &a);
		if (i == 0 || b.counter[0] < asking.counter[0])
			asking = b;
	}
}

static int run(const struct workload *w, unsigned long rounds)
{
	struct sample total = { 0 };
	int err = w->setup ? w->setup() : 0;

	PROBE_MARK(PROBE_FORGET);
	/* One sample, unless something in between does not count. */
	for (unsigned long i = 0; !err && i < rounds;) {
		unsigned long end = w->before ? i + 1 : rounds;
		struct sample a, b;

		err = w->before ? w->before() : 0;
		if (err)
			break;
		sample_begin(&a);
		for (; !err && i < end; i++)
			err = w->round();
		sample_end(&b);
		sample_minus(&b, &a);
		sample_minus(&b, &asking);
		sample_plus(&total, &b);
	}
	if (err) {
		printf("failed %s %s\n", w->name, strerror(-err));
		fflush(stdout);
		return err;
	}
	if (w->teardown)
		w->teardown();
	printf("row %s %s %lu %lu %lu", w->name, w->unit, rounds * w->units, rounds * w->calls,
	       rounds);
	print_sample(&total);
	return 0;
}

/* How many rounds of @w the arguments ask for. */
static unsigned long rounds_of(const struct workload *w, int argc, char **argv)
{
	size_t len = strlen(w->name);

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], w->name, len))
			continue;
		if (argv[i][len] == ':')
			return w->rounds * strtoul(argv[i] + len + 1, NULL, 10);
		if (!argv[i][len])
			return w->rounds;
	}
	return argc < 2 ? w->rounds : 0;
}

int main(int argc, char **argv)
{
	struct sample boot = { 0 };
	int err = 0;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	probe_open();
	boot.ns = now();
	probe_read(boot.counter);
	printf("boot");
	print_sample(&boot);
	sleep(2); /* drivers go on looking for devices for a while */
	calibrate();
	for (const struct workload *w = workloads; w->name; w++) {
		unsigned long rounds = rounds_of(w, argc, argv);

		if (rounds && run(w, rounds))
			err = 1;
	}
	printf("%s\n", err ? "ended with a failure" : "done");
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	reboot(RB_AUTOBOOT); /* the kernel is told panic=-1 reboot=t or runs under -no-reboot */
	return 0;
}
