// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the guest that tests KVM's handler, while the host does things to it
 * (disturb.h): both vCPUs change entries of one table, each its own, name them, and look
 * whether each access does what the entry says. Writes are kept in a ledger, so that one
 * that went to another page shows.
 */
#include "guest.h"

#define STORM_VA (TEST_VA + (32UL << 21))
#define STORM_CPUS 2
#define MARK_WORD 0
#define LEDGER_WORD 3
#define MIN_ROUNDS 300
#define MAX_ROUNDS 200000
#define MIN_DISTURBED 12

static uint64_t table[TABLE_ENTRIES] __attribute__((aligned(4096)));
static volatile bool over;
static volatile uint32_t negotiating;

struct storm {
	unsigned int cpu;
	uint64_t random;
	uint64_t ledger[DATA_PAGES]; /* what was last written to this vCPU's pages */
	uint64_t rounds;
	uint64_t wrong; /* accesses that did not do what the entry says */
	uint64_t odd; /* results that the ABI does not have */
	uint64_t withdrawn;
};

static struct storm storms[STORM_CPUS];

static uint64_t random_of(struct storm *storm)
{
	storm->random ^= storm->random << 13;
	storm->random ^= storm->random >> 7;
	storm->random ^= storm->random << 17;
	return storm->random;
}

/* The host is gone for this vCPU: flush as on any machine, and try to get it back. */
static void fall_back(struct storm *storm, int64_t result)
{
	flush_all();
	storm->withdrawn++;
	if (result == -PVB_EPERM)
		return;
	while (__atomic_exchange_n(&negotiating, 1, __ATOMIC_SEQ_CST))
		__builtin_ia32_pause();
	negotiate(PVB_F_ALL);
	call(PVB_CALL_REGISTER, (uint64_t)buffers[storm->cpu], BUFFER_BYTES);
	__atomic_store_n(&negotiating, 0, __ATOMIC_SEQ_CST);
}

static void submit(struct storm *storm, struct pvb_batch_hdr *hdr)
{
	int64_t result = batch_submit(hdr);

	if (result == -PVB_EPERM || result == -PVB_ENXIO)
		fall_back(storm, result);
	else
		storm->odd += result != 0;
}

/* check_entry() - one read and one write through entry @i. */
static void check_entry(struct storm *storm, unsigned int i)
{
	uint64_t pte = get_pte(&table[i]), value = 0, va = STORM_VA + i * PAGE;
	unsigned int page = (unsigned int)(((pte & PVB_PTE_PFN_MASK) - (uint64_t)data) / PAGE);

	if (!(pte & PVB_PTE_P)) {
		storm->wrong += probe_read(va, &value) != 0;
		return;
	}
	storm->wrong += probe_read(va, &value) != NO_FAULT || value != DATA_MARK + page;
	storm->wrong += !(get_pte(&table[i]) & PVB_PTE_A);
	value = random_of(storm);
	if (!(pte & PVB_PTE_W)) {
		storm->wrong += probe_write(va + 8 * LEDGER_WORD, value) != 3;
	} else {
		storm->ledger[page] = value;
		storm->wrong += probe_write(va + 8 * LEDGER_WORD, value) != NO_FAULT;
		storm->wrong += !(get_pte(&table[i]) & PVB_PTE_D);
	}
	storm->wrong += data[page][LEDGER_WORD] != storm->ledger[page];
}

/*
 * One round: a stretch of the table, of which every entry with this vCPU's parity gets
 * other contents, by this vCPU or by the host. The other vCPU's are only named.
 */
static void round_of(struct storm *storm)
{
	static const uint64_t kinds[] = {
		RW, RW, RO, RW & ~PVB_PTE_D, 0, PVB_PTE_P | PVB_PTE_W, RW, RO & ~PVB_PTE_D
	};
	uint64_t r = random_of(storm);
	unsigned int first = r % (TABLE_ENTRIES - 64), nr = 1 + (r >> 16) % 64;
	bool by_host = r >> 32 & 1;
	struct pvb_batch_hdr *hdr = batch_begin(storm->cpu);

	for (unsigned int i = first; i < first + nr; i++) {
		unsigned int page = (unsigned int)(random_of(storm) % DATA_PAGES);
		uint64_t pte = kinds[random_of(storm) % 8];

		if (i % STORM_CPUS != storm->cpu)
			continue;
		page = page / STORM_CPUS * STORM_CPUS + storm->cpu;
		/* Often the same page as before, and as its neighbours have. */
		if (r >> 40 & 1)
			page = i % DATA_PAGES;
		if (pte)
			pte = data_pte(page, pte);
		if (by_host)
			batch_add(hdr, PVB_OP_SET, &table[i], 1)->new = pte;
		else
			set_pte(&table[i], pte);
	}
	if (!by_host)
		batch_add(hdr, PVB_OP_CHANGED, &table[first], (uint16_t)nr);
	hdr->flush = PVB_FLUSH_ALL;
	submit(storm, hdr);
	for (unsigned int i = first; i < first + nr; i++)
		if (i % STORM_CPUS == storm->cpu)
			check_entry(storm, i);
	storm->rounds++;
}

/* storm_worker() - the second vCPU's part. */
void storm_worker(unsigned int cpu)
{
	while (!over)
		round_of(&storms[cpu]);
}

static void storm_init(void)
{
	set_pte(&pmd[32], (uint64_t)table | PVB_PTE_P | PVB_PTE_W | PVB_PTE_A);
	for (unsigned int cpu = 0; cpu < STORM_CPUS; cpu++) {
		struct storm *storm = &storms[cpu];

		storm->cpu = cpu;
		storm->random = 0x9e3779b97f4a7c15ULL + cpu + storm->random;
		storm->rounds = storm->wrong = storm->odd = storm->withdrawn = 0;
		for (unsigned int i = 0; i < DATA_PAGES; i++)
			storm->ledger[i] = data[i][LEDGER_WORD];
	}
	over = false;
}

static void storm(enum disturb_job job, const char *what)
{
	struct storm *mine = &storms[0], *other = &storms[1];
	bool two = boot->nr_cpus > 1, good;
	enum disturb_result result = ask(job);

	if (result == DISTURB_NOBODY) {
		skip(what, "the VMM runs without tests/kvm/disturb.c");
		return;
	}
	space_load();
	storm_init();
	if (two)
		worker_job = JOB_STORM;
	while (mine->rounds < MAX_ROUNDS &&
	       (mine->rounds < MIN_ROUNDS ||
		__atomic_load_n(&mail.rounds, __ATOMIC_SEQ_CST) < MIN_DISTURBED ||
		(job == DISTURB_SWITCH && !mine->withdrawn)))
		round_of(mine);
	over = true;
	if (two) {
		worker_job = JOB_NONE;
		while (worker_done != JOB_STORM)
			__builtin_ia32_pause();
		worker_done = JOB_NONE;
	}
	result = ask(DISTURB_STOP);
	print("# ");
	print_number(mail.rounds);
	print(" disturbances, ");
	print_number(mine->rounds);
	print(" and ");
	print_number(other->rounds);
	print(" rounds, withdrawn ");
	print_number(mine->withdrawn + other->withdrawn);
	print(" times; wrong ");
	print_number(mine->wrong + other->wrong);
	print(", odd ");
	print_number(mine->odd + other->odd);
	print("\n");
	good = result == DISTURB_DONE && mail.rounds && !mine->wrong && !other->wrong &&
	       !mine->odd && !other->odd;
	check(good && (!two || other->rounds) && (job == DISTURB_SWITCH) == !!mine->withdrawn,
	      what);
}

/* Registered or not, as the last disturbance left it: registered again. */
static void come_back(void)
{
	int64_t result;

	/* A withdrawal that this vCPU has not met is met now. */
	do {
		result = name_run(leaf, 1, PVB_FLUSH_ALL);
		if (result)
			fall_back(&storms[0], -PVB_ENXIO);
	} while (result);
}

/* The counters of KVM and of the engine, and what this guest knows that it has done. */
static void test_counters(void)
{
	static struct pvb_host_stats before, now;
	struct pvb_batch_hdr *hdr;
	struct pvb_entry *entry;
	bool good;

	space_load();
	call(PVB_CALL_STATS, (uint64_t)&before, sizeof(before));
	name_run(leaf, 10, PVB_FLUSH_ALL);
	hdr = batch_begin(0);
	batch_add(hdr, PVB_OP_CHANGED, leaf, 5);
	entry = batch_add(hdr, PVB_OP_COMMIT, &leaf[20], 1);
	entry->old = data_pte(21, RW); /* a conflict */
	entry->new = data_pte(20, RO);
	batch_add(hdr, PVB_OP_CHANGED, (uint64_t *)DISTURB_MMIO, 1); /* refused */
	batch_submit(hdr);
	hdr = batch_begin(0);
	hdr->nr = ~0U;
	batch_submit(hdr); /* fails */
	call(PVB_CALL_STATS, (uint64_t)&now, sizeof(now));
	good = now.calls - before.calls == 3 && now.failed - before.failed == 1 &&
	       now.entries - before.entries == 4 && now.applied - before.applied == 15 &&
	       now.conflicts - before.conflicts == 1 && now.refused - before.refused == 1 &&
	       now.partial == before.partial;
	check(good, "the engine counts exactly what was asked of it");
	if (!good) {
		const uint64_t *a = (const uint64_t *)&before, *b = (const uint64_t *)&now;

		for (unsigned int i = 0; i < 12; i++) {
			print("# ");
			print_number(b[i] - a[i]);
			print("\n");
		}
	}

	if (ask(DISTURB_COUNTERS) == DISTURB_NOBODY) {
		skip("KVM's counters say the same", "the VMM runs without tests/kvm/disturb.c");
		return;
	}
	good = mail.result == DISTURB_DONE && mail.counters[0] == now.calls &&
	       mail.counters[1] == now.partial && mail.counters[2] == now.failed &&
	       mail.counters[3] == now.entries && mail.counters[4] == now.applied &&
	       mail.counters[5] == now.conflicts + now.refused &&
	       mail.counters[6] == now.flush_all + now.flush_range;
	check(good, "KVM's counters say the same");
	for (unsigned int i = 0; !good && i < DISTURB_NR_COUNTERS; i++) {
		print("# KVM ");
		print_number(mail.counters[i]);
		print("\n");
	}
}

/* An entry that has named a page, then a hole, where KVM remembers it, then the page again. */
static void test_hole(void)
{
	uint64_t value = 0;

	space_load();
	probe_read(TEST_VA, &value);
	set_pte(&leaf[0], DISTURB_MMIO | RW);
	name_run(&leaf[0], 1, PVB_FLUSH_ALL);
	check(probe_read(TEST_VA, &value) == NO_FAULT && value == ~0ULL, "a hole is all ones");
	set_pte(&leaf[0], data_pte(0, RW));
	name_run(&leaf[0], 1, PVB_FLUSH_ALL);
	check(probe_read(TEST_VA, &value) == NO_FAULT && value == DATA_MARK,
	      "and a page again when it is named");
}

void test_storms(void)
{
	if (ask(DISTURB_COUNTERS) != DISTURB_NOBODY)
		test_hole();
	test_counters();
	storm(DISTURB_LOG, "dirty logging on and off while batches apply: nothing is missed");
	storm(DISTURB_SLOTS, "memslots that come and go");
	storm(DISTURB_FORK, "the VMM forks: all pages are copied on a write");
	storm(DISTURB_SWITCH, "the switch off and on in flight");
	come_back();
}
