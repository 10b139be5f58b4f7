// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest core - writing PTEs without the host: direct mode, guest-apply mode,
 * interrupt context, and the repair of what the host refused. The same law everywhere.
 */
#include "internal.h"

uint64_t pvb_start_ptes(const uint64_t *ptep, uint32_t nr)
{
	uint64_t pte = pvb_load64(ptep);

#pragma GCC unroll 4
	for (uint32_t i = 1; i < nr; i++)
		pte = pvb_pte_fold(pte, pvb_load64(ptep + i));
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
	uint64_t changed; /* bits that hardware may know otherwise; not 0: the run is live */
};

/* The loops are compiled twice: for the common case, and with what few callers want. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

static ALWAYS_INLINE void commit_entries(struct pvb_cpu *c, struct direct *d, uint64_t soft,
					 bool reports)
{
	uint64_t old = d->req->old, new = d->req->new;
	uint64_t *end = d->req->ptep + d->req->nr;
	uint32_t carried = 0;

	for (uint64_t *ptep = d->req->ptep; ptep < end;
	     ptep++, old += PVB_PAGE_SIZE, new += PVB_PAGE_SIZE) {
		uint64_t cur = pvb_load64(ptep);

		/* As it was at start: there is nothing to merge. */
		if (!soft && !reports && pvb_likely(cur == old) &&
		    pvb_likely(pvb_cmpxchg64(ptep, &cur, new)))
			continue;
		if (pvb_likely(pvb_commit_entry(ptep, old, new, soft, &cur))) {
			carried += !!pvb_merge_carried(old, cur);
			if (reports)
				report(d->map, ptep, cur);
		} else {
			d->untouched++;
			if (c->guest->ops->conflict)
				c->guest->ops->conflict(ptep, old, new, cur);
		}
	}
	d->carried = carried;
	/* Present or not, the entries are what the template is. */
	if (pvb_pte_present(d->req->old))
		d->changed = d->req->old ^ d->req->new;
}

static void direct_commit(struct pvb_cpu *c, struct direct *d)
{
	uint64_t soft = pvb_pte_soft_mask(d->req->flags);

	if (pvb_likely(!soft && !d->map))
		commit_entries(c, d, 0, false);
	else
		commit_entries(c, d, soft, d->map);
}

static ALWAYS_INLINE void mask_entries(struct direct *d, bool reports)
{
	uint64_t clear = d->req->old, set = d->req->new;
	uint64_t *end = d->req->ptep + d->req->nr;

	for (uint64_t *ptep = d->req->ptep; ptep < end; ptep++) {
		uint64_t cur = pvb_load64(ptep);
		uint64_t result = cur;

		do {
			if (pvb_unlikely(!pvb_pte_present(cur)))
				break;
			result = pvb_merge_mask(cur, clear, set);
		} while (pvb_unlikely(!pvb_cmpxchg64(ptep, &cur, result)));

		if (pvb_unlikely(!pvb_pte_present(cur))) {
			d->untouched++;
			continue;
		}
		d->changed |= cur ^ result;
		if (reports)
			report(d->map, ptep, cur);
	}
}

static void direct_mask(struct direct *d)
{
	if (d->map)
		mask_entries(d, true);
	else
		mask_entries(d, false);
}

static void direct_set(struct direct *d)
{
	const struct pvb_request *req = d->req;
	uint64_t step = req->flags & PVB_ENT_FIXED ? 0 : PVB_PAGE_SIZE;
	uint64_t new = req->new;
	uint64_t *end = req->ptep + req->nr;

	for (uint64_t *ptep = req->ptep; ptep < end; ptep++, new += step) {
		uint64_t cur = pvb_xchg64(ptep, new);

		if (pvb_pte_present(cur))
			d->changed |= cur ^ new;
		if (pvb_unlikely(d->map))
			report(d->map, ptep, cur);
	}
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
		*live = d.changed;
	return d.untouched;
}

void pvb_own_flush(struct pvb_cpu *c, struct pvb_guest_stats *stats,
		   const struct pvb_flush_arg *flush)
{
	c->guest->ops->flush(flush->type, flush->flags, flush->va, flush->pages);
	stats->own_flushes++;
}
