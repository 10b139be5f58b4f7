// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch trace`: finds record, report and replay; opens files.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cli/trace.h>

const char *trace_state_name(enum trace_state state)
{
	static const char *const names[] = { [TRACE_COMPLETE] = "complete",
					     [TRACE_CUT] = "cut",
					     [TRACE_DAMAGED] = "damaged",
					     [TRACE_NONE] = "none" };

	return names[state];
}

int trace_read_file(const char *path, bool (*record)(void *ctx, const struct trace_record *record),
		    void *ctx, struct trace_totals *totals)
{
	FILE *file = fopen(path, "re");
	int rc;

	totals->state = TRACE_NONE;
	if (!file) {
		cli_say("cannot read %s: %m", path);
		return CLI_FAILED;
	}
	rc = trace_read(file, record, ctx, totals);
	fclose(file);
	if (rc) {
		cli_say("cannot read %s: %s", path, strerror(-rc));
		return CLI_FAILED;
	}
	switch (totals->state) {
	case TRACE_NONE:
		cli_say("%s is no trace, or one of another version", path);
		return CLI_FAILED;
	case TRACE_DAMAGED:
		cli_say("%s is damaged after %llu good bytes", path,
			(unsigned long long)totals->bytes);
		return CLI_FAILED;
	case TRACE_CUT:
		cli_say("%s ends early, after %llu good bytes: its recorder was killed, or is "
			"still at it",
			path, (unsigned long long)totals->bytes);
		break;
	case TRACE_COMPLETE:
		break;
	}
	return CLI_OK;
}

static int replay(const char *path)
{
	struct replay *replay = replay_new();
	const struct replay_result *result;
	struct trace_totals totals;
	int code;

	if (!replay) {
		cli_say("out of memory");
		return CLI_HOST;
	}
	code = trace_read_file(path, replay_record, replay, &totals);
	result = replay_result(replay);
	printf("%llu batches replayed, %llu left out, %llu answered otherwise\n",
	       (unsigned long long)result->batches, (unsigned long long)result->left_out,
	       (unsigned long long)result->differ);
	printf("%llu PTEs applied, A or D carried in %llu (%llu when recorded)\n",
	       (unsigned long long)result->ptes, (unsigned long long)result->carried,
	       (unsigned long long)result->carried_then);
	if (result->ptes)
		printf("%.1f ns a PTE in the engine\n", (double)result->ns / (double)result->ptes);
	if (result->differ)
		cli_say("first difference: %s", result->first);
	if (!code && (result->differ || !result->batches)) {
		if (!result->batches)
			cli_say("nothing to replay: no batch was recorded with its entries");
		code = CLI_FAILED;
	}
	replay_free(replay);
	if (fflush(stdout)) {
		cli_say("cannot write: %m");
		return CLI_OUTPUT;
	}
	return code;
}

static error_t parse_replay(int key, char *arg, struct argp_state *state)
{
	const char **path = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (*path)
			argp_error(state, "'%s' is too much", arg);
		*path = arg;
		return 0;
	case ARGP_KEY_END:
		if (!*path)
			argp_error(state, "a file is needed");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int cmd_trace_replay(int argc, char **argv)
{
	static const char doc[] =
		"Feed a recorded trace to the engine, batch by batch, and compare what it answers "
		"with what was answered when it was recorded.\vExit code 1: it answers otherwise.";
	static const struct argp argp = { .parser = parse_replay, .args_doc = "FILE", .doc = doc };
	const char *path = NULL;

	argp_parse(&argp, argc, argv, 0, NULL, &path);
	return replay(path);
}

int cmd_trace(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*fn)(int argc, char **argv);
		const char *help;
	} commands[] = {
		{ "record", cmd_trace_record, "the batches of a VM into a file" },
		{ "report", cmd_trace_report, "what is in a file: text, JSON, a plot" },
		{ "replay", cmd_trace_replay, "a file through the engine, answers compared" },
	};
	const size_t nr = sizeof(commands) / sizeof(commands[0]);
	bool help = argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"));
	FILE *out = help ? stdout : stderr;

	for (size_t i = 0; argc > 1 && i < nr; i++) {
		char name[32];

		if (strcmp(argv[1], commands[i].name))
			continue;
		snprintf(name, sizeof(name), "pvbatch trace %s", commands[i].name);
		argv[1] = name;
		return commands[i].fn(argc - 1, argv + 1);
	}
	if (argc > 1 && !help)
		cli_say("no command 'trace %s'", argv[1]);
	fputs("usage: pvbatch trace COMMAND [OPTION]...\n\n", out);
	for (size_t i = 0; i < nr; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("\n`pvbatch trace COMMAND --help` explains each.\n", out);
	return help ? CLI_OK : CLI_USAGE;
}
