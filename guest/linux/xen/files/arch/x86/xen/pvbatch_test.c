// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest on Xen PV, tests - KUnit, on the kernel's own mappings and the Xen
 * there is. Run at boot with kunit.enable=1 kunit.filter_glob=xen_pvbatch on the command
 * line. Entries are prepared by hypercalls, changed the way Linux changes them, at once and
 * in lazy MMU mode, and A and D in them are set by the CPU itself.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>
#include <asm/tlbflush.h>
#include <asm/xen/hypercall.h>
#include <asm/xen/page.h>
#include <xen/xen.h>

#include "xen-ops.h"
#include "pvbatch.h"

#define PAGES 1300U /* more than two leaf tables, and than two queues */
#define AD (_PAGE_ACCESSED | _PAGE_DIRTY)
#define LOOKED_AT (AD | _PAGE_RW | _PAGE_PRESENT)

/* The transaction's tracepoints want to know whose entries these are. */
static struct vm_area_struct area = { .vm_mm = &init_mm };

static void *page_at(struct kunit *test, unsigned int i)
{
	return test->priv + i * PAGE_SIZE;
}

static pte_t *pte_of(struct kunit *test, unsigned int i)
{
	unsigned int level;

	return lookup_address((unsigned long)page_at(test, i), &level);
}

/* Linux keeps the D of an entry that is not writable in another bit. */
static pteval_t flags_of(struct kunit *test, unsigned int i)
{
	pteval_t pte = READ_ONCE(pte_of(test, i)->pte);

	return (pte & LOOKED_AT) | (pte & _PAGE_SAVED_DIRTY ? _PAGE_DIRTY : 0);
}

static void put_raw(struct kunit *test, unsigned int i, pteval_t pte)
{
	struct mmu_update u = {
		.ptr = virt_to_machine(pte_of(test, i)).maddr | MMU_NORMAL_PT_UPDATE,
		.val = pte,
	};

	KUNIT_ASSERT_EQ(test, 0, HYPERVISOR_mmu_update(&u, 1, NULL, DOMID_SELF));
}

/* Writable, with A and D as in @ad, for all CPUs. */
static void put(struct kunit *test, unsigned int first, unsigned int nr, pteval_t ad)
{
	for (unsigned int i = first; i < first + nr; i++)
		put_raw(test, i,
			(pte_of(test, i)->pte & ~(AD | _PAGE_SAVED_DIRTY)) | ad | _PAGE_RW |
				_PAGE_PRESENT);
	flush_tlb_kernel_range((unsigned long)page_at(test, first),
			       (unsigned long)page_at(test, first + nr));
}

static void write_page(struct kunit *test, unsigned int i)
{
	WRITE_ONCE(*(u64 *)page_at(test, i), i);
}

static void read_page(struct kunit *test, unsigned int i)
{
	(void)READ_ONCE(*(u64 *)page_at(test, i));
}

static void enter(bool lazy)
{
	preempt_disable();
	if (lazy)
		arch_enter_lazy_mmu_mode();
}

static void leave(bool lazy)
{
	if (lazy)
		arch_leave_lazy_mmu_mode();
	preempt_enable();
}

static int area_init(struct kunit *test)
{
	if (!xen_pv_domain())
		kunit_skip(test, "no PV domain");
	test->priv = vmalloc(PAGES * PAGE_SIZE);
	return test->priv ? 0 : -ENOMEM;
}

static void area_exit(struct kunit *test)
{
	if (test->priv)
		put(test, 0, PAGES, AD);
	vfree(test->priv);
}

/* Upstream's commit on Xen, whatever pvbatch says: what is dirty stays so. */
static void test_upstream_cannot_clean(struct kunit *test)
{
	pte_t old;

	put(test, 0, 1, AD);
	old = ptep_modify_prot_start(&area, 0, pte_of(test, 0));
	pv_ops.mmu.ptep_modify_prot_commit(&area, 0, pte_of(test, 0), pte_mkclean(old));
	KUNIT_EXPECT_EQ(test, flags_of(test, 0) & AD, AD);
}

/* The same transaction through pvbatch cleans, and loses nothing. */
static void commits(struct kunit *test, bool lazy)
{
	pte_t old[4];

	put(test, 0, 1, AD);
	put(test, 1, 1, 0);
	put(test, 2, 1, _PAGE_ACCESSED);
	put(test, 3, 1, 0);
	enter(lazy);
	for (unsigned int i = 0; i < 4; i++)
		old[i] = ptep_modify_prot_start(&area, 0, pte_of(test, i));
	/* Behind the back of the transaction. */
	write_page(test, 1);
	write_page(test, 2);
	ptep_modify_prot_commit(&area, 0, pte_of(test, 0), old[0], pte_mkclean(old[0]));
	ptep_modify_prot_commit(&area, 0, pte_of(test, 1), old[1], pte_wrprotect(old[1]));
	ptep_modify_prot_commit(&area, 0, pte_of(test, 2), old[2], pte_mkold(old[2]));
	ptep_modify_prot_commit(&area, 0, pte_of(test, 3), old[3], pte_wrprotect(old[3]));
	leave(lazy);
	KUNIT_EXPECT_EQ(test, flags_of(test, 0), _PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED);
	KUNIT_EXPECT_EQ(test, flags_of(test, 1), _PAGE_PRESENT | AD);
	KUNIT_EXPECT_EQ(test, flags_of(test, 2), _PAGE_PRESENT | _PAGE_RW | _PAGE_DIRTY);
	KUNIT_EXPECT_EQ(test, flags_of(test, 3), _PAGE_PRESENT);
}

static void test_commit(struct kunit *test)
{
	if (!xen_pvbatch_queues())
		kunit_skip(test, "off");
	commits(test, false);
	commits(test, true);
}

/* Runs: what each helper leaves of A, D and W, with every state of A and D. */
static void runs(struct kunit *test, bool lazy, bool (*change)(pte_t *ptep), pteval_t clear)
{
	static const pteval_t states[] = { 0, _PAGE_ACCESSED, _PAGE_DIRTY, AD };

	for (unsigned int i = 0; i < PAGES; i++)
		put(test, i, 1, states[i % 4]);
	enter(lazy);
	for (unsigned int i = 0; i < PAGES; i++)
		if (!change(pte_of(test, i)))
			break;
	leave(lazy);
	for (unsigned int i = 0; i < PAGES; i++)
		KUNIT_ASSERT_EQ_MSG(test, flags_of(test, i),
				    (_PAGE_PRESENT | _PAGE_RW | states[i % 4]) & ~clear, "page %u",
				    i);
}

static bool wrprotect(pte_t *ptep)
{
	return xen_pvbatch_wrprotect(ptep, 1);
}

static bool make_old(pte_t *ptep)
{
	return xen_pvbatch_clean(ptep, 1, _PAGE_ACCESSED);
}

static bool make_clean(pte_t *ptep)
{
	return xen_pvbatch_clean(ptep, 1, _PAGE_DIRTY_BITS);
}

static bool make_both(pte_t *ptep)
{
	return xen_pvbatch_clean(ptep, 1, _PAGE_ACCESSED | _PAGE_DIRTY_BITS);
}

static void test_runs(struct kunit *test)
{
	if (!xen_pvbatch_queues())
		kunit_skip(test, "off");
	for (int lazy = 0; lazy < 2; lazy++) {
		runs(test, lazy, wrprotect, _PAGE_RW);
		runs(test, lazy, make_old, _PAGE_ACCESSED);
		runs(test, lazy, make_clean, _PAGE_DIRTY);
		runs(test, lazy, make_both, AD);
	}
}

/* A page that was cleaned is seen to be written again. */
static void test_written_after(struct kunit *test)
{
	if (!xen_pvbatch_queues())
		kunit_skip(test, "off");
	put(test, 0, 1, AD);
	enter(true);
	KUNIT_EXPECT_TRUE(test, make_both(pte_of(test, 0)));
	leave(true);
	flush_tlb_kernel_range((unsigned long)page_at(test, 0), (unsigned long)page_at(test, 1));
	read_page(test, 0);
	KUNIT_EXPECT_EQ(test, flags_of(test, 0) & AD, _PAGE_ACCESSED);
	write_page(test, 0);
	KUNIT_EXPECT_EQ(test, flags_of(test, 0) & AD, AD);
}

/* Queued where A and D are settled, left to the caller's trap where they are not. */
static void test_get_and_clear(struct kunit *test)
{
	pte_t kept[2];
	int young;

	if (!xen_pvbatch_queues())
		kunit_skip(test, "off");
	put(test, 0, 1, AD);
	put(test, 1, 1, _PAGE_ACCESSED);
	kept[0] = *pte_of(test, 0);
	kept[1] = *pte_of(test, 1);
	enter(true);
	KUNIT_EXPECT_EQ(test, xen_pvbatch_get_and_clear(pte_of(test, 0)).pte, kept[0].pte);
	KUNIT_EXPECT_EQ(test, xen_pvbatch_get_and_clear(pte_of(test, 1)).pte, 0);
	KUNIT_EXPECT_FALSE(test, xen_pvbatch_clear_young(pte_of(test, 1), &young));
	leave(true);
	KUNIT_EXPECT_EQ(test, pte_of(test, 0)->pte, 0);
	KUNIT_EXPECT_EQ(test, pte_of(test, 1)->pte, kept[1].pte);
	put_raw(test, 0, kept[0].pte);

	put(test, 2, 1, AD);
	enter(true);
	KUNIT_EXPECT_TRUE(test, xen_pvbatch_clear_young(pte_of(test, 2), &young));
	leave(true);
	KUNIT_EXPECT_EQ(test, young, 1);
	KUNIT_EXPECT_EQ(test, flags_of(test, 2) & AD, _PAGE_DIRTY);
}

/*
 * Requests that Xen refuses, among 1300 that it does not: a page table to be writable, a
 * frame of Xen's, one beyond the machine. The others are carried out.
 */
static void test_refused(struct kunit *test)
{
	const pteval_t forged[] = {
		virt_to_machine(pte_of(test, 0)).maddr & PTE_PFN_MASK,
		swapper_pg_dir[pgd_index(HYPERVISOR_VIRT_START)].pgd & PTE_PFN_MASK,
		PTE_PFN_MASK,
	};
	const unsigned int where[] = { 3, 600, 601 };
	u64 before = this_cpu_read(xen_pvbatch_stats.refused);

	if (!xen_pvbatch_queues())
		kunit_skip(test, "off");
	put(test, 0, PAGES, AD);
	enter(true);
	for (unsigned int i = 0; i < PAGES; i++) {
		pte_t old = ptep_modify_prot_start(&area, 0, pte_of(test, i));
		pte_t new = pte_wrprotect(old);

		for (unsigned int j = 0; j < ARRAY_SIZE(where); j++)
			if (i == where[j])
				new.pte = (old.pte & ~PTE_PFN_MASK) | forged[j];
		ptep_modify_prot_commit(&area, 0, pte_of(test, i), old, new);
	}
	leave(true);
	for (unsigned int i = 0; i < PAGES; i++) {
		bool bad = i == where[0] || i == where[1] || i == where[2];

		KUNIT_ASSERT_EQ_MSG(test, flags_of(test, i),
				    _PAGE_PRESENT | AD | (bad ? _PAGE_RW : 0), "page %u", i);
		read_page(test, i);
	}
	KUNIT_EXPECT_EQ(test, this_cpu_read(xen_pvbatch_stats.refused), before + 3);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(test_upstream_cannot_clean),
	KUNIT_CASE(test_commit),
	KUNIT_CASE(test_runs),
	KUNIT_CASE(test_written_after),
	KUNIT_CASE(test_get_and_clear),
	KUNIT_CASE(test_refused),
	{},
};

static struct kunit_suite suite = {
	.name = "xen_pvbatch",
	.init = area_init,
	.exit = area_exit,
	.test_cases = cases,
};
kunit_test_suite(suite);

MODULE_LICENSE("GPL");
