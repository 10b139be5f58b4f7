// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - the options that describe a run, shared by `run` and `bench`.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cli/cli.h>

#define DEFAULT_MEMORY 512U
#define DEFAULT_TIMEOUT 600U
#define DEFAULT_CPUS_MAX 4L

enum {
	KEY_CMDLINE = 256,
	KEY_TIMEOUT,
	KEY_BACKEND,
	KEY_JSON,
	KEY_PLOT
};

static const struct argp_option run_options[] = {
	{ "backend", KEY_BACKEND, "NAME", 0,
	  "kvm, testbed (KVM inside QEMU's emulation of AMD SVM), or auto: kvm where guest code "
	  "runs natively, else the testbed (default: auto)",
	  0 },
	{ "guest", 'g', "NAME|PATH", 0,
	  "a guest built with pvbatch, or an ELF64 file (default: demo)", 0 },
	{ "cpus", 'c', "N", 0, "vCPUs (default: as many as CPUs, 2 to 4)", 0 },
	{ "memory", 'm', "MIB", 0, "RAM of the guest in MiB (default: 512)", 0 },
	{ "cmdline", KEY_CMDLINE, "TEXT", 0,
	  "command line of the guest; a semicolon starts another guest with the rest", 0 },
	{ "timeout", KEY_TIMEOUT, "SECONDS", 0, "stop the guest then; 0: never (default: 600)", 0 },
	{ "json", KEY_JSON, "FILE", 0, "write the results there as JSON", 0 },
	{ "quiet", 'q', NULL, 0, "neither the guest's console nor progress", 0 },
	{ 0 },
};

unsigned int cli_number(struct argp_state *state, const char *name, const char *text,
			unsigned int min, unsigned int max)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value < min || value > max)
		argp_error(state, "--%s %s: a number from %u to %u is needed", name, text, min,
			   max);
	return (unsigned int)value;
}

static enum cli_backend backend(struct argp_state *state, const char *text)
{
	if (!strcmp(text, "kvm"))
		return BACKEND_KVM;
	if (!strcmp(text, "testbed"))
		return BACKEND_TESTBED;
	if (strcmp(text, "auto"))
		argp_error(state, "--backend %s: there are kvm, testbed and auto", text);
	return BACKEND_AUTO;
}

/* Words without a dash are the guest's too: `pvbatch run workload=race pages=64`. */
static void add_word(struct cli_options *options, const char *word)
{
	char *longer = NULL;

	if (asprintf(&longer, "%s%s%s", options->cmdline ? options->cmdline : "",
		     options->cmdline && *options->cmdline ? " " : "", word) < 0)
		abort();
	free(options->cmdline);
	options->cmdline = longer;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct cli_options *options = state->input;

	switch (key) {
	case KEY_BACKEND:
		options->backend = backend(state, arg);
		return 0;
	case 'g':
		options->guest = arg;
		return 0;
	case 'c':
		options->cpus = cli_number(state, "cpus", arg, 1, VMM_MAX_CPUS);
		return 0;
	case 'm':
		options->memory = cli_number(state, "memory", arg, VMM_MIN_MEMORY >> 20,
					     VMM_MAX_MEMORY >> 20);
		if (options->memory % 2)
			argp_error(state, "--memory %s: an even number is needed", arg);
		return 0;
	case KEY_CMDLINE:
	case ARGP_KEY_ARG:
		add_word(options, arg);
		return 0;
	case KEY_TIMEOUT:
		options->timeout = cli_number(state, "timeout", arg, 0, INT_MAX);
		return 0;
	case KEY_JSON:
		options->json = arg;
		return 0;
	case 'q':
		options->quiet = true;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

const struct argp cli_run_argp = { .options = run_options, .parser = parse };

void cli_options_init(struct cli_options *options)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	if (online > DEFAULT_CPUS_MAX)
		online = DEFAULT_CPUS_MAX;
	/* One CPU more than one is what a race needs. */
	if (online < 2)
		online = 2;
	memset(options, 0, sizeof(*options));
	options->guest = "demo";
	options->cpus = (unsigned int)online;
	options->memory = DEFAULT_MEMORY;
	options->timeout = DEFAULT_TIMEOUT;
}

void cli_options_free(struct cli_options *options)
{
	free(options->image);
	free(options->cmdline);
}
