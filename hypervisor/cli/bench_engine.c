// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch bench engine`: what the engine itself costs.
 *
 * One process, the in-process backend, no exits: a call is a function call. Every
 * workload changes the same 512 PTEs, in turns, many rounds, so that what disturbs the
 * machine disturbs all of them. Next to them runs the loop that no correct engine can
 * beat: 512 bare lock-cmpxchg over the same memory.
 */
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include <inproc/inproc.h>

#include <cli/bench_engine.h>
#include <cli/cli.h>
#include <cli/document.h>

#define PTES PVB_PTES_PER_TABLE
#define BUFFER 32768U
#define RESULT_OFFSET (BUFFER - 4096U)
#define RW (PVB_PTE_P | PVB_PTE_W | PVB_PTE_A | PVB_PTE_D)
#define RO (PVB_PTE_P | PVB_PTE_A | PVB_PTE_D)
#define ROUNDS_MAX 10000U
#define FIRST_PFN 0x1000ULL

/* What one workload puts into the buffer before each call. */
struct workload {
	const char *name;
	const char *mode; /* as in the other benchmarks' JSON */
	enum pvb_op op;
	uint32_t nr; /* PTEs an entry; 0: the bare loop, no call */
	uint8_t flags;
	bool scattered; /* entries in another order than the PTEs */
	double limit; /* of the ratio to the bare loop; 0: none promised */
};

static const struct workload workloads[] = {
	{ "bare-loop", "bare", PVB_OP_COMMIT, 0, 0, false, 0 },
	{ "commit-range", "range", PVB_OP_COMMIT, PTES, 0, false, 1.25 },
	{ "commit-single", "batched", PVB_OP_COMMIT, 1, 0, false, 2.5 },
	{ "commit-scattered", "batched", PVB_OP_COMMIT, 1, 0, true, 0 },
	{ "mask-range", "range", PVB_OP_MASK, PTES, 0, false, 0 },
	{ "mask-range-result", "range", PVB_OP_MASK, PTES, PVB_ENT_RESULT, false, 0 },
	{ "set-range", "range", PVB_OP_SET, PTES, 0, false, 0 },
	{ "changed-range", "range", PVB_OP_CHANGED, PTES, 0, false, 0 },
};

#define WORKLOADS (sizeof(workloads) / sizeof(workloads[0]))

struct options {
	const char *json;
	unsigned int rounds;
	unsigned int calls; /* a round */
	bool check;
};

struct bench {
	struct pvb_inproc *host;
	struct pvb_inproc_vcpu *cpu;
	struct pvb_batch_hdr *hdr;
	uint64_t *ptes;
	uint64_t table;
};

static double samples[WORKLOADS][ROUNDS_MAX]; /* ns per PTE of each round */

static const struct argp_option option_table[] = {
	{ "json", 'j', "FILE", 0, "write the results to FILE as JSON", 0 },
	{ "rounds", 'r', "N", 0, "rounds, each with every workload (default 200)", 0 },
	{ "calls", 'c', "N", 0, "calls of 512 PTEs a round (default 64)", 0 },
	{ "check", 'k', NULL, 0, "exit with 1 if a ratio is above its promise", 0 },
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
		options->rounds = cli_number(state, "rounds", arg, 1, ROUNDS_MAX);
		return 0;
	case 'c':
		options->calls = cli_number(state, "calls", arg, 1, 10000);
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
	.doc = "Measure what the engine costs, in one process: nanoseconds per PTE of a "
	       "512-PTE range, of 512 single entries and of other batches, next to the bare loop "
	       "of lock-cmpxchg over the same memory.",
};

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* bare_loop() - the floor: from @old to @new, 512 times, nothing checked, nothing kept. */
static __attribute__((noinline)) void bare_loop(uint64_t *ptes, uint64_t old, uint64_t new)
{
	uint32_t i;

	for (i = 0; i < PTES; i++) {
		uint64_t expected = old + ((uint64_t)i << PVB_PAGE_SHIFT);

		__atomic_compare_exchange_n(&ptes[i], &expected,
					    new + ((uint64_t)i << PVB_PAGE_SHIFT), false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
}

/* fill() - the batch that takes the table from @old to @new. Not measured. */
static void fill(struct bench *bench, const struct workload *work, uint64_t old, uint64_t new)
{
	struct pvb_entry *entries = (struct pvb_entry *)(bench->hdr + 1);
	uint32_t i;

	memset(bench->hdr, 0, sizeof(*bench->hdr));
	bench->hdr->version = PVB_VERSION;
	bench->hdr->nr = PTES / work->nr;
	for (i = 0; i < bench->hdr->nr; i++) {
		/* 37 has no common divisor with 512: each PTE once */
		uint64_t pages = (work->scattered ? i * 37 % PTES : i) * work->nr;

		entries[i] = (struct pvb_entry){
			.pte_gpa = bench->table + pages * sizeof(uint64_t),
			.nr = (uint16_t)work->nr,
			.op = (uint8_t)work->op,
			.flags = work->flags,
			.result = work->flags & PVB_ENT_RESULT ? RESULT_OFFSET / 8 : 0,
		};
		if (work->op == PVB_OP_COMMIT)
			entries[i].old = pvb_pte_advance(old, pages);
		if (work->op == PVB_OP_MASK) {
			entries[i].old = old & ~new;
			entries[i].new = new & ~old;
		} else if (work->op != PVB_OP_CHANGED) {
			entries[i].new = pvb_pte_advance(new, pages);
		}
	}
}

/* one_call() - ns of one call over all PTEs; negative if the engine answered wrongly. */
static double one_call(struct bench *bench, const struct workload *work, bool protect)
{
	uint64_t rw = FIRST_PFN << PVB_PAGE_SHIFT | RW, ro = FIRST_PFN << PVB_PAGE_SHIFT | RO;
	uint64_t old = protect ? rw : ro, new = protect ? ro : rw;
	double from, to;
	int64_t result;

	if (!work->nr) {
		from = now_ns();
		bare_loop(bench->ptes, old, new);
		to = now_ns();
	} else {
		fill(bench, work, old, new);
		from = now_ns();
		result = pvb_inproc_call(bench->cpu, PVB_CALL_SUBMIT, 0, 0);
		to = now_ns();
		if (result != PVB_SUBMIT_DONE || bench->hdr->applied != PTES)
			return -1;
		if (work->op == PVB_OP_CHANGED) /* the guest's part, for the next call */
			bare_loop(bench->ptes, old, new);
	}
	if (bench->ptes[PTES - 1] != pvb_pte_advance(new, PTES - 1))
		return -1;
	return to - from;
}

/* one_round() - all workloads, @calls calls each, starting with a different one each time. */
static int one_round(struct bench *bench, unsigned int round, unsigned int calls)
{
	unsigned int i, call;

	for (i = 0; i < WORKLOADS; i++) {
		unsigned int which = (i + round) % WORKLOADS;
		double sum = 0;

		for (call = 0; call < 2 * calls; call++) {
			double ns = one_call(bench, &workloads[which], !(call % 2));

			if (ns < 0) {
				cli_say("bench engine: %s: wrong answer", workloads[which].name);
				return -1;
			}
			if (call >= calls) /* the first half warms up */
				sum += ns;
		}
		samples[which][round] = sum / ((double)calls * PTES);
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* ratio() - median over rounds of a workload's time by the bare loop's of the same round. */
static double ratio(unsigned int which, unsigned int rounds)
{
	static double ratios[ROUNDS_MAX];
	unsigned int i;

	for (i = 0; i < rounds; i++)
		ratios[i] = samples[which][i] / samples[0][i];
	qsort(ratios, rounds, sizeof(*ratios), by_value);
	return ratios[rounds / 2];
}

static int setup(struct bench *bench)
{
	static const struct pvb_inproc_config config = {
		.ram_bytes = 1 << 20,
		.nr_vcpus = 1,
		.offered = PVB_F_ALL,
		.phys_bits = 40,
	};
	struct pvb_negotiate *neg;
	pvb_gpa_t buffer, table;
	unsigned int i;

	memset(bench, 0, sizeof(*bench));
	bench->host = pvb_inproc_create(&config);
	if (!bench->host)
		return -1;
	bench->cpu = &bench->host->vcpus[0];
	buffer = pvb_inproc_alloc(bench->host, BUFFER / PVB_PAGE_SIZE);
	table = pvb_inproc_alloc(bench->host, 1);
	bench->table = pvb_gpa_raw(table);
	bench->ptes = pvb_inproc_ptr(bench->host, table, PVB_PAGE_SIZE, true);
	bench->hdr = pvb_inproc_ptr(bench->host, buffer, BUFFER, true);
	for (i = 0; i < PTES; i++)
		bench->ptes[i] = (FIRST_PFN + i) << PVB_PAGE_SHIFT | RW;

	neg = (struct pvb_negotiate *)bench->hdr;
	*neg = (struct pvb_negotiate){
		.magic = PVB_NEGOTIATE_MAGIC,
		.size = sizeof(*neg),
		.pte_format = PVB_PTE_FORMAT,
		.version_min = PVB_VERSION,
		.version_max = PVB_VERSION,
		.features_wanted = PVB_F_ALL,
	};
	if (pvb_inproc_call(bench->cpu, PVB_CALL_NEGOTIATE, pvb_gpa_raw(buffer), 0) ||
	    pvb_inproc_call(bench->cpu, PVB_CALL_REGISTER, pvb_gpa_raw(buffer), BUFFER))
		return -1;
	return 0;
}

/* report() - the table on standard output, and the same as JSON. True: promises kept. */
static bool report(const struct options *options, json_t *results)
{
	unsigned int i, rounds = options->rounds;
	double ratios[WORKLOADS];
	bool kept = true;

	for (i = 0; i < WORKLOADS; i++) /* before sorting: rounds belong together */
		ratios[i] = ratio(i, rounds);
	printf("%-18s %10s %10s %10s   %s\n", "workload", "min", "median", "max",
	       "ratio to bare loop");
	for (i = 0; i < WORKLOADS; i++) {
		const struct workload *work = &workloads[i];
		double *ns = samples[i];
		json_t *result;

		qsort(ns, rounds, sizeof(*ns), by_value);
		printf("%-18s %10.2f %10.2f %10.2f   %6.2f", work->name, ns[0], ns[rounds / 2],
		       ns[rounds - 1], ratios[i]);
		if (work->limit > 0) {
			printf("   (promise: at most %.2f)", work->limit);
			kept &= ratios[i] <= work->limit;
		}
		printf("\n");
		result = json_pack(
			"{s:s, s:s, s:i, s:i, s:{s:f, s:f, s:f}, s:f}", "workload", work->name,
			"mode", work->mode, "batch", work->nr ? (int)(PTES / work->nr) : 0, "ptes",
			(int)(rounds * options->calls * PTES), "ns_per_pte", "min", ns[0], "median",
			ns[rounds / 2], "max", ns[rounds - 1], "ratio", ratios[i]);
		if (result && work->limit > 0)
			json_object_set_new(result, "limit", json_real(work->limit));
		json_array_append_new(results, result);
	}
	printf("ns per PTE; %u rounds of %u calls of %u PTEs; ratio: median over rounds\n", rounds,
	       options->calls, PTES);
	return kept;
}

int cmd_bench_engine(int argc, char **argv)
{
	struct options options = { .rounds = 200, .calls = 64 };
	struct bench bench;
	json_t *results, *root;
	unsigned int round;
	int code = CLI_FAILED;
	bool kept;

	if (argp_parse(&argp, argc, argv, 0, NULL, &options))
		return CLI_USAGE;
	if (options.json && document_writable(options.json))
		return CLI_OUTPUT;
	if (setup(&bench)) {
		cli_say("bench engine: no memory");
		goto out;
	}
	for (round = 0; round < options.rounds; round++) {
		if (one_round(&bench, round, options.calls))
			goto out;
	}
	results = json_array();
	kept = report(&options, results);
	code = options.check && !kept ? CLI_FAILED : CLI_OK;
	root = document_head("inproc");
	json_object_set_new(root, "results", results);
	if (options.json && document_write(root, options.json))
		code = CLI_OUTPUT;
	json_decref(root);
out:
	pvb_inproc_destroy(bench.host);
	return code;
}
