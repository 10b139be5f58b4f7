/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: command line - `pvbatch trace`: record.c writes a file, report and replay read one.
 */
#ifndef PVB_CLI_TRACE_H
#define PVB_CLI_TRACE_H

#include <cli/cli.h>

#include <agent/trace_file.h>

int cmd_trace_record(int argc, char **argv);
int cmd_trace_report(int argc, char **argv);
int cmd_trace_replay(int argc, char **argv);

/*
 * trace_read_file() - trace_read() of the file at @path, and one line about what is wrong
 * with it. An exit code: CLI_OK for a file that is cut short, too.
 */
int trace_read_file(const char *path, bool (*record)(void *ctx, const struct trace_record *record),
		    void *ctx, struct trace_totals *totals);
const char *trace_state_name(enum trace_state state);

/* struct replay - a trace through the engine (trace_replay.c). */
struct replay_result {
	uint64_t batches; /* replayed */
	uint64_t ptes; /* applied by them */
	uint64_t left_out; /* recorded without what a replay needs */
	uint64_t differ; /* answered otherwise */
	uint64_t carried; /* PTEs whose A or D was carried now, */
	uint64_t carried_then; /* and when it was recorded: the hardware was there */
	uint64_t ns; /* in the engine */
	char first[160]; /* the first difference */
};

struct replay;
struct replay *replay_new(void);
void replay_free(struct replay *replay);
/* For trace_read(). */
bool replay_record(void *ctx, const struct trace_record *record);
const struct replay_result *replay_result(const struct replay *replay);

#endif /* PVB_CLI_TRACE_H */
