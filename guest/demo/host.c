// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - what guest/core needs from a kernel. The same for every kernel that
 * embeds it, so this file is also the example of how to do that. Neighbours: guest/core
 * above, the doorbell (doorbell.c, xen/host.c) below.
 */
#include "host.h"
#include "console.h"
#include "cpu.h"
#include "mm.h"
#include "options.h"
#include "platform.h"
#include "smp.h"

static struct pvb_guest guest;
static struct pvb_negotiate scratch __attribute__((aligned(64)));
static uint32_t started_cpus;

static struct pvb_transport doorbell;
static struct pvb_transport transport; /* what the library gets: the doorbell, or a planted bug */

int64_t host_call(enum pvb_call call, uint64_t a0, uint64_t a1)
{
	return doorbell.call(doorbell.ctx, call, a0, a1);
}

struct pvb_negotiate *host_scratch(void)
{
	return &scratch;
}

int64_t host_negotiate(struct pvb_negotiate *neg, uint64_t features)
{
	*neg = (struct pvb_negotiate){
		.magic = PVB_NEGOTIATE_MAGIC,
		.size = sizeof(*neg),
		.pte_format = PVB_PTE_FORMAT,
		.version_min = PVB_VERSION,
		.version_max = PVB_VERSION,
		.features_wanted = features,
	};
	return host_call(PVB_CALL_NEGOTIATE, pvb_gpa_raw(platform_gpa(neg)), 0);
}

/*
 * What law 4 forbids, to prove that the race's audit sees it: batches lose their flush on
 * the way, and nobody is told.
 */
static int64_t unflushed_call(void *ctx, enum pvb_call call, uint64_t a0, uint64_t a1)
{
	struct pvb_batch_hdr *hdr = this_cpu()->buffer;

	if (call == PVB_CALL_SUBMIT) {
		hdr->flush = PVB_FLUSH_NONE;
		hdr->flush_flags = 0;
		hdr->flush_pages = 0;
		hdr->flush_va = 0;
	}
	return doorbell.call(ctx, call, a0, a1);
}

const char *host_find(void)
{
	const char *name = doorbell_find(&doorbell);

	transport = doorbell;
	if (options.plant == PLANT_NO_FLUSH)
		transport.call = unflushed_call;
	return name;
}

static bool in_interrupt(void)
{
	return this_cpu()->irq_depth > 0;
}

static void lost(int64_t error)
{
	say("host lost: %ld\n", error);
}

static const struct pvb_guest_ops ops = {
	.gpa_of = platform_gpa,
	.pte_at = platform_pte,
	.in_interrupt = in_interrupt,
	.flush = smp_flush,
	.lost = lost,
	.refused = PLATFORM_REFUSED,
};

static int32_t start_error;

static void start_cpu(void)
{
	struct cpu *cpu = this_cpu();
	int error;

	error = pvb_cpu_init(&guest, &cpu->pvb, cpu->buffer, HOST_BUFFER_BYTES);
	if (error)
		__atomic_store_n(&start_error, error, __ATOMIC_RELAXED);
}

static void stop_cpu(void)
{
	pvb_cpu_exit(&this_cpu()->pvb);
}

static void on_started_cpus(void (*fn)(void))
{
	fn();
	if (started_cpus > 1) {
		smp_start(started_cpus, fn);
		smp_wait();
	}
}

void host_buffers(uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		if (!cpus[i].buffer)
			cpus[i].buffer = mm_alloc(HOST_BUFFER_PAGES);
	}
}

bool host_start(enum pvb_mode mode, uint32_t nr)
{
	/* A mode that is not offered leaves the library in PVB_MODE_DIRECT. */
	if (pvb_guest_init(&guest, &transport, &ops, mode, &scratch) || guest.mode != mode)
		return false;
	host_buffers(nr);
	started_cpus = nr;
	start_error = 0;
	on_started_cpus(start_cpu);
	if (start_error && mode != PVB_MODE_DIRECT)
		demo_die(EXIT_CHECK_FAILED, "registering a buffer: %d\n", start_error);
	return true;
}

void host_stop(void)
{
	on_started_cpus(stop_cpu);
	started_cpus = 0;
}
