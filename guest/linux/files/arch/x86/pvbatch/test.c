// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest, tests - KUnit, on the kernel's own mappings and the host there is.
 * Run at boot with kunit.enable=1 [kunit.filter_glob=pvbatch*] on the command line.
 *
 * Every test changes entries the way Linux does, flushes the way Linux does, and then asks
 * the hardware: an access that the entry forbids must fault, one that it permits must not.
 * So they hold with the feature off as well, where they test the test.
 */
#include <linux/cpu.h>
#include <linux/mm.h>
#include <linux/smp.h>
#include <asm/tlbflush.h>

#include "test.h"

/* Write permission goes, for a range over more than one table, and comes back. */
static void test_write_protect(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		area_wrprotect(f, i);
	area_flush(f, 0, PAGES);
	for (i = 0; i < PAGES; i++) {
		KUNIT_ASSERT_TRUE(test, area_reads(area_page(f, i)));
		KUNIT_ASSERT_FALSE(test, area_writes(area_page(f, i)));
	}
	for (i = 0; i < PAGES; i++)
		set_pte(area_pte(f, i), pte_mkwrite_novma(*area_pte(f, i)));
	/* More permission takes no flush. */
	for (i = 0; i < PAGES; i++)
		KUNIT_ASSERT_TRUE(test, area_writes(area_page(f, i)));
}

/* Every other page, so that no two names make one run, and more than a queue holds. */
static void test_scattered(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i, round;

	for (round = 0; round < 2; round++) {
		for (i = round; i < PAGES; i += 2)
			area_wrprotect(f, i);
		area_flush(f, 0, PAGES);
		for (i = 0; i < PAGES; i++)
			KUNIT_ASSERT_EQ(test, area_writes(area_page(f, i)), !round && i % 2);
	}
}

static void test_unmap(struct kunit *test)
{
	struct fixture *f = test->priv;
	pte_t *pte = area_pte(f, 3), old = *pte;

	pte = area_pte(f, 3);
	old = ptep_get_and_clear(&init_mm, (unsigned long)area_page(f, 3), pte);
	area_flush(f, 3, 1);
	KUNIT_EXPECT_FALSE(test, area_reads(area_page(f, 3)));
	KUNIT_EXPECT_TRUE(test, area_reads(area_page(f, 2)));
	KUNIT_EXPECT_TRUE(test, area_reads(area_page(f, 4)));
	/* What comes into an empty entry needs no flush. */
	set_pte(pte, old);
	KUNIT_EXPECT_TRUE(test, area_writes(area_page(f, 3)));
}

static void test_other_page(struct kunit *test)
{
	struct fixture *f = test->priv;
	pte_t *pte = area_pte(f, 5), old = *pte;

	set_pte(pte, pfn_pte(page_to_pfn(f->pages[6]), PAGE_KERNEL));
	area_flush(f, 5, 1);
	KUNIT_EXPECT_EQ(test, *(u64 *)area_page(f, 5), 6);
	*(u64 *)area_page(f, 5) = 66;
	KUNIT_EXPECT_EQ(test, *(u64 *)area_page(f, 6), 66);
	set_pte(pte, old);
	area_flush(f, 5, 1);
	KUNIT_EXPECT_EQ(test, *(u64 *)area_page(f, 5), 5);
}

/* After A and D have been cleared and flushed, the next access sets them again. */
static void test_accessed_dirty(struct kunit *test)
{
	struct fixture *f = test->priv;
	pte_t *pte = area_pte(f, 7);

	set_pte(pte, pte_mkold(pte_mkclean(*pte)));
	area_flush(f, 7, 1);
	KUNIT_EXPECT_FALSE(test, pte_young(*pte));
	(void)READ_ONCE(*(u64 *)area_page(f, 7));
	KUNIT_EXPECT_TRUE(test, pte_young(*pte));
	KUNIT_EXPECT_FALSE(test, pte_dirty(*pte));
	WRITE_ONCE(*(u64 *)area_page(f, 7), 7);
	KUNIT_EXPECT_TRUE(test, pte_dirty(*pte));
}

/* The A/D law: D set between start and commit survives; D cleared on purpose stays so. */
static void test_commit_law(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct mm_struct *mm = &init_mm;
	struct vm_area_struct vma = { .vm_mm = mm };
	unsigned long addr = (unsigned long)area_page(f, 9);
	pte_t *pte = area_pte(f, 9), old;

	if (!pvbatch_on())
		kunit_skip(test, "start clears the entry here: nothing can set D meanwhile");
	set_pte(pte, pte_mkclean(*pte));
	area_flush(f, 9, 1);
	old = ptep_modify_prot_start(&vma, addr, pte);
	KUNIT_EXPECT_FALSE(test, pte_dirty(old));
	WRITE_ONCE(*(u64 *)area_page(f, 9), 9);
	ptep_modify_prot_commit(&vma, addr, pte, old, pte_mkspecial(old));
	KUNIT_EXPECT_TRUE(test, pte_dirty(*pte));
	KUNIT_EXPECT_TRUE(test, pte_special(*pte));

	old = ptep_modify_prot_start(&vma, addr, pte);
	ptep_modify_prot_commit(&vma, addr, pte, old, pte_mkclean(old));
	KUNIT_EXPECT_FALSE(test, pte_dirty(*pte));
	area_flush(f, 9, 1);
	set_pte(pte, pte_mkdirty(pfn_pte(page_to_pfn(f->pages[9]), PAGE_KERNEL)));
}

static void wrprotect_there(void *arg)
{
	struct fixture *f = arg;

	area_wrprotect(f, 11);
}

static long change_there(void *arg)
{
	wrprotect_there(arg);
	return 0;
}

/* A flush covers what another CPU changed before, in an interrupt or in a task. */
static void test_other_cpu(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int other;

	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	migrate_disable();
	other = cpumask_any_but(cpu_online_mask, smp_processor_id());
	smp_call_function_single(other, wrprotect_there, f, 1);
	area_flush(f, 11, 1);
	KUNIT_EXPECT_FALSE(test, area_writes(area_page(f, 11)));

	set_pte(area_pte(f, 11), pte_mkwrite_novma(*area_pte(f, 11)));
	KUNIT_EXPECT_TRUE(test, area_writes(area_page(f, 11)));
	work_on_cpu(other, change_there, f);
	area_flush(f, 11, 1);
	KUNIT_EXPECT_FALSE(test, area_writes(area_page(f, 11)));
	migrate_enable();
}

/* One range over two tables is one call; what takes nothing away is none. */
static void test_calls(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct pvbatch_cpu *p;
	u64 calls;
	unsigned int i;

	if (!pvbatch_on() || pvbatch_guest.mode != PVB_MODE_GUEST_APPLY)
		kunit_skip(test, "only in guest-apply mode");
	preempt_disable();
	p = this_cpu_ptr(&pvbatch_cpu);
	area_flush(f, 0, PAGES);
	calls = p->core.stats.calls;
	for (i = 0; i < PAGES; i++)
		area_wrprotect(f, i);
	KUNIT_EXPECT_EQ(test, p->core.stats.calls, calls);
	area_flush(f, 0, PAGES);
	KUNIT_EXPECT_EQ(test, p->core.stats.calls, calls + 1);
	area_flush(f, 0, PAGES);
	set_pte(area_pte(f, 1), pte_mkwrite_novma(*area_pte(f, 1)));
	area_flush(f, 1, 1);
	KUNIT_EXPECT_EQ(test, p->core.stats.calls, calls + 1);
	preempt_enable();
}

/* Law 9. */
static void test_stats(struct kunit *test)
{
	struct pvb_guest_stats s;
	u64 reasons = 0, hist = 0;
	int i;

	if (!pvbatch_on())
		kunit_skip(test, "off");
	preempt_disable();
	flush_tlb_all();
	pvb_cpu_stats(&this_cpu_ptr(&pvbatch_cpu)->core, &s);
	preempt_enable();
	for (i = 0; i < PVB_NR_REASONS; i++)
		reasons += s.reasons[i];
	for (i = 0; i < PVB_HIST_BUCKETS; i++)
		hist += s.hist[i];
	KUNIT_EXPECT_EQ(test, s.batches, reasons);
	KUNIT_EXPECT_EQ(test, s.batches, hist);
	KUNIT_EXPECT_EQ(test, s.calls, s.batches + s.partial + s.retries);
	KUNIT_EXPECT_EQ(test, s.conflicts, 0);
	KUNIT_EXPECT_EQ(test, s.unsynced, 0);
	KUNIT_EXPECT_EQ(test, s.own_flushes, 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(test_write_protect),	 KUNIT_CASE(test_scattered),
	KUNIT_CASE(test_unmap),		 KUNIT_CASE(test_other_page),
	KUNIT_CASE(test_accessed_dirty), KUNIT_CASE(test_commit_law),
	KUNIT_CASE(test_other_cpu),	 KUNIT_CASE(test_calls),
	KUNIT_CASE(test_stats),		 {},
};

static struct kunit_suite suite = {
	.name = "pvbatch",
	.init = pvbatch_test_init,
	.exit = pvbatch_test_exit,
	.test_cases = cases,
};
kunit_test_suite(suite);

MODULE_LICENSE("GPL");
