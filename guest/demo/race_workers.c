// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - the vCPUs that play the hardware walker in the race, and their
 * ledgers (ledger.h). Neighbour: race.c, the auditor.
 */
#include "ledger.h"
#include "cpu.h"
#include "lib.h"
#include "mm.h"
#include "options.h"
#include "platform.h"
#include "smp.h"
#include "trap.h"
#include "workload.h"

/* Accesses that a worker may do at a time when paced; race_progress() waits for half. */
#define PACE 16U
/* How long it waits at most. A host with fewer CPUs has to give the workers their turn. */
#define PACED_MS 400U
#define FREE_MS 4U
#define WAIT_SPINS 10000U /* where the TSC's rate is unknown */
/* A page that stays unwritable longer than this is a bug: the fault is dumped. */
#define FAULT_SPINS 100000000U
#define FAULT_REPEATS 1000000U

struct worker {
	struct page_ledger *ledger; /* by page */
	struct race_totals totals;
	uint64_t accesses; /* worker */
	uint64_t allowance; /* auditor: how far accesses may go */
	uint64_t fault_va; /* the page of the last fault, and how often in a row */
	uint32_t fault_repeats;
} __attribute__((aligned(64)));

static struct worker workers[MAX_CPUS]; /* by CPU; 0 is the auditor */
static bool stop;
static bool paced;
static uint64_t focus; /* first page, number of pages << 32 */

/* Order on x86: stores are seen in program order, so release costs nothing. */
static void publish(uint64_t *at, uint64_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static uint64_t observe(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

/* Each worker has its own word of a page, in its own cache line while they fit. */
static volatile uint64_t *word_of(uint32_t page, uint32_t cpu)
{
	return (volatile uint64_t *)(mm_work_va(page) + cpu * 64);
}

/*
 * A write to a page that is read-only for the moment: wait until the auditor has made it
 * writable, interrupts on, as it may wait for this CPU to flush its TLB. Likewise any
 * access to an entry that the platform has taken out for the moment.
 */
static bool wait_writable(struct trap_frame *frame)
{
	struct worker *worker = &workers[this_cpu()->index];
	uint64_t va = read_cr2();
	uint64_t page = (va - WORK_BASE) >> PVB_PAGE_SHIFT;
	uint64_t need = PVB_PTE_P | (frame->error & PF_WRITE ? PVB_PTE_W : 0);
	const volatile uint64_t *pte;

	if (frame->vector != VEC_PF || page >= options.pages)
		return false;
	if (frame->error != (PF_PRESENT | PF_WRITE) &&
	    (frame->error & ~PF_WRITE || !platform_takes_out))
		return false;
	pte = mm_work_ptes() + page;
	worker->totals.faults++;
	if ((*pte & need) == need)
		worker->totals.spurious++;
	if (page != worker->fault_va)
		worker->fault_repeats = 0;
	worker->fault_va = page;
	if (worker->fault_repeats++ > FAULT_REPEATS)
		return false;
	irq_enable();
	for (uint32_t i = 0; (*pte & need) != need; i++) {
		if (i == FAULT_SPINS)
			return false;
		cpu_relax();
	}
	(void)irq_save();
	return true;
}

static void write_page(struct worker *worker, uint32_t page, uint32_t cpu)
{
	struct ledger *l = &worker->ledger[page].writes;
	uint64_t n = l->intent + 1;

	publish(&l->intent, n);
	*word_of(page, cpu) = n;
	publish(&l->done, n);
	worker->totals.writes++;
	worker->fault_repeats = 0;
}

static void read_page(struct worker *worker, uint32_t page, uint32_t cpu)
{
	struct ledger *l = &worker->ledger[page].reads;
	uint64_t n = l->intent + 1;

	/*
	 * Unlike a store, a load may run ahead of the store of its intent: without the
	 * fence it could set A before the auditor's flush and be counted after it.
	 */
	__atomic_store_n(&l->intent, n, __ATOMIC_SEQ_CST);
	(void)*word_of(page, cpu);
	publish(&l->done, n);
	worker->totals.reads++;
}

static void work(void)
{
	struct cpu *cpu = this_cpu();
	struct worker *worker = &workers[cpu->index];
	uint64_t random = 0x9e3779b97f4a7c15ULL * (cpu->index + 1);

	cpu->trap_hook = wait_writable;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		uint64_t where = __atomic_load_n(&focus, __ATOMIC_RELAXED);
		bool focused;
		uint32_t page;

		if (worker->accesses >= observe(&worker->allowance)) {
			cpu_relax();
			continue;
		}
		/* Knuth's LCG; the upper bits are the good ones. */
		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		focused = random >> 60; /* 15 of 16 */
		page = (uint32_t)(random >> 32) & 0xfffffff;
		page = focused ? (uint32_t)where + page % (uint32_t)(where >> 32) :
				 page % options.pages;
		if (random >> 58 & 1)
			read_page(worker, page, cpu->index);
		else
			write_page(worker, page, cpu->index);
		publish(&worker->accesses, worker->accesses + 1);
	}
	cpu->trap_hook = NULL;
}

void race_focus(uint32_t first_page, uint32_t pages)
{
	__atomic_store_n(&focus, first_page | (uint64_t)pages << 32, __ATOMIC_RELAXED);
}

void race_workers_start(void)
{
	size_t bytes = options.pages * sizeof(struct page_ledger);

	for (uint32_t i = 1; i < options.vcpus; i++) {
		if (!workers[i].ledger)
			workers[i].ledger = mm_alloc((bytes + PVB_PAGE_SIZE - 1) >> PVB_PAGE_SHIFT);
	}
	stop = false;
	smp_start(options.vcpus, work);
}

void race_workers_stop(void)
{
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	smp_wait();
}

void race_totals(struct race_totals *totals)
{
	*totals = (struct race_totals){ 0 };
	for (uint32_t i = 1; i < options.vcpus; i++) {
		totals->writes += workers[i].totals.writes;
		totals->reads += workers[i].totals.reads;
		totals->faults += workers[i].totals.faults;
		totals->spurious += workers[i].totals.spurious;
	}
}

/* All workers may do @more accesses from now on. */
static void allow(uint64_t more)
{
	for (uint32_t i = 1; i < options.vcpus; i++)
		publish(&workers[i].allowance, observe(&workers[i].accesses) + more);
}

void race_pace(bool pace)
{
	paced = pace;
	allow(pace ? 0 : 1ULL << 62);
}

static uint64_t accesses(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 1; i < options.vcpus; i++)
		sum += observe(&workers[i].accesses);
	return sum;
}

void race_progress(void)
{
	uint64_t enough = accesses() + PACE / 2 * (options.vcpus - 1);
	uint64_t limit = (uint64_t)machine.tsc_khz * (paced ? PACED_MS : FREE_MS);
	uint64_t start = rdtsc();

	if (paced)
		allow(PACE);
	for (uint32_t i = 0; accesses() < enough; i++) {
		if (limit ? rdtsc() - start > limit : i > WAIT_SPINS)
			return;
		cpu_relax();
	}
}

void ledger_reach(uint32_t first, uint32_t nr)
{
	for (uint32_t i = 1; i < options.vcpus; i++) {
		for (uint32_t page = first; page < first + nr; page++) {
			struct page_ledger *l = &workers[i].ledger[page];

			l->writes.reach = observe(&l->writes.done);
			l->reads.reach = observe(&l->reads.done);
		}
	}
}

void ledger_floor(uint32_t first, uint32_t nr)
{
	for (uint32_t i = 1; i < options.vcpus; i++) {
		for (uint32_t page = first; page < first + nr; page++) {
			struct page_ledger *l = &workers[i].ledger[page];

			l->writes.floor = observe(&l->writes.intent);
			l->reads.floor = observe(&l->reads.intent);
		}
	}
}

bool ledger_written(uint32_t page)
{
	for (uint32_t i = 1; i < options.vcpus; i++) {
		const struct ledger *l = &workers[i].ledger[page].writes;

		if (l->reach > l->floor)
			return true;
	}
	return false;
}

bool ledger_accessed(uint32_t page)
{
	for (uint32_t i = 1; i < options.vcpus; i++) {
		const struct ledger *l = &workers[i].ledger[page].reads;

		if (l->reach > l->floor)
			return true;
	}
	return ledger_written(page);
}

uint64_t ledger_check_content(void)
{
	uint64_t errors = 0;

	for (uint32_t i = 1; i < options.vcpus; i++) {
		for (uint32_t page = 0; page < options.pages; page++) {
			uint64_t written = workers[i].ledger[page].writes.done;

			/* Frames are not cleared at first: what was never written says nothing. */
			if (written && *word_of(page, i) != written)
				errors++;
		}
	}
	return errors;
}
