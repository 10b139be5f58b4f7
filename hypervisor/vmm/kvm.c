// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - /dev/kvm itself: is it there, may we use it, can it do what is needed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <vmm/internal.h>

static const struct {
	int cap;
	const char *name;
	const char *since;
} needed[] = {
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", "2.6.25" },
	{ KVM_CAP_SPLIT_IRQCHIP, "KVM_CAP_SPLIT_IRQCHIP", "4.4" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", "4.12" },
	{ KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID", "2.6.32" },
	{ KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE", "2.6.26" },
};

int kvm_open(struct vmm_error *error)
{
	int fd, version;

	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		int code = errno;

		if (code == ENOENT || code == ENODEV || code == ENXIO)
			return vmm_error_set(error, VMM_FAULT_HOST, code,
					     "no /dev/kvm on this machine; load kvm_intel or "
					     "kvm_amd, or use --backend testbed");
		if (code == EACCES || code == EPERM)
			return vmm_error_set(error, VMM_FAULT_HOST, code,
					     "no permission to open /dev/kvm; join the group kvm "
					     "(or be root), or use --backend testbed");
		return vmm_error_set(error, VMM_FAULT_HOST, code, "cannot open /dev/kvm: %s",
				     strerror(code));
	}
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION) {
		close(fd);
		return vmm_error_set(error, VMM_FAULT_HOST, ENOTSUP,
				     "/dev/kvm answers API version %d, needed is %d", version,
				     KVM_API_VERSION);
	}
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (ioctl(fd, KVM_CHECK_EXTENSION, needed[i].cap) > 0)
			continue;
		close(fd);
		return vmm_error_set(error, VMM_FAULT_HOST, ENOTSUP,
				     "this kernel's KVM lacks %s (Linux %s and later); use a newer "
				     "kernel or --backend testbed",
				     needed[i].name, needed[i].since);
	}
	return fd;
}
