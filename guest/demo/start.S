/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - first instructions of every vCPU, and the road to CPL 3 and back.
 * machine.h says in what state a vCPU arrives. Next: main.c, demo_main().
 */
#include "layout.h"

	.section .text.start, "ax"
	.globl demo_start
demo_start:
	cli
	cld
	cmp	$MAX_CPUS, %rsi
	jae	demo_park
	mov	%rsi, %rax
	inc	%rax
	imul	$STACK_SIZE, %rax, %rax
	lea	cpu_stacks(%rax), %rsp
	xor	%ebp, %ebp
	call	demo_main
demo_park:
	hlt
	jmp	demo_park

	.text
/* void load_gdt(const void *desc): the code segment changes by a far return. */
	.globl load_gdt
load_gdt:
	lgdt	(%rdi)
	mov	$SEL_KERNEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	pop	%rax
	push	$SEL_KERNEL_CODE
	push	%rax
	lretq

/*
 * void user_enter(uint64_t rip, uint64_t rsp): run at CPL 3 with interrupts off. Returns
 * when user_leave() is called by a trap from CPL 3.
 */
	.globl user_enter
user_enter:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, %gs:CPU_USER_RETURN
	push	$SEL_USER_DATA
	push	%rsi
	push	$2			/* RFLAGS: IOPL 0 */
	push	$SEL_USER_CODE
	push	%rdi
	swapgs
	iretq

/* void user_leave(void): never returns here; user_enter() returns instead. */
	.globl user_leave
user_leave:
	mov	%gs:CPU_USER_RETURN, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.section .note.GNU-stack, "", @progbits
