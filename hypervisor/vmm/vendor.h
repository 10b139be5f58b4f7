/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: VMM - which of KVM's modules this CPU can have. Built into a kernel, the other
 * maker's module is listed in /sys/module too, and its parameters mean nothing.
 */
#ifndef PVB_VMM_VENDOR_H
#define PVB_VMM_VENDOR_H

#include <cpuid.h>
#include <stdbool.h>

#define VENDOR_INTEL signature_INTEL_ebx
#define VENDOR_AMD signature_AMD_ebx
#define VENDOR_HYGON 0x6f677948U /* AMD's, to KVM */

/* vendor_other() - is this CPU surely none that @vendor's module can drive? */
static inline bool vendor_other(unsigned int vendor)
{
	unsigned int eax, ebx, ecx, edx;

	if (!__get_cpuid(0, &eax, &ebx, &ecx, &edx))
		return false;
	return ebx != vendor && !(vendor == VENDOR_AMD && ebx == VENDOR_HYGON);
}

#endif /* PVB_VMM_VENDOR_H */
