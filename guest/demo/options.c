// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - parsing of the command line.
 */
#include "options.h"
#include <pvbatch/machine.h>
#include "console.h"
#include "layout.h"
#include "lib.h"
#include "mm.h"

/* guest/hostile.elf is this kernel with another default. */
#ifndef DEMO_WORKLOAD
#define DEMO_WORKLOAD WORKLOAD_RACE
#endif

struct options options = {
	.workload = DEMO_WORKLOAD,
	.apply = APPLY_HOST | APPLY_GUEST,
	.mode = MODE_PER_ENTRY | MODE_BATCHED | MODE_RANGE,
};

struct choice {
	const char *name;
	uint32_t value;
};

#define MAX_CHOICES 11

/* A key takes one of choices, or, where it has none, a number from min to max. */
struct key {
	const char *name;
	uint32_t *value;
	uint32_t min;
	uint32_t max;
	struct choice choices[MAX_CHOICES];
};

static uint32_t lock_choice;

static const struct key keys[] = {
	{ "workload",
	  &options.workload,
	  0,
	  0,
	  { { "hello", WORKLOAD_HELLO },
	    { "toggle", WORKLOAD_TOGGLE },
	    { "compare", WORKLOAD_COMPARE },
	    { "race", WORKLOAD_RACE },
	    { "mm", WORKLOAD_MM },
	    { "selfcheck", WORKLOAD_SELFCHECK },
	    { "conform", WORKLOAD_CONFORM },
	    { "hostile", WORKLOAD_HOSTILE },
	    { "victim", WORKLOAD_VICTIM },
	    { "halt", WORKLOAD_HALT },
	    { "triple", WORKLOAD_TRIPLE } } },
	{ "fault",
	  &options.fault,
	  0,
	  0,
	  { { "pf", FAULT_PF }, { "gp", FAULT_GP }, { "ud", FAULT_UD }, { "df", FAULT_DF } } },
	{ "doorbell",
	  &options.doorbell,
	  0,
	  0,
	  { { "auto", DOORBELL_AUTO },
	    { "pio", DOORBELL_PIO },
	    { "hypercall", DOORBELL_HYPERCALL } } },
	{ "apply",
	  &options.apply,
	  0,
	  0,
	  { { "host", APPLY_HOST },
	    { "guest", APPLY_GUEST },
	    { "direct", APPLY_DIRECT },
	    { "both", APPLY_HOST | APPLY_GUEST },
	    { "all", APPLY_HOST | APPLY_GUEST | APPLY_DIRECT } } },
	{ "mode",
	  &options.mode,
	  0,
	  0,
	  { { "per-entry", MODE_PER_ENTRY },
	    { "batched", MODE_BATCHED },
	    { "range", MODE_RANGE },
	    { "all", MODE_PER_ENTRY | MODE_BATCHED | MODE_RANGE } } },
	{ "lock", &lock_choice, 0, 0, { { "table", 0 }, { "all", 1 } } },
	{ "plant",
	  &options.plant,
	  0,
	  0,
	  { { "lost-dirty", PLANT_LOST_DIRTY }, { "no-flush", PLANT_NO_FLUSH } } },
	{ "end",
	  &options.end,
	  0,
	  0,
	  { { "done", END_DONE }, { "exit", END_EXIT }, { "triple", END_TRIPLE } } },
	{ "seed", &options.seed, 0, ~0U, { { NULL, 0 } } },
	{ "pages", &options.pages, 1, WORK_PAGES_MAX, { { NULL, 0 } } },
	{ "rounds", &options.rounds, 1, 1000000, { { NULL, 0 } } },
	{ "batch", &options.batch, 1, PVB_PTES_PER_TABLE, { { NULL, 0 } } },
	{ "vcpus", &options.vcpus, 1, MAX_CPUS, { { NULL, 0 } } },
};

static void set_key(const struct key *key, const char *text)
{
	uint64_t number;

	if (!key->choices[0].name) {
		if (!parse_u64(text, &number) || number < key->min || number > key->max)
			demo_die(EXIT_USAGE, "command line: %s=%s: not a number from %u to %u\n",
				 key->name, text, key->min, key->max);
		*key->value = (uint32_t)number;
		return;
	}
	for (unsigned int i = 0; i < MAX_CHOICES && key->choices[i].name; i++) {
		if (streq(key->choices[i].name, text)) {
			*key->value = key->choices[i].value;
			return;
		}
	}
	say("command line: %s=%s is unknown; there are:", key->name, text);
	for (unsigned int i = 0; i < MAX_CHOICES && key->choices[i].name; i++)
		say(" %s", key->choices[i].name);
	demo_die(EXIT_USAGE, "\n");
}

static void set_word(char *word)
{
	char *equals = word;

	while (*equals && *equals != '=')
		equals++;
	if (*equals) {
		*equals = 0;
		for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++) {
			if (streq(keys[i].name, word)) {
				set_key(&keys[i], equals + 1);
				return;
			}
		}
	}
	say("command line: '%s' is unknown; keys are:", word);
	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++)
		say(" %s=", keys[i].name);
	demo_die(EXIT_USAGE, "\n");
}

void options_parse(const char *cmdline)
{
	static char text[PVB_CMDLINE_MAX];
	char *word = text;

	memcpy(text, cmdline, sizeof(text));
	text[sizeof(text) - 1] = 0;
	while (*word) {
		char *end = word;

		while (*end && *end != ' ')
			end++;
		if (*end)
			*end++ = 0;
		if (*word)
			set_word(word);
		word = end;
	}
	/* The race waits for its workers at every step: smaller, for a result within seconds. */
	if (!options.pages)
		options.pages = options.workload == WORKLOAD_RACE ? 1024 : 4096;
	if (!options.rounds)
		options.rounds = options.workload == WORKLOAD_RACE    ? 4 :
				 options.workload == WORKLOAD_HOSTILE ? 2000 :
									9;
	options.lock_all = lock_choice;
}
