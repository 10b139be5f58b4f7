// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the guest that tests KVM's handler: what it makes writable while the VMM
 * logs dirty pages. Each page here is written by one access, which is in the log only if
 * the handler has seen to it: nothing else writes it until the VMM compares.
 */
#include "guest.h"

#define FIRST 48
#define NR 16
#define VA(i) (TEST_VA + (i)*PAGE)
#define WORD 5

static bool write_all(uint64_t value)
{
	bool good = true;

	for (unsigned int i = FIRST; i < FIRST + NR; i++)
		good &= probe_write(VA(i) + 8 * WORD, value + i) == NO_FAULT;
	return good;
}

static bool name_all(uint64_t flags)
{
	for (unsigned int i = FIRST; i < FIRST + NR; i++)
		set_pte(&leaf[i], data_pte(i, flags));
	return !name_run(&leaf[FIRST], NR, PVB_FLUSH_ALL);
}

/* W taken and given back, which the handler does in place where nothing is logged. */
static void test_given_back(void)
{
	bool good;

	space_load();
	good = write_all(100);
	if (ask(DISTURB_LOG_ON) == DISTURB_NOBODY) {
		skip("W given back is in the dirty log",
		     "the VMM runs without tests/kvm/disturb.c");
		return;
	}
	good &= name_all(RO) && name_all(RW) && write_all(200);
	good &= ask(DISTURB_LOG_OFF) == DISTURB_DONE;
	check(good, "W given back is in the dirty log");
}

/* First writes to clean pages in a row, of which the handler makes writable what follows. */
static void test_streak_logged(void)
{
	bool good;

	space_load();
	good = write_all(300) && name_all(RW & ~PVB_PTE_D);
	if (ask(DISTURB_LOG_ON) == DISTURB_NOBODY)
		return;
	good &= write_all(400);
	good &= ask(DISTURB_LOG_OFF) == DISTURB_DONE;
	check(good, "a streak of first writes is in the dirty log");
}

void test_log(void)
{
	test_given_back();
	test_streak_logged();
}
