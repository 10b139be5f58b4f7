/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: host, Xen's ABI - HYPERVISOR_mmu_update, HYPERVISOR_mmuext_op (flushes) and
 * HYPERVISOR_multicall for a guest of our VMM, with Xen's semantics, done by the engine.
 *
 *   hypercall.c   numbers, multicalls
 *   mmu_update.c  requests become entries of the engine: validate -> apply
 *   mmuext.c      flushes
 *
 * What Xen writes for domains whose memory it owns and types, this host cannot know;
 * docs/xen.md lists the differences, tests/xen/conformance counts them.
 */
#ifndef PVB_XEN_HANDLER_H
#define PVB_XEN_HANDLER_H

#include <pvbatch/engine.h>

#ifndef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#endif
#include <xen/xen.h>

/* Error numbers of Xen's ABI (public errno.h), which are the kernel's. */
enum xen_errno {
	XEN_EPERM = 1,
	XEN_ESRCH = 3,
	XEN_EAGAIN = 11,
	XEN_EFAULT = 14,
	XEN_EBUSY = 16,
	XEN_EINVAL = 22,
	XEN_ENOSYS = 38,
};

/* What the handler needs beside the engine's backend. Called on the vCPU's thread. */
struct xen_backend {
	/* Copy from or to guest-virtual memory, as CPL 0 of the guest. 0 or -XEN_EFAULT. */
	int (*read_va)(void *ctx, uint64_t va, void *dst, uint32_t bytes);
	int (*write_va)(void *ctx, uint64_t va, const void *src, uint32_t bytes);
	/* Is the guest to stop? Asked between pieces of long calls (law 7). */
	bool (*ending)(void *ctx);
};

#define XEN_CHUNK 64U /* requests copied at a time; = PVB_CHUNK */

struct xen_vcpu {
	const struct xen_backend *backend;
	void *ctx; /* for both backends */
	struct pvb_vcpu engine; /* of a struct pvb_vm that never negotiates */
	bool in_multicall;
	struct mmu_update requests[XEN_CHUNK]; /* the one copy of guest data */
	uint64_t calls; /* hypercalls, those inside multicalls included */
	uint64_t updates; /* requests carried out */
};

/*
 * xen_vm_init() - a VM whose guests may use Xen's ABI. @backend and @phys_bits as for
 * pvb_engine_vm_init(). 0 or -PVB_EINVAL.
 */
int xen_vm_init(struct pvb_vm *vm, const struct pvb_backend *backend, unsigned int phys_bits);
void xen_vcpu_init(struct xen_vcpu *v, struct pvb_vm *vm, const struct xen_backend *backend,
		   void *ctx);

/*
 * xen_hypercall() - hypercall @nr with @args, all untrusted, from CPL 0. Returns what goes
 * into the guest's RAX.
 */
int64_t xen_hypercall(struct xen_vcpu *v, uint64_t nr, const uint64_t args[6]);

/* hypercall.c: what mmu_update and mmuext_op share. */

/* The arguments of a call over an array, decoded. */
struct xen_array {
	uint64_t va;
	uint32_t count;
	uint64_t done_va; /* 0: nobody wants to know */
	uint32_t done; /* done before the call was continued */
};

/*
 * xen_array_open() - decode (array, count, done, foreigndom). False: *@result is the
 * call's, at once.
 */
bool xen_array_open(struct xen_vcpu *v, struct xen_array *a, const uint64_t args[6],
		    int64_t *result);
/* xen_array_close() - report @done elements; returns @result. */
int64_t xen_array_close(struct xen_vcpu *v, const struct xen_array *a, uint32_t done,
			int64_t result);

/* mmu_update.c, mmuext.c */
int64_t xen_mmu_update(struct xen_vcpu *v, const struct xen_array *a);
int64_t xen_mmuext_op(struct xen_vcpu *v, const struct xen_array *a);

#endif /* PVB_XEN_HANDLER_H */
