// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - the state in which a vCPU starts, as machine.h promises it: 64-bit mode,
 * memory mapped one to one, an empty TSS without an I/O bitmap (law 7: at CPL 3 an I/O
 * instruction, and so a doorbell, is a #GP of the guest and never reaches us).
 *
 * Sources: Intel SDM volume 3, 4.5 (4-level paging), 8.2 (TSS), 20.5.2 (I/O bitmap).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <vmm/internal.h>

/* Layout of the boot area */
#define BOOT_PML4 (PVB_BOOT_AREA + 0x0000)
#define BOOT_PDPT (PVB_BOOT_AREA + 0x1000)
#define BOOT_PD (PVB_BOOT_AREA + 0x2000)
#define BOOT_GDT (PVB_BOOT_AREA + 0x3000)
#define BOOT_TSS (PVB_BOOT_AREA + 0x4000)
#define BOOT_INFO (PVB_BOOT_AREA + 0x5000)

#define LARGE_PAGE (2ULL << 20)
#define PDE_LARGE (1ULL << 7)

#define CR0_PE (1ULL << 0)
#define CR0_MP (1ULL << 1)
#define CR0_ET (1ULL << 4)
#define CR0_NE (1ULL << 5)
#define CR0_WP (1ULL << 16)
#define CR0_PG (1ULL << 31)
#define CR4_PAE (1ULL << 5)
#define EFER_LME (1ULL << 8)
#define EFER_LMA (1ULL << 10)
#define EFER_NXE (1ULL << 11)

#define APIC_BASE 0xfee00000ULL
#define APIC_BSP (1ULL << 8)
#define APIC_X2APIC (1ULL << 10)
#define APIC_ENABLE (1ULL << 11)

#define TSS_BYTES 104U
#define TSS_IOMAP 102U /* 16-bit offset of the I/O bitmap */

#define CPUID_MAX 256U

static const uint64_t gdt[] = {
	0,
	0x00af9b000000ffffULL, /* 0x08: 64-bit code, CPL 0 */
	0x00cf93000000ffffULL, /* 0x10: data, CPL 0 */
	0x00008b0000000067ULL | (BOOT_TSS << 16), /* 0x18: busy 64-bit TSS, two slots */
	0,
};

static void put64(struct memory *mem, uint64_t gpa, uint64_t value)
{
	memory_write(mem, pvb_gpa(gpa), &value, sizeof(value));
}

int boot_prepare(struct vm *vm, struct vmm_error *error)
{
	struct memory *mem = &vm->memory;
	uint64_t mapped = mem->bytes < PVB_BOOT_MAPPED ? mem->bytes : PVB_BOOT_MAPPED;
	const uint16_t no_bitmap = TSS_BYTES;
	struct pvb_boot_info info = {
		.magic = PVB_BOOT_MAGIC,
		.ram_bytes = mem->bytes,
		.nr_cpus = vm->nr_vcpus,
	};
	int khz;

	if (strlen(vm->config->cmdline) >= sizeof(info.cmdline))
		return vmm_error_set(error, VMM_FAULT_CONFIG, E2BIG,
				     "the guest's command line is longer than %zu characters",
				     sizeof(info.cmdline) - 1);
	memcpy(info.cmdline, vm->config->cmdline, strlen(vm->config->cmdline) + 1);
	info.free_start = (vm->image.end + PVB_PAGE_SIZE - 1) & ~(PVB_PAGE_SIZE - 1);
	if (info.free_start < PVB_BOOT_AREA_END)
		info.free_start = PVB_BOOT_AREA_END;
	khz = ioctl(vm->vcpus[0].fd, KVM_GET_TSC_KHZ, 0);
	info.tsc_khz = khz > 0 ? (uint32_t)khz : 0;

	put64(mem, BOOT_PML4, BOOT_PDPT | PVB_PTE_P | PVB_PTE_W);
	put64(mem, BOOT_PDPT, BOOT_PD | PVB_PTE_P | PVB_PTE_W);
	for (uint64_t at = 0; at < mapped; at += LARGE_PAGE)
		put64(mem, BOOT_PD + at / LARGE_PAGE * 8, at | PVB_PTE_P | PVB_PTE_W | PDE_LARGE);
	memory_write(mem, pvb_gpa(BOOT_GDT), gdt, sizeof(gdt));
	memory_write(mem, pvb_gpa(BOOT_TSS + TSS_IOMAP), &no_bitmap, sizeof(no_bitmap));
	memory_write(mem, pvb_gpa(BOOT_INFO), &info, sizeof(info));
	return 0;
}

/* What the host's KVM supports, with this vCPU's APIC id where CPUID tells it. */
static int set_cpuid(struct vcpu *vcpu, struct vmm_error *error)
{
	struct kvm_cpuid2 *cpuid;
	int rc = 0;

	cpuid = calloc(1, sizeof(*cpuid) + CPUID_MAX * sizeof(cpuid->entries[0]));
	if (!cpuid)
		return vmm_error_set(error, VMM_FAULT_HOST, ENOMEM, "out of memory");
	cpuid->nent = CPUID_MAX;
	if (ioctl(vcpu->vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid)) {
		rc = vmm_error_set(error, VMM_FAULT_HOST, errno, "KVM_GET_SUPPORTED_CPUID: %s",
				   strerror(errno));
		goto out;
	}
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		switch (entry->function) {
		case 1:
			entry->ebx = (entry->ebx & 0x0000ffff) | vcpu->index << 24 |
				     (vcpu->vm->nr_vcpus & 0xff) << 16;
			entry->ecx |= 1U << 21 | 1U << 31; /* x2APIC, hypervisor */
			break;
		case 0xb:
		case 0x1f:
			entry->edx = vcpu->index;
			break;
		case 0x80000008:
			vcpu->vm->phys_bits = entry->eax & 0xff;
			break;
		case 0x8000001e:
			entry->eax = vcpu->index;
			break;
		}
	}
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid))
		rc = vmm_error_set(error, VMM_FAULT_HOST, errno, "KVM_SET_CPUID2: %s",
				   strerror(errno));
out:
	free(cpuid);
	return rc;
}

static int set_sregs(struct vcpu *vcpu, struct vmm_error *error)
{
	struct kvm_segment code = {
		.limit = ~0U, .selector = 0x08, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
	};
	struct kvm_segment data = {
		.limit = ~0U, .selector = 0x10, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
	};
	struct kvm_segment tss = {
		.base = BOOT_TSS, .limit = TSS_BYTES - 1, .selector = 0x18, .type = 11, .present = 1
	};
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		goto fail;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.tr = tss;
	memset(&sregs.ldt, 0, sizeof(sregs.ldt));
	sregs.ldt.unusable = 1;
	sregs.gdt.base = BOOT_GDT;
	sregs.gdt.limit = sizeof(gdt) - 1;
	/* No IDT: an exception before the guest has its own is a triple fault. */
	sregs.idt.base = 0;
	sregs.idt.limit = 0;
	sregs.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	sregs.cr3 = BOOT_PML4;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_LME | EFER_LMA | EFER_NXE;
	sregs.apic_base = APIC_BASE | APIC_ENABLE | APIC_X2APIC | (vcpu->index ? 0 : APIC_BSP);
	if (!ioctl(vcpu->fd, KVM_SET_SREGS, &sregs))
		return 0;
fail:
	return vmm_error_set(error, VMM_FAULT_HOST, errno, "vCPU %u: setting up 64-bit mode: %s",
			     vcpu->index, strerror(errno));
}

int boot_vcpu(struct vcpu *vcpu, struct vmm_error *error)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs = {
		.rip = vcpu->vm->image.entry,
		.rdi = BOOT_INFO,
		.rsi = vcpu->index,
		.rflags = 2,
	};
	int rc;

	rc = set_cpuid(vcpu, error);
	if (!rc)
		rc = set_sregs(vcpu, error);
	if (rc)
		return rc;
	/* Without a BIOS nobody sends the INIT and SIPI that other vCPUs wait for. */
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs) || ioctl(vcpu->fd, KVM_SET_MP_STATE, &state))
		return vmm_error_set(error, VMM_FAULT_HOST, errno, "vCPU %u: initial state: %s",
				     vcpu->index, strerror(errno));
	return 0;
}
