// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of guest/mm - guest/mm beside the model, after each step, with every backend:
 * writing directly, the host applying, the guest applying (with translations that stay
 * until they are named), each with split locks and with one lock.
 *
 *   exhaustive   every state of a page x every operation x every kind of mapping
 *   random       long programs; one that fails is shrunk and printed, to be run again
 *
 * usage: mm_model [--replay FILE] [--programs N] [--seed N] [--random]
 * --random: random programs alone, for long runs.
 * MM_MODEL_FAILURE in the environment names a file for what fails.
 */
#include <stdlib.h>
#include <string.h>

#include "model.h"

static unsigned int number, failures;

static bool report(bool ok, const char *what, unsigned long cases)
{
	printf("%sok %u - %s: %lu\n", ok ? "" : "not ", ++number, what, cases);
	failures += !ok;
	fflush(stdout);
	return ok;
}

static const struct {
	const char *name;
	struct space_config config;
} backends[] = {
	{ "direct", { .mode = PVB_MODE_DIRECT, .nr_vcpus = 2 } },
	{ "direct, split locks", { .mode = PVB_MODE_DIRECT, .nr_vcpus = 2, .split_locks = true } },
	{ "host applies", { .mode = PVB_MODE_HOST_APPLY, .nr_vcpus = 2 } },
	{ "host applies, split locks",
	  { .mode = PVB_MODE_HOST_APPLY, .nr_vcpus = 2, .split_locks = true } },
	{ "guest applies", { .mode = PVB_MODE_GUEST_APPLY, .nr_vcpus = 2, .shadow = true } },
	{ "guest applies, split locks",
	  { .mode = PVB_MODE_GUEST_APPLY, .nr_vcpus = 2, .shadow = true, .split_locks = true } },
#if PVB_LEVELS_MAX >= 5
	{ "host applies, five levels",
	  { .mode = PVB_MODE_HOST_APPLY, .nr_vcpus = 2, .levels = 5 } },
	{ "guest applies, five levels, split locks",
	  { .mode = PVB_MODE_GUEST_APPLY,
	    .nr_vcpus = 2,
	    .shadow = true,
	    .split_locks = true,
	    .levels = 5 } },
#endif
};

#define NR_BACKENDS (sizeof(backends) / sizeof(*backends))
#define NR_MODES 3U /* the first two backends are of the first, and so on */

/* A failing program, small, where the log and the eye find it. */
static void print_failure(struct program *program, const char *what)
{
	const char *path = getenv("MM_MODEL_FAILURE");
	unsigned int tries = program_shrink(program);
	char line[160];
	FILE *file;
	uint32_t at;

	printf("# %s; smallest program after %u tries:\n", what, tries);
	what = program_run(program, &at, false);
	printf("# step %u: %s\n", at, what ? what : "does not fail any more");
	file = path ? fopen(path, "w+") : tmpfile();
	if (!file)
		return;
	program_print(program, file);
	rewind(file);
	while (fgets(line, sizeof(line), file))
		printf("#   %s", line);
	fclose(file);
	printf("# Put these lines into a file and run mm_model --replay FILE.\n");
}

static void random_programs(unsigned int backend, unsigned int nr, uint64_t first)
{
	static char name[80];
	unsigned long steps = 0;

	snprintf(name, sizeof(name), "random programs, %s: steps", backends[backend].name);
	for (unsigned int i = 0; i < nr; i++) {
		struct program program = { .config = backends[backend].config };
		const char *failed;
		uint32_t at;

		program_random(&program, first + i * NR_BACKENDS + backend);
		failed = program_run(&program, &at, true);
		steps += at;
		if (failed) {
			printf("# program %lu\n",
			       (unsigned long)(first + i * NR_BACKENDS + backend));
			print_failure(&program, failed);
			report(false, name, steps);
			return;
		}
	}
	report(true, name, steps);
}

/* Every state that a page can be in, as STEP_STATE's a; if @mixed, runs of unlike ones, too. */
static unsigned int all_states(uint32_t *states, bool mixed)
{
	static const uint8_t prots[] = { 0, PVB_PROT_READ, PVB_PROT_READ | PVB_PROT_WRITE,
					 PVB_PROT_READ | PVB_PROT_EXEC };
	static const uint8_t types[] = { 0, 24, 25, 26, 27, 28, 29, 30, 31 };
	unsigned int nr = 0;

	states[nr++] = STATE_NOTHING;
	for (unsigned int p = 0; p < sizeof(prots); p++) {
		for (uint32_t flags = 0; flags < 32; flags++) {
			states[nr++] = prots[p] | flags * STATE_YOUNG;
			if (mixed)
				states[nr++] = prots[p] | flags * STATE_YOUNG | STATE_MIXED;
		}
	}
	for (unsigned int t = 0; t < sizeof(types); t++) {
		for (uint32_t flags = 0; flags < 8; flags++)
			states[nr++] = STATE_LEAF | (uint32_t)types[t] << STATE_TYPE_SHIFT |
				       (flags & 1 ? STATE_SOFT_DIRTY : 0) |
				       (flags & 2 ? STATE_UFFD_WP : 0) |
				       (flags & 4 ? STATE_EXCLUSIVE : 0);
	}
	return nr;
}

/* Every operation on @nr pages from @page on. */
static unsigned int all_operations(struct step *steps, uint32_t page, uint32_t nr)
{
	static const uint8_t prots[] = { 0, PVB_PROT_READ, PVB_PROT_READ | PVB_PROT_WRITE,
					 PVB_PROT_READ | PVB_PROT_EXEC };
	static const uint8_t flags[] = { 0,
					 PVB_CP_TRY_CHANGE_WRITABLE,
					 PVB_CP_PROT_NUMA,
					 PVB_CP_UFFD_WP,
					 PVB_CP_UFFD_WP_RESOLVE,
					 PVB_CP_UFFD_WP_RESOLVE | PVB_CP_TRY_CHANGE_WRITABLE,
					 PVB_CP_UFFD_WP | PVB_CP_TRY_CHANGE_WRITABLE };
	unsigned int n = 0;

	for (unsigned int p = 0; p < sizeof(prots); p++) {
		for (unsigned int f = 0; f < sizeof(flags); f++)
			steps[n++] = (struct step){ STEP_PROTECT, page, nr, prots[p], flags[f] };
		for (uint32_t touched = 0; touched < 2; touched++) {
			steps[n++] = (struct step){ STEP_TRANSACTION, page, nr, prots[p],
						    touched * (nr - 1) };
			steps[n++] = (struct step){ STEP_TRANSACTION, page, nr, prots[p],
						    touched * (nr - 1) | TRANSACTION_PIECES };
		}
	}
	for (enum step_kind kind = STEP_FORK; kind <= STEP_CLEAN; kind++)
		steps[n++] = (struct step){ kind, page, nr, 0, 0 };
	for (uint32_t write = 0; write < 2; write++)
		steps[n++] = (struct step){ STEP_ACCESS, page, nr, write, write };
	return n;
}

/* @vma: all kinds of mapping; a run of @nr pages in one state, others beside it. */
static bool exhaust(unsigned int backend, uint32_t vma_flags, uint32_t nr, unsigned long *cases)
{
	static uint32_t states[384];
	static struct step operations[64];
	unsigned int nr_states = all_states(states, nr > 1);
	unsigned int nr_operations = all_operations(operations, 62, nr);
	struct program program = {
		.config = backends[backend].config,
		.vma_flags = vma_flags,
		.folio_pages = 8,
		.nr = 6,
	};
	struct step *steps = program.steps;
	bool ok = true;

	/* A neighbour on each side that must not change. */
	steps[0] = (struct step){ STEP_STATE, 60, nr + 4,
				  PVB_PROT_READ | PVB_PROT_WRITE | STATE_YOUNG, 200 };
	/* The other vCPU uses the pages before and after: what its TLB holds must not count. */
	steps[4] = (struct step){ STEP_ACCESS, 62, nr, 0, 1 };
	steps[5] = (struct step){ STEP_ACCESS, 62, nr, 1, 1 };
	program_open(&program);
	for (unsigned int i = 0; ok && i < nr_states * nr_operations * 2; i++, ++*cases) {
		const char *failed = NULL;

		steps[1] = (struct step){ STEP_STATE, 62, nr, states[i / 2 / nr_operations], 100 };
		steps[2] = (struct step){ STEP_ACCESS, 62, nr, i % 2, 1 };
		steps[3] = operations[i / 2 % nr_operations];
		for (unsigned int k = 0; !failed && k < program.nr; k++) {
			failed = step_run(&steps[k]);
			if (!failed && k > 2 && model_compare(56, nr + 12, true) >= 0)
				failed = "the page tables are not what they should be";
		}
		if (!failed)
			continue;
		program_close();
		print_failure(&program, failed);
		program_open(&program);
		ok = false;
	}
	program_close();
	return ok;
}

static void exhaustive(unsigned int backend)
{
	char name[80];
	unsigned long cases = 0;
	bool ok = true;

	snprintf(name, sizeof(name), "every page and operation, %s: cases", backends[backend].name);
	for (uint32_t vma = 0; ok && vma < 16; vma++)
		ok = exhaust(backend, vma, 1, &cases) && exhaust(backend, vma, 5, &cases);
	report(ok, name, cases);
}

/* The test of the test: a host that loses flushes is found, and the failure made small. */
static void finds_and_shrinks(void)
{
	struct program program, again;
	const char *failed = NULL;
	uint32_t at, before = 0;
	FILE *file = tmpfile();
	bool ok;

	for (uint64_t i = 0; !failed && i < 50; i++) {
		program = (struct program){ .config = backends[2].config, .sabotage = true };
		program_random(&program, i);
		before = program.nr;
		failed = program_run(&program, &at, true);
	}
	ok = report(failed, "a host that loses flushes is found, in a program of", before);
	if (ok)
		program_shrink(&program);
	report(ok && program.nr <= 6, "and the program is shrunk to steps", program.nr);
	ok = ok && file;
	if (ok) {
		program_print(&program, file);
		rewind(file);
		failed = program_parse(&again, file);
		ok = !failed &&
		     !memcmp(again.steps, program.steps, program.nr * sizeof(*program.steps));
	}
	ok = ok && program_run(&again, &at, true);
	report(ok, "and fails again when it is read back, at step", at);
	if (file)
		fclose(file);
}

static int replay(const char *path)
{
	struct program program;
	FILE *file = fopen(path, "r");
	const char *failed;
	uint32_t at;

	if (!file) {
		perror(path);
		return 2;
	}
	failed = program_parse(&program, file);
	fclose(file);
	if (failed) {
		fprintf(stderr, "%s: %s\n", path, failed);
		return 2;
	}
	failed = program_run(&program, &at, false);
	if (!failed)
		printf("%s: does not fail\n", path);
	else
		printf("%s: step %u: %s\n", path, at, failed);
	return failed != NULL;
}

int main(int argc, char **argv)
{
	unsigned int programs = 40;
	bool random_alone = false;
	uint64_t first = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--replay") && i + 1 < argc)
			return replay(argv[i + 1]);
		if (!strcmp(argv[i], "--programs") && i + 1 < argc) {
			programs = (unsigned int)strtoul(argv[++i], NULL, 0);
		} else if (!strcmp(argv[i], "--seed") && i + 1 < argc) {
			first = strtoull(argv[++i], NULL, 0);
		} else if (!strcmp(argv[i], "--random")) {
			random_alone = true;
		} else {
			fprintf(stderr, "usage: mm_model [--replay FILE] [--programs N] [--seed N] "
					"[--random]\n");
			return 2;
		}
	}
	printf("1..%u\n", (unsigned int)NR_BACKENDS + (random_alone ? 0 : NR_MODES + 3));
	if (!random_alone)
		finds_and_shrinks();
	/* A page or two lie in one table: there is but one lock to take. */
	for (unsigned int i = 0; i < NR_MODES && !random_alone; i++)
		exhaustive(2 * i);
	for (unsigned int i = 0; i < NR_BACKENDS; i++)
		random_programs(i, programs, first);
	return failures != 0;
}
