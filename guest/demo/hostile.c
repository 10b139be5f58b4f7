// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - hostile: every CPU sends the host batches that range from good to
 * nonsense, rewrites other CPUs' batches while the host reads them, moves buffers about
 * while others submit, and dies in the middle of it. `pvbatch run --guest hostile`.
 *
 * What the guest may hurt is itself; so that it lives to send all it has, addresses that it
 * makes up lie in a pool of its own, in a CPU's buffer, in no memory, or in what the host must
 * refuse; and so do all other words that it leaves where a CPU, the host or a misled batch may
 * take them for an address. Sentinels on both sides of the pool are looked at in the end: what
 * the host wrote there, no batch had the right to.
 */
#include "console.h"
#include "cpu.h"
#include "host.h"
#include "lib.h"
#include "mm.h"
#include "options.h"
#include "smp.h"
#include "workload.h"

#define POOL_PAGES 32U /* tables, buffers, whatever a call names */
#define POOL_BYTES (POOL_PAGES * PVB_PAGE_SIZE)
#define SENTINEL 0x5e5e5e5e5e5e5e5eULL

static uint8_t *pool, *sentinels[2];
static uint64_t states[MAX_CPUS];
static struct {
	uint64_t calls, refused, submitted, partial, applied;
} totals;

static uint64_t random64(void)
{
	uint64_t *state = &states[this_cpu()->index];

	/* xorshift64* */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(random64() >> 33) % n;
}

static uint64_t in_pool(uint64_t align)
{
	return (uint64_t)pool + (random64() % POOL_BYTES & ~(align - 1));
}

static bool within(uint64_t at, const void *start, uint64_t bytes)
{
	return at - (uint64_t)start < bytes;
}

/* Where a batch of this guest would hurt the guest. The first page is nobody's. */
static bool hurts(uint64_t at)
{
	if (at < PVB_PAGE_SIZE || at >= mm_ram_bytes() || within(at, pool, POOL_BYTES))
		return false;
	for (uint32_t i = 0; i < options.vcpus; i++)
		if (within(at, cpus[i].buffer, HOST_BUFFER_BYTES))
			return false;
	return true;
}

/*
 * @word, or what is like it and hurts nobody who takes it for an address: all of it, or its
 * lower half, when the host's answer is written over the other.
 */
static uint64_t tame(uint64_t word)
{
	return hurts(word) || hurts((uint32_t)word) ? word | 1ULL << 40 | 1ULL << 31 : word;
}

/* An address that no batch may touch. */
static uint64_t nowhere(void)
{
	static const uint64_t places[] = {
		0xfee00000, /* the local APIC */
		0xfffbd000, /* KVM's own pages on some CPUs */
		0xd0000000, /* the VMM's slot for flushes */
		1ULL << 40, 1ULL << 52, 1ULL << 63, ~0ULL, ~0xfffULL,
	};

	if (below(3))
		return places[below(ARRAY_SIZE(places))] + 8ULL * below(512);
	return mm_ram_bytes() + random64() % (1ULL << 30);
}

static uint64_t any_gpa(void)
{
	switch (below(8)) {
	case 0:
		return nowhere();
	case 1: /* somebody's registered buffer, ours among them */
		return (uint64_t)cpus[below(options.vcpus)].buffer + 8ULL * below(512);
	case 2:
		return in_pool(1);
	default:
		return in_pool(8);
	}
}

static uint64_t any_number(void)
{
	switch (below(4)) {
	case 0:
		return below(600);
	case 1:
		return 1ULL << below(64);
	case 2:
		return ~0ULL - below(600);
	default:
		return random64();
	}
}

static void any_entry(struct pvb_entry *entry, uint32_t entries)
{
	uint64_t pte = random64() & 0x80000003ffffffe7ULL;

	*entry = (struct pvb_entry){
		.pte_gpa = any_gpa(),
		.old = tame(below(3) ? pte : any_number()),
		.new = tame(below(3) ? pte ^ (random64() & 0x67) : any_number()),
		.nr = (uint16_t)(below(3) ? 1 :
				 below(4) ? 1 + below(512) :
					    random64()),
		.op = (uint8_t)(below(16) ? 1 + below(4) : random64()),
		.flags = (uint8_t)(below(4) ? 0 : 1U << below(8)),
		.result = (uint16_t)(below(4) ? 0 : 8 + entries * 4 + below(1024)),
	};
	if (entry->op == PVB_OP_SET && below(4))
		entry->old = 0;
	/* What is there, so that something is committed as well. */
	if (entry->op == PVB_OP_COMMIT && below(2) && entry->pte_gpa >= (uint64_t)pool &&
	    entry->pte_gpa <= (uint64_t)pool + POOL_BYTES - 8) {
		memcpy(&entry->old, (void *)entry->pte_gpa, 8);
		entry->new = entry->old ^ (random64() & 0x67);
	}
}

static void any_header(struct pvb_batch_hdr *hdr, uint32_t entries)
{
	*hdr = (struct pvb_batch_hdr){ .version = PVB_VERSION, .nr = entries };
	if (!below(3)) {
		hdr->flush = (uint8_t)below(4);
		hdr->flush_flags = (uint16_t)below(3);
		hdr->flush_pages = hdr->flush == PVB_FLUSH_RANGE ? (uint32_t)any_number() : 0;
		hdr->flush_va = hdr->flush == PVB_FLUSH_RANGE ? any_number() & ~0xfffULL : 0;
	}
	switch (below(24)) {
	case 0:
		hdr->nr = (uint32_t)any_number();
		break;
	case 1:
		hdr->start = (uint32_t)any_number();
		break;
	case 2:
		hdr->skip = (uint32_t)any_number();
		break;
	case 3:
		hdr->version = (uint16_t)any_number();
		break;
	case 4:
		hdr->reserved1 = (uint16_t)any_number();
		break;
	}
}

/* What another CPU has just written, or is being read by the host. */
static void meddle(void)
{
	uint8_t *at = below(2) ? cpus[below(options.vcpus)].buffer : pool;
	uint64_t bytes = at == pool ? POOL_BYTES : HOST_BUFFER_BYTES;

	for (uint32_t i = 0; i < 8; i++) {
		volatile uint64_t *word = (uint64_t *)(at + (random64() % bytes & ~7ULL));

		*word = tame(below(4) ? *word ^ 1ULL << below(64) : any_number());
	}
}

static int64_t call(enum pvb_call nr, uint64_t a0, uint64_t a1)
{
	int64_t result = host_call(nr, a0, a1);

	__atomic_fetch_add(&totals.calls, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&totals.refused, result < 0, __ATOMIC_RELAXED);
	return result;
}

static void submit(void)
{
	struct pvb_batch_hdr *hdr = this_cpu()->buffer;
	uint32_t entries = below(64) ? below(16) : below(PVB_MAX_ENTRIES(HOST_BUFFER_BYTES));
	int64_t result;

	any_header(hdr, entries);
	for (uint32_t i = 0; i < entries; i++)
		any_entry((struct pvb_entry *)(hdr + 1) + i, entries);
	for (uint32_t i = 0; i < 4; i++) {
		result = call(PVB_CALL_SUBMIT, 0, 0);
		__atomic_fetch_add(&totals.submitted, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&totals.applied, result >= 0 ? hdr->applied : 0,
				   __ATOMIC_RELAXED);
		if (result != PVB_SUBMIT_PARTIAL)
			return;
		__atomic_fetch_add(&totals.partial, 1, __ATOMIC_RELAXED);
		/* Go on, or pretend to. */
		hdr->start = below(4) ? hdr->done : (uint32_t)any_number();
		hdr->skip = below(4) ? hdr->done_ptes : (uint32_t)any_number();
	}
}

/* Buffers over tables, over other buffers, over nothing; and back. */
static void move_buffer(void)
{
	/* With room for the largest buffer there is, whatever the size will be. */
	uint64_t page = below(POOL_PAGES - PVB_BUFFER_MAX / PVB_PAGE_SIZE) * PVB_PAGE_SIZE;

	call(PVB_CALL_REGISTER, below(4) ? (uint64_t)pool + page : nowhere(),
	     below(4) ? (1 + below(4)) * PVB_PAGE_SIZE : any_number());
	if (below(4)) {
		call(PVB_CALL_SUBMIT, 0, 0);
		call(PVB_CALL_REGISTER, (uint64_t)this_cpu()->buffer, HOST_BUFFER_BYTES);
	} else if (below(2)) {
		call(PVB_CALL_REGISTER, 0, 0);
	}
}

static void renegotiate(void)
{
	uint64_t *words = (uint64_t *)in_pool(64);
	struct pvb_negotiate *neg = (struct pvb_negotiate *)words;

	/* The last one in the pool has its end in it, too. */
	*neg = (struct pvb_negotiate){
		.magic = PVB_NEGOTIATE_MAGIC,
		.size = sizeof(*neg),
		.pte_format = PVB_PTE_FORMAT,
		.version_min = PVB_VERSION,
		.version_max = (uint16_t)(PVB_VERSION + below(3)),
		.features_wanted = below(2) ? PVB_F_ALL : random64(),
	};
	if (!below(3)) {
		uint64_t *word = &words[below(3)];

		*word = tame(*word ^ any_number());
	}
	call(PVB_CALL_NEGOTIATE, below(8) ? (uint64_t)neg : nowhere(), 0);
	/* Left without features it would only hear no. */
	host_negotiate(host_scratch(), PVB_F_ALL);
}

static void attack(void)
{
	struct cpu *cpu = this_cpu();

	states[cpu->index] = (cpu->index + 1) * 0x9e3779b97f4a7c15ULL ^ options.seed;
	call(PVB_CALL_REGISTER, (uint64_t)cpu->buffer, HOST_BUFFER_BYTES);
	for (uint32_t i = 0; i < options.rounds; i++) {
		meddle();
		switch (below(16)) {
		case 0:
			move_buffer();
			break;
		case 1:
			if (!cpu->index)
				renegotiate();
			break;
		case 2: /* the counters: a write of the host's, wherever it is told to */
			call(PVB_CALL_STATS, below(2) ? in_pool(512) : nowhere(),
			     below(2) ? sizeof(struct pvb_host_stats) : any_number());
			break;
		case 3: /* any call; those that write get nowhere to write to */
			call(below(2) ? PVB_NR_CALLS + below(3) : PVB_CALL_NOP, nowhere(),
			     any_number());
			break;
		default:
			submit();
		}
	}
}

/* Says where the first word is that somebody wrote. */
static bool intact(void)
{
	for (uint32_t side = 0; side < 2; side++) {
		const uint64_t *words = (uint64_t *)sentinels[side];

		for (uint32_t i = 0; i < PVB_PAGE_SIZE / sizeof(*words); i++) {
			if (words[i] == SENTINEL)
				continue;
			say("hostile: 0x%lx at 0x%lx, %s the pool\n", words[i], (uint64_t)&words[i],
			    side ? "behind" : "before");
			return false;
		}
	}
	return true;
}

static void prepare(void)
{
	uint8_t *memory = mm_alloc(POOL_PAGES + 2);

	sentinels[0] = memory;
	pool = memory + PVB_PAGE_SIZE;
	sentinels[1] = pool + POOL_BYTES;
	for (uint32_t i = 0; i < PVB_PAGE_SIZE; i += 8) {
		*(uint64_t *)(sentinels[0] + i) = SENTINEL;
		*(uint64_t *)(sentinels[1] + i) = SENTINEL;
	}
	host_buffers(options.vcpus);
}

unsigned int workload_hostile(void)
{
	bool whole;

	prepare();
	if (host_negotiate(host_scratch(), PVB_F_ALL)) {
		say("hostile: no host answers\n");
		return EXIT_MACHINE;
	}
	smp_start(options.vcpus, attack);
	attack();
	if (options.end != END_DONE) {
		/* In the middle of the others' calls. */
		say("hostile: dies after %lu calls\n", totals.calls);
		if (options.end == END_TRIPLE)
			workload_triple();
		return EXIT_OK;
	}
	smp_wait();
	whole = intact();
	say("hostile: %lu calls, %lu refused, %lu submissions, %lu partial, %lu PTEs applied, "
	    "sentinels %s\n",
	    totals.calls, totals.refused, totals.submitted, totals.partial, totals.applied,
	    whole ? "intact" : "OVERWRITTEN");
	return whole && totals.applied ? EXIT_OK : EXIT_CHECK_FAILED;
}
