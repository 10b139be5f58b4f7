// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - selfcheck: what right entries do, and batches longer than a call.
 */
#include "cpu.h"
#include "host.h"
#include "lib.h"
#include "mm.h"
#include "selfcheck.h"
#include "trap.h"

static struct pvb_entry entry_at(uint32_t slot, uint16_t nr, enum pvb_op op)
{
	return (struct pvb_entry){
		.pte_gpa = (uint64_t)&check_ptes()[slot],
		.nr = nr,
		.op = (uint8_t)op,
	};
}

/* Submit one entry, with a flush of everything; it has to succeed. Returns PTEs carried. */
static uint32_t submit_one(const char *name, const struct pvb_entry *entry)
{
	struct pvb_batch_hdr *hdr = raw_header();
	int64_t result;

	raw_entries()[0] = *entry;
	hdr->nr = 1;
	hdr->flush = PVB_FLUSH_ALL;
	result = raw_submit(hdr);
	check(result == PVB_SUBMIT_DONE && hdr->applied == entry->nr &&
		      raw_entries()[0].answer == pvb_answer(PVB_ST_OK, entry->nr),
	      "%s: result %ld, applied %u, answer 0x%x", name, result, hdr->applied,
	      raw_entries()[0].answer);
	return hdr->carried;
}

static void expect(const char *name, uint32_t slot, uint64_t expected)
{
	uint64_t pte = ((volatile uint64_t *)check_ptes())[slot];

	check(pte == expected, "%s: PTE %u is 0x%lx, expected 0x%lx", name, slot, pte, expected);
}

/* Law 1: set by hardware since start - kept; cleared on purpose - cleared. */
static void check_commit(void)
{
	uint64_t *ptes = check_ptes();
	struct pvb_entry entry;
	uint32_t carried;

	check_reset();
	entry = entry_at(0, 1, PVB_OP_COMMIT);
	entry.old = check_pte(0) | PVB_PTE_A;
	entry.new = check_pte(0) & ~PVB_PTE_W;
	ptes[0] = check_pte(0) | PVB_PTE_AD;
	carried = submit_one("commit, A old and D new", &entry);
	expect("commit, A old and D new", 0, (check_pte(0) & ~PVB_PTE_W) | PVB_PTE_D);
	check(carried == 1, "commit, A old and D new: carried %u", carried);

	entry = entry_at(1, 1, PVB_OP_COMMIT);
	entry.old = check_pte(1) | PVB_PTE_SOFT1;
	entry.new = check_pte(1) & ~PVB_PTE_W;
	entry.flags = PVB_ENT_SOFT0 | PVB_ENT_SOFT1;
	ptes[1] = check_pte(1) | PVB_PTE_SOFT0;
	submit_one("commit, soft bits", &entry);
	expect("commit, soft bits", 1, (check_pte(1) & ~PVB_PTE_W) | PVB_PTE_SOFT0);

	/* Law 2: a whole table by one entry; the hardware has dirtied one page of it. */
	check_reset();
	entry = entry_at(0, PVB_PTES_PER_TABLE, PVB_OP_COMMIT);
	entry.old = check_pte(0);
	entry.new = check_pte(0) & ~PVB_PTE_W;
	ptes[300] |= PVB_PTE_AD;
	carried = submit_one("commit, a table", &entry);
	check(carried == 1, "commit, a table: carried %u", carried);
	for (uint32_t i = 0; i < PVB_PTES_PER_TABLE; i++)
		expect("commit, a table", i,
		       (check_pte(i) & ~PVB_PTE_W) | (i == 300 ? PVB_PTE_AD : 0));
}

/* Result bitmaps lie behind the one entry: 2 words each for 100 PTEs. */
static void check_mask(void)
{
	uint64_t *ptes = check_ptes();
	uint64_t *bitmaps = (uint64_t *)(raw_entries() + 1);
	struct pvb_entry entry;

	check_reset();
	ptes[3] |= PVB_PTE_A;
	ptes[70] |= PVB_PTE_AD;
	ptes[100] |= PVB_PTE_AD; /* one behind the run */
	entry = entry_at(0, 100, PVB_OP_MASK);
	entry.old = PVB_PTE_AD | PVB_PTE_W;
	entry.new = PVB_PTE_SOFT2;
	entry.flags = PVB_ENT_RESULT;
	entry.result = (uint16_t)(((uint64_t)bitmaps - (uint64_t)this_cpu()->buffer) / 8);
	for (uint32_t i = 0; i < 5; i++)
		bitmaps[i] = ~0ULL;
	submit_one("mask", &entry);
	for (uint32_t i = 0; i < 100; i++)
		expect("mask", i, (check_pte(i) & ~PVB_PTE_W) | PVB_PTE_SOFT2);
	expect("mask, behind the run", 100, check_pte(100) | PVB_PTE_AD);
	check(bitmaps[0] == 1ULL << 3 && bitmaps[1] == 1ULL << 6, "mask: young 0x%lx 0x%lx",
	      bitmaps[0], bitmaps[1]);
	check(!bitmaps[2] && bitmaps[3] == 1ULL << 6, "mask: dirty 0x%lx 0x%lx", bitmaps[2],
	      bitmaps[3]);
	check(bitmaps[4] == ~0ULL, "mask: written behind the bitmaps");

	entry = entry_at(100, 1, PVB_OP_MASK);
	entry.old = ~0ULL;
	entry.flags = PVB_ENT_RESULT;
	entry.result = (uint16_t)(((uint64_t)bitmaps - (uint64_t)this_cpu()->buffer) / 8);
	submit_one("get-and-clear", &entry);
	expect("get-and-clear", 100, 0);
	check(bitmaps[0] == 1 && bitmaps[1] == 1, "get-and-clear: young 0x%lx, dirty 0x%lx",
	      bitmaps[0], bitmaps[1]);
}

static void check_set(void)
{
	struct pvb_entry entry;

	check_reset();
	entry = entry_at(16, 4, PVB_OP_SET);
	entry.new = check_pte(0) | PVB_PTE_G;
	submit_one("set", &entry);
	for (uint32_t i = 0; i < 4; i++)
		expect("set", 16 + i, check_pte(i) | PVB_PTE_G);
	entry.flags = PVB_ENT_FIXED;
	entry.new = 0;
	submit_one("set, fixed", &entry);
	for (uint32_t i = 0; i < 4; i++)
		expect("set, fixed", 16 + i, 0);
	expect("set, behind the run", 20, check_pte(20));
}

static void check_changed(void)
{
	struct pvb_entry entry;

	check_reset();
	check_ptes()[5] &= ~PVB_PTE_W;
	entry = entry_at(5, 1, PVB_OP_CHANGED);
	submit_one("changed", &entry);
	expect("changed", 5, check_pte(5) & ~PVB_PTE_W);
	entry.flags = PVB_ENT_HINT;
	entry.old = check_pte(5);
	entry.new = check_pte(7); /* a lie */
	submit_one("changed, hint", &entry);
	expect("changed, hint", 5, check_pte(5) & ~PVB_PTE_W);
}

/* A write that may fault. Returns whether it did. */
static bool write_faults(volatile uint64_t *at)
{
	bool faulted = false;

	asm volatile("1: movq $1, %1\n\t"
		     "jmp 3f\n\t"
		     "2: movb $1, %0\n\t"
		     "3:\n\t" FIXUP(1b, 2b)
		     : "+r"(faulted), "=m"(*at));
	return faulted;
}

/* One entry for the first page of this CPU, with a flush of each kind. */
static void flushed(const char *name, enum pvb_flush flush, uint16_t flags, uint64_t clear)
{
	volatile uint64_t *page = (volatile uint64_t *)mm_work_va(check_page());
	struct pvb_batch_hdr *hdr;
	struct pvb_entry entry;
	int64_t result;

	check_reset();
	*page = 0; /* the TLB has it now, writable and dirty */
	hdr = raw_header();
	entry = entry_at(0, 1, PVB_OP_MASK);
	entry.old = clear;
	raw_entries()[0] = entry;
	hdr->nr = 1;
	hdr->flush = (uint8_t)flush;
	hdr->flush_flags = flags;
	if (flush == PVB_FLUSH_RANGE) {
		hdr->flush_pages = 1;
		hdr->flush_va = (uint64_t)page;
	}
	result = raw_submit(hdr);
	check(result == PVB_SUBMIT_DONE, "%s: result %ld", name, result);
	if (clear == PVB_PTE_W) {
		check(write_faults(page), "%s: written through the old translation", name);
		return;
	}
	/* Hardware may set A for an access that it only guesses; D it sets for real ones. */
	check(!(((volatile uint64_t *)check_ptes())[0] & PVB_PTE_D), "%s: still dirty", name);
	(void)*page;
	expect(name, 0, check_pte(0) | PVB_PTE_A);
	check(!write_faults(page), "%s: the write faulted", name);
	expect(name, 0, check_pte(0) | PVB_PTE_AD);
}

/* Law 4, with the hardware as witness: this CPU itself has the old translation. */
static void check_flush(void)
{
	flushed("clean, flush a page", PVB_FLUSH_RANGE, 0, PVB_PTE_AD);
	flushed("clean, flush a page here", PVB_FLUSH_RANGE, PVB_FLUSH_LOCAL, PVB_PTE_AD);
	flushed("clean, flush all", PVB_FLUSH_ALL, 0, PVB_PTE_AD);
	flushed("clean, flush all here", PVB_FLUSH_ALL, PVB_FLUSH_LOCAL, PVB_PTE_AD);
	flushed("read-only, flush a page", PVB_FLUSH_RANGE, 0, PVB_PTE_W);
	flushed("read-only, flush a page here", PVB_FLUSH_RANGE, PVB_FLUSH_LOCAL, PVB_PTE_W);
	flushed("read-only, flush all", PVB_FLUSH_ALL, 0, PVB_PTE_W);
	flushed("read-only, flush all here", PVB_FLUSH_ALL, PVB_FLUSH_LOCAL, PVB_PTE_W);
}

void check_operations(void)
{
	check_commit();
	check_mask();
	check_set();
	check_changed();
	check_flush();
}

/*
 * Law 5: more work than one call does. Entries take the table to read-only and back in
 * turn, so that one left out or done twice is a conflict.
 */
void check_partial(void)
{
	uint32_t nr = host_scratch()->max_work / PVB_PTES_PER_TABLE * 2 + 3;
	struct pvb_batch_hdr *hdr = raw_header();
	uint64_t applied = 0;
	uint32_t calls = 0;
	int64_t result;

	if (nr > PVB_MAX_ENTRIES(HOST_BUFFER_BYTES))
		nr = PVB_MAX_ENTRIES(HOST_BUFFER_BYTES);
	check_reset();
	for (uint32_t i = 0; i < nr; i++) {
		struct pvb_entry *entry = &raw_entries()[i];

		*entry = entry_at(0, PVB_PTES_PER_TABLE, PVB_OP_COMMIT);
		entry->old = check_pte(0) ^ (i % 2 ? PVB_PTE_W : 0);
		entry->new = entry->old ^ PVB_PTE_W;
	}
	hdr->nr = nr;
	hdr->flush = PVB_FLUSH_ALL;
	do {
		uint32_t before = hdr->start * PVB_PTES_PER_TABLE + hdr->skip;

		result = raw_submit(hdr);
		calls++;
		applied += hdr->applied;
		if (!check(result >= 0 && hdr->done * PVB_PTES_PER_TABLE + hdr->done_ptes > before,
			   "long batch, call %u: result %ld, no progress from %u", calls, result,
			   before))
			return;
		hdr->start = hdr->done;
		hdr->skip = hdr->done_ptes;
	} while (result == PVB_SUBMIT_PARTIAL);

	check(applied == (uint64_t)nr * PVB_PTES_PER_TABLE, "long batch: %lu PTEs of %u entries",
	      applied, nr);
	check(calls > 2, "long batch: only %u calls", calls);
	for (uint32_t i = 0; i < nr; i++)
		check(raw_entries()[i].answer == pvb_answer(PVB_ST_OK, PVB_PTES_PER_TABLE),
		      "long batch: entry %u answered 0x%x", i, raw_entries()[i].answer);
	for (uint32_t i = 0; i < PVB_PTES_PER_TABLE; i++)
		expect("long batch", i, check_pte(i) ^ (nr % 2 ? PVB_PTE_W : 0));
}
