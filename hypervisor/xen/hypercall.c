// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host, Xen's ABI - which hypercall it is, and multicalls. Before: the VMM's
 * doorbell. After: mmu_update.c, mmuext.c. Sources: Xen's public/xen.h; multicall.c and
 * arch/x86/mm.c of Xen 4.17 for what the header leaves open.
 */
#include "handler.h"

/* In count: the call goes on where a continuation has left it (Xen's own asm/hypercall.h). */
#define XEN_PREEMPTED 0x80000000U

/* Domain ids that mean the caller itself, whose real id is 0 here. */
static bool is_self(uint32_t domid)
{
	return domid == DOMID_SELF || domid == 0;
}

/*
 * An array has to begin in the guest's own half of the address space, whatever its length
 * (Xen's access_ok()); what it consists of is found out by copying.
 */
static bool address_ok(uint64_t va)
{
	return va < 1ULL << 47 || va >= __HYPERVISOR_VIRT_END;
}

bool xen_array_open(struct xen_vcpu *v, struct xen_array *a, const uint64_t args[6],
		    int64_t *result)
{
	uint32_t foreign = (uint32_t)args[3];

	*a = (struct xen_array){ .va = args[0], .count = (uint32_t)args[1], .done_va = args[2] };
	/* How Xen ends a call whose tables it had to put off; reachable for every guest. */
	if (a->count == XEN_PREEMPTED && !a->va) {
		*result = (int32_t)foreign;
		return false;
	}
	/* What a continuation says it has done only changes what it is told in the end. */
	if (a->count & XEN_PREEMPTED) {
		a->count &= ~XEN_PREEMPTED;
		if (a->done_va &&
		    v->backend->read_va(v->ctx, a->done_va, &a->done, sizeof(a->done)))
			a->done = 0;
	}
	if (!address_ok(a->va)) {
		*result = -XEN_EFAULT;
		return false;
	}
	return true;
}

int64_t xen_array_close(struct xen_vcpu *v, const struct xen_array *a, uint32_t done,
			int64_t result)
{
	uint32_t sum = a->done + done;

	/* Xen does not mind either if nobody is there to read it. */
	if (a->done_va && address_ok(a->done_va))
		(void)v->backend->write_va(v->ctx, a->done_va, &sum, sizeof(sum));
	return result;
}

/* The upper half of foreigndom: the tables' owner plus one, or 0. Only for mmu_update. */
static bool tables_ok(uint64_t nr, uint32_t foreign)
{
	return nr != __HYPERVISOR_mmu_update || foreign >> 16 <= 1;
}

static int64_t one_call(struct xen_vcpu *v, uint64_t nr, const uint64_t args[6])
{
	struct xen_array a;
	int64_t result;

	v->calls++;
	switch (nr) {
	case __HYPERVISOR_mmu_update:
	case __HYPERVISOR_mmuext_op:
		if (!xen_array_open(v, &a, args, &result))
			return result;
		/* Only after the tables' owner was found is anybody told how far it went. */
		if (!tables_ok(nr, (uint32_t)args[3]))
			return -XEN_ESRCH;
		if (!is_self(args[3] & 0xffff))
			return nr == __HYPERVISOR_mmu_update ?
				       xen_array_close(v, &a, 0, -XEN_ESRCH) :
				       -XEN_ESRCH;
		return nr == __HYPERVISOR_mmu_update ? xen_mmu_update(v, &a) : xen_mmuext_op(v, &a);
	default:
		return -XEN_ENOSYS;
	}
}

/* Every call is made whatever became of those before it; each has its own result. */
static int64_t multicall(struct xen_vcpu *v, const uint64_t args[6])
{
	uint32_t nr = (uint32_t)args[1];
	uint64_t va = args[0];
	int64_t result = 0;

	if (v->in_multicall)
		return -XEN_EINVAL;
	if (!address_ok(va))
		return -XEN_EFAULT;
	v->in_multicall = true;
	for (uint32_t i = 0; i < nr && !result; i++, va += sizeof(struct multicall_entry)) {
		struct multicall_entry call;

		if (v->backend->read_va(v->ctx, va, &call, sizeof(call))) {
			result = -XEN_EFAULT;
			break;
		}
		call.result = (uint64_t)xen_hypercall(v, call.op, call.args);
		if (v->backend->write_va(v->ctx, va + offsetof(struct multicall_entry, result),
					 &call.result, sizeof(call.result)))
			result = -XEN_EFAULT;
		if (v->backend->ending(v->ctx))
			break;
	}
	v->in_multicall = false;
	return result;
}

int64_t xen_hypercall(struct xen_vcpu *v, uint64_t nr, const uint64_t args[6])
{
	return nr == __HYPERVISOR_multicall ? multicall(v, args) : one_call(v, nr, args);
}

int xen_vm_init(struct pvb_vm *vm, const struct pvb_backend *backend, unsigned int phys_bits)
{
	int rc = pvb_engine_vm_init(vm, backend, PVB_F_HOST_APPLY | PVB_F_FLUSH, phys_bits);

	/* Xen's ABI knows no negotiation: what is offered is granted. */
	vm->version = PVB_VERSION;
	vm->features = vm->offered;
	return rc;
}

void xen_vcpu_init(struct xen_vcpu *v, struct pvb_vm *vm, const struct xen_backend *backend,
		   void *ctx)
{
	*v = (struct xen_vcpu){ .backend = backend, .ctx = ctx };
	pvb_engine_vcpu_init(&v->engine, vm, ctx);
}
