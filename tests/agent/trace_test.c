// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - files of recorded batches: what is read of good ones, of ones that were cut
 * at every byte, and of damaged ones, with and without a right checksum, under ASan; replay
 * finds what was answered otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cli/trace.h>
#include <pvbatch/pte.h>

#define BASE 0x400000ULL
#define PTE(pfn, bits) ((uint64_t)(pfn) << PVB_PAGE_SHIFT | (bits))
#define RW (PVB_PTE_P | PVB_PTE_W | PVB_PTE_A | PVB_PTE_D)
#define RO (PVB_PTE_P | PVB_PTE_A | PVB_PTE_D)

/* A file in memory: machine, one batch of three entries, the end. */
struct file {
	struct trace_file_head head;
	struct trace_block block;
	struct trace_machine machine;
	struct trace_batch batch;
	struct pvb_entry entries[3];
	struct trace_ptes ptes[3];
	struct trace_block second;
	struct trace_count end;
};

#define FIRST_BYTES (offsetof(struct file, second) - offsetof(struct file, machine))

static void seal(struct file *file)
{
	trace_block_seal(&file->block, &file->machine, FIRST_BYTES, 0);
	trace_block_seal(&file->second, &file->end, sizeof(file->end), 1);
}

static struct file good(void)
{
	struct file file = {
		.head = { .magic = TRACE_FILE_MAGIC, .version = TRACE_VERSION },
		.machine = { .record = { .bytes = sizeof(file.machine), .kind = TRACE_MACHINE },
			     .version = TRACE_VERSION,
			     .phys_bits = 40,
			     .max_work = 4096,
			     .vcpus = 1,
			     .name = "made" },
		.batch = { .record = { .bytes = sizeof(file.batch) + sizeof(file.entries) +
						sizeof(file.ptes),
				       .kind = TRACE_BATCH,
				       .time_ns = 1000 },
			   .result = PVB_SUBMIT_DONE,
			   .duration_ns = 500,
			   .features = PVB_F_ALL,
			   .buffer_bytes = PVB_BUFFER_MIN,
			   .flags = TRACE_ENTRIES | TRACE_PTES,
			   .nr_entries = 3,
			   .nr_runs = 3,
			   .hdr = { .version = PVB_VERSION,
				    .flush = PVB_FLUSH_ALL,
				    .nr = 3,
				    .done = 3,
				    .applied = 64 + 1,
				    .conflicts = 1 } },
		/* A range, a page between, which a conflict stops, and one that is named. */
		.entries = { { .pte_gpa = BASE,
			       .old = PTE(0x1000, RW),
			       .new = PTE(0x1000, RO),
			       .nr = 64,
			       .op = PVB_OP_COMMIT,
			       .answer = 0 },
			     { .pte_gpa = BASE + 8 * 100ULL,
			       .old = PTE(0x2000, RW),
			       .new = PTE(0x2000, RO),
			       .nr = 2,
			       .op = PVB_OP_COMMIT,
			       .answer = 0 },
			     { .pte_gpa = BASE + PVB_PAGE_SIZE, .nr = 1, .op = PVB_OP_CHANGED } },
		.ptes = { { .first = PTE(0x1000, RW), .nr = 64, .how = TRACE_PTES_PFN },
			  { .first = PTE(0x3000, RW), .nr = 1, .how = TRACE_PTES_SAME },
			  { .first = 0, .nr = 1, .how = TRACE_PTES_SAME } },
		.end = { .record = { .bytes = sizeof(file.end), .kind = TRACE_END }, .count = 1 },
	};

	file.entries[0].answer = pvb_answer(PVB_ST_OK, 64);
	file.entries[1].answer = pvb_answer(PVB_ST_CONFLICT, 0);
	file.entries[2].answer = pvb_answer(PVB_ST_OK, 1);
	seal(&file);
	return file;
}

static struct replay_result replay(const void *data, size_t bytes, struct trace_totals *totals)
{
	FILE *file = fmemopen((void *)data, bytes, "r");
	struct replay *replay = replay_new();
	struct replay_result result;

	assert_non_null(file);
	assert_non_null(replay);
	assert_int_equal(trace_read(file, replay_record, replay, totals), 0);
	fclose(file);
	result = *replay_result(replay);
	replay_free(replay);
	return result;
}

static void whole(void **state)
{
	struct file file = good();
	struct trace_totals totals;
	struct replay_result result = replay(&file, sizeof(file), &totals);

	(void)state;
	assert_int_equal(totals.state, TRACE_COMPLETE);
	assert_int_equal(totals.batches, 1);
	assert_int_equal(totals.recorded, 1);
	assert_int_equal(totals.bytes, sizeof(file));
	assert_int_equal(result.batches, 1);
	assert_string_equal(result.first, "");
	assert_int_equal(result.differ, 0);
	assert_int_equal(result.ptes, 65);
}

/* Each of these was answered otherwise by an engine that is not ours. */
static void planted(void **state)
{
	struct file file;
	struct trace_totals totals;

	(void)state;
	file = good();
	file.entries[0].answer = pvb_answer(PVB_ST_OK, 63);
	seal(&file);
	assert_int_equal(replay(&file, sizeof(file), &totals).differ, 1);
	file = good();
	file.batch.hdr.applied--;
	seal(&file);
	assert_int_equal(replay(&file, sizeof(file), &totals).differ, 1);
	file = good();
	file.batch.result = PVB_SUBMIT_PARTIAL;
	seal(&file);
	assert_int_equal(replay(&file, sizeof(file), &totals).differ, 1);
	/* The page that was not there is: no conflict any more. */
	file = good();
	file.ptes[1].first = PTE(0x2000, RW);
	file.ptes[2].first = PTE(0x2001, RW);
	seal(&file);
	assert_int_equal(replay(&file, sizeof(file), &totals).differ, 1);
	/* D set by hardware: carried, and no difference. */
	file = good();
	file.entries[0].old &= ~PVB_PTE_D;
	file.entries[0].new &= ~PVB_PTE_D;
	seal(&file);
	assert_int_equal(replay(&file, sizeof(file), &totals).differ, 0);
	assert_int_equal(replay(&file, sizeof(file), &totals).carried, 64);
}

static void cut(void **state)
{
	struct file file = good();
	struct trace_totals totals;

	(void)state;
	for (size_t bytes = 1; bytes < sizeof(file); bytes++) {
		struct replay_result result = replay(&file, bytes, &totals);

		if (bytes < sizeof(file.head))
			assert_int_equal(totals.state, TRACE_NONE);
		else
			assert_int_equal(totals.state, TRACE_CUT);
		/* The first block counts as soon as it is there. */
		assert_int_equal(result.batches, bytes >= offsetof(struct file, second));
		assert_int_equal(result.differ, 0);
	}
}

static void damaged(void **state)
{
	struct file file;
	struct trace_totals totals;
	uint8_t *bytes = (uint8_t *)&file;

	(void)state;
	for (size_t i = sizeof(file.head); i < sizeof(file); i++) {
		file = good();
		bytes[i] ^= 0x10;
		replay(&file, sizeof(file), &totals);
		assert_true(totals.state == TRACE_DAMAGED || totals.state == TRACE_CUT);
	}
}

/* With a right checksum, the records themselves lie. */
static void lying(void **state)
{
	struct file file;
	struct trace_totals totals;
	uint8_t *records = (uint8_t *)&file.machine;
	unsigned int read = 0;

	(void)state;
	srand(1);
	for (unsigned int round = 0; round < 3000; round++) {
		file = good();
		for (unsigned int i = 0; i <= round % 4; i++)
			records[(size_t)rand() % FIRST_BYTES] = (uint8_t)rand();
		seal(&file);
		read += replay(&file, sizeof(file), &totals).batches;
	}
	/* Some of it has to get through for this to be worth anything. */
	assert_true(read > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),   cmocka_unit_test(planted), cmocka_unit_test(cut),
		cmocka_unit_test(damaged), cmocka_unit_test(lying),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
