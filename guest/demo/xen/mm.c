// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest on Xen - page tables (mm.h), which Xen owns: a table is read-only
 * memory, Xen checks every entry, and every change of one is a hypercall.
 */
#include "../mm.h"
#include "../console.h"
#include "../cpu.h"
#include "../lib.h"
#include "../platform.h"
#include "xen.h"

#define TABLE_SPAN (PVB_PAGE_SIZE * PVB_PTES_PER_TABLE)
#define TABLE_FLAGS (PVB_PTE_P | PVB_PTE_W | PVB_PTE_U)

/* Xen's machine-to-phys table, readable for every guest. */
static const uint64_t *const m2p = (const uint64_t *)__MACH2PHYS_VIRT_START;
#define M2P_ENTRIES ((__MACH2PHYS_VIRT_END - __MACH2PHYS_VIRT_START) / sizeof(uint64_t))

static uint8_t shared_page[PVB_PAGE_SIZE] __attribute__((aligned(4096)));
struct shared_info *const xen_shared = (struct shared_info *)shared_page;

extern uint8_t text_start[], data_start[];

static const uint64_t *p2m;
static uint64_t nr_pages;
static uint64_t ram_bytes;
static uint64_t next_free;
static uint64_t mapped_end; /* what lies below is mapped one to one */
static uint64_t *top;
static uint64_t *work_ptes;
static uint64_t work_first; /* entry of page 0 */

uint64_t xen_mfn(const volatile void *ptr)
{
	return p2m[(uint64_t)ptr >> PVB_PAGE_SHIFT];
}

uint64_t xen_machine_of(const volatile void *ptr)
{
	return xen_mfn(ptr) << PVB_PAGE_SHIFT | ((uint64_t)ptr & (PVB_PAGE_SIZE - 1));
}

void *xen_pointer_to(uint64_t machine)
{
	uint64_t mfn = machine >> PVB_PAGE_SHIFT;
	uint64_t pfn;

	if (mfn >= M2P_ENTRIES)
		return NULL;
	pfn = m2p[mfn];
	/* Others' frames have entries too: the way back decides. */
	if (pfn >= nr_pages || p2m[pfn] != mfn)
		return NULL;
	return (void *)(pfn << PVB_PAGE_SHIFT | (machine & (PVB_PAGE_SIZE - 1)));
}

const volatile uint64_t *platform_table(uint64_t entry)
{
	return xen_pointer_to(entry & PVB_PTE_PFN_MASK);
}

uint64_t xen_top_mfn(void)
{
	return xen_mfn(top);
}

uint64_t xen_foreign_mfn(void)
{
	return (top[__HYPERVISOR_VIRT_START >> 39 & 511] & PVB_PTE_PFN_MASK) >> PVB_PAGE_SHIFT;
}

uint64_t mm_ram_bytes(void)
{
	return ram_bytes;
}

pvb_gpa_t mm_root(void)
{
	return pvb_gpa(xen_machine_of(top));
}

static uint64_t kernel_pte(uint64_t va, uint64_t flags)
{
	return xen_mfn((void *)va) << PVB_PAGE_SHIFT | PVB_PTE_P | flags;
}

void xen_mm_early(const struct start_info *start)
{
	p2m = (const uint64_t *)start->mfn_list;
	nr_pages = start->nr_pages;
	top = (uint64_t *)start->pt_base;
	if (xen_update_va_mapping((uint64_t)shared_page, start->shared_info | PVB_PTE_P | PVB_PTE_W,
				  UVMF_INVLPG))
		xen_die("boot: no shared info page\n");
}

/* One entry of a page table that Xen knows. */
static void set_entry(const uint64_t *entry, uint64_t value)
{
	struct mmu_update req = { xen_machine_of(entry) | MMU_NORMAL_PT_UPDATE, value };

	if (xen_mmu_update(&req, 1, NULL))
		demo_die(EXIT_MACHINE, "Xen refuses the table entry 0x%lx\n", value);
}

void xen_make_table(const void *table)
{
	if (xen_update_va_mapping((uint64_t)table, kernel_pte((uint64_t)table, 0),
				  UVMF_INVLPG | UVMF_ALL))
		demo_die(EXIT_MACHINE, "Xen keeps the page at 0x%lx writable\n", (uint64_t)table);
}

static uint64_t table_entry(const void *table)
{
	xen_make_table(table);
	return xen_mfn(table) << PVB_PAGE_SHIFT | TABLE_FLAGS;
}

/* The entry for @va in the tables of @level: 1 PD, 2 PDPT, 3 PML4; tables between are made. */
static uint64_t *table_slot(uint64_t va, unsigned int level)
{
	uint64_t *table = top;

	for (unsigned int l = 3; l > level; l--) {
		uint64_t *slot = &table[va >> (12 + 9 * l) & 511];

		if (!(*slot & PVB_PTE_P))
			set_entry(slot, table_entry(mm_alloc(1)));
		table = xen_pointer_to(*slot & PVB_PTE_PFN_MASK);
	}
	return &table[va >> (12 + 9 * level) & 511];
}

void *mm_alloc(size_t pages)
{
	uint64_t at = next_free;

	if (pages > (mapped_end - next_free) >> PVB_PAGE_SHIFT)
		demo_die(EXIT_MACHINE, "out of memory: %lu KiB are too little\n", ram_bytes >> 10);
	next_free += pages << PVB_PAGE_SHIFT;
	return memset((void *)at, 0, pages << PVB_PAGE_SHIFT);
}

/* Xen has mapped the image, its own data about the domain, and at least 512 KiB beyond. */
static uint64_t initially_mapped_end(void)
{
	uint64_t va = next_free;

	for (; va < ram_bytes; va += PVB_PAGE_SIZE) {
		const uint64_t *slot = table_slot(va, 1);
		const uint64_t *leaf;

		if (!(*slot & PVB_PTE_P))
			break;
		leaf = xen_pointer_to(*slot & PVB_PTE_PFN_MASK);
		if (!(leaf[va >> 12 & 511] & PVB_PTE_P))
			break;
	}
	return va;
}

void mm_init(const struct pvb_boot_info *boot)
{
	ram_bytes = boot->ram_bytes;
	next_free = boot->free_start;
	mapped_end = next_free;
	mapped_end = initially_mapped_end();
	if (mapped_end % TABLE_SPAN)
		demo_die(EXIT_MACHINE, "boot: Xen's initial mapping ends at 0x%lx\n", mapped_end);
	while (mapped_end < ram_bytes) {
		uint64_t *leaf = mm_alloc(1);
		uint64_t va = mapped_end;

		for (unsigned int i = 0; i < PVB_PTES_PER_TABLE && va < ram_bytes;
		     i++, va += PVB_PAGE_SIZE)
			leaf[i] = kernel_pte(va, PVB_PTE_W | PVB_PTE_NX);
		set_entry(table_slot(mapped_end, 1), table_entry(leaf));
		mapped_end = va;
	}

	/* Code read-only, null pointers caught. */
	for (uint64_t va = (uint64_t)text_start; va < (uint64_t)data_start; va += PVB_PAGE_SIZE)
		(void)xen_update_va_mapping(va, kernel_pte(va, 0), UVMF_INVLPG | UVMF_ALL);
	(void)xen_update_va_mapping(0, 0, UVMF_INVLPG | UVMF_ALL);
}

void mm_use(void)
{
	/* Xen started every CPU on the tables that mm_init() has extended. */
}

/* Page-aligned memory of @nr pages whose machine frames are consecutive (law 2). */
static uint64_t alloc_frames(uint32_t nr)
{
	uint64_t first = next_free >> PVB_PAGE_SHIFT;
	uint64_t end = mapped_end >> PVB_PAGE_SHIFT;
	uint64_t run = 0;

	for (uint64_t pfn = first; pfn < end; pfn++) {
		run = run && p2m[pfn] == p2m[pfn - 1] + 1 ? run + 1 : 1;
		if (run == nr) {
			next_free = (pfn + 1) << PVB_PAGE_SHIFT;
			return (pfn + 1 - nr) << PVB_PAGE_SHIFT;
		}
	}
	demo_die(EXIT_MACHINE, "pages=%u: the domain has no such run of machine frames\n", nr);
}

void mm_map_work(uint32_t nr)
{
	uint32_t tables = (nr + PVB_PTES_PER_TABLE - 1) / PVB_PTES_PER_TABLE;
	uint64_t *leaf = mm_alloc(tables);
	uint64_t pte = kernel_pte(alloc_frames(nr), PVB_PTE_W | PVB_PTE_NX);

	work_first = pte | XEN_PTE_KERNEL;
	for (uint32_t i = 0; i < nr; i++, pte += PVB_PAGE_SIZE)
		leaf[i] = pte;
	for (uint32_t t = 0; t < tables; t++)
		set_entry(table_slot(WORK_BASE + t * TABLE_SPAN, 1),
			  table_entry(leaf + t * PVB_PTES_PER_TABLE));
	work_ptes = leaf;
}

const volatile uint64_t *mm_work_parent(void)
{
	return table_slot(WORK_BASE, 1);
}

volatile uint64_t *mm_work_ptes(void)
{
	return work_ptes;
}

uint64_t mm_work_pte(uint32_t page)
{
	return pvb_pte_advance(work_first, page);
}
