// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest, tests - a host that cannot, or is not there any more; a CPU that goes.
 * Whatever happens, what was changed is flushed, by the kernel's own means if need be.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>
#include <asm/tlbflush.h>

#include "test.h"

static bool all_protected(const struct fixture *f, unsigned int first, unsigned int nr)
{
	unsigned int i;

	for (i = first; i < first + nr; i++)
		if (area_writes(area_page(f, i)))
			return false;
	return true;
}

/*
 * The host withdraws: names that it does not take any more are flushed as without it, and so
 * is what changes meanwhile. All CPUs are registered when it is back, with a flush of all.
 */
static void gone_and_back(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_GUEST_APPLY);
	struct fixture *f = test->priv;
	int negotiated, registered, flushed;
	unsigned int i, tries, told;

	for (i = 0; i < 20; i++)
		area_wrprotect(f, i);
	spy->host = SPY_GONE;
	area_flush(f, 0, 20);
	KUNIT_EXPECT_EQ(test, pvbatch_guest.mode, PVB_MODE_DIRECT);
	KUNIT_EXPECT_TRUE(test, cpumask_empty(&pvbatch_promised));
	KUNIT_EXPECT_TRUE(test, all_protected(f, 0, 20));
	told = spy->nr_calls;
	for (i = 20; i < 40; i++)
		area_wrprotect(f, i);
	area_flush(f, 20, 20);
	KUNIT_EXPECT_TRUE(test, all_protected(f, 20, 20));
	/* It is asked nothing but whether it is back. */
	for (i = told; i < spy->nr_calls; i++)
		KUNIT_EXPECT_NE(test, spy->calls[i].call, PVB_CALL_SUBMIT);

	spy_clear(spy);
	spy->host = SPY_HOST;
	for (tries = 0; tries < 100 && !cpumask_equal(&pvbatch_promised, cpu_online_mask); tries++)
		msleep(100);
	KUNIT_ASSERT_EQ(test, pvbatch_guest.mode, PVB_MODE_GUEST_APPLY);
	KUNIT_EXPECT_TRUE(test, cpumask_equal(&pvbatch_promised, cpu_online_mask));
	negotiated = spy_first(spy, PVB_CALL_NEGOTIATE, -1);
	registered = spy_first(spy, PVB_CALL_REGISTER, negotiated);
	flushed = spy_first(spy, PVB_CALL_SUBMIT, registered);
	KUNIT_ASSERT_GE(test, negotiated, 0);
	KUNIT_ASSERT_GT(test, registered, negotiated);
	KUNIT_ASSERT_GT(test, flushed, registered);
	KUNIT_EXPECT_EQ(test, spy->calls[flushed].nr, 0);
	KUNIT_EXPECT_EQ(test, spy->calls[flushed].flush, PVB_FLUSH_ALL);

	spy_clear(spy);
	for (i = 40; i < 60; i++)
		area_wrprotect(f, i);
	area_flush(f, 40, 20);
	KUNIT_EXPECT_GE(test, spy_named(spy, area_pte(f, 59), NULL), 0);
	KUNIT_EXPECT_TRUE(test, all_protected(f, 0, 60));
}

/* A host that is busy for once is flushed past; it is not taken for gone. */
static void gone_busy(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_GUEST_APPLY);
	struct fixture *f = test->priv;
	unsigned int i;
	bool done;

	for (i = 0; i < 20; i++)
		area_wrprotect(f, i);
	spy->host = SPY_BUSY;
	area_flush(f, 0, 20);
	spy->host = SPY_HOST;
	KUNIT_EXPECT_TRUE(test, all_protected(f, 0, 20));
	KUNIT_EXPECT_EQ(test, pvbatch_guest.mode, PVB_MODE_GUEST_APPLY);
	spy_clear(spy);
	area_wrprotect(f, 20);
	area_flush(f, 20, 1);
	KUNIT_EXPECT_GE(test, spy_named(spy, area_pte(f, 20), NULL), 0);

	/* Where no other CPU can be asked to flush as well. */
	spy->host = SPY_BUSY;
	local_irq_disable();
	area_wrprotect(f, 21);
	done = pvbatch_flush_kernel(0, TLB_FLUSH_ALL);
	local_irq_enable();
	spy->host = SPY_HOST;
	KUNIT_EXPECT_FALSE(test, done);
	KUNIT_EXPECT_TRUE(test, all_protected(f, 21, 1));
}

/*
 * Names that were to go at a context switch and could not: the flush that comes has nothing
 * queued, and is one of everything.
 */
static void gone_busy_at_switch(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_GUEST_APPLY);
	struct fixture *f = test->priv;
	bool everything = false;
	unsigned int i;

	migrate_disable();
	spy->host = SPY_BUSY;
	area_wrprotect(f, 1);
	msleep(20);
	KUNIT_EXPECT_GE(test, spy_named(spy, area_pte(f, 1), NULL), 0);
	preempt_disable();
	spy->host = SPY_HOST;
	spy_clear(spy);
	area_flush(f, 1, 1);
	preempt_enable();
	for (i = 0; i < spy->nr_calls; i++)
		everything |= spy->calls[i].call == PVB_CALL_SUBMIT && !spy->calls[i].nr &&
			      spy->calls[i].flush == PVB_FLUSH_ALL;
	migrate_enable();
	KUNIT_EXPECT_TRUE(test, everything);
	KUNIT_EXPECT_TRUE(test, all_protected(f, 1, 1));
}

static void shut_down(struct irq_work *work)
{
	pvbatch_cpu_down(true);
}
static struct irq_work shutdown_work = IRQ_WORK_INIT_HARD(shut_down);

static void shut_down_meanwhile(void)
{
	irq_work_queue(&shutdown_work);
	while (irq_work_is_busy(&shutdown_work))
		cpu_relax();
}

/* Reboot and kexec end the registrations by interrupts, one in the middle of a call. */
static void gone_at_shutdown(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_GUEST_APPLY);
	struct fixture *f = test->priv;
	bool promised, again;
	unsigned int i;
	int ended;

	migrate_disable();
	preempt_disable();
	for (i = 1; i < 40; i += 2)
		area_wrprotect(f, i);
	spy_clear(spy);
	spy->meanwhile = shut_down_meanwhile;
	area_flush(f, 0, 40);
	promised = cpumask_test_cpu(smp_processor_id(), &pvbatch_promised);
	ended = spy_first(spy, PVB_CALL_REGISTER, -1);
	local_irq_disable();
	pvbatch_cpu_up();
	local_irq_enable();
	again = cpumask_test_cpu(smp_processor_id(), &pvbatch_promised);
	preempt_enable();
	migrate_enable();

	KUNIT_EXPECT_FALSE(test, promised);
	KUNIT_ASSERT_GE(test, ended, 0);
	KUNIT_EXPECT_EQ(test, spy->calls[ended].a1, 0);
	KUNIT_EXPECT_TRUE(test, again);
	for (i = 1; i < 40; i += 2)
		KUNIT_EXPECT_TRUE(test, all_protected(f, i, 1));
}

/* A CPU that goes after the host has gone leaves no promise behind. */
static void gone_with_the_host(struct kunit *test)
{
	struct spy *spy = spy_begin(test, PVB_MODE_GUEST_APPLY);
	struct pvbatch_cpu *p;
	bool left;

	preempt_disable();
	p = this_cpu_ptr(&pvbatch_cpu);
	area_wrprotect(test->priv, 1);
	area_flush(test->priv, 1, 1);
	p->core.mode = PVB_MODE_DIRECT; /* as a call that fails leaves it */
	local_irq_disable();
	pvbatch_cpu_down(false);
	left = cpumask_test_cpu(smp_processor_id(), &pvbatch_promised);
	pvbatch_cpu_up();
	local_irq_enable();
	preempt_enable();
	KUNIT_EXPECT_FALSE(test, left);
	KUNIT_EXPECT_GE(test, spy_first(spy, PVB_CALL_REGISTER, -1), 0);
}

/* An address space whose pages another CPU, which is not registered, takes W from. */
struct remote {
	struct mm_struct *mm;
	unsigned long addr;
	pte_t *pte;
};

static long protect_unregistered(void *arg)
{
	struct remote *r = arg;

	local_irq_disable();
	pvbatch_cpu_down(false);
	local_irq_enable();
	ptep_set_wrprotect(r->mm, r->addr, r->pte);
	/* Not page by page: the other CPU loads its CR3 anew. */
	flush_tlb_mm(r->mm);
	return 0;
}

static long come_up(void *unused)
{
	local_irq_disable();
	pvbatch_cpu_up();
	local_irq_enable();
	return 0;
}

static pte_t *user_pte(unsigned long addr)
{
	pgd_t *pgd = pgd_offset(current->mm, addr);
	p4d_t *p4d = p4d_offset(pgd, addr);
	pud_t *pud = pud_offset(p4d, addr);

	return pte_offset_kernel(pmd_offset(pud, addr), addr);
}

/* The flush of a CPU that comes up and is not registered yet reaches those that are. */
static void gone_elsewhere(struct kunit *test)
{
	struct remote r = {};
	unsigned int other;
	bool before, after;
	u64 value = 1;

	spy_begin(test, PVB_MODE_GUEST_APPLY);
	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	r.addr = kunit_vm_mmap(test, NULL, 0, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_FALSE(test, !r.addr || IS_ERR_VALUE(r.addr));
	migrate_disable();
	other = cpumask_any_but(cpu_online_mask, smp_processor_id());
	KUNIT_ASSERT_EQ(test, put_user(value, (u64 __user *)r.addr), 0);
	r.mm = current->mm;
	r.pte = user_pte(r.addr);
	before = !copy_to_user_nofault((void __user *)r.addr, &value, sizeof(value));
	work_on_cpu(other, protect_unregistered, &r);
	after = !copy_to_user_nofault((void __user *)r.addr, &value, sizeof(value));
	work_on_cpu(other, come_up, NULL);
	migrate_enable();
	KUNIT_EXPECT_TRUE(test, before);
	KUNIT_EXPECT_FALSE(test, after);
	KUNIT_EXPECT_TRUE(test, cpumask_equal(&pvbatch_promised, cpu_online_mask));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(gone_busy),
	KUNIT_CASE(gone_busy_at_switch),
	KUNIT_CASE(gone_at_shutdown),
	KUNIT_CASE(gone_with_the_host),
	KUNIT_CASE(gone_elsewhere),
	KUNIT_CASE_SLOW(gone_and_back),
	{},
};

static struct kunit_suite suite = {
	.name = "pvbatch_gone",
	.init = pvbatch_test_init,
	.exit = pvbatch_test_exit,
	.test_cases = cases,
};
kunit_test_suite(suite);

MODULE_LICENSE("GPL");
