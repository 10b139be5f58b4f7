/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests of guest/mm - an address space on the in-process machine: page tables in its
 * memory, guest/mm on its vCPUs, folios by rule, and hardware that walks the tables.
 *
 * Everything is the same for both PTE formats; which one is chosen when it is compiled.
 */
#ifndef MM_SPACE_H
#define MM_SPACE_H

#include <pvbatch/mm.h>

#include "../unit/core_machine.h"

#define SPACE_TABLES 4U /* leaf tables, one after the other */
#define SPACE_PAGES (SPACE_TABLES * PVB_PTES_PER_TABLE)
#define SPACE_BASE 0x40000000ULL /* virtual address of page 0 */
/* The same with 5 levels: two of the tables on each side of an entry of the topmost. */
#define SPACE_BASE_5 ((3ULL << 48) - SPACE_TABLES / 2 * PVB_PMD_SIZE)
#define SPACE_RAM (48ULL << 20)
#define SPACE_MEMORY 4096U /* physical pages to map, consecutive, aligned to 512 */

struct space_config {
	enum pvb_mode mode;
	bool split_locks;
	unsigned int nr_vcpus;
	uint32_t bytes; /* of each vCPU's buffer; 0: PVB_BUFFER_MIN */
	/*
	 * Translations stay in use until their entries are named to the host, as shadow
	 * pages do where the guest applies; a flush alone does nothing for them.
	 */
	bool shadow;
	unsigned int levels; /* of page tables; 0: 4 */
};

struct space {
	struct space_config config;
	struct machine machine;
	struct pvb_mm_ops ops;
	struct pvb_mm mm;
	struct pvb_vma vma; /* all of it */
	uint64_t base; /* virtual address of page 0 */
	uint64_t *tables[SPACE_TABLES];
	uint64_t table_gpa[SPACE_TABLES];
	uint64_t memory; /* PFN of the first page to map */
	pthread_mutex_t lock[SPACE_TABLES];
	pthread_t holder[SPACE_TABLES]; /* while locked */
	bool locked[SPACE_TABLES];
	struct pvb_mm_debug debug[PVB_INPROC_VCPUS_MAX];
	uint64_t bugs; /* transaction rules broken */
	const char *bug; /* the last */
	bool sabotaged; /* flushes are lost, and what follows from that is no surprise */
	bool no_tables; /* alloc_table fails */
	unsigned int lock_delay; /* us before guest/mm takes a lock: time for others */
	/* Folios: runs of this many pages, aligned; a power of two up to 128 */
	uint32_t folio_pages;
	bool anon;
};

extern struct space space;

/* space_open() - asserts on failure. vCPU 0 is the calling thread's. */
void space_open(const struct space_config *config);
void space_close(void);
/* The calling thread is vCPU @i from now on: registers its buffer. */
struct pvb_cpu *space_be_cpu(unsigned int i);
/* The calling thread's vCPU. */
struct pvb_cpu *space_cpu(void);

/* The rules, by page frame. */
bool space_is_exclusive(uint64_t pfn);
bool space_is_numa_skipped(uint64_t folio_pfn);
/* The folio of @pfn; false: that memory has none, as one page in 16. */
bool space_folio(uint64_t pfn, struct pvb_folio *folio);

static inline uint64_t space_va(uint32_t page)
{
	return space.base + page * PVB_PAGE_SIZE;
}

static inline uint64_t *space_pte(uint32_t page)
{
	return &space.tables[page / PVB_PTES_PER_TABLE][page % PVB_PTES_PER_TABLE];
}

/* How many pages from @page on, at most @nr, are in one table? */
static inline uint32_t space_piece(uint32_t page, uint32_t nr)
{
	uint32_t room = PVB_PTES_PER_TABLE - page % PVB_PTES_PER_TABLE;

	return nr < room ? nr : room;
}

/* The lock of @page's table, as guest/mm takes it. Nothing with one lock for all. */
void space_lock(uint32_t page);
void space_unlock(uint32_t page);

/* One access by vCPU @cpu's hardware; true: it happened. */
bool space_access(unsigned int cpu, uint32_t page, bool write);

/* Times that a vCPU found a block where its TLB held plain pages, or the reverse. */
uint64_t space_conflicts(void);

#endif /* MM_SPACE_H */
