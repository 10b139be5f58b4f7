// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest mm - the run operations as loops over single entries: what an architecture
 * gets that overrides nothing, and what tests compare the overrides with. Obvious rather
 * than fast.
 */
#include "internal.h"

uint64_t pvb_generic_ptep_modify_prot_start(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep)
{
	if (!pvb_pte_valid(addr, ptep))
		return 0;
	return pvb_ptep_get(c, ptep);
}

int pvb_generic_ptep_modify_prot_commit(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					uint64_t old, uint64_t new)
{
	if (!pvb_pte_valid(addr, ptep))
		return -PVB_EINVAL;
#ifdef PVB_PTE_CONT
	if (pvb_pte_cont(pvb_read(c, ptep)))
		pvb_contpte_unfold(c, addr, ptep);
#endif
	pvb_commit(c, ptep, old, new);
	return 0;
}

uint64_t pvb_generic_modify_prot_start_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					    uint32_t nr)
{
	uint64_t pte;

	if (!pvb_ptes_valid(addr, ptep, nr))
		return 0;
	pte = pvb_generic_ptep_modify_prot_start(c, addr, ptep);
	for (uint32_t i = 1; i < nr; i++) {
		uint64_t next =
			pvb_generic_ptep_modify_prot_start(c, addr + i * PVB_PAGE_SIZE, ptep + i);

		if (pvb_pte_young(next))
			pte = pvb_pte_mkyoung(pte);
		if (pvb_pte_dirty(next))
			pte = pvb_pte_mkdirty(pte);
	}
	return pte;
}

int pvb_generic_modify_prot_commit_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					uint64_t old, uint64_t new, uint32_t nr, uint8_t soft)
{
	uint64_t mask = pvb_pte_soft_mask(soft);

	if (!pvb_ptes_valid(addr, ptep, nr))
		return -PVB_EINVAL;
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t own = pvb_ptep_get(c, ptep + i) & mask;

		pvb_generic_ptep_modify_prot_commit(c, addr, ptep + i, (old & ~mask) | own,
						    (new & ~mask) | own);
		old = pvb_pte_advance(old, 1);
		new = pvb_pte_advance(new, 1);
		addr += PVB_PAGE_SIZE;
	}
	return 0;
}

int pvb_generic_set_new_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint64_t pte,
			     uint32_t nr)
{
	if (!pvb_ptes_valid(addr, ptep, nr))
		return -PVB_EINVAL;
	for (uint32_t i = 0; i < nr; i++)
		pvb_set(c, ptep + i, pvb_pte_advance(pte, i));
	return 0;
}

int pvb_generic_wrprotect_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint32_t nr)
{
	if (!pvb_ptes_valid(addr, ptep, nr))
		return -PVB_EINVAL;
	for (uint32_t i = 0; i < nr; i++, addr += PVB_PAGE_SIZE) {
		uint64_t old = pvb_generic_ptep_modify_prot_start(c, addr, ptep + i);

		if (pvb_pte_mapped(old) && pvb_pte_write(old))
			pvb_generic_ptep_modify_prot_commit(c, addr, ptep + i, old,
							    pvb_pte_wrprotect(old));
	}
	return 0;
}

int pvb_generic_clear_young_dirty_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
				       uint32_t nr, unsigned int flags)
{
	uint64_t clear, set;

	if (!pvb_ptes_valid(addr, ptep, nr))
		return -PVB_EINVAL;
	pvb_clean_masks(flags, &clear, &set);
	for (uint32_t i = 0; i < nr; i++, addr += PVB_PAGE_SIZE) {
		uint64_t pte = pvb_ptep_get(c, ptep + i);

		if (!pvb_pte_mapped(pte))
			continue;
#ifdef PVB_PTE_CONT
		if (pvb_pte_cont(pvb_read(c, ptep + i)))
			pvb_contpte_unfold(c, addr, ptep + i);
#endif
		/* An entry without P is not hardware's: nothing can change it meanwhile. */
		if (pvb_pte_present(pte))
			pvb_mask_ptes(c, ptep + i, clear, set, 1);
		else
			pvb_commit(c, ptep + i, pte, (pte & ~clear) | set);
	}
	return 0;
}

uint64_t pvb_generic_get_and_clear_full_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					     uint32_t nr)
{
	uint64_t first = 0;

	if (!pvb_ptes_valid(addr, ptep, nr))
		return 0;
	for (uint32_t i = 0; i < nr; i++, addr += PVB_PAGE_SIZE) {
		uint64_t pte;

#ifdef PVB_PTE_CONT
		if (pvb_pte_cont(pvb_read(c, ptep + i)))
			pvb_contpte_unfold(c, addr, ptep + i);
#endif
		pte = pvb_batched_get_and_clear_full_ptes(c, addr, ptep + i, 1);
		if (!i)
			first = pte;
		else if (pvb_pte_mapped(pte))
			first = pvb_pte_carry(first, pvb_pte_carried(first, pte));
	}
	return first;
}
