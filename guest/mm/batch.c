// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Stage: guest mm - which entries go together: consecutive pages of one folio, alike. */
#include "internal.h"

uint32_t pvb_folio_pte_batch(struct pvb_cpu *c, const struct pvb_folio *folio, const uint64_t *ptep,
			     uint64_t pte, uint32_t max, unsigned int flags)
{
	uint64_t last = folio->pfn + folio->nr;
	uint64_t pfn = pvb_pte_pfn(pte);
	uint64_t ignored = flags & PVB_FPB_IGNORE_SOFT_DIRTY ? PVB_PTE_SOFT_DIRTY : 0;
	bool dirty = pvb_pte_dirty(pte);
	uint64_t expected;
	uint32_t nr;

	if (pfn < folio->pfn || pfn >= last)
		return 1;
	if (max > last - pfn)
		max = (uint32_t)(last - pfn);
	if (flags & PVB_FPB_IGNORE_WRITE)
		pte = pvb_pte_wrprotect(pte);
	expected = pvb_pte_without_ad(pvb_pte_mknoncont(pte)) & ~ignored;
	for (nr = 1; nr < max; nr++) {
		uint64_t cur = pvb_ptep_get(c, ptep + nr);

		if (!(flags & PVB_FPB_IGNORE_DIRTY) && pvb_pte_dirty(cur) != dirty)
			break;
		if (flags & PVB_FPB_IGNORE_WRITE)
			cur = pvb_pte_wrprotect(cur);
		expected += PVB_PAGE_SIZE;
		if ((pvb_pte_without_ad(cur) & ~ignored) != expected)
			break;
	}
	return nr;
}
