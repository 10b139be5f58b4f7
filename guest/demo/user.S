/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - what selfcheck_user.c runs at CPL 3, copied to USER_BASE: each stub
 * tries to unregister the CPU's buffer by one of the doorbells, which only CPL 0 may.
 */
#include "layout.h"

	.section .rodata
	.globl user_code, user_code_end
	.globl user_in, user_in_insn, user_vmcall, user_vmcall_insn, user_vmmcall
	.globl user_vmmcall_insn
user_code:
user_in:
	mov	$USER_PORT, %edx
	xor	%ebx, %ebx
	xor	%ecx, %ecx
user_in_insn:
	in	%dx, %eax
	ud2
user_vmcall:
	mov	$USER_HYPERCALL, %eax
	xor	%ebx, %ebx
	xor	%ecx, %ecx
user_vmcall_insn:
	vmcall
	ud2
user_vmmcall:
	mov	$USER_HYPERCALL, %eax
	xor	%ebx, %ebx
	xor	%ecx, %ecx
user_vmmcall_insn:
	vmmcall
	ud2
user_code_end:

	.section .note.GNU-stack, "", @progbits
