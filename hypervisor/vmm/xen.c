// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - Xen's ABI: hypercalls that arrive by PVB_PORT_XEN or, where KVM intercepts
 * Xen's hypercalls (KVM_CAP_XEN_HVM), by KVM_EXIT_XEN go to hypervisor/xen. Their pointers
 * are guest-virtual; the walk through the guest's page tables is here.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include <vmm/internal.h>

#define PTE_LARGE (1ULL << 7)

/* The guest-physical address of @va, as CPL 0 of the guest would find it. False: a fault. */
static bool translate(struct vcpu *vcpu, uint64_t root, uint64_t va, bool write, uint64_t *gpa)
{
	uint64_t table = root & PVB_PTE_PFN_MASK;

	/* Not canonical: bits 63..47 are not all the same. */
	if ((int64_t)va >> 47 != 0 && (int64_t)va >> 47 != -1)
		return false;
	for (int level = 3; level >= 0; level--) {
		unsigned int shift = 12 + 9 * (unsigned int)level;
		uint64_t offset = va & ((1ULL << shift) - 1), entry;

		if (memory_read(&vcpu->vm->memory, pvb_gpa(table + (va >> shift & 511) * 8), &entry,
				sizeof(entry)))
			return false;
		if (!(entry & PVB_PTE_P) || (write && !(entry & PVB_PTE_W)))
			return false;
		table = entry & PVB_PTE_PFN_MASK;
		if (!level || (level < 3 && entry & PTE_LARGE)) {
			*gpa = (table & ~((1ULL << shift) - 1)) + offset;
			return true;
		}
	}
	return false;
}

static int copy_va(struct vcpu *vcpu, uint64_t va, void *buffer, uint32_t bytes, bool write)
{
	uint8_t *at = buffer;

	while (bytes) {
		uint32_t room = (uint32_t)(PVB_PAGE_SIZE - (va & (PVB_PAGE_SIZE - 1)));
		uint32_t part = bytes < room ? bytes : room;
		uint64_t gpa;
		int rc;

		if (!translate(vcpu, vcpu->xen_root, va, write, &gpa))
			return -XEN_EFAULT;
		rc = write ? memory_write(&vcpu->vm->memory, pvb_gpa(gpa), at, part) :
			     memory_read(&vcpu->vm->memory, pvb_gpa(gpa), at, part);
		if (rc)
			return -XEN_EFAULT;
		at += part;
		va += part;
		bytes -= part;
	}
	return 0;
}

static int read_va(void *ctx, uint64_t va, void *dst, uint32_t bytes)
{
	return copy_va(ctx, va, dst, bytes, false);
}

static int write_va(void *ctx, uint64_t va, const void *src, uint32_t bytes)
{
	return copy_va(ctx, va, (void *)(uintptr_t)src, bytes, true);
}

static bool ending(void *ctx)
{
	const struct vcpu *vcpu = ctx;

	return atomic_load_explicit(&vcpu->vm->stopping, memory_order_acquire);
}

static const struct xen_backend backend = {
	.read_va = read_va,
	.write_va = write_va,
	.ending = ending,
};

/* All calls come from CPL 0: ports are closed to CPL 3 (boot.c), KVM tells with KVM_EXIT_XEN. */
static int64_t call(struct vcpu *vcpu, uint64_t nr, const uint64_t args[6])
{
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs)) {
		vm_end(vcpu->vm, VMM_END_HOST, 0, "KVM_GET_SREGS: %s", strerror(errno));
		return -XEN_EAGAIN;
	}
	vcpu->xen_root = sregs.cr3;
	return xen_hypercall(&vcpu->xen, nr, args);
}

int32_t xen_port(struct vcpu *vcpu)
{
	struct kvm_regs regs;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs)) {
		vm_end(vcpu->vm, VMM_END_HOST, 0, "KVM_GET_REGS: %s", strerror(errno));
		return -XEN_EAGAIN;
	}
	return (int32_t)call(
		vcpu, regs.rbx,
		(const uint64_t[6]){ regs.rdi, regs.rsi, regs.rcx, regs.r10, regs.r8, regs.r9 });
}

void xen_exit(struct vcpu *vcpu)
{
	struct kvm_xen_exit *xen = &vcpu->run->xen;
	uint64_t args[6];

	if (xen->type != KVM_EXIT_XEN_HCALL || !xen->u.hcall.longmode || xen->u.hcall.cpl) {
		xen->u.hcall.result = (uint64_t)-XEN_EPERM;
		return;
	}
	for (unsigned int i = 0; i < 6; i++)
		args[i] = xen->u.hcall.params[i];
	xen->u.hcall.result = (uint64_t)call(vcpu, xen->u.hcall.input, args);
}

bool xen_intercept(struct vm *vm)
{
	struct kvm_xen_hvm_config config = {
		.flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
		.msr = PVB_MSR_XEN_PAGE,
	};
	int can = ioctl(vm->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XEN_HVM);

	return can > 0 && can & KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL &&
	       !ioctl(vm->vm_fd, KVM_XEN_HVM_CONFIG, &config);
}

int xen_setup(struct vm *vm)
{
	int rc = xen_vm_init(&vm->xen, &doorbell_backend, vm->phys_bits);

	for (unsigned int i = 0; !rc && i < vm->nr_vcpus; i++)
		xen_vcpu_init(&vm->vcpus[i].xen, &vm->xen, &backend, &vm->vcpus[i]);
	return rc;
}
