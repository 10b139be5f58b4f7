// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest - the guest's counters, /sys/kernel/debug/pvbatch/stats (law 9).
 */
#include <linux/cpu.h>
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

/* Of registrations that have ended: each starts from 0. */
static struct pvb_guest_stats past;
static DEFINE_RAW_SPINLOCK(past_lock);

static void add(struct pvb_guest_stats *sum, const struct pvb_guest_stats *one)
{
	const u64 *from = (const u64 *)one;
	u64 *to = (u64 *)sum;

	for (size_t i = 0; i < sizeof(*one) / sizeof(u64); i++)
		to[i] += from[i];
}

void pvbatch_keep_stats(struct pvbatch_cpu *p)
{
	struct pvb_guest_stats one;
	unsigned long flags;

	pvb_cpu_stats(&p->core, &one);
	raw_spin_lock_irqsave(&past_lock, flags);
	add(&past, &one);
	raw_spin_unlock_irqrestore(&past_lock, flags);
}

/* In an interrupt: what it has interrupted may be lengthening a run, which so stays open. */
static void add_this_cpu(void *sum)
{
	const struct pvb_cpu *core = &this_cpu_ptr(&pvbatch_cpu)->core;

	add(sum, &core->stats);
	add(sum, &core->irq_stats);
}

static int stats_show(struct seq_file *m, void *unused)
{
	static const char *const modes[] = { "off", "host-apply", "guest-apply" };
	struct pvb_guest_stats sum = {};
	const u64 *value = (const u64 *)&sum;
	unsigned int cpu;

	cpus_read_lock();
	raw_spin_lock_irq(&past_lock);
	sum = past;
	raw_spin_unlock_irq(&past_lock);
	for_each_possible_cpu(cpu) {
		struct pvb_guest_stats one;

		if (cpu_online(cpu)) {
			smp_call_function_single(cpu, add_this_cpu, &sum, 1);
			continue;
		}
		pvb_cpu_stats(&per_cpu_ptr(&pvbatch_cpu, cpu)->core, &one);
		add(&sum, &one);
	}
	cpus_read_unlock();
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
