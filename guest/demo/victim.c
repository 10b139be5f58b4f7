// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - victim: a guest that minds its own business beside a hostile one. It
 * knows every word of its memory and every call it has made; in the end it asks whether the
 * host says the same.
 */
#include "console.h"
#include "cpu.h"
#include "host.h"
#include "mm.h"
#include "options.h"
#include "workload.h"

static uint64_t *memory;

static uint64_t word(uint64_t i, uint64_t round)
{
	return (i + round) * 0x9e3779b97f4a7c15ULL ^ i >> 3;
}

/* Compare with round @round, write round @round + 1. Returns the words that differ. */
static uint64_t pass(uint64_t words, uint64_t round)
{
	uint64_t wrong = 0;

	for (uint64_t i = 0; i < words; i++) {
		wrong += memory[i] != word(i, round);
		memory[i] = word(i, round + 1);
	}
	return wrong;
}

/* A batch of this round's: one table read-only and writable again. Returns PTEs applied. */
static uint32_t batch(bool writable)
{
	struct pvb_batch_hdr *hdr = this_cpu()->buffer;
	struct pvb_entry *entry = (struct pvb_entry *)(hdr + 1);
	uint64_t old = mm_work_pte(0);

	*hdr = (struct pvb_batch_hdr){ .version = PVB_VERSION, .nr = 1, .flush = PVB_FLUSH_ALL };
	*entry = (struct pvb_entry){
		.pte_gpa = (uint64_t)mm_work_ptes(),
		.old = writable ? old & ~PVB_PTE_W : old,
		.new = writable ? old : old & ~PVB_PTE_W,
		.nr = PVB_PTES_PER_TABLE,
		.op = PVB_OP_COMMIT,
	};
	return host_call(PVB_CALL_SUBMIT, 0, 0) == PVB_SUBMIT_DONE ? hdr->applied : 0;
}

unsigned int workload_victim(void)
{
	uint64_t words = options.pages * PVB_PAGE_SIZE / 8, wrong = 0, applied = 0;
	struct pvb_host_stats stats __attribute__((aligned(64)));
	int64_t result;

	mm_map_work(PVB_PTES_PER_TABLE);
	host_buffers(1);
	if (host_negotiate(host_scratch(), PVB_F_ALL) ||
	    host_call(PVB_CALL_REGISTER, (uint64_t)this_cpu()->buffer, HOST_BUFFER_BYTES)) {
		say("victim: no host answers\n");
		return EXIT_MACHINE;
	}
	memory = mm_alloc(options.pages);
	for (uint64_t i = 0; i < words; i++)
		memory[i] = word(i, 0);
	say("victim: begins\n");
	for (uint32_t round = 0; round < options.rounds; round++) {
		wrong += pass(words, round);
		applied += batch(false) + batch(true);
	}
	result = host_call(PVB_CALL_STATS, (uint64_t)&stats, sizeof(stats));
	say("victim: %u rounds over %u pages, %lu words wrong, %lu PTEs, the host says %lu in %lu "
	    "calls\n",
	    options.rounds, options.pages, wrong, applied, stats.applied, stats.calls);
	if (result || wrong || applied != 2ULL * PVB_PTES_PER_TABLE * options.rounds ||
	    stats.applied != applied || stats.calls != 2ULL * options.rounds || stats.failed ||
	    stats.conflicts || stats.refused)
		return EXIT_CHECK_FAILED;
	return EXIT_OK;
}
