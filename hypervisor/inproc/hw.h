/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: host, in-process backend - what hardware makes of one page-table entry, in the
 * PTE format compiled for. walker.c has the walk and the TLB.
 */
#ifndef PVB_INPROC_HW_H
#define PVB_INPROC_HW_H

#include "inproc.h"

#ifdef PVB_PTE_DBM /* arm64, with hardware management of the access flag and dirty state */

#define HW_BLOCK 16U

static inline bool hw_is_block(uint64_t pte)
{
	return (pte & (PVB_PTE_P | PVB_PTE_CONT)) == (PVB_PTE_P | PVB_PTE_CONT);
}

static inline uint64_t hw_table(uint64_t gpa)
{
	return gpa | PVB_PTE_P | PVB_PTE_TYPE_PAGE;
}

static inline bool hw_is_leaf(uint64_t pte, int level)
{
	return level == 1 || !(pte & PVB_PTE_TYPE_PAGE);
}

static inline bool hw_writable(uint64_t pte, bool leaf)
{
	return !leaf || (pte & PVB_PTE_DBM) || !(pte & PVB_PTE_RDONLY);
}

/* An access to what @pte maps, or passes on to: the entry after it. */
static inline uint64_t hw_touched(uint64_t pte, bool write, bool leaf)
{
	if (!leaf)
		return pte;
	return (pte | PVB_PTE_A) & ~(write ? PVB_PTE_RDONLY : 0);
}

/*
 * The bits of a block of contiguous entries may be set in any of them; @n chooses. Of
 * several entries of a block that are no longer alike, @slot itself is as good as any.
 */
static inline uint64_t *hw_marked_slot(uint64_t *slot, uint64_t pte, uint64_t n)
{
	uintptr_t block = (uintptr_t)slot & ~(HW_BLOCK * sizeof(*slot) - 1);
	uint64_t *other = (uint64_t *)block + n % HW_BLOCK;
	uint64_t mask = PVB_PTE_P | PVB_PTE_CONT | PVB_PTE_DBM;

	if (!hw_is_block(pte) || ((__atomic_load_n(other, __ATOMIC_ACQUIRE) ^ pte) & mask))
		return slot;
	return other;
}

#else /* x86-64 */

#define HW_BLOCK 1U

static inline bool hw_is_block(uint64_t pte)
{
	(void)pte;
	return false;
}

#define HW_PSE PVB_PTE_PAT

static inline uint64_t hw_table(uint64_t gpa)
{
	return gpa | PVB_PTE_P | PVB_PTE_W | PVB_PTE_U;
}

static inline bool hw_is_leaf(uint64_t pte, int level)
{
	return level == 1 || (pte & HW_PSE);
}

static inline bool hw_writable(uint64_t pte, bool leaf)
{
	(void)leaf;
	return pte & PVB_PTE_W;
}

/* An access to what @pte maps, or passes on to: the entry after it. */
static inline uint64_t hw_touched(uint64_t pte, bool write, bool leaf)
{
	return pte | PVB_PTE_A | (write && leaf ? PVB_PTE_D : 0);
}

static inline uint64_t *hw_marked_slot(uint64_t *slot, uint64_t pte, uint64_t n)
{
	(void)pte;
	(void)n;
	return slot;
}

#endif

#endif /* PVB_INPROC_HW_H */
