// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest core - when the queue goes: lazy mode (law 3), TLB flushes (law 4), and
 * callers that wait for A and D bits.
 */
#include "internal.h"

static void submit_queue(struct pvb_cpu *c, enum pvb_flush_reason reason)
{
	pvb_submit(c, reason, PVB_FLUSH_NONE, 0, pvb_gva(0), 0);
}

void pvb_lazy_enter(struct pvb_cpu *c)
{
	if (!pvb_interrupted(c))
		c->lazy++;
}

void pvb_lazy_leave(struct pvb_cpu *c)
{
	/* An unpaired leave has nothing to leave. */
	if (pvb_interrupted(c) || !c->lazy || --c->lazy)
		return;
	if (c->mode == PVB_MODE_HOST_APPLY)
		submit_queue(c, PVB_REASON_LEAVE);
}

void pvb_lazy_flush(struct pvb_cpu *c)
{
	if (!pvb_interrupted(c))
		submit_queue(c, PVB_REASON_FLUSH);
}

static void flush(struct pvb_cpu *c, const struct pvb_flush_arg *arg)
{
	if (!pvb_interrupted(c))
		pvb_submit(c, PVB_REASON_TLB, arg->type, arg->flags, arg->va, arg->pages);
	else if (c->mode == PVB_MODE_DIRECT)
		pvb_own_flush(c, &c->irq_stats, arg);
	else
		pvb_interrupt_flush(c, arg);
}

void pvb_flush_range(struct pvb_cpu *c, pvb_gva_t va, uint32_t pages, uint16_t flags)
{
	const struct pvb_flush_arg arg = { PVB_FLUSH_RANGE, flags, va, pages };

	if (pages)
		flush(c, &arg);
}

void pvb_flush_all(struct pvb_cpu *c, uint16_t flags)
{
	const struct pvb_flush_arg arg = { .type = PVB_FLUSH_ALL, .flags = flags };

	flush(c, &arg);
}

void pvb_collect_begin(struct pvb_cpu *c, struct pvb_ad_map *map)
{
	*map = (struct pvb_ad_map){ 0 };
	pvb_run_close(c);
	c->collect = map;
}

void pvb_collect_end(struct pvb_cpu *c, enum pvb_flush type, uint16_t flush_flags, pvb_gva_t va,
		     uint32_t pages)
{
	/* Where the guest applies the map is complete; the host hears of it with a flush. */
	if (c->mode == PVB_MODE_HOST_APPLY || type != PVB_FLUSH_NONE)
		pvb_submit(c, PVB_REASON_RESULT, type, flush_flags, va, pages);
	c->collect = NULL;
}

struct pvb_ad_map *pvb_collect_pause(struct pvb_cpu *c)
{
	struct pvb_ad_map *map = c->collect;

	if (map && c->results)
		submit_queue(c, PVB_REASON_RESULT);
	c->collect = NULL;
	return map;
}

void pvb_collect_resume(struct pvb_cpu *c, struct pvb_ad_map *map)
{
	pvb_run_close(c);
	c->collect = map;
}

int pvb_mask_ptes_ad(struct pvb_cpu *c, uint64_t *ptep, uint64_t clear, uint64_t set, uint32_t nr,
		     struct pvb_ad_map *map)
{
	int r;

	pvb_collect_begin(c, map);
	r = pvb_mask_ptes(c, ptep, clear, set, nr);
	pvb_collect_end(c, PVB_FLUSH_NONE, 0, pvb_gva(0), 0);
	return r;
}
