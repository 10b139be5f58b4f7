// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch bench mm`: entries, hypercalls and instructions of the
 * memory-management operations, batched and not, and the figures that guest/mm promises.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <jansson.h>

#include <cli/bench_mm.h>
#include <cli/cli.h>

/* Promises. */
#define PER_PTE_MAX 20.0 /* instructions of a 512-run of modify_prot, per PTE */
#define ENTRIES_MAX 1.0 /* and entries */
#define ONE_MAX 1.05 /* a batch of one, against a single entry */
#define TABLES_A_CALL 120U /* page tables a call, under one lock */
#define CALLS_MAX 1.0 /* hypercalls a page table, with split locks */

struct options {
	const char *json;
	bool check;
};

static const struct argp_option option_table[] = {
	{ "json", 'j', "FILE", 0, "write the results to FILE as JSON", 0 },
	{ "check", 'k', NULL, 0, "exit with 1 if a promise is broken", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'j':
		options->json = arg;
		return 0;
	case 'k':
		options->check = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.doc = "Measure what guest/mm costs the guest: queue entries, hypercalls and instructions "
	       "per PTE of each operation, for runs of 1, 16 and 512 PTEs, batched, as the generic "
	       "loop, and entry by entry; and a change of protection over 64 Ki pages. "
	       "Instructions are counted exactly, by single-stepping; the host's do not count.",
};

static const char *const mode_names[] = { "direct", "host-apply", "guest-apply" };

static double per(uint64_t value, uint64_t of)
{
	return (double)value / (double)of;
}

static const struct bench_mm_run *find_run(const struct bench_mm *bench, const char *operation,
					   const char *form, enum pvb_mode mode, uint32_t run)
{
	for (uint32_t i = 0; i < bench->nr_runs; i++) {
		const struct bench_mm_run *r = &bench->runs[i];

		if (!strcmp(r->operation, operation) && !strcmp(r->form, form) && r->mode == mode &&
		    r->run == run)
			return r;
	}
	return NULL;
}

static json_t *report_runs(const struct bench_mm *bench)
{
	json_t *results = json_array();

	printf("%-18s %-8s %-12s %5s %8s %6s %12s %8s\n", "operation", "form", "mode", "run",
	       "entries", "calls", "instr/PTE", "+submit");
	for (uint32_t i = 0; i < bench->nr_runs; i++) {
		const struct bench_mm_run *r = &bench->runs[i];
		double instructions = per(r->instructions, r->counted);

		printf("%-18s %-8s %-12s %5u %8" PRIu64 " %6" PRIu64 " %12.1f %8" PRIu64 "\n",
		       r->operation, r->form, mode_names[r->mode], r->run, r->entries,
		       r->hypercalls, instructions, r->submit);
		json_array_append_new(
			results,
			json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:I, s:I, s:f, s:I}", "operation",
				  r->operation, "form", r->form, "mode", mode_names[r->mode], "run",
				  (int)r->run, "ptes", (int)r->ptes, "counted_ptes",
				  (int)r->counted, "entries", (json_int_t)r->entries, "hypercalls",
				  (json_int_t)r->hypercalls, "instructions_per_pte", instructions,
				  "submit_instructions", (json_int_t)r->submit));
	}
	return results;
}

static json_t *report_ranges(const struct bench_mm *bench)
{
	json_t *results = json_array();

	printf("\nchange_protection over %u pages in %u page tables\n", bench->ranges[0].pages,
	       bench->ranges[0].tables);
	printf("%-12s %-6s %6s %-10s %8s %8s %8s %10s\n", "mode", "locks", "folio", "form",
	       "entries", "calls", "flushes", "instr/PTE");
	for (uint32_t i = 0; i < bench->nr_ranges; i++) {
		const struct bench_mm_range *r = &bench->ranges[i];
		const char *form = r->unbatched ? "unbatched" : "batched";
		double instructions = per(r->instructions, r->counted_pages);

		printf("%-12s %-6s %6u %-10s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %10.1f\n",
		       mode_names[r->mode], r->locks, r->folio, form, r->entries, r->hypercalls,
		       r->flushes, instructions);
		json_array_append_new(
			results,
			json_pack("{s:s, s:s, s:i, s:s, s:i, s:i, s:I, s:I, s:I, s:f}", "mode",
				  mode_names[r->mode], "locks", r->locks, "folio", (int)r->folio,
				  "form", form, "pages", (int)r->pages, "tables", (int)r->tables,
				  "entries", (json_int_t)r->entries, "hypercalls",
				  (json_int_t)r->hypercalls, "flushes", (json_int_t)r->flushes,
				  "instructions_per_pte", instructions));
	}
	return results;
}

static bool promise(json_t *promises, const char *name, double value, double limit)
{
	bool kept = value <= limit;

	printf("%-70s %8.3f  (at most %g)%s\n", name, value, limit, kept ? "" : "  BROKEN");
	json_array_append_new(promises, json_pack("{s:s, s:f, s:f, s:b}", "name", name, "value",
						  value, "limit", limit, "kept", kept));
	return kept;
}

/* Calls of a change of protection, at worst of all its forms with these locks. */
static uint64_t most_calls(const struct bench_mm *bench, const char *locks)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < bench->nr_ranges; i++) {
		const struct bench_mm_range *r = &bench->ranges[i];

		if (!strcmp(r->locks, locks) && r->hypercalls > most)
			most = r->hypercalls;
	}
	return most;
}

/* A batch of one against what it is a batch of: the single entry, or the loop over one. */
static bool promise_one(json_t *promises, const struct bench_mm *bench,
			const struct bench_mm_run *one)
{
	const struct bench_mm_run *single = find_run(bench, one->operation, "single", one->mode, 1);
	char name[80];

	if (!single)
		single = find_run(bench, one->operation, "generic", one->mode, 1);
	snprintf(name, sizeof(name), "%s, %s: a batch of one against a single entry",
		 one->operation, mode_names[one->mode]);
	return promise(
		promises, name,
		per(one->instructions * single->counted, single->instructions * one->counted),
		ONE_MAX);
}

static bool promise_instructions(json_t *promises, const struct bench_mm *bench)
{
	bool kept = true;

	for (enum pvb_mode mode = PVB_MODE_HOST_APPLY; mode <= PVB_MODE_GUEST_APPLY; mode++) {
		const struct bench_mm_run *full =
			find_run(bench, "modify_prot", "batched", mode, 512);
		char name[80];

		snprintf(name, sizeof(name), "modify_prot, %s: instructions a PTE, run of 512",
			 mode_names[mode]);
		kept &= promise(promises, name,
				per(full->instructions + full->submit, full->counted), PER_PTE_MAX);
	}
	for (uint32_t i = 0; i < bench->nr_runs; i++) {
		const struct bench_mm_run *r = &bench->runs[i];

		if (r->run == 1 && !strcmp(r->form, "batched"))
			kept &= promise_one(promises, bench, r);
	}
	return kept;
}

static bool report_promises(const struct bench_mm *bench, json_t *promises)
{
	const uint32_t tables = bench->ranges[0].tables;
	const uint32_t full_buffers = (tables + TABLES_A_CALL - 1) / TABLES_A_CALL;
	bool kept = true;

	printf("\n");
	for (enum pvb_mode mode = PVB_MODE_HOST_APPLY; mode <= PVB_MODE_GUEST_APPLY; mode++) {
		const struct bench_mm_run *full =
			find_run(bench, "modify_prot", "batched", mode, 512);
		char name[80];

		snprintf(name, sizeof(name), "modify_prot, %s: queue entries, run of 512",
			 mode_names[mode]);
		kept &= promise(promises, name, (double)full->entries, ENTRIES_MAX);
	}
	kept &= promise(promises, "change_protection, one lock: calls for 128 page tables",
			(double)most_calls(bench, "one"), (double)full_buffers);
	kept &= promise(promises, "change_protection, split locks: calls a page table",
			per(most_calls(bench, "split"), tables), CALLS_MAX);
	if (bench->steps.stepping)
		return kept & promise_instructions(promises, bench);
	printf("instructions: not counted, as this process may not trace another\n");
	return kept;
}

int cmd_bench_mm(int argc, char **argv)
{
	struct options options = { 0 };
	json_t *root, *runs, *ranges, *promises;
	struct bench_mm *bench;
	int code = CLI_FAILED;
	bool kept;

	if (argp_parse(&argp, argc, argv, 0, NULL, &options))
		return CLI_USAGE;
	bench = mmap(NULL, sizeof(*bench), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (bench == MAP_FAILED) {
		cli_say("bench mm: no memory");
		return CLI_HOST;
	}
	if (steps_run(&bench->steps, bench_mm_measure, bench)) {
		cli_say("bench mm: the measuring process failed");
		goto out;
	}
	runs = report_runs(bench);
	ranges = report_ranges(bench);
	promises = json_array();
	kept = report_promises(bench, promises);
	root = json_pack("{s:i, s:s, s:{s:s}, s:b, s:o, s:o, s:o}", "schema", 1, "git", cli_git,
			 "host", "backend", "inproc", "instructions_counted", bench->steps.stepping,
			 "results", runs, "change_protection", ranges, "promises", promises);
	if (bench->wrong)
		cli_say("bench mm: an entry was not what it should be");
	else if (kept || !options.check)
		code = CLI_OK;
	if (options.json && json_dump_file(root, options.json, JSON_INDENT(1))) {
		cli_say("bench mm: cannot write %s: %s", options.json, strerror(errno));
		code = CLI_OUTPUT;
	}
	json_decref(root);
out:
	munmap(bench, sizeof(*bench));
	return code;
}
