// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch bench trace`: instructions that recording adds to a batch,
 * while nobody records and while somebody does, and how many records a second reach a file.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cli/bench_trace.h>
#include <cli/cli.h>
#include <cli/document.h>

/* The promise: instructions of a batch with tracing off, against none. */
#define OFF_MAX 1.05
#define ROUND_SECONDS 0.2

struct options {
	const char *json;
	unsigned int rounds;
	bool check;
};

static const struct argp_option option_table[] = {
	{ "json", 'j', "FILE", 0, "write the results to FILE as JSON", 0 },
	{ "rounds", 'r', "N", 0,
	  "rounds of 0.2 s, for records a second; 0: instructions alone (default 7)", 0 },
	{ "check", 'k', NULL, 0, "exit with 1 if tracing that is off costs more than 5 %", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'j':
		options->json = arg;
		return 0;
	case 'r':
		options->rounds = cli_number(state, "rounds", arg, 0, BENCH_TRACE_ROUNDS_MAX);
		return 0;
	case 'k':
		options->check = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.doc = "Measure what recording a guest's batches costs the VMM: instructions per batch "
	       "without tracing, with tracing that nobody uses, with headers and with entries "
	       "recorded, counted exactly by single-stepping; and records a second, to a file.",
};

static double ratio(uint64_t value, uint64_t of)
{
	return of ? (double)value / (double)of : 0;
}

/* Instructions; what is worst of tracing that is off, against none. */
static double report_cost(const struct bench_trace *bench, json_t *results)
{
	double worst = 0;

	printf("%-22s %9s %9s %7s %9s %7s %9s %7s\n", "instructions per batch", "without", "off",
	       "ratio", "headers", "ratio", "entries", "ratio");
	for (unsigned int i = 0; i < BENCH_TRACE_SHAPES; i++) {
		const struct bench_trace_shape *shape = &bench_trace_shapes[i];
		const struct bench_trace_cost *cost = &bench->cost[i];
		double off = ratio(cost->off, cost->without);
		char name[40];

		snprintf(name, sizeof(name), "%u x %u", shape->entries, shape->ptes);
		printf("%-22s %9" PRIu64 " %9" PRIu64 " %7.3f %9" PRIu64 " %7.2f %9" PRIu64
		       " %7.2f\n",
		       name, cost->without, cost->off, off, cost->headers,
		       ratio(cost->headers, cost->without), cost->entries,
		       ratio(cost->entries, cost->without));
		worst = off > worst ? off : worst;
		json_array_append_new(results,
				      json_pack("{s:i, s:i, s:I, s:I, s:I, s:I, s:f}", "entries",
						(int)shape->entries, "ptes_per_entry",
						(int)shape->ptes, "instructions_without",
						(json_int_t)cost->without, "instructions_off",
						(json_int_t)cost->off, "instructions_headers",
						(json_int_t)cost->headers, "instructions_entries",
						(json_int_t)cost->entries, "ratio_off", off));
	}
	printf("entries x PTEs of each; ratio: to a doorbell that is compiled without tracing\n");
	return worst;
}

static void report_rate(const struct bench_trace_shape *shape, const struct bench_trace_rate *rate,
			unsigned int rounds, json_t *results)
{
	const double *per = rate->per_second;
	double bytes = rate->batches ? (double)rate->bytes / (double)rate->batches : 0;
	char name[40];

	snprintf(name, sizeof(name), "%u x %u, %s", shape->entries, shape->ptes,
		 rate->with_entries ? "entries" : "headers");
	printf("%-22s %10.0f %10.0f %10.0f %9.1f %9.1f %10" PRIu64 " %10" PRIu64 "\n", name, per[0],
	       per[rounds / 2], per[rounds - 1], bytes, bytes / shape->entries, rate->batches,
	       rate->dropped);
	json_array_append_new(
		results,
		json_pack("{s:i, s:i, s:s, s:{s:f, s:f, s:f}, s:f, s:I, s:I, s:I}", "entries",
			  (int)shape->entries, "ptes_per_entry", (int)shape->ptes, "recorded",
			  rate->with_entries ? "entries" : "headers", "records_per_second", "min",
			  per[0], "median", per[rounds / 2], "max", per[rounds - 1],
			  "bytes_per_record", bytes, "bytes", (json_int_t)rate->bytes, "batches",
			  (json_int_t)rate->batches, "dropped", (json_int_t)rate->dropped));
}

static int measure_rates(const struct options *options, json_t *results)
{
	struct bench_trace_rate *rate = calloc(1, sizeof(*rate));
	int code = rate ? CLI_OK : CLI_HOST;

	if (!code && options->rounds)
		printf("\n%-22s %10s %10s %10s %9s %9s %10s %10s\n", "records per second", "min",
		       "median", "max", "bytes per", "per entry", "recorded", "dropped");
	/* Headers of all shapes are alike. */
	for (unsigned int i = 0; !code && options->rounds && i <= BENCH_TRACE_SHAPES; i++) {
		const struct bench_trace_shape *shape = &bench_trace_shapes[i ? i - 1 : 0];

		rate->with_entries = i > 0;
		code = bench_trace_record(shape, options->rounds, ROUND_SECONDS, rate);
		if (!code)
			report_rate(shape, rate, options->rounds, results);
	}
	free(rate);
	return code;
}

static int report(const struct options *options, const struct bench_trace *bench)
{
	json_t *root = document_head("inproc"), *rates = json_array();
	bool counted = bench->steps.stepping;
	double worst = 0;
	int code, bad;

	if (counted)
		worst = report_cost(bench, json_object_get(root, "results"));
	else
		printf("instructions: not counted, as this process may not trace another\n");
	fflush(stdout); /* before a process is forked that would say it, too */
	code = measure_rates(options, rates);
	if (counted)
		printf("\ntracing that is off, at worst: %.3f times the instructions (at most %g)%s\n",
		       worst, OFF_MAX, worst <= OFF_MAX ? "" : "  BROKEN");
	json_object_set_new(root, "instructions_counted", json_boolean(counted));
	json_object_set_new(root, "records", rates);
	json_object_set_new(root, "promises",
			    json_pack("[{s:s, s:f, s:f, s:b}]", "name",
				      "instructions per batch, tracing off against none", "value",
				      worst, "limit", OFF_MAX, "kept", worst <= OFF_MAX));
	if (!code && options->check && worst > OFF_MAX)
		code = CLI_FAILED;
	bad = options->json ? document_write(root, options->json) : CLI_OK;
	json_decref(root);
	return code ? code : bad;
}

int cmd_bench_trace(int argc, char **argv)
{
	struct options options = { .rounds = 7 };
	struct bench_trace *bench;
	int code = CLI_FAILED;

	if (argp_parse(&argp, argc, argv, 0, NULL, &options))
		return CLI_USAGE;
	if (options.json && document_writable(options.json))
		return CLI_OUTPUT;
	bench = mmap(NULL, sizeof(*bench), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (bench == MAP_FAILED) {
		cli_say("bench trace: no memory");
		return CLI_HOST;
	}
	if (steps_run(&bench->steps, bench_trace_count, bench))
		cli_say("bench trace: the measuring process failed");
	else if (bench->wrong)
		cli_say("bench trace: a batch was not answered, or not recorded, as it should be");
	else
		code = report(&options, bench);
	munmap(bench, sizeof(*bench));
	return code;
}
