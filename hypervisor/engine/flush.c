// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host engine, 4 of 5: flush - after the last update, before the answer (law 4).
 *
 * Before: apply.c. After: complete.c. Flushing before the update, or answering before
 * the flush, leaves a CPU that writes through a translation the guest believes gone
 * (Xen's advisories 241, 279, 286, 346, 401, 408).
 */
#include "stages.h"

/* pvb_flush() - do the flush that the header asks for. It has been validated. */
void pvb_flush(struct pvb_work *work)
{
	const struct pvb_batch_hdr *hdr = &work->hdr;
	struct pvb_host_stats *stats = &work->vcpu->stats;
	struct pvb_flush_req req = {
		.type = (enum pvb_flush)hdr->flush,
		.local = hdr->flush_flags & PVB_FLUSH_LOCAL,
		.va = pvb_gva(hdr->flush_va),
		.pages = hdr->flush_pages,
	};

	if (req.type == PVB_FLUSH_NONE)
		return;
	if (req.type == PVB_FLUSH_RANGE && req.pages > PVB_FLUSH_RANGE_MAX) {
		req.type = PVB_FLUSH_ALL;
		req.va = pvb_gva(0);
		req.pages = 0;
	}
	work->backend->flush(work->vcpu->ctx, &req);
	if (req.type == PVB_FLUSH_RANGE)
		pvb_store(&stats->flush_range, stats->flush_range + 1);
	else
		pvb_store(&stats->flush_all, stats->flush_all + 1);
}
