// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch run`: a guest, and the table of what it measured.
 */
#include <stdlib.h>
#include <string.h>

#include <cli/document.h>

/* What batching costs by itself, then whether it loses anything while others interfere. */
#define DEFAULT_CMDLINE "workload=toggle rounds=3; workload=race"

static const char doc[] =
	"Run the demo guest: its page-table commits go to the host one per hypercall, then in "
	"batches, then as ranges, while other vCPUs use the same pages; print what each cost and "
	"whether an Accessed or Dirty bit was lost.\vWORDs are the guest's command line, for the "
	"demo guest for example workload=race pages=4096.\n\n" CLI_EXIT_CODES;

/* A guest that attacks its host compares nothing with ledgers. */
static bool hostile(const struct cli_options *options)
{
	return !strcmp(options->guest, "hostile");
}

static int judge(const struct cli_options *options, const json_t *document)
{
	struct document_sums sums;

	document_sum(document, &sums);
	if (sums.lost) {
		cli_say("%" JSON_INTEGER_FORMAT " A/D bits were lost: the A/D law is broken",
			sums.lost);
		return CLI_FAILED;
	}
	/* The default run promises a comparison with the ledgers. */
	if (!options->cmdline && !hostile(options) && !sums.verified) {
		cli_say("the guest compared no page with its ledgers: nothing is proven");
		return CLI_FAILED;
	}
	return CLI_OK;
}

static int run(struct cli_options *options)
{
	json_t *document;
	int code, bad;

	code = cli_find_guest(options);
	if (!code && options->json)
		code = document_writable(options->json);
	if (code)
		return code;
	code = cli_measure(options, hostile(options) ? "" : DEFAULT_CMDLINE, &document);
	if (!document)
		return code;
	if (!cli_in_testbed())
		table_print(document);
	bad = options->json ? document_write(document, options->json) : CLI_OK;
	code = code ? code : bad;
	/* Inside the testbed the caller outside judges. */
	if (!code && !cli_in_testbed())
		code = judge(options, document);
	json_decref(document);
	return code;
}

int cmd_run(int argc, char **argv)
{
	static const struct argp_child children[] = { { &cli_run_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = { .children = children,
					  .args_doc = "[WORD...]",
					  .doc = doc };
	struct cli_options options;
	int code;

	cli_options_init(&options);
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	code = run(&options);
	cli_options_free(&options);
	return code;
}
