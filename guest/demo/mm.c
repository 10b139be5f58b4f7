// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - page tables and a page allocator that only gives.
 */
#include "mm.h"
#include "console.h"
#include "cpu.h"
#include "lib.h"

#define LARGE_SIZE 0x200000ULL
#define KERNEL_START LARGE_SIZE

#define CR0_WP 0x10000ULL
#define EFER_NXE 0x800ULL

extern uint8_t data_start[], image_end[];

static uint64_t ram_bytes;
static uint64_t next_free;
static uint64_t *top; /* the PML4 */
static volatile uint64_t *work_ptes;
static uint64_t work_frames;

uint64_t mm_ram_bytes(void)
{
	return ram_bytes;
}

pvb_gpa_t mm_root(void)
{
	return pvb_gpa((uint64_t)top);
}

void *mm_alloc(size_t pages)
{
	uint64_t at = next_free;

	if (pages > (ram_bytes - next_free) >> PVB_PAGE_SHIFT)
		demo_die(EXIT_MACHINE, "out of memory: %lu KiB of RAM are too little\n",
			 ram_bytes >> 10);
	next_free += pages << PVB_PAGE_SHIFT;
	return memset((void *)at, 0, pages << PVB_PAGE_SHIFT);
}

/* The table that entry @slot of @table points to; made if there is none. */
static uint64_t *next_table(uint64_t *table, unsigned int slot, uint64_t flags)
{
	if (!(table[slot] & PVB_PTE_P))
		table[slot] = (uint64_t)mm_alloc(1) | PVB_PTE_P | PVB_PTE_W | flags;
	return (uint64_t *)(table[slot] & PVB_PTE_PFN_MASK);
}

/* The page directory for @va. */
static uint64_t *directory(uint64_t va, uint64_t flags)
{
	uint64_t *pdpt = next_table(top, va >> 39 & 511, flags);

	return next_table(pdpt, va >> 30 & 511, flags);
}

void mm_init(const struct pvb_boot_info *boot)
{
	uint64_t data = (uint64_t)data_start;

	ram_bytes = boot->ram_bytes;
	next_free = boot->free_start;
	if (next_free < (uint64_t)image_end)
		next_free = (uint64_t)image_end;
	if (ram_bytes < next_free)
		ram_bytes = next_free; /* mm_alloc() will say it */
	top = mm_alloc(1);
	for (uint64_t at = KERNEL_START; at < ram_bytes; at += LARGE_SIZE) {
		uint64_t flags = at < data ? 0 : PVB_PTE_W | PVB_PTE_NX;

		directory(at, 0)[at >> 21 & 511] = at | PVB_PTE_P | PTE_LARGE | flags;
	}
}

void mm_use(void)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	write_cr0(read_cr0() | CR0_WP);
	write_cr3((uint64_t)top);
}

uint64_t mm_work_pte(uint32_t page)
{
	return (work_frames + ((uint64_t)page << PVB_PAGE_SHIFT)) | PVB_PTE_P | PVB_PTE_W |
	       PVB_PTE_NX;
}

void mm_map_work(uint32_t nr)
{
	uint32_t tables = (nr + PVB_PTES_PER_TABLE - 1) / PVB_PTES_PER_TABLE;
	uint64_t *leaf;

	leaf = mm_alloc(tables);
	for (uint32_t t = 0; t < tables; t++) {
		uint64_t va = WORK_BASE + t * LARGE_SIZE;

		directory(va, 0)[va >> 21 & 511] = (uint64_t)(leaf + t * PVB_PTES_PER_TABLE) |
						   PVB_PTE_P | PVB_PTE_W;
	}
	if (nr > (ram_bytes - next_free) >> PVB_PAGE_SHIFT)
		demo_die(EXIT_MACHINE, "pages=%u need %u KiB of RAM, %lu KiB are left\n", nr,
			 nr << 2, (ram_bytes - next_free) >> 10);
	work_frames = next_free; /* not cleared: a workload that reads them does so */
	next_free += (uint64_t)nr << PVB_PAGE_SHIFT;
	for (uint32_t i = 0; i < nr; i++)
		leaf[i] = mm_work_pte(i);
	work_ptes = leaf;
}

const volatile uint64_t *mm_work_parent(void)
{
	return &directory(WORK_BASE, 0)[WORK_BASE >> 21 & 511];
}

volatile uint64_t *mm_work_ptes(void)
{
	return work_ptes;
}

void mm_map_user(const void *code, size_t bytes)
{
	uint64_t *pd = directory(USER_BASE, PVB_PTE_U);
	uint64_t *leaf = next_table(pd, USER_BASE >> 21 & 511, PVB_PTE_U);
	uint8_t *page = mm_alloc(2);

	memcpy(page, code, bytes);
	leaf[0] = (uint64_t)page | PVB_PTE_P | PVB_PTE_U;
	leaf[1] = ((uint64_t)page + PVB_PAGE_SIZE) | PVB_PTE_P | PVB_PTE_U | PVB_PTE_W | PVB_PTE_NX;
}
