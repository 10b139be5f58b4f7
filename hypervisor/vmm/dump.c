// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - what a crash looks like: the registers of one vCPU, the code it was at and
 * the top of its stack, as far as they can be had.
 */
#include <inttypes.h>
#include <sys/ioctl.h>

#include <vmm/internal.h>

/* Reading guest-virtual memory byte by byte, through KVM's walk of the guest's tables. */
static bool read_virtual(struct vcpu *vcpu, uint64_t va, void *dst, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++) {
		struct kvm_translation walk = { .linear_address = va + i };

		if (ioctl(vcpu->fd, KVM_TRANSLATE, &walk) || !walk.valid ||
		    memory_read(&vcpu->vm->memory, pvb_gpa(walk.physical_address),
				(uint8_t *)dst + i, 1))
			return false;
	}
	return true;
}

static void dump_code(struct vcpu *vcpu, FILE *out, uint64_t rip)
{
	uint8_t code[16];

	fprintf(out, "  code at rip:");
	if (read_virtual(vcpu, rip, code, sizeof(code)))
		for (unsigned int i = 0; i < sizeof(code); i++)
			fprintf(out, " %02x", code[i]);
	else
		fprintf(out, " not mapped");
	fputc('\n', out);
}

static void dump_stack(struct vcpu *vcpu, FILE *out, uint64_t rsp)
{
	uint64_t word;

	for (unsigned int i = 0; i < 8; i++) {
		if (!read_virtual(vcpu, rsp + i * 8, &word, sizeof(word)))
			break;
		fprintf(out, "%s%016" PRIx64 "%s", i % 4 ? " " : "  stack: ", word,
			i % 4 == 3 ? "\n" : "");
	}
}

void dump_vcpu(struct vcpu *vcpu, FILE *out, const char *what)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	fprintf(out, "pvbatch: guest vCPU %u: %s\n", vcpu->index, what);
	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) || ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return;
	/* AMD: the VMCB is undefined after a shutdown, so KVM resets the vCPU at once. */
	if (regs.rip == 0xfff0 && sregs.cs.base == 0xffff0000) {
		fprintf(out, "  no registers: this CPU does not keep them over a triple fault\n");
		return;
	}
	fprintf(out, "  rip %016llx  rflags %08llx  cs %04x  cpl %u\n", regs.rip, regs.rflags,
		sregs.cs.selector, sregs.ss.dpl);
	fprintf(out, "  rax %016llx  rbx %016llx  rcx %016llx  rdx %016llx\n", regs.rax, regs.rbx,
		regs.rcx, regs.rdx);
	fprintf(out, "  rsi %016llx  rdi %016llx  rbp %016llx  rsp %016llx\n", regs.rsi, regs.rdi,
		regs.rbp, regs.rsp);
	fprintf(out, "  r8  %016llx  r9  %016llx  r10 %016llx  r11 %016llx\n", regs.r8, regs.r9,
		regs.r10, regs.r11);
	fprintf(out, "  r12 %016llx  r13 %016llx  r14 %016llx  r15 %016llx\n", regs.r12, regs.r13,
		regs.r14, regs.r15);
	fprintf(out, "  cr0 %08llx  cr2 %016llx  cr3 %016llx  cr4 %08llx  efer %llx\n", sregs.cr0,
		sregs.cr2, sregs.cr3, sregs.cr4, sregs.efer);
	fprintf(out, "  gdt %016llx+%x  idt %016llx+%x  tr %04x\n", sregs.gdt.base, sregs.gdt.limit,
		sregs.idt.base, sregs.idt.limit, sregs.tr.selector);
	dump_code(vcpu, out, regs.rip);
	dump_stack(vcpu, out, regs.rsp);
	fflush(out);
}
