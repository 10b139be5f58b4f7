// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - CPUs beside the first.
 */
#include "smp.h"
#include "cpu.h"
#include "platform.h"

static void (*work)(void);
static uint32_t work_cpus; /* CPUs 1..work_cpus - 1 take part */
static uint32_t work_serial; /* advances with every smp_start() */
static uint32_t work_done;

void smp_idle(void)
{
	struct cpu *cpu = this_cpu();
	uint32_t seen = 0;

	for (;;) {
		uint32_t serial = __atomic_load_n(&work_serial, __ATOMIC_ACQUIRE);

		if (serial == seen) {
			platform_sleep();
			continue;
		}
		seen = serial;
		irq_enable();
		if (cpu->index < work_cpus) {
			work();
			__atomic_fetch_add(&work_done, 1, __ATOMIC_RELEASE);
		}
		(void)irq_save();
	}
}

void smp_start(uint32_t nr, void (*fn)(void))
{
	work = fn;
	work_cpus = nr;
	work_done = 0;
	__atomic_fetch_add(&work_serial, 1, __ATOMIC_RELEASE);
	if (nr_cpus > 1)
		platform_wake_others();
}

void smp_wait(void)
{
	while (__atomic_load_n(&work_done, __ATOMIC_ACQUIRE) + 1 < work_cpus)
		cpu_relax();
}
