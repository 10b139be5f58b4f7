/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests - the VMM's test guest: entry of every vCPU, and what C cannot say.
 */
#define STACK_BYTES 8192

	.section .text.start, "ax"
	.globl _start
_start:
	lea	1(%rsi), %rax
	imul	$STACK_BYTES, %rax
	lea	stacks(%rax), %rsp
	call	guest_main
1:	cli
	hlt
	jmp	1b

	.text
/* user_enter(rip, rsp): go on there at CPL 3, IOPL 0, interrupts off. */
	.globl user_enter
user_enter:
	pushq	$0x1b
	pushq	%rsi
	pushq	$2
	pushq	$0x23
	pushq	%rdi
	iretq

/* What runs at CPL 3: rings the doorbell, and if that worked says so with a #UD. */
	.globl user_code
user_code:
	mov	$0x5640, %dx
	in	%dx, %eax
	ud2

/* The handlers of #UD and #GP: report the vector and the CPL of where it happened. */
	.globl trap_ud
trap_ud:
	mov	$6, %edi
	mov	8(%rsp), %rsi
	jmp	trap_common
	.globl trap_gp
trap_gp:
	mov	$13, %edi
	mov	16(%rsp), %rsi
trap_common:
	and	$3, %esi
	and	$-16, %rsp
	call	guest_trap
	ud2

/* rep_insd(port, dst, count) */
	.globl rep_insd
rep_insd:
	mov	%rdx, %rcx
	mov	%edi, %edx
	mov	%rsi, %rdi
	rep insl
	ret

	.bss
	.balign	4096
stacks:
	.skip	STACK_BYTES * 8

	.section .note.GNU-stack, "", @progbits
