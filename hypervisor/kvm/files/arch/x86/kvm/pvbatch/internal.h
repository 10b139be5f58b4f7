/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: in-kernel KVM - what the files of this folder share.
 *
 * One struct kvm_pvb per VM, made with it; one struct kvm_pvb_vcpu per vCPU, made at
 * the vCPU's first call and freed with it.
 */
#ifndef __KVM_X86_PVBATCH_INTERNAL_H
#define __KVM_X86_PVBATCH_INTERNAL_H

#include <linux/kvm_host.h>
#include <pvbatch/engine.h>

#include "pvbatch.h"

struct kvm_pvb_trace;

enum kvm_pvb_trace_mode {
	KVM_PVB_TRACE_OFF = 0,
	KVM_PVB_TRACE_BATCHES, /* headers and times */
	KVM_PVB_TRACE_ENTRIES, /* and entries, and the PTEs that they name */
};

struct kvm_pvb {
	struct pvb_vm vm;
	/* Negotiations, registrations, resets, the switch: what decides about promises. */
	struct mutex lock;
	bool enabled; /* the per-VM switch in debugfs */
	/*
	 * Moves on when the VM's negotiation is withdrawn from outside: registrations of
	 * an older one are void. A vCPU's registration is its own thread's to change.
	 */
	u32 generation;
	/* The administrator's limit (limits.c): calls a second; 0: none. */
	u32 rate;
	atomic64_t rate_next; /* when, in ns, the next call would be in time */

	struct kvm_pvb_trace *trace; /* trace.c */
	enum kvm_pvb_trace_mode trace_mode;
};

/* A run of entries of one guest page table that is to be synchronised. */
struct kvm_pvb_run {
	gfn_t gfn;
	u16 first;
	u16 nr;
};

/*
 * Runs collected before they are synchronised under one mmu_lock and with one TLB flush.
 * PVB_RUN_PTES bounds what is done in between two looks at who else wants the lock.
 */
#define PVB_RUNS 64
#define PVB_RUN_PTES (8 * PVB_PTES_PER_TABLE)

/* Where a page of guest memory is in the VMM's address space, while memslots stay as they are. */
struct kvm_pvb_page {
	struct kvm_memory_slot *slot; /* NULL: nothing is known */
	u64 generation;
	gfn_t gfn;
	unsigned long hva;
};

struct kvm_pvb_vcpu {
	struct pvb_vcpu engine;
	u32 generation; /* of kvm_pvb that the registration belongs to */

	struct kvm_pvb_run runs[PVB_RUNS];
	unsigned int nr_runs;
	unsigned int nr_ptes; /* in runs */
	bool named; /* this call has named a run */
	bool flushed; /* since the last run was named, all TLBs of all vCPUs were flushed */

	struct kvm_host_map map; /* the table the engine has mapped */
	struct kvm_pvb_page page; /* of guest memory that was copied from or to last */

	/* Page of the address space whose fault was the guest's own last; 0: none. */
	gfn_t handed_back;

	/* The streak of first writes to clean pages (kvm_pvb_dirty_around()). */
	gfn_t dirty_next; /* page of the address space that would continue it */
	unsigned int dirty_window;

	struct pvb_host_stats seen; /* what of the engine's counters is in KVM's already */
	u64 limited_seen; /* likewise of engine.limited */

	void *trace; /* where its records are made; NULL until there is one */
};

extern const struct pvb_backend kvm_pvb_backend;

/* backend.c */
void kvm_pvb_finish(struct kvm_vcpu *vcpu);

/* mmu_sync.h */
bool kvm_pvb_sync_runs(struct kvm_vcpu *vcpu, const struct kvm_pvb_run *runs, unsigned int nr);

/* mmu_promise.h */
void kvm_pvb_set_promise(struct kvm_vcpu *vcpu, bool promise, bool leaf_unsync);
void kvm_pvb_end_promises(struct kvm *kvm);

/* call.c */
void kvm_pvb_withdraw(struct kvm *kvm);

/* limits.c */
void kvm_pvb_create_limits(struct kvm *kvm);
void kvm_pvb_delay(struct kvm_vcpu *vcpu, struct kvm_pvb *pvb);

/* trace.c */
int kvm_pvb_trace_init(struct kvm_pvb *pvb);
void kvm_pvb_trace_destroy(struct kvm_pvb *pvb);
void kvm_pvb_create_trace(struct kvm *kvm);
s64 kvm_pvb_trace_submit(struct kvm_vcpu *vcpu, struct kvm_pvb *pvb);

#endif /* __KVM_X86_PVBATCH_INTERNAL_H */
