// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - one guest from its options to its result, and what the user hears
 * meanwhile: nothing for two seconds, then how long it has been.
 */
#include <stdlib.h>
#include <unistd.h>

#include <agent/agent.h>
#include <cli/cli.h>
#include <cli/contain.h>

#define QUIET_SECONDS 2.0
#define LINE_SECONDS 10.0 /* between lines, where nobody can rewrite one */

struct progress {
	bool terminal;
	bool shown;
	double next_line;
};

static void show(void *ctx, double seconds, unsigned int records)
{
	struct progress *progress = ctx;

	if (seconds < QUIET_SECONDS)
		return;
	if (progress->terminal) {
		fprintf(stderr, "\r\033[K%.0f s, %u measurements ", seconds, records);
		progress->shown = true;
	} else if (seconds >= progress->next_line) {
		fprintf(stderr, "pvbatch: %.0f s, %u measurements\n", seconds, records);
		progress->next_line = seconds + LINE_SECONDS;
	}
}

int cli_guest(const struct cli_options *options, const struct vmm_host *host, const char *cmdline,
	      int console, struct vmm_result *result)
{
	/* A rewritten line and the guest's own lines on one terminal do not mix. */
	struct progress progress = { .terminal = isatty(STDERR_FILENO) &&
						 !(console >= 0 && isatty(console)),
				     .next_line = QUIET_SECONDS };
	char *control = agent_control_path();
	const struct vmm_config config = {
		.image = options->image,
		.cmdline = cmdline,
		.cpus = options->cpus,
		.memory = (uint64_t)options->memory << 20,
		.timeout = options->timeout,
		.console = console,
		.log = stderr,
		.control = control,
		.name = options->guest,
		.progress = options->quiet ? NULL : show,
		.progress_ctx = &progress,
	};
	struct vmm_error error;
	int rc;

	fflush(stdout);
	rc = contain_run(&config, host, result, &error);
	free(control);
	if (progress.shown)
		fputs("\r\033[K", stderr);
	return rc ? cli_fail(&error) : CLI_OK;
}

int cli_result_code(const struct vmm_result *result)
{
	switch (result->end) {
	case VMM_END_EXIT:
		if (!result->code)
			return CLI_OK;
		cli_say("the guest ended with exit code %u", result->code);
		return CLI_FAILED;
	case VMM_END_HALT:
		return CLI_OK;
	case VMM_END_TIMEOUT:
		cli_say("%s; give it more (--timeout)", result->why);
		return CLI_TIMEOUT;
	case VMM_END_INTERRUPTED:
		cli_say("%s", result->why);
		return CLI_SIGNAL + (int)result->code;
	case VMM_END_HOST:
		cli_say("the host failed: %s", result->why);
		return CLI_HOST;
	case VMM_END_TRIPLE_FAULT:
	case VMM_END_CRASH:
	case VMM_END_NONE:
		break;
	}
	cli_say("the guest crashed: %s", result->why);
	return CLI_CRASH;
}
