// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: in-kernel KVM, the door: a hypercall comes in, the engine answers it.
 *
 * Before: __kvm_emulate_hypercall(), which has refused callers outside CPL 0. After: the
 * engine, and through it backend.c. Also here: who has registered, and therefore which
 * vCPUs keep the promise to name what they change (docs/kvm.md).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <linux/sched/clock.h>

#include "internal.h"
#include "cpuid.h"
#include "mmu.h"
#include "smm.h"
#include "x86.h"

#define CREATE_TRACE_POINTS
#include "pvb_trace.h"

static bool __read_mostly pvbatch = true;
module_param(pvbatch, bool, 0644);
MODULE_PARM_DESC(pvbatch, "offer batched page-table updates to VMs created from now on");

/* With nested paging a guest's table writes do not trap, and there is nothing to win. */
static u64 offered(void)
{
	return tdp_enabled ? 0 : PVB_F_ALL | PVB_F_DIRTY_AROUND;
}

int kvm_pvb_init_vm(struct kvm *kvm)
{
	struct kvm_pvb *pvb;

	if (!READ_ONCE(pvbatch))
		return 0;
	pvb = kzalloc(sizeof(*pvb), GFP_KERNEL_ACCOUNT);
	if (!pvb)
		return -ENOMEM;
	mutex_init(&pvb->lock);
	pvb->enabled = true;
	/* The width of a guest-physical address is known once there is a vCPU to ask. */
	if (pvb_engine_vm_init(&pvb->vm, &kvm_pvb_backend, offered(), 52)) {
		kfree(pvb);
		return -EINVAL;
	}
	if (kvm_pvb_trace_init(pvb)) {
		kfree(pvb);
		return -ENOMEM;
	}
	/* A vCPU takes no interrupts while its call lasts: shorter ones than elsewhere. */
	pvb->vm.max_work = 16 * PVB_PTES_PER_TABLE;
	kvm->arch.pvb = pvb;
	return 0;
}

void kvm_pvb_destroy_vm(struct kvm *kvm)
{
	if (kvm->arch.pvb)
		kvm_pvb_trace_destroy(kvm->arch.pvb);
	kfree(kvm->arch.pvb);
	kvm->arch.pvb = NULL;
}

void kvm_pvb_destroy_vcpu(struct kvm_vcpu *vcpu)
{
	if (vcpu->arch.pvb)
		kvfree(vcpu->arch.pvb->trace);
	kfree(vcpu->arch.pvb);
	vcpu->arch.pvb = NULL;
}

/* get_vcpu() - this vCPU's part, made at its first call. NULL: no memory. */
static struct kvm_pvb_vcpu *get_vcpu(struct kvm_vcpu *vcpu, struct kvm_pvb *pvb)
{
	struct kvm_pvb_vcpu *v = vcpu->arch.pvb;

	if (likely(v))
		return v;
	v = kzalloc(sizeof(*v), GFP_KERNEL_ACCOUNT);
	if (!v)
		return NULL;
	pvb_engine_vcpu_init(&v->engine, &pvb->vm, vcpu);
	v->generation = READ_ONCE(pvb->generation);
	smp_store_release(&vcpu->arch.pvb, v); /* other vCPUs look at it for its buffer */
	return v;
}

/*
 * void_if_old() - forget a registration under a negotiation that was withdrawn meanwhile.
 * That withdrawal has counted it out.
 */
static void void_if_old(struct kvm_pvb_vcpu *v, struct kvm_pvb *pvb)
{
	u32 generation = READ_ONCE(pvb->generation);

	if (likely(v->generation == generation))
		return;
	WRITE_ONCE(v->engine.bytes, 0);
	WRITE_ONCE(v->generation, generation);
}

/* update_promise() - after anything that changes @vcpu's registration. pvb->lock is held. */
static void update_promise(struct kvm_vcpu *vcpu, struct kvm_pvb *pvb)
{
	struct kvm_pvb_vcpu *v = vcpu->arch.pvb;
	bool guest_applies = pvb->vm.features & PVB_F_GUEST_APPLY;
	bool promise = guest_applies && v->engine.bytes;
	bool leaf_unsync = guest_applies && pvb->vm.registered;

	lockdep_assert_held(&pvb->lock);
	if (promise == vcpu->arch.pvb_promise && leaf_unsync == vcpu->kvm->arch.pvb_leaf_unsync)
		return;
	/* What has not been synchronised because of the promise is from now on. */
	if (vcpu->arch.pvb_promise && !promise)
		kvm_make_request(KVM_REQ_TLB_FLUSH_GUEST, vcpu);
	kvm_pvb_set_promise(vcpu, promise, leaf_unsync);
}

/* withdraw() - void the negotiation and all registrations. pvb->lock is held. */
static void withdraw(struct kvm *kvm, struct kvm_pvb *pvb)
{
	lockdep_assert_held(&pvb->lock);
	WRITE_ONCE(pvb->generation, pvb->generation + 1);
	pvb_engine_vm_reset(&pvb->vm);
	WRITE_ONCE(pvb->vm.registered, 0);
	kvm_pvb_end_promises(kvm);
}

/* kvm_pvb_withdraw() - the VM's switch was turned off. Any thread. */
void kvm_pvb_withdraw(struct kvm *kvm)
{
	struct kvm_pvb *pvb = kvm->arch.pvb;

	mutex_lock(&pvb->lock);
	withdraw(kvm, pvb);
	mutex_unlock(&pvb->lock);
}

/*
 * kvm_pvb_reset_vcpu() - the vCPU's state was replaced (reset, INIT, a restored snapshot):
 * whoever runs there now has registered nothing. With the boot CPU goes all that the guest
 * has negotiated. On the vCPU's thread.
 */
void kvm_pvb_reset_vcpu(struct kvm_vcpu *vcpu)
{
	struct kvm_pvb *pvb = vcpu->kvm->arch.pvb;
	struct kvm_pvb_vcpu *v = vcpu->arch.pvb;
	bool boot_cpu = kvm_vcpu_is_reset_bsp(vcpu);

	if (!pvb || !(boot_cpu ? READ_ONCE(pvb->vm.version) : v && v->engine.bytes))
		return;
	mutex_lock(&pvb->lock);
	if (boot_cpu)
		withdraw(vcpu->kvm, pvb);
	if (v) {
		void_if_old(v, pvb);
		pvb_engine_vcpu_reset(&v->engine);
		update_promise(vcpu, pvb);
	}
	mutex_unlock(&pvb->lock);
}

/*
 * kvm_pvb_paging_off() - the vCPU is about to run without paging: a reset or INIT, unless
 * it is in SMM, which comes back, or a nested guest's state.
 */
void kvm_pvb_paging_off(struct kvm_vcpu *vcpu)
{
	if (!is_smm(vcpu) && !is_guest_mode(vcpu))
		kvm_pvb_reset_vcpu(vcpu);
}

/* account_batch() - a batch was finished: one bucket of the engine's histogram has moved. */
static void account_batch(struct kvm_vcpu *vcpu, const struct pvb_host_stats *now,
			  struct pvb_host_stats *seen)
{
	unsigned int bucket = 0;

	while (bucket < PVB_HIST_BUCKETS - 1 && now->hist[bucket] == seen->hist[bucket])
		bucket++;
	/* KVM's bucket 0 is for 0, which the ABI counts with 1. */
	vcpu->stat.pvb_hist[bucket + 1] += now->hist[bucket] - seen->hist[bucket];
	seen->hist[bucket] = now->hist[bucket];
	seen->batches = now->batches;
}

/* account() - what the engine has counted since the last time, in KVM's own statistics. */
static void account(struct kvm_vcpu *vcpu, struct kvm_pvb_vcpu *v)
{
	const struct pvb_host_stats *now = &v->engine.stats;
	struct pvb_host_stats *seen = &v->seen;
	struct kvm_vcpu_stat *stat = &vcpu->stat;

	stat->pvb_calls += now->calls - seen->calls;
	stat->pvb_partial += now->partial - seen->partial;
	stat->pvb_failed += now->failed - seen->failed;
	stat->pvb_entries += now->entries - seen->entries;
	stat->pvb_ptes += now->applied - seen->applied;
	stat->pvb_refused += now->conflicts - seen->conflicts + now->refused - seen->refused;
	seen->calls = now->calls;
	seen->partial = now->partial;
	seen->failed = now->failed;
	seen->entries = now->entries;
	seen->applied = now->applied;
	seen->conflicts = now->conflicts;
	seen->refused = now->refused;
	if (now->batches != seen->batches)
		account_batch(vcpu, now, seen);
	stat->pvb_limited += v->engine.limited - v->limited_seen;
	v->limited_seen = v->engine.limited;
}

/* setup_call() - NEGOTIATE and REGISTER: one at a time, and promises follow. */
static s64 setup_call(struct kvm_vcpu *vcpu, struct kvm_pvb *pvb, unsigned long call,
		      unsigned long a0, unsigned long a1)
{
	struct kvm_pvb_vcpu *v = vcpu->arch.pvb;
	s64 result = -PVB_EPERM;

	mutex_lock(&pvb->lock);
	void_if_old(v, pvb);
	if (pvb->enabled) {
		if (!pvb->vm.registered)
			pvb->vm.phys_bits = clamp(cpuid_maxphyaddr(vcpu), 32, 52);
		result = pvb_engine_call(&v->engine, call, a0, a1, 0);
		update_promise(vcpu, pvb);
	}
	mutex_unlock(&pvb->lock);
	return result;
}

/* refusal() - why this caller is not answered at all, or 0. */
static s64 refusal(struct kvm_vcpu *vcpu, struct kvm_pvb *pvb, bool op_64_bit)
{
	if (is_smm(vcpu) || is_guest_mode(vcpu) || !READ_ONCE(pvb->enabled))
		return -PVB_EPERM;
	return op_64_bit ? 0 : -PVB_EOPNOTSUPP;
}

/*
 * overtaken() - has the negotiation been withdrawn since the call has begun? Then the version in
 * its header is none any more, which is no mistake of the guest's: the answer is the one that
 * the next call gets.
 */
static bool overtaken(const struct kvm_pvb_vcpu *v, const struct kvm_pvb *pvb)
{
	return v->generation != READ_ONCE(pvb->generation);
}

/*
 * kvm_pvb_hypercall() - answer one call of the guest. On the vCPU's thread, in its exit,
 * with kvm->srcu held. Returns what goes into RAX.
 *
 * SMM and nested guests are refused: their addresses are not those that the batch names.
 */
unsigned long kvm_pvb_hypercall(struct kvm_vcpu *vcpu, unsigned long nr, unsigned long a0,
				unsigned long a1, bool op_64_bit)
{
	struct kvm_pvb *pvb = vcpu->kvm->arch.pvb;
	unsigned long call = nr - PVB_HC_BASE;
	struct kvm_pvb_vcpu *v;
	s64 result;
	u64 begin;

	if (!pvb)
		return -KVM_ENOSYS;
	result = refusal(vcpu, pvb, op_64_bit);
	if (unlikely(result)) {
		++vcpu->stat.pvb_denied;
		return result;
	}
	v = get_vcpu(vcpu, pvb);
	if (!v)
		return -PVB_ENOMEM;
	if (unlikely(READ_ONCE(pvb->rate)))
		kvm_pvb_delay(vcpu, pvb);

	begin = local_clock();
	switch (call) {
	case PVB_CALL_NEGOTIATE:
	case PVB_CALL_REGISTER:
		result = setup_call(vcpu, pvb, call, a0, a1);
		break;
	default:
		void_if_old(v, pvb);
		/* Progress: a write to a page that was a table before is no endless retry. */
		vcpu->arch.last_retry_eip = 0;
		vcpu->arch.last_retry_addr = 0;
		v->named = false;
		v->flushed = false;
		if (call == PVB_CALL_SUBMIT && unlikely(READ_ONCE(pvb->trace_mode))) {
			result = kvm_pvb_trace_submit(vcpu, pvb);
		} else {
			result = pvb_engine_call(&v->engine, call, a0, a1, 0);
			/* A batch without a flush, or one that is to be continued. */
			kvm_pvb_finish(vcpu);
		}
		if (result == -PVB_EINVAL && call == PVB_CALL_SUBMIT && overtaken(v, pvb))
			result = -PVB_ENXIO;
	}
	account(vcpu, v);
	vcpu->stat.pvb_ns += local_clock() - begin;
	trace_kvm_pvb_call(vcpu->vcpu_id, call, a0, a1, result);
	return result;
}
