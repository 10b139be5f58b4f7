/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest on Xen - what makes the image a 64-bit PV kernel: ELF notes, hypercall
 * page, the first instructions of every vCPU, entry and return of traps. Xen's public
 * headers elfnote.h and arch-x86/xen-x86_64.h are the source. Next: boot.c.
 */
#define __ASSEMBLY__
#include <xen/elfnote.h>
#include <xen/features.h>
#include <xen/xen.h>
#include "../layout.h"

	.macro note type, kind, value:vararg
	.pushsection .note.Xen, "a", @note
	.balign	4
	.long	4, 2f - 1f, \type
	.asciz	"Xen"
1:	\kind	\value
2:	.balign	4
	.popsection
	.endm

	note	XEN_ELFNOTE_GUEST_OS, .asciz, "pvbatch-demo"
	note	XEN_ELFNOTE_GUEST_VERSION, .asciz, "1"
	note	XEN_ELFNOTE_XEN_VERSION, .asciz, "xen-3.0"
	note	XEN_ELFNOTE_LOADER, .asciz, "generic"
	note	XEN_ELFNOTE_VIRT_BASE, .quad, 0
	note	XEN_ELFNOTE_PADDR_OFFSET, .quad, 0
	note	XEN_ELFNOTE_ENTRY, .quad, xen_start
	note	XEN_ELFNOTE_HYPERCALL_PAGE, .quad, hypercall_page
	note	XEN_ELFNOTE_SUPPORTED_FEATURES, .quad, 1 << XENFEAT_dom0

	.section .text.start, "ax"
/* RSI: the start info page. Interrupts (events) are masked, the stack is Xen's. */
	.globl xen_start
xen_start:
	cld
	lea	cpu_stacks + STACK_SIZE, %rsp
	xor	%ebp, %ebp
	mov	%rsi, %rdi
	call	xen_main
1:	jmp	1b

/* The other vCPUs: RSP and RDI (the index) come from VCPUOP_initialise. */
	.globl xen_start_secondary
xen_start_secondary:
	cld
	xor	%ebp, %ebp
	call	xen_main_secondary
1:	jmp	1b

	.text
	.balign	4096
	.globl	hypercall_page
hypercall_page:
	.skip	4096

/*
 * Traps. Xen has pushed SS, RSP, RFLAGS, CS, RIP, an error code where the exception has
 * one, and on top of them R11 and RCX, on the stack in use. The stubs leave the struct
 * trap_frame of ../trap.h.
 */
	.balign	TRAP_STUB_SIZE
	.globl	trap_stubs
trap_stubs:
	.set	vec, 0
	.rept	NR_EXCEPTIONS
	.balign	TRAP_STUB_SIZE
	pop	%rcx
	pop	%r11
	.if	!(vec == 8 || (vec >= 10 && vec <= 14) || vec == 17 || vec == 21 || \
		  vec == 29 || vec == 30)
	push	$0
	.endif
	push	$vec
	jmp	trap_common
	.set	vec, vec + 1
	.endr

	.globl	event_callback
event_callback:
	pop	%rcx
	pop	%r11
	push	$0
	push	$VEC_EVENT
	jmp	trap_common

/* A segment register or an IRET that Xen could not load; this kernel causes none. */
	.globl	failsafe_callback
failsafe_callback:
	ud2

trap_common:
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
	add	$16, %rsp
	/* flags of struct iret_context: no SYSRET; the stub pushes RCX, R11 and RAX. */
	push	$0
	jmp	hypercall_page + 32 * __HYPERVISOR_iret

	.section .note.GNU-stack, "", @progbits
