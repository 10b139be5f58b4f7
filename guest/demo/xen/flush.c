// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest on Xen - TLB flushes without a batch (smp.h).
 */
#include "../console.h"
#include "../smp.h"
#include "xen.h"

void smp_flush(enum pvb_flush type, uint32_t flags, pvb_gva_t va, uint32_t pages)
{
	bool local = flags & PVB_FLUSH_LOCAL;
	struct mmuext_op op = { .cmd = local ? MMUEXT_TLB_FLUSH_LOCAL : MMUEXT_TLB_FLUSH_ALL };

	if (type == PVB_FLUSH_NONE)
		return;
	if (type == PVB_FLUSH_RANGE && pages == 1) {
		op.cmd = local ? MMUEXT_INVLPG_LOCAL : MMUEXT_INVLPG_ALL;
		op.arg1.linear_addr = pvb_gva_raw(va);
	}
	if (xen_mmuext_op(&op, 1, NULL))
		demo_die(EXIT_CHECK_FAILED, "Xen refuses a TLB flush\n");
}
