// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest, tests - host-apply mode: what is queued in lazy MMU mode, when it goes,
 * and that it is written if the host does not do it.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/smp.h>
#include <asm/tlbflush.h>

#include "test.h"

static unsigned int written(const struct fixture *f, unsigned int first, unsigned int nr)
{
	unsigned int i, count = 0;

	for (i = first; i < first + nr; i++)
		count += !pte_write(*area_pte(f, i));
	return count;
}

/* Entries @first to @first + 8, in one batch: as many runs as their page frames make. */
static void expect_commits(struct kunit *test, const struct spy *spy, const struct spied *call,
			   unsigned int first)
{
	struct fixture *f = test->priv;
	unsigned int i, runs = 1, ptes = 0;

	for (i = first + 1; i < first + 8; i++)
		runs += pte_pfn(*area_pte(f, i)) != pte_pfn(*area_pte(f, i - 1)) + 1;
	KUNIT_EXPECT_EQ(test, call->nr, runs);
	KUNIT_EXPECT_EQ(test, call->flush, PVB_FLUSH_NONE);
	for (i = call->first; i < call->first + call->nr; i++) {
		KUNIT_EXPECT_EQ(test, spy->runs[i].op, PVB_OP_COMMIT);
		KUNIT_EXPECT_EQ(test, spy->runs[i].pte_gpa, __pa(area_pte(f, first + ptes)));
		ptes += spy->runs[i].nr;
	}
	KUNIT_EXPECT_EQ(test, ptes, 8);
}

/* Queued in lazy mode, gone when it is left; outside of it written at once, without a call. */
static void host_transactions(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_HOST_APPLY);
	struct fixture *f = test->priv;
	unsigned int i, lazy_written, lazy_calls, left_calls, eager_written, eager_calls;
	const unsigned int first = area_run(f, 20, 8);
	const struct spied *call = NULL;

	preempt_disable();
	spy_clear(spy);
	arch_enter_lazy_mmu_mode();
	for (i = first; i < first + 8; i++)
		area_protect(f, i);
	lazy_written = written(f, first, 8);
	lazy_calls = spy_batches_here(spy, NULL);
	arch_leave_lazy_mmu_mode();
	left_calls = spy_batches_here(spy, &call);
	for (i = 40; i < 48; i++)
		area_protect(f, i);
	eager_written = written(f, 40, 8);
	eager_calls = spy_batches_here(spy, NULL) - left_calls;
	preempt_enable();

	KUNIT_EXPECT_EQ(test, lazy_written, 0);
	KUNIT_EXPECT_EQ(test, lazy_calls, 0);
	KUNIT_ASSERT_EQ(test, left_calls, 1);
	expect_commits(test, spy, call, first);
	KUNIT_EXPECT_EQ(test, written(f, first, 8), 8);
	KUNIT_EXPECT_EQ(test, eager_written, 8);
	KUNIT_EXPECT_EQ(test, eager_calls, 0);
	area_flush(f, first, 48 - first);
	KUNIT_EXPECT_FALSE(test, area_writes(area_page(f, first)));
	KUNIT_EXPECT_FALSE(test, area_writes(area_page(f, 47)));
}

/* Who wants the value of an entry that is in the queue waits for it. */
static void host_reads_through(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_HOST_APPLY);
	struct fixture *f = test->priv;
	unsigned int before, after;
	pte_t *pte = area_pte(f, 40), was;

	preempt_disable();
	spy_clear(spy);
	arch_enter_lazy_mmu_mode();
	area_protect(f, 40);
	before = spy_batches_here(spy, NULL);
	was = ptep_get_and_clear(&init_mm, (unsigned long)area_page(f, 40), pte);
	after = spy_batches_here(spy, NULL);
	arch_leave_lazy_mmu_mode();
	preempt_enable();
	KUNIT_EXPECT_EQ(test, before, 0);
	KUNIT_EXPECT_EQ(test, after, 1);
	KUNIT_EXPECT_FALSE(test, pte_write(was));
	KUNIT_EXPECT_TRUE(test, pte_none(*pte));
}

/* Lazy mode is the task's: the queue goes when it sleeps, and the mode is there again. */
static void host_at_switch(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_HOST_APPLY);
	struct fixture *f = test->priv;
	unsigned int asleep, awake;

	migrate_disable();
	arch_enter_lazy_mmu_mode();
	area_protect(f, 50);
	msleep(20);
	asleep = written(f, 50, 1);
	area_protect(f, 51);
	awake = written(f, 51, 1);
	arch_leave_lazy_mmu_mode();
	migrate_enable();
	KUNIT_EXPECT_EQ(test, asleep, 1);
	KUNIT_EXPECT_GE(test, spy_named(spy, area_pte(f, 50), NULL), 0);
	KUNIT_EXPECT_EQ(test, awake, 0);
	KUNIT_EXPECT_EQ(test, written(f, 51, 1), 1);
}

/* What the host does not write the kernel does, when it is busy and when it is gone. */
static void host_refuses(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_HOST_APPLY);
	struct fixture *f = test->priv;
	unsigned int i, tries;

	migrate_disable();
	spy->host = SPY_BUSY;
	arch_enter_lazy_mmu_mode();
	for (i = 60; i < 68; i++)
		area_protect(f, i);
	arch_leave_lazy_mmu_mode();
	KUNIT_EXPECT_EQ(test, written(f, 60, 8), 8);
	KUNIT_EXPECT_EQ(test, pvbatch_guest.mode, PVB_MODE_HOST_APPLY);

	spy->host = SPY_GONE;
	arch_enter_lazy_mmu_mode();
	for (i = 70; i < 78; i++)
		area_protect(f, i);
	arch_leave_lazy_mmu_mode();
	KUNIT_EXPECT_EQ(test, written(f, 70, 8), 8);
	KUNIT_EXPECT_EQ(test, pvbatch_guest.mode, PVB_MODE_DIRECT);
	area_flush(f, 60, 18);
	KUNIT_EXPECT_FALSE(test, area_writes(area_page(f, 60)));
	KUNIT_EXPECT_FALSE(test, area_writes(area_page(f, 77)));

	/*
	 * It has not really gone. This CPU's registration is ended here; of another CPU's,
	 * which has noticed nothing, the kernel has to think before it negotiates.
	 */
	preempt_disable();
	pvbatch_unregister(this_cpu_ptr(&pvbatch_cpu));
	preempt_enable();
	migrate_enable();
	spy->host = SPY_HOST;
	for (tries = 0; tries < 100 && pvbatch_guest.mode == PVB_MODE_DIRECT; tries++)
		msleep(100);
	KUNIT_EXPECT_EQ(test, pvbatch_guest.mode, PVB_MODE_HOST_APPLY);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(host_transactions),
	KUNIT_CASE(host_reads_through),
	KUNIT_CASE(host_at_switch),
	KUNIT_CASE_SLOW(host_refuses),
	{},
};

static struct kunit_suite suite = {
	.name = "pvbatch_host",
	.init = pvbatch_test_init,
	.exit = pvbatch_test_exit,
	.test_cases = cases,
};
kunit_test_suite(suite);

MODULE_LICENSE("GPL");
