// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of the engine, decode and validate: each field of the batch header wrong
 * in turn. The call fails with the code that names the reason, nothing is applied,
 * nothing is flushed, and the same batch with the field put right goes through (law 7).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine_rig.h"

#define PTE (0x5000ULL | PVB_PTE_P)
#define ENTRIES 3U

static struct rig rig;
static unsigned int flushes;

static void count_flush(void *ctx, const struct pvb_flush_req *req)
{
	(void)ctx;
	(void)req;
	flushes++;
}

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, 1, PVB_F_ALL, 8192);
	rig.host->backend.flush = count_flush;
	flushes = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

/* good() - three entries and a range flush: a batch with no field at zero by chance. */
static void good(void)
{
	uint32_t i;

	rig_batch(&rig);
	rig.hdr->flush = PVB_FLUSH_RANGE;
	rig.hdr->flush_pages = 3;
	rig.hdr->flush_va = 0x7f0000000000;
	for (i = 0; i < ENTRIES; i++) {
		rig.table[i] = 0;
		rig_add(&rig, PVB_OP_SET, i, 1, 0, PTE + i * PVB_PAGE_SIZE);
	}
}

static void expect_refused(int64_t error)
{
	uint64_t failed = rig.cpu->engine.stats.failed;
	struct pvb_batch_hdr before = *rig.hdr;
	uint32_t i;

	flushes = 0;
	assert_int_equal(rig_submit(&rig), error);
	assert_int_equal(rig.hdr->status, error);
	assert_int_equal(rig.hdr->applied, 0);
	assert_int_equal(rig.hdr->refused, 0);
	assert_int_equal(flushes, 0);
	assert_int_equal(rig.cpu->engine.stats.failed, failed + 1);
	for (i = 0; i < ENTRIES; i++) {
		assert_int_equal(rig.table[i], 0);
		assert_int_equal(rig.entries[i].answer, 0);
	}
	/* IN fields are the guest's */
	assert_memory_equal(&before, rig.hdr, offsetof(struct pvb_batch_hdr, status));
}

static void good_batch(void **state)
{
	(void)state;
	good();
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(rig.hdr->applied, ENTRIES);
	assert_int_equal(rig.hdr->done, ENTRIES);
	assert_int_equal(rig.hdr->done_ptes, 0);
	assert_int_equal(flushes, 1);
}

struct header_case {
	const char *name;
	void (*spoil)(struct pvb_batch_hdr *hdr);
	int64_t error;
};

#define CASE(name, error, statement)                        \
	static void spoil_##name(struct pvb_batch_hdr *hdr) \
	{                                                   \
		statement;                                  \
	}                                                   \
	static const struct header_case case_##name = { #name, spoil_##name, error }

CASE(version_zero, -PVB_EINVAL, hdr->version = 0);
CASE(version_newer, -PVB_EINVAL, hdr->version = PVB_VERSION + 1);
CASE(reserved0, -PVB_EINVAL, hdr->reserved0 = 1);
CASE(reserved1, -PVB_EINVAL, hdr->reserved1 = 0x8000);
CASE(flush_unknown, -PVB_EINVAL, hdr->flush = PVB_FLUSH_ALL + 1);
CASE(flush_all_bits, -PVB_EINVAL, hdr->flush = 0xff);
CASE(flush_flags_unknown, -PVB_EINVAL, hdr->flush_flags = 0x0002);
CASE(flush_flags_high, -PVB_EINVAL, hdr->flush_flags = 0x8001);
CASE(flush_no_pages, -PVB_EINVAL, hdr->flush_pages = 0);
CASE(flush_va_unaligned, -PVB_EINVAL, hdr->flush_va += 8);
CASE(flush_va_wraps, -PVB_EINVAL, hdr->flush_va = ~0ULL << PVB_PAGE_SHIFT);
CASE(flush_none_with_pages, -PVB_EINVAL, hdr->flush = PVB_FLUSH_NONE; hdr->flush_va = 0);
CASE(flush_none_with_va, -PVB_EINVAL, hdr->flush = PVB_FLUSH_NONE; hdr->flush_pages = 0);
CASE(flush_none_with_flags, -PVB_EINVAL, hdr->flush = PVB_FLUSH_NONE; hdr->flush_pages = 0;
     hdr->flush_va = 0; hdr->flush_flags = PVB_FLUSH_LOCAL);
CASE(flush_all_with_pages, -PVB_EINVAL, hdr->flush = PVB_FLUSH_ALL; hdr->flush_va = 0);
CASE(flush_all_with_va, -PVB_EINVAL, hdr->flush = PVB_FLUSH_ALL; hdr->flush_pages = 0);
CASE(nr_one_too_many, -PVB_E2BIG, hdr->nr = PVB_MAX_ENTRIES(8192U) + 1);
CASE(nr_abi_maximum, -PVB_E2BIG, hdr->nr = PVB_MAX_ENTRIES(PVB_BUFFER_MAX));
CASE(nr_huge, -PVB_E2BIG, hdr->nr = ~0U);
CASE(nr_times_32_wraps, -PVB_E2BIG, hdr->nr = 0x08000001);
CASE(start_beyond_nr, -PVB_E2BIG, hdr->start = ENTRIES + 1);
CASE(start_huge, -PVB_E2BIG, hdr->start = ~0U);
CASE(skip_beyond_entry, -PVB_E2BIG, hdr->skip = 1);
CASE(skip_beyond_table, -PVB_E2BIG, hdr->skip = PVB_PTES_PER_TABLE);
CASE(skip_huge, -PVB_E2BIG, hdr->skip = ~0U);
CASE(skip_at_the_end, -PVB_E2BIG, hdr->start = ENTRIES; hdr->skip = 1);

static const struct header_case *const cases[] = {
	&case_version_zero,
	&case_version_newer,
	&case_reserved0,
	&case_reserved1,
	&case_flush_unknown,
	&case_flush_all_bits,
	&case_flush_flags_unknown,
	&case_flush_flags_high,
	&case_flush_no_pages,
	&case_flush_va_unaligned,
	&case_flush_va_wraps,
	&case_flush_none_with_pages,
	&case_flush_none_with_va,
	&case_flush_none_with_flags,
	&case_flush_all_with_pages,
	&case_flush_all_with_va,
	&case_nr_one_too_many,
	&case_nr_abi_maximum,
	&case_nr_huge,
	&case_nr_times_32_wraps,
	&case_start_beyond_nr,
	&case_start_huge,
	&case_skip_beyond_entry,
	&case_skip_beyond_table,
	&case_skip_huge,
	&case_skip_at_the_end,
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

static void wrong_field(void **state)
{
	const struct header_case *wrong = *state;
	struct pvb_batch_hdr spoilt;

	setup(NULL);
	good();
	spoilt = *rig.hdr;
	wrong->spoil(&spoilt);
	*rig.hdr = spoilt;
	expect_refused(wrong->error);
	good_batch(NULL);
	teardown(NULL);
}

/* The last byte of a flush may be the last of the address space. */
static void flush_to_the_end(void **state)
{
	(void)state;
	good();
	rig.hdr->flush_va = ~0ULL << PVB_PAGE_SHIFT;
	rig.hdr->flush_pages = 1;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(flushes, 1);
}

/* A flush that was not negotiated is refused; without one the batch is fine. */
static void flush_not_granted(void **state)
{
	(void)state;
	rig_close(&rig);
	rig_open(&rig, 1, PVB_F_ALL & ~PVB_F_FLUSH, 8192);
	good();
	expect_refused(-PVB_EINVAL);
	good();
	rig.hdr->flush = PVB_FLUSH_NONE;
	rig.hdr->flush_pages = 0;
	rig.hdr->flush_va = 0;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
}

static void empty_batch(void **state)
{
	(void)state;
	rig_batch(&rig);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(flushes, 0);
	rig.hdr->flush = PVB_FLUSH_ALL;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(flushes, 1);
	assert_int_equal(rig.cpu->engine.stats.flush_all, 1);
}

/* The full buffer, to the last entry that fits. */
static void full_batch(void **state)
{
	uint32_t i, nr = PVB_MAX_ENTRIES(8192U);

	(void)state;
	for (i = 0; i < nr; i++)
		rig_add(&rig, PVB_OP_SET, i, 1, 0, PTE + i * PVB_PAGE_SIZE);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(rig.hdr->applied, nr);
	for (i = 0; i < nr; i++) {
		assert_int_equal(rig.table[i], PTE + i * PVB_PAGE_SIZE);
		assert_int_equal(rig.entries[i].answer, pvb_answer(PVB_ST_OK, 1));
	}
}

/* A batch that goes on at its end has nothing left but its flush. */
static void start_at_the_end(void **state)
{
	(void)state;
	good();
	rig.hdr->start = ENTRIES;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(rig.hdr->applied, 0);
	assert_int_equal(rig.hdr->done, ENTRIES);
	assert_int_equal(flushes, 1);
}

int main(void)
{
	struct CMUnitTest tests[CASES + 6] = { { 0 } };
	const struct CMUnitTest whole[] = {
		cmocka_unit_test_setup_teardown(good_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(flush_to_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(flush_not_granted, setup, teardown),
		cmocka_unit_test_setup_teardown(empty_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(full_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(start_at_the_end, setup, teardown),
	};
	size_t i;

	memcpy(tests, whole, sizeof(whole));
	for (i = 0; i < CASES; i++) {
		tests[6 + i].name = cases[i]->name;
		tests[6 + i].test_func = wrong_field;
		tests[6 + i].initial_state = (void *)cases[i];
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
