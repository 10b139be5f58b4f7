// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest, tests - what the host is told, and when, in guest-apply mode: the
 * promise of docs/linux.md as the host sees it. What hardware makes of it is test.c's.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/smp.h>
#include <asm/tlbflush.h>

#include "test.h"

/* Nothing of what came before is queued any more. Preemption off until @spy is looked at. */
static void quiet(const struct fixture *f, struct spy *spy)
{
	pte_t *pte = area_pte(f, 0);

	preempt_disable();
	set_pte(pte, pte_mkdirty(pte_mkwrite_novma(*pte)));
	area_wrprotect(f, 0);
	area_flush(f, 0, 1);
	spy_clear(spy);
}

static void transactions(struct kunit *test, struct spy *spy, unsigned int first, bool lazy)
{
	struct fixture *f = test->priv;
	unsigned int i, queued, left, written = 0, batches;
	const struct spied *call = NULL;
	const struct pvb_entry *run;

	first = area_run(f, first, 8);
	quiet(f, spy);
	if (lazy)
		arch_enter_lazy_mmu_mode();
	for (i = first; i < first + 8; i++)
		area_protect(f, i);
	queued = spy_batches_here(spy, NULL);
	for (i = first; i < first + 8; i++)
		written += !pte_write(*area_pte(f, i));
	if (lazy)
		arch_leave_lazy_mmu_mode();
	left = spy_batches_here(spy, NULL);
	area_flush(f, first, 8);
	batches = spy_batches_here(spy, &call);
	preempt_enable();

	/* The entries change at once; the host hears of it with the flush, in one run. */
	KUNIT_EXPECT_EQ(test, written, 8);
	KUNIT_EXPECT_EQ(test, queued, 0);
	KUNIT_EXPECT_EQ(test, left, 0);
	KUNIT_ASSERT_EQ(test, batches, 1);
	KUNIT_EXPECT_EQ(test, call->flush, PVB_FLUSH_ALL);
	KUNIT_EXPECT_EQ(test, call->result, PVB_SUBMIT_DONE);
	KUNIT_ASSERT_EQ(test, call->nr, 1);
	run = &spy->runs[call->first];
	KUNIT_EXPECT_EQ(test, run->op, PVB_OP_CHANGED);
	KUNIT_EXPECT_EQ(test, run->pte_gpa, __pa(area_pte(f, first)));
	KUNIT_EXPECT_EQ(test, run->nr, 8);
	KUNIT_EXPECT_FALSE(test, area_writes(area_page(f, first + 7)));
}

static void told_transactions(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_GUEST_APPLY);

	transactions(test, spy, 20, true);
	transactions(test, spy, 30, false);
}

/* What changed is named, once, and nothing else. */
static void told_exactly(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_GUEST_APPLY);
	struct fixture *f = test->priv;
	const struct spied *call = NULL;
	unsigned int batches, times, i, edge;
	pte_t *old = area_pte(f, 41), *never = area_pte(f, 42), *gone = area_pte(f, 43), was;

	/* The last entry of a table, and the first of the next. */
	for (edge = 100; (unsigned long)area_pte(f, edge + 1) & ~PAGE_MASK;)
		edge++;
	/* Nobody holds a translation of it: A is clear, and the host knows. */
	set_pte(old, pte_mkold(*old));
	area_flush(f, 41, 1);
	ptep_get_and_clear(&init_mm, (unsigned long)area_page(f, 42), never);
	area_flush(f, 42, 1);

	quiet(f, spy);
	area_wrprotect(f, 40);
	area_wrprotect(f, 40); /* as it is */
	set_pte(old, pte_wrprotect(*old));
	set_pte(never, pfn_pte(page_to_pfn(f->pages[42]), PAGE_KERNEL));
	was = ptep_get_and_clear(&init_mm, (unsigned long)area_page(f, 43), gone);
	set_pte(gone, pte_wrprotect(was));
	area_wrprotect(f, edge);
	area_wrprotect(f, edge + 1);
	area_flush(f, 0, PAGES);
	batches = spy_batches_here(spy, &call);
	preempt_enable();

	KUNIT_ASSERT_EQ(test, batches, 1);
	KUNIT_EXPECT_EQ(test, call->nr, 4);
	for (i = 0; i < PAGES; i++) {
		bool changed = i == 40 || i == 43 || i == edge || i == edge + 1;

		spy_named(spy, area_pte(f, i), &times);
		KUNIT_EXPECT_EQ_MSG(test, times, changed, "page %u", i);
	}
	for (i = call->first; i < call->first + call->nr; i++)
		KUNIT_EXPECT_EQ(test, spy->runs[i].nr, 1);
}

/* More names than a queue holds: it goes when it is full, and the rest with the flush. */
static void told_overflow(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_GUEST_APPLY);
	struct fixture *f = test->priv;
	unsigned int before, batches, capacity, times, i;
	const struct spied *full = NULL, *rest = NULL;

	quiet(f, spy);
	capacity = this_cpu_ptr(&pvbatch_cpu)->core.capacity;
	for (i = 1; i < PAGES; i += 2)
		area_wrprotect(f, i);
	before = spy_batches_here(spy, &full);
	area_flush(f, 0, PAGES);
	batches = spy_batches_here(spy, &rest);
	preempt_enable();

	KUNIT_ASSERT_FALSE(test, spy->full);
	KUNIT_ASSERT_EQ(test, before, 1);
	KUNIT_ASSERT_EQ(test, batches, 2);
	KUNIT_EXPECT_EQ(test, full->nr, capacity);
	KUNIT_EXPECT_EQ(test, rest->nr, PAGES / 2 - capacity);
	KUNIT_EXPECT_EQ(test, rest->flush, PVB_FLUSH_ALL);
	for (i = 0; i < PAGES; i++) {
		spy_named(spy, area_pte(f, i), &times);
		KUNIT_EXPECT_EQ_MSG(test, times, i % 2, "page %u", i);
		KUNIT_EXPECT_EQ_MSG(test, area_writes(area_page(f, i)), i && i % 2 == 0, "page %u",
				    i);
	}
}

/* A task that sleeps has nothing queued: what it flushes later it may flush elsewhere. */
static void told_at_switch(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_GUEST_APPLY);
	struct fixture *f = test->priv;
	bool pending;
	int named;

	migrate_disable();
	quiet(f, spy);
	area_wrprotect(f, 50);
	named = spy_named(spy, area_pte(f, 50), NULL);
	pending = cpumask_test_cpu(smp_processor_id(), &pvbatch_pending);
	preempt_enable();
	KUNIT_EXPECT_EQ(test, named, -1);
	KUNIT_EXPECT_TRUE(test, pending);
	msleep(20);
	named = spy_named(spy, area_pte(f, 50), NULL);
	pending = cpumask_test_cpu(smp_processor_id(), &pvbatch_pending);
	migrate_enable();
	KUNIT_ASSERT_GE(test, named, 0);
	KUNIT_EXPECT_EQ(test, spy->calls[named].cpu, smp_processor_id());
	KUNIT_EXPECT_FALSE(test, pending);
	KUNIT_EXPECT_FALSE(test, area_writes(area_page(f, 50)));
}

static struct fixture *interrupted_fixture;

static void change_in_interrupt(struct irq_work *work)
{
	area_wrprotect(interrupted_fixture, 65);
}

/*
 * An interrupt leaves the queue that it may have interrupted alone, and calls at once. (But
 * if its entry is the next one of the run: that it may lengthen.)
 */
static void told_in_interrupt(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_GUEST_APPLY);
	struct irq_work work = IRQ_WORK_INIT_HARD(change_in_interrupt);
	struct fixture *f = test->priv;
	const struct spied *call = NULL;
	unsigned int batches;
	int named;

	interrupted_fixture = f;
	quiet(f, spy);
	area_wrprotect(f, 60);
	irq_work_queue(&work);
	while (irq_work_is_busy(&work))
		cpu_relax();
	named = spy_named(spy, area_pte(f, 65), NULL);
	area_wrprotect(f, 62);
	area_flush(f, 60, 3);
	batches = spy_batches_here(spy, &call);
	preempt_enable();

	KUNIT_ASSERT_GE(test, named, 0);
	KUNIT_EXPECT_FALSE(test, spy->calls[named].in_task);
	KUNIT_EXPECT_EQ(test, spy->calls[named].nr, 1);
	KUNIT_ASSERT_EQ(test, batches, 1);
	KUNIT_EXPECT_EQ(test, call->nr, 2);
	KUNIT_EXPECT_GT(test, spy_named(spy, area_pte(f, 60), NULL), named);
	KUNIT_EXPECT_GT(test, spy_named(spy, area_pte(f, 62), NULL), named);
	KUNIT_EXPECT_FALSE(test, area_writes(area_page(f, 60)));
	KUNIT_EXPECT_FALSE(test, area_writes(area_page(f, 65)));
	KUNIT_EXPECT_FALSE(test, area_writes(area_page(f, 62)));
}

/* What another CPU does: changes @page, says so, and does nothing else until it may stop. */
struct elsewhere {
	struct fixture *f;
	unsigned int page, cpu;
	bool changed, stop;
	struct task_struct *task;
};

static int change_and_stay(void *arg)
{
	struct elsewhere *e = arg;

	preempt_disable();
	area_wrprotect(e->f, e->page);
	smp_store_release(&e->changed, true);
	while (!READ_ONCE(e->stop))
		cpu_relax();
	preempt_enable();
	return 0;
}

/* Another CPU has changed @e->page and not told it, until elsewhere_end(). */
static void elsewhere_begin(struct kunit *test, struct elsewhere *e)
{
	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	migrate_disable();
	e->cpu = cpumask_any_but(cpu_online_mask, smp_processor_id());
	e->task = kthread_create(change_and_stay, e, "pvbatch_test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(e->task));
	get_task_struct(e->task);
	kthread_bind(e->task, e->cpu);
	wake_up_process(e->task);
	while (!smp_load_acquire(&e->changed))
		cpu_relax();
}

static void elsewhere_end(struct elsewhere *e)
{
	WRITE_ONCE(e->stop, true);
	kthread_stop_put(e->task);
	migrate_enable();
}

/* A flush covers what another CPU has changed and not told yet: that CPU is made to tell. */
static void told_for_another(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_GUEST_APPLY);
	struct elsewhere e = { .f = test->priv, .page = 70 };
	int before, named;
	bool flushed;

	elsewhere_begin(test, &e);
	before = spy_named(spy, area_pte(e.f, e.page), NULL);
	area_flush(e.f, e.page, 1);
	named = spy_named(spy, area_pte(e.f, e.page), NULL);
	flushed = !area_writes(area_page(e.f, e.page));
	elsewhere_end(&e);

	KUNIT_EXPECT_EQ(test, before, -1);
	KUNIT_ASSERT_GE(test, named, 0);
	KUNIT_EXPECT_EQ(test, spy->calls[named].cpu, e.cpu);
	KUNIT_EXPECT_EQ(test, spy->calls[named].flush, PVB_FLUSH_ALL);
	KUNIT_EXPECT_TRUE(test, flushed);
}

/*
 * With interrupts off, as text_poke() is, nobody waits for the other CPU, which may wait for
 * this one: a flush is of what this CPU has changed.
 */
static void told_alone(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_GUEST_APPLY);
	struct elsewhere e = { .f = test->priv, .page = 72 };
	int own, others;
	bool done;

	elsewhere_begin(test, &e);
	local_irq_disable();
	area_wrprotect(e.f, 74);
	done = pvbatch_flush_kernel(0, TLB_FLUSH_ALL);
	own = spy_named(spy, area_pte(e.f, 74), NULL);
	others = spy_named(spy, area_pte(e.f, e.page), NULL);
	local_irq_enable();
	elsewhere_end(&e);

	KUNIT_EXPECT_TRUE(test, done);
	KUNIT_EXPECT_GE(test, own, 0);
	KUNIT_EXPECT_EQ(test, others, -1);
	KUNIT_EXPECT_FALSE(test, area_writes(area_page(e.f, 74)));
}

#define ROUNDS 2000U
#define RUN 400U

struct asker {
	struct fixture *f;
	unsigned long asked;
};

static int ask_all_the_time(void *arg)
{
	struct asker *a = arg;

	while (!kthread_should_stop()) {
		area_flush(a->f, 0, 1);
		a->asked++;
		cond_resched();
	}
	return 0;
}

/* Whenever the other CPU asks in the middle of a run: nothing is left behind by the flush. */
static void told_when_asked(struct kunit *test)
{
	struct asker a = { .f = test->priv };
	unsigned int other, round, first, i, left = 0;
	struct task_struct *task;
	pte_t *pte;

	spy_begin(test, PVB_MODE_GUEST_APPLY);
	spy_end();
	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	first = area_run(a.f, 1, RUN);
	pte = area_pte(a.f, first);
	migrate_disable();
	other = cpumask_any_but(cpu_online_mask, smp_processor_id());
	task = kthread_create(ask_all_the_time, &a, "pvbatch_test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	kthread_bind(task, other);
	wake_up_process(task);
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < RUN; i++)
			native_set_pte(pte + i, pte_mkdirty(pte_mkwrite_novma(pte[i])));
		preempt_disable();
		wrprotect_ptes(&init_mm, (unsigned long)area_page(a.f, first), pte, RUN);
		area_flush(a.f, first, RUN);
		left += !!this_cpu_read(pvbatch_cpu.next);
		preempt_enable();
	}
	kthread_stop_put(task);
	migrate_enable();
	KUNIT_EXPECT_EQ(test, left, 0);
	KUNIT_EXPECT_GT(test, a.asked, 0);
	for (i = first; i < first + RUN; i++)
		KUNIT_EXPECT_FALSE(test, area_writes(area_page(a.f, i)));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(told_transactions), KUNIT_CASE(told_exactly),      KUNIT_CASE(told_overflow),
	KUNIT_CASE(told_at_switch),    KUNIT_CASE(told_in_interrupt), KUNIT_CASE(told_for_another),
	KUNIT_CASE(told_alone),	       KUNIT_CASE(told_when_asked),   {},
};

static struct kunit_suite suite = {
	.name = "pvbatch_told",
	.init = pvbatch_test_init,
	.exit = pvbatch_test_exit,
	.test_cases = cases,
};
kunit_test_suite(suite);

MODULE_LICENSE("GPL");
