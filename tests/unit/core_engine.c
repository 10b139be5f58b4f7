// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of guest/core with the engine - random programs of operations, with the
 * hardware setting A and D in between, give the same entries and the same young and
 * dirty bits in each mode as a plain array to which everything is done at once. Where
 * the guest applies, the hardware uses shadow entries that the host brings up to date
 * for what is named to it, and for nothing else: after a flush none may be stale.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include "core_machine.h"

#include <cmocka.h>

#define TABLES 3U
#define ENTRIES (TABLES * PVB_PTES_PER_TABLE)
#define PROGRAMS 120U
#define STEPS 300U
#define RW (PVB_PTE_P | PVB_PTE_W | PVB_PTE_U)

static struct machine machine;
static uint64_t *tables; /* in the machine */
static uint64_t plain[ENTRIES]; /* the oracle */
static bool pending[ENTRIES]; /* has an operation in the queue */
static uint64_t shadow[ENTRIES]; /* what the hardware uses; 0: nothing yet */
static uint64_t seed;

static uint32_t rnd(uint32_t bound)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % bound; /* NOLINT(*DivideZero): never called with 0 */
}

static struct pvb_cpu *cpu(void)
{
	return &machine.cpu[0];
}

static void drained(void)
{
	for (uint32_t i = 0; i < ENTRIES; i++)
		pending[i] = false;
}

static void mark(uint32_t at, uint32_t nr)
{
	for (uint32_t i = at; i < at + nr; i++)
		pending[i] = true;
	if (!cpu()->nr)
		drained();
}

/*
 * The walker: A and D of an entry that is not in the queue. (For one that is, whether it
 * comes before or after the change depends on the mode, and rightly so.)
 */
static void hardware(uint32_t at)
{
	uint64_t bits = rnd(2) ? PVB_PTE_A | PVB_PTE_D : PVB_PTE_A;

	if (pending[at] || !pvb_pte_present(plain[at]))
		return;
	__atomic_fetch_or(&tables[at], bits, __ATOMIC_RELAXED);
	plain[at] |= bits;
	shadow[at] = tables[at];
}

/* The backend's changed callback. */
static void synchronise(void *ctx, const struct pvb_changed_run *run)
{
	uint64_t *first = run->ptes + run->first;

	(void)ctx;
	for (uint32_t i = 0; i < run->nr; i++)
		shadow[first - tables + i] = pvb_pte_present(first[i]) ? first[i] : 0;
}

/* A and D aside, which the shadow may have before the guest and the other way round. */
static void nothing_is_stale(void)
{
	for (uint32_t i = 0; i < ENTRIES; i++) {
		if (shadow[i] && (shadow[i] ^ tables[i]) & ~PVB_PTE_AD)
			fail_msg("entry %u is %#lx, its shadow %#lx", i, (unsigned long)tables[i],
				 (unsigned long)shadow[i]);
	}
}

/* A run that stays in its table. */
static uint32_t random_run(uint32_t *nr)
{
	uint32_t at = rnd(ENTRIES);
	uint32_t room = PVB_PTES_PER_TABLE - at % PVB_PTES_PER_TABLE;

	*nr = 1 + rnd(rnd(4) ? 8 : 300);
	if (*nr > room)
		*nr = room;
	return at;
}

/* What a caller may want to change. */
static uint64_t random_change(uint64_t pte)
{
	static const uint64_t bits[] = { PVB_PTE_W, PVB_PTE_U, PVB_PTE_NX, PVB_PTE_SOFT1,
					 PVB_PTE_A, PVB_PTE_D, PVB_PTE_AD };
	uint64_t bit = bits[rnd(rnd(3) ? 3 : 7)];

	return rnd(2) ? pte | bit : pte & ~bit;
}

static void step_commits(void)
{
	uint32_t nr, at = random_run(&nr);
	bool same = rnd(4);
	uint64_t change = seed;

	for (uint32_t i = at; i < at + nr; i++) {
		uint64_t old = pvb_read(cpu(), &tables[i]);
		uint64_t keep = seed;
		uint64_t new;

		if (!cpu()->nr)
			drained();
		assert_int_equal(old, plain[i]);
		if (same)
			seed = change;
		new = random_change(old);
		if (same)
			seed = keep;
		if (!rnd(4))
			hardware(i);
		plain[i] = new | (plain[i] & ~old & PVB_PTE_AD);
		pvb_commit(cpu(), &tables[i], old, new);
		mark(i, 1);
		if (!same && rnd(3))
			rnd(1000); /* another change next time */
	}
}

static void step_run(void)
{
	uint32_t nr, at = random_run(&nr);
	uint64_t old, new;

	/* A run is entries that differ in A and D alone: make it one. */
	pvb_lazy_flush(cpu());
	drained();
	for (uint32_t i = 0; i < nr; i++) {
		plain[at + i] = pvb_pte_advance(plain[at] | RW, i) & ~PVB_PTE_AD;
		plain[at + i] |= (rnd(2) ? PVB_PTE_A : 0) | (rnd(3) ? 0 : PVB_PTE_D);
		shadow[at + i] = tables[at + i] = plain[at + i];
	}
	old = pvb_start_ptes(&tables[at], nr);
	new = random_change(old);
	hardware(at + rnd(nr));
	for (uint32_t i = 0; i < nr; i++)
		plain[at + i] = pvb_pte_advance(new, i) | (plain[at + i] & ~old & PVB_PTE_AD);
	assert_int_equal(pvb_commit_ptes(cpu(), &tables[at], old, new, nr), 0);
	mark(at, nr);
}

static void step_set(void)
{
	uint32_t nr, at = random_run(&nr);
	uint64_t new = rnd(3) ? (uint64_t)rnd(1U << 20) << PVB_PAGE_SHIFT | RW : 0;
	uint8_t flags = new ? 0 : PVB_ENT_FIXED;

	for (uint32_t i = 0; i < nr; i++)
		plain[at + i] = flags ? new : pvb_pte_advance(new, i);
	assert_int_equal(pvb_set_ptes(cpu(), &tables[at], new, nr, flags), 0);
	mark(at, nr);
}

static void step_mask(void)
{
	uint32_t nr, at = random_run(&nr);
	uint64_t clear = rnd(2) ? PVB_PTE_W : PVB_PTE_AD;
	struct pvb_ad_map map, expected = { 0 };
	bool collect = rnd(2);

	if (rnd(8) == 0)
		clear = ~0ULL;
	for (uint32_t i = at; i < at + nr; i++) {
		uint32_t slot = i % PVB_PTES_PER_TABLE;

		if (!pvb_pte_present(plain[i]))
			continue;
		expected.young[slot / 64] |= (uint64_t)pvb_pte_young(plain[i]) << slot % 64;
		expected.dirty[slot / 64] |= (uint64_t)pvb_pte_dirty(plain[i]) << slot % 64;
		plain[i] &= ~clear;
	}
	if (!collect) {
		assert_int_equal(pvb_mask_ptes(cpu(), &tables[at], clear, 0, nr), 0);
		mark(at, nr);
		return;
	}
	assert_int_equal(pvb_mask_ptes_ad(cpu(), &tables[at], clear, 0, nr, &map), 0);
	assert_memory_equal(&map, &expected, sizeof(map));
	mark(at, nr);
}

static void compare(void)
{
	for (uint32_t i = 0; i < ENTRIES; i++) {
		if (tables[i] != plain[i])
			fail_msg("entry %u is %#lx, not %#lx", i, (unsigned long)tables[i],
				 (unsigned long)plain[i]);
	}
}

static void step(void)
{
	switch (rnd(10)) {
	case 0:
	case 1:
	case 2:
		step_commits();
		break;
	case 3:
	case 4:
		step_run();
		break;
	case 5:
		step_set();
		break;
	case 6:
		step_mask();
		break;
	case 7:
		pvb_flush_range(cpu(), pvb_gva(0x1000), 1 + rnd(100), 0);
		drained();
		compare();
		if (cpu()->mode == PVB_MODE_GUEST_APPLY)
			nothing_is_stale();
		break;
	case 8:
		for (uint32_t i = 0; i < 40; i++)
			hardware(rnd(ENTRIES));
		break;
	default:
		if (cpu()->lazy)
			pvb_lazy_leave(cpu());
		else
			pvb_lazy_enter(cpu());
		if (!cpu()->nr)
			drained();
	}
}

static void counters_add_up(void)
{
	struct pvb_guest_stats s;

	pvb_cpu_stats(cpu(), &s);
	assert_int_equal(s.ops, s.entries + s.coalesced + s.unqueued);
	assert_int_equal(s.ptes,
			 s.applied + s.own + s.fallbacks + s.bypassed + s.direct + s.untouched);
	assert_int_equal(s.calls, s.batches + s.partial + s.retries);
	assert_int_equal(s.unsynced, 0);
	/* Only entries that were not present may have kept the host from its work. */
	if (cpu()->mode == PVB_MODE_HOST_APPLY) {
		const struct pvb_host_stats *h = &machine.host->vcpus[0].engine.stats;

		assert_int_equal(h->applied, s.applied);
		assert_int_equal(h->calls, s.calls);
		assert_int_equal(h->partial, s.partial);
		assert_int_equal(h->entries, s.entries);
		assert_int_equal(h->conflicts + h->refused, s.conflicts);
	}
}

static void programs(enum pvb_mode mode)
{
	for (uint32_t p = 1; p <= PROGRAMS; p++) {
		seed = p * 0x9e3779b97f4a7c15ULL;
		machine_open(&machine, mode, 1, 1 << 20);
		machine.host->backend.changed = synchronise;
		/* Small steps on the host: PARTIAL is the rule, not the exception. */
		if (p % 3 == 0)
			machine.host->vm.max_work = PVB_PTES_PER_TABLE;
		tables = pvb_inproc_ptr(machine.host, pvb_inproc_alloc(machine.host, TABLES),
					TABLES * PVB_PAGE_SIZE, true);
		machine_start_cpu(&machine, 0, p % 2 ? 4096 : 65536);
		cpu()->coalesce = p % 5 != 0;
		if (p % 7 == 0)
			cpu()->limit = 1 + rnd(4);
		for (uint32_t i = 0; i < ENTRIES; i++)
			shadow[i] = tables[i] = plain[i] = (uint64_t)(0x100 + i) << PVB_PAGE_SHIFT |
							   RW;
		drained();
		for (uint32_t s = 0; s < STEPS; s++)
			step();
		pvb_cpu_exit(cpu());
		compare();
		counters_add_up();
		machine_close(&machine);
	}
}

static void host_applies(void **state)
{
	(void)state;
	programs(PVB_MODE_HOST_APPLY);
}

static void guest_applies(void **state)
{
	(void)state;
	programs(PVB_MODE_GUEST_APPLY);
}

static void direct(void **state)
{
	(void)state;
	programs(PVB_MODE_DIRECT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_applies),
		cmocka_unit_test(guest_applies),
		cmocka_unit_test(direct),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
