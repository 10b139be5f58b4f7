// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - one machine from nothing to nothing: create, load, run until somebody says
 * that it has ended, stop the vCPUs, collect what happened.
 */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <vmm/internal.h>
#include <vmm/sandbox.h>

#define RAM_SLOT 0U
/* Three pages that Intel CPUs without unrestricted guests need; any unused place does. */
#define TSS_PAGES 0xfffbd000UL
#define IDENTITY_MAP_PAGE 0xfffbc000ULL
#define IOAPIC_PINS 24U
#define VCPU_STACK (256UL << 10)
#define RECORDS_BYTES (4096UL * sizeof(struct pvb_record))

void vm_wake_loop(struct vm *vm)
{
	uint64_t one = 1;
	ssize_t written = write(vm->event_fd, &one, sizeof(one));

	/* A full counter means that the loop is going to look anyway. */
	(void)written;
}

void vm_end(struct vm *vm, enum vmm_end end, unsigned int code, const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&vm->lock);
	if (vm->end == VMM_END_NONE) {
		vm->end = end;
		vm->code = code;
		va_start(args, format);
		vsnprintf(vm->why, sizeof(vm->why), format, args);
		va_end(args);
		/* The caller may be a vCPU: it leaves after this exit, the others are kicked. */
		atomic_store(&vm->stopping, 1);
	}
	pthread_mutex_unlock(&vm->lock);
	vm_wake_loop(vm);
}

void vm_kick_all(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		/* The flag catches a vCPU on its way into KVM_RUN, the signal one inside. */
		__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		if (vcpu->started)
			pthread_kill(vcpu->thread, VMM_SIGNAL_KICK);
	}
}

static int create_vm(struct vm *vm, struct vmm_error *error)
{
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { IOAPIC_PINS } };
	struct kvm_userspace_memory_region ram = { .slot = RAM_SLOT };
	uint64_t identity = IDENTITY_MAP_PAGE;
	const char *what;

	/* It starts a kernel thread, which anything that is pending for this one interrupts. */
	do
		vm->vm_fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	while (vm->vm_fd < 0 && errno == EINTR);
	if (vm->vm_fd < 0) {
		what = "KVM_CREATE_VM";
		goto fail;
	}
	/* Where the host's KVM wants neither, it says so and means it. */
	ioctl(vm->vm_fd, KVM_SET_TSS_ADDR, TSS_PAGES);
	ioctl(vm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	/* Local APICs in the kernel and nothing else: no PIC, no I/O APIC, no timer chip. */
	if (ioctl(vm->vm_fd, KVM_ENABLE_CAP, &split)) {
		what = "KVM_CAP_SPLIT_IRQCHIP";
		goto fail;
	}
	ram.memory_size = vm->memory.bytes;
	ram.userspace_addr = (uintptr_t)memory_at(&vm->memory, pvb_gpa(0), vm->memory.bytes);
	if (ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &ram)) {
		what = "KVM_SET_USER_MEMORY_REGION";
		goto fail;
	}
	return 0;
fail:
	return vmm_error_set(error, VMM_FAULT_HOST, errno, "cannot create a VM: %s: %s", what,
			     strerror(errno));
}

/* What is offered to the guest depends on whether it can be kept. */
static uint64_t offer(const struct vm *vm)
{
	const struct vmm_host *host = vm->host;
	uint64_t features = PVB_F_ALL;

	/*
	 * KVM's shadow tables cannot be told from user space that a guest entry changed.
	 * A KVM that emulates each instruction walks the guest's own tables every time.
	 */
	if (host->native && host->paging != VMM_PAGING_SECOND_LEVEL)
		return 0;
	if (!vm->flusher.works)
		features &= ~PVB_F_FLUSH;
	return features;
}

int vm_create(struct vm *vm, struct vmm_error *error)
{
	int rc;

	vm->kvm_fd = -1;
	vm->vm_fd = -1;
	vm->end = VMM_END_NONE;
	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->trace.lock, NULL);
	pthread_mutex_init(&vm->gate, NULL);
	vm->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	console_init(&vm->console, vm->event_fd);
	if (vm->event_fd < 0)
		return vmm_error_set(error, VMM_FAULT_HOST, errno, "eventfd: %s", strerror(errno));
	vm->records = mmap(NULL, RECORDS_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	vm->vcpus = calloc(vm->config->cpus, sizeof(*vm->vcpus));
	if (!vm->vcpus || vm->records == MAP_FAILED)
		return vmm_error_set(error, VMM_FAULT_HOST, ENOMEM, "out of memory");
	vm->kvm_fd = kvm_open(error);
	if (vm->kvm_fd < 0)
		return vm->kvm_fd;
	rc = memory_create(&vm->memory, vm->config->memory, error);
	if (!rc)
		rc = create_vm(vm, error);
	if (!rc)
		rc = flush_setup(&vm->flusher, vm->vm_fd, error);
	for (; !rc && vm->nr_vcpus < vm->config->cpus; vm->nr_vcpus++)
		rc = vcpu_create(vm, vm->nr_vcpus, error);
	return rc;
}

void vm_destroy(struct vm *vm)
{
	for (unsigned int i = 0; vm->vcpus && i < vm->config->cpus; i++)
		vcpu_destroy(&vm->vcpus[i]);
	flush_teardown(&vm->flusher);
	if (vm->vm_fd >= 0)
		close(vm->vm_fd);
	if (vm->kvm_fd >= 0)
		close(vm->kvm_fd);
	memory_destroy(&vm->memory);
	if (vm->records && vm->records != MAP_FAILED)
		munmap(vm->records, RECORDS_BYTES);
	free(vm->vcpus);
	console_destroy(&vm->console);
	if (vm->event_fd >= 0)
		close(vm->event_fd);
	pthread_mutex_destroy(&vm->gate);
	pthread_mutex_destroy(&vm->trace.lock);
	pthread_mutex_destroy(&vm->lock);
}

/* Threads that wait at the gate: landlock is for those started after it, seccomp for all. */
static int start_vcpus(struct vm *vm, struct vmm_error *error)
{
	pthread_attr_t attr;
	int rc = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, VCPU_STACK);
	for (unsigned int i = 0; !rc && i < vm->nr_vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		rc = pthread_create(&vcpu->thread, &attr, vcpu_thread, vcpu);
		if (rc)
			rc = vmm_error_set(error, VMM_FAULT_HOST, rc, "a thread for vCPU %u: %s", i,
					   strerror(rc));
		else
			vcpu->started = true;
	}
	pthread_attr_destroy(&attr);
	return rc;
}

static int confine(struct vm *vm, int (*how)(struct vmm_error *error), struct vmm_error *error)
{
	int rc = vm->config->sandbox ? how(error) : 0;

	if (rc > 0)
		vm->confined |= (unsigned int)rc;
	return rc < 0 ? rc : 0;
}

int vm_begin(struct vm *vm, struct vmm_error *error)
{
	int rc;

	/* Where it seeds its tables from cannot be opened any more later. */
	json_object_seed(0);
	pthread_mutex_lock(&vm->gate);
	rc = confine(vm, sandbox_files, error);
	if (!rc)
		rc = start_vcpus(vm, error);
	if (!rc)
		rc = confine(vm, sandbox_calls, error);
	if (rc)
		atomic_store(&vm->stopping, 1);
	pthread_mutex_unlock(&vm->gate);
	return rc;
}

static void stop_vcpus(struct vm *vm)
{
	atomic_store(&vm->stopping, 1);
	console_close(&vm->console);
	vm_kick_all(vm);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i].started)
			pthread_join(vm->vcpus[i].thread, NULL);
}

static void on_kick(int signal)
{
	(void)signal;
}

struct signals {
	sigset_t mask;
	struct sigaction kick;
};

/* The ends of a run come through the loop's signalfd; the kick only interrupts KVM_RUN. */
static void take_signals(struct signals *saved)
{
	struct sigaction kick = { .sa_handler = on_kick };
	sigset_t set;

	sigemptyset(&kick.sa_mask);
	sigaction(VMM_SIGNAL_KICK, &kick, &saved->kick);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, &saved->mask);
}

static void give_signals_back(const struct signals *saved)
{
	pthread_sigmask(SIG_SETMASK, &saved->mask, NULL);
	sigaction(VMM_SIGNAL_KICK, &saved->kick, NULL);
}

static int collect(struct vm *vm, struct vmm_result *result, struct vmm_error *error)
{
	result->end = vm->end;
	result->code = vm->code;
	result->confined = vm->confined;
	memcpy(result->why, vm->why, sizeof(result->why));
	stats_result(vm, result);
	result->nr_records = vm->nr_records;
	if (!result->nr_records)
		return 0;
	result->records = calloc(result->nr_records, sizeof(*result->records));
	if (!result->records)
		return vmm_error_set(error, VMM_FAULT_HOST, ENOMEM, "out of memory");
	memcpy(result->records, vm->records, result->nr_records * sizeof(*result->records));
	return 0;
}

static int boot(struct vm *vm, struct vmm_error *error)
{
	int rc;

	rc = elf_load_file(vm->config->image, &vm->memory, &vm->image, error);
	if (!rc)
		rc = boot_prepare(vm, error);
	for (unsigned int i = 0; !rc && i < vm->nr_vcpus; i++)
		rc = boot_vcpu(&vm->vcpus[i], error);
	if (rc)
		return rc;
	rc = pvb_engine_vm_init(&vm->engine, &doorbell_backend, offer(vm), vm->phys_bits);
	if (!rc)
		rc = xen_setup(vm);
	if (rc)
		return vmm_error_set(error, VMM_FAULT_HOST, -rc,
				     "the engine refuses this machine (%u physical address bits)",
				     vm->phys_bits);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		pvb_engine_vcpu_init(&vm->vcpus[i].engine, &vm->engine, &vm->vcpus[i]);
	return 0;
}

static int check_config(const struct vmm_config *config, struct vmm_error *error)
{
	if (config->cpus < 1 || config->cpus > VMM_MAX_CPUS)
		return vmm_error_set(error, VMM_FAULT_CONFIG, EINVAL, "%u CPUs: 1 to %u can be had",
				     config->cpus, VMM_MAX_CPUS);
	if (config->memory < VMM_MIN_MEMORY || config->memory > VMM_MAX_MEMORY ||
	    config->memory % (2ULL << 20))
		return vmm_error_set(error, VMM_FAULT_CONFIG, EINVAL,
				     "%llu bytes of memory: %llu to %llu MiB can be had, even ones",
				     (unsigned long long)config->memory, VMM_MIN_MEMORY >> 20,
				     VMM_MAX_MEMORY >> 20);
	return 0;
}

int vmm_run(const struct vmm_config *config, const struct vmm_host *host, struct vmm_result *result,
	    struct vmm_error *error)
{
	struct timespec begin, end;
	struct signals saved;
	struct vm *vm;
	int rc;

	memset(result, 0, sizeof(*result));
	rc = check_config(config, error);
	if (rc)
		return rc;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return vmm_error_set(error, VMM_FAULT_HOST, ENOMEM, "out of memory");
	vm->config = config;
	vm->host = host;
	take_signals(&saved);
	rc = vm_create(vm, error);
	if (!rc)
		rc = boot(vm, error);
	if (!rc) {
		clock_gettime(CLOCK_MONOTONIC, &begin);
		rc = loop_run(vm, error);
		stop_vcpus(vm);
		clock_gettime(CLOCK_MONOTONIC, &end);
		result->seconds = (double)(end.tv_sec - begin.tv_sec) +
				  (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	}
	if (!rc)
		rc = collect(vm, result, error);
	vm_destroy(vm);
	free(vm);
	if (!config->sandbox)
		give_signals_back(&saved);
	return rc;
}

void vmm_result_free(struct vmm_result *result)
{
	free(result->records);
	result->records = NULL;
	result->nr_records = 0;
}
