// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - the race: CPU 0 changes protections and cleans, while the other CPUs
 * make hardware set A and D in the same entries. Not one bit may be lost (law 1), and after
 * a flush no CPU may use an old translation (law 4); ledger.h says how that shows.
 *
 * Each round and table: to read-only and back, and a cleaning. Between start and commit
 * the auditor waits for the workers, so that there is something to merge.
 */
#include "console.h"
#include "cpu.h"
#include "ledger.h"
#include "lib.h"
#include "measure.h"
#include "mm.h"
#include "options.h"
#include "pass.h"
#include "workload.h"

static struct {
	uint64_t verified; /* pages accessed between two cleanings, and compared */
	uint64_t lost_a;
	uint64_t lost_d;
	uint32_t page; /* of the first loss */
	uint64_t pte; /* and its entry */
} audit;

static uint64_t cleaned; /* PTEs: not timed, but part of the hypercalls' work */
static bool failed;

static uint64_t *pte_of(uint32_t page)
{
	return (uint64_t *)mm_work_ptes() + page;
}

static bool bit(const uint64_t *map, uint32_t i)
{
	return map[i / 64] >> (i % 64) & 1;
}

/* Compare what the cleaning of @nr pages from @first on reported with the ledgers. */
static void audit_pages(uint32_t first, uint32_t nr, const struct pvb_ad_map *map)
{
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t pte = mm_work_ptes()[first + i];
		bool lost_a, lost_d;

		if (!ledger_accessed(first + i))
			continue;
		audit.verified++;
		lost_a = !bit(map->young, i) && !(pte & PVB_PTE_A);
		lost_d = ledger_written(first + i) && !bit(map->dirty, i) && !(pte & PVB_PTE_D);
		if ((lost_a || lost_d) && !(audit.lost_a + audit.lost_d)) {
			audit.page = first + i;
			audit.pte = pte;
		}
		audit.lost_a += lost_a;
		audit.lost_d += lost_d;
	}
}

static void note(struct pvb_ad_map *map, uint32_t i, uint64_t pte)
{
	map->young[i / 64] |= (pte & PVB_PTE_A ? 1ULL : 0) << (i % 64);
	map->dirty[i / 64] |= (pte & PVB_PTE_D ? 1ULL : 0) << (i % 64);
}

static void start_pages(uint32_t first, uint32_t nr, uint64_t *olds)
{
	for (uint32_t i = 0; i < nr; i++)
		olds[i] = pvb_start(pte_of(first + i));
}

/*
 * Three ways to clean. Each fills in @map with what was young and dirty; @wait lets the
 * workers have a go between start and commit.
 */

/* Page by page, as the old entries say. */
static void clean_commits(const struct shape *shape, uint32_t first, uint32_t nr,
			  struct pvb_ad_map *map, bool wait)
{
	static uint64_t olds[PVB_PTES_PER_TABLE];

	start_pages(first, nr, olds);
	if (wait)
		race_progress();
	pass_commit(shape, first, nr, olds, PVB_PTE_AD, 0);
	for (uint32_t i = 0; i < nr; i++)
		note(map, i, olds[i]);
}

/* As one run: the union of its A and D bits stands for all its pages (law 2). */
static void clean_run(uint32_t first, uint32_t nr, struct pvb_ad_map *map, bool wait)
{
	struct pvb_cpu *c = &this_cpu()->pvb;
	uint64_t old = pvb_start_ptes(pte_of(first), nr);

	if (wait)
		race_progress();
	pvb_lazy_enter(c);
	pvb_commit_ptes(c, pte_of(first), old, old & ~PVB_PTE_AD, nr);
	pvb_flush_range(c, pvb_gva(mm_work_va(first)), nr, 0);
	pvb_lazy_leave(c);
	for (uint32_t i = 0; i < nr; i++)
		note(map, i, old);
}

/* Without a transaction: the exchange itself reports what it cleared. */
static void clean_mask(const struct shape *shape, uint32_t first, uint32_t nr,
		       struct pvb_ad_map *map)
{
	struct pvb_cpu *c = &this_cpu()->pvb;
	uint32_t step = shape->mode == PVB_SUBMIT_RANGE ? nr : 1;

	pvb_collect_begin(c, map);
	for (uint32_t i = 0; i < nr; i += step)
		pvb_mask_ptes(c, pte_of(first + i), PVB_PTE_AD, 0, step);
	pvb_collect_end(c, PVB_FLUSH_RANGE, 0, pvb_gva(mm_work_va(first)), nr);
}

static void clean(const struct shape *shape, uint32_t round, uint32_t first, uint32_t nr, bool wait)
{
	struct pvb_ad_map map = { { 0 }, { 0 } };

	ledger_reach(first, nr);
	spin_lock(&pass_lock);
	if (round % 3 == 1)
		clean_mask(shape, first, nr, &map);
	else if (round % 3 == 2 && shape->mode == PVB_SUBMIT_RANGE)
		clean_run(first, nr, &map, wait);
	else
		clean_commits(shape, first, nr, &map, wait);
	cleaned += nr;
	spin_unlock(&pass_lock);
	audit_pages(first, nr, &map);
	ledger_floor(first, nr);
}

/*
 * What law 1 forbids, to prove that the audit sees it: what start returned is stored back
 * over whatever hardware has set since.
 */
static void protect_by_store(uint32_t first, uint32_t nr, const uint64_t *olds)
{
	struct pvb_cpu *c = &this_cpu()->pvb;

	for (uint32_t i = 0; i < nr; i++)
		mm_work_ptes()[first + i] = olds[i] & ~PVB_PTE_W;
	pvb_changed(c, pte_of(first), nr);
	pvb_flush_range(c, pvb_gva(mm_work_va(first)), nr, 0);
}

/* To read-only. Returns TSC cycles, without the waiting. */
static uint64_t protect(const struct shape *shape, uint32_t first, uint32_t nr)
{
	static uint64_t olds[PVB_PTES_PER_TABLE];
	uint64_t started, cycles;

	spin_lock(&pass_lock);
	started = rdtsc();
	start_pages(first, nr, olds);
	cycles = rdtsc() - started;
	race_progress();
	started = rdtsc();
	if (options.plant == PLANT_LOST_DIRTY)
		protect_by_store(first, nr, olds);
	else
		pass_commit(shape, first, nr, olds, PVB_PTE_W, 0);
	cycles += rdtsc() - started;
	spin_unlock(&pass_lock);
	return cycles;
}

/* And back. */
static uint64_t unprotect(const struct shape *shape, uint32_t first, uint32_t nr)
{
	uint64_t started, cycles;

	spin_lock(&pass_lock);
	started = rdtsc();
	pass_commit(shape, first, nr, NULL, 0, PVB_PTE_W);
	cycles = rdtsc() - started;
	spin_unlock(&pass_lock);
	return cycles;
}

/*
 * Cleaning writable pages races with writes. Cleaning read-only ones does not, but it
 * sees what became of the entries on the way there: no write can set a lost D again.
 */
static uint64_t race_round(const struct shape *shape, uint32_t round)
{
	bool paced = round % 2 == 0, writable = round / 2 % 2;
	uint64_t cycles = 0;

	race_pace(paced);
	for (uint32_t first = 0; first < options.pages; first += PVB_PTES_PER_TABLE) {
		uint32_t left = options.pages - first;
		uint32_t nr = left < PVB_PTES_PER_TABLE ? left : PVB_PTES_PER_TABLE;

		race_focus(first, nr);
		if (paced) /* so that there are clean pages to be dirtied */
			clean(shape, round, first, nr, false);
		cycles += protect(shape, first, nr);
		if (!writable)
			clean(shape, round, first, nr, false);
		cycles += unprotect(shape, first, nr);
		if (writable)
			clean(shape, round, first, nr, true);
	}
	return cycles;
}

/* Writes since the last cleaning have nobody to report them: D has to be in the entries. */
static void audit_rest(void)
{
	static const struct pvb_ad_map none;

	for (uint32_t first = 0; first < options.pages; first += PVB_PTES_PER_TABLE) {
		uint32_t left = options.pages - first;
		uint32_t nr = left < PVB_PTES_PER_TABLE ? left : PVB_PTES_PER_TABLE;

		ledger_reach(first, nr);
		audit_pages(first, nr, &none);
		/* The next shape starts from here, with the bits that are still set. */
	}
}

static void fail(bool condition, const char *what, uint64_t value)
{
	if (!condition)
		return;
	say("FAIL: %s: %lu\n", what, value);
	failed = true;
}

static void race_shape(const struct shape *shape)
{
	static struct measure m;
	struct race_totals before, after;
	uint64_t bad_content;

	audit.verified = 0;
	audit.lost_a = 0;
	audit.lost_d = 0;
	cleaned = 0;
	race_totals(&before);
	pass_shape(shape);
	race_focus(0, options.pages);
	measure_begin(&m, "race", shape->mode, shape->batch);
	race_workers_start();
	for (uint32_t round = 0; round < options.rounds; round++) {
		uint64_t cycles = race_round(shape, round);

		measure_round(&m, cycles, 2ULL * options.pages);
	}
	race_workers_stop();
	audit_rest();
	m.record.ptes += cleaned;
	m.record.ad_lost = audit.lost_a + audit.lost_d;
	m.record.verified = audit.verified;
	measure_end(&m);

	race_totals(&after);
	say("  %lu writes, %lu reads, %lu faults waited out (%lu spurious)\n",
	    after.writes - before.writes, after.reads - before.reads, after.faults - before.faults,
	    after.spurious - before.spurious);
	bad_content = ledger_check_content();
	if (audit.lost_a + audit.lost_d)
		say("FAIL: first loss at page %u, PTE 0x%016lx\n", audit.page, audit.pte);
	fail(audit.lost_d, "Dirty bits lost", audit.lost_d);
	fail(audit.lost_a, "Accessed bits lost", audit.lost_a);
	fail(bad_content, "pages without what was written to them", bad_content);
	fail(!audit.verified, "nothing was verified: accesses", after.writes - before.writes);
	fail(m.record.conflicts, "conflicts", m.record.conflicts);
	fail(m.used.fallbacks, "PTEs written directly though there is a host", m.used.fallbacks);
}

static const uint32_t race_batches[] = { PVB_PTES_PER_TABLE, 0 };

static void race_mode(void)
{
	pass_shapes(race_batches, race_shape);
}

unsigned int workload_race(void)
{
	if (options.vcpus < 2)
		demo_die(EXIT_MACHINE, "race: one CPU has nobody to race with\n");
	mm_map_work(options.pages);
	if (!pass_modes(1, race_mode)) {
		say("nothing measured\n");
		return EXIT_MACHINE;
	}
	return failed ? EXIT_CHECK_FAILED : EXIT_OK;
}
