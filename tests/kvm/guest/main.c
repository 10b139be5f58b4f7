// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the guest that tests KVM's handler: the order of the tests, and what
 * needs a second vCPU.
 */
#include "guest.h"

#define VERSIONS 2000

volatile uint32_t worker_job, worker_done;
static volatile uint64_t promised; /* the newest version whose flush was answered */
static volatile uint32_t watched, stale;

void guest_main(struct pvb_boot_info *info, uint64_t index);

/*
 * The flush law, seen from another vCPU: once the answer is there, nobody reads through
 * the old translation. Page i % DATA_PAGES stands for version i.
 */
static void watch(void)
{
	while (worker_job == JOB_WATCH) {
		uint64_t before = __atomic_load_n(&promised, __ATOMIC_SEQ_CST), value;
		uint64_t after;

		if (probe_read(TEST_VA + 50 * PAGE, &value) != NO_FAULT)
			continue;
		after = __atomic_load_n(&promised, __ATOMIC_SEQ_CST);
		watched++;
		/* The page read may be newer than before says, by one more than after. */
		if ((value - DATA_MARK - before) % DATA_PAGES > after + 1 - before)
			stale++;
	}
}

void test_smp(unsigned int cpu)
{
	(void)cpu;
	if (boot->nr_cpus < 2) {
		skip("no stale translation on another vCPU", "one vCPU");
		return;
	}
	space_load();
	set_pte(&leaf[50], data_pte(0, RW));
	name_run(&leaf[50], 1, PVB_FLUSH_ALL);
	worker_job = JOB_WATCH;
	for (uint64_t version = 1; version < VERSIONS || (watched < 1000 && version < 1000000);
	     version++) {
		set_pte(&leaf[50], data_pte(version % DATA_PAGES, RW));
		name_run(&leaf[50], 1, PVB_FLUSH_ALL);
		__atomic_store_n(&promised, version, __ATOMIC_SEQ_CST);
	}
	worker_job = JOB_NONE;
	while (worker_done != JOB_WATCH)
		__builtin_ia32_pause();
	print("# ");
	print_number(watched);
	print(" reads\n");
	check(watched && !stale, "no stale translation on another vCPU");
}

/* smp_worker() - the second vCPU: an address space like the first one's, and its jobs. */
void smp_worker(unsigned int cpu)
{
	while (!worker_job)
		__builtin_ia32_pause();
	space_init();
	call(PVB_CALL_REGISTER, (uint64_t)buffers[cpu], BUFFER_BYTES);
	for (;;) {
		uint32_t job = worker_job;

		if (job == JOB_WATCH)
			watch();
		else if (job == JOB_SCRIBBLE)
			hostile_worker();
		else if (job == JOB_STORM)
			storm_worker(cpu);
		else if (job == JOB_BESIDE)
			beside_worker(cpu);
		else if (job == JOB_STOP)
			return;
		else
			continue;
		worker_done = job;
	}
}

void guest_main(struct pvb_boot_info *info, uint64_t index)
{
	base_init(info);
	cpu_init();
	if (index) {
		smp_worker((unsigned int)index);
		return;
	}
	space_init();
	if (same_text(boot->cmdline, "look") || same_text(boot->cmdline, "nested-paging")) {
		if (boot->cmdline[0] == 'l')
			test_look();
		else
			test_nested_paging();
		worker_job = JOB_STOP;
		finish();
	}
	test_setup();
	if (same_text(boot->cmdline, "storms")) {
		test_storms();
		worker_job = JOB_STOP;
		finish();
	}
	test_guest_apply();
	test_consent();
	test_contract();
	test_tables();
	test_host_apply();
	test_log();
	test_smm();
	test_nested();
	test_smp(0);
	test_beside();
	test_storms();
	test_hostile();
	worker_job = JOB_STOP;
	test_withdraw();
	finish();
}
