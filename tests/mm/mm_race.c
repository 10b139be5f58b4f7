// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of guest/mm - races. Hardware writes pages through its TLBs, while a CPU
 * cleans ranges and records what was dirty, another changes protections, and a third party
 * takes recorded pages out of the bitmap, under the page-table lock, and copies them.
 *
 * Every write is in a ledger, the page itself. Whenever the third party holds the lock,
 * and at the end, each page is dirty, or recorded and not yet taken, or equals its copy.
 * Anything else is a write that nobody will ever hear of. It relies on the lock alone:
 * when it holds it, pages that the table calls clean cannot be written without becoming
 * dirty. That is why the flush belongs inside the lock; a cleaner that flushes outside must
 * be caught here.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "space.h"

#define FIRST 448U /* pages around the end of a table, as many as a TLB holds twice */
#define NR 128U
#define WRITERS 2U
#define ROUNDS 400U

enum {
	CLEANER,
	CHANGER,
	FIRST_WRITER,
	NR_CPUS = FIRST_WRITER + WRITERS
};

static bool outside; /* the mutant: flush after the lock is dropped */
static bool stop;
static uint64_t bits[SPACE_PAGES / 64]; /* recorded; under the locks */
static uint64_t copies[NR][WRITERS]; /* the taker's */
static uint64_t writes, taken, unheard;
/* With one lock for all: guest/mm's caller holds it. */
static pthread_mutex_t one_lock = PTHREAD_MUTEX_INITIALIZER;

static uint32_t rnd(uint64_t *seed, uint32_t bound)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (uint32_t)(*seed >> 33) % bound;
}

static uint64_t *word(uint32_t i, unsigned int writer)
{
	pvb_gpa_t gpa = pvb_gpa((space.memory + i) << PVB_PAGE_SHIFT);

	return (uint64_t *)pvb_inproc_ptr(space.machine.host, gpa, PVB_PAGE_SIZE, true) + writer;
}

static void hold(void)
{
	if (!space.config.split_locks)
		pthread_mutex_lock(&one_lock);
}

static void release(void)
{
	if (!space.config.split_locks)
		pthread_mutex_unlock(&one_lock);
}

static void *writer(void *arg)
{
	unsigned int vcpu = *(unsigned int *)arg, id = vcpu - FIRST_WRITER;
	struct pvb_inproc_vcpu *hw = &space.machine.host->vcpus[vcpu];
	uint64_t seed = 0x9e3779b97f4a7c15ULL * (vcpu + 1), value = 0, done = 0;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		uint64_t va = space_va(FIRST + rnd(&seed, NR)) + id * sizeof(uint64_t);

		value++;
		done += !pvb_inproc_access(hw, va, true, &value);
		if (value % 64 == 0)
			sched_yield();
	}
	__atomic_fetch_add(&writes, done, __ATOMIC_RELAXED);
	return NULL;
}

/* A range, often over the end of the table. */
static void random_range(uint64_t *seed, uint32_t *page, uint32_t *nr)
{
	*page = FIRST + rnd(seed, NR);
	*nr = 1 + rnd(seed, FIRST + NR - *page);
}

/*
 * The mutant's clean: all of it right but that the first table's flush waits for the
 * second table, whose lock takes its time.
 */
static int clean_ptes(struct pvb_walk *walk, uint64_t *ptep, uint64_t addr, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t page = (uint32_t)((addr - space.base) / PVB_PAGE_SIZE) + i;

		if (!pvb_pte_dirty(pvb_ptep_get(walk->c, ptep + i)))
			continue;
		pvb_clear_young_dirty_ptes(walk->c, addr + i * PVB_PAGE_SIZE, ptep + i, 1,
					   PVB_CLEAR_DIRTY);
		bits[page / 64] |= 1ULL << page % 64;
		pvb_walk_flush(walk, addr + i * PVB_PAGE_SIZE, addr + (i + 1) * PVB_PAGE_SIZE);
	}
	return 0;
}

static void *cleaner(void *arg)
{
	struct pvb_dirty_bitmap bitmap = { .bits = SPACE_PAGES, .map = bits };
	struct pvb_walk mutant = { .vma = &space.vma, .ptes = clean_ptes };
	uint64_t seed = 77;

	(void)arg;
	space_be_cpu(CLEANER);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct pvb_touched touched;
		uint32_t page, nr;

		random_range(&seed, &page, &nr);
		hold();
		if (outside)
			pvb_walk_range(&mutant, space_va(FIRST), space_va(FIRST + NR));
		else
			pvb_clean_record_range(&space.vma, space_va(page), space_va(page + nr),
					       PVB_HUGE_REFUSE, &bitmap, &touched);
		release();
		sched_yield();
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pvb_cpu_exit(space_cpu());
	return NULL;
}

static void *changer(void *arg)
{
	uint64_t seed = 99;

	(void)arg;
	space_be_cpu(CHANGER);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		unsigned int prot = PVB_PROT_READ | (rnd(&seed, 3) ? PVB_PROT_WRITE : 0);
		struct pvb_touched touched;
		uint32_t page, nr;

		random_range(&seed, &page, &nr);
		hold();
		if (rnd(&seed, 6))
			pvb_change_protection(&space.vma, space_va(page), space_va(page + nr),
					      pvb_prot(prot), 0);
		else
			pvb_wrprotect_range(&space.vma, space_va(page), space_va(page + nr),
					    PVB_HUGE_REFUSE, &touched);
		release();
		usleep(50);
	}
	pvb_cpu_exit(space_cpu());
	return NULL;
}

/* Is the page dirty, by its entry or by another of its block? Needs no CPU. */
static bool is_dirty(uint32_t page)
{
	uint64_t pte = pvb_load64(space_pte(page));

	for (uint32_t i = 0; pvb_pte_cont(pte) && i < PVB_CONT_PTES; i++)
		pte = pvb_pte_fold(pte, pvb_load64(space_pte((page & ~(PVB_CONT_PTES - 1)) + i)));
	return pvb_pte_dirty(pte);
}

/* Writes that nobody will hear of, as far as one page tells now. */
static uint64_t unheard_of(uint32_t page)
{
	uint64_t words[WRITERS], nr = 0;

	for (unsigned int k = 0; k < WRITERS; k++)
		words[k] = __atomic_load_n(word(page - FIRST, k), __ATOMIC_ACQUIRE);
	/* Hardware sets D before it writes: clean now, it was clean when the words were read. */
	if (is_dirty(page) || (bits[page / 64] >> page % 64 & 1))
		return 0;
	for (unsigned int k = 0; k < WRITERS; k++)
		nr += words[k] != copies[page - FIRST][k];
	return nr;
}

/* Take what is recorded, table by table, and copy it, under its lock. */
static void take(uint32_t page, uint32_t nr)
{
	hold();
	space_lock(page);
	for (uint32_t i = page; i < page + nr; i++) {
		if (!(bits[i / 64] >> i % 64 & 1))
			continue;
		bits[i / 64] &= ~(1ULL << i % 64);
		for (unsigned int k = 0; k < WRITERS; k++)
			copies[i - FIRST][k] =
				__atomic_load_n(word(i - FIRST, k), __ATOMIC_ACQUIRE);
		taken++;
	}
	for (uint32_t i = page; i < page + nr; i++)
		unheard += unheard_of(i);
	space_unlock(page);
	release();
}

static void *taker(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		take(FIRST, PVB_PTES_PER_TABLE - FIRST);
		take(PVB_PTES_PER_TABLE, FIRST + NR - PVB_PTES_PER_TABLE);
		sched_yield();
	}
	return NULL;
}

static void prepare(void)
{
	uint64_t pte = pvb_pte_make(space.memory, pvb_prot(PVB_PROT_READ | PVB_PROT_WRITE));
	uint32_t first = PVB_PTES_PER_TABLE - FIRST;

	memset(bits, 0, sizeof(bits));
	memset(copies, 0, sizeof(copies));
	for (uint32_t i = 0; i < NR; i++)
		memset(word(i, 0), 0, WRITERS * sizeof(uint64_t));
	stop = false;
	writes = taken = unheard = 0;
	space.lock_delay = 300;
	space.folio_pages = 32;
	space.anon = true;
	pvb_set_new_ptes(space_cpu(), space_va(FIRST), space_pte(FIRST), pte, first);
	pvb_set_new_ptes(space_cpu(), space_va(FIRST + first), space_pte(FIRST + first),
			 pvb_pte_advance(pte, first), NR - first);
	pvb_lazy_flush(space_cpu());
	pvb_cpu_exit(space_cpu());
}

static uint64_t count_lost(void)
{
	uint64_t lost = unheard;

	for (uint32_t i = FIRST; i < FIRST + NR; i++)
		lost += unheard_of(i);
	return lost;
}

static uint64_t race(const struct space_config *config)
{
	pthread_t threads[NR_CPUS], takes;
	unsigned int ids[NR_CPUS];
	uint64_t lost;

	space_open(config);
	prepare();
	for (unsigned int i = NR_CPUS; i--;) {
		ids[i] = i;
		pthread_create(&threads[i], NULL,
			       i == CLEANER ? cleaner :
			       i == CHANGER ? changer :
					      writer,
			       &ids[i]);
	}
	pthread_create(&takes, NULL, taker, NULL);
	for (unsigned int i = 0; i < NR_CPUS; i++)
		pthread_join(threads[i], NULL);
	pthread_join(takes, NULL);
	lost = count_lost() + space.bugs;
	if (space_conflicts()) {
		printf("# %lu times a TLB held part of a block as what it was no more\n",
		       (unsigned long)space_conflicts());
		lost += space_conflicts();
	}
	if (space.bugs)
		printf("# %s\n", space.bug);
	space_close();
	return lost;
}

int main(void)
{
	static const char *const names[] = { "direct", "host applies", "guest applies" };
	static const enum pvb_mode modes[] = { PVB_MODE_DIRECT, PVB_MODE_HOST_APPLY,
					       PVB_MODE_GUEST_APPLY };
	unsigned int number = 0, failed = 0;

	printf("1..9\n");
	for (unsigned int i = 0; i < 6; i++) {
		const struct space_config config = {
			.mode = modes[i / 2],
			.split_locks = i % 2,
			.nr_vcpus = NR_CPUS,
			.shadow = modes[i / 2] == PVB_MODE_GUEST_APPLY,
		};
		uint64_t lost = race(&config);
		bool ok = !lost && writes && taken;

		failed += !ok;
		printf("%sok %u - %s, %s: %lu writes, %lu pages taken, %lu lost\n",
		       ok ? "" : "not ", ++number, names[i / 2], i % 2 ? "split locks" : "one lock",
		       (unsigned long)writes, (unsigned long)taken, (unsigned long)lost);
		fflush(stdout);
	}
	/* The mutant, until it is caught. Split locks: with one lock there is no outside. */
	outside = true;
	for (unsigned int i = 0; i < 3; i++) {
		const struct space_config config = {
			.mode = modes[i],
			.split_locks = true,
			.nr_vcpus = NR_CPUS,
		};
		unsigned int tries = 0;
		uint64_t lost = 0;

		while (!lost && tries++ < 20)
			lost = race(&config);
		failed += !lost;
		printf("%sok %u - %s: a flush outside the lock is caught, at try %u, %lu lost\n",
		       lost ? "" : "not ", ++number, names[i], tries, (unsigned long)lost);
		fflush(stdout);
	}
	return failed != 0;
}
