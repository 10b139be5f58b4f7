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
 *
 * When a change is there, by mode:
 *
 *   DIRECT       at once, in the guest's entry; the kernel flushes by its own means
 *   HOST_APPLY   in lazy mode: when the queue is submitted, at the latest when lazy
 *                mode is left; outside lazy mode: at once, by a call
 *   GUEST_APPLY  at once, in the guest's entry; the host hears of it at the latest with
 *                the TLB flush. The queue outlives lazy mode and the PTE lock, so the
 *                kernel calls pvb_lazy_flush() before what it runs can move to another
 *                CPU and before it loads another page-table root.
 */
#ifndef PVBATCH_GUEST_H
#define PVBATCH_GUEST_H

#include <pvbatch/atomic.h>
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
	/* The reverse for a PTE that was queued: where to write it directly (law 6). */
	uint64_t *(*pte_at)(pvb_gpa_t gpa);
	/*
	 * In a context that may have interrupted a queueing one? Then commits bypass the
	 * queue. NULL: no such context ever changes a PTE.
	 */
	bool (*in_interrupt)(void);
	/* Flush by the kernel's own means; used in direct mode and when the host cannot. */
	void (*flush)(enum pvb_flush type, uint32_t flags, pvb_gva_t va, uint32_t pages);
	/* Called once when the host's support is lost after negotiation. May be NULL. */
	void (*lost)(int64_t error);
	/*
	 * A commit found something but A and D changed since start (law 1): the entry was
	 * left as it is. @cur: what it holds. May be NULL; counted in any case.
	 */
	void (*conflict)(uint64_t *ptep, uint64_t old, uint64_t new, uint64_t cur);
	/*
	 * The host refuses to write @nr entries from @ptep on, for @status, and they have
	 * been left as they are. NULL: the library writes them directly (law 6), which is
	 * right wherever the guest can. On Xen PV it cannot: who refuses a batch refuses
	 * the direct write too, with a fault.
	 */
	void (*refused)(uint64_t *ptep, uint32_t nr, enum pvb_status status);
	/* Relaxations that the kernel consents to, if the host has them: PVB_F_DIRTY_AROUND. */
	uint64_t consents;
};

/* Why a queue was submitted (law 9). */
enum pvb_flush_reason {
	PVB_REASON_LEAVE, /* lazy mode left */
	PVB_REASON_FLUSH, /* lazy flush, or an entry read again */
	PVB_REASON_FULL, /* no room */
	PVB_REASON_TLB, /* a TLB flush took the queue along */
	PVB_REASON_EAGER, /* outside lazy mode: one at a time */
	PVB_REASON_RESULT, /* the caller waits for young and dirty bits */
	PVB_NR_REASONS
};

/*
 * Counters of one CPU. They add up whenever nothing is queued:
 *
 *   ops = entries + coalesced + unqueued
 *   ptes = applied + own + fallbacks + bypassed + direct + untouched
 *   calls = batches + partial + retries
 *   batches = sum(reasons) = sum(hist)
 */
struct pvb_guest_stats {
	uint64_t ops; /* operations handed in: a single PTE or a run */
	uint64_t ptes; /* PTEs handed in, runs counted by their length */
	uint64_t entries; /* entries submitted, each counted once */
	uint64_t coalesced; /* operations merged into the entry before them */
	uint64_t unqueued; /* operations that left nothing for the queue */
	uint64_t calls; /* PVB_CALL_SUBMIT issued for the queue */
	uint64_t batches; /* queues submitted, plain flushes included */
	uint64_t partial; /* calls answered PVB_SUBMIT_PARTIAL */
	uint64_t retries; /* calls repeated because the host asked for it */
	uint64_t applied; /* PTEs the host applied */
	uint64_t own; /* PTEs applied by the guest, for the host to synchronise */
	uint64_t synced; /* PTEs named to the host that it synchronised */
	uint64_t unsynced; /* PTEs named that it did not: pvb_guest_ops::flush instead */
	uint64_t carried; /* PTEs whose A or D the merge carried, whoever merged */
	uint64_t conflicts; /* entries that met a conflict */
	uint64_t untouched; /* PTEs left as they are: a conflict, or ops->refused */
	uint64_t fallbacks; /* PTEs written directly though a host was there */
	uint64_t bypassed; /* PTEs written directly from interrupt context */
	uint64_t direct; /* PTEs written directly because there is no host */
	uint64_t flushes; /* flushes that travelled in a call */
	uint64_t own_flushes; /* flushes done by pvb_guest_ops::flush */
	uint64_t irq_calls; /* calls issued for interrupt context, not part of calls */
	uint64_t reasons[PVB_NR_REASONS];
	uint64_t hist[PVB_HIST_BUCKETS]; /* batches by entries */
};

struct pvb_guest {
	const struct pvb_transport *transport;
	const struct pvb_guest_ops *ops;
	enum pvb_mode mode;
	uint64_t features;
	uint32_t version;
	uint32_t max_bytes;
	uint32_t lost; /* the callback has been made */
};

/*
 * struct pvb_ad_map - young and dirty bits of one page table, bit i for entry i of
 * the table (not of a run), as they were when the entries were exchanged.
 */
struct pvb_ad_map {
	uint64_t young[PVB_PTES_PER_TABLE / 64];
	uint64_t dirty[PVB_PTES_PER_TABLE / 64];
};

/* The entry at the end of the queue, as long as it can be extended. Private. */
struct pvb_run {
	uintptr_t next; /* address of the PTE that pvb_commit() may add; 0: none */
	uint64_t next_old; /* what its old should be, A and D as in the first */
	uint64_t delta; /* old ^ new of every PTE of the run */
	uint64_t mask; /* bits of old that have to match */
	uint64_t keep; /* A and D that all olds so far have in common */
	uintptr_t first; /* address of the first PTE */
	uintptr_t end; /* address behind the last PTE in entry->nr */
	struct pvb_entry *entry;
	bool single; /* handed in PTE by PTE: A and D of each are known */
};

/* One per CPU. Set coalesce and limit as you like while nothing is queued; the rest is private. */
struct pvb_cpu {
	struct pvb_run run;
	struct pvb_guest *guest;
	struct pvb_batch_hdr *buffer; /* the registered page(s) */
	enum pvb_mode mode; /* DIRECT also if this CPU has no buffer */
	uint32_t bytes; /* of the buffer */
	uint32_t capacity; /* entries that fit */
	uint32_t limit; /* submit at this many entries, 1..capacity */
	uint32_t nr; /* entries queued */
	uint32_t results; /* of these, with PVB_ENT_RESULT */
	uint32_t lazy; /* nesting depth of lazy mode */
	bool coalesce; /* off: every operation is its own entry (benchmarks) */
	bool submitting;
	uintptr_t low, high; /* all queued PTEs are in here, but that the run may reach beyond */
	struct pvb_ad_map *collect; /* where results go, between collect begin and end */
	struct pvb_mm_debug *debug; /* guest/mm's, in debug builds */
	struct pvb_guest_stats stats; /* read them with pvb_cpu_stats() */
	struct pvb_guest_stats irq_stats; /* the part counted in interrupt context */
};

/*
 * Setup. Errors are -PVB_E*. After an error the library is usable all the same: mode
 * is PVB_MODE_DIRECT, for the guest or for that CPU.
 */

/*
 * pvb_guest_init() - negotiate (law 8).
 * @wanted: PVB_MODE_HOST_APPLY or PVB_MODE_GUEST_APPLY; PVB_MODE_DIRECT asks nobody.
 * @scratch: 64-byte aligned memory with a gpa, used during the call only.
 */
int pvb_guest_init(struct pvb_guest *g, const struct pvb_transport *t,
		   const struct pvb_guest_ops *ops, enum pvb_mode wanted,
		   struct pvb_negotiate *scratch);

/*
 * pvb_cpu_init() - register this CPU's buffer. Runs on that CPU.
 * @buffer: page-aligned, physically contiguous, used by nobody else until pvb_cpu_exit();
 * NULL (queue memory missing) means direct writes on this CPU.
 * @bytes: a multiple of PVB_PAGE_SIZE, PVB_BUFFER_MIN up to what the host takes.
 */
int pvb_cpu_init(struct pvb_guest *g, struct pvb_cpu *c, void *buffer, uint32_t bytes);

/* pvb_cpu_exit() - submit what is queued, unregister. Runs on that CPU. */
void pvb_cpu_exit(struct pvb_cpu *c);

/* pvb_cpu_stats() - @c's counters up to now. On that CPU, or while it is quiet. */
void pvb_cpu_stats(struct pvb_cpu *c, struct pvb_guest_stats *out);

/*
 * Lazy mode. Enter and leave nest. Leaving the outermost level submits the queue in
 * host-apply mode; so it comes before the PTE lock is dropped. In interrupt context
 * all three do nothing.
 */
void pvb_lazy_enter(struct pvb_cpu *c);
void pvb_lazy_leave(struct pvb_cpu *c);
/* pvb_lazy_flush() - submit the queue now, in both modes, lazy or not. */
void pvb_lazy_flush(struct pvb_cpu *c);

/*
 * Transactions (law 3). start and commit pair exactly, under the PTE lock.
 */

/*
 * pvb_start() - begin a transaction: a plain read, no exit.
 *
 * The entry must not be in the queue (committed before in the same lazy section);
 * where it may be, start with pvb_read().
 */
static inline uint64_t pvb_start(const uint64_t *ptep)
{
	return pvb_load64(ptep);
}

/*
 * pvb_start_ptes() - begin a transaction over @nr >= 1 entries of one table: the first
 * entry with the union of the run's A and D bits (law 2).
 */
uint64_t pvb_start_ptes(const uint64_t *ptep, uint32_t nr);

/* Out-of-line part of pvb_commit(). */
int pvb_commit_one(struct pvb_cpu *c, uint64_t *ptep, uint64_t old, uint64_t new);
/* Bring the queue's last entry up to date with what pvb_commit() added to it. */
void pvb_run_close(struct pvb_cpu *c);

/*
 * pvb_commit() - end a transaction; in lazy mode the commit may be queued.
 * @old: what start returned; @new: what to store, under the A/D law (law 1).
 *
 * The body extends the run at the end of the queue: next slot, next PFN, same change.
 * Entries whose A and D the caller does not change may differ in them, the template
 * keeps what all have in common and the merge preserves the rest exactly.
 *
 * No test for interrupt context is needed here: in host-apply mode, the only one in
 * which run.next matches a commit, what is queued is under a lock that this CPU holds,
 * and no interrupt on it can hold that lock too.
 */
static inline void pvb_commit(struct pvb_cpu *c, uint64_t *ptep, uint64_t old, uint64_t new)
{
	struct pvb_run *run = &c->run;

	if (pvb_likely((uintptr_t)ptep == run->next && (old ^ new) == run->delta &&
		       !((old ^ run->next_old) & run->mask))) {
		run->keep &= old;
		run->next_old += PVB_PAGE_SIZE;
		run->next += sizeof(*ptep);
		if (pvb_likely(run->next & (PVB_PAGE_SIZE - 1)))
			return;
		pvb_run_close(c);
		return;
	}
	(void)pvb_commit_one(c, ptep, old, new);
}

/*
 * The following operate on @nr (1..512) entries of one page table from @ptep on and
 * return 0, or -PVB_EINVAL for a run that is empty, misaligned or leaves its table;
 * then nothing was written.
 */

/*
 * pvb_commit_run() - commit a run.
 * @old, @new: templates, advancing by PFN; @old as returned by pvb_start_ptes().
 * @soft: PVB_ENT_SOFT* bits in which the entries may differ from @old and which stay
 * as they are (law 1).
 */
int pvb_commit_run(struct pvb_cpu *c, uint64_t *ptep, uint64_t old, uint64_t new, uint32_t nr,
		   uint8_t soft);

static inline int pvb_commit_ptes(struct pvb_cpu *c, uint64_t *ptep, uint64_t old, uint64_t new,
				  uint32_t nr)
{
	return pvb_commit_run(c, ptep, old, new, nr, 0);
}

/*
 * pvb_set_ptes() - store a run whatever is there (usually: entries that were none).
 * @flags: 0, or PVB_ENT_FIXED: @new does not advance.
 */
int pvb_set_ptes(struct pvb_cpu *c, uint64_t *ptep, uint64_t new, uint32_t nr, uint8_t flags);

static inline int pvb_set(struct pvb_cpu *c, uint64_t *ptep, uint64_t new)
{
	return pvb_set_ptes(c, ptep, new, 1, 0);
}

/*
 * pvb_mask_ptes() - clear bits, then set bits, of each entry as it stands. Present
 * entries only: others stay as they are, and count as untouched. PFN bits: none, or
 * @clear = ~0 and @set = 0 (get-and-clear); else -PVB_EINVAL.
 */
int pvb_mask_ptes(struct pvb_cpu *c, uint64_t *ptep, uint64_t clear, uint64_t set, uint32_t nr);

/*
 * Young and dirty bits of what is exchanged. Between begin and end every
 * pvb_mask_ptes() on entries of one table reports into @map, which begin clears. end
 * submits, with a flush or PVB_FLUSH_NONE, and when it returns @map is complete and the
 * flush is done (law 4): no page counted as clean can still be written through an old
 * translation. No other operation in between, and not in interrupt context.
 */
void pvb_collect_begin(struct pvb_cpu *c, struct pvb_ad_map *map);
void pvb_collect_end(struct pvb_cpu *c, enum pvb_flush type, uint16_t flush_flags, pvb_gva_t va,
		     uint32_t pages);

/*
 * pvb_collect_pause() - put aside what is being collected, complete so far, so that
 * something else can be done in between; returns what resume takes. NULL: nothing is.
 */
struct pvb_ad_map *pvb_collect_pause(struct pvb_cpu *c);
void pvb_collect_resume(struct pvb_cpu *c, struct pvb_ad_map *map);

/* pvb_mask_ptes_ad() - one run, synchronous, no flush; @map as with pvb_collect_begin(). */
int pvb_mask_ptes_ad(struct pvb_cpu *c, uint64_t *ptep, uint64_t clear, uint64_t set, uint32_t nr,
		     struct pvb_ad_map *map);

/*
 * pvb_changed() - the caller has changed these entries itself (under the A/D law); the
 * host has to synchronise them, in guest-apply mode; in the others it knows.
 */
int pvb_changed(struct pvb_cpu *c, uint64_t *ptep, uint32_t nr);

/* Out-of-line part of pvb_drain_run(). */
void pvb_drain_queued(struct pvb_cpu *c, const uint64_t *ptep, uint32_t nr);

/* pvb_drain_run() - if any of @nr entries may be queued, submit the queue (law 3). */
static inline void pvb_drain_run(struct pvb_cpu *c, const uint64_t *ptep, uint32_t nr)
{
	uintptr_t first = (uintptr_t)ptep;

	/* Behind all that is queued, as in a walk; or before it. With nothing queued both. */
	if (pvb_likely(first >= c->high && first >= c->run.next) ||
	    first + nr * sizeof(*ptep) <= c->low)
		return;
	pvb_drain_queued(c, ptep, nr);
}

/* pvb_read() - read an entry that may be queued: then the queue goes first (law 3). */
static inline uint64_t pvb_read(struct pvb_cpu *c, const uint64_t *ptep)
{
	pvb_drain_run(c, ptep, 1);
	return pvb_load64(ptep);
}

/*
 * Flushes (law 4). The queue goes along: one call. When they return no CPU concerned
 * uses an old translation of what was committed before.
 * @flags: 0, or PVB_FLUSH_LOCAL for the calling CPU alone. @va: page-aligned.
 */
void pvb_flush_range(struct pvb_cpu *c, pvb_gva_t va, uint32_t pages, uint16_t flags);
void pvb_flush_all(struct pvb_cpu *c, uint16_t flags);

/*
 * pvb_submit() - submit the queue with a flush, looping over partial progress (law 5).
 *
 * When it returns everything queued has been applied, by the host or directly, but for
 * conflicts, and the flush is done. Returns 0, or the -PVB_E* for which it went the
 * direct way; -PVB_EBUSY inside a callback, and then nothing was done. Usually called
 * by what is above. Not in interrupt context.
 */
int64_t pvb_submit(struct pvb_cpu *c, enum pvb_flush_reason reason, enum pvb_flush type,
		   uint16_t flush_flags, pvb_gva_t va, uint32_t pages);

#endif /* PVBATCH_GUEST_H */
