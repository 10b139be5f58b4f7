// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - recording batches, while somebody asks for it.
 *
 * Around the engine: what the guest submits and the PTEs it names are read before the call,
 * the answers after it. The engine decides by its own copy; the one made here only goes into
 * the record. vCPUs put records into one ring, the loop takes them out (control.c); a record
 * for which there is no room is counted, and the count goes into the stream.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vmm/internal.h>
#include <vmm/trace.h>

#define HDR_IN_BYTES offsetof(struct pvb_batch_hdr, status)
#define WAKE_BYTES (TRACE_RING_BYTES / 8)

static pvb_gpa_t after(pvb_gpa_t gpa, uint64_t bytes)
{
	return pvb_gpa(pvb_gpa_raw(gpa) + bytes);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* Under the lock; there is room. */
static void put(struct trace *trace, const void *src, size_t bytes)
{
	size_t at = trace->head % TRACE_RING_BYTES;
	size_t first = TRACE_RING_BYTES - at;

	if (first > bytes)
		first = bytes;
	memcpy(trace->ring + at, src, first);
	memcpy(trace->ring, (const char *)src + first, bytes - first);
	trace->head += bytes;
}

static bool fits(const struct trace *trace, size_t bytes)
{
	return TRACE_RING_BYTES - (trace->head - trace->tail) >= bytes;
}

static void put_count(struct trace *trace, enum trace_kind kind, uint64_t count)
{
	struct trace_count record = {
		.record = { .bytes = sizeof(record), .kind = (uint16_t)kind, .time_ns = now_ns() },
		.count = count
	};

	put(trace, &record, sizeof(record));
}

/* Under the lock: say what was dropped, if there is room for that and @bytes more. */
static bool make_room(struct trace *trace, size_t bytes)
{
	/* trace_end() must never be without room for two more. */
	if (!fits(trace, bytes + 3 * sizeof(struct trace_count)))
		return false;
	if (trace->dropped)
		put_count(trace, TRACE_DROPPED, trace->dropped);
	trace->dropped = 0;
	return true;
}

/* A record of a vCPU. Returns whether the loop should look. */
static bool push(struct trace *trace, const struct trace_batch *batch)
{
	bool wake = false;
	size_t used;

	pthread_mutex_lock(&trace->lock);
	if (trace->ring && !trace->ended) {
		used = trace->head - trace->tail;
		if (make_room(trace, batch->record.bytes)) {
			put(trace, batch, batch->record.bytes);
			trace->batches++;
		} else {
			trace->dropped++;
		}
		wake = used < WAKE_BYTES && trace->head - trace->tail >= WAKE_BYTES;
	}
	pthread_mutex_unlock(&trace->lock);
	return wake;
}

struct ptes {
	struct trace_ptes *runs;
	uint32_t nr, max;
	bool full;
};

static void add_pte(struct ptes *ptes, uint64_t value, bool there)
{
	struct trace_ptes *run = ptes->nr ? &ptes->runs[ptes->nr - 1] : NULL;
	uint32_t how = there ? TRACE_PTES_SAME : TRACE_PTES_NONE;

	if (run && there && run->nr == 1 && run->how == TRACE_PTES_SAME &&
	    value == run->first + PVB_PAGE_SIZE)
		run->how = TRACE_PTES_PFN;
	if (run &&
	    (run->how == TRACE_PTES_PFN ? there && value == run->first + run->nr * PVB_PAGE_SIZE :
					  run->how == how && run->first == value)) {
		run->nr++;
		return;
	}
	if (ptes->nr == ptes->max) {
		ptes->full = true;
		return;
	}
	ptes->runs[ptes->nr++] = (struct trace_ptes){ .first = value, .nr = 1, .how = how };
}

static void add_entry(const struct vm *vm, const struct pvb_entry *entry, struct ptes *ptes)
{
	for (uint32_t i = 0; i < entry->nr && !ptes->full; i++) {
		pvb_gpa_t gpa = pvb_gpa(entry->pte_gpa + i * 8ULL);
		uint64_t *pte = entry->pte_gpa % 8 ? NULL : memory_at(&vm->memory, gpa, 8);

		add_pte(ptes, pte ? __atomic_load_n(pte, __ATOMIC_RELAXED) : 0, pte != NULL);
	}
}

/* Before the call: the header, the entries, the PTEs. */
static void record_before(struct vcpu *vcpu, struct trace_batch *batch, bool entries)
{
	const struct vm *vm = vcpu->vm;
	struct pvb_batch_hdr *hdr = &batch->hdr;
	struct pvb_entry *entry = (struct pvb_entry *)(batch + 1);
	struct ptes ptes = { .max = TRACE_MAX_RUNS };
	pvb_gpa_t at = vcpu->engine.buffer;

	memset(batch, 0, sizeof(*batch));
	batch->record.kind = TRACE_BATCH;
	batch->record.vcpu = (uint16_t)vcpu->index;
	batch->features = __atomic_load_n(&vm->engine.features, __ATOMIC_RELAXED);
	batch->buffer_bytes = vcpu->engine.bytes;
	if (!vcpu->engine.bytes || memory_read(&vm->memory, at, hdr, HDR_IN_BYTES))
		return;
	if (!entries || hdr->start > hdr->nr || hdr->nr > PVB_MAX_ENTRIES(vcpu->engine.bytes))
		return;
	at = after(at, sizeof(*hdr) + hdr->start * sizeof(*entry));
	if (memory_read(&vm->memory, at, entry, (hdr->nr - hdr->start) * sizeof(*entry)))
		return;
	batch->nr_entries = hdr->nr - hdr->start;
	batch->flags = TRACE_ENTRIES;
	ptes.runs = (struct trace_ptes *)(entry + batch->nr_entries);
	for (uint32_t i = 0; i < batch->nr_entries && !ptes.full; i++)
		if (trace_has_ptes(&entry[i]))
			add_entry(vm, &entry[i], &ptes);
	if (ptes.full)
		return;
	batch->flags |= TRACE_PTES;
	batch->nr_runs = ptes.nr;
}

/* After it: the answers. */
static void record_after(struct vcpu *vcpu, struct trace_batch *batch, int64_t result)
{
	const struct memory *mem = &vcpu->vm->memory;
	struct pvb_batch_hdr *hdr = &batch->hdr;
	struct pvb_entry *entry = (struct pvb_entry *)(batch + 1);
	pvb_gpa_t at = vcpu->engine.buffer;

	batch->result = (int32_t)result;
	batch->record.bytes = (uint32_t)(sizeof(*batch) + batch->nr_entries * sizeof(*entry) +
					 batch->nr_runs * sizeof(struct trace_ptes));
	if (!vcpu->engine.bytes)
		return;
	memory_read(mem, after(at, HDR_IN_BYTES), &hdr->status, sizeof(*hdr) - HDR_IN_BYTES);
	at = after(at,
		   sizeof(*hdr) + hdr->start * sizeof(*entry) + offsetof(struct pvb_entry, answer));
	for (uint32_t i = 0; i < batch->nr_entries; i++) {
		memory_read(mem, at, &entry[i].answer, sizeof(entry[i].answer));
		at = after(at, sizeof(*entry));
	}
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
		trace->dropped++;
		pthread_mutex_unlock(&trace->lock);
		/* Tracing is what goes without memory, not the guest. */
		return pvb_engine_call(&vcpu->engine, PVB_CALL_SUBMIT, 0, 0, 0);
	}
	record_before(vcpu, batch, entries);
	begin = now_ns();
	result = pvb_engine_call(&vcpu->engine, PVB_CALL_SUBMIT, 0, 0, 0);
	end = now_ns();
	batch->record.time_ns = begin;
	batch->duration_ns = end - begin > UINT32_MAX ? UINT32_MAX : (uint32_t)(end - begin);
	record_after(vcpu, batch, result);
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
	char *ring = trace->ring ? NULL : malloc(TRACE_RING_BYTES);

	if (!ring)
		return false;
	if (name)
		strncpy(machine.name, name, sizeof(machine.name) - 1);
	pthread_mutex_lock(&trace->lock);
	trace->ring = ring;
	trace->head = trace->tail = 0;
	trace->batches = trace->dropped = 0;
	trace->ended = false;
	put(trace, &machine, sizeof(machine));
	pthread_mutex_unlock(&trace->lock);
	atomic_store(&trace->mode, mode);
	return true;
}

size_t trace_peek(struct trace *trace, const char **src)
{
	size_t at, bytes;

	pthread_mutex_lock(&trace->lock);
	at = trace->tail % TRACE_RING_BYTES;
	bytes = trace->head - trace->tail;
	pthread_mutex_unlock(&trace->lock);
	*src = trace->ring + at;
	return bytes < TRACE_RING_BYTES - at ? bytes : TRACE_RING_BYTES - at;
}

void trace_taken(struct trace *trace, size_t bytes)
{
	pthread_mutex_lock(&trace->lock);
	trace->tail += bytes;
	pthread_mutex_unlock(&trace->lock);
}

void trace_end(struct trace *trace)
{
	atomic_store(&trace->mode, TRACE_OFF);
	pthread_mutex_lock(&trace->lock);
	if (trace->dropped)
		put_count(trace, TRACE_DROPPED, trace->dropped);
	trace->dropped = 0;
	put_count(trace, TRACE_END, trace->batches);
	/* A vCPU that is recording right now comes too late. */
	trace->ended = true;
	pthread_mutex_unlock(&trace->lock);
}

void trace_stop(struct trace *trace)
{
	char *ring;

	atomic_store(&trace->mode, TRACE_OFF);
	pthread_mutex_lock(&trace->lock);
	ring = trace->ring;
	trace->ring = NULL;
	pthread_mutex_unlock(&trace->lock);
	free(ring);
}
