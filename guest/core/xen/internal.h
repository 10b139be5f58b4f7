/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: guest core, Xen transport - what its files share.
 *
 *   call.c -> plan.c (entries become requests) -> issue.c (requests go to Xen)
 *               |
 *             form.h (which request is exact for this PTE)
 */
#ifndef PVBATCH_XEN_INTERNAL_H
#define PVBATCH_XEN_INTERNAL_H

#include <pvbatch/xen.h>

static inline struct pvb_entry *pvb_xen_entries(const struct pvb_xen_cpu *c)
{
	return (struct pvb_entry *)(c->buffer + 1);
}

/* How far a call has got: everything before PTE @index of entry @entry is answered. */
struct pvb_xen_position {
	uint32_t entry;
	uint32_t index;
};

/* plan.c */

/*
 * pvb_xen_plan() - read the batch from @from on and fill in @c's slots and requests until
 * the work of one call is full. Answers entries as if Xen will refuse nothing. Returns
 * where it stopped.
 */
struct pvb_xen_position pvb_xen_plan(const struct pvb_xen *x, struct pvb_xen_cpu *c,
				     struct pvb_xen_position from);
/* pvb_xen_want() - what PTE @index of @entry has to hold in the end, if it is @cur now. */
uint64_t pvb_xen_want(const struct pvb_entry *entry, uint32_t index, uint64_t cur);
/* pvb_xen_carried() - does a commit of a PTE that is @cur carry A or D that hardware set? */
bool pvb_xen_carried(const struct pvb_entry *entry, uint32_t index, uint64_t cur);
/* pvb_xen_report() - "was young", "was dirty" of a PTE that was @cur at the exchange. */
void pvb_xen_report(struct pvb_xen_cpu *c, const struct pvb_entry *entry, uint32_t index,
		    uint64_t cur);

/* issue.c */

/*
 * pvb_xen_issue() - send the requests of @c, and with @flush what the header asks for
 * after them. Returns @end, or the entry after one that Xen refused: what follows it has
 * not been done.
 */
struct pvb_xen_position pvb_xen_issue(const struct pvb_xen *x, struct pvb_xen_cpu *c,
				      struct pvb_xen_position end);

#endif /* PVBATCH_XEN_INTERNAL_H */
