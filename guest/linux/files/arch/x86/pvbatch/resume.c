// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest, beside the flow: the host withdraws its support (a migration to a host
 * without, an administrator's switch) or the CPUs' reset has ended it (suspend to RAM), and
 * some time later it offers it again.
 *
 * The static key stays on meanwhile. What it leads to works without a host, and nobody has
 * to know which of the two a task was about to do when it was preempted.
 */
#define pr_fmt(fmt) "pvbatch: " fmt

#include <linux/cpu.h>
#include <linux/irq_work.h>
#include <linux/stop_machine.h>
#include <linux/workqueue.h>

#include "pvbatch.h"

/* Seconds until the host is asked again: at first, and, each time twice as many, at most. */
#define ASK_FIRST 1
#define ASK_LAST 64

static unsigned int ask_after;
static int64_t lost_error;

static void ask(struct work_struct *work);
static DECLARE_DELAYED_WORK(ask_work, ask);

/* On each CPU, while all others do the same: nobody changes an entry, nothing is half done. */
static int start_over(void *failed)
{
	if (pvbatch_register())
		atomic_inc(failed);
	return 0;
}

/*
 * The same for registrations, which the host does not negotiate under: a CPU's that has not
 * noticed yet, or those of the others if one has failed. In lazy mode no CPU stands still, so
 * that nothing is lost in host-apply mode either.
 */
static int end_registration(void *unused)
{
	pvbatch_unregister(this_cpu_ptr(&pvbatch_cpu));
	return 0;
}

static void end_registrations(void)
{
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		if (READ_ONCE(per_cpu(pvbatch_cpu, cpu).core.mode) != PVB_MODE_DIRECT ||
		    cpumask_test_cpu(cpu, &pvbatch_promised)) {
			stop_machine_cpuslocked(end_registration, NULL, cpu_online_mask);
			return;
		}
	}
}

static void ask(struct work_struct *work)
{
	atomic_t failed = ATOMIC_INIT(0);
	int err;

	cpus_read_lock();
	end_registrations();
	err = pvbatch_negotiate();
	if (!err)
		stop_machine_cpuslocked(start_over, &failed, cpu_online_mask);
	if (!err && atomic_read(&failed)) {
		WRITE_ONCE(pvbatch_guest.mode, PVB_MODE_DIRECT);
		/* It has been told. */
		WRITE_ONCE(pvbatch_guest.lost, 1);
		end_registrations();
		err = -PVB_ENXIO;
	}
	cpus_read_unlock();
	if (!err) {
		pr_info("the host offers its support again, and it is used\n");
		return;
	}
	ask_after = min(2 * ask_after, ASK_LAST);
	schedule_delayed_work(&ask_work, ask_after * HZ);
}

static void tell(struct irq_work *work)
{
	pr_info("the host withdrew its support (%lld): page tables are flushed as without it\n",
		lost_error);
	ask_after = ASK_FIRST;
	schedule_delayed_work(&ask_work, ask_after * HZ);
}
static DEFINE_IRQ_WORK(tell_work, tell);

/* The scheduler may be in the middle of a switch: neither a word nor a work item from here. */
void pvbatch_lost(int64_t error)
{
	lost_error = error;
	irq_work_queue(&tell_work);
}
