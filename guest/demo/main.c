// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - from the first C function to the workload.
 *
 *   start.S -> demo_main() -> per CPU: tables, segments, traps
 *     CPU 0: command line -> transport.c (is there a host?) -> workload -> exit port
 *     others: smp_idle() until a workload has work for them
 */
#include <pvbatch/machine.h>
#include "console.h"
#include "cpu.h"
#include "host.h"
#include "lib.h"
#include "mm.h"
#include "options.h"
#include "smp.h"
#include "trap.h"
#include "workload.h"

static uint32_t booted; /* CPU 0 is through with what the others need */
static uint32_t arrived; /* CPUs that are ready for work */

void demo_main(const struct pvb_boot_info *boot, uint32_t index);

static void check_boot_info(const struct pvb_boot_info *boot)
{
	if (boot->magic != PVB_BOOT_MAGIC)
		demo_die(EXIT_MACHINE, "boot: no boot information at 0x%lx\n", (uint64_t)boot);
	if (boot->nr_cpus > MAX_CPUS)
		demo_die(EXIT_MACHINE, "boot: %u CPUs, this kernel takes %u at most\n",
			 boot->nr_cpus, MAX_CPUS);
}

static void run_workload(void)
{
	const char *doorbell = options.workload < WORKLOAD_HALT ? host_find() : NULL;

	say("pvbatch demo guest: %u CPUs, %lu MiB, TSC %u kHz, doorbell: %s\n", nr_cpus,
	    mm_ram_bytes() >> 20, machine.tsc_khz, doorbell ? doorbell : "none answers");
	switch (options.workload) {
	case WORKLOAD_HELLO:
		demo_exit(workload_hello());
	case WORKLOAD_TOGGLE:
		demo_exit(workload_toggle());
	case WORKLOAD_COMPARE:
		demo_exit(workload_compare());
	case WORKLOAD_RACE:
		demo_exit(workload_race());
	case WORKLOAD_MM:
		demo_exit(workload_mm());
	case WORKLOAD_SELFCHECK:
		demo_exit(workload_selfcheck());
	case WORKLOAD_CONFORM:
		demo_exit(workload_conform());
	case WORKLOAD_HOSTILE:
		demo_exit(workload_hostile());
	case WORKLOAD_VICTIM:
		demo_exit(workload_victim());
	case WORKLOAD_HALT:
		workload_halt();
	case WORKLOAD_TRIPLE:
		workload_triple();
	}
}

void demo_main(const struct pvb_boot_info *boot, uint32_t index)
{
	if (index) {
		while (!__atomic_load_n(&booted, __ATOMIC_ACQUIRE))
			cpu_relax();
		mm_use();
		cpu_init(index);
		__atomic_fetch_add(&arrived, 1, __ATOMIC_RELEASE);
		smp_idle();
	}

	check_boot_info(boot);
	nr_cpus = boot->nr_cpus;
	trap_init();
	cpu_init(0);
	options_parse(boot->cmdline);
	mm_init(boot);
	machine.tsc_khz = boot->tsc_khz;
	mm_use(); /* from here on boot is not mapped */
	__atomic_store_n(&booted, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) + 1 < nr_cpus)
		cpu_relax();
	if (!options.vcpus)
		options.vcpus = nr_cpus;
	if (options.vcpus > nr_cpus)
		demo_die(EXIT_USAGE, "command line: vcpus=%u, but the machine has %u\n",
			 options.vcpus, nr_cpus);
	irq_enable();
	if (options.fault)
		workload_fault();
	run_workload();
}
