// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - from a doorbell to the engine, and the engine's backend: guest RAM is
 * mapped anyway, so a page table is mapped by adding an offset, and under second-level
 * paging there is no shadow to update: the hardware walks what the engine writes.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include <vmm/internal.h>

static int read_guest(void *ctx, pvb_gpa_t gpa, void *dst, uint32_t bytes)
{
	const struct vcpu *vcpu = ctx;

	return memory_read(&vcpu->vm->memory, gpa, dst, bytes);
}

static int write_guest(void *ctx, pvb_gpa_t gpa, const void *src, uint32_t bytes)
{
	const struct vcpu *vcpu = ctx;

	return memory_write(&vcpu->vm->memory, gpa, src, bytes);
}

/* A batch must not write answers and entries of batches, anyone's. */
static bool in_a_buffer(const struct vm *vm, pvb_gpa_t table)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (pvb_engine_owns_page(&vm->vcpus[i].engine, table))
			return true;
	return false;
}

static enum pvb_status map_table(void *ctx, pvb_gpa_t table, uint64_t **ptes)
{
	const struct vcpu *vcpu = ctx;

	*ptes = memory_at(&vcpu->vm->memory, table, PVB_PAGE_SIZE);
	if (!*ptes)
		return PVB_ST_BAD_GPA;
	return in_a_buffer(vcpu->vm, table) ? PVB_ST_DENIED : PVB_ST_OK;
}

static void unmap_table(void *ctx, pvb_gpa_t table, uint64_t *ptes)
{
	(void)ctx;
	(void)table;
	(void)ptes;
}

/*
 * KVM offers no flush of a range or of one vCPU to user space; all of everything is
 * always enough. A flush that fails leaves a promise broken, so it ends the guest.
 */
static void flush(void *ctx, const struct pvb_flush_req *req)
{
	struct vcpu *vcpu = ctx;
	int rc = flush_guest(&vcpu->vm->flusher);

	(void)req;
	if (rc)
		vm_end(vcpu->vm, VMM_END_HOST, 0, "flushing the guest's translations: %s",
		       strerror(-rc));
}

static void sum_stats(void *ctx, struct pvb_host_stats *sum)
{
	const struct vcpu *vcpu = ctx;

	for (unsigned int i = 0; i < vcpu->vm->nr_vcpus; i++)
		pvb_stats_add(sum, &vcpu->vm->vcpus[i].engine.stats);
}

const struct pvb_backend doorbell_backend = {
	.read_guest = read_guest,
	.write_guest = write_guest,
	.map_table = map_table,
	.unmap_table = unmap_table,
	.flush = flush,
	.stats = sum_stats,
};

int32_t doorbell_call(struct vcpu *vcpu, unsigned int call)
{
	struct kvm_regs regs = { 0 };
	int64_t result;

#ifndef VMM_WITHOUT_TRACE /* `pvbatch bench trace` measures what this costs */
	/* Recording is decided here, so that the engine has no part in it. */
	if (call == PVB_CALL_SUBMIT &&
	    __builtin_expect(atomic_load_explicit(&vcpu->vm->trace.mode, memory_order_relaxed), 0))
		return (int32_t)trace_submit(vcpu);
#endif
	/* The calls that are made often have no arguments: do not ask KVM for any. */
	if (call != PVB_CALL_SUBMIT && call != PVB_CALL_NOP &&
	    ioctl(vcpu->fd, KVM_GET_REGS, &regs)) {
		vm_end(vcpu->vm, VMM_END_HOST, 0, "KVM_GET_REGS: %s", strerror(errno));
		return -PVB_EAGAIN;
	}
	/* CPL 0: at CPL 3 the doorbell is a #GP inside the guest (boot.c, law 7). */
	result = pvb_engine_call(&vcpu->engine, call, regs.rbx, regs.rcx, 0);
	return (int32_t)result;
}
