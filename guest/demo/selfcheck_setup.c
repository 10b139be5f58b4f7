// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - selfcheck: what comes before the first batch (law 8).
 */
#include "cpu.h"
#include "host.h"
#include "lib.h"
#include "mm.h"
#include "selfcheck.h"

static void filled(struct pvb_negotiate *neg)
{
	*neg = (struct pvb_negotiate){
		.magic = PVB_NEGOTIATE_MAGIC,
		.size = sizeof(*neg),
		.pte_format = PVB_PTE_FORMAT,
		.version_min = PVB_VERSION,
		.version_max = PVB_VERSION,
		.features_wanted = PVB_F_ALL,
	};
}

static int64_t negotiate(struct pvb_negotiate *neg)
{
	return host_call(PVB_CALL_NEGOTIATE, (uint64_t)neg, 0);
}

static void is(int64_t result, int64_t expected, const char *what)
{
	check(result == expected, "%s: result %ld, expected %ld", what, result, expected);
}

static void check_refusals(struct pvb_negotiate *neg)
{
	filled(neg);
	neg->magic ^= 1;
	is(negotiate(neg), -PVB_EINVAL, "negotiate, wrong magic");
	filled(neg);
	neg->reserved0 = 1;
	is(negotiate(neg), -PVB_EINVAL, "negotiate, reserved field");
	filled(neg);
	neg->size = sizeof(*neg) - 8;
	is(negotiate(neg), -PVB_EINVAL, "negotiate, short struct");
	filled(neg);
	neg->version_min = 3;
	is(negotiate(neg), -PVB_EINVAL, "negotiate, versions upside down");
	filled(neg);
	neg->version_min = PVB_VERSION + 1;
	neg->version_max = PVB_VERSION + 8;
	is(negotiate(neg), -PVB_EOPNOTSUPP, "negotiate, newer versions only");
	filled(neg);
	neg->pte_format = 77;
	is(negotiate(neg), -PVB_EOPNOTSUPP, "negotiate, unknown PTE format");
	is(host_call(PVB_CALL_NEGOTIATE, mm_ram_bytes(), 0), -PVB_EFAULT, "negotiate, beyond RAM");
	is(host_call(PVB_CALL_NEGOTIATE, 1ULL << 62, 0), -PVB_EFAULT, "negotiate, far beyond RAM");
}

static void check_grants(struct pvb_negotiate *neg)
{
	filled(neg);
	neg->size = sizeof(*neg) + 64;
	neg->version_max = PVB_VERSION + 8;
	neg->features_wanted = ~0ULL;
	is(negotiate(neg), 0, "negotiate, newer guest");
	check(!(neg->features & ~PVB_F_KNOWN), "features 0x%lx granted, some unknown",
	      neg->features);
	check(neg->version == PVB_VERSION, "version %u", neg->version);

	filled(neg);
	neg->features_wanted = PVB_F_FLUSH;
	is(negotiate(neg), 0, "negotiate, one feature");
	check(!(neg->features & ~PVB_F_FLUSH), "features 0x%lx granted, one wanted", neg->features);

	filled(neg);
	is(negotiate(neg), 0, "negotiate");
	check(neg->features & (PVB_F_HOST_APPLY | PVB_F_GUEST_APPLY), "features 0x%lx: no mode",
	      neg->features);
	check(neg->max_bytes >= PVB_BUFFER_MIN && neg->max_bytes <= PVB_BUFFER_MAX, "max_bytes %u",
	      neg->max_bytes);
	check(neg->max_work >= PVB_PTES_PER_TABLE, "max_work %u", neg->max_work);
	check(!neg->reserved1 && !neg->reserved2[0] && !neg->reserved2[1], "reserved fields");
}

void check_negotiation(void)
{
	struct pvb_negotiate *neg = host_scratch();
	uint64_t buffer = (uint64_t)this_cpu()->buffer;

	check_refusals(neg);
	check_grants(neg);
	is(host_call(PVB_CALL_SUBMIT, 0, 0), -PVB_ENXIO, "submit, not registered");
	raw_totals.calls++;
	raw_totals.failed++;
	is(host_call(PVB_CALL_REGISTER, 0, 0), -PVB_ENXIO, "unregister, not registered");
	is(host_call(PVB_CALL_REGISTER, buffer + 64, PVB_BUFFER_MIN), -PVB_EINVAL,
	   "register, not page-aligned");
	is(host_call(PVB_CALL_REGISTER, buffer, 100), -PVB_EINVAL, "register, too small");
	is(host_call(PVB_CALL_REGISTER, buffer, neg->max_bytes + PVB_PAGE_SIZE), -PVB_EINVAL,
	   "register, too large");
	is(host_call(PVB_CALL_REGISTER, buffer, (1ULL << 32) + PVB_BUFFER_MIN), -PVB_EINVAL,
	   "register, size of more than 32 bits");
	is(host_call(PVB_CALL_REGISTER, mm_ram_bytes(), PVB_BUFFER_MIN), -PVB_EFAULT,
	   "register, beyond RAM");
	is(host_call(PVB_CALL_REGISTER, mm_ram_bytes() - PVB_PAGE_SIZE, 2 * PVB_PAGE_SIZE),
	   -PVB_EFAULT, "register, across the end of RAM");
	is(host_call(PVB_CALL_REGISTER, -PVB_PAGE_SIZE, PVB_BUFFER_MIN), -PVB_EFAULT,
	   "register, at the end of the address space");
	is(host_call(PVB_NR_CALLS, 0, 0), -PVB_ENOSYS, "unknown call");
}

void check_registered(void)
{
	struct pvb_negotiate neg __attribute__((aligned(64)));

	is(host_call(PVB_CALL_REGISTER, (uint64_t)this_cpu()->buffer, HOST_BUFFER_BYTES), 0,
	   "register");
	is(host_call(PVB_CALL_REGISTER, (uint64_t)this_cpu()->buffer, HOST_BUFFER_BYTES), 0,
	   "register again");
	filled(&neg);
	is(negotiate(&neg), -PVB_EBUSY, "negotiate, registered");
}

void check_unregistered(void)
{
	is(host_call(PVB_CALL_REGISTER, 0, 0), 0, "unregister");
}
