/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: guest mm - contiguous blocks of PTEs (arm64): 16 aligned entries that map 16
 * aligned, consecutive pages alike may say so, and then are one TLB entry. Hardware sets A
 * and D in any entry of a block for an access to any page of it. Included by mm-ptes.h.
 *
 * A run may begin, end or lie inside blocks, cover several, and mix blocks with plain
 * entries. An operation that covers a block keeps it; one that covers a part unfolds it
 * first, and then all 16 entries have the block's A and D, since it is not known whose
 * they were.
 */
#ifndef PVBATCH_MM_CONTPTE_H
#define PVBATCH_MM_CONTPTE_H

#include <pvbatch/guest.h>

/* pvb_contpte_ptep_get() - @pte, which is *@ptep, with its block's A and D, unfolded. */
uint64_t pvb_contpte_ptep_get(struct pvb_cpu *c, const uint64_t *ptep, uint64_t pte);

/*
 * pvb_contpte_unfold() - turn the block around @ptep into plain entries. Break before
 * make: the entries are cleared, the range is flushed, then they are set again.
 */
void pvb_contpte_unfold(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep);

uint64_t pvb_contpte_modify_prot_start_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					    uint32_t nr);
int pvb_contpte_modify_prot_commit_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					uint64_t old, uint64_t new, uint32_t nr, uint8_t soft);
int pvb_contpte_set_new_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint64_t pte,
			     uint32_t nr);
int pvb_contpte_wrprotect_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint32_t nr);
int pvb_contpte_clear_young_dirty_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
				       uint32_t nr, unsigned int flags);
uint64_t pvb_contpte_get_and_clear_full_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					     uint32_t nr);

#endif /* PVBATCH_MM_CONTPTE_H */
