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
#include <linux/unaligned.h>

#include "internal.h"

/* mmu.c makes its own tracepoints; ours are made in call.c. */
#undef CREATE_TRACE_POINTS
#include "pvb_trace.h"

/* Entries of other pages than before that one flush lets in; descriptors that one may take. */
#define PVB_INSTALLS 8
#define PVB_INSTALL_NEEDS 2

/* A shadow entry that was dropped because the guest's maps another page now. */
struct pvb_replaced {
	u64 *sptep;
	const u64 __user *gptep;
};

struct pvb_sync {
	struct kvm *kvm;
	struct kvm_vcpu *vcpu; /* NULL: entries are dropped and nothing else */
	struct kvm_memory_slot *slot; /* of the gfn looked at last; NULL after a yield */
	u64 rsvd; /* reserved bits of a guest's leaf entry */
	bool flush; /* a permission was lowered and is not flushed yet */
	struct list_head zapped;
	u64 in_place, dropped, installed;
	int unmapped; /* of dropped, those not yet taken off KVM's count of mapped pages */
	unsigned int nr_replaced;
	struct pvb_replaced replaced[PVB_INSTALLS];
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

/* pvb_slot() - the memslot of @gfn, or NULL if nothing is to be mapped there now. */
static struct kvm_memory_slot *pvb_slot(struct pvb_sync *sync, gfn_t gfn)
{
	struct kvm_memory_slot *slot = sync->slot;

	if (unlikely(!slot || gfn - slot->base_gfn >= slot->npages)) {
		slot = __gfn_to_memslot(kvm_memslots(sync->kvm), gfn);
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

/* pvb_page_used() - hand the A and D bits of a shadow entry that goes to the host's page. */
static void pvb_page_used(u64 spte)
{
	struct page *page = kvm_pfn_to_refcounted_page(spte_to_pfn(spte));

	if (!page || PageReserved(page))
		return;
	if (is_accessed_spte(spte))
		mark_page_accessed(page);
	if (is_dirty_spte(spte) && !PageDirty(page))
		SetPageDirty(page);
}

/*
 * pvb_drop() - what drop_spte() does, without looking up the memslot each time and the
 * page three times. @index: of a present entry of leaf @sp.
 */
static void pvb_drop(struct pvb_sync *sync, struct kvm_mmu_page *sp, unsigned int index)
{
	gfn_t gfn = kvm_mmu_page_get_gfn(sp, index);
	struct kvm_memory_slot *slot = pvb_slot(sync, gfn);
	u64 *sptep = &sp->spt[index], spte = *sptep;
	struct kvm_rmap_head *rmap;

	sync->flush = true;
	sync->dropped++;
	if (unlikely(!slot)) {
		drop_spte(sync->kvm, sptep);
		return;
	}
	if (spte_has_volatile_bits(spte))
		spte = __update_clear_spte_slow(sptep, SHADOW_NONPRESENT_VALUE);
	else
		__update_clear_spte_fast(sptep, SHADOW_NONPRESENT_VALUE);
	sync->unmapped++;
	pvb_page_used(spte);
	rmap = gfn_to_rmap(gfn, PG_LEVEL_4K, slot);
	if (likely(rmap->val == (unsigned long)sptep))
		rmap->val = 0;
	else
		pte_list_remove(sync->kvm, sptep, rmap);
}

/*
 * What a shadow entry has to hold for W to be taken and given in place: the host lets it
 * be written, no shadow page stands in the way, and hardware has no A or D left to set.
 *
 * W off leaves shadow_mmu_writable_mask alone, which says that no shadow page stands in
 * the way of a write: whoever makes the page a page table, or tracks writes to it, takes
 * that bit away from all of the page's shadow entries. So W on needs no look at the shadow
 * pages while the bit is still there. The D bit of the shadow entry stays, too: it means
 * that the host's page is to be treated as dirty, which is still true.
 */
static u64 pvb_in_place(void)
{
	return shadow_host_writable_mask | shadow_mmu_writable_mask | shadow_accessed_mask |
	       shadow_dirty_mask;
}

/* pvb_may_write() - may pages of @slot be given W without more ado? */
static bool pvb_may_write(const struct kvm_memory_slot *slot)
{
	return slot && !(slot->flags & (KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY));
}

/*
 * pvb_remake() - permissions differ, the page does not. @lost: those that the guest takes.
 * mmu_spte_update() asks for a flush if W goes; KVM leaves U and X to the guest's own flush,
 * but this is that flush.
 */
static void pvb_remake(struct pvb_sync *sync, struct kvm_mmu_page *sp, u64 *sptep, u64 want,
		       u64 lost)
{
	struct kvm_memory_slot *slot = pvb_slot(sync, want >> PAGE_SHIFT);
	u64 spte = *sptep, new;

	if (unlikely(!slot)) {
		pvb_drop(sync, sp, spte_index(sptep));
		return;
	}
	make_spte(sync->vcpu, sp, slot, want & ACC_ALL, want >> PAGE_SHIFT, spte_to_pfn(spte), spte,
		  true, true, spte & shadow_host_writable_mask, &new);
	/* make_spte() for a prefetch leaves A clear; there is no reason to lose it. */
	sync->flush |= mmu_spte_update(sptep, new | (spte & shadow_accessed_mask)) || lost;
	sync->in_place++;
}

/*
 * pvb_replace() - the guest maps another page. What was accessed is likely to be accessed
 * again (a page just copied on a write): map the new one with this call, too, but not before
 * the flush. No vCPU may use the new page while another still uses the old one.
 */
static void pvb_replace(struct pvb_sync *sync, struct kvm_mmu_page *sp, u64 *sptep,
			const u64 __user *gptep)
{
	pvb_drop(sync, sp, spte_index(sptep));
	if (sync->nr_replaced < PVB_INSTALLS)
		sync->replaced[sync->nr_replaced++] = (struct pvb_replaced){ sptep, gptep };
}

/* pvb_forget_replaced() - those in shadow pages that are about to be freed. */
static void pvb_forget_replaced(struct pvb_sync *sync)
{
	unsigned int i, nr = 0;

	for (i = 0; i < sync->nr_replaced; i++) {
		if (!sptep_to_sp(sync->replaced[i].sptep)->role.invalid)
			sync->replaced[nr++] = sync->replaced[i];
	}
	sync->nr_replaced = nr;
}

/*
 * pvb_install() - map what replaced others, if that takes neither a fault in the host's mapping
 * nor memory that is not there. The guest's entry as it is now: it may have been named twice.
 */
static void pvb_install(struct pvb_sync *sync)
{
	struct kvm_vcpu *vcpu = sync->vcpu;
	struct pvb_replaced *r;
	u64 gpte;

	WARN_ON_ONCE(sync->flush); /* the old ones are in no TLB any more */
	pagefault_disable();
	for (r = sync->replaced; r < sync->replaced + sync->nr_replaced; r++) {
		if (vcpu->kvm->mmu_invalidate_in_progress ||
		    kvm_mmu_memory_cache_nr_free_objects(&vcpu->arch.mmu_pte_list_desc_cache) <
			    PVB_INSTALL_NEEDS)
			break;
		if (!is_shadow_present_pte(*r->sptep) && !__get_user(gpte, r->gptep) &&
		    paging64_prefetch_gpte(vcpu, sptep_to_sp(r->sptep), r->sptep, gpte))
			sync->installed++;
	}
	pagefault_enable();
	sync->nr_replaced = 0;
}

/* pvb_sync_entry() - bring one shadow entry up to date with @gpte, of @gptes, whatever it takes. */
static void pvb_sync_entry(struct pvb_sync *sync, struct kvm_mmu_page *sp, unsigned int index,
			   const u64 __user *gptes, u64 gpte)
{
	const u64 needed = PT_PRESENT_MASK | PT_ACCESSED_MASK;
	u64 *sptep = &sp->spt[index], want, differ;

	if (*sptep == SHADOW_NONPRESENT_VALUE)
		return;
	if (unlikely(!is_shadow_present_pte(*sptep))) { /* MMIO: let it fault again */
		mmu_spte_clear_no_track(sptep);
		return;
	}
	if ((gpte & (needed | sync->rsvd)) != needed) {
		pvb_drop(sync, sp, index);
		return;
	}
	want = pvb_translation(gpte, sp->role.access);
	differ = want ^ sp->shadowed_translation[index];
	if (!differ)
		return;
	if (differ & ~(u64)ACC_ALL) {
		pvb_replace(sync, sp, sptep, gptes + index);
		return;
	}
	sp->shadowed_translation[index] = want;
	pvb_remake(sync, sp, sptep, want, differ & ~want);
}

/*
 * pvb_sync_quick() - the loop over shadow entries [@index, @end) of leaf @sp for the usual
 * kinds of change: nothing, W alone, or an entry that is not shadowed.
 *
 * Reads the guest's entries once each, whole, through the VMM's mapping @gptes, without
 * faulting pages in; the guest may be writing them. No function may be called in between.
 * Returns the entry that takes more, its guest entry in *@gpte, or @end; -1 if a guest
 * entry cannot be read, all before *@index then being done.
 */
static int pvb_sync_quick(struct pvb_sync *sync, struct kvm_mmu_page *sp, unsigned int *index,
			  unsigned int end, const u64 __user *gptes, u64 *gpte)
{
	const u64 needed = PT_PRESENT_MASK | PT_ACCESSED_MASK, in_place = pvb_in_place();
	const struct kvm_memory_slot *slot = sync->slot;
	const gfn_t base = pvb_may_write(slot) ? slot->base_gfn : 0;
	const gfn_t npages = pvb_may_write(slot) ? slot->npages : 0;
	u64 *const shadowed = sp->shadowed_translation, *const sptes = sp->spt;
	const unsigned int access = sp->role.access;
	/*
	 * The flags of the entry before and what they grant: most of a run has the same. At
	 * first, none, which grant what no entry does: not even flags of 0 pass for known.
	 */
	u64 flags = 0, granted = ACC_ALL + 1;
	u64 lowered = 0, cur, spte, want, differ;
	unsigned int i = *index, in_place_nr = 0;
	int r = -1;

	if (!user_read_access_begin(gptes + i, (end - i) * sizeof(*gptes)))
		return -1;
	for (; i < end; i++) {
		unsafe_get_user(cur, &gptes[i], fault);
		spte = sptes[i];
		if (!is_shadow_present_pte(spte)) {
			if (spte == SHADOW_NONPRESENT_VALUE)
				continue;
			break; /* MMIO: what shadowed[i] says is of an entry before it */
		}
		if (unlikely((cur ^ flags) & ~__PT_BASE_ADDR_MASK)) {
			if ((cur & (needed | sync->rsvd)) != needed)
				break;
			flags = cur & ~__PT_BASE_ADDR_MASK;
			granted = pvb_translation(flags, access);
		}
		/* Reserved bits in the address are a difference in the address. */
		want = (cur & __PT_BASE_ADDR_MASK) | granted;
		differ = want ^ shadowed[i];
		if (!differ)
			continue;
		if (differ != ACC_WRITE_MASK || (spte & in_place) != in_place)
			break;
		if (!(want & ACC_WRITE_MASK)) {
			lowered |= spte;
			spte &= ~(u64)PT_WRITABLE_MASK;
		} else {
			if ((want >> PAGE_SHIFT) - base >= npages)
				break;
			spte |= PT_WRITABLE_MASK;
		}
		shadowed[i] = want;
		WRITE_ONCE(sptes[i], spte);
		in_place_nr++;
	}
	*gpte = cur;
	r = i;
fault:
	user_read_access_end();
	*index = i;
	sync->flush |= is_writable_pte(lowered);
	sync->in_place += in_place_nr;
	return r;
}

/*
 * pvb_unprotect() - @gfn held a table whose shadow has gone: let it be written wherever the
 * guest's entries do, without a fault for each that says so. Not if something else that needs to
 * see writes is left; that is make_spte()'s to find out.
 */
static void pvb_unprotect(struct pvb_sync *sync, gfn_t gfn)
{
	struct kvm_memory_slot *slot = pvb_slot(sync, gfn);
	struct rmap_iterator iter;
	u64 *sptep;

	if (!pvb_may_write(slot))
		return;
	for_each_rmap_spte(gfn_to_rmap(gfn, PG_LEVEL_4K, slot), &iter, sptep) {
		struct kvm_mmu_page *sp = sptep_to_sp(sptep);
		unsigned int access = kvm_mmu_page_get_access(sp, spte_index(sptep));
		u64 spte = *sptep, new;

		if (is_writable_pte(spte) || !(spte & shadow_host_writable_mask) ||
		    !(access & ACC_WRITE_MASK))
			continue;
		make_spte(sync->vcpu, sp, slot, access, gfn, spte_to_pfn(spte), spte, true, true,
			  true, &new);
		sync->flush |= mmu_spte_update(sptep, new | (spte & shadow_accessed_mask));
	}
}

/*
 * pvb_forget_root() - @sp is to go: not as one of the roots that this vCPU keeps for later,
 * which would leave it to a request to all vCPUs. Others, and the one in use, take that way.
 */
static void pvb_forget_root(struct pvb_sync *sync, struct kvm_mmu_page *sp)
{
	struct kvm_mmu *mmu = sync->vcpu->arch.mmu;
	unsigned int i;

	for (i = 0; sp->root_count && i < KVM_MMU_NUM_PREV_ROOTS; i++) {
		hpa_t *root = &mmu->prev_roots[i].hpa;

		if (VALID_PAGE(*root) && root_to_sp(*root) == sp)
			mmu_free_root_page(sync->kvm, root, &sync->zapped);
	}
}

/* pvb_zap_sp() - @sp is no more, and what is below it and nowhere else. */
static void pvb_zap_sp(struct pvb_sync *sync, struct kvm_mmu_page *sp)
{
	pvb_forget_root(sync, sp);
	kvm_mmu_prepare_zap_page(sync->kvm, sp, &sync->zapped);
	++sync->vcpu->stat.pvb_sps_zapped;
}

/*
 * pvb_zap_entries() - without knowing what the guest's entries are: all fault again. Of
 * upper entries, the shadow pages below go, too, unless something else refers to them; so
 * a guest can name the upper entries of an address space that it is about to take down.
 */
static void pvb_zap_entries(struct pvb_sync *sync, struct kvm_mmu_page *sp, unsigned int first,
			    unsigned int end)
{
	unsigned int i;

	for (i = first; i < end; i++) {
		sync->flush |= is_shadow_present_pte(sp->spt[i]);
		mmu_page_zap_pte(sync->kvm, sp, sp->spt + i, &sync->zapped);
	}
}

/*
 * pvb_sync_sp() - bring a run of @sp up to date. @gptes: the guest's table, as the
 * VMM's process maps it, or NULL if that is not possible.
 */
static void pvb_sync_sp(struct pvb_sync *sync, struct kvm_mmu_page *sp, unsigned int first,
			unsigned int nr, const u64 __user *gptes)
{
	unsigned int index = first, end = first + nr;
	int at;

	if (!pvb_same_context(sync->vcpu, sp)) {
		/* Another mode's shadow page: only a vCPU in that mode could synchronise it. */
		pvb_zap_sp(sync, sp);
		return;
	}
	if (sp->role.level > PG_LEVEL_4K && nr == SPTE_ENT_PER_PAGE) {
		/* All of an upper table: the guest has no more use for it as a table. */
		pvb_zap_sp(sync, sp);
		return;
	}
	if (sp->role.level > PG_LEVEL_4K || !gptes) {
		pvb_zap_entries(sync, sp, first, end);
		return;
	}
	pagefault_disable();
	while (index < end) {
		u64 gpte;

		at = pvb_sync_quick(sync, sp, &index, end, gptes, &gpte);
		if (unlikely(at < 0)) {
			pvb_zap_entries(sync, sp, index, end);
			break;
		}
		/* What is taken down is taken down in a row. */
		while (index < end) {
			pvb_sync_entry(sync, sp, index++, gptes, gpte);
			if (index == end || __get_user(gpte, &gptes[index]) ||
			    gpte & PT_PRESENT_MASK)
				break;
		}
	}
	pagefault_enable();
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
		.kvm = vcpu->kvm,
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
	struct kvm_mmu_page *sp;
	bool flushed;

	/* Leaf tables are not protected from a guest that names its changes. */
	list_for_each_entry(sp, &sync->zapped, link) {
		if (sp->role.level > PG_LEVEL_4K && sp_has_gptes(sp))
			pvb_unprotect(sync, sp->gfn);
	}
	pvb_forget_replaced(sync);
	flushed = kvm_mmu_remote_flush_or_zap(sync->kvm, &sync->zapped, sync->flush);
	sync->flush = false;
	if (sync->nr_replaced)
		pvb_install(sync);
	return flushed;
}

/* pvb_sync_yield() - give up mmu_lock for a moment if someone else needs it or this CPU. */
static void pvb_sync_yield(struct pvb_sync *sync)
{
	struct kvm *kvm = sync->kvm;

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
	kvm_update_page_stats(sync->kvm, PG_LEVEL_4K, -sync->unmapped);
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
		trace_kvm_pvb_sync(run->gfn, run->first, run->nr, sync.in_place, sync.dropped);
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
