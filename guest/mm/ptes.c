// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest mm - the run operations, a run at a time: one entry in the queue where the
 * loop in generic.c makes many, or one pass of the guest's own.
 */
#include "internal.h"

uint64_t pvb_batched_modify_prot_start_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					    uint32_t nr)
{
	if (!pvb_ptes_valid(addr, ptep, nr))
		return 0;
	pvb_drain_run(c, ptep, nr);
	return pvb_start_ptes(ptep, nr);
}

int pvb_batched_modify_prot_commit_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					uint64_t old, uint64_t new, uint32_t nr, uint8_t soft)
{
	if (!pvb_ptes_valid(addr, ptep, nr))
		return -PVB_EINVAL;
	return pvb_commit_run(c, ptep, old, new, nr, soft);
}

int pvb_batched_set_new_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint64_t pte,
			     uint32_t nr)
{
	if (!pvb_ptes_valid(addr, ptep, nr))
		return -PVB_EINVAL;
	return pvb_set_ptes(c, ptep, pte, nr, 0);
}

/* How an operation has to treat an entry. */
enum kind {
	KIND_OTHER, /* maps nothing */
	KIND_SOFT, /* maps a page, but not for the hardware */
	KIND_PRESENT,
};

static enum kind kind_of(uint64_t pte)
{
	if (pvb_pte_present(pte))
		return KIND_PRESENT;
	return pvb_pte_mapped(pte) ? KIND_SOFT : KIND_OTHER;
}

/* How many entries from @ptep on, at most @max >= 1, are of the kind of the first? */
static uint32_t same_kind(struct pvb_cpu *c, const uint64_t *ptep, uint32_t max, enum kind *kind)
{
	uint32_t nr;

	*kind = kind_of(pvb_read(c, ptep));
	for (nr = 1; nr < max; nr++) {
		if (kind_of(pvb_read(c, ptep + nr)) != *kind)
			break;
	}
	return nr;
}

/* Clear and set bits of all mapped entries. @clear and @set touch no PFN. */
static void mask_mapped(struct pvb_cpu *c, uint64_t *ptep, uint32_t nr, uint64_t clear,
			uint64_t set)
{
	enum kind kind;
	uint32_t n;

	for (; nr; ptep += n, nr -= n) {
		n = same_kind(c, ptep, nr, &kind);
		if (kind == KIND_PRESENT)
			pvb_mask_ptes(c, ptep, clear, set, n);
		for (uint32_t i = 0; i < n && kind == KIND_SOFT; i++) {
			uint64_t old = pvb_read(c, ptep + i);

			pvb_commit(c, ptep + i, old, (old & ~clear) | set);
		}
	}
}

int pvb_batched_wrprotect_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint32_t nr)
{
	if (!pvb_ptes_valid(addr, ptep, nr))
		return -PVB_EINVAL;
#ifdef PVB_PTE_WRPROTECT_CLEARS
	mask_mapped(c, ptep, nr, PVB_PTE_WRPROTECT_CLEARS, 0);
#else
	/*
	 * Dirty moves to another bit, entry by entry: the template is neither young nor
	 * dirty, and the merge carries what each has (law 1).
	 */
	for (uint32_t n; nr; ptep += n, nr -= n) {
		uint64_t pte = pvb_read(c, ptep);
		uint64_t old = pvb_pte_without_ad(pte);

		n = 1;
		if (!pvb_pte_mapped(pte) || !pvb_pte_write(pte))
			continue;
		/* Whole blocks stay blocks, and their entries differ from plain ones. */
		while (n < nr &&
		       pvb_pte_without_ad(pvb_read(c, ptep + n)) == pvb_pte_advance(old, n))
			n++;
		pvb_commit_run(c, ptep, old, pvb_pte_wrprotect(old), n, 0);
	}
#endif
	return 0;
}

int pvb_batched_clear_young_dirty_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
				       uint32_t nr, unsigned int flags)
{
	uint64_t clear, set;

	if (!pvb_ptes_valid(addr, ptep, nr))
		return -PVB_EINVAL;
	pvb_clean_masks(flags, &clear, &set);
	mask_mapped(c, ptep, nr, clear, set);
	return 0;
}

static bool any_bit(const uint64_t *map, uint32_t first, uint32_t nr)
{
	for (uint32_t i = first; i < first + nr; i++) {
		if (map[i / 64] >> i % 64 & 1)
			return true;
	}
	return false;
}

uint64_t pvb_batched_get_and_clear_full_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					     uint32_t nr)
{
	uint32_t slot = pvb_pte_index(addr, 1);
	struct pvb_ad_map map;
	uint64_t pte;
	enum kind kind;

	if (!pvb_ptes_valid(addr, ptep, nr))
		return 0;
	pte = pvb_pte_mknoncont(pvb_ptep_get(c, ptep));
	pvb_collect_begin(c, &map);
	for (uint32_t i = 0, n; i < nr; i += n) {
		n = same_kind(c, ptep + i, nr - i, &kind);
		if (kind == KIND_PRESENT) {
			pvb_mask_ptes(c, ptep + i, ~0ULL, 0, n);
			continue;
		}
		/* Not for the hardware: what is read is what is there. */
		for (uint32_t k = i; k < i + n && kind == KIND_SOFT; k++) {
			uint64_t soft = pvb_read(c, ptep + k);

			pte = pvb_pte_carry(pte, pvb_pte_carried(pte, soft));
		}
		pvb_set_ptes(c, ptep + i, 0, n, PVB_ENT_FIXED);
	}
	pvb_collect_end(c, PVB_FLUSH_NONE, 0, pvb_gva(0), 0);
	if (any_bit(map.young, slot, nr))
		pte = pvb_pte_mkyoung(pte);
	if (any_bit(map.dirty, slot, nr))
		pte = pvb_pte_mkdirty(pte);
	return pte;
}
