// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host engine, 3 of 5: apply - the page-table entries change here.
 *
 * Before: validate.c and table.c. After: flush.c. exchange() is the only place on the
 * host where a guest's PTE is written, with one 64-bit compare-and-exchange (law 1);
 * what is written is decided by merge.h. Meanwhile other vCPUs' hardware sets A and D
 * in the same entries, and a hostile guest may write anything to them: a failed
 * exchange looks at the entry anew, and only so many times (law 7).
 */
#include "stages.h"

/*
 * Exchanges tried on one PTE. Hardware can make a few fail: it sets A once and D once.
 * More is a guest at war with itself; it gets PVB_ST_RETRY instead of a host CPU.
 */
#define PVB_TRIES 16

/* exchange() - write @val to @pte if it still is *@cur; else load *@cur, return false. */
static __always_inline bool exchange(uint64_t *pte, uint64_t *cur, uint64_t val)
{
	return likely(pvb_cmpxchg64(pte, cur, val));
}

/* step() - what to store in place of @cur, or why nothing is to be stored. */
static __always_inline enum pvb_status step(enum pvb_op op, uint64_t old, uint64_t new,
					    uint64_t soft, uint64_t cur, uint64_t *val)
{
	switch (op) {
	case PVB_OP_COMMIT:
		if (unlikely(pvb_merge_conflict(old, cur, soft)))
			return PVB_ST_CONFLICT;
		*val = pvb_merge_commit(old, new, cur, soft);
		return PVB_ST_OK;
	case PVB_OP_MASK:
		if (unlikely(!pvb_pte_present(cur)))
			return PVB_ST_NOTPRESENT;
		*val = pvb_merge_mask(cur, old, new);
		return PVB_ST_OK;
	default: /* SET */
		*val = new;
		return PVB_ST_OK;
	}
}

/* note_carried() - count a PTE whose hardware-set bits a commit has carried. */
static void note_carried(struct pvb_seen *seen, uint64_t carried)
{
	seen->carried++;
	seen->carried_a += !!(carried & PVB_PTE_A);
	seen->carried_d += !!(carried & PVB_PTE_D);
}

/*
 * run() - the loop over PTEs [*@at, @end) of @entry, once for each operation, so that
 * the compiler sees @op, @advance and @soft as constants where they are.
 */
static __always_inline enum pvb_status run(uint64_t *ptes, const struct pvb_entry *entry,
					   uint32_t *at, uint32_t end, enum pvb_op op, bool advance,
					   uint64_t soft, struct pvb_seen *seen)
{
	enum pvb_status status = PVB_ST_OK;
	uint64_t young = 0, dirty = 0, old = entry->old, new = entry->new;
	uint32_t i;

	for (i = *at; i < end; i++) {
		uint64_t cur = pvb_load(&ptes[i]), val;
		unsigned int tries = PVB_TRIES;

		if (advance) {
			old = pvb_pte_advance(entry->old, i);
			new = pvb_pte_advance(entry->new, i);
		}
		do {
			status = tries-- ? step(op, old, new, soft, cur, &val) : PVB_ST_RETRY;
			if (unlikely(status != PVB_ST_OK))
				goto out;
		} while (!exchange(&ptes[i], &cur, val));

		young |= (pvb_pte_young(cur) ? 1ULL : 0) << (i % PVB_PIECE);
		dirty |= (pvb_pte_dirty(cur) ? 1ULL : 0) << (i % PVB_PIECE);
		if (op == PVB_OP_COMMIT && unlikely(pvb_merge_carried(old, cur)))
			note_carried(seen, pvb_merge_carried(old, cur));
	}
out:
	*at = i;
	seen->young = young;
	seen->dirty = dirty;
	return status;
}

/*
 * pvb_apply() - apply PTEs *@at to @end - 1 of @entry, which has been validated and
 * whose table is mapped. @end is at most the next multiple of PVB_PIECE, except for
 * PVB_OP_CHANGED, where the guest has done the work.
 *
 * Moves *@at to the first PTE that is not applied, and leaves what was young and dirty
 * in work->seen. Returns PVB_ST_OK, or why PTE *@at is untouched: PVB_ST_CONFLICT,
 * PVB_ST_NOTPRESENT or PVB_ST_RETRY.
 */
enum pvb_status pvb_apply(struct pvb_work *work, const struct pvb_entry *entry, uint32_t *at,
			  uint32_t end)
{
	uint64_t *ptes = work->ptes + (entry->pte_gpa & (PVB_PAGE_SIZE - 1)) / sizeof(uint64_t);
	struct pvb_seen *seen = &work->seen;
	uint64_t soft;

	switch (entry->op) {
	case PVB_OP_SET:
		if (entry->flags & PVB_ENT_FIXED)
			return run(ptes, entry, at, end, PVB_OP_SET, false, 0, seen);
		return run(ptes, entry, at, end, PVB_OP_SET, true, 0, seen);
	case PVB_OP_COMMIT:
		soft = pvb_pte_soft_mask(entry->flags);
		if (soft)
			return run(ptes, entry, at, end, PVB_OP_COMMIT, true, soft, seen);
		return run(ptes, entry, at, end, PVB_OP_COMMIT, true, 0, seen);
	case PVB_OP_MASK:
		return run(ptes, entry, at, end, PVB_OP_MASK, false, 0, seen);
	default: /* CHANGED */
		*at = end;
		return PVB_ST_OK;
	}
}
