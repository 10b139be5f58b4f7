// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - a list of VMs as a JSON document, and what happened between two lists.
 */
#include <agent/agent.h>

static double ratio(const struct agent_vm *vm, enum counter above, enum counter below)
{
	if (!agent_knows(vm, above) || !agent_knows(vm, below) || !vm->value[below])
		return -1;
	return (double)vm->value[above] / (double)vm->value[below];
}

struct agent_figures agent_figures(const struct agent_vm *vm)
{
	struct agent_figures figures = {
		.ptes_per_call = ratio(vm, COUNTER_PTES, COUNTER_CALLS),
		.ptes_per_entry = ratio(vm, COUNTER_PTES, COUNTER_ENTRIES),
		.entries_per_call = ratio(vm, COUNTER_ENTRIES, COUNTER_CALLS),
		.saved = -1,
	};

	if (agent_knows(vm, COUNTER_PTES) && agent_knows(vm, COUNTER_CALLS) &&
	    agent_knows(vm, COUNTER_FLUSHES)) {
		uint64_t would = vm->value[COUNTER_PTES] + vm->value[COUNTER_FLUSHES];
		uint64_t calls = vm->value[COUNTER_CALLS];

		figures.saved = would > calls ? (double)(would - calls) : 0;
	}
	return figures;
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
	return value < 0 ? json_null() : json_real(value);
}

static json_t *vm_json(const struct agent_vm *vm)
{
	static const char *const backends[] = { [AGENT_VMM] = "vmm", [AGENT_KVM] = "kvm" };
	struct agent_figures figures = agent_figures(vm);
	json_t *object =
		json_pack("{s:s, s:s, s:i, s:s*, s:o, s:o, s:{s:o, s:o, s:o, s:o}}", "name",
			  vm->name, "backend", backends[vm->backend], "pid", (int)vm->pid, "uuid",
			  vm->uuid[0] ? vm->uuid : NULL, "enabled",
			  vm->on == AGENT_SWITCH_UNKNOWN ? json_null() :
							   json_boolean(vm->on == AGENT_SWITCH_ON),
			  "counters", counters_json(vm, 0), "figures", "ptes_per_call",
			  figure(figures.ptes_per_call), "ptes_per_entry",
			  figure(figures.ptes_per_entry), "entries_per_call",
			  figure(figures.entries_per_call), "calls_saved", figure(figures.saved));
	json_t *hist;

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

			json_object_set_new(object, "per_second",
					    counters_json(&difference, seconds));
		}
		json_array_append_new(vms, object);
	}
	return json_pack("{s:i, s:i, s:b, s:o}", "schema", 1, "silent", (int)list->silent, "more",
			 list->more, "vms", vms);
}
