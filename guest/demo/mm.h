/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - memory and page tables.
 *
 * RAM from 2 MiB up is mapped one to one with large pages, so the kernel's pointers are
 * guest-physical addresses; the first 2 MiB are not mapped, to catch null pointers. The
 * pages that workloads play with lie at WORK_BASE, behind ordinary 4 KiB leaf tables that
 * are consecutive in memory: PTE i of the area is mm_work_ptes()[i].
 */
#ifndef DEMO_MM_H
#define DEMO_MM_H

#include <pvbatch/guest.h>
#include <pvbatch/machine.h>

#define PTE_LARGE (1ULL << 7) /* in a PD or PDPT entry */

#define WORK_BASE 0x8000000000ULL /* slot 1 of the top table */
#define USER_BASE 0x10000000000ULL /* slot 2: one page of code, one of stack, CPL 3 */

#define WORK_PAGES_MAX 65536U

/* mm_init() - own page tables, from the free RAM that @boot tells of; CPU 0, once. */
void mm_init(const struct pvb_boot_info *boot);
/* mm_use() - switch the calling CPU to them. */
void mm_use(void);

uint64_t mm_ram_bytes(void);

/* mm_root() - the address, as the host and page-table entries call it, of the top table. */
pvb_gpa_t mm_root(void);

/* mm_alloc() - @pages zeroed, consecutive pages. Ends the guest if there are none left. */
void *mm_alloc(size_t pages);

/*
 * mm_map_work() - @nr pages at WORK_BASE, writable, no-execute, clean and old, on
 * consecutive page frames. Once.
 */
void mm_map_work(uint32_t nr);
volatile uint64_t *mm_work_ptes(void);
/* mm_work_parent() - the entry that points to the first of its tables. */
const volatile uint64_t *mm_work_parent(void);
/* mm_work_pte() - what the entry of @page was in the beginning. */
uint64_t mm_work_pte(uint32_t page);

static inline uint64_t mm_work_va(uint32_t page)
{
	return WORK_BASE + ((uint64_t)page << PVB_PAGE_SHIFT);
}

/* mm_map_user() - pages for CPL 3 at USER_BASE, the first with @bytes of @code. */
void mm_map_user(const void *code, size_t bytes);

#endif /* DEMO_MM_H */
