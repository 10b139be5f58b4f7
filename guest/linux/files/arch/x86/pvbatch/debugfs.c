// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest - the guest's counters, /sys/kernel/debug/pvbatch/stats (law 9).
 */
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/smp.h>

#include "pvbatch.h"

static const char *const names[] = {
	"ops",	    "ptes",	"entries", "coalesced",	  "unqueued",  "calls",
	"batches",  "partial",	"retries", "irq_calls",	  "applied",   "own",
	"synced",   "unsynced", "carried", "conflicts",	  "untouched", "fallbacks",
	"bypassed", "direct",	"flushes", "own_flushes",
};

static void add_this_cpu(void *arg)
{
	struct pvb_guest_stats one, *sum = arg;
	const u64 *from = (const u64 *)&one;
	u64 *to = (u64 *)sum;

	pvb_cpu_stats(&this_cpu_ptr(&pvbatch_cpu)->core, &one);
	for (size_t i = 0; i < sizeof(one) / sizeof(u64); i++)
		to[i] += from[i];
}

static int stats_show(struct seq_file *m, void *unused)
{
	static const char *const modes[] = { "off", "host-apply", "guest-apply" };
	struct pvb_guest_stats sum = {};
	const u64 *value = (const u64 *)&sum;
	unsigned int cpu;

	for_each_online_cpu(cpu)
		smp_call_function_single(cpu, add_this_cpu, &sum, 1);
	seq_printf(m, "mode %s\n", modes[pvbatch_guest.mode]);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		seq_printf(m, "%s %llu\n", names[i], value[i]);
	for (int i = 0; i < PVB_NR_REASONS; i++)
		seq_printf(m, "reason%d %llu\n", i, sum.reasons[i]);
	for (int i = 0; i < PVB_HIST_BUCKETS; i++)
		seq_printf(m, "entries%u %llu\n", 1U << i, sum.hist[i]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int __init pvbatch_debugfs(void)
{
	debugfs_create_file("stats", 0444, debugfs_create_dir("pvbatch", NULL), NULL, &stats_fops);
	return 0;
}
late_initcall(pvbatch_debugfs);
