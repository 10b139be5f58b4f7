// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the guest that tests KVM's handler: what a hostile kernel would send.
 * The host has to refuse or do it; here it is checked that the guest goes on running, the
 * runner looks at the host's log. Batches are random, from valid to nonsense, while the
 * other vCPU rewrites the buffer and the page tables under the host's eyes.
 */
#include "guest.h"

#define ROUNDS 20000
#define WILD_TABLES 4

static uint64_t wild[WILD_TABLES][TABLE_ENTRIES] __attribute__((aligned(4096)));

/* An address that a batch may or may not name. */
static uint64_t random_gpa(void)
{
	static const uint64_t places[] = {
		0, 0xfee00000, 0xd0000000, 0xfffff000, 1ULL << 40, ~0ULL, ~0ULL << 12, 0x10000,
	};
	uint64_t r = random64();

	switch (r % 6) {
	case 0:
		return places[(r >> 8) % (sizeof(places) / sizeof(places[0]))];
	case 1:
		return (uint64_t)buffers[0] + (r >> 8) % BUFFER_BYTES;
	case 2:
		return random64();
	default:
		return (uint64_t)wild + (r >> 8) % sizeof(wild) / 8 * 8;
	}
}

static uint64_t random_pte(void)
{
	uint64_t r = random64();

	switch (r % 4) {
	case 0:
		return random64();
	case 1:
		return data_pte((r >> 8) % DATA_PAGES, random64() & 0x80000000000001ffULL);
	case 2:
		return (random_gpa() & PVB_PTE_PFN_MASK) | RW | PVB_PTE_U;
	default:
		return data_pte((r >> 8) % DATA_PAGES, RW);
	}
}

static void random_entry(struct pvb_entry *entry)
{
	uint64_t r = random64();

	*entry = (struct pvb_entry){
		.pte_gpa = random_gpa(),
		.op = r % 8 ? 1 + r % 4 : (uint8_t)(r >> 8),
		.flags = r >> 16 & 1 ? 0 : (uint8_t)(r >> 24),
		.nr = (uint16_t)(r >> 32 & 1 ? (r >> 33) % 600 : 1),
	};
	if (entry->op != PVB_OP_CHANGED || r >> 60 == 0) {
		entry->old = random_pte();
		entry->new = random_pte();
	}
	if (r >> 50 & 1)
		entry->result = (uint16_t)random64();
}

static void random_header(struct pvb_batch_hdr *hdr, uint32_t nr)
{
	uint64_t r = random64();

	*hdr = (struct pvb_batch_hdr){ .version = PVB_VERSION, .nr = nr };
	hdr->flush = (uint8_t)(r & 7 ? r >> 8 & 1 : r >> 16);
	if (hdr->flush == PVB_FLUSH_RANGE) {
		hdr->flush_va = random64() & ~0xfffULL;
		hdr->flush_pages = 1 + (r >> 20) % 100;
	}
	if (r >> 32 & 1)
		return;
	if (r >> 33 & 1)
		hdr->start = (uint32_t)(r >> 40) % (nr + 2);
	if (r >> 34 & 1)
		hdr->skip = (uint32_t)(r >> 44) % 520;
	if (!(r >> 35 & 31))
		hdr->nr = (uint32_t)random64();
}

static void random_batch(void)
{
	struct pvb_batch_hdr *hdr = (struct pvb_batch_hdr *)buffers[0];
	struct pvb_entry *entries = (struct pvb_entry *)(hdr + 1);
	uint32_t nr = random64() % 40;

	for (uint32_t i = 0; i < nr; i++)
		random_entry(&entries[i]);
	random_header(hdr, nr);
}

/* known() - is it a result that the ABI lists for a submission? */
static bool known(int64_t result)
{
	return result == PVB_SUBMIT_DONE || result == PVB_SUBMIT_PARTIAL || result == -PVB_E2BIG ||
	       result == -PVB_EINVAL || result == -PVB_EFAULT;
}

/* touch() - have the shadow of the wild tables made and used, whatever they hold. */
static void touch(void)
{
	uint64_t value;

	for (unsigned int i = 0; i < 64; i++) {
		uint64_t r = random64();
		uint64_t va = TEST_VA + (4UL << 21) + (r % WILD_TABLES << 21) +
			      (r >> 8) % TABLE_ENTRIES * PAGE;
		uint64_t pte = get_pte(&wild[r % WILD_TABLES][(r >> 8) % TABLE_ENTRIES]);

		/* Reads only, and only of RAM: the guest must not hurt itself. */
		if ((pte & PVB_PTE_PFN_MASK) < boot->ram_bytes)
			probe_read(va, &value);
	}
}

/* The second vCPU: rewrites the buffer and the tables while the host reads them. */
void hostile_worker(void)
{
	uint64_t state = 88172645463325252ULL;

	while (worker_job == JOB_SCRIBBLE) {
		volatile uint64_t *buffer = (volatile uint64_t *)buffers[0];

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		if (state & 1)
			buffer[(state >> 8) % 128] = state;
		else
			set_pte(&wild[state >> 1 & 3][(state >> 8) % TABLE_ENTRIES],
				data_pte((state >> 20) % DATA_PAGES, state >> 30 & 0x63));
	}
}

static void test_wrong_addresses(void)
{
	check(call(PVB_CALL_NEGOTIATE, 0xd0000000, 0) < 0, "NEGOTIATE without memory");
	check(call(PVB_CALL_REGISTER, 0xd0000000, BUFFER_BYTES) == -PVB_EFAULT,
	      "REGISTER without memory");
	check(call(PVB_CALL_REGISTER, boot->ram_bytes - PAGE, 2 * PAGE) == -PVB_EFAULT,
	      "REGISTER across the end of memory");
	check(call(PVB_CALL_REGISTER, (uint64_t)buffers[0] + 8, PAGE) == -PVB_EINVAL,
	      "REGISTER unaligned");
	check(call(PVB_CALL_REGISTER, (uint64_t)buffers[0], ~0ULL << 12) == -PVB_EINVAL,
	      "REGISTER of too much");
	check(call(PVB_CALL_STATS, 0xd0000000, sizeof(struct pvb_host_stats)) == -PVB_EFAULT,
	      "STATS without memory");
}

void test_hostile(void)
{
	uint32_t odd = 0;

	space_load();
	for (unsigned int t = 0; t < WILD_TABLES; t++)
		set_pte(&pmd[4 + t], (uint64_t)wild[t] | PVB_PTE_P | PVB_PTE_W | PVB_PTE_A);
	test_wrong_addresses();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		if (i == ROUNDS / 2 && boot->nr_cpus > 1)
			worker_job = JOB_SCRIBBLE;
		random_batch();
		odd += !known(call(PVB_CALL_SUBMIT, 0, 0));
		if (!(i % 16))
			touch();
		if (!(i % 64)) /* nonsense in the table, not named */
			set_pte(&wild[i / 64 % WILD_TABLES][random64() % TABLE_ENTRIES],
				random64());
		if (!(i % 1000))
			invlpg(TEST_VA + (4UL << 21) + random64() % (WILD_TABLES << 21));
	}
	if (worker_job == JOB_SCRIBBLE) {
		worker_job = JOB_NONE;
		while (worker_done != JOB_SCRIBBLE)
			__builtin_ia32_pause();
	}
	check(!odd, "20000 random batches answered as the ABI has it");

	for (unsigned int t = 0; t < WILD_TABLES; t++)
		set_pte(&pmd[4 + t], 0);
	space_load();
	check(name_run(leaf, TABLE_ENTRIES, PVB_FLUSH_ALL) == 0, "and a good one works as before");
}
