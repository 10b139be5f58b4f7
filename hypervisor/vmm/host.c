// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - what this machine's KVM is like. Whether hardware walks the guest's tables
 * is in /sys; whether guest code runs on the CPU at all is measured, because a KVM that
 * emulates every instruction looks the same from outside.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <vmm/internal.h>
#include <vmm/vendor.h>

#define PROBE_AT 0x100000ULL
#define PROBE_LOOPS 20000U
#define PROBE_INSNS (2.0 * PROBE_LOOPS)
/* Silicon and QEMU's translated code stay far below, an emulator far above. */
#define EMULATED_NS 100.0
/* On a busy machine one try may meet the scheduler; the shortest of some does not. */
#define PROBE_TRIES 5U

static const struct {
	const char *module;
	const char *parameter;
	unsigned int vendor; /* CPUID 0, EBX, of the CPUs it can drive; 0: any */
} modules[] = {
	{ "kvm_intel", "/sys/module/kvm_intel/parameters/ept", VENDOR_INTEL },
	{ "kvm_amd", "/sys/module/kvm_amd/parameters/npt", VENDOR_AMD },
	{ "kvm_pvm", NULL, 0 },
};

static void find_module(struct vmm_host *host)
{
	host->paging = VMM_PAGING_UNKNOWN;
	host->module[0] = 0;
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		char path[64];
		struct stat st;
		FILE *file;
		int on;

		snprintf(path, sizeof(path), "/sys/module/%s", modules[i].module);
		if ((modules[i].vendor && vendor_other(modules[i].vendor)) || stat(path, &st))
			continue;
		/* Only one can drive /dev/kvm; built in, both may be listed, one without it. */
		snprintf(host->module, sizeof(host->module), "%s", modules[i].module);
		file = modules[i].parameter ? fopen(modules[i].parameter, "re") : NULL;
		if (!file)
			continue;
		on = fgetc(file);
		fclose(file);
		host->paging = on == 'Y' || on == '1' ? VMM_PAGING_SECOND_LEVEL : VMM_PAGING_SHADOW;
		return;
	}
}

/* out; a loop of two instructions; out again, and so on: the time between the exits. */
/* clang-format off */
static const uint8_t probe_code[] = {
	0x66, 0xba, PVB_PORT_MARK & 0xff, PVB_PORT_MARK >> 8,	/*    mov $MARK, %dx */
	0xef,							/*    out %eax, %dx */
	0xb9, PROBE_LOOPS & 0xff, PROBE_LOOPS >> 8, 0, 0,	/* 1: mov $LOOPS, %ecx */
	0xff, 0xc9,						/* 2: dec %ecx */
	0x75, 0xfc,						/*    jnz 2b */
	0xef,							/*    out %eax, %dx */
	0xeb, 0xf4,						/*    jmp 1b */
};
/* clang-format on */

static int run_to_out(struct vcpu *vcpu, struct timespec *when, struct vmm_error *error)
{
	int rc;

	do
		rc = ioctl(vcpu->fd, KVM_RUN, 0);
	while (rc && (errno == EINTR || errno == EAGAIN));
	clock_gettime(CLOCK_MONOTONIC, when);
	if (rc)
		return vmm_error_set(error, VMM_FAULT_HOST, errno, "KVM_RUN: %s", strerror(errno));
	if (vcpu->run->exit_reason != KVM_EXIT_IO)
		return vmm_error_set(error, VMM_FAULT_HOST, EIO,
				     "this KVM does not run the simplest guest (exit %u)",
				     vcpu->run->exit_reason);
	return 0;
}

static double ns_between(const struct timespec *begin, const struct timespec *end)
{
	return (double)(end->tv_sec - begin->tv_sec) * 1e9 +
	       (double)(end->tv_nsec - begin->tv_nsec);
}

static int measure(struct vm *vm, struct vmm_host *host, struct vmm_error *error)
{
	struct timespec begin, end;
	struct vcpu *vcpu;
	int rc;

	vm->image.entry = PROBE_AT;
	vm->image.end = PROBE_AT + sizeof(probe_code);
	memory_write(&vm->memory, pvb_gpa(PROBE_AT), probe_code, sizeof(probe_code));
	vcpu = &vm->vcpus[0];
	rc = boot_prepare(vm, error);
	if (!rc)
		rc = boot_vcpu(vcpu, error);
	if (!rc)
		rc = run_to_out(vcpu, &begin, error);
	for (unsigned int try = 0; !rc && try < PROBE_TRIES; try++) {
		double ns;

		rc = run_to_out(vcpu, &end, error);
		ns = ns_between(&begin, &end) / PROBE_INSNS;
		if (!try || ns < host->ns_per_insn)
			host->ns_per_insn = ns;
		/* Fast once is enough: no emulator is. */
		if (ns < EMULATED_NS)
			break;
		begin = end;
	}
	if (rc)
		return rc;
	host->native = host->ns_per_insn < EMULATED_NS;
	host->stats = vcpu->kvm_exits.fd >= 0;
	host->flush = vm->flusher.works;
	return 0;
}

int vmm_probe(struct vmm_host *host, struct vmm_error *error)
{
	const struct vmm_config config = { .cmdline = "", .cpus = 1, .memory = VMM_MIN_MEMORY };
	struct vm vm = { .config = &config, .host = host };
	int rc;

	memset(host, 0, sizeof(*host));
	find_module(host);
	rc = vm_create(&vm, error);
	if (!rc)
		rc = loop_possible(error);
	if (!rc)
		rc = measure(&vm, host, error);
	vm_destroy(&vm);
	return rc;
}
