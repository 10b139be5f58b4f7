/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - several CPUs: work for the others, and their TLBs.
 */
#ifndef DEMO_SMP_H
#define DEMO_SMP_H

#include <pvbatch/guest.h>

/* smp_idle() - what CPUs other than 0 do for ever: sleep until there is work. */
void smp_idle(void) __attribute__((noreturn));

/* smp_start() - CPUs 1 to @nr - 1 run @fn; returns at once. Only one at a time; CPU 0. */
void smp_start(uint32_t nr, void (*fn)(void));
/* smp_wait() - until all of them have returned from it. */
void smp_wait(void);

/*
 * smp_flush() - struct pvb_guest_ops::flush: by INVLPG or CR3 here, by IPI elsewhere.
 * Interrupts on, unless PVB_FLUSH_LOCAL.
 */
void smp_flush(enum pvb_flush type, uint32_t flags, pvb_gva_t va, uint32_t pages);
/* smp_flush_irq() - the other side of it. */
void smp_flush_irq(void);

#endif /* DEMO_SMP_H */
