/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: guest mm - operations on PTEs and on runs of PTEs: the transactions of seeds 2
 * and 0, the batch helpers of seed 1. Above guest/core's queue, below the walks in mm.h.
 *
 * All run on @c's CPU, under the lock of the page table, with preemption off. @addr is the
 * virtual address that the first entry maps, page-aligned; @nr entries (1..512) lie in one
 * page table. A run that is empty, misaligned, leaves its table, or whose @addr does not
 * belong to its slot gives -PVB_EINVAL (or 0, where an entry is returned): nothing is
 * written then. In lazy mode changes may be queued.
 *
 * Forms of each:
 *
 *   pvb_NAME()           what callers use; a batch of one costs what a single entry costs
 *   pvb_arch_NAME        the architecture's override: a macro in its mm-pte header
 *   pvb_generic_NAME()   a loop over single entries: the default for an architecture that
 *                        overrides nothing, and the oracle for one that does
 *   pvb_batched_NAME()   a run at a time, for formats without contiguous blocks (ptes.c)
 *   pvb_contpte_NAME()   the same for formats with them (contpte.c)
 *
 * Built with PVB_MM_DEBUG, transactions are checked for exact pairing and for the lock,
 * on CPUs for which pvb_mm_debug() was called.
 */
#ifndef PVBATCH_MM_PTES_H
#define PVBATCH_MM_PTES_H

#include <pvbatch/guest.h>
#include <pvbatch/mm-pte.h>

/* Transactions that may be open at once on a CPU (in debug builds). */
#define PVB_OPEN_MAX 8U

/* struct pvb_mm_debug - the checks' memory for one CPU. Fill in bug and locked. */
struct pvb_mm_debug {
	/* A rule is broken; the operation at hand is not carried out. May not return. */
	void (*bug)(void *ctx, const char *what, const uint64_t *ptep);
	/* Is the lock of @ptep's page table held? NULL: not checked. */
	bool (*locked)(void *ctx, const uint64_t *ptep);
	void *ctx;
	struct {
		const uint64_t *ptep;
		uint32_t nr;
	} open[PVB_OPEN_MAX]; /* started and not yet committed; nr = 0: free */
	uint64_t checked; /* transactions */
};

/* pvb_mm_debug() - check transactions on @c from now on; NULL: no more. */
void pvb_mm_debug(struct pvb_cpu *c, struct pvb_mm_debug *debug);
/* pvb_mm_debug_idle() - nothing may be open now: before a lock is dropped. */
void pvb_mm_debug_idle(struct pvb_cpu *c);
/* For the transactions below: false if the rule is broken and nothing may be done. */
bool pvb_debug_start(struct pvb_cpu *c, const uint64_t *ptep, uint32_t nr);
bool pvb_debug_commit(struct pvb_cpu *c, const uint64_t *ptep, uint32_t nr);

#ifdef PVB_MM_DEBUG
#define pvb_debugging(c) ((c)->debug)
#else
#define pvb_debugging(c) (false && (c))
#endif

/* pvb_pte_valid() - is @ptep aligned, in the slot of page-aligned @addr? */
static inline bool pvb_pte_valid(uint64_t addr, const uint64_t *ptep)
{
	/* The entry's place in its table is the low 12 bits of addr >> 9, if addr is aligned. */
	uint64_t place = addr >> (PVB_PAGE_SHIFT - 3);

	return !(((place ^ (uintptr_t)ptep) | addr) % PVB_PAGE_SIZE);
}

/* pvb_ptes_valid() - see the head of this file. */
static inline bool pvb_ptes_valid(uint64_t addr, const uint64_t *ptep, uint32_t nr)
{
	return pvb_pte_valid(addr, ptep) && nr - 1 < PVB_PTES_PER_TABLE - pvb_pte_index(addr, 1);
}

/*
 * Transactions.
 */

/*
 * pvb_ptep_modify_prot_start() - begin a read-modify-write of one entry that hardware may
 * change at any time: returns the entry, which stays in place and in use (law 3). A plain
 * read: outside of builds with PVB_MM_DEBUG a bad place is noticed by the commit.
 *
 * Start and commit pair exactly, under the lock.
 */
uint64_t pvb_generic_ptep_modify_prot_start(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep);

/*
 * pvb_ptep_modify_prot_commit() - end it. @old: what start returned; @new: what to store.
 * The A and D that hardware set since start survive (law 1). May be queued.
 */
int pvb_generic_ptep_modify_prot_commit(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					uint64_t old, uint64_t new);

/*
 * pvb_modify_prot_start_ptes() - begin a transaction over a run: the first entry, with the
 * A and D of the whole run folded in. The entries map consecutive pages and differ in A
 * and D alone (and in what commit's @soft says). @nr = 0 or a bad run: 0.
 */
uint64_t pvb_generic_modify_prot_start_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					    uint32_t nr);

/*
 * pvb_modify_prot_commit_ptes() - end it. @old and @new are templates for the first
 * entry: from entry to entry the PFN advances in both, and nothing else. Entries may have
 * gained A and D since start.
 * @soft: PVB_ENT_SOFT* in which the entries differ, each keeping its own.
 * A run may be committed in pieces, one after the other.
 */
int pvb_generic_modify_prot_commit_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					uint64_t old, uint64_t new, uint32_t nr, uint8_t soft);

/*
 * Batch helpers.
 */

/* pvb_set_new_ptes() - map @nr consecutive pages where nothing was mapped. (Linux: set_ptes) */
int pvb_generic_set_new_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint64_t pte,
			     uint32_t nr);

/*
 * pvb_wrprotect_ptes() - make mapped entries of the run not writable; all else, dirty
 * included, stays. For fork. Flushing is the caller's.
 */
int pvb_generic_wrprotect_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint32_t nr);

/*
 * pvb_clear_young_dirty_ptes() - make mapped entries of the run old, clean or both.
 * @flags: PVB_CLEAR_*. The entries may differ in anything. For MADV_FREE and for
 * aging; where the bits that were there are wanted, put it between pvb_collect_begin()
 * and pvb_collect_end(). Flushing is the caller's.
 */
int pvb_generic_clear_young_dirty_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
				       uint32_t nr, unsigned int flags);

/*
 * pvb_get_and_clear_full_ptes() - unmap a run. Returns the first entry with the A and D
 * of all, as they were when each was cleared: none that hardware set is lost. Not between
 * pvb_collect_begin() and pvb_collect_end(). A call of its own where the host applies; a
 * bad run gives 0. Flushing is the caller's.
 */
uint64_t pvb_generic_get_and_clear_full_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					     uint32_t nr);

/* The batched forms of these, for formats without contiguous blocks. */
int pvb_batched_modify_prot_commit_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					uint64_t old, uint64_t new, uint32_t nr, uint8_t soft);
uint64_t pvb_batched_modify_prot_start_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					    uint32_t nr);
int pvb_batched_set_new_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint64_t pte,
			     uint32_t nr);
int pvb_batched_wrprotect_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint32_t nr);
int pvb_batched_clear_young_dirty_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
				       uint32_t nr, unsigned int flags);
uint64_t pvb_batched_get_and_clear_full_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					     uint32_t nr);

#ifdef PVB_PTE_CONT
#include <pvbatch/mm-contpte.h>
#endif

#ifndef pvb_arch_modify_prot_start_ptes
#define pvb_arch_modify_prot_start_ptes pvb_generic_modify_prot_start_ptes
#endif
#ifndef pvb_arch_modify_prot_commit_ptes
#define pvb_arch_modify_prot_commit_ptes pvb_generic_modify_prot_commit_ptes
#endif
#ifndef pvb_arch_set_new_ptes
#define pvb_arch_set_new_ptes pvb_generic_set_new_ptes
#endif
#ifndef pvb_arch_wrprotect_ptes
#define pvb_arch_wrprotect_ptes pvb_generic_wrprotect_ptes
#endif
#ifndef pvb_arch_clear_young_dirty_ptes
#define pvb_arch_clear_young_dirty_ptes pvb_generic_clear_young_dirty_ptes
#endif
#ifndef pvb_arch_get_and_clear_full_ptes
#define pvb_arch_get_and_clear_full_ptes pvb_generic_get_and_clear_full_ptes
#endif

/* pvb_ptep_get() - one entry, with A and D of the block it is part of, without the block. */
static inline uint64_t pvb_ptep_get(struct pvb_cpu *c, const uint64_t *ptep)
{
	uint64_t pte = pvb_read(c, ptep);

#ifdef PVB_PTE_CONT
	if (pvb_unlikely(pvb_pte_cont(pte)))
		return pvb_contpte_ptep_get(c, ptep, pte);
#endif
	return pte;
}

static inline uint64_t pvb_ptep_modify_prot_start(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep)
{
	if (pvb_debugging(c) && (!pvb_pte_valid(addr, ptep) || !pvb_debug_start(c, ptep, 1)))
		return 0;
	(void)addr;
	return pvb_ptep_get(c, ptep);
}

/* 0, or -PVB_EINVAL for a bad place; in builds with PVB_MM_DEBUG for an unpaired commit, too. */
static inline int pvb_ptep_modify_prot_commit(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					      uint64_t old, uint64_t new)
{
	if (pvb_unlikely(!pvb_pte_valid(addr, ptep)))
		return -PVB_EINVAL;
	if (pvb_debugging(c) && !pvb_debug_commit(c, ptep, 1))
		return -PVB_EINVAL;
#ifdef PVB_PTE_CONT
	if (pvb_unlikely(pvb_pte_cont(pvb_read(c, ptep))))
		pvb_contpte_unfold(c, addr, ptep);
#endif
	pvb_commit(c, ptep, old, new);
	return 0;
}

/*
 * In the following a batch of one is a single entry and nothing else: with a constant @nr
 * of 1 the compiler leaves no more of it.
 */

static inline uint64_t pvb_modify_prot_start_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
						  uint32_t nr)
{
	if (nr == 1)
		return pvb_ptep_modify_prot_start(c, addr, ptep);
	if (pvb_debugging(c) && !pvb_debug_start(c, ptep, nr))
		return 0;
	return pvb_arch_modify_prot_start_ptes(c, addr, ptep, nr);
}

static inline int pvb_modify_prot_commit_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					      uint64_t old, uint64_t new, uint32_t nr, uint8_t soft)
{
	/* With @soft one entry may be a piece of a run, and its template another entry's. */
	if (nr == 1 && !soft)
		return pvb_ptep_modify_prot_commit(c, addr, ptep, old, new);
	if (pvb_debugging(c) && !pvb_debug_commit(c, ptep, nr))
		return -PVB_EINVAL;
	return pvb_arch_modify_prot_commit_ptes(c, addr, ptep, old, new, nr, soft);
}

static inline int pvb_set_new_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint64_t pte,
				   uint32_t nr)
{
	if (nr == 1)
		return pvb_generic_set_new_ptes(c, addr, ptep, pte, 1);
	return pvb_arch_set_new_ptes(c, addr, ptep, pte, nr);
}

static inline int pvb_wrprotect_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep, uint32_t nr)
{
	if (nr == 1)
		return pvb_generic_wrprotect_ptes(c, addr, ptep, 1);
	return pvb_arch_wrprotect_ptes(c, addr, ptep, nr);
}

static inline int pvb_clear_young_dirty_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
					     uint32_t nr, unsigned int flags)
{
	if (nr == 1)
		return pvb_generic_clear_young_dirty_ptes(c, addr, ptep, 1, flags);
	return pvb_arch_clear_young_dirty_ptes(c, addr, ptep, nr, flags);
}

/* pvb_mkold_clean_ptes() - the name under which both together were first proposed. */
static inline int pvb_mkold_clean_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
				       uint32_t nr)
{
	return pvb_clear_young_dirty_ptes(c, addr, ptep, nr, PVB_CLEAR_YOUNG | PVB_CLEAR_DIRTY);
}

static inline uint64_t pvb_get_and_clear_full_ptes(struct pvb_cpu *c, uint64_t addr, uint64_t *ptep,
						   uint32_t nr)
{
	if (nr == 1)
		return pvb_generic_get_and_clear_full_ptes(c, addr, ptep, 1);
	return pvb_arch_get_and_clear_full_ptes(c, addr, ptep, nr);
}

#endif /* PVBATCH_MM_PTES_H */
