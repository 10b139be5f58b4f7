// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host engine, between validate and apply, and between apply and flush - which
 * page table is mapped, and which of its entries the backend has not been told of.
 *
 * Consecutive entries of one table share the mapping, and runs that touch are told as
 * one: 512 single commits cost the backend one map, one changed and one unmap.
 */
#include "stages.h"

/* table_tell() - hand the collected run to the backend, while its table is mapped. */
static void table_tell(struct pvb_work *work)
{
	if (work->run.nr && work->backend->changed)
		work->backend->changed(work->vcpu->ctx, &work->run);
	work->run.nr = 0;
}

/* pvb_table_drop() - tell what is left and unmap. All that is told is told before a flush. */
void pvb_table_drop(struct pvb_work *work)
{
	if (!work->held)
		return;
	table_tell(work);
	if (work->ptes)
		work->backend->unmap_table(work->vcpu->ctx, work->table, work->ptes);
	work->ptes = NULL;
	work->held = false;
}

/*
 * pvb_table_use() - have the table of @entry (page-aligned, untrusted) at hand: mapped at
 * work->ptes, or, if nothing but its name is needed and the backend knows that case,
 * checked only.
 * PVB_ST_OK, or the backend's reason: PVB_ST_BAD_GPA, PVB_ST_DENIED, PVB_ST_RETRY.
 */
enum pvb_status pvb_table_use(struct pvb_work *work, const struct pvb_entry *entry)
{
	const struct pvb_backend *backend = work->backend;
	bool check = entry->op == PVB_OP_CHANGED && backend->check_table;
	pvb_gpa_t table = pvb_entry_table(entry);
	enum pvb_status status;
	uint64_t *ptes = NULL;

	if (likely(work->held && pvb_gpa_raw(work->table) == pvb_gpa_raw(table) &&
		   (check || work->ptes)))
		return PVB_ST_OK;
	pvb_table_drop(work);
	status = check ? backend->check_table(work->vcpu->ctx, table) :
			 backend->map_table(work->vcpu->ctx, table, &ptes);
	if (status == PVB_ST_OK) {
		work->held = true;
		work->table = table;
		work->ptes = ptes;
	}
	return status;
}

/*
 * pvb_table_changed() - PTEs @first to @first + @nr - 1 of @entry's run are applied.
 *
 * A run with the guest's hint travels alone, as the hint holds for it alone.
 */
void pvb_table_changed(struct pvb_work *work, const struct pvb_entry *entry, uint32_t first,
		       uint32_t nr)
{
	uint32_t slot = pvb_entry_slot(entry) + first;
	struct pvb_changed_run *run = &work->run;
	bool hint = entry->flags & PVB_ENT_HINT;

	if (run->nr && !run->hint && !hint && slot == run->first + run->nr) {
		run->nr += nr;
		return;
	}
	table_tell(work);
	run->table = work->table;
	run->first = slot;
	run->nr = nr;
	run->ptes = work->ptes;
	run->hint = hint;
	run->old = hint ? pvb_pte_advance(entry->old, first) : 0;
	run->new = hint ? pvb_pte_advance(entry->new, first) : 0;
}
