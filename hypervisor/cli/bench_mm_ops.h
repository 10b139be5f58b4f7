/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: command line - `pvbatch bench mm`: the machine that is measured (bench_mm_run.c)
 * and the operations on it (bench_mm_ops.c).
 */
#ifndef PVB_CLI_BENCH_MM_OPS_H
#define PVB_CLI_BENCH_MM_OPS_H

#include <inproc/inproc.h>
#include <pvbatch/mm.h>

#define BENCH_MM_BASE 0x40000000ULL
#define BENCH_MM_TABLES 128U /* 64 Ki pages */

struct bench_mm_machine {
	struct pvb_inproc *host;
	struct pvb_guest guest;
	struct pvb_cpu cpu;
	struct pvb_mm mm;
	struct pvb_vma vma; /* all pages */
	uint64_t *tables[BENCH_MM_TABLES];
	uint32_t folio_pages; /* as many belong together; a power of two */
	uint64_t dirty[PVB_PTES_PER_TABLE / 64]; /* where a cleaning records */
};

/* What a page is before and after an operation. */
enum bench_mm_state {
	NOTHING,
	READ_ONLY, /* and young, like all but the last */
	READ_WRITE,
	WRITTEN, /* writable and dirty */
	OLD_AND_CLEAN, /* writable */
};

struct bench_mm_operation {
	const char *name, *form;
	/* On entries [slot, slot + nr) of the first table, or the pages they map. */
	void (*run)(struct bench_mm_machine *m, uint32_t slot, uint32_t nr);
	enum bench_mm_state before, after;
	bool range; /* enters lazy mode and flushes itself */
};

extern const struct bench_mm_operation bench_mm_operations[];
extern const unsigned int bench_mm_nr_operations;

/* The entry of @page in @state. */
uint64_t bench_mm_entry(uint32_t page, enum bench_mm_state state);

static inline uint64_t bench_mm_va(uint32_t page)
{
	return BENCH_MM_BASE + page * PVB_PAGE_SIZE;
}

static inline uint64_t bench_mm_pte(uint32_t page, unsigned int prot)
{
	return pvb_pte_mkyoung(pvb_pte_make(0x1000 + page, pvb_prot(prot)));
}

#endif /* PVB_CLI_BENCH_MM_OPS_H */
