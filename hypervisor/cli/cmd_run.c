// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch run`.
 */
#include <unistd.h>

#include <cli/cli.h>

int cmd_run(int argc, char **argv)
{
	static const struct argp_child children[] = { { &cli_run_argp, 0, NULL, 0 }, { 0 } };
	struct cli_options options;
	struct vmm_result result;
	struct vmm_error error;
	struct vmm_host host;
	int code;
	const struct argp argp = { .children = children };

	cli_options_init(&options);
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &options);
	code = cli_find_guest(&options);
	if (code)
		return code;
	if (vmm_probe(&host, &error))
		return cli_fail(&error);
	code = cli_guest(&options, &host, options.cmdline ? options.cmdline : "", STDOUT_FILENO, &result);
	if (!code)
		code = cli_result_code(&result);
	vmm_result_free(&result);
	cli_options_free(&options);
	return code;
}
