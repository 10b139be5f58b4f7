// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest on Xen - a vCPU's registers and trap table, and the machine around it
 * (platform.h).
 */
#include "../console.h"
#include "../cpu.h"
#include "../lib.h"
#include "../platform.h"
#include "../trap.h"
#include "xen.h"

struct cpu cpus[MAX_CPUS];
uint32_t nr_cpus;
uint8_t cpu_stacks[MAX_CPUS * STACK_SIZE] __attribute__((aligned(16)));

extern uint8_t trap_stubs[NR_EXCEPTIONS][TRAP_STUB_SIZE];
void event_callback(void);
void failsafe_callback(void);

static struct trap_info traps[NR_EXCEPTIONS + 1]; /* the last one is none */

void trap_init(void)
{
	for (unsigned int v = 0; v < NR_EXCEPTIONS; v++)
		traps[v] = (struct trap_info){
			.vector = (uint8_t)v,
			.cs = FLAT_KERNEL_CS,
			.address = (uint64_t)trap_stubs[v],
		};
}

void trap_init_cpu(void)
{
	struct callback_register event = {
		.type = CALLBACKTYPE_event,
		.address = (uint64_t)event_callback,
	};
	struct callback_register failsafe = {
		.type = CALLBACKTYPE_failsafe,
		.address = (uint64_t)failsafe_callback,
	};

	if (hypercall4(__HYPERVISOR_set_trap_table, (uint64_t)traps, 0, 0, 0) ||
	    hypercall4(__HYPERVISOR_callback_op, CALLBACKOP_register, (uint64_t)&event, 0, 0) ||
	    hypercall4(__HYPERVISOR_callback_op, CALLBACKOP_register, (uint64_t)&failsafe, 0, 0))
		xen_die("boot: Xen takes no trap table\n");
}

void cpu_init(uint32_t index)
{
	struct cpu *cpu = &cpus[index];
	struct physdev_set_iopl iopl = { .iopl = 1 };

	cpu->self = cpu;
	cpu->index = index;
	if (hypercall4(__HYPERVISOR_set_segment_base, SEGBASE_GS_KERNEL, (uint64_t)cpu, 0, 0))
		xen_die("boot: Xen sets no GS base\n");
	trap_init_cpu();
	/* For CLI, STI and the exit port. */
	if (hypercall4(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, (uint64_t)&iopl, 0, 0))
		xen_die("boot: Xen grants no I/O privilege\n");
	xen_events_init(index);
}

void platform_write(const char *text, size_t bytes)
{
	(void)xen_console_write(text, bytes);
}

/* A domain cannot hand out a number: tests/xen/run reads it from the console. */
void platform_exit(unsigned int code)
{
	struct sched_shutdown shutdown = { .reason = SHUTDOWN_reboot };

	say_unlocked("pvbatch demo guest: exit code %u\n", code);
	for (;;)
		(void)xen_sched_op(SCHEDOP_shutdown, &shutdown);
}

/* There is no CPL 3 below this kernel, which runs there itself. */
void trap_from_user(const struct trap_frame *frame)
{
	demo_die(EXIT_TRAP + (unsigned int)frame->vector, "trap %lu from user mode\n",
		 frame->vector);
}

void xen_die(const char *text)
{
	struct sched_shutdown shutdown = { .reason = SHUTDOWN_crash };

	(void)xen_console_write(text, strlen(text));
	for (;;)
		(void)xen_sched_op(SCHEDOP_shutdown, &shutdown);
}
