/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: Linux guest - what the kernel's page-table code calls. Patched into pgtable.h,
 * paravirt.h, tlb.c and kvm.c by guest/linux/hook.patch; behind one static key, so that a
 * kernel without a host that offers batches runs nops.
 *
 * Guest-apply mode: a leaf entry changes here and now, with the law of merge.h; what a
 * shadow page table may still hold of it is named to the host in the call that takes the
 * place of the TLB flush. docs/linux.md has the contract.
 */
#ifndef _ASM_X86_PVBATCH_H
#define _ASM_X86_PVBATCH_H

#include <linux/jump_label.h>
#include <asm/pgtable_types.h>

struct mm_struct;
struct vm_area_struct;

#ifdef CONFIG_PVBATCH_GUEST

/* The guest applies, and names what it changes. */
DECLARE_STATIC_KEY_FALSE(pvbatch_naming);

static __always_inline bool pvbatch_names(void)
{
	return static_branch_unlikely(&pvbatch_naming);
}

/*
 * Changes of one leaf entry. @mm: the address space, &init_mm, or NULL if not known; only
 * a hint for which flushes have to wait for what. Called under whatever lock guards the
 * table, in any context but NMI.
 */
void pvbatch_set_pte(pte_t *ptep, pte_t pte);
pte_t pvbatch_get_and_clear(struct mm_struct *mm, pte_t *ptep);
void pvbatch_wrprotect(struct mm_struct *mm, pte_t *ptep, unsigned int nr);
bool pvbatch_clear_young(struct mm_struct *mm, pte_t *ptep);
void pvbatch_commit(struct vm_area_struct *vma, pte_t *ptep, pte_t old, pte_t new,
		    unsigned int nr);

/*
 * Flushes: false if the kernel has to flush by its own means. Interrupts on, as for the
 * flushes that they stand in for.
 */
bool pvbatch_flush_mm(struct mm_struct *mm, unsigned long start, unsigned long end);
bool pvbatch_flush_kernel(unsigned long start, unsigned long end);
/* Everything this task has changed, in any address space. */
bool pvbatch_flush_own(void);

/* A CPU comes up (first call: the boot CPU, which negotiates), goes down. IRQs off. */
void pvbatch_cpu_up(void);
void pvbatch_cpu_down(void);

#else /* CONFIG_PVBATCH_GUEST */

static inline bool pvbatch_names(void)
{
	return false;
}

static inline void pvbatch_set_pte(pte_t *ptep, pte_t pte)
{
}

static inline pte_t pvbatch_get_and_clear(struct mm_struct *mm, pte_t *ptep)
{
	return (pte_t){ 0 };
}

static inline void pvbatch_wrprotect(struct mm_struct *mm, pte_t *ptep, unsigned int nr)
{
}

static inline bool pvbatch_clear_young(struct mm_struct *mm, pte_t *ptep)
{
	return false;
}

static inline void pvbatch_commit(struct vm_area_struct *vma, pte_t *ptep, pte_t old, pte_t new,
				  unsigned int nr)
{
}

static inline bool pvbatch_flush_mm(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	return false;
}

static inline bool pvbatch_flush_kernel(unsigned long start, unsigned long end)
{
	return false;
}

static inline bool pvbatch_flush_own(void)
{
	return false;
}

static inline void pvbatch_cpu_up(void)
{
}

static inline void pvbatch_cpu_down(void)
{
}

#endif /* CONFIG_PVBATCH_GUEST */

#endif /* _ASM_X86_PVBATCH_H */
