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

/* check_op() - the operation and its flags, as far as they are granted (law 8). */
static enum pvb_status check_op(const struct pvb_work *work, const struct pvb_entry *entry)
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

/* check_result() - do both bitmaps lie between the entries and the buffer's end? */
static enum pvb_status check_result(const struct pvb_work *work, const struct pvb_entry *entry)
{
	uint32_t from = entry->result * 8U; /* at most 512 KiB: no overflow below */
	uint32_t bytes = 2 * pvb_result_words(entry->nr) * 8U;

	if (!(entry->flags & PVB_ENT_RESULT))
		return entry->result ? PVB_ST_BAD_RESULT : PVB_ST_OK;
	if (from < sizeof(struct pvb_batch_hdr) + work->hdr.nr * sizeof(struct pvb_entry))
		return PVB_ST_BAD_RESULT;
	return from + bytes > work->bytes ? PVB_ST_BAD_RESULT : PVB_ST_OK;
}

/* check_shape() - all that depends on nr, op, flags and result alone. */
static enum pvb_status check_shape(const struct pvb_work *work, const struct pvb_entry *entry)
{
	enum pvb_status status = check_op(work, entry);

	if (status != PVB_ST_OK)
		return status;
	if (!entry->nr || entry->nr > PVB_PTES_PER_TABLE)
		return PVB_ST_BAD_NR;
	return check_result(work, entry);
}

/* raw_shape() - nr, op, flags and result as one number, without the host's answer. */
static __always_inline uint64_t raw_shape(const struct pvb_entry *entry)
{
	uint64_t raw = (uint64_t)entry->nr | (uint64_t)entry->op << 16 |
		       (uint64_t)entry->flags << 24 | (uint64_t)entry->result << 32 |
		       (uint64_t)entry->answer << 48; /* so that it is one load */

	return raw & ~(0xffffULL << 48);
}

/* new_shape() - check the shape of @entry and keep the outcome. */
static void new_shape(struct pvb_work *work, const struct pvb_entry *entry)
{
	struct pvb_shape *shape = &work->shape;
	bool fixed = entry->op == PVB_OP_SET && entry->flags & PVB_ENT_FIXED;

	shape->raw = raw_shape(entry);
	shape->status = check_shape(work, entry);
	shape->op = (enum pvb_op)entry->op;
	shape->single = entry->nr == 1 && entry->op != PVB_OP_CHANGED &&
			!(entry->flags & (PVB_ENT_RESULT | PVB_ENT_SOFT));
	shape->hint = entry->flags & PVB_ENT_HINT;
	shape->last = (PVB_PTES_PER_TABLE - entry->nr) * (uint32_t)sizeof(uint64_t);
	shape->span = fixed ? 0 : (uint64_t)(entry->nr - 1) << PVB_PAGE_SHIFT;
}

/* outside() - address bits too high of a template's PFNs, the last one @span bytes on. */
static __always_inline uint64_t outside(uint64_t pte, uint64_t span, uint64_t beyond)
{
	return ((pte & PVB_PTE_PFN_MASK) + span) & beyond;
}

/*
 * fits() - are all PFNs of a template inside the guest's address width? One that is not
 * present may hold anything: swap entries and the like are the guest's business.
 */
static __always_inline bool fits(uint64_t pte, uint64_t outside)
{
	return !outside || !pvb_pte_present(pte);
}

/* check_templates() - old and new are what the operation takes them for. */
static __always_inline enum pvb_status check_templates(enum pvb_op op, uint64_t old, uint64_t new,
						       uint64_t span, uint64_t beyond, bool hint)
{
	uint64_t old_outside = outside(old, span, beyond), new_outside = outside(new, span, beyond);

	switch (op) {
	case PVB_OP_SET:
		if (old)
			return PVB_ST_BAD_PTE;
		return fits(new, new_outside) ? PVB_ST_OK : PVB_ST_BAD_PFN;
	case PVB_OP_COMMIT:
		if (likely(!(old_outside | new_outside)))
			return PVB_ST_OK;
		return fits(old, old_outside) && fits(new, new_outside) ? PVB_ST_OK :
									  PVB_ST_BAD_PFN;
	case PVB_OP_MASK:
		if (old == ~0ULL)
			return new ? PVB_ST_BAD_PTE : PVB_ST_OK;
		return (old | new) & PVB_PTE_PFN_MASK ? PVB_ST_BAD_PTE : PVB_ST_OK;
	default: /* CHANGED: a hint is used by value alone, and never trusted */
		return !hint && (old || new) ? PVB_ST_BAD_PTE : PVB_ST_OK;
	}
}

/*
 * same_shape() - the loop of pvb_validate_run() over entries of a good shape, once for
 * each operation. Returns how many there are until one is bad, or of another shape.
 */
static __always_inline uint32_t same_shape(const struct pvb_work *work,
					   const struct pvb_entry *entry, uint32_t nr,
					   enum pvb_op op, enum pvb_status *status)
{
	const uint64_t beyond = ~((1ULL << work->vcpu->vm->phys_bits) - 1);
	const uint64_t raw = work->shape.raw, span = work->shape.span;
	const uint32_t last = work->shape.last;
	const bool hint = work->shape.hint;
	uint32_t i;

	for (i = 0; i < nr && raw_shape(entry) == raw; i++, entry++) {
		const uint64_t gpa = entry->pte_gpa;

		/* The run lies in one page table inside the address width. */
		if (unlikely(gpa & (beyond | (sizeof(uint64_t) - 1)))) {
			*status = gpa % sizeof(uint64_t) ? PVB_ST_UNALIGNED : PVB_ST_BAD_GPA;
			break;
		}
		if (unlikely((gpa & (PVB_PAGE_SIZE - 1)) > last)) {
			*status = PVB_ST_CROSSES;
			break;
		}
		*status = check_templates(op, entry->old, entry->new, span, beyond, hint);
		if (unlikely(*status != PVB_ST_OK))
			break;
	}
	return i;
}

/*
 * pvb_validate_run() - how many of the @nr >= 1 entries from @index of the chunk on are
 * good, up to the first that is not, or whose shape (nr, op, flags, result) is another.
 * @status: if there is none, the reason to refuse entry @index.
 *
 * Entries of one batch tend to be of one shape. The check of a shape is a pure function
 * of it, so its outcome is kept until the shape changes; nothing goes unchecked.
 */
uint32_t pvb_validate_run(struct pvb_work *work, uint32_t index, uint32_t nr,
			  enum pvb_status *status)
{
	const struct pvb_entry *entry = &work->vcpu->chunk[index];

	if (unlikely(raw_shape(entry) != work->shape.raw))
		new_shape(work, entry);
	*status = work->shape.status;
	if (unlikely(*status != PVB_ST_OK))
		return 0;
	switch (work->shape.op) {
	case PVB_OP_SET:
		return same_shape(work, entry, nr, PVB_OP_SET, status);
	case PVB_OP_COMMIT:
		return same_shape(work, entry, nr, PVB_OP_COMMIT, status);
	case PVB_OP_MASK:
		return same_shape(work, entry, nr, PVB_OP_MASK, status);
	default:
		return same_shape(work, entry, nr, PVB_OP_CHANGED, status);
	}
}
