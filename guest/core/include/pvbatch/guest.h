/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: guest core - what a kernel calls to have its PTE commits travel in batches.
 *
 *   start -> commit -> per-CPU queue (coalescing) -> lazy leave / full / flush -> submit
 *
 * Freestanding, allocates nothing after setup. A struct pvb_cpu belongs to one CPU:
 * call with preemption off (or migration impossible), under the lock that guards the
 * page table (law 3). Nothing queued is ever dropped (law 6): what the host refuses
 * or cannot do is written directly, and counted.
 */
#ifndef PVBATCH_GUEST_H
#define PVBATCH_GUEST_H

#include <pvbatch/merge.h>

enum pvb_mode {
	PVB_MODE_DIRECT = 0, /* no host support: plain stores, nothing queued */
	PVB_MODE_HOST_APPLY = 1, /* the host performs the compare-and-exchange */
	PVB_MODE_GUEST_APPLY = 2, /* the guest performs it, the host synchronises */
};

/* How calls reach the host. */
struct pvb_transport {
	/* Issue @call; returns its result, sign-extended. Must be a compiler barrier. */
	int64_t (*call)(void *ctx, enum pvb_call call, uint64_t a0, uint64_t a1);
	void *ctx;
};

/* What the kernel around the library provides. */
struct pvb_guest_ops {
	/* gpa of a PTE, or of any object given to the library. */
	pvb_gpa_t (*gpa_of)(const volatile void *ptr);
	/* In a context that may have interrupted a queueing one? Then commits bypass the queue. */
	bool (*in_interrupt)(void);
	/* Flush by the kernel's own means; used in direct mode and when the host cannot. */
	void (*flush)(enum pvb_flush type, uint32_t flags, pvb_gva_t va, uint32_t pages);
	/* Called once when the host's support is lost after negotiation. May be NULL. */
	void (*lost)(int64_t error);
};

/* Why a queue was submitted (law 9). */
enum pvb_flush_reason {
	PVB_REASON_LEAVE, /* lazy mode left */
	PVB_REASON_FLUSH, /* lazy flush, or an entry read again */
	PVB_REASON_FULL, /* no room */
	PVB_REASON_TLB, /* a TLB flush took the queue along */
	PVB_REASON_EAGER, /* outside lazy mode: one at a time */
	PVB_NR_REASONS
};

struct pvb_guest_stats {
	uint64_t commits; /* single-PTE operations handed in */
	uint64_t ptes; /* PTEs handed in, runs counted by their length */
	uint64_t entries; /* entries submitted */
	uint64_t coalesced; /* operations merged into the entry before them */
	uint64_t calls; /* PVB_CALL_SUBMIT issued */
	uint64_t batches; /* queues submitted */
	uint64_t partial; /* calls answered PVB_SUBMIT_PARTIAL */
	uint64_t carried; /* PTEs whose A or D the merge carried, whoever merged */
	uint64_t conflicts; /* entries that met a conflict */
	uint64_t fallbacks; /* PTEs written directly though a host was there */
	uint64_t bypassed; /* PTEs written directly from interrupt context */
	uint64_t direct; /* PTEs written directly because there is no host */
	uint64_t reasons[PVB_NR_REASONS];
	uint64_t hist[PVB_HIST_BUCKETS]; /* batches by entries */
};

struct pvb_guest {
	const struct pvb_transport *transport;
	const struct pvb_guest_ops *ops;
	enum pvb_mode mode;
	uint64_t features;
	uint32_t max_bytes;
};

/* One per CPU. @buffer is the registered page(s); fields are private to guest/core. */
struct pvb_cpu {
	struct pvb_guest *guest;
	struct pvb_batch_hdr *buffer;
	uint32_t capacity; /* entries that fit */
	uint32_t nr; /* entries queued */
	uint32_t limit; /* submit at this many entries; <= capacity */
	uint32_t lazy; /* nesting depth of lazy mode */
	bool coalesce; /* off: every operation is its own entry (benchmarks) */
	bool submitting;
	struct pvb_guest_stats stats;
};

#endif /* PVBATCH_GUEST_H */
