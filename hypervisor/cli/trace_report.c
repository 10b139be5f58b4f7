// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch trace report`: what is in a file of recorded batches.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <cli/document.h>
#include <cli/trace.h>

#define SIZES 22 /* buckets of PTEs per batch: a power of two each */
#define TIMES 33 /* of nanoseconds */
#define SLOTS 65536U /* tables that are counted one by one */
#define HOTTEST 10U
#define BAR 40

struct table {
	uint64_t gpa;
	uint64_t entries, ptes;
};

struct report {
	struct trace_totals totals;
	char name[33];
	unsigned int vcpus;
	uint64_t first_ns, last_ns, in_engine_ns;
	uint64_t entries, ptes, applied, carried, conflicts, refused, partial, failed;
	uint64_t with_entries;
	uint64_t flushes[3];
	uint64_t ops[8], statuses[PVB_NR_STATUS];
	uint64_t sizes[SIZES], times[TIMES];
	struct table *tables;
	unsigned int nr_tables;
	uint64_t elsewhere; /* entries of tables beyond SLOTS / 2 */
};

static const char *const op_names[8] = { [PVB_OP_SET] = "set",
					 [PVB_OP_COMMIT] = "commit",
					 [PVB_OP_MASK] = "mask",
					 [PVB_OP_CHANGED] = "changed" };

static const char *const status_names[PVB_NR_STATUS] = {
	[PVB_ST_PENDING] = "pending",	[PVB_ST_OK] = "ok",
	[PVB_ST_CONFLICT] = "conflict", [PVB_ST_NOTPRESENT] = "not-present",
	[PVB_ST_BAD_OP] = "bad-op",	[PVB_ST_BAD_FLAGS] = "bad-flags",
	[PVB_ST_BAD_NR] = "bad-nr",	[PVB_ST_UNALIGNED] = "unaligned",
	[PVB_ST_CROSSES] = "crosses",	[PVB_ST_BAD_GPA] = "bad-gpa",
	[PVB_ST_DENIED] = "denied",	[PVB_ST_BAD_PTE] = "bad-pte",
	[PVB_ST_BAD_PFN] = "bad-pfn",	[PVB_ST_BAD_RESULT] = "bad-result",
	[PVB_ST_RETRY] = "retry",
};

static unsigned int bucket(uint64_t value, unsigned int buckets)
{
	unsigned int b = 0;

	while (value > 1 && b + 1 < buckets) {
		value >>= 1;
		b++;
	}
	return b;
}

static void count_table(struct report *report, const struct pvb_entry *entry)
{
	uint64_t gpa = entry->pte_gpa & ~(PVB_PAGE_SIZE - 1);
	uint32_t slot = (uint32_t)((gpa >> PVB_PAGE_SHIFT) * 2654435761ULL % SLOTS);

	while (report->tables[slot].entries && report->tables[slot].gpa != gpa)
		slot = (slot + 1) % SLOTS;
	if (!report->tables[slot].entries) {
		/* Half full is where looking gets slow. */
		if (report->nr_tables == SLOTS / 2) {
			report->elsewhere++;
			return;
		}
		report->nr_tables++;
		report->tables[slot].gpa = gpa;
	}
	report->tables[slot].entries++;
	report->tables[slot].ptes += entry->nr;
}

static bool count(void *ctx, const struct trace_record *record)
{
	const struct trace_batch *batch = (const struct trace_batch *)record;
	const struct pvb_entry *entries = trace_entries(batch);
	struct report *report = ctx;

	if (record->kind == TRACE_MACHINE) {
		const struct trace_machine *machine = (const struct trace_machine *)record;

		report->vcpus = machine->vcpus;
		memcpy(report->name, machine->name, sizeof(machine->name));
	}
	if (record->kind != TRACE_BATCH)
		return true;
	if (!report->first_ns)
		report->first_ns = record->time_ns;
	if (record->time_ns > report->last_ns)
		report->last_ns = record->time_ns;
	report->in_engine_ns += batch->duration_ns;
	report->times[bucket(batch->duration_ns, TIMES)]++;
	report->partial += batch->result == PVB_SUBMIT_PARTIAL;
	if (batch->result < 0) {
		report->failed++;
		return true;
	}
	report->applied += batch->hdr.applied;
	report->carried += batch->hdr.carried;
	report->conflicts += batch->hdr.conflicts;
	report->refused += batch->hdr.refused;
	report->sizes[bucket(batch->hdr.applied, SIZES)]++;
	if (batch->result == PVB_SUBMIT_DONE && batch->hdr.flush <= PVB_FLUSH_ALL)
		report->flushes[batch->hdr.flush]++;
	report->with_entries += batch->flags & TRACE_ENTRIES ? 1 : 0;
	for (uint32_t i = 0; i < batch->nr_entries; i++) {
		unsigned int status = pvb_answer_status(entries[i].answer);

		report->entries++;
		report->ptes += entries[i].nr;
		report->ops[entries[i].op & 7]++;
		report->statuses[status < PVB_NR_STATUS ? status : PVB_ST_PENDING]++;
		count_table(report, &entries[i]);
	}
	return true;
}

static int hotter(const void *left, const void *right)
{
	const struct table *a = left, *b = right;

	if (a->ptes != b->ptes)
		return a->ptes < b->ptes ? 1 : -1;
	return a->gpa < b->gpa ? -1 : a->gpa > b->gpa;
}

static double seconds(const struct report *report)
{
	return (double)(report->last_ns - report->first_ns) / 1e9;
}

static json_t *buckets(const uint64_t *values, unsigned int nr)
{
	json_t *array = json_array();

	while (nr && !values[nr - 1])
		nr--;
	for (unsigned int i = 0; i < nr; i++)
		json_array_append_new(array, json_integer((json_int_t)values[i]));
	return array;
}

static json_t *named(const uint64_t *values, const char *const *names, unsigned int nr)
{
	json_t *object = json_object();

	for (unsigned int i = 0; i < nr; i++)
		if (values[i])
			json_object_set_new(object, names[i] ? names[i] : "unknown",
					    json_integer((json_int_t)values[i]));
	return object;
}

static json_t *hottest(const struct report *report)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < HOTTEST && i < report->nr_tables; i++) {
		const struct table *table = &report->tables[i];
		char gpa[24];

		snprintf(gpa, sizeof(gpa), "%#llx", (unsigned long long)table->gpa);
		json_array_append_new(array, json_pack("{s:s, s:I, s:I}", "gpa", gpa, "entries",
						       (json_int_t)table->entries, "ptes",
						       (json_int_t)table->ptes));
	}
	return array;
}

static json_t *document(const struct report *report)
{
	json_t *name = json_string(report->name);
	json_t *json = json_pack(
		"{s:i, s:o, s:i, s:s, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:I}",
		"schema", 1, "name", name ? name : json_null(), "vcpus", (int)report->vcpus,
		"state", trace_state_name(report->totals.state), "bytes",
		(json_int_t)report->totals.bytes, "batches", (json_int_t)report->totals.batches,
		"dropped", (json_int_t)report->totals.dropped, "seconds", seconds(report),
		"engine_ns", (json_int_t)report->in_engine_ns, "entries",
		(json_int_t)report->entries, "ptes", (json_int_t)report->ptes, "applied",
		(json_int_t)report->applied, "carried", (json_int_t)report->carried, "conflicts",
		(json_int_t)report->conflicts, "refused", (json_int_t)report->refused, "partial",
		(json_int_t)report->partial, "failed", (json_int_t)report->failed);

	json_object_set_new(json, "flush_range", json_integer((json_int_t)report->flushes[1]));
	json_object_set_new(json, "flush_all", json_integer((json_int_t)report->flushes[2]));
	json_object_set_new(json, "ops", named(report->ops, op_names, 8));
	json_object_set_new(json, "statuses", named(report->statuses, status_names, PVB_NR_STATUS));
	json_object_set_new(json, "batch_ptes", buckets(report->sizes, SIZES));
	json_object_set_new(json, "batch_ns", buckets(report->times, TIMES));
	json_object_set_new(json, "tables", json_integer((json_int_t)report->nr_tables));
	json_object_set_new(json, "hottest", hottest(report));
	return json;
}

static void print_hist(const char *title, const uint64_t *values, unsigned int nr)
{
	char bar[BAR + 1];
	uint64_t most = 1;
	unsigned int low = 0;

	while (nr && !values[nr - 1])
		nr--;
	while (low < nr && !values[low])
		low++;
	for (unsigned int i = low; i < nr; i++)
		if (values[i] > most)
			most = values[i];
	printf("\n%s\n", title);
	for (unsigned int i = low; i < nr; i++) {
		unsigned int length = (unsigned int)((double)values[i] / (double)most * BAR);

		if (values[i] && !length)
			length = 1;
		memset(bar, '#', length);
		bar[length] = 0;
		printf("  %10llu.. %12llu %s\n", i ? 1ULL << i : 0ULL,
		       (unsigned long long)values[i], bar);
	}
}

static void print(const struct report *report)
{
	const struct trace_totals *totals = &report->totals;
	unsigned long long batches = totals->batches;

	printf("%s, %u vCPUs: %llu batches in %.3f s, %llu dropped (%s, %llu bytes)\n",
	       report->name, report->vcpus, batches, seconds(report),
	       (unsigned long long)totals->dropped, trace_state_name(totals->state),
	       (unsigned long long)totals->bytes);
	if (report->with_entries)
		printf("entries     %12llu  %llu PTEs, %.1f bytes of file each\n",
		       (unsigned long long)report->entries, (unsigned long long)report->ptes,
		       (double)totals->bytes / (double)(report->entries ? report->entries : 1));
	printf("applied     %12llu  A or D carried in %llu\n", (unsigned long long)report->applied,
	       (unsigned long long)report->carried);
	printf("conflicts   %12llu  refused %llu\n", (unsigned long long)report->conflicts,
	       (unsigned long long)report->refused);
	printf("partial     %12llu  failed %llu\n", (unsigned long long)report->partial,
	       (unsigned long long)report->failed);
	printf("flushes     %12llu  of everything %llu\n",
	       (unsigned long long)report->flushes[1] + report->flushes[2],
	       (unsigned long long)report->flushes[2]);
	if (batches)
		printf("in engine   %12.0f  ns a batch\n",
		       (double)report->in_engine_ns / (double)batches);
	print_hist("PTEs applied per batch", report->sizes, SIZES);
	print_hist("ns per batch in the engine", report->times, TIMES);
	if (report->nr_tables)
		printf("\nhottest page tables (of %u)\n", report->nr_tables);
	for (unsigned int i = 0; i < HOTTEST && i < report->nr_tables; i++)
		printf("  %#14llx %12llu PTEs in %llu entries\n",
		       (unsigned long long)report->tables[i].gpa,
		       (unsigned long long)report->tables[i].ptes,
		       (unsigned long long)report->tables[i].entries);
}

static void write_bars(FILE *out, const char *title, const uint64_t *values, unsigned int nr)
{
	fprintf(out, "set title '%s'\nplot '-' using 1:2 with boxes notitle lc rgb '#0072b2'\n",
		title);
	for (unsigned int i = 0; i < nr; i++)
		if (values[i])
			fprintf(out, "%llu %llu\n", 1ULL << i, (unsigned long long)values[i]);
	fputs("e\n", out);
}

static void script(void *ctx, FILE *out)
{
	const struct report *report = ctx;

	fputs("set terminal svg size 960,720 font 'sans-serif,14' background '#ffffff'\n"
	      "set multiplot layout 2,1\nset logscale x 2\nset yrange [0:*]\n"
	      "set style fill solid 0.8\nset boxwidth 0.8 relative\nset grid ytics lc rgb '#dddddd'\n"
	      "set format x '%.0f'\nset ylabel 'batches'\n"
	      "set xlabel 'PTEs applied (from, to the next mark)'\n",
	      out);
	write_bars(out, "Batches by size", report->sizes, SIZES);
	fputs("set xlabel 'ns in the engine (from, to the next mark)'\n", out);
	write_bars(out, "Batches by time", report->times, TIMES);
	fputs("unset multiplot\n", out);
}

struct options {
	const char *path, *plot;
	bool json;
};

static int run(const struct options *options)
{
	struct report *report = calloc(1, sizeof(*report));
	unsigned int used = 0;
	json_t *json;
	int code;

	if (report)
		report->tables = calloc(SLOTS, sizeof(*report->tables));
	if (!report || !report->tables)
		abort();
	code = trace_read_file(options->path, count, report, &report->totals);
	for (unsigned int i = 0; i < SLOTS; i++)
		if (report->tables[i].entries)
			report->tables[used++] = report->tables[i];
	qsort(report->tables, used, sizeof(*report->tables), hotter);
	/* What is good of a damaged file is reported too. */
	if (options->json && report->totals.state != TRACE_NONE) {
		json = document(report);
		json_dumpf(json, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(json);
	} else if (report->totals.state != TRACE_NONE) {
		print(report);
	}
	if (!code && options->plot && report->totals.batches)
		code = plot_gnuplot(options->plot, script, report);
	free(report->tables);
	free(report);
	if (!code && fflush(stdout)) {
		cli_say("cannot write: %m");
		return CLI_OUTPUT;
	}
	return code;
}

enum key {
	KEY_JSON = 256,
	KEY_PLOT
};

static const struct argp_option report_options[] = {
	{ "json", KEY_JSON, NULL, 0, "A JSON document", 0 },
	{ "plot", KEY_PLOT, "FILE", 0, "Draw both histograms there, as SVG", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case KEY_JSON:
		options->json = true;
		return 0;
	case KEY_PLOT:
		options->plot = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (options->path)
			argp_error(state, "'%s' is too much", arg);
		options->path = arg;
		return 0;
	case ARGP_KEY_END:
		if (!options->path)
			argp_error(state, "a file is needed");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int cmd_trace_report(int argc, char **argv)
{
	static const char doc[] =
		"Say what is in a recorded trace: sizes and times of batches, answers, the hottest "
		"page tables.\vA file whose recorder was killed is read as far as it goes.";
	static const struct argp argp = {
		.options = report_options, .parser = parse, .args_doc = "FILE", .doc = doc
	};
	struct options options = { 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	return run(&options);
}
