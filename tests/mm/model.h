/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests of guest/mm - a plain, obviously right model of an address space: an array
 * of pages, one page at a time, no batches, no queue, no formats. And the programs that
 * are run on the model and on guest/mm side by side.
 */
#ifndef MM_MODEL_H
#define MM_MODEL_H

#include <stdio.h>

#include "space.h"

enum content {
	NOTHING,
	PAGE, /* mapped, accessible or not */
	LEAF, /* a swap entry, a migration entry, a marker */
};

struct page {
	enum content content;
	uint64_t pfn;
	unsigned int prot; /* PVB_PROT_*: 0 is mapped and not accessible */
	bool young, dirty, soft_dirty, uffd_wp, special;
	unsigned int type; /* of a LEAF */
	uint64_t offset;
	bool exclusive;
	bool block; /* part of 16 contiguous entries: their A and D are one */
};

extern struct page model[SPACE_PAGES];

/* How they look like in a page table, and the reverse. */
uint64_t page_encode(const struct page *page);
struct page page_decode(uint32_t at);
/* Is all the same that counts for their content? Not whether they are part of a block. */
bool page_same(const struct page *a, const struct page *b);
/* model_compare() - first page of [page, page + nr) that differs; says how, unless @quiet. */
int64_t model_compare(uint32_t page, uint32_t nr, bool quiet);

/* One step of a program: an operation on pages [page, page + nr). */
enum step_kind {
	STEP_STATE, /* set the pages up, without guest/mm: a packs what they are, b the PFN */
	STEP_MAP, /* map where nothing is: a: prot and flags, b: offset in the memory */
	STEP_PROTECT, /* a: prot, b: PVB_CP_* */
	STEP_FORK, /* write-protect, a table at a time */
	STEP_FREE, /* old and clean */
	STEP_AGE, /* old */
	STEP_UNMAP, /* a table at a time */
	STEP_WRPROTECT, /* pvb_wrprotect_range() */
	STEP_CLEAN, /* pvb_clean_record_range() */
	STEP_LEAF, /* replace by soft leaves: a: type and flags, b: offset */
	STEP_ACCESS, /* by hardware: a: write, b: which vCPU */
	/*
	 * Start, write to a page of the run (b) by hardware, commit with prot a; with
	 * TRANSACTION_PIECES in b over pages that differ in soft-dirty, committed in two.
	 */
	STEP_TRANSACTION,
	NR_STEPS
};

struct step {
	enum step_kind kind;
	uint32_t page, nr;
	uint32_t a, b;
};

#define PROGRAM_STEPS 128U

#define TRANSACTION_PIECES 0x10000U

struct program {
	struct space_config config;
	uint32_t vma_flags;
	uint32_t folio_pages;
	bool sabotage; /* of the host: flushes are lost. To test the test */
	uint32_t nr;
	struct step steps[PROGRAM_STEPS];
};

/* STEP_STATE's a */
#define STATE_PROT 0x7U
#define STATE_YOUNG 0x8U
#define STATE_DIRTY 0x10U
#define STATE_SOFT_DIRTY 0x20U
#define STATE_UFFD_WP 0x40U
#define STATE_SPECIAL 0x80U
#define STATE_LEAF 0x100U /* then the type is in bits 20..16 */
#define STATE_EXCLUSIVE 0x200U
#define STATE_NOTHING 0x400U
#define STATE_MIXED 0x800U /* neighbours differ in young, dirty and soft-dirty */
#define STATE_TYPE_SHIFT 16

/* steps.c: run one step on the model and on guest/mm. NULL, or what went wrong. */
const char *step_run(const struct step *step);

/* program.c */
void program_open(const struct program *program);
void program_close(void);
/* Run all, on a fresh space. NULL, or what went wrong; *at: in which step. */
const char *program_run(const struct program *program, uint32_t *at, bool quiet);
void program_random(struct program *program, uint64_t seed);
/* Make a failing program as small as it stays failing. Returns the number of tries. */
unsigned int program_shrink(struct program *program);
void program_print(const struct program *program, FILE *file);
/* Reads what program_print() wrote. Returns an error message, or NULL. */
const char *program_parse(struct program *program, FILE *file);

#endif /* MM_MODEL_H */
