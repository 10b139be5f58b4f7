// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host, in-process backend - the hardware: page walks, A and D, and a TLB.
 *
 * As real hardware (Intel SDM volume 3, 4.8 and 4.10; AMD APM volume 2, 5.4.2 and 5.5):
 * a bit is set with a locked read-modify-write of the entry as it stands at that
 * moment; only present (and for D, writable) entries get one; a cached translation is
 * used without looking at the entry again, until it is flushed, except that the first
 * write through one that was cached clean walks again to set D.
 */
#include <assert.h>

#include "hw.h"

#define INDEX_BITS 9

static uint64_t *table_slot(const struct pvb_inproc *host, uint64_t table, uint64_t va, int level)
{
	unsigned int shift = PVB_PAGE_SHIFT + INDEX_BITS * (unsigned int)(level - 1);
	uint64_t index = va >> shift & (PVB_PTES_PER_TABLE - 1);

	return pvb_inproc_ptr(host, pvb_gpa(table + index * sizeof(uint64_t)), sizeof(uint64_t),
			      false);
}

uint64_t *pvb_inproc_pte(struct pvb_inproc *host, pvb_gpa_t root, uint64_t va)
{
	uint64_t table = pvb_gpa_raw(root);
	int level;

	for (level = (int)host->config.levels; level > 1; level--) {
		uint64_t *slot = table_slot(host, table, va, level);
		uint64_t pte;

		assert(slot);
		pte = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
		if (!pvb_pte_present(pte)) {
			pte = hw_table(pvb_gpa_raw(pvb_inproc_alloc(host, 1)));
			__atomic_store_n(slot, pte, __ATOMIC_RELEASE);
		}
		table = pte & PVB_PTE_PFN_MASK;
	}
	return table_slot(host, table, va, 1);
}

/* mark() - an access through the entry at @slot; *@pte is what the entry is then. */
static enum pvb_inproc_fault mark(uint64_t *slot, bool write, int level, uint64_t *pte)
{
	uint64_t cur = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

	do {
		bool leaf = hw_is_leaf(cur, level);

		if (!pvb_pte_present(cur))
			return PVB_INPROC_NOT_PRESENT;
		if (write && leaf && !hw_writable(cur, leaf))
			return PVB_INPROC_PROTECTION;
		*pte = hw_touched(cur, write, leaf);
		if (*pte == cur)
			return PVB_INPROC_OK;
	} while (!__atomic_compare_exchange_n(slot, &cur, *pte, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_ACQUIRE));
	return PVB_INPROC_OK;
}

/*
 * mark_leaf() - the same for the entry that maps the page, or for another of its block:
 * that one counts for the block's A and D, @slot for the address and the permissions.
 */
static enum pvb_inproc_fault mark_leaf(uint64_t *slot, bool write, int level, uint64_t n,
				       uint64_t *pte)
{
	uint64_t cur = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
	uint64_t *marked = hw_marked_slot(slot, cur, n);
	enum pvb_inproc_fault fault = mark(marked, write, level, pte);

	if (fault || marked == slot)
		return fault;
	*pte = hw_touched(cur, write, true);
	return PVB_INPROC_OK;
}

/* note_conflicts() - does the TLB hold other pages of the block as what they are no more? */
static void note_conflicts(struct pvb_inproc_vcpu *vcpu, const struct pvb_inproc_tlb *now)
{
	for (uint64_t i = 1; i < HW_BLOCK; i++) {
		uint64_t vpn = now->vpn ^ i;
		const struct pvb_inproc_tlb *other = &vcpu->tlb[vpn % PVB_INPROC_TLB];

		if (other->valid && other->vpn == vpn && other->block != now->block)
			vcpu->conflicts++;
	}
}

/* walk() - from CR3 to the leaf, setting A and, for a write, D; fills in @tlb. */
static enum pvb_inproc_fault walk(struct pvb_inproc_vcpu *vcpu, uint64_t va, bool write,
				  struct pvb_inproc_tlb *tlb)
{
	uint64_t table = pvb_gpa_raw(vcpu->root), pte = 0, pages = 0;
	bool writable = true, leaf = false;
	int level;

	vcpu->walks++;
	tlb->valid = false;
	for (level = (int)vcpu->host->config.levels; !leaf; level--) {
		uint64_t *slot = table_slot(vcpu->host, table, va, level);
		enum pvb_inproc_fault fault;

		if (!slot)
			return PVB_INPROC_NO_MEMORY;
		leaf = hw_is_leaf(__atomic_load_n(slot, __ATOMIC_ACQUIRE), level);
		if (write && leaf && !writable)
			return PVB_INPROC_PROTECTION;
		fault = level == 1 ? mark_leaf(slot, write, level, vcpu->walks, &pte) :
				     mark(slot, write, level, &pte);
		if (fault)
			return fault;
		leaf = hw_is_leaf(pte, level);
		writable &= hw_writable(pte, leaf);
		table = pte & PVB_PTE_PFN_MASK;
		pages = 1ULL << INDEX_BITS * (unsigned int)(level - 1);
	}
	*tlb = (struct pvb_inproc_tlb){
		.valid = true,
		.writable = writable,
		.dirty = pvb_pte_dirty(pte),
		.block = hw_is_block(pte),
		.vpn = va >> PVB_PAGE_SHIFT,
		.pfn = pvb_pte_pfn(pte) + (va >> PVB_PAGE_SHIFT & (pages - 1)),
	};
	note_conflicts(vcpu, tlb);
	return PVB_INPROC_OK;
}

enum pvb_inproc_fault pvb_inproc_access(struct pvb_inproc_vcpu *vcpu, uint64_t va, bool write,
					uint64_t *value)
{
	uint64_t vpn = va >> PVB_PAGE_SHIFT;
	struct pvb_inproc_tlb *tlb = &vcpu->tlb[vpn % PVB_INPROC_TLB];
	enum pvb_inproc_fault fault = PVB_INPROC_OK;
	uint64_t *word;

	pthread_mutex_lock(&vcpu->lock);
	if (!tlb->valid || tlb->vpn != vpn || (write && !(tlb->writable && tlb->dirty)))
		fault = walk(vcpu, va, write, tlb);
	if (!fault) {
		pvb_gpa_t gpa = pvb_gpa(tlb->pfn << PVB_PAGE_SHIFT | (va & 0xff8));

		word = pvb_inproc_ptr(vcpu->host, gpa, sizeof(*word), write);
		if (!word)
			fault = PVB_INPROC_NO_MEMORY;
		else if (write)
			__atomic_store_n(word, *value, __ATOMIC_RELEASE);
		else
			*value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	}
	pthread_mutex_unlock(&vcpu->lock);
	return fault;
}

void pvb_inproc_flush_vcpu(struct pvb_inproc_vcpu *vcpu, const struct pvb_flush_req *req)
{
	uint64_t first = pvb_gva_raw(req->va) >> PVB_PAGE_SHIFT;
	unsigned int i;

	pthread_mutex_lock(&vcpu->lock);
	for (i = 0; i < PVB_INPROC_TLB; i++) {
		if (req->type == PVB_FLUSH_ALL || vcpu->tlb[i].vpn - first < req->pages)
			vcpu->tlb[i].valid = false;
	}
	pthread_mutex_unlock(&vcpu->lock);
}

void pvb_inproc_set_root(struct pvb_inproc_vcpu *vcpu, pvb_gpa_t root)
{
	unsigned int i;

	pthread_mutex_lock(&vcpu->lock);
	vcpu->root = root;
	for (i = 0; i < PVB_INPROC_TLB; i++)
		vcpu->tlb[i].valid = false;
	pthread_mutex_unlock(&vcpu->lock);
}
