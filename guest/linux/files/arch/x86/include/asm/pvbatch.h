/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: Linux guest - what the kernel's page-table code calls. Patched into pgtable.h,
 * paravirt.h, tlb.c, kvm.c and mm/memory.c by guest/linux/hook.patch; behind one static key,
 * so that a kernel without a host that offers batches runs nops.
 *
 * Guest-apply mode, the usual one: a leaf entry changes here and now, with the law of
 * merge.h; what a shadow page table may still hold of it is named to the host in the call
 * that takes the place of the TLB flush. docs/linux.md has the contract.
 */
#ifndef _ASM_X86_PVBATCH_H
#define _ASM_X86_PVBATCH_H

#include <linux/jump_label.h>
#include <asm/pgtable_types.h>

struct mm_struct;
struct vm_area_struct;

#ifdef CONFIG_PVBATCH_GUEST

/* In use, in either mode. */
DECLARE_STATIC_KEY_FALSE(pvbatch_key);

static __always_inline bool pvbatch_on(void)
{
	return static_branch_unlikely(&pvbatch_key);
}

/* On the boot CPU, once: negotiate. */
void pvbatch_init(void);
/* A CPU comes up (the boot CPU too, when there is per-CPU memory), goes down. IRQs off. */
void pvbatch_cpu_up(void);
/* @shutdown: of the whole kernel, which may have crashed. In an interrupt, perhaps. */
void pvbatch_cpu_down(bool shutdown);

#else

static __always_inline bool pvbatch_on(void)
{
	return false;
}

static inline void pvbatch_init(void)
{
}
static inline void pvbatch_cpu_up(void)
{
}
static inline void pvbatch_cpu_down(bool shutdown)
{
}

#endif

/*
 * The rest only if pvbatch_on().
 *
 * Changes of leaf entries, each as the function of Linux it is named after. @mm: the
 * address space, &init_mm, or NULL if not known; only a hint for which flushes have to wait
 * for what. Called under whatever lock guards the table, in any context but NMI.
 */
void pvbatch_set_pte(pte_t *ptep, pte_t pte);
pte_t pvbatch_get_and_clear(struct mm_struct *mm, pte_t *ptep);
void pvbatch_wrprotect(struct mm_struct *mm, pte_t *ptep, unsigned int nr);
bool pvbatch_clear_young(struct mm_struct *mm, pte_t *ptep);
void pvbatch_clear_young_dirty(struct vm_area_struct *vma, pte_t *ptep, unsigned int nr, bool young,
			       bool dirty);
/* A transaction (law 3). */
pte_t pvbatch_start(pte_t *ptep);
void pvbatch_commit(struct vm_area_struct *vma, pte_t *ptep, pte_t old, pte_t new);

/*
 * Flushes: false if the kernel has to flush by its own means. Interrupts on, as for the
 * flushes that they stand in for.
 */
bool pvbatch_flush_mm(struct mm_struct *mm, unsigned long start, unsigned long end);
bool pvbatch_flush_kernel(unsigned long start, unsigned long end);
/* Everything this task has changed, in any address space. */
bool pvbatch_flush_own(void);

/* Under the lock of a table: may the flush of an entry that is replaced come after? */
bool pvbatch_replaces_at_once(void);
#define arch_replaces_ptes_at_once() (pvbatch_on() && pvbatch_replaces_at_once())

#endif /* _ASM_X86_PVBATCH_H */
