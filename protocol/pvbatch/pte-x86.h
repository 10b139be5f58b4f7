/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: protocol - the x86-64 leaf PTE. Include pte.h, which says what is what.
 *
 * Source: Intel SDM volume 3, chapter 4 (table 4-20); AMD APM volume 2, section 5.4.
 */
#ifndef PVBATCH_PTE_X86_H
#define PVBATCH_PTE_X86_H

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
#define PVB_PTE_AD_ONES PVB_PTE_AD
#define PVB_PTE_PFN_MASK 0x000ffffffffff000ULL /* bits 51..12 */

static inline bool pvb_pte_young(uint64_t pte)
{
	return pte & PVB_PTE_A;
}

static inline bool pvb_pte_dirty(uint64_t pte)
{
	return pte & PVB_PTE_D;
}

/* pvb_pte_hw_mask() - bits that hardware may have changed in an entry that was @old. */
static inline uint64_t pvb_pte_hw_mask(uint64_t old)
{
	(void)old;
	return PVB_PTE_AD;
}

/* pvb_pte_carried() - the A and D that @cur has and @old had not. */
static inline uint64_t pvb_pte_carried(uint64_t old, uint64_t cur)
{
	return cur & ~old & PVB_PTE_AD;
}

/* pvb_pte_carry() - @pte with A and D as in @ad (of PVB_PTE_AD) added. */
static inline uint64_t pvb_pte_carry(uint64_t pte, uint64_t ad)
{
	return pte | ad;
}

/* pvb_pte_fold() - @pte with the A and D of @other added: a template for both (law 2). */
static inline uint64_t pvb_pte_fold(uint64_t pte, uint64_t other)
{
	return pte | (other & PVB_PTE_AD);
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

#endif /* PVBATCH_PTE_X86_H */
