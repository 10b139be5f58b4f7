/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: Linux guest on Xen PV - what the page-table code calls to have changes of leaf
 * entries queued as mmu_updates instead of trapping one by one. Behind one static key.
 * Included early by pgtable.h; the helpers for runs are in pvbatch_xen_ptes.h. docs/xen.md
 * says why no A or D bit is lost.
 */
#ifndef _ASM_X86_PVBATCH_XEN_H
#define _ASM_X86_PVBATCH_XEN_H

#ifndef __ASSEMBLY__

#include <linux/jump_label.h>
#include <asm/pgtable_types.h>

#if defined(CONFIG_PVBATCH_GUEST) && defined(CONFIG_XEN_PV)

DECLARE_STATIC_KEY_FALSE(xen_pvbatch);

static __always_inline bool xen_pvbatch_queues(void)
{
	return static_branch_unlikely(&xen_pvbatch);
}

/*
 * Each does the whole run, queued if the CPU is in lazy MMU mode, and returns true; or does
 * nothing and returns false, if the table is none that Xen guards. Under the PTE lock.
 */
bool xen_pvbatch_wrprotect(pte_t *ptep, unsigned int nr);
bool xen_pvbatch_clear(pte_t *ptep, unsigned int nr);
bool xen_pvbatch_clean(pte_t *ptep, unsigned int nr, pteval_t clear);
bool xen_pvbatch_commit(pte_t *ptep, pte_t old, pte_t new);
/* One entry, if that can be exact without a look at the moment of the exchange. */
bool xen_pvbatch_clear_young(pte_t *ptep, int *young);
/* The same; returns what it was, which is present, or 0 if nothing has been done. */
pte_t xen_pvbatch_get_and_clear(pte_t *ptep);
/* pte_modify() if both are xen_pvbatch_raw(). */
pte_t xen_pvbatch_modify(pte_t pte, pgprot_t prot);

#else /* CONFIG_PVBATCH_GUEST && CONFIG_XEN_PV */

static __always_inline bool xen_pvbatch_queues(void)
{
	return false;
}

static inline bool xen_pvbatch_wrprotect(pte_t *ptep, unsigned int nr)
{
	return false;
}

static inline bool xen_pvbatch_clean(pte_t *ptep, unsigned int nr, pteval_t clear)
{
	return false;
}

static inline bool xen_pvbatch_commit(pte_t *ptep, pte_t old, pte_t new)
{
	return false;
}

static inline bool xen_pvbatch_clear_young(pte_t *ptep, int *young)
{
	return false;
}

static inline pte_t xen_pvbatch_modify(pte_t pte, pgprot_t prot)
{
	return pte;
}

#endif /* CONFIG_PVBATCH_GUEST && CONFIG_XEN_PV */

/*
 * Are @a and @b both present? Then what they hold of frames can be compared and kept as it
 * is, in Xen's numbers, without a look into the tables that translate them.
 */
static __always_inline bool xen_pvbatch_raw(pteval_t a, pteval_t b)
{
	return xen_pvbatch_queues() && (a & b & _PAGE_PRESENT);
}

#endif /* !__ASSEMBLY__ */

#endif /* _ASM_X86_PVBATCH_XEN_H */
