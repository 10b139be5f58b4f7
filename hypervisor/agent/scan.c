// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - all VMs of this machine, in an order that stays.
 */
#include <stdlib.h>
#include <string.h>

#include <agent/agent.h>

static int order(const void *left, const void *right)
{
	const struct agent_vm *a = left, *b = right;
	int names = strcmp(a->name, b->name);

	if (names)
		return names;
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	if (a->fd != b->fd)
		return a->fd < b->fd ? -1 : 1;
	/* One process may have several. */
	return a->socket < b->socket ? -1 : a->socket > b->socket;
}

void agent_scan(const struct agent_sources *sources, struct agent_list *list)
{
	memset(list, 0, sizeof(*list));
	if (sources->runtime)
		agent_scan_vmms(sources->runtime, list);
	if (sources->kvm)
		agent_scan_kvm(sources->kvm, list);
	list->time = agent_now();
	if (list->nr)
		qsort(list->vms, list->nr, sizeof(*list->vms), order);
}

const struct agent_vm *agent_find(const struct agent_list *list, const struct agent_vm *vm)
{
	if (!list || !list->nr)
		return NULL;
	return bsearch(vm, list->vms, list->nr, sizeof(*vm), order);
}
