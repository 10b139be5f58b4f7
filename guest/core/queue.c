// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest core - from an operation to an entry in this CPU's queue, merging it with
 * the entry before where one template describes both (law 2), or around the queue where
 * there is none.
 */
#include "internal.h"

static bool run_is_valid(const uint64_t *ptep, uint32_t nr)
{
	uintptr_t address = (uintptr_t)ptep;

	return nr && nr <= PVB_PTES_PER_TABLE && !(address % sizeof(*ptep)) &&
	       pvb_slot(address) + nr <= PVB_PTES_PER_TABLE;
}

/* Templates advance inside the PFN field (law 2): is there room for @nr pages? */
static bool pfns_fit(uint64_t pte, uint32_t nr)
{
	return pvb_pte_pfn(pte) + (nr - 1) <= PVB_PTE_PFN_MASK >> PVB_PAGE_SHIFT;
}

static bool at_table_end(uintptr_t address)
{
	return !(address % PVB_PAGE_SIZE);
}

void pvb_run_close(struct pvb_cpu *c)
{
	struct pvb_run *run = &c->run;
	uint32_t added;

	if (!run->next)
		return;
	added = (uint32_t)((run->next - run->end) / sizeof(uint64_t));
	c->stats.ops += added;
	c->stats.ptes += added;
	c->stats.coalesced += added;
	/* run->next is set only while run->entry is. NOLINTNEXTLINE(*NullDereference) */
	run->entry->nr = (uint16_t)(run->entry->nr + added);
	if (run->mask != ~0ULL) {
		/* Bits that not all olds had are nobody's change: the merge keeps them. */
		run->entry->old &= run->keep | ~PVB_PTE_AD_ONES;
		run->entry->new &= run->keep | ~PVB_PTE_AD_ONES;
	}
	run->end = run->next;
	run->next = 0;
	if (run->end > c->high)
		c->high = run->end;
}

/* Let pvb_commit() extend the run, if it is one of commits and can go on. */
static void arm(struct pvb_cpu *c, uint64_t old)
{
	struct pvb_run *run = &c->run;
	const struct pvb_entry *entry = run->entry;
	uint64_t delta = entry->old ^ entry->new;

	if (entry->op != PVB_OP_COMMIT || entry->flags || !c->coalesce || !c->lazy || c->collect ||
	    (delta & PVB_PTE_PFN_MASK) || at_table_end(run->end))
		return;
	/* next_old advances by plain addition. */
	if (!pfns_fit(old, PVB_PTES_PER_TABLE))
		return;
	run->next = run->end;
	run->next_old = old;
	run->delta = delta;
	run->keep = entry->old;
	run->mask = run->single && !(delta & PVB_PTE_AD_ONES) ? ~PVB_PTE_AD_ONES : ~0ULL;
}

/* Does @req continue the commits of @entry? Then *@mask: bits of old that had to match. */
static bool continues_commit(const struct pvb_run *run, const struct pvb_request *req,
			     uint64_t *mask)
{
	const struct pvb_entry *entry = run->entry;
	uint64_t old = req->old ^ pvb_pte_advance(entry->old, entry->nr);
	uint64_t new = req->new ^ pvb_pte_advance(entry->new, entry->nr);
	uint64_t touched = (entry->old ^ entry->new) | (req->old ^ req->new);

	*mask = ~0ULL;
	if (run->single && req->nr == 1 && !(touched & PVB_PTE_AD_ONES))
		*mask = ~PVB_PTE_AD_ONES;
	return entry->flags == req->flags && !((old | new) & *mask);
}

/* Does @req continue the stores of @entry? Then *@fixed: as one value, not advancing. */
static bool continues_set(const struct pvb_entry *entry, const struct pvb_request *req, bool *fixed)
{
	bool can_fix = (entry->nr == 1 || (entry->flags & PVB_ENT_FIXED)) &&
		       (req->nr == 1 || (req->flags & PVB_ENT_FIXED));
	bool can_advance = (entry->nr == 1 || !(entry->flags & PVB_ENT_FIXED)) &&
			   (req->nr == 1 || !(req->flags & PVB_ENT_FIXED));

	*fixed = can_fix && req->new == entry->new;
	return *fixed || (can_advance && req->new == pvb_pte_advance(entry->new, entry->nr));
}

/* Merge @req into the last entry. false: it needs its own. */
static bool extend(struct pvb_cpu *c, const struct pvb_request *req)
{
	struct pvb_run *run = &c->run;
	struct pvb_entry *entry = run->entry;
	bool fixed = false;
	uint64_t mask;

	if (!c->coalesce || !entry || entry->op != req->op || (uintptr_t)req->ptep != run->end ||
	    at_table_end(run->end))
		return false;

	switch (req->op) {
	case PVB_OP_COMMIT:
		if (!continues_commit(run, req, &mask))
			return false;
		entry->old &= req->old | mask;
		entry->new &= req->old | mask;
		run->single = run->single && req->nr == 1;
		break;
	case PVB_OP_SET:
		if (!continues_set(entry, req, &fixed))
			return false;
		entry->flags = fixed ? PVB_ENT_FIXED : 0;
		break;
	default:
		if (entry->old != req->old || entry->new != req->new || entry->flags != req->flags)
			return false;
	}
	entry->nr = (uint16_t)(entry->nr + req->nr);
	run->end += req->nr * sizeof(uint64_t);
	if (run->end > c->high)
		c->high = run->end;
	c->stats.coalesced++;
	return true;
}

static bool has_room(const struct pvb_cpu *c, bool result)
{
	uint32_t entries = (c->nr + 1) * (uint32_t)sizeof(struct pvb_entry);
	uint32_t bitmaps = (c->results + result) * PVB_RESULT_BYTES;
	uint32_t limit = c->limit ? c->limit : 1;

	return c->nr < limit && c->nr < c->capacity &&
	       sizeof(*c->buffer) + entries + bitmaps <= c->bytes;
}

/*
 * Put @req into the queue. false: there is none any more, the host went away when the
 * full queue was submitted.
 */
static bool enqueue(struct pvb_cpu *c, const struct pvb_request *req)
{
	struct pvb_run *run = &c->run;
	struct pvb_entry *entry;

	pvb_run_close(c);
	if (extend(c, req)) {
		arm(c, pvb_pte_advance(req->old, req->nr));
		return true;
	}
	if (!has_room(c, req->flags & PVB_ENT_RESULT)) {
		pvb_submit(c, PVB_REASON_FULL, PVB_FLUSH_NONE, 0, pvb_gva(0), 0);
		if (c->mode == PVB_MODE_DIRECT)
			return false;
	}

	entry = pvb_entries(c) + c->nr++;
	*entry = (struct pvb_entry){
		.pte_gpa = pvb_gpa_raw(c->guest->ops->gpa_of(req->ptep)),
		.old = req->old,
		.new = req->new,
		.nr = (uint16_t)req->nr,
		.op = (uint8_t)req->op,
		.flags = req->nr == 1 ? req->flags &(uint8_t)~PVB_ENT_FIXED : req->flags,
	};
	if (req->flags & PVB_ENT_RESULT)
		c->results++;
	*run = (struct pvb_run){
		.entry = entry,
		.first = (uintptr_t)req->ptep,
		.end = (uintptr_t)(req->ptep + req->nr),
		.single = req->nr == 1,
	};
	if (c->nr == 1 || run->first < c->low)
		c->low = run->first;
	if (c->nr == 1 || run->end > c->high)
		c->high = run->end;
	arm(c, pvb_pte_advance(req->old, req->nr));
	return true;
}

/* Name a run that the guest has changed to the host. */
static void name(struct pvb_cpu *c, uint64_t *ptep, uint32_t nr)
{
	struct pvb_run *run = &c->run;
	uintptr_t first = (uintptr_t)ptep;
	uintptr_t end = first + nr * sizeof(*ptep);
	struct pvb_request req = { .op = PVB_OP_CHANGED, .nr = nr, .ptep = ptep };

	/* Naming is idempotent, so here a run may also overlap the one before. */
	if (c->coalesce && run->entry && first >= run->first && first < run->end) {
		if (end > run->end) {
			run->entry->nr += (uint16_t)((end - run->end) / sizeof(*ptep));
			run->end = end;
		}
		c->stats.coalesced++;
		return;
	}
	if (!enqueue(c, &req))
		c->stats.unqueued++;
}

/* Without the queue: no host, the guest applies, or interrupt context. */
static void apply_here(struct pvb_cpu *c, const struct pvb_request *req, bool interrupted)
{
	struct pvb_guest_stats *stats = interrupted ? &c->irq_stats : &c->stats;
	struct pvb_ad_map *map = req->flags & PVB_ENT_RESULT ? c->collect : NULL;
	bool live = false;
	uint32_t untouched = pvb_direct(c, stats, req, map, &live);

	if (untouched)
		stats->conflicts++;
	if (c->mode == PVB_MODE_DIRECT)
		stats->direct += req->nr - untouched;
	else if (interrupted)
		stats->bypassed += req->nr - untouched;
	else if (c->mode == PVB_MODE_GUEST_APPLY)
		stats->own += req->nr - untouched;
	else
		stats->fallbacks += req->nr - untouched;

	if (c->mode != PVB_MODE_GUEST_APPLY || !live)
		stats->unqueued++;
	else if (!interrupted)
		name(c, req->ptep, req->nr);
	else {
		pvb_interrupt_changed(c, req->ptep, req->nr);
		stats->unqueued++;
	}
}

static int operate(struct pvb_cpu *c, const struct pvb_request *req)
{
	bool interrupted;

	if (!run_is_valid(req->ptep, req->nr))
		return -PVB_EINVAL;
	interrupted = pvb_interrupted(c);
	if (interrupted) {
		c->irq_stats.ops++;
		c->irq_stats.ptes += req->nr;
		apply_here(c, req, true);
		return 0;
	}
	c->stats.ops++;
	c->stats.ptes += req->nr;
	if (c->mode != PVB_MODE_HOST_APPLY || !enqueue(c, req))
		apply_here(c, req, false);
	else if (!c->lazy && !c->collect)
		pvb_submit(c, PVB_REASON_EAGER, PVB_FLUSH_NONE, 0, pvb_gva(0), 0);
	return 0;
}

int pvb_commit_run(struct pvb_cpu *c, uint64_t *ptep, uint64_t old, uint64_t new, uint32_t nr,
		   uint8_t soft)
{
	struct pvb_request req = {
		.op = PVB_OP_COMMIT,
		.flags = soft,
		.nr = nr,
		.ptep = ptep,
		.old = old,
		.new = new,
	};

	if (soft & ~PVB_ENT_SOFT || !pfns_fit(old, nr) || !pfns_fit(new, nr))
		return -PVB_EINVAL;
	return operate(c, &req);
}

/*
 * The loop of single commits where the guest applies them, or nobody else does: exchange,
 * count, name. false: this commit is not one of the common kind.
 */
static inline bool commit_here(struct pvb_cpu *c, uint64_t *ptep, uint64_t old, uint64_t new)
{
	struct pvb_run *run = &c->run;
	uintptr_t address = (uintptr_t)ptep;
	uint64_t cur;

	if (c->mode == PVB_MODE_HOST_APPLY || address % sizeof(*ptep) || pvb_interrupted(c) ||
	    !pvb_commit_entry(ptep, old, new, 0, &cur))
		return false;
	c->stats.ops++;
	c->stats.ptes++;
	c->stats.carried += !!pvb_merge_carried(old, cur);
	if (c->mode == PVB_MODE_DIRECT) {
		c->stats.direct++;
		c->stats.unqueued++;
		return true;
	}
	c->stats.own++;
	if (!pvb_pte_present(old) || old == new) {
		c->stats.unqueued++;
	} else if (run->entry && address == run->end && !at_table_end(address) && c->coalesce) {
		run->entry->nr++;
		run->end += sizeof(*ptep);
		c->stats.coalesced++;
	} else {
		name(c, ptep, 1);
	}
	return true;
}

int pvb_commit_one(struct pvb_cpu *c, uint64_t *ptep, uint64_t old, uint64_t new)
{
	if (commit_here(c, ptep, old, new))
		return 0;
	return pvb_commit_run(c, ptep, old, new, 1, 0);
}

int pvb_set_ptes(struct pvb_cpu *c, uint64_t *ptep, uint64_t new, uint32_t nr, uint8_t flags)
{
	struct pvb_request req = {
		.op = PVB_OP_SET,
		.flags = flags,
		.nr = nr,
		.ptep = ptep,
		.new = new,
	};

	if (flags & ~PVB_ENT_FIXED || !(flags || pfns_fit(new, nr)))
		return -PVB_EINVAL;
	return operate(c, &req);
}

int pvb_mask_ptes(struct pvb_cpu *c, uint64_t *ptep, uint64_t clear, uint64_t set, uint32_t nr)
{
	struct pvb_request req = {
		.op = PVB_OP_MASK,
		.nr = nr,
		.ptep = ptep,
		.old = clear,
		.new = set,
	};
	bool drops_pfn = clear == ~0ULL && !set;

	if (((clear | set) & PVB_PTE_PFN_MASK) && !drops_pfn)
		return -PVB_EINVAL;
	if (c->collect && !pvb_interrupted(c))
		req.flags = PVB_ENT_RESULT;
	/* Without result bitmaps the host cannot answer: exchange here, after what is queued. */
	if (req.flags && c->mode == PVB_MODE_HOST_APPLY && !(c->guest->features & PVB_F_RESULTS)) {
		if (!run_is_valid(ptep, nr))
			return -PVB_EINVAL;
		pvb_submit(c, PVB_REASON_RESULT, PVB_FLUSH_NONE, 0, pvb_gva(0), 0);
		c->stats.ops++;
		c->stats.ptes += nr;
		apply_here(c, &req, false);
		return 0;
	}
	return operate(c, &req);
}

int pvb_changed(struct pvb_cpu *c, uint64_t *ptep, uint32_t nr)
{
	bool interrupted = pvb_interrupted(c);
	struct pvb_guest_stats *stats = interrupted ? &c->irq_stats : &c->stats;

	if (!run_is_valid(ptep, nr))
		return -PVB_EINVAL;
	stats->ops++;
	stats->ptes += nr;
	if (c->mode == PVB_MODE_GUEST_APPLY && !interrupted) {
		stats->own += nr;
		name(c, ptep, nr);
		return 0;
	}
	if (c->mode == PVB_MODE_GUEST_APPLY)
		pvb_interrupt_changed(c, ptep, nr);
	stats->unqueued++;
	if (c->mode == PVB_MODE_DIRECT)
		stats->direct += nr;
	else
		stats->own += nr;
	return 0;
}

void pvb_drain_queued(struct pvb_cpu *c, const uint64_t *ptep, uint32_t nr)
{
	const struct pvb_entry *entry;
	uint64_t first, end;

	/* Where the guest applies, the entry holds what was committed. */
	if (c->mode != PVB_MODE_HOST_APPLY || pvb_interrupted(c))
		return;

	pvb_run_close(c);
	first = pvb_gpa_raw(c->guest->ops->gpa_of(ptep));
	end = first + nr * sizeof(*ptep);
	for (entry = pvb_entries(c) + c->nr; entry-- > pvb_entries(c);) {
		if (first < entry->pte_gpa + entry->nr * sizeof(*ptep) && entry->pte_gpa < end) {
			pvb_submit(c, PVB_REASON_FLUSH, PVB_FLUSH_NONE, 0, pvb_gva(0), 0);
			return;
		}
	}
}
