/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - exceptions and interrupts.
 */
#ifndef DEMO_TRAP_H
#define DEMO_TRAP_H

#include <pvbatch/types.h>
#include "layout.h"

/* As trap_entry.S leaves it on the stack. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector;
	uint64_t error;
	uint64_t rip, cs, rflags, rsp, ss;
};

enum vector {
	VEC_NMI = 2,
	VEC_UD = 6,
	VEC_DF = 8,
	VEC_GP = 13,
	VEC_PF = 14,
};

/* Error code of a page fault: Intel SDM volume 3, 4.7. */
#define PF_PRESENT 0x01ULL
#define PF_WRITE 0x02ULL
#define PF_USER 0x04ULL
#define PF_RESERVED 0x08ULL
#define PF_FETCH 0x10ULL

/*
 * An instruction at label 1 that may fault, and where to go on if it does (label 2):
 * "1: insn; 2:" FIXUP(1b, 2b). The register that tells the two apart is the caller's.
 */
struct fixup {
	uint64_t rip;
	uint64_t target;
};
#define FIXUP(from, to) ".pushsection .fixups, \"a\"; .quad " #from ", " #to "; .popsection\n\t"

/* trap_init() - fill the IDT, once. trap_init_cpu() - load it on the calling CPU. */
void trap_init(void);
void trap_init_cpu(void);

/* trap_entry.S calls it. */
void trap_dispatch(struct trap_frame *frame);
/* irq_dispatch() - an interrupt arrived by @vector, VEC_FIRST_IRQ or above. */
void irq_dispatch(uint64_t vector);
/* trap_from_user() - an exception at CPL 3 ends user_enter(). */
void trap_from_user(const struct trap_frame *frame) __attribute__((noreturn));

/* dump.c: print all there is to know about an exception. */
void trap_dump(const struct trap_frame *frame);

#endif /* DEMO_TRAP_H */
