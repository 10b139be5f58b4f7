// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest, tests - what the host is told of what processes do, in guest-apply
 * mode: an address space of the test's own, system calls on it, the names that went out.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/uaccess.h>
#include <asm/syscall.h>
#include <asm/tlbflush.h>

#include "test.h"

#define USER_PAGES 64U

struct user_area {
	struct spy *spy;
	unsigned long start;
	pte_t *ptes; /* one table's: @start is where a table's part begins */
};

static unsigned long user_page(const struct user_area *u, unsigned int i)
{
	return u->start + i * PAGE_SIZE;
}

static bool user_writes(const struct user_area *u, unsigned int i)
{
	u64 value = i;

	return !copy_to_user_nofault((void __user *)user_page(u, i), &value, sizeof(value));
}

/* Faults allowed: a page comes if there is none, and is the process's own afterwards. */
static bool touch(const struct user_area *u)
{
	unsigned int i;

	for (i = 0; i < USER_PAGES; i++)
		if (put_user((u64)i, (u64 __user *)user_page(u, i)))
			return false;
	return true;
}

static pte_t *user_pte(unsigned long addr)
{
	pgd_t *pgd = pgd_offset(current->mm, addr);
	p4d_t *p4d = p4d_offset(pgd, addr);
	pud_t *pud = p4d_none(*p4d) ? NULL : pud_offset(p4d, addr);
	pmd_t *pmd = !pud || pud_none(*pud) ? NULL : pmd_offset(pud, addr);

	return !pmd || pmd_none(*pmd) || pmd_leaf(*pmd) ? NULL : pte_offset_kernel(pmd, addr);
}

static void user_begin(struct kunit *test, struct user_area *u)
{
	const unsigned long size = 2 * PMD_SIZE;
	unsigned long at;

	u->spy = spy_begin(test, PVB_MODE_GUEST_APPLY);
	at = kunit_vm_mmap(test, NULL, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   0);
	KUNIT_ASSERT_FALSE(test, !at || IS_ERR_VALUE(at));
	u->start = ALIGN(at, PMD_SIZE);
	KUNIT_ASSERT_TRUE(test, touch(u));
	u->ptes = user_pte(u->start);
	KUNIT_ASSERT_NOT_NULL(test, u->ptes);
	/* Once more, for A and D of all and so that nothing waits. */
	KUNIT_ASSERT_TRUE(test, touch(u));
	flush_tlb_mm(current->mm);
	spy_clear(u->spy);
}

/* All pages have been named; those of one table are one run at most, as they were changed. */
static void expect_named(struct kunit *test, const struct user_area *u, unsigned int first,
			 unsigned int nr)
{
	unsigned int i, times;

	KUNIT_EXPECT_FALSE(test, u->spy->full);
	for (i = 0; i < USER_PAGES; i++) {
		spy_named(u->spy, u->ptes + i, &times);
		KUNIT_EXPECT_EQ_MSG(test, !!times, i >= first && i < first + nr,
				    "page %u: %u times", i, times);
	}
}

static long sys_mprotect(unsigned long start, unsigned long len, unsigned long prot)
{
	const struct pt_regs regs = { .di = start, .si = len, .dx = prot };

	return sys_call_table[__NR_mprotect](&regs);
}

/* Pages that come into empty entries: the host hears nothing. */
static void mm_fault_in(struct kunit *test)
{
	struct user_area u;
	unsigned int i, times, named = 0;
	bool touched;

	user_begin(test, &u);
	u.start += USER_PAGES * PAGE_SIZE;
	touched = touch(&u);
	for (i = 0; i < USER_PAGES; i++) {
		spy_named(u.spy, u.ptes + USER_PAGES + i, &times);
		named += times;
	}
	KUNIT_EXPECT_TRUE(test, touched);
	KUNIT_EXPECT_EQ(test, named, 0);
	KUNIT_EXPECT_TRUE(test, user_writes(&u, 0));
}

static void mm_mprotect(struct kunit *test)
{
	struct user_area u;
	int named;

	user_begin(test, &u);
	KUNIT_ASSERT_EQ(test, sys_mprotect(user_page(&u, 8), 16 * PAGE_SIZE, PROT_READ), 0);
	expect_named(test, &u, 8, 16);
	named = spy_named(u.spy, u.ptes + 8, NULL);
	KUNIT_ASSERT_GE(test, named, 0);
	KUNIT_EXPECT_EQ(test, u.spy->calls[named].flush, PVB_FLUSH_ALL);
	KUNIT_EXPECT_FALSE(test, user_writes(&u, 8));
	KUNIT_EXPECT_FALSE(test, user_writes(&u, 23));
	KUNIT_EXPECT_TRUE(test, user_writes(&u, 7));
	KUNIT_EXPECT_TRUE(test, user_writes(&u, 24));
}

/* clear_young_dirty_ptes() */
static void mm_madv_free(struct kunit *test)
{
	struct user_area u;
	bool dirty;

	user_begin(test, &u);
	KUNIT_ASSERT_EQ(test, do_madvise(current->mm, user_page(&u, 4), 32 * PAGE_SIZE, MADV_FREE),
			0);
	expect_named(test, &u, 4, 32);
	dirty = pte_dirty(u.ptes[4]) || pte_dirty(u.ptes[35]);
	KUNIT_EXPECT_FALSE(test, dirty);
	/* The host has let go of them: a write sets D. */
	KUNIT_EXPECT_TRUE(test, user_writes(&u, 4));
	KUNIT_EXPECT_TRUE(test, pte_dirty(u.ptes[4]));
}

/* get_and_clear_full_ptes(), not of a whole address space */
static void mm_munmap(struct kunit *test)
{
	struct user_area u;

	user_begin(test, &u);
	KUNIT_ASSERT_EQ(test, vm_munmap(user_page(&u, 16), 16 * PAGE_SIZE), 0);
	expect_named(test, &u, 16, 16);
	KUNIT_EXPECT_FALSE(test, user_writes(&u, 16));
	KUNIT_EXPECT_FALSE(test, user_writes(&u, 31));
	KUNIT_EXPECT_TRUE(test, user_writes(&u, 15));
	KUNIT_EXPECT_TRUE(test, user_writes(&u, 32));
}

static pte_t *watched;
static pte_t seen;

static void look_at_watched(void)
{
	seen = READ_ONCE(*watched);
}

/*
 * A page that was only read, the zero page's, and is then written: one call, and by then the
 * entry maps the copy, so that the host can map it, too.
 */
static void mm_copy_on_write(struct kunit *test)
{
	struct user_area u;
	unsigned int times;
	u64 __user *at;
	u64 value = 1;
	int named;

	user_begin(test, &u);
	watched = u.ptes + USER_PAGES + 3;
	at = (u64 __user *)user_page(&u, USER_PAGES + 3);
	KUNIT_ASSERT_EQ(test, get_user(value, at), 0);
	KUNIT_ASSERT_EQ(test, value, 0);
	flush_tlb_mm(current->mm);
	spy_clear(u.spy);
	seen = *watched;
	KUNIT_ASSERT_TRUE(test, pte_present(seen) && !pte_write(seen));
	u.spy->meanwhile = look_at_watched;
	KUNIT_ASSERT_EQ(test, put_user(value + 1, at), 0);
	u.spy->meanwhile = NULL;

	named = spy_named(u.spy, watched, &times);
	KUNIT_ASSERT_EQ(test, times, 1);
	KUNIT_EXPECT_EQ(test, u.spy->calls[named].flush, PVB_FLUSH_ALL);
	KUNIT_EXPECT_TRUE(test, pte_write(seen));
	KUNIT_EXPECT_EQ(test, pte_pfn(seen), pte_pfn(*watched));
}

static int child(void *arg)
{
	*(u64 *)arg = __pa(current->mm->pgd);
	do_exit(0);
}

/* wrprotect_ptes() in the parent; at the child's end its root, with all that is below. */
static void mm_fork_and_exit(struct kunit *test)
{
	u64 root = 0;
	struct kernel_clone_args args = {
		.exit_signal = SIGCHLD,
		.fn = child,
		.fn_arg = &root,
	};
	unsigned int i, roots = 0;
	struct user_area u;
	int status;
	pid_t pid;

	user_begin(test, &u);
	pid = kernel_clone(&args);
	KUNIT_ASSERT_GT(test, pid, 0);
	kernel_wait(pid, &status);

	expect_named(test, &u, 0, USER_PAGES);
	for (i = 0; i < USER_PAGES; i++)
		KUNIT_EXPECT_FALSE(test, user_writes(&u, i));
	KUNIT_ASSERT_NE(test, root, 0);
	for (i = 0; i < u.spy->nr_runs; i++) {
		const struct pvb_entry *run = &u.spy->runs[i];

		/* All of it, unless another CPU has gone idle on it. */
		roots += run->pte_gpa == root &&
			 (run->nr == PTRS_PER_PGD ||
			  (num_online_cpus() > 1 && run->nr == KERNEL_PGD_BOUNDARY));
	}
	KUNIT_EXPECT_EQ(test, roots, 1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(mm_fault_in),
	KUNIT_CASE(mm_mprotect),
	KUNIT_CASE(mm_madv_free),
	KUNIT_CASE(mm_munmap),
	KUNIT_CASE(mm_copy_on_write),
	KUNIT_CASE(mm_fork_and_exit),
	{},
};

static struct kunit_suite suite = {
	.name = "pvbatch_mm",
	.init = pvbatch_test_init,
	.exit = pvbatch_test_exit,
	.test_cases = cases,
};
kunit_test_suite(suite);

MODULE_LICENSE("GPL");
