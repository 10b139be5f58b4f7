// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the guest that tests KVM's handler: a vCPU that has promised nothing beside
 * one that has. It changes an entry of a table that its root does not reach, flushes as on
 * any machine, and puts the table where its root reaches it; the other vCPU is the first to
 * use it there, and KVM links for that one what it has shadowed as it is.
 */
#include "guest.h"

#define PAGE_NR 5
#define VA(i) (TEST_VA + (i)*PAGE)

static volatile uint32_t stage;
static volatile bool by_invlpg, seen;

static void wait_for(uint32_t value)
{
	while (stage < value)
		__builtin_ia32_pause();
}

/* beside_worker() - the vCPU that names nothing; registered again at the end. */
void beside_worker(unsigned int cpu)
{
	uint64_t root = read_cr3(), value = 0;

	call(PVB_CALL_REGISTER, 0, 0);
	write_cr3((uint64_t)other_root);
	flush_all(); /* KVM forgets the root that it has kept, from which the table is reached */
	stage = 1;
	wait_for(2);
	set_pte(&leaf[PAGE_NR], data_pte(PAGE_NR + 1, RW));
	if (by_invlpg)
		invlpg(VA(PAGE_NR));
	else
		flush_all();
	space_into_other(true);
	stage = 3;
	wait_for(4);
	seen = probe_read(VA(PAGE_NR), &value) == NO_FAULT && value == DATA_MARK + PAGE_NR + 1;
	space_into_other(false);
	flush_all();
	write_cr3(root);
	call(PVB_CALL_REGISTER, (uint64_t)buffers[cpu], BUFFER_BYTES);
}

static void beside(bool invlpg_alone, const char *what)
{
	uint64_t root = read_cr3(), value = 0;
	bool good;

	space_load();
	good = probe_read(VA(PAGE_NR), &value) == NO_FAULT && value == DATA_MARK + PAGE_NR;
	stage = 0;
	by_invlpg = invlpg_alone;
	seen = false;
	worker_job = JOB_BESIDE;
	wait_for(1);
	stage = 2;
	wait_for(3);
	write_cr3((uint64_t)other_root);
	good &= probe_read(VA(PAGE_NR + 2), &value) == NO_FAULT && value == DATA_MARK + PAGE_NR + 2;
	worker_job = JOB_NONE;
	stage = 4;
	while (worker_done != JOB_BESIDE)
		__builtin_ia32_pause();
	worker_done = JOB_NONE;
	write_cr3(root);
	space_load();
	check(good && seen, what);
}

void test_beside(void)
{
	if (boot->nr_cpus < 2) {
		skip("a vCPU that names nothing beside one that does", "one vCPU");
		return;
	}
	beside(false, "a vCPU that names nothing, beside one that does: a flush of everything");
	beside(true, "a vCPU that names nothing, beside one that does: INVLPG");
}
