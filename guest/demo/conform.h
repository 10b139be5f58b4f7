/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - Xen's ABI as the conformance workload uses it, on a real Xen
 * (xen/host.c) or on our VMM (conform_call.c).
 */
#ifndef DEMO_CONFORM_H
#define DEMO_CONFORM_H

#include <pvbatch/types.h>

#ifndef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#endif
#include <xen/xen.h>

/* xen_abi_find() - how calls travel, as options.doorbell says; NULL: not at all. */
const char *xen_abi_find(void);
/* xen_abi_call() - one hypercall; the result is sign-extended. */
int64_t xen_abi_call(unsigned int nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4);

#endif /* DEMO_CONFORM_H */
