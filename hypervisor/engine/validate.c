// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host engine, 2 of 5: validate - refuse what is wrong, and say what is.
 *
 * Before: decode.c. After: apply.c. Every field of the copies is looked at here, on
 * every path: there is no shortcut for "flags only" changes (the lesson of Xen's
 * advisories 148, 167, 182 and 185). What is checked later, because it needs guest
 * memory: that the table is memory a batch may write (table.c).
 */
#include "stages.h"

/* validate_flush() - the five fields of the header that describe a flush. */
static int validate_flush(const struct pvb_work *work)
{
	const struct pvb_batch_hdr *hdr = &work->hdr;
	uint64_t bytes = (uint64_t)hdr->flush_pages << PVB_PAGE_SHIFT;

	if (hdr->flush > PVB_FLUSH_ALL)
		return -PVB_EINVAL;
	if (hdr->flush != PVB_FLUSH_NONE && !(work->features & PVB_F_FLUSH))
		return -PVB_EINVAL;
	if (hdr->flush_flags & ~(hdr->flush == PVB_FLUSH_NONE ? 0U : PVB_FLUSH_FLAGS))
		return -PVB_EINVAL;
	if (hdr->flush != PVB_FLUSH_RANGE)
		return hdr->flush_pages || hdr->flush_va ? -PVB_EINVAL : 0;
	if (!hdr->flush_pages || hdr->flush_va & (PVB_PAGE_SIZE - 1))
		return -PVB_EINVAL;
	/* The last byte of the range, so that a range may end with the address space. */
	if (hdr->flush_va + (bytes - 1) < hdr->flush_va)
		return -PVB_EINVAL;
	return 0;
}

/*
 * pvb_validate_header() - 0, -PVB_EINVAL, or -PVB_E2BIG for a batch or a continuation
 * beyond the registered buffer. The bound is the buffer's real size, never a
 * constant of the ABI (the lesson of CVE-2026-53360).
 */
int pvb_validate_header(const struct pvb_work *work)
{
	const struct pvb_batch_hdr *hdr = &work->hdr;
	int error;

	if (hdr->version != pvb_load(&work->vcpu->vm->version))
		return -PVB_EINVAL;
	if (hdr->reserved0 || hdr->reserved1)
		return -PVB_EINVAL;
	error = validate_flush(work);
	if (error)
		return error;
	if (hdr->nr > PVB_MAX_ENTRIES(work->bytes) || hdr->start > hdr->nr)
		return -PVB_E2BIG;
	if (hdr->skip && (hdr->start == hdr->nr || hdr->skip >= PVB_PTES_PER_TABLE))
		return -PVB_E2BIG;
	return 0;
}

/*
 * pvb_validate_skip() - does the continuation point lie inside @entry, the first of
 * the call? 0 or -PVB_E2BIG.
 */
int pvb_validate_skip(const struct pvb_work *work, const struct pvb_entry *entry)
{
	return work->hdr.skip && work->hdr.skip >= entry->nr ? -PVB_E2BIG : 0;
}

/* validate_op() - the operation and its flags, as far as they are granted (law 8). */
static enum pvb_status validate_op(const struct pvb_work *work, const struct pvb_entry *entry)
{
	uint64_t feature = PVB_F_HOST_APPLY;
	uint8_t flags;

	switch (entry->op) {
	case PVB_OP_SET:
		flags = PVB_ENT_RESULT | PVB_ENT_FIXED;
		break;
	case PVB_OP_COMMIT:
		flags = PVB_ENT_RESULT | PVB_ENT_SOFT;
		break;
	case PVB_OP_MASK:
		flags = PVB_ENT_RESULT;
		break;
	case PVB_OP_CHANGED:
		flags = PVB_ENT_HINT;
		feature = PVB_F_GUEST_APPLY;
		break;
	default:
		return PVB_ST_BAD_OP;
	}
	if (!(work->features & feature))
		return PVB_ST_BAD_OP;
	if (!(work->features & PVB_F_RESULTS))
		flags &= (uint8_t)~PVB_ENT_RESULT;
	return entry->flags & ~flags ? PVB_ST_BAD_FLAGS : PVB_ST_OK;
}

/* validate_place() - does the run lie in one page table inside the address width? */
static enum pvb_status validate_place(const struct pvb_work *work, const struct pvb_entry *entry)
{
	uint32_t first = (entry->pte_gpa & (PVB_PAGE_SIZE - 1)) / sizeof(uint64_t);

	if (!entry->nr || entry->nr > PVB_PTES_PER_TABLE)
		return PVB_ST_BAD_NR;
	if (entry->pte_gpa % sizeof(uint64_t))
		return PVB_ST_UNALIGNED;
	if (first + entry->nr > PVB_PTES_PER_TABLE)
		return PVB_ST_CROSSES;
	if (!pvb_gpa_fits(work->vcpu->vm, entry->pte_gpa, (uint32_t)sizeof(uint64_t)))
		return PVB_ST_BAD_GPA;
	return PVB_ST_OK;
}

/*
 * template_fits() - are the PFNs of all @nr PTEs of a template inside the guest's
 * address width? A template that is not present may hold anything: swap entries and
 * the like are the guest's business.
 */
static bool template_fits(const struct pvb_work *work, uint64_t pte, uint32_t nr)
{
	return !pvb_pte_present(pte) || pvb_pte_run_pfn_ok(pte, nr, work->vcpu->vm->phys_bits);
}

/* validate_templates() - old and new, by what the operation takes them for. */
static enum pvb_status validate_templates(const struct pvb_work *work,
					  const struct pvb_entry *entry)
{
	uint32_t nr = entry->nr;

	switch (entry->op) {
	case PVB_OP_SET:
		if (entry->old)
			return PVB_ST_BAD_PTE;
		if (entry->flags & PVB_ENT_FIXED)
			nr = 1;
		return template_fits(work, entry->new, nr) ? PVB_ST_OK : PVB_ST_BAD_PFN;
	case PVB_OP_COMMIT:
		return template_fits(work, entry->old, nr) && template_fits(work, entry->new, nr) ?
			       PVB_ST_OK :
			       PVB_ST_BAD_PFN;
	case PVB_OP_MASK:
		if (entry->old == ~0ULL)
			return entry->new ? PVB_ST_BAD_PTE : PVB_ST_OK;
		return (entry->old | entry->new) & PVB_PTE_PFN_MASK ? PVB_ST_BAD_PTE : PVB_ST_OK;
	default: /* CHANGED: a hint is used by value alone, and never trusted */
		if (entry->flags & PVB_ENT_HINT)
			return PVB_ST_OK;
		return entry->old || entry->new ? PVB_ST_BAD_PTE : PVB_ST_OK;
	}
}

/* validate_result() - do both bitmaps lie between the entries and the buffer's end? */
static enum pvb_status validate_result(const struct pvb_work *work, const struct pvb_entry *entry)
{
	uint32_t from = entry->result * 8U; /* at most 512 KiB: no overflow below */
	uint32_t bytes = 2 * pvb_result_words(entry->nr) * 8U;

	if (!(entry->flags & PVB_ENT_RESULT))
		return entry->result ? PVB_ST_BAD_RESULT : PVB_ST_OK;
	if (from < sizeof(struct pvb_batch_hdr) + work->hdr.nr * sizeof(struct pvb_entry))
		return PVB_ST_BAD_RESULT;
	return from + bytes > work->bytes ? PVB_ST_BAD_RESULT : PVB_ST_OK;
}

/* pvb_validate_entry() - PVB_ST_OK, or the first reason to refuse @entry, a host copy. */
enum pvb_status pvb_validate_entry(const struct pvb_work *work, const struct pvb_entry *entry)
{
	enum pvb_status status;

	status = validate_op(work, entry);
	if (status == PVB_ST_OK)
		status = validate_place(work, entry);
	if (status == PVB_ST_OK)
		status = validate_templates(work, entry);
	if (status == PVB_ST_OK)
		status = validate_result(work, entry);
	return status;
}
