// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - selfcheck: guest/core on a real CPU with real interrupts, the
 * counters of both sides, and what an empty call costs.
 */
#include "console.h"
#include "cpu.h"
#include "host.h"
#include "lib.h"
#include "measure.h"
#include "mm.h"
#include "selfcheck.h"

#define NOP_CALLS 64

void check_nop(void)
{
	static struct measure m;
	int64_t result = 0;

	measure_begin(&m, "nop", PVB_SUBMIT_PER_ENTRY, 0);
	m.calls = NOP_CALLS;
	for (uint32_t i = 0; i < NOP_CALLS; i++) {
		uint64_t start = rdtsc();

		result |= host_call(PVB_CALL_NOP, 0, 0);
		measure_round(&m, rdtsc() - start, 1);
	}
	measure_end(&m);
	check(!result, "nop: result %ld", result);
}

static bool host_stats(struct pvb_host_stats *stats)
{
	int64_t result = host_call(PVB_CALL_STATS, (uint64_t)stats, sizeof(*stats));
	uint64_t batches = 0;

	if (!check(!result, "stats: result %ld", result))
		return false;
	for (uint32_t i = 0; i < PVB_HIST_BUCKETS; i++)
		batches += stats->hist[i];
	check(stats->calls == stats->batches + stats->partial + stats->failed,
	      "stats: %lu calls, but %lu batches, %lu partial, %lu failed", stats->calls,
	      stats->batches, stats->partial, stats->failed);
	check(batches == stats->batches, "stats: %lu batches, the histogram has %lu",
	      stats->batches, batches);
	return true;
}

void check_host_stats(void)
{
	static struct pvb_host_stats stats;
	struct raw_totals *t = &raw_totals;
	int64_t result;

	if (!host_stats(&stats))
		return;
	check(stats.calls == t->calls && stats.failed == t->failed && stats.partial == t->partial,
	      "stats: calls %lu, failed %lu, partial %lu; the guest counts %lu, %lu, %lu",
	      stats.calls, stats.failed, stats.partial, t->calls, t->failed, t->partial);
	check(stats.applied == t->applied && stats.conflicts == t->conflicts &&
		      stats.refused == t->refused,
	      "stats: applied %lu, conflicts %lu, refused %lu; the guest counts %lu, %lu, %lu",
	      stats.applied, stats.conflicts, stats.refused, t->applied, t->conflicts, t->refused);
	result = host_call(PVB_CALL_STATS, (uint64_t)&stats, sizeof(stats) - 8);
	check(result == -PVB_EINVAL, "stats, too short: result %ld", result);
	result = host_call(PVB_CALL_STATS, mm_ram_bytes(), sizeof(stats));
	check(result == -PVB_EFAULT, "stats, beyond RAM: result %ld", result);
}

static void to_read_only(uint32_t slot)
{
	uint64_t *pte = &check_ptes()[slot];
	uint64_t old = pvb_start(pte);

	pvb_commit(&this_cpu()->pvb, pte, old, old & ~PVB_PTE_W);
}

static bool is_writable(uint32_t slot)
{
	return ((const volatile uint64_t *)check_ptes())[slot] & PVB_PTE_W;
}

static volatile bool interrupted;

/* In lazy mode, out of an interrupt: past the queue, at once (pvb_guest_ops::in_interrupt). */
static void change_in_interrupt(void)
{
	to_read_only(20);
	check(!is_writable(20), "interrupt: the commit was not done at once");
	interrupted = true;
}

static void check_interrupt(void)
{
	struct pvb_cpu *c = &this_cpu()->pvb;
	bool host_applies = c->mode == PVB_MODE_HOST_APPLY;

	check_reset();
	interrupted = false;
	this_cpu()->self_irq = change_in_interrupt;
	pvb_lazy_enter(c);
	to_read_only(10);
	to_read_only(11);
	apic_ipi(ICR_SELF | VEC_SELF);
	for (uint32_t i = 0; !interrupted && i < 1000000; i++)
		cpu_relax();
	check(interrupted, "interrupt: it did not arrive");
	if (host_applies)
		check(is_writable(10) && is_writable(11), "interrupt: it took the queue along");
	to_read_only(12);
	pvb_flush_range(c, pvb_gva(mm_work_va(0)), PVB_PTES_PER_TABLE, 0);
	pvb_lazy_leave(c);
	this_cpu()->self_irq = NULL;
	for (uint32_t i = 0; i < 32; i++)
		check(is_writable(i) == !((i >= 10 && i <= 12) || i == 20),
		      "interrupt: PTE %u is 0x%lx", i, check_ptes()[i]);
}

/* A conflict reaches the kernel as an untouched entry, not as a store. */
static void check_conflict(void)
{
	struct pvb_cpu *c = &this_cpu()->pvb;
	uint64_t *ptes = check_ptes();
	uint64_t old;

	check_reset();
	pvb_lazy_enter(c);
	to_read_only(1);
	old = pvb_start(&ptes[2]);
	ptes[2] |= PVB_PTE_SOFT0; /* somebody has not taken the lock */
	pvb_commit(c, &ptes[2], old, old & ~PVB_PTE_W);
	to_read_only(3);
	pvb_flush_range(c, pvb_gva(mm_work_va(0)), PVB_PTES_PER_TABLE, 0);
	pvb_lazy_leave(c);
	check(!is_writable(1) && ptes[2] == (old | PVB_PTE_SOFT0) && !is_writable(3),
	      "conflict: PTEs are 0x%lx 0x%lx 0x%lx", ptes[1], ptes[2], ptes[3]);
}

static void check_guest_stats(const struct pvb_guest_stats *s, uint64_t behind)
{
	uint64_t reasons = 0, hist = 0;

	for (uint32_t i = 0; i < PVB_NR_REASONS; i++)
		reasons += s->reasons[i];
	for (uint32_t i = 0; i < PVB_HIST_BUCKETS; i++)
		hist += s->hist[i];
	check(s->ptes ==
		      s->applied + s->own + s->fallbacks + s->bypassed + s->direct + s->untouched,
	      "library: %lu PTEs, but applied %lu, own %lu, fallbacks %lu, bypassed %lu", s->ptes,
	      s->applied, s->own, s->fallbacks, s->bypassed);
	check(s->calls == s->batches + s->partial + s->retries,
	      "library: %lu calls, but %lu batches, %lu partial, %lu retries", s->calls, s->batches,
	      s->partial, s->retries);
	check(s->batches == reasons && s->batches == hist,
	      "library: %lu batches, %lu by reason, %lu by size", s->batches, reasons, hist);
	check(s->bypassed == 1 && s->untouched == 1 && s->conflicts == 1,
	      "library: bypassed %lu, untouched %lu, conflicts %lu; one each expected", s->bypassed,
	      s->untouched, s->conflicts);
	/* What the host leaves behind the conflict in a run, the library writes itself (law 2). */
	check(s->fallbacks == behind && !s->direct, "library: fallbacks %lu, direct %lu",
	      s->fallbacks, s->direct);
}

void check_library(void)
{
	static struct pvb_host_stats before, after;
	struct pvb_cpu *c = &this_cpu()->pvb;
	struct pvb_guest_stats guest;

	if (c->mode == PVB_MODE_DIRECT || !host_stats(&before))
		return;
	check_interrupt();
	check_conflict();
	pvb_cpu_stats(c, &guest);
	check_guest_stats(&guest, c->mode == PVB_MODE_HOST_APPLY);
	if (!host_stats(&after))
		return;
	check(after.calls - before.calls == guest.calls + guest.irq_calls,
	      "counters: the host counts %lu calls, the guest %lu and %lu in interrupts",
	      after.calls - before.calls, guest.calls, guest.irq_calls);
	check(after.applied - before.applied >= guest.applied + guest.synced,
	      "counters: the host applied %lu PTEs, the guest knows of %lu and %lu synchronised",
	      after.applied - before.applied, guest.applied, guest.synced);
}
