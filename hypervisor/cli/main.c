// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - pvbatch(1): finds the subcommand. Nothing below this file ends
 * the process, except argp on a usage error.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <cli/cli.h>

static const struct {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "check", cmd_check,
	  "can this machine run it, what is missing, is there anything to win" },
	{ "run", cmd_run,
	  "run the demo guest: one hypercall per PTE, batches, ranges, and a race" },
	{ "bench", cmd_bench, "the benchmarks: ns per PTE against batch size, as JSON and a plot" },
	{ "stat", cmd_stat, "the counters of this machine's VMs" },
	{ "top", cmd_top, "the same, live" },
	{ "trace", cmd_trace, "a VM's batches: record, report, replay" },
	{ "domain", cmd_domain, "whether a libvirt domain wants pvbatch: show, set" },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

void cli_say(const char *format, ...)
{
	va_list args;

	fputs("pvbatch: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

int cli_fail(const struct vmm_error *error)
{
	cli_say("%s", error->text);
	switch (error->fault) {
	case VMM_FAULT_IMAGE:
		return CLI_IMAGE;
	case VMM_FAULT_CONFIG:
		return CLI_USAGE;
	case VMM_FAULT_HOST:
	case VMM_FAULT_NONE:
		break;
	}
	return CLI_HOST;
}

static void help(FILE *out)
{
	fputs("usage: pvbatch COMMAND [OPTION]...\n"
	      "Page-table updates of a guest in batches: a demo guest, its VMM, and benchmarks.\n\n",
	      out);
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("\n`pvbatch COMMAND --help` explains each; `pvbatch --version` says which this is.\n\n"
	      "Exit codes: 0 done; 1 it ran and the result is bad (A/D bits lost, nothing verified,\n"
	      "the guest reports a failure); 2 usage; 3 something is missing on this machine; 4 the\n"
	      "guest's file cannot be loaded; 5 the guest crashed; 6 a result could not be written;\n"
	      "124 timeout; 128+n ended by signal n.\n",
	      out);
}

/*
 * With one of the standard descriptors closed, the next file opened would take its number,
 * and messages would go into /dev/kvm.
 */
static void fill_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	fill_standard_files();
	/* argp's default is 64 */
	argp_err_exit_status = CLI_USAGE;

	if (argc < 2) {
		help(stderr);
		return CLI_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		help(stdout);
		return CLI_OK;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("pvbatch %s (%s), ABI version %u\n", cli_release, cli_git, PVB_VERSION);
		return CLI_OK;
	}
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		char name[32];

		if (strcmp(argv[1], commands[i].name))
			continue;
		/* argp's messages begin with argv[0]. */
		snprintf(name, sizeof(name), "pvbatch %s", commands[i].name);
		argv[1] = name;
		return commands[i].fn(argc - 1, argv + 1);
	}
	cli_say("no command '%s'; `pvbatch --help` lists them", argv[1]);
	return CLI_USAGE;
}
