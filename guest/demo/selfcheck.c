// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - selfcheck's frame. Batches written by hand first, on all CPUs at a
 * time, then the library on top of them, mode by mode.
 */
#include "selfcheck.h"
#include "console.h"
#include "cpu.h"
#include "host.h"
#include "lib.h"
#include "mm.h"
#include "options.h"
#include "pass.h"
#include "smp.h"
#include "workload.h"

uint32_t check_page(void)
{
	return this_cpu()->index * PVB_PTES_PER_TABLE;
}

uint64_t *check_ptes(void)
{
	return (uint64_t *)mm_work_ptes() + check_page();
}

uint64_t check_pte(uint32_t i)
{
	return mm_work_pte(check_page() + i);
}

void check_reset(void)
{
	volatile uint64_t *ptes = check_ptes();

	for (uint32_t i = 0; i < PVB_PTES_PER_TABLE; i++)
		ptes[i] = check_pte(i);
	/* Only this CPU uses the pages of its table. */
	smp_flush(PVB_FLUSH_ALL, PVB_FLUSH_LOCAL, pvb_gva(0), 0);
}

static void check_cpu(void)
{
	check_headers();
	check_entries();
	check_operations();
	check_partial();
	check_user();
}

static void on_cpus(void (*fn)(void))
{
	smp_start(options.vcpus, fn);
	fn();
	smp_wait();
}

unsigned int workload_selfcheck(void)
{
	uint32_t modes;

	mm_map_work(options.vcpus * PVB_PTES_PER_TABLE);
	host_buffers(options.vcpus);
	if (host_negotiate(host_scratch(), PVB_F_ALL)) {
		say("selfcheck: no host answers\n");
		return EXIT_MACHINE;
	}
	check_user_setup();
	check_negotiation();
	on_cpus(check_registered); /* all, before one aims at another's buffer */
	on_cpus(check_cpu);
	check_nop();
	check_host_stats();
	on_cpus(check_unregistered);
	modes = pass_modes(options.vcpus, check_library);
	check(modes > 0, "no mode is offered");
	say("selfcheck: %u CPUs, %u modes, %u checks, %u failed\n", options.vcpus, modes,
	    check_totals.checks, check_totals.failed);
	return check_totals.failed ? EXIT_CHECK_FAILED : EXIT_OK;
}
