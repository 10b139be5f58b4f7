/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - the way to the host: guest/core's transport and its surroundings.
 */
#ifndef DEMO_HOST_H
#define DEMO_HOST_H

#include <pvbatch/guest.h>

/* A CPU's batch buffer: room for 512 entries and, behind them, result bitmaps. */
#define HOST_BUFFER_PAGES 8U
#define HOST_BUFFER_BYTES (HOST_BUFFER_PAGES * (uint32_t)PVB_PAGE_SIZE)

/*
 * host_find() - decide on the doorbell, as options.doorbell says. Once, on CPU 0.
 * Returns the name of the doorbell in use, or NULL: no host answers.
 */
const char *host_find(void);

/* doorbell_find() - the platform's part of it: sets *@transport. */
const char *doorbell_find(struct pvb_transport *transport);

/* host_call() - one call by the doorbell in use; the result is sign-extended. */
int64_t host_call(enum pvb_call call, uint64_t a0, uint64_t a1);

/* host_buffers() - have a buffer for each of the first @cpus CPUs, unregistered. */
void host_buffers(uint32_t cpus);

/*
 * host_start() - negotiate @mode and give the first @cpus CPUs their buffers; each has its
 * struct pvb_cpu in struct cpu. PVB_MODE_DIRECT starts the library without a host.
 * False: the host does not offer this mode, and nothing is started.
 */
bool host_start(enum pvb_mode mode, uint32_t cpus);
/* host_stop() - undo it: queues submitted, buffers unregistered. */
void host_stop(void);

/* host_negotiate() - the raw call, filled in for this version; for probing and checking. */
int64_t host_negotiate(struct pvb_negotiate *neg, uint64_t features);
/* host_scratch() - 64-byte aligned memory for it. CPU 0. */
struct pvb_negotiate *host_scratch(void);

#endif /* DEMO_HOST_H */
