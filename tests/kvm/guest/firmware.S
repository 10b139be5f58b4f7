/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests - the guest that tests KVM's handler: firmware. What a vCPU runs in System
 * Management Mode: from where the CPU begins it up to 64-bit mode, and there, at CPL 0, one
 * hypercall. Copied to where SMM begins (smm.c); what it names lies in the image.
 */
	.text
	.globl smm_begin, smm_end, smm_root, smm_call, smm_answer
	.code16
smm_begin:
	mov	%cr4, %eax
	or	$0x20, %eax		/* PAE */
	mov	%eax, %cr4
	addr32 movl smm_root, %eax
	mov	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	or	$0x100, %eax		/* EFER.LME */
	wrmsr
	addr32 lgdtl smm_gdtr
	mov	%cr0, %eax
	or	$0x80000001, %eax	/* PG, PE */
	mov	%eax, %cr0
	ljmpl	$8, $smm64
smm_end:
	.code64
smm64:
	mov	smm_call, %rax
	vmmcall
	mov	%rax, smm_answer
	rsm

	.data
	.balign	8
smm_gdt:
	.quad	0
	.quad	0x00af9b000000ffff
smm_gdtr:
	.word	15
	.long	smm_gdt
	.balign	8
smm_root:
	.quad	0
smm_call:
	.quad	0
smm_answer:
	.quad	0

	.section .note.GNU-stack, "", @progbits
