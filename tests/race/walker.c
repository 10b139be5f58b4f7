// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, the race: CPUs that use the pages, and keep a ledger of it.
 *
 * A walker stays with a few pages for a while, so that its TLB holds them: with A and D
 * cached it does not look at the PTE again, as a real CPU does not. That is what makes a
 * missing flush lose a write.
 */
#include "race.h"

#define WINDOW 24U /* pages a walker stays with */
#define STAY 400U /* accesses */

void *walker_run(void *arg)
{
	struct walker *walker = arg;
	struct race *race = walker->race;
	uint64_t random = 0x9e3779b97f4a7c15ULL * (walker->id + 1), turn;
	uint32_t window = 0;

	for (turn = 0; !__atomic_load_n(&race->stop, __ATOMIC_RELAXED); turn++) {
		uint64_t value = (uint64_t)(walker->id + 1) << 56 | turn, walks, epoch;
		uint32_t page;
		bool write;

		if (turn % STAY == 0)
			window = (uint32_t)race_random(&random);
		page = (window + (uint32_t)race_random(&random) % WINDOW) % PAGES;
		write = race_random(&random) % 2;
		epoch = __atomic_load_n(&race->epoch[page / TABLE_PAGES], __ATOMIC_ACQUIRE);
		walks = walker->cpu->walks;
		if (pvb_inproc_access(walker->cpu, race_va(page), write, &value)) {
			walker->faults++;
			continue;
		}
		walker->writes += write;
		if (walker->cpu->walks != walks) /* A was seen or set after the epoch began */
			__atomic_store_n(&race->ledger[walker->id][page], epoch, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Somebody who changes other bits between start and commit, and remembers each change. */
void *liar_run(void *arg)
{
	struct race *race = arg;
	uint64_t random = 0xdeadbeefcafe;

	while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
		uint32_t page = (uint32_t)race_random(&random) % PAGES;
		uint64_t *pte = pvb_inproc_pte(race->host, race->root, race_va(page));
		uint64_t bit = 1ULL << (race_random(&random) % 4 ? SOFT_BIT : LIE_BIT);

		__atomic_fetch_xor(pte, bit, __ATOMIC_SEQ_CST);
		race->lies[page] ^= bit;
	}
	return NULL;
}
