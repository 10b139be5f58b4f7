// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host engine, the door: call - one doorbell to one stage.
 *
 * Before: the VMM's or KVM's exit handler. After: negotiate.c or submit.c.
 */
#include "stages.h"

#define STATS_WORDS (sizeof(struct pvb_host_stats) / sizeof(uint64_t))

/* All of struct pvb_host_stats is counters of one kind: add it as an array. */
void pvb_stats_add(struct pvb_host_stats *sum, const struct pvb_host_stats *part)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)part;
	size_t i;

	for (i = 0; i < STATS_WORDS; i++)
		to[i] += pvb_load(&from[i]);
}

/*
 * call_stats() - PVB_CALL_STATS. @bytes: the guest's struct may have grown beyond ours,
 * then the rest is left alone; it has never been shorter.
 */
static int64_t call_stats(struct pvb_vcpu *vcpu, uint64_t gpa, uint64_t bytes)
{
	const struct pvb_backend *backend = vcpu->vm->backend;
	struct pvb_host_stats sum = { 0 };

	if (!(pvb_load(&vcpu->vm->features) & PVB_F_STATS))
		return -PVB_EPERM;
	if (gpa % sizeof(uint64_t) || bytes < sizeof(sum))
		return -PVB_EINVAL;
	if (!pvb_gpa_fits(vcpu->vm, gpa, (uint32_t)sizeof(sum)))
		return -PVB_EFAULT;
	backend->stats(vcpu->ctx, &sum);
	if (backend->write_guest(vcpu->ctx, pvb_gpa(gpa), &sum, (uint32_t)sizeof(sum)))
		return -PVB_EFAULT;
	return 0;
}

static int64_t dispatch(struct pvb_vcpu *vcpu, uint64_t call, uint64_t a0, uint64_t a1)
{
	switch (call) {
	case PVB_CALL_NOP:
		return 0;
	case PVB_CALL_NEGOTIATE:
		return pvb_negotiate(vcpu, a0);
	case PVB_CALL_REGISTER:
		return pvb_register(vcpu, a0, a1);
	case PVB_CALL_SUBMIT:
		return pvb_engine_submit(vcpu);
	case PVB_CALL_STATS:
		return call_stats(vcpu, a0, a1);
	default:
		return -PVB_ENOSYS;
	}
}

int64_t pvb_engine_call(struct pvb_vcpu *vcpu, uint64_t call, uint64_t a0, uint64_t a1,
			unsigned int cpl)
{
	int64_t result;

	if (cpl)
		return -PVB_EPERM;
	if (vcpu->busy) /* out of a backend's callback */
		return -PVB_EBUSY;
	vcpu->busy = true;
	result = dispatch(vcpu, call, a0, a1);
	vcpu->busy = false;
	return result;
}
