// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the guest that tests KVM's handler: its address spaces. The image and
 * all RAM stay mapped one to one by the tables that the VMM made.
 */
#include "guest.h"

uint64_t leaf[TABLE_ENTRIES] __attribute__((aligned(4096)));
uint64_t pmd[TABLE_ENTRIES] __attribute__((aligned(4096)));
uint64_t data[DATA_PAGES][PAGE / 8] __attribute__((aligned(4096)));
uint64_t other_root[TABLE_ENTRIES] __attribute__((aligned(4096)));
static uint64_t pud[TABLE_ENTRIES] __attribute__((aligned(4096)));
static uint64_t root[TABLE_ENTRIES] __attribute__((aligned(4096)));
static uint64_t user_root_entry;

uint64_t data_pte(unsigned int page, uint64_t flags)
{
	return (uint64_t)data[page] | flags;
}

/* space_load() - the test's address space, all entries as they were, TLBs empty. */
void space_load(void)
{
	for (unsigned int i = 0; i < DATA_PAGES; i++) {
		data[i][0] = DATA_MARK + i;
		data[i][1] = 0xc3; /* ret, for probe_exec() */
	}
	for (unsigned int i = 0; i < TABLE_ENTRIES; i++)
		set_pte(&leaf[i], i < DATA_PAGES ? data_pte(i, RW) : 0);
	name_run(leaf, TABLE_ENTRIES, PVB_FLUSH_ALL);
	write_cr3((uint64_t)root);
}

void space_init(void)
{
	uint64_t *boot_root = (uint64_t *)(read_cr3() & PVB_PTE_PFN_MASK);
	uint64_t *boot_pud = (uint64_t *)(boot_root[0] & PVB_PTE_PFN_MASK);

	user_root_entry = boot_root[0] | PVB_PTE_U;
	root[0] = user_root_entry; /* CPL 3 runs one function of the image */
	other_root[0] = boot_root[0];
	boot_pud[0] |= PVB_PTE_U;
	for (uint64_t *p = (uint64_t *)(boot_pud[0] & PVB_PTE_PFN_MASK), i = 0; i < 8; i++)
		p[i] |= PVB_PTE_U;
	root[1] = (uint64_t)pud | UPPER;
	pud[0] = (uint64_t)pmd | UPPER;
	pmd[0] = (uint64_t)leaf | UPPER;
	pmd[1] = (uint64_t)leaf | UPPER;
	write_cr3((uint64_t)root);
}

/* space_into_other() - what is at TEST_VA is to be seen in the other address space, too. */
void space_into_other(bool shown)
{
	set_pte(&other_root[1], shown ? root[1] : 0);
}
