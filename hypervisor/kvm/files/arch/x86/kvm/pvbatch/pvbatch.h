/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: in-kernel KVM - what the hooks in KVM x86 call.
 *
 *   hypercall -> call.c -> engine -> backend.c -> mmu_sync.h (in mmu/mmu.c)
 *
 * docs/kvm.md explains what a guest promises and what KVM then leaves out, and why
 * each of these hooks is where it is.
 */
#ifndef __KVM_X86_PVBATCH_H
#define __KVM_X86_PVBATCH_H

#include <linux/kvm_host.h>
#include <pvbatch/abi.h>

#include "kvm_cache_regs.h"
#include "smm.h"

#ifdef CONFIG_X86_64

/* kvm_pvb_is_call() - is hypercall @nr one of ours? */
static inline bool kvm_pvb_is_call(unsigned long nr)
{
	return nr - PVB_HC_BASE < PVB_NR_CALLS;
}

int kvm_pvb_init_vm(struct kvm *kvm);
void kvm_pvb_destroy_vm(struct kvm *kvm);
void kvm_pvb_destroy_vcpu(struct kvm_vcpu *vcpu);
void kvm_pvb_create_debugfs(struct kvm *kvm);

unsigned long kvm_pvb_hypercall(struct kvm_vcpu *vcpu, unsigned long nr, unsigned long a0,
				unsigned long a1, bool op_64_bit);

void kvm_pvb_reset_vcpu(struct kvm_vcpu *vcpu);
void kvm_pvb_paging_off(struct kvm_vcpu *vcpu);

/* mmu_sync.h */
void kvm_pvb_sync_everything(struct kvm_vcpu *vcpu);

/* mmu_promise.h */
bool kvm_pvb_decode_cr3(struct kvm_vcpu *vcpu, int *reg, unsigned int *bytes);
bool kvm_pvb_load_cr3(struct kvm_vcpu *vcpu, int reg, unsigned int *bytes);
void kvm_pvb_dirty_around(struct kvm_vcpu *vcpu, gva_t gva, u64 *sptep, u64 __user *gptep);

/*
 * kvm_pvb_names_changes() - has the kernel that runs on @vcpu promised to name each entry
 * of a leaf table that it changes? Then its CR3 loads need synchronise nothing. Neither a
 * nested guest nor the firmware in SMM has.
 */
static inline bool kvm_pvb_names_changes(struct kvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->arch.pvb_promise) && !is_guest_mode(vcpu) && !is_smm(vcpu);
}

/* kvm_pvb_leaf_unsync() - are leaf tables of this VM never to be write-protected? */
static inline bool kvm_pvb_leaf_unsync(struct kvm *kvm)
{
	return READ_ONCE(kvm->arch.pvb_leaf_unsync);
}

/*
 * kvm_pvb_zaps_orphans() - is a shadow page to be zapped with the last entry that refers to
 * it? Tables of such a guest that go would stay protected otherwise, and be emulated when
 * they are reused. A tree of them takes its time: not while somebody waits for it.
 */
static inline bool kvm_pvb_zaps_orphans(struct kvm *kvm)
{
	return kvm_pvb_leaf_unsync(kvm) && !need_resched() && !rwlock_needbreak(&kvm->mmu_lock);
}

/*
 * kvm_pvb_sync_all() - a flush of everything that names nothing: the guest is in doubt.
 * CR3 loads synchronise nothing for such a vCPU, so all address spaces have to be
 * synchronised now. Returns false for a vCPU that has promised nothing: KVM does as ever.
 */
static inline bool kvm_pvb_sync_all(struct kvm_vcpu *vcpu)
{
	if (likely(!kvm_pvb_names_changes(vcpu)))
		return false;
	kvm_pvb_sync_everything(vcpu);
	return true;
}

/*
 * kvm_pvb_roots_synced() - a vCPU is about to synchronise what is below its root: is there
 * nothing to do, or has it been done here?
 *
 * One that has promised nothing, beside others that have: what it has changed in tables that
 * its root does not reach now would be synchronised when they are linked, but another vCPU,
 * which has promised, links them as they are. So all tables are synchronised, reachable or not.
 */
static inline bool kvm_pvb_roots_synced(struct kvm_vcpu *vcpu)
{
	if (kvm_pvb_names_changes(vcpu))
		return true;
	if (likely(!kvm_pvb_leaf_unsync(vcpu->kvm)) || is_guest_mode(vcpu) || is_smm(vcpu))
		return false;
	kvm_pvb_sync_everything(vcpu);
	return true;
}

#else

static inline int kvm_pvb_init_vm(struct kvm *kvm)
{
	return 0;
}
static inline void kvm_pvb_destroy_vm(struct kvm *kvm)
{
}
static inline void kvm_pvb_destroy_vcpu(struct kvm_vcpu *vcpu)
{
}
static inline void kvm_pvb_create_debugfs(struct kvm *kvm)
{
}
static inline bool kvm_pvb_is_call(unsigned long nr)
{
	return false;
}
static inline unsigned long kvm_pvb_hypercall(struct kvm_vcpu *vcpu, unsigned long nr,
					      unsigned long a0, unsigned long a1, bool op_64_bit)
{
	return -KVM_ENOSYS;
}
static inline void kvm_pvb_reset_vcpu(struct kvm_vcpu *vcpu)
{
}
static inline void kvm_pvb_paging_off(struct kvm_vcpu *vcpu)
{
}
static inline bool kvm_pvb_names_changes(struct kvm_vcpu *vcpu)
{
	return false;
}
static inline bool kvm_pvb_leaf_unsync(struct kvm *kvm)
{
	return false;
}
static inline bool kvm_pvb_zaps_orphans(struct kvm *kvm)
{
	return false;
}
static inline void kvm_pvb_dirty_around(struct kvm_vcpu *vcpu, gva_t gva, u64 *sptep,
					u64 __user *gptep)
{
}
static inline bool kvm_pvb_decode_cr3(struct kvm_vcpu *vcpu, int *reg, unsigned int *bytes)
{
	return false;
}
static inline bool kvm_pvb_load_cr3(struct kvm_vcpu *vcpu, int reg, unsigned int *bytes)
{
	return false;
}
static inline bool kvm_pvb_sync_all(struct kvm_vcpu *vcpu)
{
	return false;
}
static inline bool kvm_pvb_roots_synced(struct kvm_vcpu *vcpu)
{
	return false;
}

#endif

#endif /* __KVM_X86_PVBATCH_H */
