/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests of guest/core and guest/mm - the in-process machine with the library on
 * its vCPUs: engine, backend and guest in one process.
 */
#ifndef CORE_MACHINE_H
#define CORE_MACHINE_H

#include <inproc/inproc.h>
#include <pvbatch/guest.h>

struct machine {
	struct pvb_inproc *host;
	struct pvb_guest g;
	struct pvb_cpu cpu[PVB_INPROC_VCPUS_MAX];
	uint64_t own_flushes;
};

/*
 * machine_open() - @nr_vcpus, negotiated for @mode by vCPU 0. Asserts on failure. One
 * machine at a time: the library's callbacks have no context.
 */
void machine_open(struct machine *m, enum pvb_mode mode, unsigned int nr_vcpus, uint64_t ram);
/* Register @bytes for vCPU @i; from then on its thread may use m->cpu[i]. */
void machine_start_cpu(struct machine *m, unsigned int i, uint32_t bytes);
void machine_close(struct machine *m);

#endif /* CORE_MACHINE_H */
