/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: protocol - the A/D law (law 1), the only statement of it in code.
 *
 * The guest (guest-apply mode), the host (host-apply mode) and nothing else call
 * these; the oracle in tests/model states the law a second time, differently, to
 * check them. All are pure. Where a format keeps A and D is its own affair (pte.h); with
 * x86-64 a commit comes to new | (cur & ~old & (A | D)). docs/ad-law.md has the proof.
 */
#ifndef PVBATCH_MERGE_H
#define PVBATCH_MERGE_H

#include <pvbatch/pte.h>

/*
 * pvb_merge_carried() - A and D bits that hardware set after start returned @old.
 * @old: what start returned; @cur: the entry at the exchange.
 */
static inline uint64_t pvb_merge_carried(uint64_t old, uint64_t cur)
{
	return pvb_pte_carried(old, cur);
}

/*
 * pvb_merge_conflict() - has @cur moved from @old in anything but A, D and @soft?
 * Then the entry is left untouched and reported.
 */
static inline bool pvb_merge_conflict(uint64_t old, uint64_t cur, uint64_t soft)
{
	return (cur ^ old) & ~(pvb_pte_hw_mask(old) | soft);
}

/*
 * pvb_merge_commit() - what a commit stores, if there is no conflict.
 *
 * Bits that hardware set since start survive; bits that the guest cleared on
 * purpose (set in @old, clear in @new) stay cleared; @soft bits stay as they are.
 */
static inline uint64_t pvb_merge_commit(uint64_t old, uint64_t new, uint64_t cur, uint64_t soft)
{
	uint64_t merged = pvb_pte_carry(new, pvb_merge_carried(old, cur));

	return (merged & ~soft) | (cur & soft);
}

/* pvb_merge_mask() - what PVB_OP_MASK stores: clear @clear, then set @set. */
static inline uint64_t pvb_merge_mask(uint64_t cur, uint64_t clear, uint64_t set)
{
	return (cur & ~clear) | set;
}

#endif /* PVBATCH_MERGE_H */
