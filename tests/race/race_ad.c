// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, the race - A and D against batches, law 1 and law 4 at work.
 *
 * Two guest CPUs change their page tables by batches, three CPUs read and write through
 * them with TLBs, and in the second part one more changes other bits. Nobody's bit may be
 * lost: a written page is in the cleaner's copy (D), a walked page is called young (A), a
 * lie is in the entry as often as it was told.
 *
 * Ten million commits with the engine as it is. Two hundred times fewer under the thread
 * sanitizer, whose own verdict counts, too; there the engine dawdles between its look at
 * a PTE and its exchange, so that hardware comes in between more often than not.
 */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "race.h"

#ifdef PVB_TSAN

#include "../model/hooked_apply.h"

#define COMMITS 50000ULL

static void dawdle(uint64_t *pte)
{
	static __thread uint64_t random = 88172645463325252ULL;
	uint32_t i, turns = race_random(&random) % 16 ? 0 : (uint32_t)race_random(&random) % 400;

	(void)pte;
	if (race_random(&random) % 1024 == 0)
		sched_yield();
	for (i = 0; i < turns; i++)
		__asm__ volatile("" ::: "memory");
}

static void slow_down(void)
{
	apply_hook = dawdle;
}

#else

#define COMMITS 10000000ULL

static void slow_down(void)
{
}

#endif

static struct race race;
static struct committer committers[COMMITTERS];
static struct walker walkers[WALKERS];

static void die(const char *what)
{
	printf("Bail out! %s\n", what);
	exit(1);
}

static struct pvb_negotiate *negotiation(pvb_gpa_t gpa)
{
	struct pvb_negotiate *neg = pvb_inproc_ptr(race.host, gpa, sizeof(*neg), true);

	*neg = (struct pvb_negotiate){
		.magic = PVB_NEGOTIATE_MAGIC,
		.size = sizeof(*neg),
		.pte_format = PVB_PTE_FORMAT,
		.version_min = PVB_VERSION,
		.version_max = PVB_VERSION,
		.features_wanted = PVB_F_ALL,
	};
	return neg;
}

static void setup_committer(struct committer *committer, unsigned int id)
{
	pvb_gpa_t buffer = pvb_inproc_alloc(race.host, BUFFER / PVB_PAGE_SIZE);
	uint32_t i;

	memset(committer, 0, sizeof(*committer));
	committer->race = &race;
	committer->id = id;
	committer->random = 0x1234567 + id;
	committer->cpu = &race.host->vcpus[id];
	if (pvb_inproc_call(committer->cpu, PVB_CALL_REGISTER, pvb_gpa_raw(buffer), BUFFER))
		die("registration refused");
	committer->hdr = pvb_inproc_ptr(race.host, buffer, BUFFER, true);
	committer->entries = (struct pvb_entry *)(committer->hdr + 1);
	committer->results = (uint64_t *)((uint8_t *)committer->hdr + RESULT_AT);
	committer->ptes = pvb_inproc_pte(race.host, race.root, race_va(id * TABLE_PAGES));
	for (i = 0; i < TABLE_PAGES; i++) {
		uint64_t page = race.data + (id * TABLE_PAGES + i) * PVB_PAGE_SIZE;

		committer->ptes[i] = page | PVB_PTE_P | PVB_PTE_W | PVB_PTE_U;
	}
}

static void setup(uint64_t target, bool liars)
{
	static const struct pvb_inproc_config config = {
		.ram_bytes = 16 << 20,
		.nr_vcpus = COMMITTERS + WALKERS,
		.offered = PVB_F_ALL,
		.phys_bits = 36,
	};
	pvb_gpa_t gpa;
	unsigned int i;

	memset(&race, 0, sizeof(race));
	race.host = pvb_inproc_create(&config);
	if (!race.host)
		die("no memory");
	race.liars = liars;
	race.target = target / COMMITTERS;
	race.epoch[0] = race.epoch[1] = 1; /* ledgers begin at 0: walked in no epoch */
	race.root = pvb_inproc_alloc(race.host, 1);
	race.data = pvb_gpa_raw(pvb_inproc_alloc(race.host, PAGES));
	gpa = pvb_inproc_alloc(race.host, 1);
	if (negotiation(gpa),
	    pvb_inproc_call(&race.host->vcpus[0], PVB_CALL_NEGOTIATE, pvb_gpa_raw(gpa), 0))
		die("negotiation refused");
	for (i = 0; i < COMMITTERS; i++)
		setup_committer(&committers[i], i);
	for (i = 0; i < WALKERS; i++) {
		walkers[i] = (struct walker){
			.race = &race,
			.id = i,
			.cpu = &race.host->vcpus[COMMITTERS + i],
		};
		pvb_inproc_set_root(walkers[i].cpu, race.root);
	}
}

static void run(void)
{
	pthread_t threads[COMMITTERS + WALKERS + 1];
	unsigned int i, nr = 0;
	int error = 0;

	for (i = 0; i < WALKERS; i++)
		error |= pthread_create(&threads[nr++], NULL, walker_run, &walkers[i]);
	if (race.liars)
		error |= pthread_create(&threads[nr++], NULL, liar_run, &race);
	for (i = 0; i < COMMITTERS; i++)
		error |= pthread_create(&threads[nr++], NULL, committer_run, &committers[i]);
	if (error)
		die("no thread");
	for (i = 0; i < COMMITTERS; i++)
		pthread_join(threads[nr - COMMITTERS + i], NULL);
	__atomic_store_n(&race.stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < nr - COMMITTERS; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < COMMITTERS; i++)
		committer_finish(&committers[i]);
}

/* lost_writes() - pages whose last write is in memory and not in the cleaner's copy. */
static uint64_t lost_writes(void)
{
	uint64_t lost = 0;
	uint32_t page;

	for (page = 0; page < PAGES; page++) {
		const uint64_t *word = pvb_inproc_ptr(
			race.host, pvb_gpa(race.data + (uint64_t)page * PVB_PAGE_SIZE),
			sizeof(*word), false);

		lost += *word != committers[page / TABLE_PAGES].backup[page % TABLE_PAGES];
	}
	return lost;
}

/* lost_lies() - entries in which a liar's bit is not as the liar left it. */
static uint64_t lost_lies(void)
{
	uint64_t lost = 0, bits = 1ULL << LIE_BIT | 1ULL << SOFT_BIT;
	uint32_t page;

	for (page = 0; page < PAGES; page++) {
		uint64_t pte = committers[page / TABLE_PAGES].ptes[page % TABLE_PAGES];

		lost += ((pte ^ race.lies[page]) & bits) != 0;
	}
	return lost;
}

/* counters_differ() - law 9: the engine has counted what the committers were told. */
static bool counters_differ(void)
{
	struct pvb_host_stats sum = { 0 };
	uint64_t carried = 0, conflicts = 0;
	unsigned int i;

	race.host->backend.stats(&race.host->vcpus[0], &sum);
	for (i = 0; i < COMMITTERS; i++) {
		carried += committers[i].carried;
		conflicts += committers[i].conflicts;
	}
	return sum.calls != sum.batches + sum.partial || sum.failed || sum.refused ||
	       sum.conflicts != conflicts || sum.carried_a > carried || sum.carried_d > carried ||
	       sum.carried_a + sum.carried_d < carried || sum.flush_range != sum.batches;
}

static unsigned int number;

static int check(bool good, const char *part, const char *what)
{
	printf("%s %u - %s: %s\n", good ? "ok" : "not ok", ++number, part, what);
	return !good;
}

static int part(const char *name, uint64_t target, bool liars)
{
	uint64_t commits = 0, carried = 0, conflicts = 0, lost_a = 0, copied = 0, errors = 0;
	uint64_t writes = 0, faults = 0;
	unsigned int i;
	int failed = 0;

	setup(target, liars);
	run();
	for (i = 0; i < COMMITTERS; i++) {
		commits += committers[i].commits;
		carried += committers[i].carried;
		conflicts += committers[i].conflicts;
		lost_a += committers[i].lost_a;
		copied += committers[i].copied;
		errors += committers[i].errors;
	}
	for (i = 0; i < WALKERS; i++) {
		writes += walkers[i].writes;
		faults += walkers[i].faults;
	}
	printf("# %s: %" PRIu64 " commits, A/D carried %" PRIu64 ", conflicts %" PRIu64
	       ", pages copied %" PRIu64 ", writes %" PRIu64 ", faults %" PRIu64 ", lost D %" PRIu64
	       ", lost A %" PRIu64 "\n",
	       name, commits, carried, conflicts, copied, writes, faults, lost_writes(), lost_a);
	failed |= check(commits >= target / COMMITTERS * COMMITTERS && !errors, name,
			"all commits answered as they should be");
	failed |= check(carried && writes, name, "hardware took part");
	failed |= check(!lost_writes(), name, "no dirty bit lost");
	failed |= check(!lost_a, name, "no accessed bit lost");
	failed |= check(!counters_differ(), name, "counters add up");
	if (liars) {
		failed |= check(conflicts, name, "lies were met");
		failed |= check(!lost_lies(), name, "and left as they were");
	}
	pvb_inproc_destroy(race.host);
	return failed;
}

/* race_ad [COMMITS]: a soak takes them in smaller portions. */
int main(int argc, char **argv)
{
	uint64_t commits = argc > 1 ? strtoull(argv[1], NULL, 10) : COMMITS;
	int failed;

	slow_down();
	printf("1..12\n");
	failed = part("honest", commits, false);
	failed |= part("with liars", commits / 4, true);
	return failed;
}
