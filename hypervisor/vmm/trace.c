// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - recording batches, while somebody asks for it.
 *
 * hypervisor/record makes the records, around the engine's call. vCPUs put them into one ring,
 * the loop takes them out (control.c).
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vmm/internal.h>

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* A record of a vCPU. Returns whether the loop should look. */
static bool push(struct trace *trace, const struct trace_batch *batch)
{
	struct pvb_ring *ring = &trace->ring;
	bool wake = false;
	uint64_t used;

	pthread_mutex_lock(&trace->lock);
	if (ring->data && !ring->ended) {
		used = pvb_ring_used(ring);
		pvb_ring_put(ring, batch, batch->record.time_ns);
		wake = used < pvb_ring_wake_bytes(ring) &&
		       pvb_ring_used(ring) >= pvb_ring_wake_bytes(ring);
	}
	pthread_mutex_unlock(&trace->lock);
	return wake;
}

static bool read_ptes(void *ctx, pvb_gpa_t gpa, uint64_t *ptes, uint32_t nr)
{
	const struct vcpu *vcpu = ctx;
	const uint64_t *at = memory_at(&vcpu->vm->memory, gpa, nr * 8ULL);

	for (uint32_t i = 0; at && i < nr; i++)
		ptes[i] = __atomic_load_n(&at[i], __ATOMIC_RELAXED);
	return at != NULL;
}

int64_t trace_submit(struct vcpu *vcpu)
{
	struct trace *trace = &vcpu->vm->trace;
	bool entries = atomic_load_explicit(&trace->mode, memory_order_relaxed) == TRACE_ON_ENTRIES;
	struct trace_batch *batch;
	uint64_t begin, end;
	int64_t result;

	if (!vcpu->trace)
		vcpu->trace = malloc(TRACE_MAX_BYTES);
	batch = vcpu->trace;
	if (!batch) {
		pthread_mutex_lock(&trace->lock);
		trace->ring.dropped++;
		pthread_mutex_unlock(&trace->lock);
		/* Tracing is what goes without memory, not the guest. */
		return pvb_engine_call(&vcpu->engine, PVB_CALL_SUBMIT, 0, 0, 0);
	}
	pvb_record_before(&vcpu->engine, batch, entries, read_ptes);
	begin = now_ns();
	result = pvb_engine_call(&vcpu->engine, PVB_CALL_SUBMIT, 0, 0, 0);
	end = now_ns();
	batch->record.time_ns = begin;
	batch->duration_ns = end - begin > UINT32_MAX ? UINT32_MAX : (uint32_t)(end - begin);
	batch->record.vcpu = (uint16_t)vcpu->index;
	pvb_record_after(&vcpu->engine, batch, result);
	if (push(trace, batch))
		vm_wake_loop(vcpu->vm);
	return result;
}

bool trace_start(struct vm *vm, enum trace_mode mode)
{
	struct trace *trace = &vm->trace;
	struct trace_machine machine = {
		.record = { .bytes = sizeof(machine), .kind = TRACE_MACHINE, .time_ns = now_ns() },
		.version = TRACE_VERSION,
		.phys_bits = vm->phys_bits,
		.max_work = vm->engine.max_work,
		.vcpus = vm->nr_vcpus
	};
	const char *name = vm->config->name;
	char *ring = trace->ring.data ? NULL : malloc(TRACE_RING_BYTES);

	if (!ring)
		return false;
	if (name)
		strncpy(machine.name, name, sizeof(machine.name) - 1);
	pthread_mutex_lock(&trace->lock);
	pvb_ring_begin(&trace->ring, ring, TRACE_RING_BYTES, &machine);
	pthread_mutex_unlock(&trace->lock);
	atomic_store(&trace->mode, mode);
	return true;
}

size_t trace_peek(struct trace *trace, const char **src)
{
	size_t bytes;

	pthread_mutex_lock(&trace->lock);
	bytes = pvb_ring_peek(&trace->ring, src);
	pthread_mutex_unlock(&trace->lock);
	return bytes;
}

void trace_taken(struct trace *trace, size_t bytes)
{
	pthread_mutex_lock(&trace->lock);
	trace->ring.tail += bytes;
	pthread_mutex_unlock(&trace->lock);
}

void trace_end(struct trace *trace)
{
	atomic_store(&trace->mode, TRACE_OFF);
	pthread_mutex_lock(&trace->lock);
	pvb_ring_end(&trace->ring, now_ns());
	pthread_mutex_unlock(&trace->lock);
}

void trace_stop(struct trace *trace)
{
	char *ring;

	atomic_store(&trace->mode, TRACE_OFF);
	pthread_mutex_lock(&trace->lock);
	ring = trace->ring.data;
	trace->ring.data = NULL;
	pthread_mutex_unlock(&trace->lock);
	free(ring);
}
