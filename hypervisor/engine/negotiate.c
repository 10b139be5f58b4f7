// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host engine, before the first batch: negotiate - who speaks what (law 8), and
 * where each vCPU's buffer lies.
 *
 * Both sides may be newer than the other. A newer guest offers versions that include
 * ours, wants features we do not know and does not get them, and its struct may be
 * longer; a newer host grants what an older guest asked for and nothing else.
 */
#include "stages.h"

#define NEGOTIATE_IN_BYTES ((uint32_t)offsetof(struct pvb_negotiate, features))
#define VERSION_MIN 1U /* the lowest version that this host speaks; PVB_VERSION is the highest */

int pvb_engine_vm_init(struct pvb_vm *vm, const struct pvb_backend *backend, uint64_t offered,
		       unsigned int phys_bits)
{
	if (offered & ~PVB_F_KNOWN || phys_bits <= PVB_PAGE_SHIFT || phys_bits > 52)
		return -PVB_EINVAL;
	if (!backend->stats)
		offered &= ~PVB_F_STATS;
	*vm = (struct pvb_vm){
		.backend = backend,
		.offered = offered,
		.phys_bits = phys_bits,
		.max_bytes = PVB_BUFFER_MAX,
		.max_work = PVB_MAX_WORK,
	};
	return 0;
}

void pvb_engine_vcpu_init(struct pvb_vcpu *vcpu, struct pvb_vm *vm, void *ctx)
{
	*vcpu = (struct pvb_vcpu){ .vm = vm, .ctx = ctx };
}

void pvb_engine_vm_reset(struct pvb_vm *vm)
{
	pvb_store(&vm->features, 0);
	pvb_store(&vm->version, 0);
}

void pvb_engine_vcpu_reset(struct pvb_vcpu *vcpu)
{
	pvb_unregister(vcpu);
}

bool pvb_engine_owns_page(const struct pvb_vcpu *vcpu, pvb_gpa_t page)
{
	uint64_t buffer = pvb_load((const uint64_t *)&vcpu->buffer);

	/* Unsigned: a page below the buffer is a very large distance above it. */
	return pvb_gpa_raw(page) - buffer < pvb_load(&vcpu->bytes);
}

static int check_negotiate(const struct pvb_negotiate *neg)
{
	if (neg->magic != PVB_NEGOTIATE_MAGIC || neg->size < sizeof(*neg) || neg->reserved0)
		return -PVB_EINVAL;
	if (!neg->version_min || neg->version_min > neg->version_max)
		return -PVB_EINVAL;
	if (neg->version_min > PVB_VERSION || neg->version_max < VERSION_MIN)
		return -PVB_EOPNOTSUPP;
	return neg->pte_format == PVB_PTE_FORMAT ? 0 : -PVB_EOPNOTSUPP;
}

/*
 * pvb_negotiate() - PVB_CALL_NEGOTIATE. @gpa: of a struct pvb_negotiate, untrusted.
 *
 * May be repeated until a vCPU registers; the last answer holds. Returns 0,
 * -PVB_EBUSY after a registration, -PVB_EINVAL, -PVB_EFAULT, or -PVB_EOPNOTSUPP for a
 * version or PTE format unknown here, or where there is nothing to win.
 */
int64_t pvb_negotiate(struct pvb_vcpu *vcpu, uint64_t gpa)
{
	struct pvb_vm *vm = vcpu->vm;
	const struct pvb_backend *backend = vm->backend;
	struct pvb_negotiate neg = { 0 };
	int error;

	if (pvb_load(&vm->registered))
		return -PVB_EBUSY;
	if (gpa % sizeof(uint64_t))
		return -PVB_EINVAL;
	if (!pvb_gpa_fits(vm, gpa, (uint32_t)sizeof(neg)) ||
	    backend->read_guest(vcpu->ctx, pvb_gpa(gpa), &neg, NEGOTIATE_IN_BYTES))
		return -PVB_EFAULT;
	error = check_negotiate(&neg);
	if (error)
		return error;
	if (!vm->offered)
		return -PVB_EOPNOTSUPP;

	neg.features = neg.features_wanted & vm->offered;
	neg.version = neg.version_max < PVB_VERSION ? neg.version_max : PVB_VERSION;
	neg.max_bytes = vm->max_bytes;
	neg.max_work = vm->max_work;
	if (backend->write_guest(vcpu->ctx, pvb_gpa(gpa + NEGOTIATE_IN_BYTES), &neg.features,
				 (uint32_t)sizeof(neg) - NEGOTIATE_IN_BYTES))
		return -PVB_EFAULT;
	pvb_store(&vm->features, neg.features);
	pvb_store(&vm->version, neg.version);
	return 0;
}

/* pvb_unregister() - forget @vcpu's buffer, if there is one. */
void pvb_unregister(struct pvb_vcpu *vcpu)
{
	if (!vcpu->bytes)
		return;
	pvb_store(&vcpu->bytes, 0);
	pvb_fetch_add32(&vcpu->vm->registered, -1);
}

/* probe() - is each page of the buffer writable guest memory? Leaves it as it was. */
static bool probe(struct pvb_vcpu *vcpu, uint64_t gpa, uint64_t bytes)
{
	const struct pvb_backend *backend = vcpu->vm->backend;
	uint64_t at, word;

	for (at = gpa; at < gpa + bytes; at += PVB_PAGE_SIZE) {
		if (backend->read_guest(vcpu->ctx, pvb_gpa(at), &word, (uint32_t)sizeof(word)) ||
		    backend->write_guest(vcpu->ctx, pvb_gpa(at), &word, (uint32_t)sizeof(word)))
			return false;
	}
	return true;
}

/*
 * pvb_register() - PVB_CALL_REGISTER. @gpa, @bytes: the buffer, untrusted; @bytes = 0
 * unregisters. A second registration replaces the first; a refused one leaves it.
 *
 * Returns 0, -PVB_EPERM before a negotiation, -PVB_EINVAL, -PVB_EFAULT, or -PVB_ENXIO
 * when there is nothing to unregister.
 */
int64_t pvb_register(struct pvb_vcpu *vcpu, uint64_t gpa, uint64_t bytes)
{
	struct pvb_vm *vm = vcpu->vm;

	if (!bytes) {
		if (!vcpu->bytes)
			return -PVB_ENXIO;
		pvb_unregister(vcpu);
		return 0;
	}
	if (!pvb_load(&vm->version))
		return -PVB_EPERM;
	if ((gpa | bytes) & (PVB_PAGE_SIZE - 1) || bytes < PVB_BUFFER_MIN || bytes > vm->max_bytes)
		return -PVB_EINVAL;
	if (!pvb_gpa_fits(vm, gpa, (uint32_t)bytes) || !probe(vcpu, gpa, bytes))
		return -PVB_EFAULT;
	pvb_unregister(vcpu);
	pvb_store((uint64_t *)&vcpu->buffer, gpa);
	pvb_store(&vcpu->bytes, (uint32_t)bytes);
	pvb_fetch_add32(&vm->registered, 1);
	return 0;
}
