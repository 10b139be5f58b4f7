// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest mm - huge entries of level 2. They are no leaf table's entries, so they do
 * not go through the queue: the guest writes them itself, under the same law.
 */
#include "internal.h"

bool pvb_change_huge_pmd(uint64_t *pmdp, uint64_t old, uint64_t new)
{
	uint64_t cur = pvb_load64(pmdp);

	do {
		if (pvb_merge_conflict(old, cur, 0))
			return false;
	} while (!pvb_cmpxchg64(pmdp, &cur, pvb_merge_commit(old, new, cur, 0)));
	return true;
}

int pvb_split_huge_pmd(struct pvb_mm *mm, struct pvb_cpu *c, uint64_t *pmdp, uint64_t addr)
{
	uint64_t *table;
	uint64_t gpa, pmd, pte;

	if (!mm->ops->alloc_table)
		return -PVB_EOPNOTSUPP;
	gpa = mm->ops->alloc_table(mm->ctx, &table);
	if (!gpa)
		return -PVB_ENOMEM;

	pmd = pvb_load64(pmdp);
	pte = pmd;
	if (pvb_pte_mapped(pmd)) {
		/*
		 * Break before make: inaccessible, out of every TLB, then the table. The
		 * exchange takes the last A and D that hardware can have set.
		 */
		pmd = pvb_xchg64(pmdp, pvb_pte_modify(pmd, pvb_prot(0)));
		pvb_flush_range(c, pvb_gva(addr & ~(PVB_PMD_SIZE - 1)), PVB_PTES_PER_TABLE, 0);
		pte = pvb_pte_unleaf(pmd);
	}
	for (uint32_t i = 0; i < PVB_PTES_PER_TABLE; i++)
		pvb_store64(table + i, pvb_pte_advance(pte, i));
	pvb_store64(pmdp, pvb_pte_of_table(gpa));
	return 0;
}
