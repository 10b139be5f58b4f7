// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest on Xen - the doorbell: guest/core's Xen transport, and the records of
 * measurements, which go to the console for tests/xen/run to read.
 */
#include "../host.h"
#include <pvbatch/xen.h>
#include <xen/features.h>
#include "../conform.h"
#include "../console.h"
#include "../cpu.h"
#include "../mm.h"
#include "../options.h"
#include "../platform.h"
#include "xen.h"

static struct pvb_xen_cpu *xen_cpus; /* by CPU */
static uint64_t marked;

static struct pvb_xen_cpu *this_xen_cpu(void)
{
	return &xen_cpus[this_cpu()->index];
}

static void *pointer_to(pvb_gpa_t machine)
{
	return xen_pointer_to(pvb_gpa_raw(machine));
}

static const struct pvb_xen_ops xen_ops = {
	.multicall = xen_multicall,
	.this_cpu = this_xen_cpu,
	.pointer_to = pointer_to,
};

static struct pvb_xen xen = { .ops = &xen_ops };

const char *doorbell_find(struct pvb_transport *transport)
{
	struct xen_feature_info info = { .submap_idx = 0 };

	if (hypercall4(__HYPERVISOR_xen_version, XENVER_get_features, (uint64_t)&info, 0, 0))
		return NULL;
	xen.preserve_ad = info.submap >> XENFEAT_mmu_pt_update_preserve_ad & 1;
	xen_cpus = mm_alloc((nr_cpus * sizeof(*xen_cpus) + PVB_PAGE_SIZE - 1) >> PVB_PAGE_SHIFT);
	*transport = (struct pvb_transport){ .call = pvb_xen_call, .ctx = &xen };
	return xen.preserve_ad ? "Xen multicall, PRESERVE_AD" : "Xen multicall";
}

pvb_gpa_t platform_gpa(const volatile void *ptr)
{
	return pvb_gpa(xen_machine_of(ptr));
}

uint64_t *platform_pte(pvb_gpa_t gpa)
{
	return pointer_to(gpa);
}

const char *xen_abi_find(void)
{
	return "Xen's hypercall page";
}

int64_t xen_abi_call(unsigned int nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	return hypercall4(nr, a1, a2, a3, a4);
}

const bool platform_takes_out = true;

struct xen_refused xen_refused;

void platform_refused(uint64_t *ptep, uint32_t nr, enum pvb_status status)
{
	xen_refused = (struct xen_refused){ ptep, nr, status, xen_refused.calls + 1 };
}

void xen_use_preserve_ad(bool use)
{
	xen.preserve_ad = use;
}

struct pvb_xen_stats *xen_stats(void)
{
	return &this_xen_cpu()->stats;
}

static uint64_t multicalls(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < nr_cpus; i++)
		sum += xen_cpus[i].stats.multicalls;
	return sum;
}

void platform_mark(void)
{
	marked = multicalls();
}

/* What are exits to the VMM elsewhere are hypercalls that carried batches here. */
void platform_record(struct pvb_record *record)
{
	record->exits = multicalls() - marked;
	record->kvm_exits = ~0ULL;
}
