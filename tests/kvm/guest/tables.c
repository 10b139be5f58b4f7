// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the guest that tests KVM's handler: tables that go. A guest names the whole
 * root of an address space that it takes down; the host lets go of all that shadows it, and of
 * the protection of its tables, but of nothing that something else still needs.
 */
#include "guest.h"

#define VA(i) (TEST_VA + (i)*PAGE)
/* Of the test's address space: the going one's middle table, as data. */
#define SEEN_RO 60
#define SEEN_RW 61

static uint64_t going[2][TABLE_ENTRIES] __attribute__((aligned(4096)));
static uint64_t going_pud[TABLE_ENTRIES] __attribute__((aligned(4096)));
static uint64_t going_pmd[TABLE_ENTRIES] __attribute__((aligned(4096)));
static uint64_t going_leaf[2][TABLE_ENTRIES] __attribute__((aligned(4096)));

static bool maps(unsigned int page)
{
	uint64_t value = 0;

	return probe_read(TEST_VA, &value) == NO_FAULT && value == DATA_MARK + page;
}

/* Back to the test's address space, with shadow entries for what it shows. */
static void look_from(uint64_t root)
{
	uint64_t value;

	write_cr3(root);
	probe_read(VA(SEEN_RO), &value);
	probe_read(VA(SEEN_RW), &value);
}

/* Two roots over the same tables, which the test's address space shows as data. */
static uint64_t begin(void)
{
	uint64_t root = read_cr3();

	space_load();
	set_pte(&leaf[SEEN_RO], (uint64_t)going_pmd | RO);
	set_pte(&leaf[SEEN_RW], (uint64_t)going_pmd | RW);
	name_run(&leaf[SEEN_RO], 2, PVB_FLUSH_ALL);
	for (unsigned int i = 0; i < 2; i++) {
		going[i][0] = other_root[0];
		going[i][1] = (uint64_t)going_pud | UPPER;
		set_pte(&going_leaf[i][0], data_pte(i, RW));
	}
	going_pud[0] = (uint64_t)going_pmd | UPPER;
	going_pmd[0] = (uint64_t)going_leaf[0] | UPPER;
	return root;
}

void test_tables(void)
{
	uint64_t root = begin();
	bool good;

	write_cr3((uint64_t)going[0]);
	good = maps(0);
	look_from(root);
	good &= name_run(going[0], TABLE_ENTRIES, PVB_FLUSH_ALL) == PVB_SUBMIT_DONE;
	good &= probe_write(VA(SEEN_RO), 0) == 3;
	good &= going_pmd[0] == ((uint64_t)going_leaf[0] | UPPER);
	good &= probe_write(VA(SEEN_RW), 0) == NO_FAULT && !going_pmd[0];
	check(good, "tables of a root named whole can be written where the guest lets them");

	going_pmd[0] = (uint64_t)going_leaf[0] | UPPER;
	write_cr3((uint64_t)going[0]);
	good = maps(0);
	write_cr3((uint64_t)going[1]);
	good &= maps(0);
	look_from(root);
	name_run(going[0], TABLE_ENTRIES, PVB_FLUSH_ALL);
	going_pmd[0] = (uint64_t)going_leaf[1] | UPPER;
	write_cr3((uint64_t)going[1]);
	good &= maps(1);
	check(good, "tables that another root still uses are seen to change");

	name_run(going[1], TABLE_ENTRIES, PVB_FLUSH_ALL);
	good = maps(1);
	going_pmd[0] = (uint64_t)going_leaf[0] | UPPER;
	write_cr3((uint64_t)going[1]);
	good &= maps(0);
	check(good, "a root that is named whole and in use is shadowed anew");
	write_cr3(root);
	space_load();
}
