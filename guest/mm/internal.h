/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: guest mm - what its files share and nobody else uses.
 *
 *   protect.c, clean.c            what callers want done to a range
 *      |  walk.c, huge.c          which tables that is, under which lock, flushed when
 *      |  batch.c, softleaf.c     which entries go together; those that map nothing
 *   ptes.c, contpte.c, generic.c  operations on runs of entries
 */
#ifndef PVBATCH_MM_INTERNAL_H
#define PVBATCH_MM_INTERNAL_H

#include <pvbatch/mm.h>

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* @pte without A and D: a template whose entries keep their own (law 1). */
static inline uint64_t pvb_pte_without_ad(uint64_t pte)
{
	return pvb_pte_mkold(pvb_pte_mkclean(pte));
}

/*
 * pvb_softleaf_modify() - what the soft leaf @pte becomes by a change of protection: of a
 * page, or of as many as a huge entry maps. @pte if it stays, 0 if nothing is left.
 */
uint64_t pvb_softleaf_modify(const struct pvb_vma *vma, uint64_t pte, unsigned int flags);

/*
 * pvb_change_softleaf() - change protection of an entry that maps nothing: a swapped-out
 * or migrating page, a marker, or none. Returns the number of pages changed, 0 or 1.
 */
uint32_t pvb_change_softleaf(struct pvb_walk *walk, uint64_t *ptep, uint64_t pte,
			     unsigned int flags);

#endif /* PVBATCH_MM_INTERNAL_H */
