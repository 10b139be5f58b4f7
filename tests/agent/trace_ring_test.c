// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the VMM's recording of batches, with two vCPUs that submit and a reader that
 * is slow: under TSan. Nothing is lost silently: what was submitted is in the stream or in
 * its count of what was dropped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <agent/trace_file.h>
#include <vmm/internal.h>

#define RAM (4ULL << 20)
#define BUFFER(vcpu) (0x10000ULL + (vcpu)*0x1000ULL)
#define TABLE(vcpu) (0x20000ULL + (vcpu)*0x1000ULL)
#define VCPUS 2
#define CALLS 16000U /* more than the ring holds */
#define STREAM_BYTES (64UL << 20)

/* What trace.c and the engine need of the rest of the VMM. */
void vm_wake_loop(struct vm *vm)
{
	(void)vm;
}

static int read_guest(void *ctx, pvb_gpa_t gpa, void *dst, uint32_t bytes)
{
	const struct vcpu *vcpu = ctx;

	return memory_read(&vcpu->vm->memory, gpa, dst, bytes);
}

static int write_guest(void *ctx, pvb_gpa_t gpa, const void *src, uint32_t bytes)
{
	const struct vcpu *vcpu = ctx;

	return memory_write(&vcpu->vm->memory, gpa, src, bytes);
}

static enum pvb_status map_table(void *ctx, pvb_gpa_t table, uint64_t **ptes)
{
	const struct vcpu *vcpu = ctx;

	*ptes = memory_at(&vcpu->vm->memory, table, PVB_PAGE_SIZE);
	return *ptes ? PVB_ST_OK : PVB_ST_BAD_GPA;
}

static void unmap_table(void *ctx, pvb_gpa_t table, uint64_t *ptes)
{
	(void)ctx;
	(void)table;
	(void)ptes;
}

static void flush(void *ctx, const struct pvb_flush_req *req)
{
	(void)ctx;
	(void)req;
}

static const struct pvb_backend backend = {
	.read_guest = read_guest,
	.write_guest = write_guest,
	.map_table = map_table,
	.unmap_table = unmap_table,
	.flush = flush,
};

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static struct vmm_config config = { .name = "ring" };

static int setup(void **state)
{
	struct vmm_error error;

	(void)state;
	if (memory_create(&vm.memory, RAM, &error))
		return -1;
	pthread_mutex_init(&vm.trace.lock, NULL);
	vm.config = &config;
	vm.phys_bits = 36;
	vm.nr_vcpus = VCPUS;
	vm.vcpus = vcpus;
	if (pvb_engine_vm_init(&vm.engine, &backend, PVB_F_HOST_APPLY | PVB_F_FLUSH, 36))
		return -1;
	vm.engine.version = PVB_VERSION;
	vm.engine.features = PVB_F_HOST_APPLY | PVB_F_FLUSH;
	for (unsigned int i = 0; i < VCPUS; i++) {
		vcpus[i].vm = &vm;
		vcpus[i].index = i;
		pvb_engine_vcpu_init(&vcpus[i].engine, &vm.engine, &vcpus[i]);
		vcpus[i].engine.buffer = pvb_gpa(BUFFER(i));
		vcpus[i].engine.bytes = PVB_BUFFER_MIN;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < VCPUS; i++)
		free(vcpus[i].trace);
	memory_destroy(&vm.memory);
	return 0;
}

/* A guest's vCPU: one commit of 64 pages, to and fro. */
static void *guest(void *arg)
{
	struct vcpu *vcpu = arg;
	struct pvb_batch_hdr *hdr = memory_at(&vm.memory, pvb_gpa(BUFFER(vcpu->index)), 4096);
	uint64_t *table = memory_at(&vm.memory, pvb_gpa(TABLE(vcpu->index)), 4096);
	struct pvb_entry *entry = (struct pvb_entry *)(hdr + 1);

	for (uint64_t i = 0; i < 64; i++)
		table[i] = (0x100 + i) << PVB_PAGE_SHIFT | PVB_PTE_P | PVB_PTE_W;
	for (unsigned int call = 0; call < CALLS; call++) {
		*hdr = (struct pvb_batch_hdr){ .version = PVB_VERSION, .nr = 1 };
		*entry = (struct pvb_entry){ .pte_gpa = TABLE(vcpu->index),
					     .old = table[0],
					     .new = table[0] ^ PVB_PTE_W,
					     .nr = 64,
					     .op = PVB_OP_COMMIT };
		if (trace_submit(vcpu) || hdr->applied != 64)
			return "the engine did not apply a batch";
	}
	return NULL;
}

struct reader {
	atomic_bool over;
	uint8_t *stream;
	size_t bytes;
	bool slow;
};

static void take(struct reader *reader)
{
	const char *src;
	size_t bytes = trace_peek(&vm.trace, &src);

	if (reader->slow)
		bytes = 0;
	memcpy(reader->stream + reader->bytes, src, bytes);
	reader->bytes += bytes;
	trace_taken(&vm.trace, bytes);
}

static void *read_stream(void *arg)
{
	struct reader *reader = arg;

	while (!atomic_load(&reader->over))
		take(reader);
	return NULL;
}

static void run(enum trace_mode mode, bool slow)
{
	struct reader reader = { .slow = slow };
	uint64_t batches = 0, dropped = 0, said = 0;
	pthread_t threads[VCPUS], thread;
	void *failed;
	const char *src;

	reader.stream = malloc(STREAM_BYTES);
	assert_non_null(reader.stream);
	assert_true(trace_start(&vm, mode));
	assert_false(trace_start(&vm, mode)); /* one at a time */
	pthread_create(&thread, NULL, read_stream, &reader);
	for (unsigned int i = 0; i < VCPUS; i++)
		pthread_create(&threads[i], NULL, guest, &vcpus[i]);
	for (unsigned int i = 0; i < VCPUS; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	trace_end(&vm.trace);
	assert_int_equal(trace_submit(&vcpus[0]), 0); /* too late: not in the stream */
	atomic_store(&reader.over, true);
	pthread_join(thread, NULL);
	reader.slow = false;
	while (trace_peek(&vm.trace, &src))
		take(&reader);
	trace_stop(&vm.trace);
	for (size_t at = 0; at < reader.bytes;) {
		const struct trace_record *record = (const void *)(reader.stream + at);

		assert_true(trace_record_good(record, reader.bytes - at));
		assert_int_equal(record->kind == TRACE_MACHINE, at == 0);
		batches += record->kind == TRACE_BATCH;
		if (record->kind == TRACE_DROPPED)
			dropped += ((const struct trace_count *)record)->count;
		if (record->kind == TRACE_END)
			said = ((const struct trace_count *)record)->count;
		at += record->bytes;
		assert_int_equal(record->kind == TRACE_END, at == reader.bytes);
	}
	free(reader.stream);
	assert_int_equal(batches + dropped, VCPUS * CALLS);
	assert_int_equal(batches, said);
	if (slow)
		assert_true(dropped > 0);
}

static void fast(void **state)
{
	(void)state;
	run(TRACE_ON_ENTRIES, false);
}

static void slow(void **state)
{
	(void)state;
	run(TRACE_ON_ENTRIES, true);
}

static void headers(void **state)
{
	(void)state;
	run(TRACE_ON_BATCHES, false);
}

/* A guest that asks for a header, entries and PTEs that are not there. */
static void hostile(void **state)
{
	struct pvb_batch_hdr *hdr = memory_at(&vm.memory, pvb_gpa(BUFFER(0)), 4096);
	struct pvb_entry *entry = (struct pvb_entry *)(hdr + 1);
	static uint8_t records[2 * TRACE_MAX_BYTES] __attribute__((aligned(8)));
	size_t filled = 0, bytes;
	unsigned int seen = 0;
	const char *src;

	(void)state;
	assert_true(trace_start(&vm, TRACE_ON_ENTRIES));
	srand(1);
	for (unsigned int round = 0; round < 3000; round++) {
		uint8_t *raw = (uint8_t *)hdr;

		for (size_t i = 0; i < 512; i++)
			raw[i] = (uint8_t)rand();
		*hdr = (struct pvb_batch_hdr){ .version = PVB_VERSION, .nr = round % 128 };
		hdr->start = (uint32_t)rand() % 16 ? 0 : (uint32_t)rand();
		if (round % 2)
			entry->pte_gpa = RAM - (uint64_t)(rand() % 64);
		trace_submit(&vcpus[0]);
		/* In two parts where the ring ends. */
		while ((bytes = trace_peek(&vm.trace, &src))) {
			assert_true(filled + bytes <= sizeof(records));
			memcpy(records + filled, src, bytes);
			filled += bytes;
			trace_taken(&vm.trace, bytes);
		}
		for (size_t at = 0; at < filled;) {
			const struct trace_record *record = (const void *)(records + at);

			assert_true(trace_record_good(record, filled - at));
			at += record->bytes;
			seen++;
		}
		filled = 0;
	}
	assert_int_equal(seen, 3001);
	trace_stop(&vm.trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fast),
		cmocka_unit_test(slow),
		cmocka_unit_test(headers),
		cmocka_unit_test(hostile),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
