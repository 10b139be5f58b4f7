// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest mm - the transaction rules, watched (law 3): start and commit pair exactly,
 * over the same run, and under the lock. For debug builds; see mm-ptes.h.
 */
#include "internal.h"

void pvb_mm_debug(struct pvb_cpu *c, struct pvb_mm_debug *debug)
{
	c->debug = debug;
}

static bool overlap(const uint64_t *a, uint32_t a_nr, const uint64_t *b, uint32_t b_nr)
{
	return a < b + b_nr && b < a + a_nr;
}

static bool allowed(struct pvb_mm_debug *debug, const uint64_t *ptep)
{
	if (!debug->locked || debug->locked(debug->ctx, ptep))
		return true;
	debug->bug(debug->ctx, "transaction without the page-table lock", ptep);
	return false;
}

bool pvb_debug_start(struct pvb_cpu *c, const uint64_t *ptep, uint32_t nr)
{
	struct pvb_mm_debug *debug = c->debug;
	uint32_t free = PVB_OPEN_MAX;

	if (!nr || !allowed(debug, ptep))
		return false;
	for (uint32_t i = 0; i < PVB_OPEN_MAX; i++) {
		if (!debug->open[i].nr) {
			free = i;
			continue;
		}
		if (overlap(ptep, nr, debug->open[i].ptep, debug->open[i].nr)) {
			debug->bug(debug->ctx, "start inside an open transaction", ptep);
			return false;
		}
	}
	if (free == PVB_OPEN_MAX) {
		debug->bug(debug->ctx, "too many open transactions", ptep);
		return false;
	}
	debug->open[free].ptep = ptep;
	debug->open[free].nr = nr;
	debug->checked++;
	return true;
}

bool pvb_debug_commit(struct pvb_cpu *c, const uint64_t *ptep, uint32_t nr)
{
	struct pvb_mm_debug *debug = c->debug;

	if (!nr || !allowed(debug, ptep))
		return false;
	for (uint32_t i = 0; i < PVB_OPEN_MAX; i++) {
		if (debug->open[i].ptep != ptep || debug->open[i].nr < nr)
			continue;
		/* A run may be committed in pieces, in order. */
		debug->open[i].ptep += nr;
		debug->open[i].nr -= nr;
		return true;
	}
	debug->bug(debug->ctx, "commit without its start", ptep);
	return false;
}

void pvb_mm_debug_idle(struct pvb_cpu *c)
{
	struct pvb_mm_debug *debug = c->debug;

	if (!debug)
		return;
	for (uint32_t i = 0; i < PVB_OPEN_MAX; i++) {
		if (!debug->open[i].nr)
			continue;
		debug->bug(debug->ctx, "transaction left open", debug->open[i].ptep);
		debug->open[i].nr = 0;
	}
}
