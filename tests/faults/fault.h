/* SPDX-License-Identifier: GPL-2.0-only */
/* Stage: tests, faults - which call of the VMM to the C library and the kernel fails. */
#ifndef TESTS_FAULT_H
#define TESTS_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>

struct fault {
	atomic_uint calls; /* made since it was set to 0, up to the first KVM_RUN */
	atomic_bool begun; /* a vCPU has run */
	atomic_uint at; /* this call fails, with ENOMEM; 0: none */
	atomic_bool all; /* and all after it */
	atomic_bool image; /* the one that failed was about the guest's file */
	atomic_ulong request; /* after the beginning: the nth ioctl of this kind fails, once */
	atomic_uint nth;
	atomic_int error;
	atomic_int create; /* KVM_CREATE_VM fails with this, once */
	atomic_int ring; /* the ring's next wait fails with this, once */
};

extern struct fault fault;

#endif /* TESTS_FAULT_H */
