/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: Linux guest on Xen PV - the helpers for runs of entries that linux/pgtable.h lets
 * an architecture override. Included by asm/pgtable.h. Where Xen does not queue they do
 * what the generic ones do.
 */
#ifndef _ASM_X86_PVBATCH_XEN_PTES_H
#define _ASM_X86_PVBATCH_XEN_PTES_H

#if defined(CONFIG_PVBATCH_GUEST) && defined(CONFIG_XEN_PV)

static inline pte_t xen_pvbatch_take(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
				     int full)
{
	if (xen_pvbatch_queues() && !full) {
		pte_t pte = xen_pvbatch_get_and_clear(ptep);

		if (pte.pte)
			return pte;
	}
	return ptep_get_and_clear_full(mm, addr, ptep, full);
}

#define get_and_clear_full_ptes get_and_clear_full_ptes
static inline pte_t get_and_clear_full_ptes(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
					    unsigned int nr, int full)
{
	pte_t pte = xen_pvbatch_take(mm, addr, ptep, full), next;

	while (--nr) {
		ptep++;
		addr += PAGE_SIZE;
		next = xen_pvbatch_take(mm, addr, ptep, full);
		if (pte_dirty(next))
			pte = pte_mkdirty(pte);
		if (pte_young(next))
			pte = pte_mkyoung(pte);
	}
	return pte;
}

#define clear_full_ptes clear_full_ptes
static inline void clear_full_ptes(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
				   unsigned int nr, int full)
{
	if (xen_pvbatch_queues() && !full && xen_pvbatch_clear(ptep, nr))
		return;
	for (;;) {
		ptep_get_and_clear_full(mm, addr, ptep, full);
		if (--nr == 0)
			break;
		ptep++;
		addr += PAGE_SIZE;
	}
}

#endif /* CONFIG_PVBATCH_GUEST && CONFIG_XEN_PV */

#endif /* _ASM_X86_PVBATCH_XEN_PTES_H */
