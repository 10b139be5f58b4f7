// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest core - writing PTEs without the host: direct mode, guest-apply mode,
 * interrupt context, and the repair of what the host refused. The same law everywhere.
 */
#include "internal.h"

uint64_t pvb_start_ptes(const uint64_t *ptep, uint32_t nr)
{
	uint64_t pte = pvb_load64(ptep);

	while (--nr)
		pte = pvb_pte_fold(pte, pvb_load64(++ptep));
	return pte;
}

static void report(struct pvb_ad_map *map, const uint64_t *ptep, uint64_t cur)
{
	uint32_t slot = pvb_slot((uintptr_t)ptep);

	if (pvb_pte_young(cur))
		map->young[slot / 64] |= 1ULL << slot % 64;
	if (pvb_pte_dirty(cur))
		map->dirty[slot / 64] |= 1ULL << slot % 64;
}

/* What the loops below share. The templates' PFN fields have room for the run. */
struct direct {
	const struct pvb_request *req;
	struct pvb_ad_map *map;
	uint32_t untouched;
	uint32_t carried;
	bool live;
};

static inline void exchanged(struct direct *d, const uint64_t *ptep, uint64_t cur, uint64_t result)
{
	if (pvb_unlikely(d->map))
		report(d->map, ptep, cur);
	if (cur != result && pvb_pte_present(cur))
		d->live = true;
}

static void direct_commit(struct pvb_cpu *c, struct direct *d)
{
	const struct pvb_request *req = d->req;
	uint64_t soft = pvb_pte_soft_mask(req->flags);
	uint64_t old = req->old;
	uint64_t new = req->new;
	uint64_t *end = req->ptep + req->nr;

	for (uint64_t *ptep = req->ptep; ptep < end; ptep++) {
		uint64_t cur = pvb_load64(ptep);
		uint64_t result;

		do {
			if (pvb_unlikely(pvb_merge_conflict(old, cur, soft)))
				break;
			result = pvb_merge_commit(old, new, cur, soft);
			if (pvb_likely(pvb_cmpxchg64(ptep, &cur, result))) {
				d->carried += !!pvb_merge_carried(old, cur);
				exchanged(d, ptep, cur, result);
				goto next;
			}
		} while (true);

		d->untouched++;
		if (c->guest->ops->conflict)
			c->guest->ops->conflict(ptep, old, new, cur);
next:
		old += PVB_PAGE_SIZE;
		new += PVB_PAGE_SIZE;
	}
}

static void direct_mask(struct direct *d)
{
	const struct pvb_request *req = d->req;
	uint64_t *end = req->ptep + req->nr;

	for (uint64_t *ptep = req->ptep; ptep < end; ptep++) {
		uint64_t cur = pvb_load64(ptep);
		uint64_t result;

		do {
			result = pvb_merge_mask(cur, req->old, req->new);
		} while (pvb_pte_present(cur) && !pvb_cmpxchg64(ptep, &cur, result));

		if (pvb_pte_present(cur))
			exchanged(d, ptep, cur, result);
		else
			d->untouched++;
	}
}

static void direct_set(struct direct *d)
{
	const struct pvb_request *req = d->req;
	uint64_t step = req->flags & PVB_ENT_FIXED ? 0 : PVB_PAGE_SIZE;
	uint64_t new = req->new;
	uint64_t *end = req->ptep + req->nr;

	for (uint64_t *ptep = req->ptep; ptep < end; ptep++, new += step)
		exchanged(d, ptep, pvb_xchg64(ptep, new), new);
}

uint32_t pvb_direct(struct pvb_cpu *c, struct pvb_guest_stats *stats, const struct pvb_request *req,
		    struct pvb_ad_map *map, bool *live)
{
	struct direct d = { .req = req, .map = map };

	switch (req->op) {
	case PVB_OP_COMMIT:
		direct_commit(c, &d);
		break;
	case PVB_OP_MASK:
		direct_mask(&d);
		break;
	default:
		direct_set(&d);
	}
	stats->carried += d.carried;
	stats->untouched += d.untouched;
	if (live)
		*live = d.live;
	return d.untouched;
}

void pvb_own_flush(struct pvb_cpu *c, struct pvb_guest_stats *stats,
		   const struct pvb_flush_arg *flush)
{
	c->guest->ops->flush(flush->type, flush->flags, flush->va, flush->pages);
	stats->own_flushes++;
}
