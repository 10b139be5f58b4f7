// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of guest/core - races: CPUs that change and clean page tables through the
 * library while other CPUs read and write the pages through their TLBs.
 *
 * Each page holds one word per writer. A cleaner that finds a page dirty copies the page,
 * after the flush. At the end every page is dirty, or equals its last copy: otherwise a
 * write got in whose Dirty bit was lost, by the merge (law 1) or by a flush that was
 * missing, early or outside the lock (law 4). Run under TSan.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core_machine.h"

#include <cmocka.h>

#define TABLES 2U
#define PAGES (TABLES * PVB_PTES_PER_TABLE)
#define CHANGERS 2U
#define WRITERS 2U
#define ROUNDS 120U
#define VA 0x40000000ULL
#define RW (PVB_PTE_P | PVB_PTE_W | PVB_PTE_U)

static struct machine machine;
static pvb_gpa_t root;
static uint64_t *ptes[TABLES];
static pthread_mutex_t lock[TABLES];
static uint64_t pages; /* gpa of page 0 */
static uint64_t copies[PAGES][WRITERS];
static uint64_t writes;
static bool stop;

struct worker {
	pthread_t thread;
	unsigned int cpu;
	uint64_t seed;
};

static uint32_t rnd(struct worker *w, uint32_t bound)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return (uint32_t)(w->seed >> 33) % bound;
}

static uint64_t *word(uint32_t page, unsigned int writer)
{
	return (uint64_t *)pvb_inproc_ptr(machine.host, pvb_gpa(pages + page * PVB_PAGE_SIZE),
					  PVB_PAGE_SIZE, true) +
	       writer;
}

static void copy_page(uint32_t page)
{
	for (unsigned int i = 0; i < WRITERS; i++)
		copies[page][i] = __atomic_load_n(word(page, i), __ATOMIC_ACQUIRE);
}

static void *writer(void *arg)
{
	struct worker *w = arg;
	unsigned int id = w->cpu - CHANGERS;
	uint64_t value = 0, done = 0;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		uint64_t va = VA + rnd(w, PAGES) * PVB_PAGE_SIZE + id * sizeof(uint64_t);
		bool write = rnd(w, 4);

		value += write;
		if (!pvb_inproc_access(&machine.host->vcpus[w->cpu], va, write, &value))
			done += write;
	}
	__atomic_fetch_add(&writes, done, __ATOMIC_RELAXED);
	return NULL;
}

/* Toggle protection over a run; A and D stay. */
static void protect(struct worker *w, struct pvb_cpu *c, uint64_t *ptep, uint32_t nr, uint64_t va)
{
	uint64_t olds[PVB_PTES_PER_TABLE];
	bool single = rnd(w, 2);
	uint64_t set = rnd(w, 3) ? PVB_PTE_W : 0;

	pvb_lazy_enter(c);
	for (uint32_t i = 0; i < nr && single; i++)
		olds[i] = pvb_start(ptep + i);
	sched_yield(); /* time for the hardware */
	for (uint32_t i = 0; i < nr && single; i++)
		pvb_commit(c, ptep + i, olds[i], (olds[i] & ~PVB_PTE_W) | set);
	if (!single) {
		uint64_t old = pvb_start_ptes(ptep, nr);

		/* Entries that differ in W are no run: make them equal first. */
		pvb_mask_ptes(c, ptep, PVB_PTE_W, 0, nr);
		old &= ~PVB_PTE_W;
		pvb_commit_ptes(c, ptep, old, old | set, nr);
	}
	pvb_lazy_leave(c);
	pvb_flush_range(c, pvb_gva(va), nr, 0);
}

/* Clean a run, and copy what was dirty. */
static void clean(struct pvb_cpu *c, uint64_t *ptep, uint32_t nr, uint64_t va)
{
	uint32_t slot = (uint32_t)((uintptr_t)ptep % PVB_PAGE_SIZE / sizeof(*ptep));
	uint32_t page = (uint32_t)((va - VA) / PVB_PAGE_SIZE);
	struct pvb_ad_map map;

	pvb_collect_begin(c, &map);
	pvb_mask_ptes(c, ptep, PVB_PTE_AD, 0, nr);
	pvb_collect_end(c, PVB_FLUSH_RANGE, 0, pvb_gva(va), nr);
	for (uint32_t i = 0; i < nr; i++) {
		if (map.dirty[(slot + i) / 64] >> (slot + i) % 64 & 1)
			copy_page(page + i);
	}
}

/* The same as transactions: clear D where it was seen set. */
static void clean_by_commit(struct pvb_cpu *c, uint64_t *ptep, uint32_t nr, uint64_t va)
{
	uint32_t page = (uint32_t)((va - VA) / PVB_PAGE_SIZE);
	uint64_t olds[PVB_PTES_PER_TABLE];

	pvb_lazy_enter(c);
	for (uint32_t i = 0; i < nr; i++)
		olds[i] = pvb_start(ptep + i);
	sched_yield();
	for (uint32_t i = 0; i < nr; i++)
		pvb_commit(c, ptep + i, olds[i], olds[i] & ~PVB_PTE_D);
	pvb_lazy_leave(c);
	pvb_flush_range(c, pvb_gva(va), nr, 0);
	for (uint32_t i = 0; i < nr; i++) {
		if (pvb_pte_dirty(olds[i]))
			copy_page(page + i);
	}
}

static void *changer(void *arg)
{
	struct worker *w = arg;
	struct pvb_cpu *c = &machine.cpu[w->cpu];

	machine_start_cpu(&machine, w->cpu, 4096);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint32_t table = rnd(w, TABLES);
		uint32_t first = rnd(w, PVB_PTES_PER_TABLE);
		uint32_t nr = 1 + rnd(w, rnd(w, 3) ? 16 : PVB_PTES_PER_TABLE);
		uint64_t va = VA + (table * PVB_PTES_PER_TABLE + first) * PVB_PAGE_SIZE;
		uint64_t *ptep = ptes[table] + first;

		if (nr > PVB_PTES_PER_TABLE - first)
			nr = PVB_PTES_PER_TABLE - first;
		pthread_mutex_lock(&lock[table]);
		switch (rnd(w, 4)) {
		case 0:
			clean(c, ptep, nr, va);
			break;
		case 1:
			clean_by_commit(c, ptep, nr, va);
			break;
		default:
			protect(w, c, ptep, nr, va);
		}
		pthread_mutex_unlock(&lock[table]);
	}
	pvb_cpu_exit(c);
	return NULL;
}

static void build_tables(void)
{
	root = pvb_inproc_alloc(machine.host, 1);
	pages = pvb_gpa_raw(pvb_inproc_alloc(machine.host, PAGES));
	for (uint32_t i = 0; i < PAGES; i++) {
		uint64_t *ptep = pvb_inproc_pte(machine.host, root, VA + i * PVB_PAGE_SIZE);

		*ptep = (pages + i * PVB_PAGE_SIZE) | RW;
		if (i % PVB_PTES_PER_TABLE == 0)
			ptes[i / PVB_PTES_PER_TABLE] = ptep;
	}
	for (unsigned int i = 0; i < CHANGERS + WRITERS; i++)
		pvb_inproc_set_root(&machine.host->vcpus[i], root);
}

static void race(enum pvb_mode mode)
{
	struct worker workers[CHANGERS + WRITERS];
	uint64_t lost = 0, carried = 0, own_flushes;

	memset(copies, 0, sizeof(copies));
	writes = 0;
	stop = false;
	machine_open(&machine, mode, CHANGERS + WRITERS, 16 << 20);
	build_tables();
	for (unsigned int i = 0; i < TABLES; i++)
		pthread_mutex_init(&lock[i], NULL);
	for (unsigned int i = CHANGERS + WRITERS; i--;) {
		workers[i] = (struct worker){ .cpu = i, .seed = 0x9e3779b97f4a7c15ULL * (i + 1) };
		pthread_create(&workers[i].thread, NULL, i < CHANGERS ? changer : writer,
			       &workers[i]);
	}
	for (unsigned int i = 0; i < CHANGERS + WRITERS; i++) {
		if (i == CHANGERS)
			__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
		pthread_join(workers[i].thread, NULL);
	}
	for (uint32_t i = 0; i < PAGES; i++) {
		uint64_t pte = ptes[i / PVB_PTES_PER_TABLE][i % PVB_PTES_PER_TABLE];

		for (unsigned int k = 0; k < WRITERS && !pvb_pte_dirty(pte); k++)
			lost += *word(i, k) != copies[i][k];
	}
	for (unsigned int i = 0; i < CHANGERS; i++) {
		struct pvb_guest_stats s;

		pvb_cpu_stats(&machine.cpu[i], &s);
		assert_int_equal(s.untouched, 0);
		assert_int_equal(s.fallbacks, 0);
		carried += s.carried;
	}
	own_flushes = machine.own_flushes;
	machine_close(&machine);
	print_message("# %lu writes, %lu PTEs with A or D carried, %lu lost\n",
		      (unsigned long)writes, (unsigned long)carried, (unsigned long)lost);
	assert_int_equal(lost, 0);
	assert_true(writes > ROUNDS && carried);
	if (mode != PVB_MODE_DIRECT)
		assert_int_equal(own_flushes, 0);
}

static void host_applies(void **state)
{
	(void)state;
	race(PVB_MODE_HOST_APPLY);
}

static void guest_applies(void **state)
{
	(void)state;
	race(PVB_MODE_GUEST_APPLY);
}

static void direct(void **state)
{
	(void)state;
	race(PVB_MODE_DIRECT);
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
