// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of guest/mm - programs: made at random, run, made smaller when they fail, and
 * written as text that can be run again.
 */
#include <string.h>

#include "model.h"

static const char *const kind_names[NR_STEPS] = {
	"state", "map",	      "protect", "fork", "free",   "age",
	"unmap", "wrprotect", "clean",	 "leaf", "access", "transaction",
};

static const char *const mode_names[] = { "direct", "host-apply", "guest-apply" };

/* The sabotaged host: flushes nothing, tells nobody. */
static void lose_flush(void *ctx, const struct pvb_flush_req *req)
{
	(void)ctx;
	(void)req;
}

void program_open(const struct program *program)
{
	space_open(&program->config);
	space.vma.flags = program->vma_flags;
	space.folio_pages = program->folio_pages;
	space.anon = !(program->vma_flags & PVB_VM_SHARED);
	space.sabotaged = program->sabotage;
	if (program->sabotage)
		space.machine.host->backend.flush = lose_flush;
	memset(model, 0, sizeof(model));
}

void program_close(void)
{
	space_close();
}

const char *program_run(const struct program *program, uint32_t *at, bool quiet)
{
	const char *failed = NULL;

	program_open(program);
	for (*at = 0; *at < program->nr; ++*at) {
		failed = step_run(&program->steps[*at]);
		if (!failed && model_compare(0, SPACE_PAGES, quiet) >= 0)
			failed = "the page tables are not what they should be";
		if (failed)
			break;
	}
	program_close();
	return failed;
}

static uint64_t seed;

static uint32_t rnd(uint32_t bound)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % bound;
}

/* Most steps of a program are about the same few pages: @home and those behind it. */
static void random_step(struct step *step, uint32_t home)
{
	static const uint8_t often[] = {
		STEP_MAP,	STEP_MAP,    STEP_MAP,	  STEP_PROTECT,	    STEP_PROTECT,
		STEP_PROTECT,	STEP_FORK,   STEP_FREE,	  STEP_AGE,	    STEP_UNMAP,
		STEP_WRPROTECT, STEP_CLEAN,  STEP_LEAF,	  STEP_ACCESS,	    STEP_ACCESS,
		STEP_ACCESS,	STEP_ACCESS, STEP_ACCESS, STEP_TRANSACTION,
	};

	step->kind = often[rnd(sizeof(often))];
	/* Near the ends of tables and of blocks, more often than chance would have it. */
	step->page = rnd(4) ? (home + rnd(48)) % SPACE_PAGES : rnd(SPACE_PAGES);
	if (rnd(2))
		step->page = step->page / 16 * 16;
	step->nr = 1 + rnd(rnd(4) ? 48 : SPACE_PAGES);
	if (rnd(3) == 0)
		step->nr = (step->nr + 15) / 16 * 16;
	if (step->nr > SPACE_PAGES - step->page)
		step->nr = SPACE_PAGES - step->page;
	step->a = rnd(8);
	step->b = rnd(SPACE_MEMORY);
	switch (step->kind) {
	case STEP_MAP:
		/* Often where a block would be one. */
		if (rnd(3))
			step->b = step->page % SPACE_MEMORY;
		step->a |= (rnd(3) ? 0 : STATE_SOFT_DIRTY) | (rnd(8) ? 0 : STATE_SPECIAL) |
			   (rnd(8) ? 0 : STATE_UFFD_WP) | (rnd(2) ? 0 : STATE_YOUNG) |
			   (rnd(2) ? 0 : STATE_DIRTY);
		break;
	case STEP_PROTECT: {
		static const uint8_t flags[] = {
			0,
			0,
			PVB_CP_TRY_CHANGE_WRITABLE,
			PVB_CP_TRY_CHANGE_WRITABLE,
			PVB_CP_PROT_NUMA,
			PVB_CP_UFFD_WP,
			PVB_CP_UFFD_WP_RESOLVE,
			PVB_CP_UFFD_WP_RESOLVE | PVB_CP_TRY_CHANGE_WRITABLE,
			PVB_CP_SINGLE,
			PVB_CP_SINGLE | PVB_CP_TRY_CHANGE_WRITABLE,
		};

		step->b = flags[rnd(sizeof(flags))];
		break;
	}
	case STEP_LEAF: {
		static const uint8_t types[] = { 0, 3, 24, 25, 26, 27, 28, 29, 30, 31 };

		step->nr = 1 + step->nr % 40;
		step->a = (uint32_t)types[rnd(sizeof(types))] << STATE_TYPE_SHIFT |
			  (rnd(2) ? STATE_SOFT_DIRTY : 0) | (rnd(3) ? 0 : STATE_UFFD_WP) |
			  (rnd(2) ? STATE_EXCLUSIVE : 0);
		break;
	}
	case STEP_ACCESS:
		step->a &= 1;
		step->b = rnd(2);
		/* As many as a TLB holds. */
		step->nr = 1 + step->nr % 64;
		break;
	case STEP_TRANSACTION:
		step->b = step->b % 512 | (rnd(2) ? TRANSACTION_PIECES : 0);
		break;
	default:
		break;
	}
	if (step->nr > SPACE_PAGES - step->page)
		step->nr = SPACE_PAGES - step->page;
}

void program_random(struct program *program, uint64_t number)
{
	uint32_t home;

	seed = (number + 1) * 0x9e3779b97f4a7c15ULL;
	program->vma_flags = rnd(16);
	program->folio_pages = 1U << rnd(8);
	program->nr = 20 + rnd(PROGRAM_STEPS - 20);
	home = rnd(3) ? rnd(SPACE_PAGES) : rnd(SPACE_TABLES) * PVB_PTES_PER_TABLE + 490;
	for (uint32_t i = 0; i < program->nr; i++)
		random_step(&program->steps[i], home);
	/* In half of them pages are there that nobody could have mapped so, each unlike the next. */
	if (rnd(2)) {
		program->steps[0].kind = STEP_STATE;
		program->steps[0].a = rnd(256) | STATE_MIXED;
	}
}

/* Does @try still fail? Then it takes the place of @program. */
static bool better(struct program *program, const struct program *try)
{
	uint32_t at;

	if (!program_run(try, &at, true))
		return false;
	*program = *try;
	program->nr = at + 1; /* what comes after the failure is no part of it */
	return true;
}

static bool drop_steps(struct program *program, uint32_t nr, unsigned int *tries)
{
	bool any = false;

	for (uint32_t at = program->nr > nr ? program->nr - nr : 0;; at -= nr < at ? nr : at) {
		struct program try = *program;

		if (at + nr <= try.nr) {
			memmove(&try.steps[at], &try.steps[at + nr],
				(try.nr - at - nr) * sizeof(*try.steps));
			try.nr -= nr;
			++*tries;
			if (try.nr && better(program, &try))
				any = true;
		}
		if (!at)
			return any;
	}
}

/* Fewer pages in a step: its first half, its second half, all but an end. */
static bool narrow_step(struct program *program, uint32_t i, unsigned int *tries)
{
	const struct step step = program->steps[i];
	const struct step smaller[] = {
		{ step.kind, step.page, step.nr / 2, step.a, step.b },
		{ step.kind, step.page + step.nr / 2, step.nr - step.nr / 2, step.a,
		  step.kind == STEP_MAP ? step.b + step.nr / 2 : step.b },
		{ step.kind, step.page, step.nr - 1, step.a, step.b },
		{ step.kind, step.page + 1, step.nr - 1, step.a,
		  step.kind == STEP_MAP ? step.b + 1 : step.b },
	};

	if (step.nr < 2)
		return false;
	for (unsigned int k = 0; k < sizeof(smaller) / sizeof(*smaller); k++) {
		struct program try = *program;

		try.steps[i] = smaller[k];
		++*tries;
		if (better(program, &try))
			return true;
	}
	return false;
}

unsigned int program_shrink(struct program *program)
{
	unsigned int tries = 0;
	bool again = true;

	while (again && tries < 20000) {
		again = false;
		for (uint32_t nr = (program->nr + 1) / 2; nr; nr /= 2)
			again |= drop_steps(program, nr, &tries);
		for (uint32_t i = 0; i < program->nr; i++) {
			while (i < program->nr && narrow_step(program, i, &tries))
				again = true;
		}
	}
	return tries;
}

void program_print(const struct program *program, FILE *file)
{
	fprintf(file, "mode %s\nlocks %s\nshadow %d\nlevels %u\nvma %#x\nfolio %u\nsabotage %d\n",
		mode_names[program->config.mode], program->config.split_locks ? "split" : "one",
		program->config.shadow, program->config.levels, program->vma_flags,
		program->folio_pages, program->sabotage);
	for (uint32_t i = 0; i < program->nr; i++) {
		const struct step *step = &program->steps[i];

		fprintf(file, "step %s page %u nr %u a %#x b %#x\n", kind_names[step->kind],
			step->page, step->nr, step->a, step->b);
	}
}

static bool find(const char *name, const char *const *names, unsigned int nr, unsigned int *found)
{
	for (*found = 0; *found < nr; ++*found) {
		if (!strcmp(name, names[*found]))
			return true;
	}
	return false;
}

const char *program_parse(struct program *program, FILE *file)
{
	char line[160], word[32];
	unsigned int value, page, nr, a, b;

	*program = (struct program){ .config = { .nr_vcpus = 2 }, .folio_pages = 1 };
	while (fgets(line, sizeof(line), file)) {
		struct step *step = &program->steps[program->nr];

		/* As it was written, or as it was printed in a log. */
		if (line[0] == '#')
			memmove(line, line + 1, sizeof(line) - 1);
		if (line[strspn(line, " \n")] == 0)
			continue;
		memmove(line, line + strspn(line, " "), strlen(line + strspn(line, " ")) + 1);
		if (sscanf(line, "mode %31s", word) == 1) {
			if (!find(word, mode_names, 3, &value))
				return "no such mode";
			program->config.mode = (enum pvb_mode)value;
		} else if (sscanf(line, "locks %31s", word) == 1) {
			program->config.split_locks = !strcmp(word, "split");
		} else if (sscanf(line, "shadow %u", &value) == 1) {
			program->config.shadow = value;
		} else if (sscanf(line, "levels %u", &value) == 1) {
			program->config.levels = value;
		} else if (sscanf(line, "vma %x", &value) == 1) {
			program->vma_flags = value;
		} else if (sscanf(line, "folio %u", &value) == 1) {
			program->folio_pages = value;
		} else if (sscanf(line, "sabotage %u", &value) == 1) {
			program->sabotage = value;
		} else if (sscanf(line, "step %31s page %u nr %u a %x b %x", word, &page, &nr, &a,
				  &b) == 5) {
			if (!find(word, kind_names, NR_STEPS, &value))
				return "no such step";
			if (program->nr == PROGRAM_STEPS || !nr || page >= SPACE_PAGES ||
			    nr > SPACE_PAGES - page)
				return "a step out of bounds";
			*step = (struct step){ (enum step_kind)value, page, nr, a, b };
			program->nr++;
		} else {
			return "a line that is none of ours";
		}
	}
	return program->nr ? NULL : "no steps";
}
