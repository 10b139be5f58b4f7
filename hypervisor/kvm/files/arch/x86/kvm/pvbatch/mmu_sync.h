/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: in-kernel KVM, the end of the flow: shadow entries of named runs are brought up
 * to date, in place, a run at a time.
 *
 * Part of mmu/mmu.c, like paging_tmpl.h, because it works with what is static there.
 * Before: backend.c. Everything here runs under mmu_lock held for writing.
 *
 * What FNAME(sync_spte) does for one entry - an indirect call, a memslot lookup, a copy
 * from guest memory, a permission computation from scratch - is done here once for a
 * run. Its rules are the same: a shadow entry permits at most what the guest's entry
 * permits with D taken into account, maps the guest entry's gfn, and is writable only if
 * the host's mapping and dirty logging allow it and no write to that gfn has to be seen.
 */
#include <linux/uaccess.h>

#include "internal.h"

/* mmu.c makes its own tracepoints; ours are made in call.c. */
#undef CREATE_TRACE_POINTS
#include "pvb_trace.h"

/* Guest entries copied at a time: 512 bytes of stack. */
#define PVB_COPY 64

/* Descriptors that one pvb_replace() may take. */
#define PVB_INSTALL_NEEDS 2

struct pvb_sync {
	struct kvm_vcpu *vcpu;
	struct kvm_memory_slot *slot; /* of the gfn looked at last; NULL after a yield */
	u64 rsvd; /* reserved bits of a guest's leaf entry */
	bool flush; /* a permission was lowered and is not flushed yet */
	struct list_head zapped;
	u64 in_place, dropped, installed;
};

/* The part of the guest's context that shadow pages have to share, as kvm_sync_page_check(). */
static bool pvb_same_context(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp)
{
	const union kvm_mmu_page_role ignore = {
		.level = 0xf,
		.access = 0x7,
		.quadrant = 0x3,
		.passthrough = 0x1,
	};

	return !((sp->role.word ^ vcpu->arch.mmu->root_role.word) & ~ignore.word) &&
	       vcpu->arch.mmu->sync_spte == paging64_sync_spte;
}

/* pvb_slot() - the memslot of @gfn if it can be mapped writable, else NULL. */
static struct kvm_memory_slot *pvb_slot(struct pvb_sync *sync, gfn_t gfn)
{
	struct kvm_memory_slot *slot = sync->slot;

	if (unlikely(!slot || gfn - slot->base_gfn >= slot->npages)) {
		slot = kvm_vcpu_gfn_to_memslot(sync->vcpu, gfn);
		if (!slot || slot->flags & KVM_MEMSLOT_INVALID)
			return NULL;
		sync->slot = slot;
	}
	return slot;
}

/* pvb_translation() - what sp->shadowed_translation holds for @gpte under @access. */
static __always_inline u64 pvb_translation(u64 gpte, unsigned int access)
{
	access &= paging64_gpte_access(gpte);
	/* As FNAME(protect_clean_gpte): a write has to be seen while D is clear. */
	access &= ~ACC_WRITE_MASK | (gpte >> (PT_DIRTY_SHIFT - PT_WRITABLE_SHIFT));
	return (gpte & __PT_BASE_ADDR_MASK) | access;
}

static void pvb_drop(struct pvb_sync *sync, u64 *sptep)
{
	drop_spte(sync->vcpu->kvm, sptep);
	sync->flush = true;
	sync->dropped++;
}

/*
 * pvb_set_writable() - W alone differs. Returns false if it takes make_spte().
 *
 * W off leaves shadow_mmu_writable_mask alone, which says that no shadow page stands in
 * the way of a write: whoever makes @spte's page a page table, or tracks writes to it,
 * takes that bit away from all of the page's shadow entries. So W on needs no look at
 * the shadow pages while the bit is still there. The D bit of the shadow entry stays,
 * too: it means that the host's page is to be treated as dirty, which is still true.
 */
static __always_inline bool pvb_set_writable(struct pvb_sync *sync, u64 *sptep, u64 spte, u64 want)
{
	const u64 writable = shadow_host_writable_mask | shadow_mmu_writable_mask |
			     shadow_accessed_mask | shadow_dirty_mask;
	struct kvm_memory_slot *slot;

	/* A shadow entry whose A or D hardware may still set takes the slow way. */
	if (unlikely((spte & writable) != writable))
		return false;
	if (!(want & ACC_WRITE_MASK)) {
		sync->flush |= is_writable_pte(spte);
		__update_clear_spte_fast(sptep, spte & ~PT_WRITABLE_MASK);
		return true;
	}
	slot = pvb_slot(sync, want >> PAGE_SHIFT);
	if (unlikely(!slot || slot->flags & (KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY)))
		return false;
	__update_clear_spte_fast(sptep, spte | PT_WRITABLE_MASK);
	return true;
}

/* pvb_remake() - permissions differ, the page does not. */
static void pvb_remake(struct pvb_sync *sync, struct kvm_mmu_page *sp, u64 *sptep, u64 want)
{
	struct kvm_memory_slot *slot = pvb_slot(sync, want >> PAGE_SHIFT);
	u64 spte = *sptep, new;

	if (unlikely(!slot)) {
		pvb_drop(sync, sptep);
		return;
	}
	make_spte(sync->vcpu, sp, slot, want & ACC_ALL, want >> PAGE_SHIFT, spte_to_pfn(spte), spte,
		  true, true, spte & shadow_host_writable_mask, &new);
	/* make_spte() for a prefetch leaves A clear; there is no reason to lose it. */
	sync->flush |= mmu_spte_update(sptep, new | (spte & shadow_accessed_mask));
	sync->in_place++;
}

/*
 * pvb_replace() - the guest maps another page. What was accessed is likely to be accessed
 * again (a page just copied on a write): map the new one at once, if that takes neither a
 * fault in the host's mapping nor memory that is not there.
 */
static void pvb_replace(struct pvb_sync *sync, struct kvm_mmu_page *sp, u64 *sptep, u64 gpte)
{
	struct kvm_vcpu *vcpu = sync->vcpu;

	pvb_drop(sync, sptep);
	if (vcpu->kvm->mmu_invalidate_in_progress ||
	    kvm_mmu_memory_cache_nr_free_objects(&vcpu->arch.mmu_pte_list_desc_cache) <
		    PVB_INSTALL_NEEDS)
		return;
	if (paging64_prefetch_gpte(vcpu, sp, sptep, gpte))
		sync->installed++;
}

/*
 * pvb_sync_entries() - bring @nr shadow entries of leaf @sp from @first on up to date with
 * the guest's entries @gptes.
 */
static void pvb_sync_entries(struct pvb_sync *sync, struct kvm_mmu_page *sp, unsigned int first,
			     unsigned int nr, const u64 *gptes)
{
	const u64 needed = PT_PRESENT_MASK | PT_ACCESSED_MASK;
	const unsigned int access = sp->role.access;
	const u64 rsvd = sync->rsvd;
	u64 *shadowed = sp->shadowed_translation + first;
	u64 *sptes = sp->spt + first;
	unsigned int i, in_place = 0;

	for (i = 0; i < nr; i++) {
		u64 spte = sptes[i], gpte = gptes[i], want, differ;

		if (spte == SHADOW_NONPRESENT_VALUE)
			continue;
		if (unlikely(!is_shadow_present_pte(spte))) { /* MMIO: let it fault again */
			mmu_spte_clear_no_track(&sptes[i]);
			continue;
		}
		if ((gpte & (needed | rsvd)) != needed) {
			pvb_drop(sync, &sptes[i]);
			continue;
		}
		want = pvb_translation(gpte, access);
		differ = want ^ shadowed[i];
		if (!differ)
			continue;
		if (unlikely(differ & ~(u64)ACC_ALL)) {
			pvb_replace(sync, sp, &sptes[i], gpte);
			continue;
		}
		shadowed[i] = want;
		if (likely(differ == ACC_WRITE_MASK) &&
		    likely(pvb_set_writable(sync, &sptes[i], spte, want)))
			in_place++;
		else
			pvb_remake(sync, sp, &sptes[i], want);
	}
	sync->in_place += in_place;
}

/* pvb_zap_entries() - without knowing what the guest's entries are: all fault again. */
static void pvb_zap_entries(struct pvb_sync *sync, struct kvm_mmu_page *sp, unsigned int first,
			    unsigned int nr)
{
	unsigned int i;

	for (i = first; i < first + nr; i++) {
		sync->flush |= is_shadow_present_pte(sp->spt[i]);
		mmu_page_zap_pte(sync->vcpu->kvm, sp, sp->spt + i, NULL);
	}
}

/*
 * pvb_read_gptes() - copy guest entries without faulting pages in. Each is read once, whole;
 * the guest may be writing them. Returns false if they are not there to be read.
 */
static bool pvb_read_gptes(const u64 __user *from, u64 *to, unsigned int nr)
{
	unsigned int i;

	if (!user_read_access_begin(from, nr * sizeof(*from)))
		return false;
	for (i = 0; i < nr; i++)
		unsafe_get_user(to[i], &from[i], fault);
	user_read_access_end();
	return true;
fault:
	user_read_access_end();
	return false;
}

/*
 * pvb_sync_sp() - bring a run of @sp up to date. @gptes: the guest's table, as the
 * VMM's process maps it, or NULL if that is not possible.
 */
static void pvb_sync_sp(struct pvb_sync *sync, struct kvm_mmu_page *sp, unsigned int first,
			unsigned int nr, const u64 __user *gptes)
{
	u64 copy[PVB_COPY];

	if (!pvb_same_context(sync->vcpu, sp)) {
		/* Another mode's shadow page: only a vCPU in that mode could synchronise it. */
		kvm_mmu_prepare_zap_page(sync->vcpu->kvm, sp, &sync->zapped);
		++sync->vcpu->stat.pvb_sps_zapped;
		return;
	}
	while (nr) {
		unsigned int n = min_t(unsigned int, nr, PVB_COPY);
		bool there;

		pagefault_disable();
		there = sp->role.level == PG_LEVEL_4K && gptes &&
			pvb_read_gptes(gptes + first, copy, n);
		pagefault_enable();
		if (likely(there))
			pvb_sync_entries(sync, sp, first, n, copy);
		else
			pvb_zap_entries(sync, sp, first, n);
		first += n;
		nr -= n;
	}
}

/* pvb_gptes() - the page at @gfn in the VMM's address space, or NULL. */
static const u64 __user *pvb_gptes(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvm_memory_slot *slot = kvm_vcpu_gfn_to_memslot(vcpu, gfn);
	unsigned long hva;

	if (!kvm_is_visible_memslot(slot))
		return NULL;
	hva = gfn_to_hva_memslot_prot(slot, gfn, NULL);
	return kvm_is_error_hva(hva) ? NULL : (const u64 __user *)hva;
}

/* pvb_topup() - what pvb_replace() takes under the lock. Without it, there are faults instead. */
static void pvb_topup(struct kvm_vcpu *vcpu)
{
	if (kvm_mmu_memory_cache_nr_free_objects(&vcpu->arch.mmu_pte_list_desc_cache) <
	    PVB_INSTALL_NEEDS)
		mmu_topup_memory_caches(vcpu, true);
}

static void pvb_sync_begin(struct pvb_sync *sync, struct kvm_vcpu *vcpu)
{
	*sync = (struct pvb_sync){
		.vcpu = vcpu,
		.rsvd = vcpu->arch.mmu->guest_rsvd_check.rsvd_bits_mask[0][0],
		.zapped = LIST_HEAD_INIT(sync->zapped),
	};
}

/*
 * pvb_sync_flush() - make it so that no vCPU uses what was lowered. Has to be done before
 * mmu_lock is dropped: an MMU notifier finds no shadow entry any more, and flushes nothing.
 */
static bool pvb_sync_flush(struct pvb_sync *sync)
{
	bool flushed = kvm_mmu_remote_flush_or_zap(sync->vcpu->kvm, &sync->zapped, sync->flush);

	sync->flush = false;
	return flushed;
}

/* pvb_sync_yield() - give up mmu_lock for a moment if someone else needs it or this CPU. */
static void pvb_sync_yield(struct pvb_sync *sync)
{
	struct kvm *kvm = sync->vcpu->kvm;

	if (!need_resched() && !rwlock_needbreak(&kvm->mmu_lock))
		return;
	pvb_sync_flush(sync);
	cond_resched_rwlock_write(&kvm->mmu_lock);
	sync->slot = NULL;
}

static void pvb_sync_account(struct pvb_sync *sync)
{
	struct kvm_vcpu_stat *stat = &sync->vcpu->stat;

	stat->pvb_sptes_synced += sync->in_place;
	stat->pvb_sptes_dropped += sync->dropped;
	stat->pvb_sptes_installed += sync->installed;
}

/*
 * kvm_pvb_sync_runs() - synchronise @nr runs in all shadow pages of their tables.
 *
 * Called without mmu_lock, on the vCPU's thread. Afterwards no vCPU uses what the old
 * entries permitted and the new ones do not. Returns true if the last thing that was done
 * was to flush the TLBs of all vCPUs.
 */
bool kvm_pvb_sync_runs(struct kvm_vcpu *vcpu, const struct kvm_pvb_run *runs, unsigned int nr)
{
	struct kvm *kvm = vcpu->kvm;
	struct kvm_mmu_page *sp;
	struct pvb_sync sync;
	unsigned int i;
	bool flushed;

	pvb_topup(vcpu);
	pvb_sync_begin(&sync, vcpu);
	write_lock(&kvm->mmu_lock);
	for (i = 0; i < nr; i++) {
		const struct kvm_pvb_run *run = &runs[i];
		const u64 __user *gptes = NULL;
		bool looked = false;

		if (i)
			pvb_sync_yield(&sync);
		for_each_gfn_valid_sp_with_gptes(kvm, sp, run->gfn) {
			if (!looked)
				gptes = pvb_gptes(vcpu, run->gfn);
			looked = true;
			pvb_sync_sp(&sync, sp, run->first, run->nr, gptes);
		}
		trace_kvm_pvb_sync(run->gfn, run->first, run->nr, sync.in_place, sync.dropped,
				   sync.installed);
	}
	flushed = pvb_sync_flush(&sync);
	write_unlock(&kvm->mmu_lock);
	pvb_sync_account(&sync);
	return flushed;
}

/*
 * kvm_pvb_sync_everything() - synchronise all leaf tables of the VM, reachable or not,
 * without protecting them: the guest has changed entries that it cannot name.
 *
 * Goes through the hash, bucket by bucket, so that it can yield in between.
 */
void kvm_pvb_sync_everything(struct kvm_vcpu *vcpu)
{
	struct kvm *kvm = vcpu->kvm;
	struct kvm_mmu_page *sp;
	struct pvb_sync sync;
	unsigned int bucket;

	++vcpu->stat.pvb_full_syncs;
	vcpu_clear_mmio_info(vcpu, MMIO_GVA_ANY);
	pvb_topup(vcpu);
	pvb_sync_begin(&sync, vcpu);
	write_lock(&kvm->mmu_lock);
	for (bucket = 0; bucket < KVM_NUM_MMU_PAGES; bucket++) {
		if (hlist_empty(&kvm->arch.mmu_page_hash[bucket]))
			continue;
		for_each_valid_sp(kvm, sp, &kvm->arch.mmu_page_hash[bucket]) {
			if (sp->unsync)
				pvb_sync_sp(&sync, sp, 0, SPTE_ENT_PER_PAGE,
					    pvb_gptes(vcpu, sp->gfn));
		}
		pvb_sync_yield(&sync);
	}
	pvb_sync_flush(&sync);
	write_unlock(&kvm->mmu_lock);
	pvb_sync_account(&sync);
}

/* Most entries made dirty along with one that is written. */
#define PVB_DIRTY_WINDOW 64

/*
 * pvb_dirty_one() - set D of the entry at @gptep and let its shadow entry be written, if
 * D is all that is missing. False ends the streak.
 */
static bool pvb_dirty_one(struct pvb_sync *sync, struct kvm_mmu_page *sp, unsigned int index,
			  u64 __user *gptep)
{
	const u64 needed = PT_PRESENT_MASK | PT_WRITABLE_MASK | PT_ACCESSED_MASK;
	u64 spte = sp->spt[index], gpte, dirty, want;

	if (!is_shadow_present_pte(spte) || __get_user(gpte, gptep))
		return false;
	if ((gpte & (needed | PT_DIRTY_MASK | sync->rsvd)) != needed)
		return false;
	dirty = gpte | PT_DIRTY_MASK;
	want = pvb_translation(dirty, sp->role.access);
	if ((want ^ sp->shadowed_translation[index]) != ACC_WRITE_MASK || !(want & ACC_WRITE_MASK))
		return false;
	/* D first, then W: in between a write faults. */
	if (__try_cmpxchg_user(gptep, &gpte, dirty, fault) ||
	    !pvb_set_writable(sync, &sp->spt[index], spte, want))
		return false;
	sp->shadowed_translation[index] = want;
	return true;
}

/*
 * kvm_pvb_dirty_around() - @gva is being written for the first time since D was cleared in
 * the guest's entry at @gptep, whose shadow entry @sptep is. If that continues a streak of
 * ascending pages, do the same for the entries that follow: as many as the streak has seen
 * written, PVB_DIRTY_WINDOW at most. The guest has consented (PVB_F_DIRTY_AROUND).
 *
 * Under mmu_lock, from the fault's handler. Permissions are only raised: nothing to flush.
 */
void kvm_pvb_dirty_around(struct kvm_vcpu *vcpu, gva_t gva, u64 *sptep, u64 __user *gptep)
{
	struct kvm_mmu_page *sp = sptep_to_sp(sptep);
	struct kvm_pvb_vcpu *v = vcpu->arch.pvb;
	unsigned int index = spte_index(sptep), nr = 1;
	gfn_t page = gva >> PAGE_SHIFT;
	struct pvb_sync sync;

	if (!(v->engine.vm->features & PVB_F_DIRTY_AROUND) || sp->role.level != PG_LEVEL_4K ||
	    !pvb_same_context(vcpu, sp))
		return;
	v->dirty_window = page == v->dirty_next ? min(2 * v->dirty_window, PVB_DIRTY_WINDOW) : 1;
	pvb_sync_begin(&sync, vcpu);
	pagefault_disable();
	while (nr < v->dirty_window && index + nr < SPTE_ENT_PER_PAGE &&
	       pvb_dirty_one(&sync, sp, index + nr, gptep + nr))
		nr++;
	pagefault_enable();
	v->dirty_next = page + nr;
	if (nr == 1)
		return;
	vcpu->stat.pvb_dirty_around += nr - 1;
	kvm_vcpu_mark_page_dirty(vcpu, sp->gfn);
}

/*
 * kvm_pvb_set_promise() - from here on @vcpu does or does not name its changes, and leaf
 * tables of the VM are or are not left writable. Under mmu_lock, so that a fault that is
 * being handled sees one or the other throughout.
 */
void kvm_pvb_set_promise(struct kvm_vcpu *vcpu, bool promise, bool leaf_unsync)
{
	write_lock(&vcpu->kvm->mmu_lock);
	WRITE_ONCE(vcpu->arch.pvb_promise, promise);
	WRITE_ONCE(vcpu->kvm->arch.pvb_leaf_unsync, leaf_unsync);
	write_unlock(&vcpu->kvm->mmu_lock);
}
