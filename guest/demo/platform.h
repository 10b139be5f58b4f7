/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - what the machine underneath does for the kernel: platform.c for the
 * VMM of this tree (machine.h), xen/platform.c for Xen.
 */
#ifndef DEMO_PLATFORM_H
#define DEMO_PLATFORM_H

#include <pvbatch/machine.h>

/* platform_write() - @bytes of console output. */
void platform_write(const char *text, size_t bytes);

/* platform_exit() - the guest ends with @code, 0..127. */
void platform_exit(unsigned int code) __attribute__((noreturn));

/* platform_sleep() - interrupts are off; until there is one. They are off again after it. */
void platform_sleep(void);
/* platform_wake_others() - end that sleep on all other CPUs, also if it is about to begin. */
void platform_wake_others(void);

/* platform_gpa() - what a host calls the address of @ptr; platform_pte(): the reverse. */
pvb_gpa_t platform_gpa(const volatile void *ptr);
uint64_t *platform_pte(pvb_gpa_t gpa);

/* Is a PTE that is cleaned not present for a moment, as on Xen? */
extern const bool platform_takes_out;

/* PLATFORM_REFUSED - pvb_guest_ops::refused: NULL where the guest can write its tables itself. */
#ifdef DEMO_XEN
void platform_refused(uint64_t *ptep, uint32_t nr, enum pvb_status status);
#define PLATFORM_REFUSED platform_refused
#else
#define PLATFORM_REFUSED NULL
#endif

/* platform_mark() - a measurement begins; platform_record() - it is over, hand it out. */
void platform_mark(void);
void platform_record(struct pvb_record *record);

/* platform_table() - the page table that @entry, or CR3, points to; NULL: not in RAM. */
const volatile uint64_t *platform_table(uint64_t entry);

#endif /* DEMO_PLATFORM_H */
