/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: protocol - the arm64 leaf (page) descriptor: 4 KiB granule, 48-bit addresses,
 * hardware management of the access flag and of dirty state (FEAT_HAFDBS), contiguous
 * blocks of 16. Include pte.h, which says what is what.
 *
 * Source: Arm ARM (DDI 0487), D8.3 "translation table descriptor formats", D8.4 and
 * D8.5 "hardware management of the dirty state".
 *
 * Hardware sets the access flag, and makes an entry dirty by *clearing* AP[2] where DBM
 * says that the page is writable. So dirty is a state, not a bit: DBM with AP[2] clear,
 * or the software bit that remembers it once the entry is no longer writable. A write
 * that hardware saw since start is carried as AP[2] clear if the entry stays writable,
 * else in the software bit.
 */
#ifndef PVBATCH_PTE_ARM64_H
#define PVBATCH_PTE_ARM64_H

#include <pvbatch/abi.h>

#define PVB_PTE_FORMAT PVB_PTE_ARM64_4K

#define PVB_PTE_P (1ULL << 0) /* valid */
#define PVB_PTE_TYPE_PAGE (1ULL << 1) /* with P: a page descriptor at level 3 */
#define PVB_PTE_ATTR(i) ((uint64_t)(i) << 2) /* index into MAIR, 0..7 */
#define PVB_PTE_U (1ULL << 6) /* AP[1]: user */
#define PVB_PTE_RDONLY (1ULL << 7) /* AP[2]: cleared by hardware on a write if DBM */
#define PVB_PTE_SHARED (3ULL << 8) /* inner shareable */
#define PVB_PTE_A (1ULL << 10) /* AF: set by hardware */
#define PVB_PTE_NG (1ULL << 11) /* not global */
#define PVB_PTE_DBM (1ULL << 51) /* dirty bit modifier: writable */
#define PVB_PTE_CONT (1ULL << 52) /* one of 16 aligned, contiguous entries */
#define PVB_PTE_PXN (1ULL << 53)
#define PVB_PTE_UXN (1ULL << 54)
#define PVB_PTE_D (1ULL << 55) /* software: was dirty, in an entry no longer writable */
#define PVB_PTE_SOFT0 (1ULL << 56)
#define PVB_PTE_SOFT1 (1ULL << 57)
#define PVB_PTE_SOFT2 (1ULL << 58)
#define PVB_PTE_SOFT3 (1ULL << 63) /* ignored by hardware without PBHA */

#define PVB_PTE_AD (PVB_PTE_A | PVB_PTE_D)
#define PVB_PTE_AD_ONES PVB_PTE_A
#define PVB_PTE_PFN_MASK 0x0000fffffffff000ULL /* bits 47..12 */

static inline bool pvb_pte_young(uint64_t pte)
{
	return pte & PVB_PTE_A;
}

static inline bool pvb_pte_dirty(uint64_t pte)
{
	return (pte & PVB_PTE_D) || (pte & (PVB_PTE_DBM | PVB_PTE_RDONLY)) == PVB_PTE_DBM;
}

/*
 * pvb_pte_hw_mask() - bits in which an entry that was @old may differ: what hardware
 * changes, and the software form of dirty, which differs inside a run.
 */
static inline uint64_t pvb_pte_hw_mask(uint64_t old)
{
	return PVB_PTE_AD | (old & PVB_PTE_DBM ? PVB_PTE_RDONLY : 0);
}

/* pvb_pte_carried() - the A and D that @cur has and @old had not. */
static inline uint64_t pvb_pte_carried(uint64_t old, uint64_t cur)
{
	uint64_t dirty = pvb_pte_dirty(cur) && !pvb_pte_dirty(old) ? PVB_PTE_D : 0;

	return (cur & ~old & PVB_PTE_A) | dirty;
}

/* pvb_pte_carry() - @pte with A and D as in @ad (of PVB_PTE_AD) added. */
static inline uint64_t pvb_pte_carry(uint64_t pte, uint64_t ad)
{
	if ((ad & PVB_PTE_D) && (pte & PVB_PTE_DBM)) {
		pte &= ~PVB_PTE_RDONLY;
		ad &= ~PVB_PTE_D;
	}
	return pte | ad;
}

/* pvb_pte_fold() - @pte with the A and D of @other added: a template for both (law 2). */
static inline uint64_t pvb_pte_fold(uint64_t pte, uint64_t other)
{
	return pvb_pte_carry(pte, pvb_pte_carried(pte, other));
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

#endif /* PVBATCH_PTE_ARM64_H */
