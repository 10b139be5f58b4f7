// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - where exceptions and interrupts go. Neighbours: trap_entry.S before,
 * dump.c after an exception that nobody wants.
 */
#include "trap.h"
#include "console.h"
#include "cpu.h"
#include "lib.h"
#include "smp.h"

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
static spinlock_t dump_lock; /* never released: the guest ends with the dump */

extern uint8_t trap_stubs[256][TRAP_STUB_SIZE];
extern const struct fixup fixups_start[], fixups_end[];

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

static void dispatch_irq(uint64_t vector)
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

static bool apply_fixup(struct trap_frame *frame)
{
	/* Integers, as for C the ends of a linker section have nothing to do with each other. */
	size_t nr = ((uint64_t)fixups_end - (uint64_t)fixups_start) / sizeof(struct fixup);

	for (size_t i = 0; i < nr; i++) {
		if (fixups_start[i].rip == frame->rip) {
			frame->rip = fixups_start[i].target;
			return true;
		}
	}
	return false;
}

void trap_dispatch(struct trap_frame *frame)
{
	struct cpu *cpu = this_cpu();

	if (frame->vector >= VEC_FIRST_IRQ) {
		dispatch_irq(frame->vector);
		return;
	}
	if (frame->cs & 3) {
		cpu->user_exit = (struct user_exit){
			.vector = frame->vector,
			.error = frame->error,
			.rip = frame->rip,
			.rax = frame->rax,
		};
		user_leave();
	}
	if (frame->vector != VEC_DF && frame->vector != VEC_NMI) {
		if (cpu->trap_hook && cpu->trap_hook(frame))
			return;
		if (apply_fixup(frame))
			return;
	}
	spin_lock(&dump_lock);
	trap_dump(frame);
	demo_exit(EXIT_TRAP + (unsigned int)frame->vector);
}
