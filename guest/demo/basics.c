// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - the workloads without page tables: hello, and the ways to end badly,
 * which the VMM's tests ask for.
 */
#include "console.h"
#include "cpu.h"
#include "lib.h"
#include "mm.h"
#include "options.h"
#include "smp.h"
#include "workload.h"

struct machine machine;

static void hello_cpu(void)
{
	say("CPU %u here\n", this_cpu()->index);
}

unsigned int workload_hello(void)
{
	hello_cpu();
	smp_start(options.vcpus, hello_cpu);
	smp_wait();
	return EXIT_OK;
}

static void halt_cpu(void)
{
	for (;;)
		asm volatile("cli; hlt");
}

void workload_halt(void)
{
	say("halting\n");
	smp_start(nr_cpus, halt_cpu);
	halt_cpu();
	__builtin_unreachable();
}

/* With an empty IDT the exception cannot be delivered, nor the #DF that follows from it. */
void workload_triple(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	say("triple fault\n");
	asm volatile("lidt %0; ud2" : : "m"(none));
	__builtin_unreachable();
}

void workload_fault(void)
{
	switch (options.fault) {
	case FAULT_PF:
		mm_map_work(1);
		mm_work_ptes()[0] &= ~PVB_PTE_W;
		*(volatile uint64_t *)WORK_BASE = 1;
		break;
	case FAULT_GP:
		*(volatile uint64_t *)(1ULL << 63) = 1; /* not canonical */
		break;
	case FAULT_UD:
		asm volatile("ud2");
		break;
	case FAULT_DF:
		/* The page fault of the push finds no stack to be delivered on. */
		asm volatile("mov %0, %%rsp; push %%rax" : : "r"(WORK_BASE));
		break;
	}
	demo_die(EXIT_CHECK_FAILED, "the exception did not happen\n");
}
