// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - where exceptions and interrupts go. Neighbours: trap_entry.S before,
 * idt.c for interrupts, dump.c after an exception that nobody wants.
 */
#include "trap.h"
#include "console.h"
#include "cpu.h"
#include "lib.h"

static spinlock_t dump_lock; /* never released: the guest ends with the dump */

extern const struct fixup fixups_start[], fixups_end[];

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
		irq_dispatch(frame->vector);
		return;
	}
	if (frame->cs & 3)
		trap_from_user(frame);
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
