// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch bench`: the guest's comparison as numbers and a plot, and
 * the benchmarks that need no guest.
 */
#include <stdlib.h>
#include <string.h>

#include <cli/bench_engine.h>
#include <cli/bench_mm.h>
#include <cli/bench_trace.h>
#include <cli/document.h>

enum {
	KEY_PLOT = 512
};

static const struct argp_option options_here[] = {
	{ "plot", KEY_PLOT, "FILE", 0, "draw ns per PTE against batch size there, as SVG", 0 },
	{ 0 },
};

/* Benchmarks that need no guest. */
static const struct {
	const char *name;
	int (*fn)(int argc, char **argv);
} others[] = {
	{ "engine", cmd_bench_engine },
	{ "mm", cmd_bench_mm },
	{ "trace", cmd_bench_trace },
};

static const char doc[] =
	"Measure page-table updates: one hypercall per PTE, batches of 1, 2, 4 ... 512 entries, "
	"ranges; each with the host and with the guest applying them.\v"
	"Without a guest, each with a --help of its own: `pvbatch bench engine` measures the "
	"engine alone, `pvbatch bench mm` the memory-management operations on top, `pvbatch bench "
	"trace` what recording costs. WORDs of the guest have the form NAME=VALUE.\n\n" CLI_EXIT_CODES;

#define DEFAULT_CMDLINE "workload=compare"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct cli_options *options = state->input;

	if (key == ARGP_KEY_INIT)
		state->child_inputs[0] = options;
	if (key != KEY_PLOT)
		return key == ARGP_KEY_INIT ? 0 : ARGP_ERR_UNKNOWN;
	options->plot = arg;
	return 0;
}

static int bench(struct cli_options *options)
{
	struct document_sums sums;
	json_t *document;
	int code, bad;

	code = cli_find_guest(options);
	if (!code && options->json)
		code = document_writable(options->json);
	if (!code && options->plot)
		code = document_writable(options->plot);
	if (!code)
		code = cli_measure(options, DEFAULT_CMDLINE, &document);
	else
		return code;
	if (!document)
		return code;
	table_print(document);
	bad = options->json ? document_write(document, options->json) : CLI_OK;
	if (!bad && options->plot)
		bad = plot_write(document, options->plot);
	document_sum(document, &sums);
	if (!code && sums.lost) {
		cli_say("%" JSON_INTEGER_FORMAT " A/D bits were lost: the A/D law is broken",
			sums.lost);
		code = CLI_FAILED;
	}
	json_decref(document);
	return code ? code : bad;
}

int cmd_bench(int argc, char **argv)
{
	static const struct argp_child children[] = { { &cli_run_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = { .options = options_here,
					  .parser = parse,
					  .children = children,
					  .args_doc = "[WORD...]",
					  .doc = doc };
	struct cli_options options;
	int code;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (argc > 1 && !strcmp(argv[1], others[i].name)) {
			char name[48];

			snprintf(name, sizeof(name), "%s %s", argv[0], argv[1]);
			argv[1] = name;
			return others[i].fn(argc - 1, argv + 1);
		}
	/* The guest's words are NAME=VALUE, unless the options before them say which guest. */
	if (argc > 1 && argv[1][0] != '-' && !strpbrk(argv[1], "= ")) {
		cli_say("no benchmark '%s': there are engine, mm and trace, and the guest's without "
			"a name",
			argv[1]);
		return CLI_USAGE;
	}
	cli_options_init(&options);
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	code = bench(&options);
	cli_options_free(&options);
	return code;
}
