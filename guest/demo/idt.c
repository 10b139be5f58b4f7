// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - the interrupt descriptor table, and what interrupts do.
 */
#include "cpu.h"
#include "smp.h"
#include "trap.h"

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t ist;
	uint8_t type;
	uint16_t offset_mid;
	uint32_t offset_high;
	uint32_t reserved;
};

#define GATE_INTERRUPT 0x8e /* present, DPL 0, 64-bit interrupt gate */

static struct gate idt[256];

extern uint8_t trap_stubs[256][TRAP_STUB_SIZE];

static void set_gate(unsigned int vector)
{
	uint64_t entry = (uint64_t)trap_stubs[vector];

	idt[vector] = (struct gate){
		.offset_low = (uint16_t)entry,
		.selector = SEL_KERNEL_CODE,
		.ist = vector == VEC_DF || vector == VEC_NMI,
		.type = GATE_INTERRUPT,
		.offset_mid = (uint16_t)(entry >> 16),
		.offset_high = (uint32_t)(entry >> 32),
	};
}

void trap_init(void)
{
	for (unsigned int v = 0; v < NR_EXCEPTIONS; v++)
		set_gate(v);
	set_gate(VEC_WAKE);
	set_gate(VEC_FLUSH);
	set_gate(VEC_SELF);
	set_gate(VEC_SPURIOUS);
}

void trap_init_cpu(void)
{
	struct {
		uint16_t limit;
		const void *base;
	} __attribute__((packed)) desc = { sizeof(idt) - 1, idt };

	asm volatile("lidt %0" : : "m"(desc));
}

void irq_dispatch(uint64_t vector)
{
	struct cpu *cpu = this_cpu();

	cpu->irq_depth++;
	if (vector == VEC_FLUSH)
		smp_flush_irq();
	else if (vector == VEC_SELF && cpu->self_irq)
		cpu->self_irq();
	if (vector != VEC_SPURIOUS)
		apic_eoi();
	cpu->irq_depth--;
}

void trap_from_user(const struct trap_frame *frame)
{
	this_cpu()->user_exit = (struct user_exit){
		.vector = frame->vector,
		.error = frame->error,
		.rip = frame->rip,
		.rax = frame->rax,
	};
	user_leave();
}
