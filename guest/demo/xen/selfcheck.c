// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest on Xen - selfcheck: guest/core over the Xen transport on a real Xen.
 * What each operation leaves in the entries, by each of the transport's forms; and batches
 * in which Xen refuses an entry: the reason is reported, nothing else is lost, the domain
 * lives.
 */
#include "../selfcheck.h"
#include "../console.h"
#include "../cpu.h"
#include "../host.h"
#include "../lib.h"
#include "../mm.h"
#include "../options.h"
#include "../pass.h"
#include "../workload.h"
#include "xen.h"

#define TABLES 2U

static uint64_t *ptes(void)
{
	return (uint64_t *)mm_work_ptes();
}

static struct pvb_cpu *queue(void)
{
	return &this_cpu()->pvb;
}

static void expect(const char *name, uint32_t page, uint64_t expected)
{
	uint64_t pte = pvb_load64(&ptes()[page]);

	check(pte == expected, "%s: PTE %u is 0x%lx, expected 0x%lx", name, page, pte, expected);
}

/* All entries as in the beginning, by the guest's own stores, which Xen emulates. */
static void reset(void)
{
	for (uint32_t i = 0; i < TABLES * PVB_PTES_PER_TABLE; i++) {
		if (pvb_load64(&ptes()[i]) != mm_work_pte(i))
			pvb_store64(&ptes()[i], mm_work_pte(i));
	}
	pvb_flush_all(queue(), 0);
}

static void write_page(uint32_t page)
{
	*(volatile uint64_t *)mm_work_va(page) = page;
}

static void read_page(uint32_t page)
{
	(void)*(volatile uint64_t *)mm_work_va(page);
}

/* Law 1, all four cases of a bit, on entries that the hardware has really changed. */
static void check_commit(void)
{
	struct pvb_xen_stats before = *xen_stats();
	uint64_t old;

	/* Dirtied between start and commit, and not at all, so that it still may be. */
	reset();
	old = pvb_start(&ptes()[0]);
	write_page(0);
	(void)pvb_commit_one(queue(), &ptes()[0], old, old & ~PVB_PTE_W);
	expect("carry", 0, (mm_work_pte(0) & ~PVB_PTE_W) | PVB_PTE_AD);
	check(xen_stats()->preserved == before.preserved + 1, "carry: not by PRESERVE_AD");
	old = pvb_start(&ptes()[4]);
	(void)pvb_commit_one(queue(), &ptes()[4], old, old & ~PVB_PTE_W);
	expect("protect", 4, mm_work_pte(4) & ~PVB_PTE_W);
	check(xen_stats()->preserved == before.preserved + 2, "protect: not by PRESERVE_AD");

	/* Dirty before start and cleaned on purpose: a plain store. */
	before = *xen_stats();
	write_page(1);
	old = pvb_start(&ptes()[1]);
	(void)pvb_commit_one(queue(), &ptes()[1], old, old & ~PVB_PTE_AD);
	expect("clean", 1, mm_work_pte(1));
	check(xen_stats()->stored == before.stored + 1, "clean: not by a store");

	/* Read before start, written since; made old: D has to survive, A to go. */
	pvb_flush_all(queue(), 0);
	read_page(2);
	old = pvb_start(&ptes()[2]);
	check((old & PVB_PTE_AD) == PVB_PTE_A, "age: PTE 0x%lx after a read", old);
	(void)pvb_commit_one(queue(), &ptes()[2], old, old & ~PVB_PTE_A);
	expect("age, not written", 2, mm_work_pte(2));
	check(xen_stats()->frozen == before.frozen + 1, "age: not taken out");
	pvb_flush_all(queue(), 0);
	read_page(2);
	old = pvb_start(&ptes()[2]);
	write_page(2);
	(void)pvb_commit_one(queue(), &ptes()[2], old, old & ~PVB_PTE_A);
	expect("age, written since", 2, mm_work_pte(2) | PVB_PTE_D);
}

/*
 * What this transport avoids, and Linux's own Xen code does not: a commit that cleans by
 * PRESERVE_AD alone leaves the page dirty; by a store alone loses what came in between.
 */
static void check_why(void)
{
	struct mmu_update request = { .ptr = xen_machine_of(&ptes()[3]) };
	uint64_t old;

	reset();
	write_page(3);
	old = pvb_start(&ptes()[3]);
	request.ptr |= MMU_PT_UPDATE_PRESERVE_AD;
	request.val = old & ~PVB_PTE_AD;
	check(!xen_mmu_update(&request, 1, NULL), "PRESERVE_AD of a dirty page: refused");
	expect("PRESERVE_AD cannot clean", 3, mm_work_pte(3) | PVB_PTE_AD);

	reset();
	old = pvb_start(&ptes()[3]);
	write_page(3);
	request.ptr = xen_machine_of(&ptes()[3]) | MMU_NORMAL_PT_UPDATE;
	request.val = old & ~PVB_PTE_W;
	check(!xen_mmu_update(&request, 1, NULL), "store over a dirtied page: refused");
	expect("a store loses the dirty bit", 3, mm_work_pte(3) & ~PVB_PTE_W);
}

/* Runs with results: "was young" and "was dirty" of the exchange. */
static void check_mask(void)
{
	struct pvb_ad_map map;

	reset();
	read_page(10);
	write_page(11);
	write_page(400);
	pvb_collect_begin(queue(), &map);
	check(!pvb_mask_ptes(queue(), &ptes()[0], PVB_PTE_AD, 0, PVB_PTES_PER_TABLE), "mask");
	pvb_collect_end(queue(), PVB_FLUSH_RANGE, 0, pvb_gva(mm_work_va(0)), PVB_PTES_PER_TABLE);
	for (uint32_t i = 0; i < PVB_PTES_PER_TABLE; i++) {
		bool dirty = i == 11 || i == 400;

		expect("mask", i, mm_work_pte(i));
		check((map.young[i / 64] >> i % 64 & 1) == (dirty || i == 10), "mask: young %u", i);
		check((map.dirty[i / 64] >> i % 64 & 1) == dirty, "mask: dirty %u", i);
	}

	write_page(20);
	pvb_collect_begin(queue(), &map);
	check(!pvb_mask_ptes(queue(), &ptes()[20], ~0ULL, 0, 2), "get-and-clear");
	pvb_collect_end(queue(), PVB_FLUSH_ALL, 0, pvb_gva(0), 0);
	expect("get-and-clear", 20, 0);
	expect("get-and-clear", 21, 0);
	check(map.dirty[0] == 1ULL << 20 && map.young[0] == 1ULL << 20,
	      "get-and-clear: young 0x%lx, dirty 0x%lx", map.young[0], map.dirty[0]);
}

/* Both tables in one lazy section, entry by entry backwards: nothing coalesces. */
static void check_batch(void)
{
	uint32_t nr = TABLES * PVB_PTES_PER_TABLE;

	reset();
	for (uint32_t i = 0; i < nr; i += 3)
		write_page(i);
	pvb_lazy_enter(queue());
	for (uint32_t i = nr; i-- > 0;) {
		uint64_t old = pvb_start(&ptes()[i]);

		pvb_commit(queue(), &ptes()[i], old, old & ~(PVB_PTE_W | PVB_PTE_D));
	}
	pvb_flush_range(queue(), pvb_gva(mm_work_va(0)), nr, 0);
	pvb_lazy_leave(queue());
	for (uint32_t i = 0; i < nr; i++)
		expect("batch", i,
		       (mm_work_pte(i) & ~PVB_PTE_W) | (i % 3 ? 0 : (uint64_t)PVB_PTE_A));

	/* The same entry twice in one queue: in order. */
	reset();
	pvb_lazy_enter(queue());
	check(!pvb_set(queue(), &ptes()[5], 0), "set twice");
	check(!pvb_set(queue(), &ptes()[5], mm_work_pte(5) & ~PVB_PTE_W), "set twice");
	check(!pvb_mask_ptes(queue(), &ptes()[5], 0, PVB_PTE_SOFT1, 1), "mask after set");
	pvb_lazy_leave(queue());
	expect("set, set, mask", 5, (mm_work_pte(5) & ~PVB_PTE_W) | PVB_PTE_SOFT1);
}

/* A conflict ends its entry; the host-side count and the entry behind it tell. */
static void check_conflict(void)
{
	struct pvb_guest_stats before, after;
	uint64_t old;

	reset();
	pvb_cpu_stats(queue(), &before);
	old = pvb_start(&ptes()[6]);
	pvb_store64(&ptes()[6], old | PVB_PTE_SOFT0);
	(void)pvb_commit_one(queue(), &ptes()[6], old, old & ~PVB_PTE_W);
	pvb_cpu_stats(queue(), &after);
	expect("conflict", 6, old | PVB_PTE_SOFT0);
	check(after.conflicts == before.conflicts + 1 && after.untouched == before.untouched + 1,
	      "conflict: %lu conflicts, %lu untouched", after.conflicts - before.conflicts,
	      after.untouched - before.untouched);
}

/*
 * Entry 8 of three: 4 pages that are right, then @forged, then 3 more. Xen refuses the
 * fifth; the entries before and behind it in the batch are carried out.
 */
static void check_refused(const char *name, uint64_t forged)
{
	uint32_t calls = xen_refused.calls;

	reset();
	write_page(30);
	pvb_lazy_enter(queue());
	check(!pvb_mask_ptes(queue(), &ptes()[30], PVB_PTE_W, 0, 2), "%s: mask", name);
	for (uint32_t i = 0; i < 8; i++)
		(void)pvb_set(queue(), &ptes()[40 + i],
			      i == 4 ? forged : mm_work_pte(40 + i) & ~PVB_PTE_W);
	check(!pvb_mask_ptes(queue(), &ptes()[600], PVB_PTE_W, 0, 2), "%s: mask", name);
	pvb_flush_all(queue(), 0);
	pvb_lazy_leave(queue());

	check(xen_refused.calls == calls + 1, "%s: %u refusals", name, xen_refused.calls - calls);
	check(xen_refused.ptep == &ptes()[44], "%s: refused at 0x%lx", name,
	      (uint64_t)xen_refused.ptep);
	check(xen_refused.status == PVB_ST_BAD_PTE || xen_refused.status == PVB_ST_DENIED,
	      "%s: status %u", name, (uint32_t)xen_refused.status);
	expect(name, 30, (mm_work_pte(30) & ~PVB_PTE_W) | PVB_PTE_AD);
	expect(name, 43, mm_work_pte(43) & ~PVB_PTE_W);
	expect(name, 44, mm_work_pte(44));
	expect(name, 600, mm_work_pte(600) & ~PVB_PTE_W);
	expect(name, 601, mm_work_pte(601) & ~PVB_PTE_W);
}

/* A commit that ages and forges at once is taken out, refused, and put back as it was. */
static void check_put_back(void)
{
	uint64_t old, forged = xen_machine_of(ptes()) | PVB_PTE_P | PVB_PTE_W;
	struct pvb_xen_stats before = *xen_stats();
	uint32_t calls = xen_refused.calls;

	reset();
	read_page(50);
	old = pvb_start(&ptes()[50]);
	(void)pvb_commit_one(queue(), &ptes()[50], old, forged);
	check(xen_refused.calls == calls + 1, "put back: %u refusals", xen_refused.calls - calls);
	expect("put back", 50, old);
	check(xen_stats()->frozen == before.frozen + 1 && xen_stats()->stuck == before.stuck,
	      "put back: %lu taken out, %lu stuck", xen_stats()->frozen - before.frozen,
	      xen_stats()->stuck - before.stuck);
	write_page(50);
	expect("put back, written", 50, old | PVB_PTE_AD);
}

static void check_forged(void)
{
	uint64_t kernel = PVB_PTE_P | PVB_PTE_NX;

	check_refused("a page table, writable", xen_machine_of(ptes()) | kernel | PVB_PTE_W);
	check_refused("the top table, writable",
		      xen_top_mfn() << PVB_PAGE_SHIFT | kernel | PVB_PTE_W);
	check_refused("Xen's memory", xen_foreign_mfn() << PVB_PAGE_SHIFT | kernel);
	check_refused("a frame beyond the machine", 0x000ffffffffff000ULL | kernel);
	check_put_back();
}

static void check_all(void)
{
	check_commit();
	check_why();
	check_mask();
	check_batch();
	check_conflict();
	check_forged();
	reset();
}

unsigned int workload_selfcheck(void)
{
	uint32_t modes;

	mm_map_work(TABLES * PVB_PTES_PER_TABLE);
	options.apply = APPLY_HOST;
	modes = pass_modes(1, check_all);
	check(modes == 1, "the transport does not offer its mode");
	xen_use_preserve_ad(false);
	modes = pass_modes(1, check_all);
	check(!modes, "the transport works on a Xen that it cannot be exact on");
	say("selfcheck: %u checks, %u failed\n", check_totals.checks, check_totals.failed);
	return check_totals.failed ? EXIT_CHECK_FAILED : EXIT_OK;
}
