/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests, fuzzing - one small machine around the engine that can go wrong in every way
 * a guest or a host can make it: pages that vanish, are read-only or busy, accesses that
 * fail, hardware and liars between look and exchange, a neighbour that rewrites the batch as
 * soon as it has been read.
 *
 *   world.c    the machine and the engine's backend
 *   judge.c    what a call must have done, said a second time; aborts on a difference
 *   calls.c    a script of calls           (fuzz-calls)
 *   batch.c    one batch from raw bytes    (fuzz-batch)
 *
 * The judge works on a copy of guest memory from before the call and takes from the engine
 * only what the ABI leaves to it: which of several reasons a refused entry names, and where
 * a call that ends early ends.
 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include <pvbatch/engine.h>

#define WORLD_PAGES 32U
#define WORLD_RAM (WORLD_PAGES * PVB_PAGE_SIZE)
#define WORLD_SLOTS (WORLD_PAGES * PVB_PTES_PER_TABLE)
#define WORLD_CPUS 2U
#define WORLD_BUFFER_PAGE 2U /* the first page of vCPU 0's usual buffer; 4 pages each */
#define WORLD_BUFFER_PAGES 4U
#define WORLD_TABLE_PAGE 12U /* the first page that is meant to be a page table */

enum page_kind {
	PAGE_RAM,
	PAGE_HOLE, /* no memory: a slot that was removed, or MMIO */
	PAGE_ROM,
	PAGE_BUSY, /* map_table says PVB_ST_RETRY */
	PAGE_KINDS
};

/* What happens to a PTE between the engine's look at it and its exchange. */
enum act_kind {
	ACT_NONE,
	ACT_XOR, /* once */
	ACT_WAR, /* A changes before every exchange: it never succeeds */
};

struct act {
	enum act_kind kind;
	uint64_t bits;
};

/* How the machine is built (world_open()); one bit each. */
#define WORLD_READY 0x01U /* negotiated, and every vCPU registered */
#define WORLD_NO_WRITE_ANSWERS 0x02U
#define WORLD_CHECK_TABLE 0x04U
#define WORLD_NO_CHANGED 0x08U
#define WORLD_YIELDS 0x10U
#define WORLD_NO_STATS 0x20U
#define WORLD_NEIGHBOUR 0x40U /* rewrites what the engine has just read of a batch */
#define WORLD_NESTED 0x80U /* a call out of every callback */

struct world {
	uint8_t *ram; /* from malloc: the address sanitizer knows where it ends */
	uint8_t *before; /* a copy from before the call */
	uint8_t *model; /* what it must be after it */
	unsigned int how;
	struct pvb_backend backend;
	struct pvb_vm vm;
	struct pvb_vcpu cpus[WORLD_CPUS];
	struct pvb_host_stats stats[WORLD_CPUS]; /* the judge's */
	enum page_kind pages[WORLD_PAGES];
	struct act acts[WORLD_SLOTS];
	bool met[WORLD_SLOTS]; /* ACT_XOR: has happened */
	uint64_t yields; /* what should_yield says, from bit 0 on, round and round */
	uint32_t fault_in; /* this access of guest memory fails, and all after it; 0: none */

	/* Of the call under way. */
	bool submitting;
	bool faulted;
	bool yielded;
	const uint64_t *mapped; /* or NULL */
	uint64_t mapped_page;
	uint8_t told[WORLD_SLOTS];
	uint32_t nr_told;
	uint32_t nr_flushes;
	struct pvb_flush_req flushed;
};

extern struct world world;

/* Say what is wrong, and abort. */
void world_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* A fresh machine. @features: offered and, with WORLD_READY, wanted. */
void world_open(unsigned int how, uint64_t features, unsigned int phys_bits, uint32_t max_work);

/* Host address of guest memory, or NULL where any of it is missing, or is not to be written. */
void *world_at(uint64_t gpa, uint64_t bytes, bool write);

/* One call, judged. */
int64_t world_call(unsigned int cpu, uint64_t call, uint64_t a0, uint64_t a1, unsigned int cpl);

/* The same after PARTIAL: goes on where the answer says, at most @times. */
int64_t world_continue(unsigned int cpu, unsigned int times);

/* judge.c: @result is what pvb_engine_call() returned to @cpu. */
void judge_call(unsigned int cpu, uint64_t call, uint64_t a0, uint64_t a1, unsigned int cpl,
		int64_t result);

/* judge_submit.c: the same for PVB_CALL_SUBMIT of a buffer at @buffer. */
void judge_submit(unsigned int cpu, uint64_t buffer, uint32_t bytes, int64_t result);

/* The vCPU's buffer as the judge sees it: its state before the call. */
struct judge_buffer {
	uint64_t gpa;
	uint32_t bytes;
};
extern struct judge_buffer judge_buffers[WORLD_CPUS];
extern uint64_t judge_features;
extern uint32_t judge_version;

/* Forget what the vCPUs had registered and negotiated, with the engine. */
void judge_reset(void);

#endif /* FUZZ_WORLD_H */
