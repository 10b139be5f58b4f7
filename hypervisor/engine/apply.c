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

/* put() - take one PTE through step() and exchange(); @seen_as: what was replaced. */
static __always_inline enum pvb_status put(uint64_t *pte, enum pvb_op op, uint64_t old,
					   uint64_t new, uint64_t soft, uint64_t *seen_as)
{
	unsigned int tries = PVB_TRIES;
	uint64_t cur = pvb_load(pte), val = 0;
	enum pvb_status status;

	do {
		status = likely(tries--) ? step(op, old, new, soft, cur, &val) : PVB_ST_RETRY;
		if (unlikely(status != PVB_ST_OK))
			return status;
	} while (!exchange(pte, &cur, val));
	*seen_as = cur;
	return PVB_ST_OK;
}

/*
 * run() - the loop over PTEs [*@at, @end) of @entry, once for each operation, so that
 * the compiler sees @op, @advance, @soft and @result as constants where they are.
 * @result: note what was young and dirty.
 */
static __always_inline enum pvb_status run(uint64_t *ptes, const struct pvb_entry *entry,
					   uint32_t *at, uint32_t end, enum pvb_op op, bool advance,
					   uint64_t soft, bool result, struct pvb_seen *seen)
{
	uint64_t old = advance ? pvb_pte_advance(entry->old, *at) : entry->old;
	uint64_t new = advance ? pvb_pte_advance(entry->new, *at) : entry->new;
	uint64_t young = 0, dirty = 0, cur = 0;
	enum pvb_status status = PVB_ST_OK;
	uint32_t i;

	for (i = *at; i < end; i++) {
		status = put(&ptes[i], op, old, new, soft, &cur);
		if (unlikely(status != PVB_ST_OK))
			break;
		if (result) {
			young |= (pvb_pte_young(cur) ? 1ULL : 0) << (i % PVB_PIECE);
			dirty |= (pvb_pte_dirty(cur) ? 1ULL : 0) << (i % PVB_PIECE);
		}
		if (op == PVB_OP_COMMIT && unlikely(pvb_merge_carried(old, cur)))
			note_carried(seen, pvb_merge_carried(old, cur));
		if (advance) { /* no carry out of the PFN field: before_wrap() */
			old += PVB_PAGE_SIZE;
			new += PVB_PAGE_SIZE;
		}
	}
	*at = i;
	seen->young = young;
	seen->dirty = dirty;
	return status;
}

/*
 * before_wrap() - @end, or where the PFN field of @pte + PTE index wraps before it. For
 * present templates it never does (validate.c); one that is not present may hold anything.
 */
static uint32_t before_wrap(uint64_t pte, uint32_t at, uint32_t end)
{
	uint64_t last = PVB_PTE_PFN_MASK >> PVB_PAGE_SHIFT;
	uint64_t room = last - pvb_pte_pfn(pvb_pte_advance(pte, at)) + 1;

	return room < end - at ? at + (uint32_t)room : end;
}

/*
 * pvb_apply() - apply PTEs from *@at on, to @end - 1 at most, of @entry, which has been
 * validated and whose table is mapped. @end is at most the next multiple of PVB_PIECE,
 * except for PVB_OP_CHANGED, where the guest has done the work.
 *
 * Moves *@at to the first PTE that is not applied, and leaves what was young and dirty
 * in work->seen if the entry wants it. Returns PVB_ST_OK (then at least one PTE was
 * applied), or why PTE *@at is untouched: PVB_ST_CONFLICT, PVB_ST_NOTPRESENT or
 * PVB_ST_RETRY.
 */
enum pvb_status pvb_apply(struct pvb_work *work, const struct pvb_entry *entry, uint32_t *at,
			  uint32_t end)
{
	uint64_t *ptes = work->ptes;
	bool result = entry->flags & PVB_ENT_RESULT;
	struct pvb_seen *seen = &work->seen;
	uint64_t soft;

	if (ptes)
		ptes += pvb_entry_slot(entry);
	switch (entry->op) {
	case PVB_OP_SET:
		if (entry->flags & PVB_ENT_FIXED)
			return run(ptes, entry, at, end, PVB_OP_SET, false, 0, result, seen);
		end = before_wrap(entry->new, *at, end);
		return run(ptes, entry, at, end, PVB_OP_SET, true, 0, result, seen);
	case PVB_OP_COMMIT:
		soft = pvb_pte_soft_mask(entry->flags);
		end = before_wrap(entry->old, *at, before_wrap(entry->new, *at, end));
		if (soft || result)
			return run(ptes, entry, at, end, PVB_OP_COMMIT, true, soft, result, seen);
		return run(ptes, entry, at, end, PVB_OP_COMMIT, true, 0, false, seen);
	case PVB_OP_MASK:
		return run(ptes, entry, at, end, PVB_OP_MASK, false, 0, result, seen);
	default: /* CHANGED */
		*at = end;
		return PVB_ST_OK;
	}
}

/*
 * pvb_apply_singles() - apply entries @first to @first + @nr - 1 of the chunk, which are
 * good and all of work->shape, a single one, up to the first one that is in another table
 * than the one that is mapped, or that does not come out PVB_ST_OK. That one is untouched.
 *
 * Returns how many were applied. The loop holds nothing but what a PTE needs: entries
 * were judged before it and are answered after it, as a locked instruction stalls what
 * is mixed with it.
 */
uint32_t pvb_apply_singles(struct pvb_work *work, uint32_t first, uint32_t nr)
{
	const struct pvb_entry *entry = &work->vcpu->chunk[first];
	uint64_t table = pvb_gpa_raw(work->table), next = entry->pte_gpa, cur = 0;
	const enum pvb_op op = work->shape.op;
	const struct pvb_entry *run = entry; /* of adjacent PTEs, up to @entry */
	uint64_t *ptes = work->ptes;
	uint32_t i;

	for (i = 0; i < nr; i++, entry++) {
		if (unlikely(pvb_gpa_raw(pvb_entry_table(entry)) != table))
			break;
		if (unlikely(put(&ptes[pvb_entry_slot(entry)], op, entry->old, entry->new, 0,
				 &cur) != PVB_ST_OK))
			break;
		if (op == PVB_OP_COMMIT && unlikely(pvb_merge_carried(entry->old, cur)))
			note_carried(&work->seen, pvb_merge_carried(entry->old, cur));
		if (unlikely(entry->pte_gpa != next)) {
			pvb_table_changed(work, run, 0, (uint32_t)(entry - run));
			run = entry;
			next = entry->pte_gpa;
		}
		next += sizeof(uint64_t);
	}
	if (entry != run)
		pvb_table_changed(work, run, 0, (uint32_t)(entry - run));
	return i;
}
