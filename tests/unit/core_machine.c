// SPDX-License-Identifier: GPL-2.0-only
/* Stage: tests of guest/core and guest/mm - the machine. See core_machine.h. */
#include <assert.h>

#include "core_machine.h"

static struct machine *the_machine;
/* The vCPU that the calling thread is: transports of a guest share their functions. */
static _Thread_local struct pvb_inproc_vcpu *self;

static pvb_gpa_t gpa_of(const volatile void *ptr)
{
	return pvb_inproc_gpa_of(the_machine->host, ptr);
}

static uint64_t *pte_at(pvb_gpa_t gpa)
{
	return pvb_inproc_ptr(the_machine->host, gpa, sizeof(uint64_t), true);
}

/* The guest's own flush instructions, and its interrupts to the other CPUs. */
static void own_flush(enum pvb_flush type, uint32_t flags, pvb_gva_t va, uint32_t pages)
{
	struct pvb_inproc *host = the_machine->host;
	const struct pvb_flush_req req = { .type = type, .va = va, .pages = pages };

	__atomic_fetch_add(&the_machine->own_flushes, 1, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < host->config.nr_vcpus; i++) {
		if (!(flags & PVB_FLUSH_LOCAL) || &host->vcpus[i] == self)
			pvb_inproc_flush_vcpu(&host->vcpus[i], &req);
	}
}

static int64_t call(void *ctx, enum pvb_call nr, uint64_t a0, uint64_t a1)
{
	(void)ctx;
	return pvb_inproc_call(self, nr, a0, a1);
}

static const struct pvb_guest_ops ops = { .gpa_of = gpa_of, .pte_at = pte_at, .flush = own_flush };
static const struct pvb_transport transport = { .call = call };

void machine_open(struct machine *m, enum pvb_mode mode, unsigned int nr_vcpus, uint64_t ram)
{
	const struct pvb_inproc_config config = {
		.ram_bytes = ram,
		.nr_vcpus = nr_vcpus,
		.offered = PVB_F_ALL,
		.phys_bits = 40,
	};
	struct pvb_negotiate *scratch;
	int r;

	*m = (struct machine){ .host = pvb_inproc_create(&config) };
	assert(m->host);
	the_machine = m;
	self = &m->host->vcpus[0];
	scratch = pvb_inproc_ptr(m->host, pvb_inproc_alloc(m->host, 1), PVB_PAGE_SIZE, true);
	r = pvb_guest_init(&m->g, &transport, &ops, mode, scratch);
	assert(!r);
}

void machine_start_cpu(struct machine *m, unsigned int i, uint32_t bytes)
{
	pvb_gpa_t gpa = pvb_inproc_alloc(m->host, bytes / PVB_PAGE_SIZE);
	int r;

	self = &m->host->vcpus[i];
	r = pvb_cpu_init(&m->g, &m->cpu[i], pvb_inproc_ptr(m->host, gpa, bytes, true), bytes);
	assert(!r);
}

void machine_close(struct machine *m)
{
	pvb_inproc_destroy(m->host);
	the_machine = NULL;
}
