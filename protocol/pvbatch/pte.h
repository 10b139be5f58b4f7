/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: protocol - what a leaf PTE looks like, behind one compile-time interface.
 *
 * The format is that of the machine compiled for; PVB_PTE_WANT_ARM64 or
 * PVB_PTE_WANT_X86_64 chooses another (tests run the arm64 format on any machine). A
 * format defines:
 *
 *   PVB_PTE_FORMAT         enum pvb_pte_format
 *   PVB_PTE_P              present
 *   PVB_PTE_A, PVB_PTE_D   names of "young" and "dirty" in what pvb_pte_carried()
 *                          returns; in an entry dirty need not be one bit
 *   PVB_PTE_AD             both
 *   PVB_PTE_AD_ONES        those A and D bits of an entry that hardware sets to one
 *   PVB_PTE_PFN_MASK       the PFN field, whose lowest bit is bit PVB_PAGE_SHIFT
 *   pvb_pte_young(), pvb_pte_dirty(), pvb_pte_hw_mask(), pvb_pte_carry(),
 *   pvb_pte_fold(), pvb_pte_soft_mask()
 *
 * and shares the rest, below.
 */
#ifndef PVBATCH_PTE_H
#define PVBATCH_PTE_H

#include <pvbatch/abi.h>

#if defined(PVB_PTE_WANT_ARM64) || (defined(__aarch64__) && !defined(PVB_PTE_WANT_X86_64))
#include <pvbatch/pte-arm64.h>
#else
#include <pvbatch/pte-x86.h>
#endif

static inline bool pvb_pte_present(uint64_t pte)
{
	return pte & PVB_PTE_P;
}

static inline uint64_t pvb_pte_pfn(uint64_t pte)
{
	return (pte & PVB_PTE_PFN_MASK) >> PVB_PAGE_SHIFT;
}

/*
 * pvb_pte_advance() - @pte moved on by @pages pages in its PFN field (law 2).
 *
 * The other bits never change: an overflow wraps inside the PFN field. The host has
 * refused such a run of present entries before (PVB_ST_BAD_PFN).
 */
static inline uint64_t pvb_pte_advance(uint64_t pte, uint64_t pages)
{
	uint64_t pfn = pte + (pages << PVB_PAGE_SHIFT);

	return (pte & ~PVB_PTE_PFN_MASK) | (pfn & PVB_PTE_PFN_MASK);
}

#endif /* PVBATCH_PTE_H */
