// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - the counters of a VM, whatever the source calls them, and lists of VMs.
 * docs/metrics.md is for the reader.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <agent/agent.h>

const struct counter_info agent_counters[NR_COUNTERS] = {
	[COUNTER_CALLS] = { "calls", "pvb_calls", "Submissions: hypercalls that carry a batch" },
	[COUNTER_BATCHES] = { "batches", NULL, "Submissions that finished their batch" },
	[COUNTER_PARTIAL] = { "partial", "pvb_partial",
			      "Submissions answered before the end of the batch" },
	[COUNTER_FAILED] = { "failed", "pvb_failed", "Submissions refused as a whole" },
	[COUNTER_ENTRIES] = { "entries", "pvb_entries", "Entries answered; each is a run of PTEs" },
	[COUNTER_PTES] = { "ptes", "pvb_ptes", "PTEs written or synchronised" },
	[COUNTER_CARRIED_A] = { "carried_a", NULL,
				"PTEs whose hardware-set Accessed bit survived a commit" },
	[COUNTER_CARRIED_D] = { "carried_d", NULL,
				"PTEs whose hardware-set Dirty bit survived a commit" },
	[COUNTER_CONFLICTS] = { "conflicts", NULL, "Entries that ended in a conflict" },
	[COUNTER_REFUSED] = { "refused", "pvb_refused",
			      "Entries refused (with conflicts where those are not told apart)" },
	[COUNTER_FLUSHES] = { "flushes", "pvb_flushes", "TLB flushes that came with a batch" },
	[COUNTER_FLUSH_RANGE] = { "flush_range", NULL, "Of the flushes, those of a range" },
	[COUNTER_FLUSH_ALL] = { "flush_all", NULL, "Of the flushes, those of everything" },
	[COUNTER_SPTES_SYNCED] = { "sptes_synced", "pvb_sptes_synced",
				   "Shadow entries changed in place" },
	[COUNTER_SPTES_DROPPED] = { "sptes_dropped", "pvb_sptes_dropped",
				    "Shadow entries dropped" },
	[COUNTER_SPTES_INSTALLED] = { "sptes_installed", "pvb_sptes_installed",
				      "Shadow entries mapped anew at once" },
	[COUNTER_SPS_ZAPPED] = { "sps_zapped", "pvb_sps_zapped",
				 "Shadow pages of another mode that were zapped" },
	[COUNTER_FULL_SYNCS] = { "full_syncs", "pvb_full_syncs",
				 "Flushes by a guest that could not name what it changed" },
	[COUNTER_DIRTY_AROUND] = { "dirty_around", "pvb_dirty_around",
				   "Dirty bits set ahead of a streak of first writes" },
	[COUNTER_DENIED] = { "denied", "pvb_denied",
			     "Calls not answered at all: switched off, or a wrong mode" },
	[COUNTER_HANDLER_NS] = { "handler_ns", "pvb_ns", "Nanoseconds in the handler" },
	[COUNTER_EXITS] = { "exits", "exits", "All VM exits, by KVM's own count" },
	[COUNTER_USER_EXITS] = { "user_exits", NULL, "VM exits that reached the VMM" },
	[COUNTER_LIMITED] = { "limited", "pvb_limited", "Submissions that max-batch cut short" },
	[COUNTER_DELAYED] = { "delayed", "pvb_delayed", "Submissions that rate-limit made wait" },
};

void agent_set(struct agent_vm *vm, enum counter counter, uint64_t value)
{
	vm->value[counter] = value;
	vm->known |= 1U << counter;
}

void agent_derive(struct agent_vm *vm)
{
	if (!agent_knows(vm, COUNTER_FLUSHES) && agent_knows(vm, COUNTER_FLUSH_RANGE) &&
	    agent_knows(vm, COUNTER_FLUSH_ALL))
		agent_set(vm, COUNTER_FLUSHES,
			  vm->value[COUNTER_FLUSH_RANGE] + vm->value[COUNTER_FLUSH_ALL]);
	if (!agent_knows(vm, COUNTER_BATCHES) && vm->has_hist) {
		uint64_t sum = 0;

		for (unsigned int b = 0; b < PVB_HIST_BUCKETS; b++)
			sum += vm->hist[b];
		agent_set(vm, COUNTER_BATCHES, sum);
	}
}

bool agent_list_add(struct agent_list *list, const struct agent_vm *vm)
{
	struct agent_vm *vms;

	if (list->nr == AGENT_MAX_VMS) {
		list->more = true;
		return false;
	}
	/* Doubled at powers of two, which are when it is full. */
	if (!(list->nr & (list->nr - 1))) {
		vms = realloc(list->vms, (list->nr ? 2 * list->nr : 1) * sizeof(*vms));
		if (!vms)
			return false;
		list->vms = vms;
	}
	list->vms[list->nr++] = *vm;
	return true;
}

void agent_list_free(struct agent_list *list)
{
	free(list->vms);
	memset(list, 0, sizeof(*list));
}

void agent_copy_name(char *dst, size_t bytes, const char *src)
{
	size_t i;

	for (i = 0; src[i] && i + 1 < bytes; i++)
		dst[i] = (char)(src[i] >= ' ' && src[i] <= '~' ? src[i] : '?');
	dst[i] = 0;
}

double agent_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
