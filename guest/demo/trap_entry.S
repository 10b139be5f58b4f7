/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - entry of exceptions and interrupts. Each stub leaves the same
 * struct trap_frame on the stack; trap.c, trap_dispatch(), does the rest.
 */
#include "layout.h"

	.text
	.balign	TRAP_STUB_SIZE
	.globl	trap_stubs
trap_stubs:
	.set	vec, 0
	.rept	256
	.balign	TRAP_STUB_SIZE
	/* #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX push an error code */
	.if	!(vec == 8 || (vec >= 10 && vec <= 14) || vec == 17 || vec == 21 || \
		  vec == 29 || vec == 30)
	push	$0
	.endif
	push	$vec
	jmp	trap_common
	.set	vec, vec + 1
	.endr

trap_common:
	testb	$3, 24(%rsp)		/* CS: from CPL 3? */
	jz	1f
	swapgs
1:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rbp
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	cld
	mov	%rsp, %rdi
	call	trap_dispatch
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rbp
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	testb	$3, 24(%rsp)
	jz	2f
	swapgs
2:
	add	$16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
