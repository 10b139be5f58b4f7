/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest on Xen - what the files of this folder share.
 *
 * The kernel runs at CPL 3 with Xen's segments. As on the VMM all of its memory is mapped
 * one to one: page n of the domain lies at n * 4096. What Xen calls a machine address is
 * another thing: xen_machine_of() and xen_pointer_to() translate.
 */
#ifndef DEMO_XEN_H
#define DEMO_XEN_H

#include <pvbatch/machine.h>
#include <pvbatch/xen.h>
#include "hypercall.h"

/* What Xen adds to a kernel's leaf entry: user, and bit 52, which says that it was not. */
#define XEN_PTE_KERNEL (PVB_PTE_U | 1ULL << 52)

extern uint8_t cpu_stacks[];
extern struct shared_info *const xen_shared;

/* xen_mm_early() - shared info page and phys-to-machine table. First of all. */
void xen_mm_early(const struct start_info *start);

/* xen_top_mfn() - machine frame of the top page table. */
uint64_t xen_top_mfn(void);

/* xen_foreign_mfn() - a frame that is Xen's own: one that Xen's part of that table names. */
uint64_t xen_foreign_mfn(void);

/* xen_mfn() - the machine frame of the kernel's page at @ptr. */
uint64_t xen_mfn(const volatile void *ptr);
/* xen_machine_of() - machine address of an object of the kernel. */
uint64_t xen_machine_of(const volatile void *ptr);
/* xen_pointer_to() - the reverse; NULL if the frame is not this domain's. */
void *xen_pointer_to(uint64_t machine);

/* xen_make_table() - take write access to the page at @table away, as Xen demands of tables. */
void xen_make_table(const void *table);

/* xen_die() - end the guest before or without formatted output. */
void xen_die(const char *text) __attribute__((noreturn));

/* The last entries that Xen refused to write. */
extern struct xen_refused {
	uint64_t *ptep;
	uint32_t nr;
	enum pvb_status status;
	uint32_t calls;
} xen_refused;

/* xen_use_preserve_ad() - false: work as on a Xen that does not know it. */
void xen_use_preserve_ad(bool use);
/* xen_stats() - the transport's counters of the calling CPU. */
struct pvb_xen_stats *xen_stats(void);

/* events.c: bind the events of the calling CPU, already in its struct cpu. */
void xen_events_init(uint32_t index);

#endif /* DEMO_XEN_H */
