/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: in-kernel KVM, beside the flow: what KVM's own paths do otherwise for a guest that
 * names its changes - faults, CR3 loads, a new root, a table that goes - and who has
 * promised to.
 *
 * Part of mmu/mmu.c, after mmu_sync.h. Called from the hooks, under mmu_lock held for writing
 * but for what looks without a lock and says so: the decoding and loading of CR3, and the
 * look at whose fault it is.
 */

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
	const u64 in_place = pvb_in_place();
	u64 spte = sp->spt[index], gpte, dirty, want;

	if (!is_shadow_present_pte(spte) || __get_user(gpte, gptep))
		return false;
	if ((gpte & (needed | PT_DIRTY_MASK | sync->rsvd)) != needed)
		return false;
	dirty = gpte | PT_DIRTY_MASK;
	want = pvb_translation(dirty, sp->role.access);
	if ((want ^ sp->shadowed_translation[index]) != ACC_WRITE_MASK || !(want & ACC_WRITE_MASK))
		return false;
	if ((spte & in_place) != in_place || !pvb_may_write(pvb_slot(sync, want >> PAGE_SHIFT)))
		return false;
	/* D first, then W: in between a write faults. */
	if (__try_cmpxchg_user(gptep, &gpte, dirty, fault))
		return false;
	sp->shadowed_translation[index] = want;
	WRITE_ONCE(sp->spt[index], spte | PT_WRITABLE_MASK);
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

/* pvb_decode_mov_cr3() - @insn as "mov %reg, %cr3" of 64-bit mode: its length, or 0. */
static unsigned int pvb_decode_mov_cr3(u32 insn, int *reg)
{
	unsigned int rex = 0;

	/* REX.B extends the register, REX.R would make it CR11; W and X mean nothing. */
	if ((insn & 0xf4) == 0x40) {
		rex = 1;
		*reg = (insn & 1) << 3;
		insn >>= 8;
	} else {
		*reg = 0;
	}
	/* Of ModRM the mode is ignored. */
	if ((insn & 0x38ffff) != 0x18220f)
		return 0;
	*reg |= insn >> 16 & 7;
	return 3 + rex;
}

/*
 * pvb_read_insn() - four bytes where @vcpu executes, through the shadow tables as the CPU
 * has read them; 0 if they are not there, or lie in two pages.
 *
 * Neither a shadow page goes meanwhile, nor what it maps: interrupts are off and vcpu->mode
 * is not OUTSIDE_GUEST_MODE, so who takes it away waits in kvm_flush_remote_tlbs().
 */
static u32 pvb_read_insn(struct kvm_vcpu *vcpu)
{
	gva_t rip = kvm_rip_read(vcpu);
	struct kvm_shadow_walk_iterator it;
	struct page *page;
	u64 spte;

	lockdep_assert_irqs_disabled();
	if (offset_in_page(rip) > PAGE_SIZE - sizeof(u32))
		return 0;
	for_each_shadow_entry_lockless(vcpu, rip, it, spte) {
		if (!is_shadow_present_pte(spte))
			break;
		if (!is_last_spte(spte, it.level))
			continue;
		page = kvm_pfn_to_refcounted_page(
			spte_to_pfn(spte) +
			(rip >> PAGE_SHIFT & (KVM_PAGES_PER_HPAGE(it.level) - 1)));
		if (!page)
			break;
		return get_unaligned((u32 *)(page_address(page) + offset_in_page(rip)));
	}
	return 0;
}

/*
 * kvm_pvb_decode_cr3() - which register @vcpu, which names its changes, is loading into CR3,
 * on a CPU that does not say: what the emulator would find, for a tenth of the cost. False:
 * let the emulator do it.
 */
bool kvm_pvb_decode_cr3(struct kvm_vcpu *vcpu, int *reg, unsigned int *bytes)
{
	u32 insn;

	if (!is_64_bit_mode(vcpu))
		return false;
	walk_shadow_page_lockless_begin(vcpu);
	insn = pvb_read_insn(vcpu);
	walk_shadow_page_lockless_end(vcpu);
	*bytes = pvb_decode_mov_cr3(insn, reg);
	return *bytes;
}

/*
 * pvb_take_root() - make the root of @pgd the current one, if it is at hand and can be used as
 * it is; false: it is not. As KVM's own search does, which is called once, and so inlined, where
 * every CR3 load of other vCPUs goes: let it stay so.
 */
static bool pvb_take_root(struct kvm_mmu *mmu, gpa_t pgd)
{
	struct kvm_mmu_root_info *prev = mmu->prev_roots, found;
	unsigned int i;

	if (is_root_usable(&mmu->root, pgd, mmu->root_role))
		return true;
	for (i = 0; i < KVM_MMU_NUM_PREV_ROOTS; i++) {
		if (!is_root_usable(&prev[i], pgd, mmu->root_role))
			continue;
		/* The latest first. */
		found = prev[i];
		for (; i; i--)
			prev[i] = prev[i - 1];
		prev[0] = mmu->root;
		mmu->root = found;
		return true;
	}
	return false;
}

/*
 * kvm_pvb_load_cr3() - do what a MOV to CR3 does, without leaving the run loop: @vcpu, which
 * names its changes, has nothing to synchronise when it switches to an address space whose
 * root is still at hand. @reg: what it loads; below zero: to be decoded, and then *@bytes is
 * the length of the instruction. The caller skips it.
 *
 * Between two entries, with interrupts off. False: go the long way. Who makes a root
 * obsolete makes a request of it, too, and either it is seen here or before the next entry.
 */
bool kvm_pvb_load_cr3(struct kvm_vcpu *vcpu, int reg, unsigned int *bytes)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;
	struct kvm_mmu_page *sp;
	unsigned long cr3;

	if (!is_64_bit_mode(vcpu) || kvm_is_cr4_bit_set(vcpu, X86_CR4_PCIDE) ||
	    kvm_request_pending(vcpu) || force_flush_and_sync_on_reuse ||
	    !VALID_PAGE(mmu->root.hpa) || !root_to_sp(mmu->root.hpa))
		return false;
	if (reg < 0) {
		*bytes = pvb_decode_mov_cr3(pvb_read_insn(vcpu), &reg);
		if (!*bytes)
			return false;
	}
	cr3 = kvm_register_read(vcpu, reg);
	if (!pvb_take_root(mmu, cr3))
		return false;
	sp = root_to_sp(mmu->root.hpa);
	__clear_sp_write_flooding_count(sp);
	vcpu_clear_mmio_info(vcpu, MMIO_GVA_ANY);
	vcpu->arch.cr3 = cr3;
	kvm_register_mark_dirty(vcpu, VCPU_EXREG_CR3);
	kvm_mmu_load_pgd(vcpu);
	++vcpu->stat.tlb_flush;
	kvm_x86_call(flush_tlb_current)(vcpu);
	return true;
}
EXPORT_SYMBOL_GPL(kvm_pvb_load_cr3);

/*
 * kvm_pvb_guest_fault() - hand a fault back to the guest at once, if it is one that the
 * guest has to see: its entry of a shadowed leaf table is not present. True: it has been
 * injected. A walk of the guest's tables finds the same, at more than twice the cost.
 *
 * The upper tables are write-protected, so what is shadowed of them is what the guest's
 * say. If the leaf goes meanwhile, another CPU of the guest is taking it down while this
 * one uses it, and may find any value there; so may this. Only for user mode, where a
 * kernel takes a fault without cause for nothing worse than that.
 */
static bool kvm_pvb_guest_fault(struct kvm_vcpu *vcpu, gva_t gva, u64 error_code)
{
	const u64 mask = PFERR_PRESENT_MASK | PFERR_USER_MASK | PFERR_RSVD_MASK;
	struct x86_exception fault = {
		.vector = PF_VECTOR,
		.error_code_valid = true,
		.error_code = error_code & (PFERR_WRITE_MASK | PFERR_USER_MASK | PFERR_FETCH_MASK),
		.address = gva,
	};
	struct kvm_shadow_walk_iterator it;
	const u64 __user *gptes;
	struct kvm_pvb_vcpu *v;
	struct kvm_mmu_page *sp;
	bool leaf = false;
	u64 spte, gpte;
	gfn_t gfn;

	if ((error_code & mask) != PFERR_USER_MASK || !kvm_pvb_names_changes(vcpu) ||
	    !is_efer_nx(vcpu->arch.mmu))
		return false;
	/* The guest has been here, and has most likely done something about it. */
	v = vcpu->arch.pvb;
	if (v->handed_back == gva >> PAGE_SHIFT) {
		v->handed_back = 0;
		return false;
	}
	walk_shadow_page_lockless_begin(vcpu);
	for_each_shadow_entry_lockless(vcpu, gva, it, spte) {
		if (it.level > PG_LEVEL_4K)
			continue;
		sp = sptep_to_sp(it.sptep);
		leaf = !sp->role.direct && pvb_same_context(vcpu, sp);
		gfn = sp->gfn;
	}
	walk_shadow_page_lockless_end(vcpu);
	if (!leaf)
		return false;
	gptes = pvb_gptes(vcpu, gfn);
	if (!gptes || __get_user(gpte, &gptes[pte_index(gva)]) || gpte & PT_PRESENT_MASK)
		return false;
	v->handed_back = gva >> PAGE_SHIFT;
	__kvm_inject_emulated_page_fault(vcpu, &fault, true);
	return true;
}

/*
 * kvm_pvb_unlink_leaf() - drop all entries of leaf @sp, which is being zapped. Returns false
 * for what is no leaf, or one of SMM's address space: entry by entry, as ever.
 */
static bool kvm_pvb_unlink_leaf(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	struct pvb_sync sync = { .kvm = kvm };
	unsigned int i;

	if (sp->role.level != PG_LEVEL_4K || sp->role.smm)
		return false;
	for (i = 0; i < SPTE_ENT_PER_PAGE; i++) {
		u64 spte = sp->spt[i];

		if (spte == SHADOW_NONPRESENT_VALUE)
			continue;
		if (likely(is_shadow_present_pte(spte)))
			pvb_drop(&sync, sp, i);
		else
			mmu_spte_clear_no_track(&sp->spt[i]);
	}
	kvm_update_page_stats(kvm, PG_LEVEL_4K, -sync.unmapped);
	return true;
}

/*
 * kvm_pvb_release_children() - @sp is being zapped because its table is written so often, and not
 * because it is no table any more: what is below it stays, for when it is shadowed anew.
 */
static void kvm_pvb_release_children(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	unsigned int i;

	if (!kvm_pvb_leaf_unsync(kvm))
		return;
	for (i = 0; i < SPTE_ENT_PER_PAGE; i++)
		mmu_page_zap_pte(kvm, sp, sp->spt + i, NULL);
}

/* Children that one new root is given at most: what the topped up caches are good for. */
#define PVB_LINKS 8

/* pvb_find_child() - the shadow page of @gfn in @role, if there is one. */
static struct kvm_mmu_page *pvb_find_child(struct kvm *kvm, gfn_t gfn, union kvm_mmu_page_role role)
{
	struct kvm_mmu_page *sp;

	for_each_valid_sp(kvm, sp, &kvm->arch.mmu_page_hash[kvm_page_table_hashfn(gfn)]) {
		if (sp->gfn == gfn && sp->role.word == role.word)
			return sp;
	}
	return NULL;
}

/*
 * kvm_pvb_link_children() - give the new shadow @root of an address space the shadow pages
 * that others have of the same upper tables (those of the guest's kernel), instead of a
 * fault for each. They are in use elsewhere and write-protected, so they are exact; what
 * is unsync below them is kept up to date by name.
 *
 * From mmu_alloc_shadow_roots(), under mmu_lock, caches topped up.
 */
static void kvm_pvb_link_children(struct kvm_vcpu *vcpu, struct kvm_mmu_page *root)
{
	const u64 needed = PT_PRESENT_MASK | PT_ACCESSED_MASK;
	const u64 __user *gptes = pvb_gptes(vcpu, root->gfn);
	unsigned int i, links = 0;

	if (!gptes || !pvb_same_context(vcpu, root))
		return;
	pagefault_disable();
	for (i = 0; i < SPTE_ENT_PER_PAGE && links < PVB_LINKS; i++) {
		union kvm_mmu_page_role role;
		struct kvm_mmu_page *child;
		u64 gpte;

		if (is_shadow_present_pte(root->spt[i]))
			continue;
		if (__get_user(gpte, &gptes[i]))
			break;
		if ((gpte & needed) != needed ||
		    paging64_is_rsvd_bits_set(vcpu->arch.mmu, gpte, root->role.level))
			continue;
		role = kvm_mmu_child_role(&root->spt[i], false,
					  root->role.access & paging64_gpte_access(gpte));
		child = pvb_find_child(vcpu->kvm, (gpte & __PT_BASE_ADDR_MASK) >> PAGE_SHIFT, role);
		if (child) {
			link_shadow_page(vcpu, &root->spt[i], child);
			links++;
		}
	}
	pagefault_enable();
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

/*
 * kvm_pvb_end_promises() - of all vCPUs at once, so that none is left whose promise holds
 * while leaf tables are protected again.
 */
void kvm_pvb_end_promises(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	write_lock(&kvm->mmu_lock);
	WRITE_ONCE(kvm->arch.pvb_leaf_unsync, false);
	kvm_for_each_vcpu(i, vcpu, kvm) {
		if (!vcpu->arch.pvb_promise)
			continue;
		WRITE_ONCE(vcpu->arch.pvb_promise, false);
		/* What has not been synchronised because of the promise is from now on. */
		kvm_make_request(KVM_REQ_TLB_FLUSH_GUEST, vcpu);
		kvm_vcpu_kick(vcpu);
	}
	write_unlock(&kvm->mmu_lock);
}
