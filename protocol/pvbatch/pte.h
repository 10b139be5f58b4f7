/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: protocol - what a leaf PTE looks like, behind one compile-time interface.
 *
 * A format defines: PVB_PTE_FORMAT, PVB_PTE_P, PVB_PTE_A, PVB_PTE_D, PVB_PTE_AD,
 * PVB_PTE_PFN_MASK, pvb_pte_soft_mask(). Source for x86-64: Intel SDM volume 3,
 * chapter 4 (table 4-20) and AMD APM volume 2, section 5.4.
 */
#ifndef PVBATCH_PTE_H
#define PVBATCH_PTE_H

#include <pvbatch/abi.h>

#define PVB_PTE_FORMAT PVB_PTE_X86_64

#define PVB_PTE_P (1ULL << 0) /* present */
#define PVB_PTE_W (1ULL << 1) /* writable */
#define PVB_PTE_U (1ULL << 2) /* user */
#define PVB_PTE_PWT (1ULL << 3)
#define PVB_PTE_PCD (1ULL << 4)
#define PVB_PTE_A (1ULL << 5) /* accessed: set by hardware */
#define PVB_PTE_D (1ULL << 6) /* dirty: set by hardware */
#define PVB_PTE_PAT (1ULL << 7)
#define PVB_PTE_G (1ULL << 8) /* global */
#define PVB_PTE_SOFT0 (1ULL << 9)
#define PVB_PTE_SOFT1 (1ULL << 10)
#define PVB_PTE_SOFT2 (1ULL << 11)
#define PVB_PTE_SOFT3 (1ULL << 58)
#define PVB_PTE_NX (1ULL << 63)

#define PVB_PTE_AD (PVB_PTE_A | PVB_PTE_D)
#define PVB_PTE_PFN_MASK 0x000ffffffffff000ULL /* bits 51..12 */

static inline bool pvb_pte_present(uint64_t pte)
{
	return pte & PVB_PTE_P;
}

static inline bool pvb_pte_young(uint64_t pte)
{
	return pte & PVB_PTE_A;
}

static inline bool pvb_pte_dirty(uint64_t pte)
{
	return pte & PVB_PTE_D;
}

static inline uint64_t pvb_pte_pfn(uint64_t pte)
{
	return (pte & PVB_PTE_PFN_MASK) >> PVB_PAGE_SHIFT;
}

/*
 * pvb_pte_advance() - @pte moved on by @pages pages in its PFN field (law 2).
 *
 * The flags, bit 63..52 and 11..0, never change: an overflow wraps inside the PFN
 * field. The host has refused such a range before (pvb_pte_run_pfn_ok()).
 */
static inline uint64_t pvb_pte_advance(uint64_t pte, uint64_t pages)
{
	uint64_t pfn = pte + (pages << PVB_PAGE_SHIFT);

	return (pte & ~PVB_PTE_PFN_MASK) | (pfn & PVB_PTE_PFN_MASK);
}

/*
 * pvb_pte_run_pfn_ok() - do all PFNs of a run of @nr pages starting with @pte fit
 * into @phys_bits bits of physical address (12..52)?
 */
static inline bool pvb_pte_run_pfn_ok(uint64_t pte, uint32_t nr, unsigned int phys_bits)
{
	return pvb_pte_pfn(pte) + (nr - 1) < 1ULL << (phys_bits - PVB_PAGE_SHIFT);
}

/* pvb_pte_soft_mask() - the PTE bits that the PVB_ENT_SOFT* in @flags stand for. */
static inline uint64_t pvb_pte_soft_mask(uint8_t flags)
{
	uint64_t mask = 0;

	if (flags & PVB_ENT_SOFT0)
		mask |= PVB_PTE_SOFT0;
	if (flags & PVB_ENT_SOFT1)
		mask |= PVB_PTE_SOFT1;
	if (flags & PVB_ENT_SOFT2)
		mask |= PVB_PTE_SOFT2;
	if (flags & PVB_ENT_SOFT3)
		mask |= PVB_PTE_SOFT3;
	return mask;
}

#endif /* PVBATCH_PTE_H */
