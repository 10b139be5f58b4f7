/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests - the guest that tests KVM's handler: entry of every vCPU, the hypercall,
 * accesses that may fault, exceptions.
 */
#define STACK_BYTES 16384

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
/* int64_t vmmcall(nr, a0, a1): exactly the three bytes of the instruction. */
	.globl vmmcall
vmmcall:
	push	%rbx
	mov	%rdi, %rax
	mov	%rsi, %rbx
	mov	%rdx, %rcx
	vmmcall
	pop	%rbx
	ret

/* int64_t vmmcall_at_cpl3(nr): as the program of a user would issue it. */
	.globl vmmcall_at_cpl3
vmmcall_at_cpl3:
	push	%rbx
	push	%rbp
	mov	%rsp, cpl0_stack
	mov	%rdi, %rax
	pushq	$0x1b
	pushq	$user_stack_top
	pushq	$2
	pushq	$0x23
	pushq	$user_code
	iretq
/* #UD at CPL 3 brings it back here, the result in RAX. */
	.globl back_from_cpl3
back_from_cpl3:
	mov	cpl0_stack, %rsp
	pop	%rbp
	pop	%rbx
	ret

	.globl user_code
user_code:
	vmmcall
	ud2

/* void nested_run(vmcb): a guest of this guest, until it exits; and what it executes. */
	.globl nested_run
nested_run:
	push	%rbx
	mov	%rdi, %rax
	xor	%ebx, %ebx
	xor	%ecx, %ecx
	vmrun	%rax
	stgi
	pop	%rbx
	ret

	.globl nested_code
nested_code:
	vmmcall
	hlt

/*
 * uint64_t user_read(va), user_write(va), user_exec(va): as the probes below, by a program at
 * CPL 3. user_exec() wants a ret there. The address of the fault is in user_cr2.
 */
	.globl user_read
user_read:
	lea	user_read_code(%rip), %rax
	jmp	1f
	.globl user_write
user_write:
	lea	user_write_code(%rip), %rax
	jmp	1f
	.globl user_exec
user_exec:
	lea	user_exec_code(%rip), %rax
1:	push	%rbx
	push	%rbp
	mov	%rsp, cpl0_stack
	pushq	$0x1b
	pushq	$user_stack_top
	pushq	$2
	pushq	$0x23
	push	%rax
	mov	$-1, %rax
	iretq
user_read_code:
	mov	(%rdi), %rcx
	ud2
user_write_code:
	mov	%rdi, 16(%rdi)
	ud2
user_exec_code:
	call	*%rdi
	ud2

/*
 * uint64_t probe_read(va, *value), probe_write(va, value), probe_exec(va): ~0 if it
 * worked, else the error code of the page fault.
 */
	.globl probe_read
probe_read:
	mov	$-1, %rax
	.globl probe_read_insn
probe_read_insn:
	mov	(%rdi), %rcx
	mov	%rcx, (%rsi)
	ret
	.globl probe_write
probe_write:
	mov	$-1, %rax
	.globl probe_write_insn
probe_write_insn:
	mov	%rsi, (%rdi)
	ret
	.globl probe_exec
probe_exec:
	mov	$-1, %rax
	.globl probe_exec_insn
probe_exec_insn:
	jmp	*%rdi	/* to a ret */

/* Exceptions: #UD without, #GP and #PF with an error code. */
	.globl trap_ud
trap_ud:
	testb	$3, 8(%rsp)
	jnz	back_from_cpl3
	mov	$6, %edi
	jmp	die
	.globl trap_gp
trap_gp:
	mov	$13, %edi
	mov	8(%rsp), %rsi
	jmp	die
	.globl trap_pf
trap_pf:
	testb	$3, 16(%rsp)
	jz	2f
	mov	%cr2, %rcx
	mov	%rcx, user_cr2
	mov	(%rsp), %rax		/* the error code */
	jmp	back_from_cpl3
2:	push	%rcx
	mov	16(%rsp), %rcx		/* RIP */
	cmp	$probe_read_insn, %rcx
	je	1f
	cmp	$probe_write_insn, %rcx
	je	1f
	/* A jump that cannot be fetched from faults at its target. */
	push	%rdx
	mov	%cr2, %rdx
	cmp	%rdx, %rcx
	pop	%rdx
	je	1f
	mov	$14, %edi
	mov	%rcx, %rsi
	jmp	die
1:	mov	8(%rsp), %rax		/* the error code */
	movq	$probe_out, 16(%rsp)
	pop	%rcx
	add	$8, %rsp
	iretq
probe_out:
	ret
die:	and	$-16, %rsp
	call	guest_died
	ud2

	.bss
	.balign	16
cpl0_stack:
	.skip	16
	.globl	user_cr2
user_cr2:
	.skip	16
	.skip	4096
user_stack_top:

	.section .note.GNU-stack, "", @progbits
