// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - the doorbells of the batch ABI (abi.h). Neighbours: host.c above, the
 * VMM's port or KVM's hypercall handler below.
 */
#include "cpu.h"
#include "host.h"
#include "options.h"
#include "trap.h"

/* A 4-byte IN; the VMM has no other way to send a result along with the exit. */
static int64_t pio_call(void *ctx, enum pvb_call call, uint64_t a0, uint64_t a1)
{
	int32_t result;

	(void)ctx;
	asm volatile("inl %w1, %0"
		     : "=a"(result)
		     : "d"(PVB_DOORBELL_PORT + 4 * (uint32_t)call), "b"(a0), "c"(a1)
		     : "memory");
	return result;
}

/* The instruction may be unknown to the host; then the fixup leaves -PVB_ENOSYS. */
static int64_t vmcall_call(void *ctx, enum pvb_call call, uint64_t a0, uint64_t a1)
{
	int64_t result;

	(void)ctx;
	asm volatile("1: vmcall\n\t"
		     "jmp 3f\n\t"
		     "2: mov %4, %0\n\t"
		     "3:\n\t" FIXUP(1b, 2b)
		     : "=a"(result)
		     : "0"((uint64_t)PVB_HC_BASE + call), "b"(a0), "c"(a1), "i"(-PVB_ENOSYS)
		     : "memory");
	return result;
}

static int64_t vmmcall_call(void *ctx, enum pvb_call call, uint64_t a0, uint64_t a1)
{
	int64_t result;

	(void)ctx;
	asm volatile("1: vmmcall\n\t"
		     "jmp 3f\n\t"
		     "2: mov %4, %0\n\t"
		     "3:\n\t" FIXUP(1b, 2b)
		     : "=a"(result)
		     : "0"((uint64_t)PVB_HC_BASE + call), "b"(a0), "c"(a1), "i"(-PVB_ENOSYS)
		     : "memory");
	return result;
}

const char *doorbell_find(struct pvb_transport *transport)
{
	bool amd = cpu_is_amd();

	if (options.doorbell != DOORBELL_PIO) {
		transport->call = amd ? vmmcall_call : vmcall_call;
		if (!host_negotiate(host_scratch(), 0))
			return amd ? "VMMCALL" : "VMCALL";
		if (options.doorbell == DOORBELL_HYPERCALL)
			return NULL;
	}
	transport->call = pio_call;
	return host_negotiate(host_scratch(), 0) ? NULL : "I/O port";
}
