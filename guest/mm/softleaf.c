// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest mm - change protection of entries that map nothing. Out of line: they are
 * the rare ones. Hardware does not look at them, so a commit is all they need.
 */
#include "internal.h"

/* Is the page that a migration entry stands for anonymous memory? */
static bool is_anon(const struct pvb_mm *mm, uint64_t pte)
{
	struct pvb_folio folio;

	return mm->ops->folio && mm->ops->folio(mm->ctx, pte, &folio) && folio.anon;
}

static uint64_t retype(uint64_t pte, enum pvb_swp_type type, uint64_t keep)
{
	return pvb_swp_make(type, pvb_swp_offset(pte)) | (pte & keep);
}

uint64_t pvb_softleaf_modify(const struct pvb_vma *vma, uint64_t pte, unsigned int flags)
{
	uint64_t new = pte;

	switch (pvb_swp_type(pte)) {
	case PVB_SWP_MIGRATION_WRITE:
		/*
		 * Whether the page may be written is decided where it arrives. Anonymous
		 * pages keep that they are exclusive.
		 */
		new = retype(pte,
			     is_anon(vma->mm, pte) ? PVB_SWP_MIGRATION_READ_EXCLUSIVE :
						     PVB_SWP_MIGRATION_READ,
			     PVB_SWP_SOFT_DIRTY | PVB_SWP_UFFD_WP);
		break;
	case PVB_SWP_DEVICE_WRITE:
		/* Nobody looks for soft-dirty in device memory. */
		new = retype(pte, PVB_SWP_DEVICE_READ, PVB_SWP_UFFD_WP);
		break;
	case PVB_SWP_MARKER:
		/* Poison and guards fault whatever the protection is. */
		if (pvb_swp_offset(pte) == PVB_MARKER_UFFD_WP && (flags & PVB_CP_UFFD_WP_RESOLVE))
			return 0;
		return pte;
	default:
		break;
	}
	if (flags & PVB_CP_UFFD_WP)
		new |= PVB_SWP_UFFD_WP;
	else if (flags & PVB_CP_UFFD_WP_RESOLVE)
		new &= ~PVB_SWP_UFFD_WP;
	return new;
}

uint32_t pvb_change_softleaf(struct pvb_walk *walk, uint64_t *ptep, uint64_t pte,
			     unsigned int flags)
{
	const struct pvb_vma *vma = walk->vma;
	uint64_t new;

	if (pvb_pte_none(pte)) {
		/* A page that is not there yet is to report its first write. */
		if (!(flags & PVB_CP_UFFD_WP) || !(vma->flags & PVB_VM_UFFD_MARKERS))
			return 0;
		pvb_set(walk->c, ptep, pvb_swp_make(PVB_SWP_MARKER, PVB_MARKER_UFFD_WP));
		return 1;
	}
	new = pvb_softleaf_modify(vma, pte, flags);
	if (new == pte)
		return 0;
	pvb_commit(walk->c, ptep, pte, new);
	return 1;
}
