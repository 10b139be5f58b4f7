/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - numbers that C and assembly share.
 */
#ifndef DEMO_LAYOUT_H
#define DEMO_LAYOUT_H

#define MAX_CPUS 64
#define STACK_SIZE 16384

/* Segment selectors. The order of the user ones has no meaning here: there is no SYSRET. */
#define SEL_KERNEL_CODE 0x08
#define SEL_KERNEL_DATA 0x10
#define SEL_USER_CODE (0x18 | 3)
#define SEL_USER_DATA (0x20 | 3)
#define SEL_TSS 0x28

/* Offsets in struct cpu. */
#define CPU_SELF 0
#define CPU_USER_RETURN 8

/* Vectors. Those below 32 are exceptions. */
#define NR_EXCEPTIONS 32
#define VEC_FIRST_IRQ 0xf0
#define VEC_WAKE 0xf0 /* leave HLT and look for work */
#define VEC_FLUSH 0xf1 /* TLB shootdown */
#define VEC_SELF 0xf2 /* selfcheck's interrupt into lazy mode */
#define VEC_EVENT 0xf8 /* Xen: some event channel */
#define VEC_SPURIOUS 0xff

#define TRAP_STUB_SIZE 16

/* PVB_CALL_REGISTER by either doorbell; selfcheck_user.c compares them with abi.h. */
#define USER_PORT 0x5648
#define USER_HYPERCALL 0x70766202

#endif /* DEMO_LAYOUT_H */
