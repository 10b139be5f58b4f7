// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest, tests - pages that the kernel maps, for the suites to change.
 */
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/tlbflush.h>

#include "test.h"

bool area_reads(const void *at)
{
	u64 value;

	return !copy_from_kernel_nofault(&value, at, sizeof(value));
}

bool area_writes(void *at)
{
	u64 value = 1;

	return !copy_to_kernel_nofault(at, &value, sizeof(value));
}

void *area_page(const struct fixture *f, unsigned int i)
{
	return f->area + i * PAGE_SIZE;
}

pte_t *area_pte(const struct fixture *f, unsigned int i)
{
	unsigned int level;
	pte_t *pte = lookup_address((unsigned long)area_page(f, i), &level);

	return level == PG_LEVEL_4K ? pte : NULL;
}

unsigned int area_run(const struct fixture *f, unsigned int first, unsigned int nr)
{
	const unsigned long slot = (unsigned long)area_pte(f, first) % PAGE_SIZE / sizeof(pte_t);

	return slot + nr <= PTRS_PER_PTE ? first : first + PTRS_PER_PTE - slot;
}

void area_flush(const struct fixture *f, unsigned int first, unsigned int nr)
{
	flush_tlb_kernel_range((unsigned long)area_page(f, first),
			       (unsigned long)area_page(f, first + nr));
}

void area_wrprotect(const struct fixture *f, unsigned int i)
{
	ptep_set_wrprotect(&init_mm, (unsigned long)area_page(f, i), area_pte(f, i));
}

void area_protect(const struct fixture *f, unsigned int i)
{
	static struct vm_area_struct kernel_vma = { .vm_mm = &init_mm };
	unsigned long addr = (unsigned long)area_page(f, i);
	pte_t *pte = area_pte(f, i);
	pte_t old = ptep_modify_prot_start(&kernel_vma, addr, pte);

	ptep_modify_prot_commit(&kernel_vma, addr, pte, old, pte_wrprotect(old));
}

int pvbatch_test_init(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	unsigned int i;

	if (!f)
		return -ENOMEM;
	test->priv = f;
	for (i = 0; i < PAGES; i++) {
		f->pages[i] = alloc_page(GFP_KERNEL);
		if (!f->pages[i])
			return -ENOMEM;
	}
	f->area = vmap(f->pages, PAGES, VM_MAP, PAGE_KERNEL);
	if (!f->area)
		return -ENOMEM;
	for (i = 0; i < PAGES; i++)
		*(u64 *)area_page(f, i) = i; /* the host maps it, A and D are set */
	return 0;
}

void pvbatch_test_exit(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;

	spy_end();
	if (!f)
		return;
	if (f->area)
		vunmap(f->area);
	for (i = 0; i < PAGES; i++)
		if (f->pages[i])
			__free_page(f->pages[i]);
}
