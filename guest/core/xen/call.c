// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest core, Xen transport - the calls of abi.h, answered inside the guest.
 * Neighbours: guest/core's submit.c before, plan.c and issue.c after.
 */
#include "internal.h"

#define FEATURES (PVB_F_HOST_APPLY | PVB_F_RESULTS | PVB_F_FLUSH)

static int64_t negotiate(const struct pvb_xen *x, uint64_t gpa)
{
	struct pvb_negotiate *neg = x->ops->pointer_to(pvb_gpa(gpa));

	if (!neg)
		return -PVB_EFAULT;
	if (neg->magic != PVB_NEGOTIATE_MAGIC || neg->size < sizeof(*neg))
		return -PVB_EINVAL;
	/* Without it there is no exact way but a trap for each PTE (form.h). */
	if (!x->preserve_ad)
		return -PVB_EOPNOTSUPP;
	if (neg->version_min > PVB_VERSION || neg->version_max < PVB_VERSION ||
	    neg->pte_format != PVB_PTE_FORMAT)
		return -PVB_EOPNOTSUPP;
	neg->features = neg->features_wanted & FEATURES;
	neg->version = PVB_VERSION;
	neg->max_bytes = PVB_BUFFER_MAX;
	neg->max_work = PVB_XEN_WORK;
	return 0;
}

static int64_t register_buffer(const struct pvb_xen *x, uint64_t gpa, uint64_t bytes)
{
	struct pvb_xen_cpu *c = x->ops->this_cpu();

	c->buffer = NULL;
	if (!bytes)
		return 0;
	if (gpa % PVB_PAGE_SIZE || bytes % PVB_PAGE_SIZE || bytes < PVB_BUFFER_MIN ||
	    bytes > PVB_BUFFER_MAX)
		return -PVB_EINVAL;
	c->buffer = x->ops->pointer_to(pvb_gpa(gpa));
	if (!c->buffer)
		return -PVB_EFAULT;
	c->bytes = (uint32_t)bytes;
	return 0;
}

/* Counts of the header: what this call did, from @from up to @end. */
static void account(struct pvb_xen_cpu *c, struct pvb_xen_position from,
		    struct pvb_xen_position end)
{
	struct pvb_batch_hdr *hdr = c->buffer;
	uint32_t skip = from.index;

	for (uint32_t i = from.entry; i < end.entry; i++, skip = 0) {
		enum pvb_status status = pvb_answer_status(pvb_xen_entries(c)[i].answer);
		uint32_t done = pvb_answer_done(pvb_xen_entries(c)[i].answer);

		hdr->applied += done > skip ? done - skip : 0;
		if (status == PVB_ST_CONFLICT)
			hdr->conflicts++;
		else if (status != PVB_ST_OK)
			hdr->refused++;
	}
	hdr->applied += end.index > skip ? end.index - skip : 0;
	hdr->done = end.entry;
	hdr->done_ptes = end.index;
}

static int64_t submit(const struct pvb_xen *x)
{
	struct pvb_xen_cpu *c = x->ops->this_cpu();
	struct pvb_batch_hdr *hdr = c->buffer;
	struct pvb_xen_position from, end;

	if (!hdr)
		return -PVB_ENXIO;
	if (hdr->version != PVB_VERSION || hdr->flush > PVB_FLUSH_ALL)
		return -PVB_EINVAL;
	if (hdr->nr > PVB_MAX_ENTRIES(c->bytes) || hdr->start > hdr->nr ||
	    (hdr->skip &&
	     (hdr->start == hdr->nr || hdr->skip >= pvb_xen_entries(c)[hdr->start].nr)))
		return -PVB_E2BIG;
	hdr->applied = 0;
	hdr->carried = 0;
	hdr->conflicts = 0;
	hdr->refused = 0;
	from = (struct pvb_xen_position){ hdr->start, hdr->skip };
	end = pvb_xen_issue(x, c, pvb_xen_plan(x, c, from));
	account(c, from, end);
	hdr->status = end.entry < hdr->nr ? PVB_SUBMIT_PARTIAL : PVB_SUBMIT_DONE;
	return hdr->status;
}

int64_t pvb_xen_call(void *ctx, enum pvb_call call, uint64_t a0, uint64_t a1)
{
	const struct pvb_xen *x = ctx;

	switch (call) {
	case PVB_CALL_NOP:
		return 0;
	case PVB_CALL_NEGOTIATE:
		return negotiate(x, a0);
	case PVB_CALL_REGISTER:
		return register_buffer(x, a0, a1);
	case PVB_CALL_SUBMIT:
		return submit(x);
	default:
		return -PVB_ENOSYS;
	}
}
