// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - the counters of VMs as text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cli/figures.h>

#define BAR 40 /* characters of the longest bar */

static const struct {
	const char *head;
	enum counter counter;
} columns[] = {
	{ "CALLS", COUNTER_CALLS },	    { "ENTRIES", COUNTER_ENTRIES },
	{ "PTES", COUNTER_PTES },	    { "FLUSHES", COUNTER_FLUSHES },
	{ "CONFLICTS", COUNTER_CONFLICTS }, { "REFUSED", COUNTER_REFUSED },
	{ "EXITS", COUNTER_EXITS },
};

void figure_text(char text[FIGURE_BYTES], double value, bool known)
{
	static const char units[] = " kMGTP";
	unsigned int unit = 0;

	if (!known) {
		memcpy(text, "-", 2);
		return;
	}
	while (value >= 9999.5 && unit + 2 < sizeof(units)) {
		value /= 1000;
		unit++;
	}
	if (!unit)
		snprintf(text, FIGURE_BYTES, value == (double)(long)value ? "%.0f" : "%.1f", value);
	else
		snprintf(text, FIGURE_BYTES, "%.*f%c", value < 100 ? 1 : 0, value, units[unit]);
}

void figure_row(char *text, size_t bytes, const struct agent_vm *vm, double seconds)
{
	struct agent_figures figures;
	char figure[FIGURE_BYTES];
	size_t at;

	if (!vm)
		at = (size_t)snprintf(text, bytes, "%-20s %-4s %8s", "NAME", "BY", "PID");
	else
		at = (size_t)snprintf(text, bytes, "%-20.20s %-4s %8d", vm->name,
				      vm->backend == AGENT_KVM ? "kvm" : "vmm", (int)vm->pid);
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]) && at < bytes; i++) {
		if (vm)
			figure_text(figure, (double)vm->value[columns[i].counter] / seconds,
				    agent_knows(vm, columns[i].counter));
		at += (size_t)snprintf(text + at, bytes - at, " %9s",
				       vm ? figure : columns[i].head);
	}
	if (at >= bytes)
		return;
	if (!vm) {
		snprintf(text + at, bytes - at, " %9s %9s", "PTES/CALL", "SAVED");
		return;
	}
	figures = agent_figures(vm);
	figure_text(figure, figures.ptes_per_call, figures.ptes_per_call >= 0);
	at += (size_t)snprintf(text + at, bytes - at, " %9s", figure);
	figure_text(figure, figures.saved / seconds, figures.saved >= 0);
	if (at < bytes)
		snprintf(text + at, bytes - at, " %9s", figure);
}

static void histogram(const struct agent_vm *vm, void (*line)(void *ctx, const char *text),
		      void *ctx)
{
	char text[128], bar[BAR + 1];
	uint64_t most = 1;

	for (unsigned int i = 0; i < PVB_HIST_BUCKETS; i++)
		if (vm->hist[i] > most)
			most = vm->hist[i];
	line(ctx, "");
	line(ctx, "  entries per batch");
	for (unsigned int i = 0; i < PVB_HIST_BUCKETS; i++) {
		unsigned int length = (unsigned int)((double)vm->hist[i] / (double)most * BAR);

		/* What is there can be seen. */
		if (vm->hist[i] && !length)
			length = 1;
		memset(bar, '#', length);
		bar[length] = 0;
		snprintf(text, sizeof(text), "  %5u%s %14llu %s", 1U << i,
			 i + 1 < PVB_HIST_BUCKETS ? ".." : "+ ", (unsigned long long)vm->hist[i],
			 bar);
		line(ctx, text);
	}
}

void figure_details(const struct agent_vm *vm, const struct agent_vm *since, double seconds,
		    void (*line)(void *ctx, const char *text), void *ctx)
{
	static const char *const switches[] = { [AGENT_SWITCH_UNKNOWN] = "",
						[AGENT_SWITCH_OFF] = ", switched off",
						[AGENT_SWITCH_ON] = ", switched on" };
	char text[192], rate[FIGURE_BYTES];

	snprintf(text, sizeof(text), "%s (%s, process %d%s%s%s)", vm->name,
		 vm->backend == AGENT_KVM ? "KVM" : "VMM", (int)vm->pid,
		 vm->uuid[0] ? ", domain " : "", vm->uuid, switches[vm->on]);
	line(ctx, text);
	for (unsigned int i = 0; i < NR_COUNTERS; i++) {
		if (!agent_knows(vm, (enum counter)i))
			continue;
		rate[0] = 0;
		if (since)
			figure_text(rate, (double)since->value[i] / seconds, true);
		snprintf(text, sizeof(text), "  %-16s %14llu %8s%s  %s", agent_counters[i].name,
			 (unsigned long long)vm->value[i], rate, since ? "/s" : "",
			 agent_counters[i].help);
		line(ctx, text);
	}
	if (vm->has_hist)
		histogram(vm, line, ctx);
}

struct agent_sources figure_sources(const char *kvm)
{
	return (struct agent_sources){ .runtime = agent_runtime_dir(), .kvm = kvm };
}

void figure_sources_free(struct agent_sources *sources)
{
	free((char *)sources->runtime);
	sources->runtime = NULL;
}
