// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host, Xen's ABI - HYPERVISOR_mmu_update. Each request becomes an entry of one PTE
 * and goes through the engine's validate and apply, which alone write PTEs:
 *
 *   NORMAL, NO_TRANSLATE   PVB_OP_SET
 *   PRESERVE_AD            PVB_OP_COMMIT whose old is what the entry is, without A and D: so
 *                          the merge (merge.h) keeps whatever A and D it has by then
 *
 * Requests are carried out in order up to the first that fails.
 */
#include <engine/stages.h>

#include "handler.h"

/* A guest that changes an entry under our eyes makes us look again, and only so often. */
#define PRESERVE_TRIES 16U

static int64_t error_of(enum pvb_status status)
{
	switch (status) {
	case PVB_ST_OK:
		return 0;
	case PVB_ST_CONFLICT:
	case PVB_ST_RETRY:
		return -XEN_EBUSY;
	case PVB_ST_BAD_PFN: /* to Xen: device memory that is not the domain's */
		return -XEN_EPERM;
	default: /* no RAM, or no memory for tables */
		return -XEN_EINVAL;
	}
}

static enum pvb_status apply(struct pvb_work *work, struct pvb_entry *entry)
{
	enum pvb_status status;
	uint32_t at = 0;

	if (!pvb_validate_run(work, 0, 1, &status))
		return status;
	status = pvb_table_use(work, entry);
	if (status != PVB_ST_OK)
		return status;
	status = pvb_apply(work, entry, &at, 1);
	if (status == PVB_ST_OK)
		pvb_table_changed(work, entry, 0, 1);
	return status;
}

static enum pvb_status set(struct pvb_work *work, uint64_t gpa, uint64_t val)
{
	struct pvb_entry *entry = &work->vcpu->chunk[0];

	*entry = (struct pvb_entry){ .pte_gpa = gpa, .new = val, .nr = 1, .op = PVB_OP_SET };
	return apply(work, entry);
}

static enum pvb_status preserve(struct pvb_work *work, uint64_t gpa, uint64_t val)
{
	struct pvb_entry *entry = &work->vcpu->chunk[0];
	enum pvb_status status = PVB_ST_CONFLICT;

	*entry = (struct pvb_entry){ .pte_gpa = gpa, .new = val, .nr = 1, .op = PVB_OP_COMMIT };
	if (!pvb_validate_run(work, 0, 1, &status))
		return status;
	status = pvb_table_use(work, entry);
	for (unsigned int i = 0; status == PVB_ST_OK && i < PRESERVE_TRIES; i++) {
		entry->old = pvb_load(&work->ptes[pvb_entry_slot(entry)]) & ~PVB_PTE_AD;
		/* What the entry is need not be what the engine would let it become. */
		if (pvb_pte_present(entry->old) &&
		    entry->old & PVB_PTE_PFN_MASK & ~((1ULL << work->vcpu->vm->phys_bits) - 1))
			return PVB_ST_BAD_PFN;
		status = apply(work, entry);
		if (status != PVB_ST_CONFLICT)
			return status;
		status = PVB_ST_OK;
	}
	return status == PVB_ST_OK ? PVB_ST_CONFLICT : status;
}

/* There is no machine-to-phys table: frames are what the guest says they are. */
static int64_t machphys(struct pvb_work *work, uint64_t machine, uint64_t pfn)
{
	const struct pvb_backend *backend = work->backend;
	uint64_t probe;

	if (backend->read_guest(work->vcpu->ctx, pvb_gpa(machine & ~(PVB_PAGE_SIZE - 1)), &probe,
				sizeof(probe)))
		return -XEN_EINVAL;
	return pfn == machine >> PVB_PAGE_SHIFT ? 0 : -XEN_EINVAL;
}

static int64_t one_request(struct pvb_work *work, const struct mmu_update *request)
{
	uint64_t command = request->ptr & (sizeof(uint64_t) - 1);
	uint64_t gpa = request->ptr - command;

	switch (command) {
	case MMU_NORMAL_PT_UPDATE:
	case MMU_PT_UPDATE_NO_TRANSLATE:
		return error_of(set(work, gpa, request->val));
	case MMU_PT_UPDATE_PRESERVE_AD:
		return error_of(preserve(work, gpa, request->val));
	case MMU_MACHPHYS_UPDATE:
		return machphys(work, gpa, request->val);
	default:
		return -XEN_ENOSYS;
	}
}

/* Copy the next requests, as many as are there. Returns how many. */
static uint32_t copy_requests(struct xen_vcpu *v, uint64_t va, uint32_t nr)
{
	uint32_t bytes = (uint32_t)sizeof(v->requests[0]);

	if (nr > XEN_CHUNK)
		nr = XEN_CHUNK;
	if (!v->backend->read_va(v->ctx, va, v->requests, nr * bytes))
		return nr;
	/* One of them is not: those before it count. */
	for (uint32_t i = 0; i < nr; i++)
		if (v->backend->read_va(v->ctx, va + i * bytes, &v->requests[i], bytes))
			return i;
	return nr;
}

int64_t xen_mmu_update(struct xen_vcpu *v, const struct xen_array *a)
{
	struct pvb_work work = {
		.vcpu = &v->engine,
		.backend = v->engine.vm->backend,
		.features = v->engine.vm->features,
		.shape.raw = ~0ULL, /* of no entry */
	};
	int64_t result = 0;
	uint32_t done = 0;

	while (!result && done < a->count && !v->backend->ending(v->ctx)) {
		uint32_t nr =
			copy_requests(v, a->va + done * sizeof(struct mmu_update), a->count - done);

		if (!nr)
			result = -XEN_EFAULT;
		for (uint32_t i = 0; i < nr && !result; i++) {
			result = one_request(&work, &v->requests[i]);
			done += !result;
		}
	}
	pvb_table_drop(&work);
	v->updates += done;
	return xen_array_close(v, a, done, result);
}
