// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - a list of VMs as a JSON document, and what happened between two lists.
 */
#include <math.h>

#include <agent/agent.h>

static double ratio(const struct agent_vm *vm, enum counter above, enum counter below)
{
	if (!agent_knows(vm, above) || !agent_knows(vm, below) || !vm->value[below])
		return NAN;
	return (double)vm->value[above] / (double)vm->value[below];
}

/* The first @nr_gains counters less the others; NAN unless all are known. */
static double balance(const struct agent_vm *vm, const enum counter *counters, unsigned int nr,
		      unsigned int nr_gains)
{
	double sum = 0;

	for (unsigned int i = 0; i < nr; i++) {
		double value = agent_knows(vm, counters[i]) ? (double)vm->value[counters[i]] : NAN;

		sum += i < nr_gains ? value : -value;
	}
	return sum;
}

struct agent_figures agent_figures(const struct agent_vm *vm)
{
	static const enum counter calls[] = { COUNTER_PTES, COUNTER_FLUSHES, COUNTER_CALLS };
	/* Each may have been an exit without the handler, up to the two that are exits with it. */
	static const enum counter exits[] = { COUNTER_ENTRIES,	       COUNTER_FLUSHES,
					      COUNTER_SPTES_INSTALLED, COUNTER_DIRTY_AROUND,
					      COUNTER_CALLS,	       COUNTER_DENIED };

	return (struct agent_figures){
		.ptes_per_call = ratio(vm, COUNTER_PTES, COUNTER_CALLS),
		.ptes_per_entry = ratio(vm, COUNTER_PTES, COUNTER_ENTRIES),
		.entries_per_call = ratio(vm, COUNTER_ENTRIES, COUNTER_CALLS),
		.calls_saved = balance(vm, calls, 3, 2),
		.exits_saved = balance(vm, exits, 6, 4),
	};
}

static uint64_t since(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

struct agent_vm agent_since(const struct agent_vm *vm, const struct agent_vm *before)
{
	struct agent_vm difference = *vm;

	for (unsigned int i = 0; i < NR_COUNTERS; i++)
		difference.value[i] = since(vm->value[i], before->value[i]);
	for (unsigned int i = 0; i < PVB_HIST_BUCKETS; i++)
		difference.hist[i] = since(vm->hist[i], before->hist[i]);
	return difference;
}

static json_t *counters_json(const struct agent_vm *vm, double seconds)
{
	json_t *object = json_object();

	for (unsigned int i = 0; i < NR_COUNTERS; i++) {
		json_t *value;

		if (!agent_knows(vm, (enum counter)i))
			continue;
		value = seconds > 0 ? json_real((double)vm->value[i] / seconds) :
				      json_integer((json_int_t)vm->value[i]);
		json_object_set_new(object, agent_counters[i].name, value);
	}
	return object;
}

static json_t *figure(double value)
{
	return isnan(value) ? json_null() : json_real(value);
}

static json_t *figures_json(const struct agent_vm *vm)
{
	struct agent_figures figures = agent_figures(vm);

	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "ptes_per_call",
			 figure(figures.ptes_per_call), "ptes_per_entry",
			 figure(figures.ptes_per_entry), "entries_per_call",
			 figure(figures.entries_per_call), "calls_saved",
			 figure(figures.calls_saved), "exits_saved", figure(figures.exits_saved));
}

/* What happened between two looks: counters, and what follows from them, in a second. */
static json_t *rates_json(const struct agent_vm *since, double seconds)
{
	struct agent_figures figures = agent_figures(since);
	json_t *object = counters_json(since, seconds);

	json_object_set_new(object, "calls_saved", figure(figures.calls_saved / seconds));
	json_object_set_new(object, "exits_saved", figure(figures.exits_saved / seconds));
	return object;
}

static json_t *vm_json(const struct agent_vm *vm)
{
	static const char *const backends[] = { [AGENT_VMM] = "vmm", [AGENT_KVM] = "kvm" };
	json_t *object = json_pack("{s:s, s:s, s:i, s:s*, s:o, s:o, s:o}", "name", vm->name,
				   "backend", backends[vm->backend], "pid", (int)vm->pid, "uuid",
				   vm->uuid[0] ? vm->uuid : NULL, "enabled",
				   vm->on == AGENT_SWITCH_UNKNOWN ?
					   json_null() :
					   json_boolean(vm->on == AGENT_SWITCH_ON),
				   "counters", counters_json(vm, 0), "figures", figures_json(vm));
	json_t *hist;

	for (unsigned int i = 0; i < NR_LIMITS; i++)
		if (vm->limit[i] != LIMIT_UNSET)
			json_object_set_new(object, agent_limits[i].key,
					    json_integer(vm->limit[i]));
	if (vm->has_hist) {
		hist = json_array();
		for (unsigned int i = 0; i < PVB_HIST_BUCKETS; i++)
			json_array_append_new(hist, json_integer((json_int_t)vm->hist[i]));
		json_object_set_new(object, "batch_entries", hist);
	}
	return object;
}

json_t *agent_json(const struct agent_list *list, const struct agent_list *before)
{
	json_t *vms = json_array();
	double seconds = before ? list->time - before->time : 0;

	for (unsigned int i = 0; i < list->nr; i++) {
		const struct agent_vm *vm = &list->vms[i];
		const struct agent_vm *earlier = agent_find(before, vm);
		json_t *object = vm_json(vm);

		if (earlier && seconds > 0) {
			struct agent_vm difference = agent_since(vm, earlier);

			json_object_set_new(object, "per_second", rates_json(&difference, seconds));
		}
		json_array_append_new(vms, object);
	}
	return json_pack("{s:i, s:i, s:b, s:o}", "schema", 1, "silent", (int)list->silent, "more",
			 list->more, "vms", vms);
}
