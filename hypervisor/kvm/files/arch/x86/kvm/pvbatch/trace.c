// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: in-kernel KVM, for the developer: what a VM submits, as a stream of records.
 *
 * kvm/<pid>-<fd>/pvbatch_trace in debugfs, for root, one opener at a time:
 *
 *   write  "trace entries" or "trace batches", and a newline: records are made from now on.
 *          "trace end": no more; what there is, and the end, can still be read.
 *   read   whole and parts of records (pvbatch/trace.h); 0 after the end. Without anything
 *          to read: waits, or -EAGAIN with O_NONBLOCK.
 *   poll   readable when a read would not wait. Who sleeps is woken when an eighth of the ring
 *          is full, 100 ms after a record, or at the end.
 *
 * hypervisor/record makes the records, around the engine's call. Nobody waits for a reader:
 * what does not fit into the ring is counted, in the stream. The reader has no reference to
 * the VM, only to its struct kvm_pvb_trace: it does not keep a VM alive, and reads the rest
 * of the records when the VM has gone.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/jiffies.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/refcount.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "internal.h"
#include "cpuid.h"
#include "record/record.h"

#define RING_BYTES (4UL << 20)
#define WAKE_DELAY (HZ / 10)
#define REQUEST_MAX 16

struct kvm_pvb_trace {
	refcount_t users; /* the VM, the file */
	struct mutex lock; /* guards all below */
	struct pvb_ring ring;
	struct trace_machine machine;
	bool opened;
	bool gone; /* the VM is */
	wait_queue_head_t wait;
	struct delayed_work wake; /* a reader, for few records */
};

static void wake_reader(struct work_struct *work)
{
	struct kvm_pvb_trace *trace =
		container_of(to_delayed_work(work), struct kvm_pvb_trace, wake);

	wake_up_interruptible(&trace->wait);
}

int kvm_pvb_trace_init(struct kvm_pvb *pvb)
{
	struct kvm_pvb_trace *trace = kzalloc(sizeof(*trace), GFP_KERNEL_ACCOUNT);

	if (!trace)
		return -ENOMEM;
	refcount_set(&trace->users, 1);
	mutex_init(&trace->lock);
	init_waitqueue_head(&trace->wait);
	INIT_DELAYED_WORK(&trace->wake, wake_reader);
	pvb->trace = trace;
	return 0;
}

static void put_trace(struct kvm_pvb_trace *trace)
{
	if (!refcount_dec_and_test(&trace->users))
		return;
	cancel_delayed_work_sync(&trace->wake);
	kvfree(trace->ring.data);
	kfree(trace);
}

/* kvm_pvb_trace_destroy() - the VM goes; debugfs has no file of it any more to be opened. */
void kvm_pvb_trace_destroy(struct kvm_pvb *pvb)
{
	struct kvm_pvb_trace *trace = pvb->trace;

	mutex_lock(&trace->lock);
	trace->gone = true;
	pvb_ring_end(&trace->ring, ktime_get_ns());
	mutex_unlock(&trace->lock);
	wake_up_interruptible(&trace->wait);
	put_trace(trace);
}

static bool read_ptes(void *ctx, pvb_gpa_t gpa, uint64_t *ptes, uint32_t nr)
{
	return !kvm_pvb_backend.read_guest(ctx, gpa, ptes, nr * sizeof(u64));
}

/* push() - a record of a vCPU into the ring, and wake the reader, now or soon. */
static void push(struct kvm_pvb_trace *trace, const struct trace_batch *batch)
{
	bool wake;

	mutex_lock(&trace->lock);
	if (batch)
		pvb_ring_put(&trace->ring, batch, batch->record.time_ns);
	else if (!trace->ring.ended)
		trace->ring.dropped++;
	wake = pvb_ring_used(&trace->ring) >= pvb_ring_wake_bytes(&trace->ring);
	mutex_unlock(&trace->lock);
	if (wake)
		wake_up_interruptible(&trace->wait);
	else
		schedule_delayed_work(&trace->wake, WAKE_DELAY);
}

/*
 * kvm_pvb_trace_submit() - PVB_CALL_SUBMIT of @vcpu with all that belongs to it, recorded.
 * Tracing is what goes without memory, not the guest.
 */
s64 kvm_pvb_trace_submit(struct kvm_vcpu *vcpu, struct kvm_pvb *pvb)
{
	bool entries = READ_ONCE(pvb->trace_mode) == KVM_PVB_TRACE_ENTRIES;
	struct kvm_pvb_vcpu *v = vcpu->arch.pvb;
	struct trace_batch *batch;
	u64 begin;
	s64 result;

	if (!v->trace)
		v->trace = kvmalloc(TRACE_MAX_BYTES, GFP_KERNEL_ACCOUNT);
	batch = v->trace;
	if (batch)
		pvb_record_before(&v->engine, batch, entries, read_ptes);
	begin = ktime_get_ns();
	result = pvb_engine_call(&v->engine, PVB_CALL_SUBMIT, 0, 0, 0);
	kvm_pvb_finish(vcpu);
	if (batch) {
		batch->record.time_ns = begin;
		batch->record.vcpu = vcpu->vcpu_idx;
		batch->duration_ns = min_t(u64, ktime_get_ns() - begin, U32_MAX);
		pvb_record_after(&v->engine, batch, result);
	}
	push(pvb->trace, batch);
	return result;
}

/* The one opener's file. */
struct trace_file {
	struct kvm_pvb_trace *trace;
	struct kvm *kvm; /* not to be looked at once trace->gone */
};

static int trace_open(struct inode *inode, struct file *filp)
{
	struct kvm *kvm = inode->i_private; /* debugfs keeps it until we return */
	struct kvm_pvb_trace *trace = kvm->arch.pvb->trace;
	struct trace_file *file = kzalloc(sizeof(*file), GFP_KERNEL);
	bool busy;

	if (!file)
		return -ENOMEM;
	mutex_lock(&trace->lock);
	busy = trace->opened;
	trace->opened = true;
	mutex_unlock(&trace->lock);
	if (busy) {
		kfree(file);
		return -EBUSY;
	}
	refcount_inc(&trace->users);
	file->trace = trace;
	file->kvm = kvm;
	filp->private_data = file;
	return stream_open(inode, filp);
}

/* set_mode() - trace->lock is held, and the VM is there. */
static void set_mode(struct trace_file *file, enum kvm_pvb_trace_mode mode)
{
	WRITE_ONCE(file->kvm->arch.pvb->trace_mode, mode);
}

static int trace_release(struct inode *inode, struct file *filp)
{
	struct trace_file *file = filp->private_data;
	struct kvm_pvb_trace *trace = file->trace;
	void *data;

	mutex_lock(&trace->lock);
	if (!trace->gone)
		set_mode(file, KVM_PVB_TRACE_OFF);
	data = trace->ring.data;
	trace->ring = (struct pvb_ring){ 0 };
	trace->opened = false;
	mutex_unlock(&trace->lock);
	kvfree(data);
	put_trace(trace);
	kfree(file);
	return 0;
}

/* start() - records from now on. trace->lock is held. */
static int start(struct trace_file *file, enum kvm_pvb_trace_mode mode)
{
	struct kvm_pvb_trace *trace = file->trace;
	struct trace_machine machine = {
		.record = { .bytes = sizeof(machine),
			    .kind = TRACE_MACHINE,
			    .time_ns = ktime_get_ns() },
		.version = TRACE_VERSION,
	};
	const struct pvb_vm *vm;
	struct kvm_vcpu *vcpu;
	void *data;

	if (trace->gone)
		return -ENODEV;
	if (trace->ring.data)
		return -EBUSY;
	data = vzalloc(RING_BYTES);
	if (!data)
		return -ENOMEM;
	vm = &file->kvm->arch.pvb->vm;
	machine.phys_bits = READ_ONCE(vm->phys_bits);
	/* What a negotiation that is yet to come will set. */
	vcpu = READ_ONCE(vm->version) ? NULL : kvm_get_vcpu(file->kvm, 0);
	if (vcpu)
		machine.phys_bits = clamp(cpuid_maxphyaddr(vcpu), 32, 52);
	machine.max_work = vm->max_work;
	machine.vcpus = atomic_read(&file->kvm->online_vcpus);
	strscpy(machine.name, file->kvm->stats_id, sizeof(machine.name));
	pvb_ring_begin(&trace->ring, data, RING_BYTES, &machine);
	set_mode(file, mode);
	return 0;
}

static ssize_t trace_write(struct file *filp, const char __user *buf, size_t size, loff_t *pos)
{
	struct trace_file *file = filp->private_data;
	struct kvm_pvb_trace *trace = file->trace;
	char request[REQUEST_MAX] = "";
	int r = 0;

	if (size >= sizeof(request))
		return -EINVAL;
	if (copy_from_user(request, buf, size))
		return -EFAULT;
	mutex_lock(&trace->lock);
	if (sysfs_streq(request, "trace entries")) {
		r = start(file, KVM_PVB_TRACE_ENTRIES);
	} else if (sysfs_streq(request, "trace batches")) {
		r = start(file, KVM_PVB_TRACE_BATCHES);
	} else if (sysfs_streq(request, "trace end")) {
		if (!trace->gone)
			set_mode(file, KVM_PVB_TRACE_OFF);
		pvb_ring_end(&trace->ring, ktime_get_ns());
	} else {
		r = -EINVAL;
	}
	mutex_unlock(&trace->lock);
	wake_up_interruptible(&trace->wait);
	return r ? r : size;
}

static bool readable(struct kvm_pvb_trace *trace)
{
	bool yes;

	mutex_lock(&trace->lock);
	yes = pvb_ring_used(&trace->ring) || trace->ring.ended || trace->gone;
	mutex_unlock(&trace->lock);
	return yes;
}

/* take() - what there is, in two parts where the ring ends. There is one reader. */
static ssize_t take(struct kvm_pvb_trace *trace, char __user *buf, size_t size)
{
	size_t done = 0, bytes;
	const char *src;

	while (done < size) {
		mutex_lock(&trace->lock);
		bytes = trace->ring.data ? pvb_ring_peek(&trace->ring, &src) : 0;
		mutex_unlock(&trace->lock);
		bytes = min(bytes, size - done);
		if (!bytes)
			break;
		/* Nobody writes there before tail has moved on. */
		if (copy_to_user(buf + done, src, bytes))
			return done ? done : -EFAULT;
		mutex_lock(&trace->lock);
		trace->ring.tail += bytes;
		mutex_unlock(&trace->lock);
		done += bytes;
	}
	return done;
}

/* wait_readable() - not by wait_event(), whose condition must not sleep, and ours takes a lock. */
static int wait_readable(struct kvm_pvb_trace *trace)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	int r = 0;

	add_wait_queue(&trace->wait, &wait);
	while (!r && !readable(trace)) {
		wait_woken(&wait, TASK_INTERRUPTIBLE, MAX_SCHEDULE_TIMEOUT);
		r = signal_pending(current) ? -ERESTARTSYS : 0;
	}
	remove_wait_queue(&trace->wait, &wait);
	return r;
}

static ssize_t trace_read(struct file *filp, char __user *buf, size_t size, loff_t *pos)
{
	struct kvm_pvb_trace *trace = ((struct trace_file *)filp->private_data)->trace;
	int r = 0;

	if (!readable(trace)) {
		if (filp->f_flags & O_NONBLOCK)
			return -EAGAIN;
		r = wait_readable(trace);
	}
	return r ? r : take(trace, buf, size);
}

static __poll_t trace_poll(struct file *filp, poll_table *wait)
{
	struct kvm_pvb_trace *trace = ((struct trace_file *)filp->private_data)->trace;

	poll_wait(filp, &trace->wait, wait);
	return EPOLLOUT | (readable(trace) ? EPOLLIN | EPOLLRDNORM : 0);
}

static const struct file_operations trace_fops = {
	.owner = THIS_MODULE,
	.open = trace_open,
	.release = trace_release,
	.read = trace_read,
	.write = trace_write,
	.poll = trace_poll,
};

/*
 * kvm_pvb_create_trace() - the file. Unsafe, as debugfs calls it, in that it may be in use
 * after it is removed: what it uses then is struct kvm_pvb_trace alone.
 */
void kvm_pvb_create_trace(struct kvm *kvm)
{
	debugfs_create_file_unsafe("pvbatch_trace", 0600, kvm->debugfs_dentry, kvm, &trace_fops);
}
