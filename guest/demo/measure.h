/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - one measurement: rounds timed by the TSC, counters of the library,
 * reported as a struct pvb_record and as a line on the console.
 */
#ifndef DEMO_MEASURE_H
#define DEMO_MEASURE_H

#include <pvbatch/guest.h>
#include <pvbatch/machine.h>

/* The median is over the last this many rounds; minimum and maximum over all. */
#define MEASURE_SAMPLES 1024U

struct measure {
	struct pvb_record record;
	uint64_t calls; /* made beside the library, by the workload itself */
	struct pvb_guest_stats before;
	struct pvb_guest_stats used; /* since measure_begin(), valid after measure_end() */
	uint64_t samples[MEASURE_SAMPLES]; /* picoseconds per PTE */
};

/*
 * measure_begin() - the VMM's counters and the calling CPU's library counters are noted.
 * Nothing may be printed until measure_end(): each line is an exit.
 */
void measure_begin(struct measure *m, const char *workload, enum pvb_submit_mode mode,
		   uint32_t batch);
/* measure_round() - one round took @cycles of the TSC for @ptes PTEs. */
void measure_round(struct measure *m, uint64_t cycles, uint64_t ptes);
/*
 * measure_end() - complete the record and report it. What the workload itself knows
 * (ad_lost, verified) is set in m->record before. The VMM fills in m->record.exits.
 */
void measure_end(struct measure *m);

#endif /* DEMO_MEASURE_H */
