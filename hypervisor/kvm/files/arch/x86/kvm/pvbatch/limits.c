// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: in-kernel KVM, for the administrator: limits of one VM, and its histogram.
 *
 * In debugfs, in the VM's directory, for root:
 *
 *   pvbatch_max_batch  entries that one hypercall handles at most. What is left of a larger
 *                      batch the guest submits again, as the ABI has it (PVB_SUBMIT_PARTIAL,
 *                      law 5): nothing is lost, it takes more exits.
 *   pvbatch_rate       hypercalls a second. One that comes too early is served late: the
 *                      vCPU sleeps. No answer of the ABI would do: told to try again, a guest
 *                      does at once, and then helps itself by a flush of everything, which
 *                      costs the host more than the batch.
 *   pvbatch_hist       finished batches by their entries, a line for each bucket (read only).
 *
 * 0: no limit. How often they struck is in KVM's statistics: pvb_limited, pvb_delayed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/hrtimer.h>
#include <linux/kvm_host.h>
#include <linux/seq_file.h>
#include <linux/timekeeping.h>

#include "internal.h"

#define MAX_BATCH_MAX PVB_MAX_ENTRIES(PVB_BUFFER_MAX)
/*
 * A vCPU takes no interrupts while it waits, and may hold a lock that others spin on. So
 * none waits longer than RATE_WAIT_NS, and the slowest rate is one that this does not thwart
 * before ten vCPUs call at the same time.
 */
#define RATE_MIN 100U
#define RATE_MAX 10000000U
#define RATE_WAIT_NS (100 * NSEC_PER_MSEC)
/* What was not used of the rate in the last 10 ms may be used at once. */
#define RATE_BURST_NS (10 * NSEC_PER_MSEC)

/*
 * book() - take the next moment at which a call is in time. Moments are an interval apart,
 * for all vCPUs together; one that was missed for long is no credit.
 */
static u64 book(struct kvm_pvb *pvb, u64 now, u32 rate)
{
	u64 interval = NSEC_PER_SEC / rate, mine;
	s64 next = atomic64_read(&pvb->rate_next);

	do {
		mine = clamp_t(u64, next, now - min_t(u64, now, RATE_BURST_NS), now + RATE_WAIT_NS);
	} while (!atomic64_try_cmpxchg(&pvb->rate_next, &next, mine + interval));
	return mine;
}

/*
 * kvm_pvb_delay() - wait until a call of @vcpu is in time. A signal ends it: the call is
 * served, and what it has taken too early the next ones lack.
 */
void kvm_pvb_delay(struct kvm_vcpu *vcpu, struct kvm_pvb *pvb)
{
	u32 rate = READ_ONCE(pvb->rate);
	u64 now = ktime_get_ns(), mine;
	ktime_t at;

	if (!rate)
		return;
	mine = book(pvb, now, rate);
	if (mine <= now)
		return;
	++vcpu->stat.pvb_delayed;
	at = ns_to_ktime(mine);
	/* Nothing of the guest's memory is in use yet: whoever changes memslots need not wait. */
	kvm_vcpu_srcu_read_unlock(vcpu);
	set_current_state(TASK_INTERRUPTIBLE);
	schedule_hrtimeout_range(&at, 50 * NSEC_PER_USEC, HRTIMER_MODE_ABS);
	__set_current_state(TASK_RUNNING);
	kvm_vcpu_srcu_read_lock(vcpu);
}

static int limit_open(struct inode *inode, struct file *file)
{
	file->private_data = inode->i_private;
	return kvm_get_kvm_safe(file->private_data) ? 0 : -ENOENT;
}

static int limit_release(struct inode *inode, struct file *file)
{
	kvm_put_kvm(file->private_data);
	return 0;
}

static ssize_t put_value(u32 value, char __user *buf, size_t size, loff_t *pos)
{
	char text[16];
	int bytes = scnprintf(text, sizeof(text), "%u\n", value);

	return simple_read_from_buffer(buf, size, pos, text, bytes);
}

/* take_value() - a number of @min to @max, or 0. */
static int take_value(const char __user *buf, size_t size, u32 min, u32 max, u32 *value)
{
	int r = kstrtou32_from_user(buf, size, 10, value);

	/* One that does not fit into 32 bits is out of range like another. */
	if (r == -ERANGE || (!r && *value && (*value < min || *value > max)))
		return -EINVAL;
	return r;
}

static ssize_t max_batch_read(struct file *file, char __user *buf, size_t size, loff_t *pos)
{
	struct kvm *kvm = file->private_data;

	return put_value(READ_ONCE(kvm->arch.pvb->vm.max_entries), buf, size, pos);
}

static ssize_t max_batch_write(struct file *file, const char __user *buf, size_t size, loff_t *pos)
{
	struct kvm *kvm = file->private_data;
	u32 value;
	int r = take_value(buf, size, 1, MAX_BATCH_MAX, &value);

	if (r)
		return r;
	WRITE_ONCE(kvm->arch.pvb->vm.max_entries, value);
	return size;
}

static const struct file_operations max_batch_fops = {
	.owner = THIS_MODULE,
	.open = limit_open,
	.release = limit_release,
	.read = max_batch_read,
	.write = max_batch_write,
	.llseek = default_llseek,
};

static ssize_t rate_read(struct file *file, char __user *buf, size_t size, loff_t *pos)
{
	struct kvm *kvm = file->private_data;

	return put_value(READ_ONCE(kvm->arch.pvb->rate), buf, size, pos);
}

static ssize_t rate_write(struct file *file, const char __user *buf, size_t size, loff_t *pos)
{
	struct kvm *kvm = file->private_data;
	u32 value;
	int r = take_value(buf, size, RATE_MIN, RATE_MAX, &value);

	if (r)
		return r;
	WRITE_ONCE(kvm->arch.pvb->rate, value);
	return size;
}

static const struct file_operations rate_fops = {
	.owner = THIS_MODULE,
	.open = limit_open,
	.release = limit_release,
	.read = rate_read,
	.write = rate_write,
	.llseek = default_llseek,
};

/* hist_show() - "1 N", "2 N", "4 N", ...: from so many entries on, to the next line's. */
static int hist_show(struct seq_file *seq, void *unused)
{
	struct kvm *kvm = seq->private;
	struct kvm_vcpu *vcpu;
	unsigned long i;
	unsigned int b;

	for (b = 0; b < PVB_HIST_BUCKETS; b++) {
		u64 sum = 0;

		kvm_for_each_vcpu(i, vcpu, kvm)
			sum += READ_ONCE(vcpu->stat.pvb_hist[b + 1]);
		seq_printf(seq, "%u %llu\n", 1U << b, sum);
	}
	return 0;
}

static int hist_open(struct inode *inode, struct file *file)
{
	struct kvm *kvm = inode->i_private;
	int r;

	if (!kvm_get_kvm_safe(kvm))
		return -ENOENT;
	r = single_open(file, hist_show, kvm);
	if (r)
		kvm_put_kvm(kvm);
	return r;
}

static int hist_release(struct inode *inode, struct file *file)
{
	kvm_put_kvm(inode->i_private);
	return single_release(inode, file);
}

static const struct file_operations hist_fops = {
	.owner = THIS_MODULE,
	.open = hist_open,
	.release = hist_release,
	.read = seq_read,
	.llseek = seq_lseek,
};

void kvm_pvb_create_limits(struct kvm *kvm)
{
	debugfs_create_file("pvbatch_max_batch", 0600, kvm->debugfs_dentry, kvm, &max_batch_fops);
	debugfs_create_file("pvbatch_rate", 0600, kvm->debugfs_dentry, kvm, &rate_fops);
	debugfs_create_file("pvbatch_hist", 0444, kvm->debugfs_dentry, kvm, &hist_fops);
}
