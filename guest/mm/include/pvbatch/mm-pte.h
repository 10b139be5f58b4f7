/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: guest mm - what a PTE says to memory management: permissions, software bits,
 * entries that are not present. Two formats (mm-pte-x86.h, mm-pte-arm64.h) behind one
 * compile-time interface, next to protocol's pte.h, which knows A, D and the PFN.
 *
 * A format defines:
 *
 *   PVB_LEVELS_MAX, PVB_CONT_PTES (1: none), PVB_PTE_SOFTWARE (bits hardware ignores)
 *   PVB_ENT_SOFT_DIRTY                    the PVB_ENT_SOFT* of the soft-dirty bit
 *   pvb_prot()                            permissions as PTE bits
 *   pvb_pte_mapped(), pvb_pte_protnone(), pvb_pte_write(), pvb_pte_user()
 *   pvb_pte_mkyoung(), pvb_pte_mkold(), pvb_pte_mkdirty(), pvb_pte_mkclean()
 *   pvb_pte_mkwrite(), pvb_pte_wrprotect(), pvb_pte_modify()
 *   pvb_pte_soft_dirty(), _mksoft_dirty(), _clear_soft_dirty(), the same for uffd_wp
 *   pvb_pte_special(), pvb_pte_mkspecial(), pvb_pte_cont(), pvb_pte_mkcont(), _mknoncont()
 *   pvb_pte_leaf(), pvb_pte_mkleaf(), pvb_pte_unleaf(), pvb_pte_of_table()   upper levels
 *   pvb_pte_needs_flush()
 *   pvb_clean_masks()                     young, dirty or both as a PVB_OP_MASK
 *   pvb_arch_*                            which operations on runs it overrides (mm-ptes.h)
 *
 * All are pure. Names and meaning follow Linux's.
 */
#ifndef PVBATCH_MM_PTE_H
#define PVBATCH_MM_PTE_H

#include <pvbatch/pte.h>

/* Permissions, for pvb_prot(). None of them: a page that may not be accessed at all. */
#define PVB_PROT_READ 1U
#define PVB_PROT_WRITE 2U
#define PVB_PROT_EXEC 4U

/* What pvb_clear_young_dirty_ptes() clears. */
#define PVB_CLEAR_YOUNG 1U
#define PVB_CLEAR_DIRTY 2U

#ifdef PVB_PTE_DBM
#include <pvbatch/mm-pte-arm64.h>
#else
#include <pvbatch/mm-pte-x86.h>
#endif

#define PVB_PMD_SHIFT 21
#define PVB_PMD_SIZE (1ULL << PVB_PMD_SHIFT)

static inline bool pvb_pte_none(uint64_t pte)
{
	return !pte;
}

/* pvb_pte_make() - a clean, old entry of page @pfn with the bits of @prot. */
static inline uint64_t pvb_pte_make(uint64_t pfn, uint64_t prot)
{
	return (pfn << PVB_PAGE_SHIFT & PVB_PTE_PFN_MASK) | prot;
}

/* The index of @addr in a table of @level: 1 is a leaf table, as in x86's numbering. */
static inline uint32_t pvb_pte_index(uint64_t addr, unsigned int level)
{
	return addr >> (PVB_PAGE_SHIFT + 9 * (level - 1)) & (PVB_PTES_PER_TABLE - 1);
}

/*
 * Soft leaves: entries that are not mapped and not none. One layout for both formats: what
 * advances from entry to entry, the offset, is where the PFN is, so that runs of swap
 * slots are ranges to the queue; and the bits that hold A and D elsewhere are zero.
 */
#define PVB_SWP_SOFT_DIRTY (1ULL << 1)
#define PVB_SWP_UFFD_WP (1ULL << 2)
#define PVB_SWP_EXCLUSIVE (1ULL << 3)
#define PVB_SWP_OFFSET_BITS 36
#define PVB_SWP_TYPE_SHIFT 59

enum pvb_swp_type { /* types below are swap devices */
	PVB_SWP_MIGRATION_READ = 24,
	PVB_SWP_MIGRATION_READ_EXCLUSIVE = 25,
	PVB_SWP_MIGRATION_WRITE = 26,
	PVB_SWP_DEVICE_WRITE = 27, /* device-private memory */
	PVB_SWP_DEVICE_READ = 28,
	PVB_SWP_DEVICE_EXCLUSIVE = 29,
	PVB_SWP_HWPOISON = 30,
	PVB_SWP_MARKER = 31, /* no page at all: the offset is PVB_MARKER_* */
};

#define PVB_MARKER_UFFD_WP 1ULL
#define PVB_MARKER_POISONED 2ULL
#define PVB_MARKER_GUARD 4ULL

static inline uint64_t pvb_swp_make(unsigned int type, uint64_t offset)
{
	return (uint64_t)type << PVB_SWP_TYPE_SHIFT | (offset & ((1ULL << PVB_SWP_OFFSET_BITS) - 1))
							      << PVB_PAGE_SHIFT;
}

static inline unsigned int pvb_swp_type(uint64_t pte)
{
	return (unsigned int)(pte >> PVB_SWP_TYPE_SHIFT);
}

static inline uint64_t pvb_swp_offset(uint64_t pte)
{
	return pte >> PVB_PAGE_SHIFT & ((1ULL << PVB_SWP_OFFSET_BITS) - 1);
}

#endif /* PVBATCH_MM_PTE_H */
