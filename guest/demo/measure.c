// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - measurements and their way out (machine.h).
 */
#include "measure.h"
#include "console.h"
#include "cpu.h"
#include "lib.h"
#include "platform.h"
#include "workload.h"

void measure_begin(struct measure *m, const char *workload, enum pvb_submit_mode mode,
		   uint32_t batch)
{
	struct pvb_cpu *c = &this_cpu()->pvb;

	m->record = (struct pvb_record){
		.mode = mode,
		.apply = c->mode == PVB_MODE_GUEST_APPLY,
		.batch = batch,
		.ps_per_pte_min = ~0ULL,
	};
	m->calls = 0;
	memcpy(m->record.workload, workload, strlen(workload));
	pvb_cpu_stats(c, &m->before);
	platform_mark();
}

void measure_round(struct measure *m, uint64_t cycles, uint64_t ptes)
{
	struct pvb_record *r = &m->record;
	/* cycles / (kHz * 1000) seconds, * 10^12, over ptes */
	uint64_t ps =
		machine.tsc_khz ? mul_div(cycles, 1000000000, (uint64_t)machine.tsc_khz * ptes) : 0;

	m->samples[r->rounds % MEASURE_SAMPLES] = ps;
	r->rounds++;
	r->ptes += ptes;
	if (ps < r->ps_per_pte_min)
		r->ps_per_pte_min = ps;
	if (ps > r->ps_per_pte_max)
		r->ps_per_pte_max = ps;
}

/* after - before, for all counters: struct pvb_guest_stats is an array of them. */
static void subtract(struct pvb_guest_stats *after, const struct pvb_guest_stats *before)
{
	uint64_t *a = (uint64_t *)after;
	const uint64_t *b = (const uint64_t *)before;

	for (size_t i = 0; i < sizeof(*after) / sizeof(*a); i++)
		a[i] -= b[i];
}

static const char *const mode_names[] = {
	[PVB_SUBMIT_PER_ENTRY] = "per-entry",
	[PVB_SUBMIT_BATCHED] = "batched",
	[PVB_SUBMIT_RANGE] = "range",
};

static const char *apply_name(const struct measure *m)
{
	if (m->calls)
		return "none";
	switch (this_cpu()->pvb.mode) {
	case PVB_MODE_HOST_APPLY:
		return "host";
	case PVB_MODE_GUEST_APPLY:
		return "guest";
	default:
		return "direct";
	}
}

void measure_end(struct measure *m)
{
	struct pvb_cpu *c = &this_cpu()->pvb;
	struct pvb_record *r = &m->record;
	uint32_t kept = r->rounds < MEASURE_SAMPLES ? r->rounds : MEASURE_SAMPLES;

	pvb_cpu_stats(c, &m->used);
	subtract(&m->used, &m->before);
	sort_u64(m->samples, kept);
	r->ps_per_pte_median = kept ? m->samples[kept / 2] : 0;
	if (!kept)
		r->ps_per_pte_min = 0;
	r->hypercalls = m->used.calls + m->calls;
	r->ad_merged = m->used.carried;
	r->conflicts = m->used.conflicts;
	/* apply=direct makes no calls, and is no mode of a batch: only the line below. */
	if (r->hypercalls)
		platform_record(r);

	say("%s apply=%s mode=%s batch=%u rounds=%u ptes=%lu hypercalls=%lu exits=%lu "
	    "ps_per_pte=%lu/%lu/%lu ad_merged=%lu ad_lost=%lu conflicts=%lu verified=%lu\n",
	    r->workload, apply_name(m), mode_names[r->mode], r->batch, r->rounds, r->ptes,
	    r->hypercalls, r->exits, r->ps_per_pte_min, r->ps_per_pte_median, r->ps_per_pte_max,
	    r->ad_merged, r->ad_lost, r->conflicts, r->verified);
}
