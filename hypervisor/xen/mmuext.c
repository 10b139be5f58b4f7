// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host, Xen's ABI - HYPERVISOR_mmuext_op, as far as page-table batches need it: the
 * TLB flushes. Pinning, base pointers and the like belong to a host that types pages.
 */
#include <engine/stages.h>

#include "handler.h"

/* The flush that @op asks for. False: it is none. */
static bool decode(const struct mmuext_op *op, struct pvb_batch_hdr *hdr)
{
	*hdr = (struct pvb_batch_hdr){ .flush = PVB_FLUSH_ALL };
	switch (op->cmd) {
	case MMUEXT_TLB_FLUSH_LOCAL:
		hdr->flush_flags = PVB_FLUSH_LOCAL;
		return true;
	case MMUEXT_TLB_FLUSH_MULTI: /* all vCPUs are never too few */
	case MMUEXT_TLB_FLUSH_ALL:
		return true;
	case MMUEXT_INVLPG_LOCAL:
		hdr->flush_flags = PVB_FLUSH_LOCAL;
		break;
	case MMUEXT_INVLPG_MULTI:
	case MMUEXT_INVLPG_ALL:
		break;
	default:
		return false;
	}
	hdr->flush = PVB_FLUSH_RANGE;
	hdr->flush_va = op->arg1.linear_addr & ~(PVB_PAGE_SIZE - 1);
	hdr->flush_pages = 1;
	return true;
}

int64_t xen_mmuext_op(struct xen_vcpu *v, const struct xen_array *a)
{
	struct pvb_work work = { .vcpu = &v->engine, .backend = v->engine.vm->backend };
	uint64_t va = a->va;
	int64_t result = 0;
	uint32_t done = 0;

	for (; done < a->count && !v->backend->ending(v->ctx);
	     done++, va += sizeof(struct mmuext_op)) {
		struct mmuext_op op;

		if (v->backend->read_va(v->ctx, va, &op, sizeof(op)))
			result = -XEN_EFAULT;
		else if (!decode(&op, &work.hdr))
			result = -XEN_ENOSYS;
		if (result)
			break;
		pvb_flush(&work);
	}
	return xen_array_close(v, a, done, result);
}
