/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: guest mm - the arm64 PTE. Include mm-pte.h, which says what is what.
 *
 * Software bits are ours: special 56, uffd-wp 57, soft-dirty 58. An entry without the
 * valid bit is mapped but not accessible if bit 11 (not global) is set.
 */
#ifndef PVBATCH_MM_PTE_ARM64_H
#define PVBATCH_MM_PTE_ARM64_H

#define PVB_LEVELS_MAX 4
#define PVB_CONT_PTES 16U

#define PVB_PTE_SPECIAL PVB_PTE_SOFT0
#define PVB_PTE_UFFD_WP PVB_PTE_SOFT1
#define PVB_PTE_SOFT_DIRTY PVB_PTE_SOFT2
#define PVB_ENT_SOFT_DIRTY PVB_ENT_SOFT2
#define PVB_PTE_PROTNONE PVB_PTE_NG /* where P is clear */
#define PVB_PTE_SOFTWARE (PVB_PTE_SOFT0 | PVB_PTE_SOFT1 | PVB_PTE_SOFT2 | PVB_PTE_SOFT3 | PVB_PTE_D)

/* Bits that a change of permissions replaces; a leaf of level 2 has TYPE_PAGE clear. */
#define PVB_PTE_PERMISSIONS                                                                \
	(PVB_PTE_P | PVB_PTE_U | PVB_PTE_RDONLY | PVB_PTE_NG | PVB_PTE_DBM | PVB_PTE_PXN | \
	 PVB_PTE_UXN)

/* What the architecture overrides of mm-ptes.h; with PVB_MM_GENERIC, for comparison, nothing. */
#ifndef PVB_MM_GENERIC
#define pvb_arch_modify_prot_start_ptes pvb_contpte_modify_prot_start_ptes
#define pvb_arch_modify_prot_commit_ptes pvb_contpte_modify_prot_commit_ptes
#define pvb_arch_set_new_ptes pvb_contpte_set_new_ptes
#define pvb_arch_wrprotect_ptes pvb_contpte_wrprotect_ptes
#define pvb_arch_clear_young_dirty_ptes pvb_contpte_clear_young_dirty_ptes
#define pvb_arch_get_and_clear_full_ptes pvb_contpte_get_and_clear_full_ptes
#endif

static inline uint64_t pvb_prot(unsigned int prot)
{
	uint64_t bits = PVB_PTE_TYPE_PAGE | PVB_PTE_SHARED | PVB_PTE_RDONLY | PVB_PTE_NG |
			PVB_PTE_PXN;

	if (!prot)
		return bits | PVB_PTE_UXN; /* PROTNONE is NG without P */
	bits |= PVB_PTE_P | PVB_PTE_U;
	if (prot & PVB_PROT_WRITE)
		bits |= PVB_PTE_DBM;
	if (!(prot & PVB_PROT_EXEC))
		bits |= PVB_PTE_UXN;
	return bits;
}

/* pvb_pte_mapped() - does the entry map a page, accessible or not? */
static inline bool pvb_pte_mapped(uint64_t pte)
{
	return pte & (PVB_PTE_P | PVB_PTE_PROTNONE);
}

static inline bool pvb_pte_protnone(uint64_t pte)
{
	return (pte & (PVB_PTE_P | PVB_PTE_PROTNONE)) == PVB_PTE_PROTNONE;
}

static inline bool pvb_pte_write(uint64_t pte)
{
	return pte & PVB_PTE_DBM;
}

static inline bool pvb_pte_user(uint64_t pte)
{
	return pte & PVB_PTE_U;
}

static inline uint64_t pvb_pte_mkyoung(uint64_t pte)
{
	return pte | PVB_PTE_A;
}

static inline uint64_t pvb_pte_mkold(uint64_t pte)
{
	return pte & ~PVB_PTE_A;
}

static inline uint64_t pvb_pte_mkdirty(uint64_t pte)
{
	return pvb_pte_carry(pte, PVB_PTE_D);
}

static inline uint64_t pvb_pte_mkclean(uint64_t pte)
{
	pte &= ~PVB_PTE_D;
	return pte & PVB_PTE_DBM ? pte | PVB_PTE_RDONLY : pte;
}

static inline uint64_t pvb_pte_mkwrite(uint64_t pte)
{
	/* Dirty in software becomes dirty in hardware: a write need not find it out again. */
	if (pte & PVB_PTE_D)
		pte &= ~(PVB_PTE_RDONLY | PVB_PTE_D);
	return pte | PVB_PTE_DBM;
}

/* pvb_pte_wrprotect() - not writable any more; dirty stays, in the software bit. */
static inline uint64_t pvb_pte_wrprotect(uint64_t pte)
{
	if (pvb_pte_dirty(pte))
		pte |= PVB_PTE_D;
	return (pte & ~PVB_PTE_DBM) | PVB_PTE_RDONLY;
}

/* pvb_pte_modify() - other permissions; page, A, D and software bits stay. */
static inline uint64_t pvb_pte_modify(uint64_t pte, uint64_t prot)
{
	bool dirty = pvb_pte_dirty(pte);

	pte = (pte & ~(PVB_PTE_PERMISSIONS | PVB_PTE_D)) | (prot & PVB_PTE_PERMISSIONS);
	return dirty ? pvb_pte_mkdirty(pte) : pte;
}

static inline bool pvb_pte_soft_dirty(uint64_t pte)
{
	return pte & PVB_PTE_SOFT_DIRTY;
}

static inline uint64_t pvb_pte_mksoft_dirty(uint64_t pte)
{
	return pte | PVB_PTE_SOFT_DIRTY;
}

static inline uint64_t pvb_pte_clear_soft_dirty(uint64_t pte)
{
	return pte & ~PVB_PTE_SOFT_DIRTY;
}

static inline bool pvb_pte_uffd_wp(uint64_t pte)
{
	return pte & PVB_PTE_UFFD_WP;
}

/* An entry that is to report writes is not writable. */
static inline uint64_t pvb_pte_mkuffd_wp(uint64_t pte)
{
	return pvb_pte_wrprotect(pte | PVB_PTE_UFFD_WP);
}

static inline uint64_t pvb_pte_clear_uffd_wp(uint64_t pte)
{
	return pte & ~PVB_PTE_UFFD_WP;
}

static inline bool pvb_pte_special(uint64_t pte)
{
	return pte & PVB_PTE_SPECIAL;
}

static inline uint64_t pvb_pte_mkspecial(uint64_t pte)
{
	return pte | PVB_PTE_SPECIAL;
}

static inline bool pvb_pte_cont(uint64_t pte)
{
	return (pte & (PVB_PTE_P | PVB_PTE_CONT)) == (PVB_PTE_P | PVB_PTE_CONT);
}

static inline uint64_t pvb_pte_mkcont(uint64_t pte)
{
	return pte | PVB_PTE_CONT;
}

static inline uint64_t pvb_pte_mknoncont(uint64_t pte)
{
	return pte & ~PVB_PTE_CONT;
}

/* pvb_pte_leaf() - is this entry of level 2 or above a page (block) itself? */
static inline bool pvb_pte_leaf(uint64_t pte)
{
	return pvb_pte_mapped(pte) && !(pte & PVB_PTE_TYPE_PAGE);
}

/* pvb_pte_mkleaf() - a small page's entry as one of level 2, and the reverse. */
static inline uint64_t pvb_pte_mkleaf(uint64_t pte)
{
	return pte & ~PVB_PTE_TYPE_PAGE;
}

static inline uint64_t pvb_pte_unleaf(uint64_t pte)
{
	return pte | PVB_PTE_TYPE_PAGE;
}

/* pvb_pte_of_table() - an upper entry that leads to the table at @gpa; permits everything. */
static inline uint64_t pvb_pte_of_table(uint64_t gpa)
{
	return gpa | PVB_PTE_P | PVB_PTE_TYPE_PAGE;
}

/*
 * pvb_pte_needs_flush() - may a TLB hold what @new no longer says? Hardware caches valid
 * entries alone; A and D that appear, and bits it ignores, are no reason (law 4).
 */
static inline bool pvb_pte_needs_flush(uint64_t old, uint64_t new)
{
	uint64_t ignored = PVB_PTE_SOFTWARE | (new &PVB_PTE_A);

	if ((new &PVB_PTE_DBM) && !(new &PVB_PTE_RDONLY))
		ignored |= PVB_PTE_RDONLY;
	return (old & PVB_PTE_P) && ((old ^ new) & ~ignored);
}

/*
 * pvb_clean_masks() - PVB_CLEAR_* as bits to clear and bits to set. For entries as
 * pvb_prot() makes them: one that DBM does not call writable has AP[2] set anyway.
 */
static inline void pvb_clean_masks(unsigned int flags, uint64_t *clear, uint64_t *set)
{
	*clear = (flags & PVB_CLEAR_YOUNG ? PVB_PTE_A : 0) |
		 (flags & PVB_CLEAR_DIRTY ? PVB_PTE_D : 0);
	*set = flags & PVB_CLEAR_DIRTY ? PVB_PTE_RDONLY : 0;
}

#endif /* PVBATCH_MM_PTE_ARM64_H */
