// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - toggle and compare: the cost of giving pages another protection,
 * alone on the machine. After each measurement every entry is compared with what it has
 * to be, and the hypercalls with what they have to be.
 */
#include "console.h"
#include "cpu.h"
#include "lib.h"
#include "measure.h"
#include "mm.h"
#include "options.h"
#include "pass.h"
#include "workload.h"

static const char *workload_name;
static bool failed;

/* Every entry: next page frame, no A or D as nobody has touched the pages, @writable. */
static void check_entries(bool writable)
{
	const volatile uint64_t *ptes = mm_work_ptes();
	uint64_t expected = mm_work_pte(0);

	if (!writable)
		expected &= ~PVB_PTE_W;
	for (uint32_t i = 0; i < options.pages; i++, expected += PVB_PAGE_SIZE) {
		if (ptes[i] == expected)
			continue;
		say("FAIL: PTE of page %u is 0x%016lx, expected 0x%016lx\n", i, ptes[i], expected);
		failed = true;
		return;
	}
}

static uint64_t div_up(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

/*
 * What one round has to cost: each lock section ends with a flush, which takes the last
 * batch along. A long batch may take the host several calls (PVB_SUBMIT_PARTIAL).
 */
static uint64_t expected_batches(const struct shape *shape)
{
	uint32_t section = options.lock_all ? options.pages : PVB_PTES_PER_TABLE;
	uint64_t calls = 0;

	if (this_cpu()->pvb.mode == PVB_MODE_DIRECT)
		return 0;
	for (uint32_t first = 0; first < options.pages; first += section) {
		uint32_t left = options.pages - first;
		uint32_t nr = left < section ? left : section;
		uint32_t entries = shape->mode == PVB_SUBMIT_RANGE ?
					   (uint32_t)div_up(nr, PVB_PTES_PER_TABLE) :
					   nr;

		calls += div_up(entries, shape->batch);
	}
	return calls;
}

static void measure_shape(const struct shape *shape)
{
	static struct measure m;
	uint64_t batches = expected_batches(shape) * options.rounds;
	bool writable = true;

	pass_shape(shape);
	measure_begin(&m, workload_name, shape->mode, shape->batch);
	for (uint32_t round = 0; round < options.rounds; round++) {
		uint64_t start = rdtsc();

		writable = !writable;
		pass_protect(shape, writable);
		measure_round(&m, rdtsc() - start, options.pages);
	}
	measure_end(&m);

	check_entries(writable);
	if (!writable)
		pass_protect(shape, true);
	if (m.used.batches != batches || m.used.calls != batches + m.used.partial) {
		say("FAIL: %lu batches in %lu hypercalls, %lu of them partial; expected %lu\n",
		    m.used.batches, m.used.calls, m.used.partial, batches);
		failed = true;
	}
	if (m.used.conflicts || m.used.fallbacks || m.used.untouched) {
		say("FAIL: %lu conflicts, %lu fallbacks, %lu PTEs untouched\n", m.used.conflicts,
		    m.used.fallbacks, m.used.untouched);
		failed = true;
	}
}

static const uint32_t toggle_batches[] = { PVB_PTES_PER_TABLE, 0 };
static const uint32_t compare_batches[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 0 };

static void toggle_mode(void)
{
	pass_shapes(toggle_batches, measure_shape);
}

static void compare_mode(void)
{
	pass_shapes(compare_batches, measure_shape);
}

static unsigned int run(const char *name, void (*mode)(void))
{
	workload_name = name;
	mm_map_work(options.pages);
	if (!pass_modes(1, mode)) {
		say("nothing measured\n");
		return EXIT_MACHINE;
	}
	return failed ? EXIT_CHECK_FAILED : EXIT_OK;
}

unsigned int workload_toggle(void)
{
	return run("toggle", toggle_mode);
}

unsigned int workload_compare(void)
{
	return run("compare", compare_mode);
}
