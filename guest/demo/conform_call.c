// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - Xen's ABI on our VMM: the port, or Xen's own stubs, which KVM writes
 * and whose hypercalls it hands to the VMM (machine.h).
 */
#include "conform.h"
#include <pvbatch/machine.h>
#include "cpu.h"
#include "options.h"
#include "trap.h"

/* One page among the code, for KVM to fill. */
extern uint8_t xen_stubs[];
asm(".pushsection .text\n\t"
    ".balign 4096\n\t"
    "xen_stubs: .skip 4096\n\t"
    ".popsection");

static bool by_stubs;

/* The host's KVM may not know the MSR: then the write faults. */
static bool stubs_filled(uint64_t page)
{
	uint32_t faulted = 0;

	out32(PVB_PORT_XEN, 1);
	asm volatile("1: wrmsr\n\t"
		     "jmp 3f\n\t"
		     "2: mov $1, %0\n\t"
		     "3:\n\t" FIXUP(1b, 2b)
		     : "+r"(faulted)
		     : "c"(PVB_MSR_XEN_PAGE), "a"((uint32_t)page), "d"((uint32_t)(page >> 32))
		     : "memory");
	return !faulted;
}

const char *xen_abi_find(void)
{
	by_stubs = options.doorbell == DOORBELL_HYPERCALL;
	if (by_stubs)
		return stubs_filled((uint64_t)xen_stubs) ? "Xen's stubs" : NULL;
	return "I/O port";
}

static int64_t stub_call(unsigned int nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	register uint64_t r10 asm("r10") = a4;
	int64_t result;

	asm volatile("call *%[stub]"
		     : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10)
		     : [stub] "rm"(xen_stubs + 32UL * nr)
		     : "rcx", "r11", "r8", "r9", "memory", "cc");
	return result;
}

int64_t xen_abi_call(unsigned int nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	register uint64_t r10 asm("r10") = a4;
	int32_t result;

	if (by_stubs)
		return stub_call(nr, a1, a2, a3, a4);
	asm volatile("inl %w1, %0"
		     : "=a"(result)
		     : "d"(PVB_PORT_XEN), "b"((uint64_t)nr), "D"(a1), "S"(a2), "c"(a3), "r"(r10)
		     : "memory");
	return result;
}
