// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - the counters of VMs as text.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cli/figures.h>

#define BAR 40 /* characters of the longest bar */

/* What a terminal of 80 columns shows comes first. */
enum column {
	COLUMN_CALLS,
	COLUMN_PTES,
	COLUMN_PTES_PER_CALL,
	COLUMN_CALLS_SAVED,
	COLUMN_EXITS_SAVED,
	COLUMN_EXITS,
	COLUMN_ENTRIES,
	COLUMN_FLUSHES,
	COLUMN_CONFLICTS,
	COLUMN_REFUSED,
	NR_COLUMNS
};

static const char *const heads[NR_COLUMNS] = {
	[COLUMN_CALLS] = "CALLS",
	[COLUMN_PTES] = "PTES",
	[COLUMN_PTES_PER_CALL] = "PTES/CALL",
	[COLUMN_CALLS_SAVED] = "CALLS-SVD",
	[COLUMN_EXITS_SAVED] = "EXITS-SVD",
	[COLUMN_EXITS] = "EXITS",
	[COLUMN_ENTRIES] = "ENTRIES",
	[COLUMN_FLUSHES] = "FLUSHES",
	[COLUMN_CONFLICTS] = "CONFLICTS",
	[COLUMN_REFUSED] = "REFUSED",
};

void figure_text(char text[FIGURE_BYTES], double value)
{
	static const char units[] = " kMGTP";
	unsigned int unit = 0;

	if (isnan(value)) {
		memcpy(text, "-", 2);
		return;
	}
	while (fabs(value) >= 9999.5 && unit + 2 < sizeof(units)) {
		value /= 1000;
		unit++;
	}
	if (!unit)
		snprintf(text, FIGURE_BYTES, value == (double)(long)value ? "%.0f" : "%.1f", value);
	else
		snprintf(text, FIGURE_BYTES, "%.*f%c", fabs(value) < 100 ? 1 : 0, value,
			 units[unit]);
}

static double counter(const struct agent_vm *vm, enum counter counter)
{
	return agent_knows(vm, counter) ? (double)vm->value[counter] : NAN;
}

void figure_row(char *text, size_t bytes, const struct agent_vm *vm, double seconds)
{
	struct agent_figures figures;
	char figure[FIGURE_BYTES];
	size_t at;

	if (!vm) {
		at = (size_t)snprintf(text, bytes, "%-16s %-4s %8s", "NAME", "BY", "PID");
		for (unsigned int i = 0; i < NR_COLUMNS && at < bytes; i++)
			at += (size_t)snprintf(text + at, bytes - at, " %9s", heads[i]);
		return;
	}
	figures = agent_figures(vm);
	const double values[NR_COLUMNS] = {
		[COLUMN_CALLS] = counter(vm, COUNTER_CALLS) / seconds,
		[COLUMN_PTES] = counter(vm, COUNTER_PTES) / seconds,
		[COLUMN_PTES_PER_CALL] = figures.ptes_per_call,
		[COLUMN_CALLS_SAVED] = figures.calls_saved / seconds,
		[COLUMN_EXITS_SAVED] = figures.exits_saved / seconds,
		[COLUMN_EXITS] = counter(vm, COUNTER_EXITS) / seconds,
		[COLUMN_ENTRIES] = counter(vm, COUNTER_ENTRIES) / seconds,
		[COLUMN_FLUSHES] = counter(vm, COUNTER_FLUSHES) / seconds,
		[COLUMN_CONFLICTS] = counter(vm, COUNTER_CONFLICTS) / seconds,
		[COLUMN_REFUSED] = counter(vm, COUNTER_REFUSED) / seconds,
	};
	at = (size_t)snprintf(text, bytes, "%-16.16s %-4s %8d", vm->name,
			      vm->backend == AGENT_KVM ? "kvm" : "vmm", (int)vm->pid);
	for (unsigned int i = 0; i < NR_COLUMNS && at < bytes; i++) {
		figure_text(figure, values[i]);
		at += (size_t)snprintf(text + at, bytes - at, " %9s", figure);
	}
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

/* What follows from counters: in all, and, where it makes sense, in a second. */
static void derived(const struct agent_vm *vm, const struct agent_vm *since, double seconds,
		    void (*line)(void *ctx, const char *text), void *ctx)
{
	const struct agent_figures all = agent_figures(vm), last = agent_figures(since ?: vm);
	const struct {
		const char *name;
		double all, rate;
		const char *help;
	} rows[] = {
		{ "ptes_per_call", all.ptes_per_call, NAN, "What one hypercall carries" },
		{ "ptes_per_entry", all.ptes_per_entry, NAN, "How commits coalesce into runs" },
		{ "calls_saved", all.calls_saved, last.calls_saved / seconds,
		  "Against one hypercall for each PTE and flush" },
		{ "exits_saved", all.exits_saved, last.exits_saved / seconds,
		  "Estimate, against shadow paging without pvbatch" },
	};
	char text[192], figure[FIGURE_BYTES], rate[FIGURE_BYTES];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool with_rate = since && !isnan(rows[i].rate);

		if (isnan(rows[i].all))
			continue;
		figure_text(figure, rows[i].all);
		rate[0] = 0;
		if (with_rate)
			figure_text(rate, rows[i].rate);
		snprintf(text, sizeof(text), "  %-16s %14s %8s%s  %s", rows[i].name, figure, rate,
			 with_rate ? "/s" : "", rows[i].help);
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
			figure_text(rate, (double)since->value[i] / seconds);
		snprintf(text, sizeof(text), "  %-16s %14llu %8s%s  %s", agent_counters[i].name,
			 (unsigned long long)vm->value[i], rate, since ? "/s" : "",
			 agent_counters[i].help);
		line(ctx, text);
	}
	derived(vm, since, seconds, line, ctx);
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
