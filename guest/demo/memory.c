// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - guest/mm's operations for real: each once page by page and once as a
 * batch, in one run, on pages that this CPU's hardware reads and writes in between. What it
 * touched is known, so every entry's A and D, and the bitmap of a cleaning, can be compared.
 */
#include <pvbatch/mm.h>

#include "console.h"
#include "cpu.h"
#include "lib.h"
#include "measure.h"
#include "mm.h"
#include "options.h"
#include "pass.h"
#include "platform.h"
#include "workload.h"

/* A page's entry must have had it, or the hardware's bit got lost. */
static uint64_t written[WORK_PAGES_MAX / 64], touched[WORK_PAGES_MAX / 64];
static uint64_t recorded[WORK_PAGES_MAX / 64]; /* by a cleaning */
static bool writable;
static bool failed;

static uint64_t *pte_of(uint32_t page)
{
	return (uint64_t *)mm_work_ptes() + page;
}

static bool bit(const uint64_t *map, uint32_t i)
{
	return map[i / 64] >> i % 64 & 1;
}

static void set_bit(uint64_t *map, uint32_t i)
{
	map[i / 64] |= 1ULL << i % 64;
}

/* What the entries have beside the page frame. */
static uint64_t prot(bool write)
{
	uint64_t bits = mm_work_pte(0) & ~PVB_PTE_PFN_MASK;

	return write ? bits : bits & ~PVB_PTE_W;
}

static uint64_t *table_at(void *ctx, pvb_gpa_t gpa)
{
	(void)ctx;
	return platform_pte(gpa);
}

static struct pvb_cpu *queue(void *ctx)
{
	(void)ctx;
	return &this_cpu()->pvb;
}

static void lock_table(void *ctx, uint64_t *table)
{
	(void)ctx;
	(void)table;
	spin_lock(&pass_lock);
}

static void unlock_table(void *ctx, uint64_t *table)
{
	(void)ctx;
	(void)table;
	spin_unlock(&pass_lock);
}

/* All pages are one folio each table. */
static bool folio_of(void *ctx, uint64_t pte, struct pvb_folio *folio)
{
	uint64_t first = pvb_pte_pfn(mm_work_pte(0));
	uint64_t page = pvb_pte_pfn(pte) - first;

	(void)ctx;
	folio->pfn = first + page / PVB_PTES_PER_TABLE * PVB_PTES_PER_TABLE;
	folio->nr = PVB_PTES_PER_TABLE;
	folio->anon = true;
	return true;
}

static const struct pvb_mm_ops split_ops = { .table = table_at,
					     .cpu = queue,
					     .lock = lock_table,
					     .unlock = unlock_table,
					     .folio = folio_of };
static const struct pvb_mm_ops one_ops = { .table = table_at, .cpu = queue, .folio = folio_of };
static struct pvb_mm mm = { .levels = 4 };
static struct pvb_vma area = { .mm = &mm, .start = WORK_BASE };

/* With one lock for all tables, the caller of a walk holds it. */
static void hold(void)
{
	if (options.lock_all)
		spin_lock(&pass_lock);
}

static void release(void)
{
	if (options.lock_all)
		spin_unlock(&pass_lock);
}

/*
 * The operations, on @nr pages from @first on. Those on runs of PTEs get a piece of one
 * table, under its lock and in lazy mode; those on ranges take their locks themselves.
 */

static void transactions(uint32_t first, uint32_t nr)
{
	struct pvb_cpu *c = &this_cpu()->pvb;

	for (uint32_t i = first; i < first + nr; i++) {
		uint64_t old = pvb_ptep_modify_prot_start(c, mm_work_va(i), pte_of(i));

		pvb_ptep_modify_prot_commit(c, mm_work_va(i), pte_of(i), old,
					    pvb_pte_modify(old, prot(!writable)));
	}
}

static void modify_prot(uint32_t first, uint32_t nr)
{
	struct pvb_cpu *c = &this_cpu()->pvb;
	uint64_t va = mm_work_va(first);
	uint64_t old = pvb_modify_prot_start_ptes(c, va, pte_of(first), nr);

	pvb_modify_prot_commit_ptes(c, va, pte_of(first), old, pvb_pte_modify(old, prot(!writable)),
				    nr, 0);
}

static void clear_young_dirty(uint32_t first, uint32_t nr)
{
	pvb_mkold_clean_ptes(&this_cpu()->pvb, mm_work_va(first), pte_of(first), nr);
}

static void change_protection(uint32_t first, uint32_t nr)
{
	int64_t r;

	hold();
	r = pvb_change_protection(&area, mm_work_va(first), mm_work_va(first + nr), prot(!writable),
				  0);
	release();
	failed |= r != nr;
}

static void wrprotect_range(uint32_t first, uint32_t nr)
{
	struct pvb_touched done;

	hold();
	failed |= pvb_wrprotect_range(&area, mm_work_va(first), mm_work_va(first + nr),
				      PVB_HUGE_REFUSE, &done) ||
		  done.total != nr;
	release();
}

static void clean_record_range(uint32_t first, uint32_t nr)
{
	struct pvb_dirty_bitmap bitmap = { .bits = options.pages, .map = recorded };
	struct pvb_touched done;

	hold();
	failed |= pvb_clean_record_range(&area, mm_work_va(first), mm_work_va(first + nr),
					 PVB_HUGE_REFUSE, &bitmap, &done);
	release();
}

/* What an operation does to the entries. */
enum effect {
	TOGGLES, /* writable or not, in turn */
	PROTECTS, /* not writable any more */
	CLEARS_BOTH, /* A and D */
	RECORDS, /* D is cleared, and in the bitmap */
};

static const struct row {
	const char *name;
	void (*run)(uint32_t first, uint32_t nr);
	bool takes_locks;
	enum effect effect;
} rows[] = {
	{ "transaction", transactions, false, TOGGLES },
	{ "modify-prot", modify_prot, false, TOGGLES },
	{ "mkold-clean", clear_young_dirty, false, CLEARS_BOTH },
	{ "change-prot", change_protection, true, TOGGLES },
	{ "wrprotect", wrprotect_range, true, PROTECTS },
	{ "clean-record", clean_record_range, true, RECORDS },
};

/* One piece of one table for a row that works on PTEs. */
static void run_locked(const struct row *row, uint32_t first, uint32_t nr)
{
	struct pvb_cpu *c = &this_cpu()->pvb;

	spin_lock(&pass_lock);
	pvb_lazy_enter(c);
	row->run(first, nr);
	pvb_flush_range(c, pvb_gva(mm_work_va(first)), nr, 0);
	pvb_lazy_leave(c);
	spin_unlock(&pass_lock);
}

/* All pages; @step of them at a time. */
static void run_all(const struct row *row, uint32_t step)
{
	for (uint32_t first = 0; first < options.pages; first += step) {
		uint32_t left = options.pages - first;
		uint32_t nr = left < step ? left : step;

		if (row->takes_locks)
			row->run(first, nr);
		else
			run_locked(row, first, nr);
	}
}

/* Of three pages one is written, one is read, one is left alone; others each round. */
static void touch_pages(uint32_t round)
{
	for (uint32_t i = 0; i < options.pages; i++) {
		volatile uint64_t *word = (volatile uint64_t *)mm_work_va(i);

		if ((i + round) % 3 == 0 && writable) {
			*word = round;
			set_bit(written, i);
			set_bit(touched, i);
		} else if ((i + round) % 3 == 1) {
			(void)*word;
			set_bit(touched, i);
		}
	}
}

static void fail_entry(const struct row *row, uint32_t i, const char *what)
{
	if (!failed)
		say("FAIL: %s: page %u %s, its entry is 0x%016lx\n", row->name, i, what,
		    *pte_of(i));
	failed = true;
}

/* Every entry, after the operation: the frame, the permission, and no bit lost. */
static void check_entries(const struct row *row, struct pvb_record *record)
{
	for (uint32_t i = 0; i < options.pages; i++) {
		uint64_t pte = *pte_of(i);
		bool lost_a = bit(touched, i) && !pvb_pte_young(pte);
		bool lost_d = bit(written, i) && !pvb_pte_dirty(pte);

		if (row->effect == CLEARS_BOTH)
			lost_a = lost_d = false;
		if (row->effect == RECORDS)
			lost_d = bit(written, i) && !bit(recorded, i);
		record->ad_lost += lost_a + lost_d;
		record->verified++;
		if ((pte ^ mm_work_pte(i)) & PVB_PTE_PFN_MASK)
			fail_entry(row, i, "has another frame");
		if (pvb_pte_write(pte) != writable)
			fail_entry(row, i, writable ? "is read-only" : "is writable");
		if (row->effect == RECORDS && bit(recorded, i) && !bit(written, i))
			fail_entry(row, i, "is recorded, but nobody wrote it");
		/* Nothing sets D but a write; A may be set for a page that is only near. */
		if (row->effect != TOGGLES && row->effect != PROTECTS && pvb_pte_dirty(pte))
			fail_entry(row, i, "is still dirty");
	}
}

static void forget_after(const struct row *row)
{
	if (row->effect == CLEARS_BOTH)
		memset(touched, 0, sizeof(touched));
	if (row->effect == CLEARS_BOTH || row->effect == RECORDS) {
		memset(written, 0, sizeof(written));
		memset(recorded, 0, sizeof(recorded));
	}
}

/* Make everything writable again, old and clean, for the next row. */
static void reset(void)
{
	static const struct row both[] = { { "", modify_prot, false, TOGGLES },
					   { "", clear_young_dirty, false, CLEARS_BOTH } };

	if (!writable) {
		run_all(&both[0], PVB_PTES_PER_TABLE);
		writable = true;
	}
	run_all(&both[1], PVB_PTES_PER_TABLE);
	memset(touched, 0, sizeof(touched));
	memset(written, 0, sizeof(written));
	memset(recorded, 0, sizeof(recorded));
}

static void measure_row(const struct row *row, bool batched)
{
	static const struct shape shapes[] = { { PVB_SUBMIT_PER_ENTRY, 1 },
					       { PVB_SUBMIT_RANGE, PVB_PTES_PER_TABLE } };
	uint32_t whole = row->takes_locks ? options.pages : PVB_PTES_PER_TABLE;
	/* Once protected, always protected: undoing it would be part of the next round. */
	uint32_t rounds = row->effect == PROTECTS ? 1 : options.rounds;
	static struct measure m;

	pass_shape(&shapes[1]);
	reset();
	pass_shape(&shapes[batched]);
	measure_begin(&m, row->name, shapes[batched].mode, shapes[batched].batch);
	for (uint32_t round = 0; round < rounds; round++) {
		uint64_t start;

		touch_pages(round);
		start = rdtsc();
		run_all(row, batched ? whole : 1);
		measure_round(&m, rdtsc() - start, options.pages);
		if (row->effect == TOGGLES)
			writable = !writable;
		else if (row->effect == PROTECTS)
			writable = false;
		check_entries(row, &m.record);
		forget_after(row);
	}
	measure_end(&m);
	if (m.record.ad_lost) {
		say("FAIL: %s: %lu A or D bits lost\n", row->name, m.record.ad_lost);
		failed = true;
	}
	if (m.used.conflicts || m.used.fallbacks || m.used.untouched) {
		say("FAIL: %s: %lu conflicts, %lu fallbacks, %lu PTEs untouched\n", row->name,
		    m.used.conflicts, m.used.fallbacks, m.used.untouched);
		failed = true;
	}
}

static void all_rows(void)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++) {
		measure_row(&rows[i], false);
		measure_row(&rows[i], true);
	}
	pass_shape(&(struct shape){ PVB_SUBMIT_RANGE, PVB_PTES_PER_TABLE });
	reset();
}

unsigned int workload_mm(void)
{
	mm_map_work(options.pages);
	mm.ops = options.lock_all ? &one_ops : &split_ops;
	mm.root = mm_root();
	area.end = mm_work_va(options.pages);
	writable = true;
	if (!pass_modes(1, all_rows)) {
		say("nothing measured\n");
		return EXIT_MACHINE;
	}
	return failed ? EXIT_CHECK_FAILED : EXIT_OK;
}
