// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - one vCPU: the thread that runs it, and what each return of KVM_RUN means.
 * I/O ports go to ports.c; everything that this machine does not have ends the guest
 * with a dump, and never the VMM.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmm/internal.h>

#define RFLAGS_IF (1ULL << 9)

int vcpu_create(struct vm *vm, unsigned int index, struct vmm_error *error)
{
	struct vcpu *vcpu = &vm->vcpus[index];
	int bytes;

	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->run = MAP_FAILED;
	vcpu->kvm_exits.fd = -1;
	vcpu->fd = ioctl(vm->vm_fd, KVM_CREATE_VCPU, (unsigned long)index);
	bytes = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vcpu->fd < 0 || bytes < (int)sizeof(*vcpu->run))
		return vmm_error_set(error, VMM_FAULT_HOST, errno, "cannot create vCPU %u: %s",
				     index, strerror(errno));
	vcpu->run_bytes = (size_t)bytes;
	vcpu->run = mmap(NULL, vcpu->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		return vmm_error_set(error, VMM_FAULT_HOST, errno, "cannot map vCPU %u: %s", index,
				     strerror(errno));
	/* Without it the number of all exits is unknown, nothing else. */
	kvm_stat_open(&vcpu->kvm_exits, vcpu->fd, "exits");
	return 0;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (!vcpu->vm)
		return;
	kvm_stat_close(&vcpu->kvm_exits);
	free(vcpu->trace);
	if (vcpu->run != MAP_FAILED)
		munmap(vcpu->run, vcpu->run_bytes);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
}

static void count(struct vcpu *vcpu, uint32_t reason)
{
	unsigned int kind = reason < VMM_EXIT_KINDS ? reason : VMM_EXIT_KINDS - 1;

	/* One writer: no need for a locked instruction on the fast path. */
	atomic_store_explicit(&vcpu->exits[kind],
			      atomic_load_explicit(&vcpu->exits[kind], memory_order_relaxed) + 1,
			      memory_order_relaxed);
	atomic_store_explicit(&vcpu->nr_exits,
			      atomic_load_explicit(&vcpu->nr_exits, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* Asked by the loop when nothing has happened for a while: can this vCPU ever wake up? */
static void answer_halted(struct vcpu *vcpu)
{
	struct kvm_mp_state state;
	struct kvm_regs regs;

	if (ioctl(vcpu->fd, KVM_GET_MP_STATE, &state) || ioctl(vcpu->fd, KVM_GET_REGS, &regs))
		return;
	atomic_store(&vcpu->halted,
		     state.mp_state == KVM_MP_STATE_HALTED && !(regs.rflags & RFLAGS_IF));
	atomic_store(&vcpu->asked, false);
	vm_wake_loop(vcpu->vm);
}

static void crash(struct vcpu *vcpu, enum vmm_end end, const char *what)
{
	struct vm *vm = vcpu->vm;

	/* One dump, of the first vCPU that fails. */
	pthread_mutex_lock(&vm->lock);
	if (vm->end == VMM_END_NONE && vm->config->log)
		dump_vcpu(vcpu, vm->config->log, what);
	pthread_mutex_unlock(&vm->lock);
	vm_end(vm, end, 0, "vCPU %u: %s", vcpu->index, what);
}

static void unexpected(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	const char *name = vmm_exit_name(run->exit_reason);
	char what[160];

	switch (run->exit_reason) {
	case KVM_EXIT_SHUTDOWN:
		crash(vcpu, VMM_END_TRIPLE_FAULT, "triple fault");
		return;
	case KVM_EXIT_MMIO:
		snprintf(what, sizeof(what),
			 "%s of %u bytes at %#llx, where this machine has no memory",
			 run->mmio.is_write ? "write" : "read", run->mmio.len,
			 (unsigned long long)run->mmio.phys_addr);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		snprintf(what, sizeof(what), "KVM cannot go on (internal error %u%s)",
			 run->internal.suberror,
			 run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION ?
				 ": an instruction it cannot emulate" :
				 "");
		break;
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(what, sizeof(what), "the CPU refused to enter the guest (reason %#llx)",
			 (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		snprintf(what, sizeof(what), "unexpected exit %u (%s)", run->exit_reason,
			 name ? name : "no name");
	}
	crash(vcpu, VMM_END_CRASH, what);
}

/* KVM_RUN failed. Returns whether to go on. */
static bool interrupted(struct vcpu *vcpu, int code)
{
	char what[160];

	if (code == EINTR || code == EAGAIN) {
		count(vcpu, KVM_EXIT_INTR);
		/*
		 * Whoever kicked us first said why, then set immediate_exit: clearing it
		 * before looking loses no reason.
		 */
		__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (atomic_load(&vcpu->asked))
			answer_halted(vcpu);
		return true;
	}
	if (code == EFAULT) {
		crash(vcpu, VMM_END_CRASH, "access to memory that this machine does not have");
		return false;
	}
	snprintf(what, sizeof(what), "KVM_RUN: %s", strerror(code));
	crash(vcpu, VMM_END_HOST, what);
	return false;
}

void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct vm *vm = vcpu->vm;

	pthread_mutex_lock(&vm->gate);
	pthread_mutex_unlock(&vm->gate);
	while (!atomic_load_explicit(&vm->stopping, memory_order_acquire)) {
		if (ioctl(vcpu->fd, KVM_RUN, 0)) {
			if (!interrupted(vcpu, errno))
				break;
			continue;
		}
		count(vcpu, vcpu->run->exit_reason);
		if (vcpu->run->exit_reason == KVM_EXIT_IO) {
			ports_io(vcpu);
		} else if (vcpu->run->exit_reason == KVM_EXIT_XEN) {
			xen_exit(vcpu);
		} else {
			unexpected(vcpu);
			break;
		}
	}
	return NULL;
}
