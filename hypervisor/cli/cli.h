/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: command line - what the subcommands share.
 *
 *   main.c      finds the subcommand
 *   options.c   the options that describe a run
 *   backend.c   /dev/kvm or the testbed
 *   testbed.c   this program again, inside the testbed
 *   guest.c     one guest from its options to its result, with progress
 *   contain.c   the process that it runs in
 *   measure.c   a run, here or there, to a document of results
 *   cmd_*.c, bench_*.c   the subcommands
 *   document.c, table.c, plot.c   what comes out
 */
#ifndef PVB_CLI_H
#define PVB_CLI_H

#include <argp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include <vmm/vmm.h>

/* Exit codes: part of the interface, in --help and docs/cli.md. */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1, /* it ran, and the result is bad: A/D bits lost, the guest said no */
	CLI_USAGE = 2,
	CLI_HOST = 3, /* something is missing on this machine */
	CLI_IMAGE = 4, /* the guest's file cannot be loaded */
	CLI_CRASH = 5, /* the guest crashed */
	CLI_OUTPUT = 6, /* a result could not be written */
	CLI_TIMEOUT = 124,
	CLI_SIGNAL = 128, /* plus the signal's number */
};

#define CLI_EXIT_CODES                                                                               \
	"Exit codes: 0 done; 1 it ran and the result is bad (A/D bits lost, nothing verified, the "  \
	"guest reports a failure); 2 usage; 3 something is missing on this machine; 4 the guest's "  \
	"file cannot be loaded; 5 the guest crashed; 6 a result could not be written; 124 timeout; " \
	"128+n ended by signal n."

enum cli_backend {
	BACKEND_AUTO,
	BACKEND_KVM,
	BACKEND_TESTBED
};

/* Options that describe a run (options.c). */
struct cli_options {
	enum cli_backend backend;
	const char *guest; /* a path, or the name of a guest that is built with pvbatch */
	char *image; /* the path it stands for */
	unsigned int cpus;
	unsigned int memory; /* MiB */
	unsigned int timeout;
	char *cmdline; /* NULL: the subcommand's own */
	const char *json;
	const char *plot;
	bool quiet;
};

extern const struct argp cli_run_argp; /* child parser; its input is a struct cli_options */
/* cli_number() - option --@name's @text as a number from @min to @max, or a usage error. */
unsigned int cli_number(struct argp_state *state, const char *name, const char *text,
			unsigned int min, unsigned int max);
void cli_options_init(struct cli_options *options);
char *cli_self(void); /* absolute path of this program; free() */
/* First of two files, relative to the directory of this program; NULL if neither is there. */
char *cli_find(const char *built, const char *installed);
/* cli_find_guest() - options->image from options->guest; an exit code, said why. */
int cli_find_guest(struct cli_options *options);
void cli_options_free(struct cli_options *options);

extern const char cli_release[], cli_git[]; /* version.c */

/* One clear line on standard error: "pvbatch: ...". */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The exit code for @error, after having said it. */
int cli_fail(const struct vmm_error *error);

/*
 * cli_backend_choose() - decide where to run.
 * @host: filled in when the answer is BACKEND_KVM.
 * Returns an exit code; CLI_OK with *@backend set to KVM or TESTBED.
 */
int cli_backend_choose(enum cli_backend wanted, enum cli_backend *backend, struct vmm_host *host);
/* Set for the process inside the testbed. */
#define CLI_TESTBED_ENV "PVBATCH_TESTBED"
/* cli_in_testbed() - is this process the one inside the testbed? */
bool cli_in_testbed(void);
/* cli_testbed() - run this program again, inside the testbed, for its results in @json. */
int cli_testbed(const struct cli_options *options, const char *cmdline, const char *json);

/* cli_guest() - run a guest on /dev/kvm with its console on @console (-1: dropped). */
int cli_guest(const struct cli_options *options, const struct vmm_host *host, const char *cmdline,
	      int console, struct vmm_result *result);
/* cli_result_code() - say how the guest ended if it did not end well; the exit code. */
int cli_result_code(const struct vmm_result *result);

int cmd_check(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_domain(int argc, char **argv);

#endif /* PVB_CLI_H */
