// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest core, Xen transport - entries become requests. Runs are expanded, conflicts
 * are found by reading (docs/xen.md says what that can and cannot see), each PTE gets the
 * cheapest form that is exact.
 */
#include "form.h"
#include "internal.h"

/* Flags in which Xen does not validate a change again: it cannot refuse it. */
#define NEVER_REFUSED                                                                         \
	(PVB_PTE_AD | PVB_PTE_U | PVB_PTE_G | PVB_PTE_SOFT0 | PVB_PTE_SOFT1 | PVB_PTE_SOFT2 | \
	 PVB_PTE_NX)

uint64_t pvb_xen_want(const struct pvb_entry *entry, uint32_t index, uint64_t cur)
{
	switch (entry->op) {
	case PVB_OP_COMMIT:
		return pvb_merge_commit(pvb_pte_advance(entry->old, index),
					pvb_pte_advance(entry->new, index), cur,
					pvb_pte_soft_mask(entry->flags));
	case PVB_OP_MASK:
		return pvb_merge_mask(cur, entry->old, entry->new);
	default:
		return entry->flags & PVB_ENT_FIXED ? entry->new :
						      pvb_pte_advance(entry->new, index);
	}
}

bool pvb_xen_carried(const struct pvb_entry *entry, uint32_t index, uint64_t cur)
{
	return entry->op == PVB_OP_COMMIT &&
	       pvb_merge_carried(pvb_pte_advance(entry->old, index), cur);
}

void pvb_xen_report(struct pvb_xen_cpu *c, const struct pvb_entry *entry, uint32_t index,
		    uint64_t cur)
{
	uint64_t *young = (uint64_t *)c->buffer + entry->result;
	uint64_t *dirty = young + (entry->nr + 63U) / 64;

	if (pvb_pte_young(cur))
		young[index / 64] |= 1ULL << index % 64;
	if (pvb_pte_dirty(cur))
		dirty[index / 64] |= 1ULL << index % 64;
}

/* Is the entry one that this file can work on? The library makes no others. */
static enum pvb_status check(const struct pvb_xen_cpu *c, const struct pvb_entry *entry)
{
	uint32_t results = entry->result * 8U + (entry->nr + 63U) / 64 * 16U;

	if (entry->op != PVB_OP_SET && entry->op != PVB_OP_COMMIT && entry->op != PVB_OP_MASK)
		return PVB_ST_BAD_OP;
	if (!entry->nr || entry->nr > PVB_PTES_PER_TABLE)
		return PVB_ST_BAD_NR;
	if (entry->pte_gpa % sizeof(uint64_t))
		return PVB_ST_UNALIGNED;
	if (entry->pte_gpa % PVB_PAGE_SIZE + entry->nr * sizeof(uint64_t) > PVB_PAGE_SIZE)
		return PVB_ST_CROSSES;
	if ((entry->flags & PVB_ENT_RESULT) && results > c->bytes)
		return PVB_ST_BAD_RESULT;
	return PVB_ST_OK;
}

/* What keeps an entry whose PTE holds @cur from going on; PVB_ST_OK: nothing. */
static enum pvb_status obstacle(const struct pvb_entry *entry, uint32_t index, uint64_t cur)
{
	if (entry->op == PVB_OP_COMMIT && pvb_merge_conflict(pvb_pte_advance(entry->old, index),
							     cur, pvb_pte_soft_mask(entry->flags)))
		return PVB_ST_CONFLICT;
	if (entry->op == PVB_OP_MASK && !pvb_pte_present(cur))
		return PVB_ST_NOTPRESENT;
	return PVB_ST_OK;
}

static enum pvb_xen_form form_of(const struct pvb_entry *entry, uint32_t index, uint64_t cur,
				 uint64_t want)
{
	uint64_t most = cur | pvb_xen_settable(cur);

	return pvb_xen_form(cur, want, pvb_xen_want(entry, index, most),
			    entry->flags & PVB_ENT_RESULT);
}

/*
 * A refusal must leave the PTEs behind it untouched. Those taken out can be put back; so
 * where a store may be refused and one PTE of the run has to be taken out, all are.
 */
static bool freeze_all(const struct pvb_entry *entry, uint32_t index, uint32_t end,
		       const uint64_t *ptes)
{
	uint64_t cleared = entry->op == PVB_OP_COMMIT ? entry->old & ~entry->new :
			   entry->op == PVB_OP_MASK   ? entry->old :
							0;
	bool refusable = false, freeze = false;

	/* Otherwise every PTE has a form that needs one request. */
	if (!(cleared & PVB_PTE_AD) && !(entry->flags & PVB_ENT_RESULT))
		return false;
	for (; index < end; index++) {
		uint64_t cur = pvb_load64(&ptes[index]);
		uint64_t want = pvb_xen_want(entry, index, cur);

		refusable |= (cur ^ want) & ~NEVER_REFUSED;
		freeze |= form_of(entry, index, cur, want) == PVB_XEN_FREEZE;
	}
	return refusable && freeze;
}

/* One PTE: a slot and its request. */
static void plan_pte(struct pvb_xen_cpu *c, const struct pvb_xen_slot *slot,
		     const struct pvb_entry *entry, enum pvb_xen_form form, uint64_t want)
{
	struct mmu_update *request = &c->first[c->nr_slots];

	request->ptr = entry->pte_gpa + slot->index * sizeof(uint64_t);
	request->val = want;
	switch (form) {
	case PVB_XEN_STORE:
		request->ptr |= MMU_NORMAL_PT_UPDATE;
		c->stats.stored++;
		break;
	case PVB_XEN_PRESERVE:
		/* Xen adds the A and D that are set at its exchange. */
		request->ptr |= MMU_PT_UPDATE_PRESERVE_AD;
		c->stats.preserved++;
		break;
	default:
		request->ptr |= MMU_PT_UPDATE_PRESERVE_AD;
		request->val = 0;
		c->frozen[c->nr_frozen++] = (uint16_t)c->nr_slots;
		c->stats.frozen++;
	}
	c->slots[c->nr_slots++] = *slot;
}

static void clear_results(struct pvb_xen_cpu *c, const struct pvb_entry *entry)
{
	uint64_t *bits = (uint64_t *)c->buffer + entry->result;

	for (uint32_t i = 0; i < 2 * ((entry->nr + 63U) / 64); i++)
		bits[i] = 0;
}

/* Does the commit clear neither A nor D, and has it no extras? Most are so. */
static bool keeps(const struct pvb_entry *entry)
{
	return entry->op == PVB_OP_COMMIT && !(entry->old & ~entry->new &PVB_PTE_AD) &&
	       !(entry->flags & (PVB_ENT_RESULT | PVB_ENT_SOFT));
}

/*
 * PTEs [*@index, @end) of such an entry, as plan_run() would do them but faster: PRESERVE_AD
 * is exact whatever hardware can still set. The PFN fields have room for the run.
 */
static enum pvb_status plan_keeping(struct pvb_xen_cpu *c, const struct pvb_entry *entry,
				    uint32_t number, uint32_t *index, uint32_t end, uint64_t *ptes)
{
	uint64_t old = pvb_pte_advance(entry->old, *index);
	uint64_t new = pvb_pte_advance(entry->new, *index);
	uint32_t first = c->nr_slots, nr = first, i;

	for (i = *index; i < end; i++, old += PVB_PAGE_SIZE, new += PVB_PAGE_SIZE) {
		uint64_t cur = pvb_load64(&ptes[i]), want;
		bool carried = pvb_merge_carried(old, cur);

		if (pvb_unlikely(pvb_merge_conflict(old, cur, 0)))
			break;
		want = pvb_merge_commit(old, new, cur, 0);
		if (want == cur) {
			c->buffer->carried += carried;
			continue;
		}
		c->first[nr].ptr = (entry->pte_gpa + i * sizeof(uint64_t)) |
				   MMU_PT_UPDATE_PRESERVE_AD;
		c->first[nr].val = want;
		c->slots[nr].pte = &ptes[i];
		c->slots[nr].cur = cur;
		c->slots[nr].entry = (uint16_t)number;
		c->slots[nr].index = (uint16_t)i;
		c->slots[nr].carried = carried;
		nr++;
	}
	c->stats.preserved += nr - first;
	c->stats.unchanged += i - *index - (nr - first);
	c->nr_slots = nr;
	*index = i;
	return i < end ? PVB_ST_CONFLICT : PVB_ST_OK;
}

/* PTEs [@index, @end) of entry @number. Returns the first that was not planned. */
static uint32_t plan_run(const struct pvb_xen *x, struct pvb_xen_cpu *c, uint32_t number,
			 uint32_t index, uint32_t end)
{
	struct pvb_entry *entry = &pvb_xen_entries(c)[number];
	uint64_t *ptes = x->ops->pointer_to(pvb_gpa(entry->pte_gpa));
	enum pvb_status status = ptes ? PVB_ST_OK : PVB_ST_BAD_GPA;
	bool all;

	if (ptes && keeps(entry)) {
		status = plan_keeping(c, entry, number, &index, end, ptes);
		entry->answer = pvb_answer(status, index);
		return index;
	}
	all = ptes && freeze_all(entry, index, end, ptes);
	if ((entry->flags & PVB_ENT_RESULT) && !index)
		clear_results(c, entry);
	for (; status == PVB_ST_OK && index < end; index++) {
		uint64_t cur = pvb_load64(&ptes[index]);
		struct pvb_xen_slot slot;
		enum pvb_xen_form form;
		uint64_t want;

		status = obstacle(entry, index, cur);
		if (status != PVB_ST_OK)
			break;
		want = pvb_xen_want(entry, index, cur);
		form = form_of(entry, index, cur, want);
		if (all && form != PVB_XEN_NOTHING)
			form = PVB_XEN_FREEZE;
		slot = (struct pvb_xen_slot){
			.pte = &ptes[index],
			.cur = cur,
			.entry = (uint16_t)number,
			.index = (uint16_t)index,
			/* Of those taken out nobody knows yet (issue.c). */
			.carried = form != PVB_XEN_FREEZE && pvb_xen_carried(entry, index, cur),
		};
		if (form != PVB_XEN_FREEZE && (entry->flags & PVB_ENT_RESULT))
			pvb_xen_report(c, entry, index, cur);
		if (form == PVB_XEN_NOTHING) {
			c->buffer->carried += slot.carried;
			c->stats.unchanged++;
			continue;
		}
		plan_pte(c, &slot, entry, form, want);
	}
	entry->answer = pvb_answer(status, index);
	return index;
}

/*
 * Does entry @number touch a PTE that an entry of this call since @first touches? What is
 * planned is read before anything is issued, so such a pair cannot go in one call.
 */
static bool overlaps(const struct pvb_xen_cpu *c, uint32_t first, uint32_t number, uint64_t *low,
		     uint64_t *high)
{
	const struct pvb_entry *entries = pvb_xen_entries(c);
	uint64_t start = entries[number].pte_gpa;
	uint64_t end = start + entries[number].nr * sizeof(uint64_t);

	if (start < *high && end > *low) {
		for (uint32_t i = first; i < number; i++) {
			uint64_t other = entries[i].pte_gpa;

			if (start < other + entries[i].nr * sizeof(uint64_t) && other < end)
				return true;
		}
	}
	if (start < *low)
		*low = start;
	if (end > *high)
		*high = end;
	return false;
}

struct pvb_xen_position pvb_xen_plan(const struct pvb_xen *x, struct pvb_xen_cpu *c,
				     struct pvb_xen_position from)
{
	struct pvb_xen_position at = from;
	uint64_t low = ~0ULL, high = 0;
	uint32_t work = PVB_XEN_WORK;

	c->nr_slots = 0;
	c->nr_frozen = 0;
	for (; at.entry < c->buffer->nr && work; at.entry++) {
		struct pvb_entry *entry = &pvb_xen_entries(c)[at.entry];
		enum pvb_status status = check(c, entry);
		uint32_t end;

		if (status != PVB_ST_OK) {
			entry->answer = pvb_answer(status, 0);
			at.index = 0;
			work--;
			continue;
		}
		if (overlaps(c, from.entry, at.entry, &low, &high))
			break;
		end = entry->nr - at.index > work ? at.index + work : entry->nr;
		work -= end - at.index;
		if (plan_run(x, c, at.entry, at.index, end) == end && end < entry->nr) {
			entry->answer = 0;
			at.index = end;
			break;
		}
		at.index = 0;
	}
	return at;
}
