// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch stat`: the counters of this machine's VMs, once.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cli/cli.h>
#include <cli/figures.h>

enum key {
	KEY_JSON = 256,
	KEY_KVM
};

struct options {
	bool json;
	double interval; /* seconds; 0: totals alone */
	const char *kvm;
	char **names;
};

static const struct argp_option stat_options[] = {
	{ "interval", 'i', "SECONDS", 0, "Look twice, and say what happened per second", 0 },
	{ "json", KEY_JSON, NULL, 0, "A JSON document", 0 },
	{ "kvm-debugfs", KEY_KVM, "DIR", 0, "KVM's directory. Default: " AGENT_KVM_DEBUGFS, 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;
	char *end;

	switch (key) {
	case 'i':
		options->interval = strtod(arg, &end);
		if (*end || !(options->interval >= 0.05 && options->interval <= 3600))
			argp_error(state, "--interval %s: 0.05 to 3600 seconds", arg);
		return 0;
	case KEY_JSON:
		options->json = true;
		return 0;
	case KEY_KVM:
		options->kvm = arg;
		return 0;
	case ARGP_KEY_ARGS:
		options->names = state->argv + state->next;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static bool wanted(char **names, const char *name)
{
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

/* Keep the VMs that were asked for. Those that are not there are said; an exit code. */
static int choose(struct agent_list *list, char **names)
{
	unsigned int kept = 0;
	int code = CLI_OK;

	for (char **name = names; *name; name++) {
		unsigned int i = 0;

		while (i < list->nr && strcmp(list->vms[i].name, *name))
			i++;
		if (i == list->nr) {
			cli_say("no VM '%s' is running, or none that can be seen", *name);
			code = CLI_FAILED;
		}
	}
	for (unsigned int i = 0; i < list->nr; i++)
		if (wanted(names, list->vms[i].name))
			list->vms[kept++] = list->vms[i];
	list->nr = kept;
	return code;
}

static void print_line(void *ctx, const char *text)
{
	(void)ctx;
	puts(text);
}

static void print(const struct options *options, const struct agent_list *list,
		  const struct agent_list *before)
{
	double seconds = before ? list->time - before->time : 1;
	char text[256];

	if (!options->names && list->nr) {
		figure_row(text, sizeof(text), NULL, 1);
		puts(text);
	}
	for (unsigned int i = 0; i < list->nr; i++) {
		const struct agent_vm *vm = &list->vms[i];
		const struct agent_vm *earlier = agent_find(before, vm);
		struct agent_vm since = earlier ? agent_since(vm, earlier) : *vm;

		if (options->names) {
			figure_details(vm, earlier ? &since : NULL, seconds, print_line, NULL);
		} else if (!before || earlier) {
			figure_row(text, sizeof(text), &since, seconds);
			puts(text);
		}
	}
}

static void complain(const struct agent_sources *sources, const struct agent_list *list)
{
	if (list->silent)
		cli_say("%u VMs did not answer", list->silent);
	if (list->more)
		cli_say("more VMs than can be shown");
	if (!list->nr && access(sources->kvm, R_OK | X_OK))
		cli_say("VMs of KVM cannot be seen: %s: %m", sources->kvm);
}

static int stat_vms(const struct options *options)
{
	struct agent_sources sources = figure_sources(options->kvm);
	struct agent_list before = { 0 }, list;
	bool twice = options->interval > 0;
	json_t *document;
	int code = CLI_OK;

	if (twice) {
		agent_scan(&sources, &before);
		usleep((useconds_t)(options->interval * 1e6));
	}
	agent_scan(&sources, &list);
	if (options->names)
		code = choose(&list, options->names);
	complain(&sources, &list);
	if (options->json) {
		document = agent_json(&list, twice ? &before : NULL);
		json_dumpf(document, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(document);
	} else {
		print(options, &list, twice ? &before : NULL);
	}
	agent_list_free(&before);
	agent_list_free(&list);
	figure_sources_free(&sources);
	if (fflush(stdout)) {
		cli_say("cannot write: %m");
		return CLI_OUTPUT;
	}
	return code;
}

int cmd_stat(int argc, char **argv)
{
	static const char doc[] =
		"Show the counters of this machine's VMs: those that pvbatch runs, and those that "
		"KVM's handler serves (which takes the right to read debugfs). With a NAME, all of "
		"that VM's counters and how large its batches are.\v" CLI_EXIT_CODES;
	static const struct argp argp = {
		.options = stat_options, .parser = parse, .args_doc = "[NAME...]", .doc = doc
	};
	struct options options = { .kvm = AGENT_KVM_DEBUGFS };

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	return stat_vms(&options);
}
