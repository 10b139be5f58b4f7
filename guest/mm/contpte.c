// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest mm - the run operations over contiguous blocks (arm64); see mm-contpte.h.
 *
 * A run is not what its first entry is: each edge may lie inside a block, and blocks and
 * plain entries may follow each other in between.
 */
#include "internal.h"

#ifdef PVB_PTE_CONT

static uint64_t *block_of(const uint64_t *ptep)
{
	return (uint64_t *)((uintptr_t)ptep & ~(PVB_CONT_PTES * sizeof(*ptep) - 1));
}

uint64_t pvb_contpte_ptep_get(struct pvb_cpu *c, const uint64_t *ptep, uint64_t pte)
{
	const uint64_t *block = block_of(ptep);

	pvb_drain_run(c, block, PVB_CONT_PTES);
	return pvb_pte_fold(pvb_pte_mknoncont(pte), pvb_start_ptes(block, PVB_CONT_PTES));
}

void pvb_contpte_unfold(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep)
{
	struct pvb_ad_map *collecting = pvb_collect_pause(c);
	uint64_t *block = block_of(ptep);
	uint32_t slot = pvb_pte_index(addr, 1) & ~(PVB_CONT_PTES - 1);
	uint64_t bits = ((1ULL << PVB_CONT_PTES) - 1) << slot % 64;
	uint64_t pte = pvb_pte_mknoncont(pvb_pte_without_ad(pvb_read(c, block)));
	struct pvb_ad_map map;

	/* Break: nothing may use the block any more, in any TLB, before its parts appear. */
	addr &= ~(PVB_CONT_PTES * PVB_PAGE_SIZE - 1);
	pvb_collect_begin(c, &map);
	pvb_mask_ptes(c, block, ~0ULL, 0, PVB_CONT_PTES);
	pvb_collect_end(c, PVB_FLUSH_RANGE, 0, pvb_gva(addr), PVB_CONT_PTES);
	if (map.young[slot / 64] & bits)
		pte = pvb_pte_mkyoung(pte);
	if (map.dirty[slot / 64] & bits)
		pte = pvb_pte_mkdirty(pte);
	/* Make. */
	pvb_set_ptes(c, block, pte, PVB_CONT_PTES, 0);
	pvb_collect_resume(c, collecting);
}

/* Unfold the blocks of which the run is but a part: at most the first and the last. */
static void unfold_edges(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint32_t nr)
{
	uint64_t *end = ptep + nr;
	uint64_t *last = end - 1;

	if ((ptep != block_of(ptep) || nr < PVB_CONT_PTES) && pvb_pte_cont(pvb_read(c, ptep)))
		pvb_contpte_unfold(c, addr, ptep);
	if (end != block_of(end) && pvb_pte_cont(pvb_read(c, last)))
		pvb_contpte_unfold(c, addr + (nr - 1) * PVB_PAGE_SIZE, last);
}

static void unfold_all(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		if (pvb_pte_cont(pvb_read(c, ptep + i)))
			pvb_contpte_unfold(c, addr + i * PVB_PAGE_SIZE, ptep + i);
	}
}

uint64_t pvb_contpte_modify_prot_start_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					    uint32_t nr)
{
	uint64_t pte;

	if (!pvb_ptes_valid(addr, ptep, nr))
		return 0;
	pvb_drain_run(c, ptep, nr);
	/* A and D of a block that reaches beyond the run may be in entries outside it. */
	pte = pvb_pte_fold(pvb_ptep_get(c, ptep), pvb_ptep_get(c, ptep + nr - 1));
	return pvb_pte_fold(pte, pvb_start_ptes(ptep, nr));
}

int pvb_contpte_modify_prot_commit_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					uint64_t old, uint64_t new, uint32_t nr, uint8_t soft)
{
	if (!pvb_ptes_valid(addr, ptep, nr))
		return -PVB_EINVAL;
	/* Entries that are not present are no block, so each needs the block's A and D. */
	if (pvb_pte_present(new))
		unfold_edges(c, addr, ptep, nr);
	else
		unfold_all(c, addr, ptep, nr);
	old = pvb_pte_mknoncont(old);
	new = pvb_pte_mknoncont(new);
	for (uint32_t i = 0, n; i < nr; i += n) {
		bool cont = pvb_pte_cont(pvb_read(c, ptep + i));
		uint64_t from = pvb_pte_advance(old, i);
		uint64_t to = pvb_pte_advance(new, i);
		int r;

		for (n = 1; i + n < nr; n++) {
			if (pvb_pte_cont(pvb_read(c, ptep + i + n)) != cont)
				break;
		}
		if (cont) {
			from = pvb_pte_mkcont(from);
			to = pvb_pte_mkcont(to);
		}
		r = pvb_commit_run(c, ptep + i, from, to, n, soft);
		if (r)
			return r;
	}
	return 0;
}

int pvb_contpte_set_new_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint64_t pte,
			     uint32_t nr)
{
	uint32_t slot = pvb_pte_index(addr, 1);
	bool aligned = slot % PVB_CONT_PTES == pvb_pte_pfn(pte) % PVB_CONT_PTES;
	uint32_t head = (PVB_CONT_PTES - slot % PVB_CONT_PTES) % PVB_CONT_PTES;
	uint32_t middle = nr > head ? (nr - head) / PVB_CONT_PTES * PVB_CONT_PTES : 0;
	int r = 0;

	if (!pvb_ptes_valid(addr, ptep, nr))
		return -PVB_EINVAL;
	pte = pvb_pte_mknoncont(pte);
	if (!aligned || !pvb_pte_present(pte) || !middle)
		return pvb_set_ptes(c, ptep, pte, nr, 0);
	if (head)
		r = pvb_set_ptes(c, ptep, pte, head, 0);
	if (!r)
		r = pvb_set_ptes(c, ptep + head, pvb_pte_mkcont(pvb_pte_advance(pte, head)), middle,
				 0);
	if (!r && nr > head + middle)
		r = pvb_set_ptes(c, ptep + head + middle, pvb_pte_advance(pte, head + middle),
				 nr - head - middle, 0);
	return r;
}

int pvb_contpte_wrprotect_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint32_t nr)
{
	if (!pvb_ptes_valid(addr, ptep, nr))
		return -PVB_EINVAL;
	unfold_edges(c, addr, ptep, nr);
	return pvb_batched_wrprotect_ptes(c, addr, ptep, nr);
}

int pvb_contpte_clear_young_dirty_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
				       uint32_t nr, unsigned int flags)
{
	if (!pvb_ptes_valid(addr, ptep, nr))
		return -PVB_EINVAL;
	unfold_edges(c, addr, ptep, nr);
	return pvb_batched_clear_young_dirty_ptes(c, addr, ptep, nr, flags);
}

uint64_t pvb_contpte_get_and_clear_full_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					     uint32_t nr)
{
	if (!pvb_ptes_valid(addr, ptep, nr))
		return 0;
	unfold_edges(c, addr, ptep, nr);
	return pvb_batched_get_and_clear_full_ptes(c, addr, ptep, nr);
}

#endif /* PVB_PTE_CONT */
