// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of the protocol - the bytes on the wire.
 *
 * The header asserts its own offsets; this test does not believe it. Every struct is
 * filled with distinct values and compared byte by byte with what version 1 of the ABI
 * has looked like since the day it was published. A failure here means that old guests
 * and new hosts no longer understand each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <pvbatch/merge.h>

static void negotiate_bytes(void **state)
{
	static const uint8_t golden[64] = {
		0x50, 0x56, 0x42, 0x4e, /* magic "PVBN" */
		0x40, 0x00, /* size */
		0x01, 0x00, /* pte_format */
		0x22, 0x11, /* version_min */
		0x44, 0x33, /* version_max */
		0x78, 0x56, 0x34, 0x12, /* reserved0 */
		0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, /* features_wanted */
		0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, /* features */
		0x24, 0x23, 0x22, 0x21, /* version */
		0x34, 0x33, 0x32, 0x31, /* max_bytes */
		0x44, 0x43, 0x42, 0x41, /* max_work */
		0x54, 0x53, 0x52, 0x51, /* reserved1 */
		0x68, 0x67, 0x66, 0x65, 0x64, 0x63, 0x62, 0x61, /* reserved2[0] */
		0x78, 0x77, 0x76, 0x75, 0x74, 0x73, 0x72, 0x71, /* reserved2[1] */
	};
	const struct pvb_negotiate neg = {
		.magic = PVB_NEGOTIATE_MAGIC,
		.size = sizeof(neg),
		.pte_format = PVB_PTE_X86_64,
		.version_min = 0x1122,
		.version_max = 0x3344,
		.reserved0 = 0x12345678,
		.features_wanted = 0x0102030405060708,
		.features = 0x1112131415161718,
		.version = 0x21222324,
		.max_bytes = 0x31323334,
		.max_work = 0x41424344,
		.reserved1 = 0x51525354,
		.reserved2 = { 0x6162636465666768, 0x7172737475767778 },
	};

	(void)state;
	assert_int_equal(sizeof(neg), sizeof(golden));
	assert_memory_equal(&neg, golden, sizeof(golden));
}

static void header_bytes(void **state)
{
	static const uint8_t golden[64] = {
		0x01, 0x00, /* version */
		0x03, /* reserved0 */
		0x02, /* flush: all */
		0x01, 0x00, /* flush_flags: local */
		0x05, 0x04, /* reserved1 */
		0x14, 0x13, 0x12, 0x11, /* nr */
		0x24, 0x23, 0x22, 0x21, /* start */
		0x34, 0x33, 0x32, 0x31, /* skip */
		0x44, 0x43, 0x42, 0x41, /* flush_pages */
		0x58, 0x57, 0x56, 0x55, 0x54, 0x53, 0x52, 0x51, /* flush_va */
		0xea, 0xff, 0xff, 0xff, /* status: -22 */
		0x64, 0x63, 0x62, 0x61, /* done */
		0x74, 0x73, 0x72, 0x71, /* done_ptes */
		0x84, 0x83, 0x82, 0x81, /* applied */
		0x94, 0x93, 0x92, 0x91, /* carried */
		0xa4, 0xa3, 0xa2, 0xa1, /* conflicts */
		0xb4, 0xb3, 0xb2, 0xb1, /* refused */
		0xc4, 0xc3, 0xc2, 0xc1, /* reserved2 */
	};
	const struct pvb_batch_hdr hdr = {
		.version = PVB_VERSION,
		.reserved0 = 3,
		.flush = PVB_FLUSH_ALL,
		.flush_flags = PVB_FLUSH_LOCAL,
		.reserved1 = 0x0405,
		.nr = 0x11121314,
		.start = 0x21222324,
		.skip = 0x31323334,
		.flush_pages = 0x41424344,
		.flush_va = 0x5152535455565758,
		.status = -PVB_EINVAL,
		.done = 0x61626364,
		.done_ptes = 0x71727374,
		.applied = 0x81828384,
		.carried = 0x91929394,
		.conflicts = 0xa1a2a3a4,
		.refused = 0xb1b2b3b4,
		.reserved2 = 0xc1c2c3c4,
	};

	(void)state;
	assert_int_equal(sizeof(hdr), sizeof(golden));
	assert_memory_equal(&hdr, golden, sizeof(golden));
}

static void entry_bytes(void **state)
{
	static const uint8_t golden[32] = {
		0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, /* pte_gpa */
		0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, /* old */
		0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21, /* new */
		0x00, 0x02, /* nr: 512 */
		0x02, /* op: commit */
		0xf1, /* flags: result and all soft bits */
		0x34, 0x12, /* result */
		0x07, 0x08, /* answer: conflict (2 << 10) at PTE 7 */
	};
	const struct pvb_entry entry = {
		.pte_gpa = 0x0102030405060708,
		.old = 0x1112131415161718,
		.new = 0x2122232425262728,
		.nr = 512,
		.op = PVB_OP_COMMIT,
		.flags = PVB_ENT_RESULT | PVB_ENT_SOFT,
		.result = 0x1234,
		.answer = pvb_answer(PVB_ST_CONFLICT, 7),
	};

	(void)state;
	assert_int_equal(sizeof(entry), sizeof(golden));
	assert_memory_equal(&entry, golden, sizeof(golden));
}

static void stats_bytes(void **state)
{
	struct pvb_host_stats stats = {
		.calls = 1,
		.batches = 2,
		.partial = 3,
		.failed = 4,
		.entries = 5,
		.applied = 6,
		.carried_a = 7,
		.carried_d = 8,
		.conflicts = 9,
		.refused = 10,
		.flush_range = 11,
		.flush_all = 12,
	};
	const uint64_t *words = (const uint64_t *)&stats;
	unsigned int i;

	(void)state;
	for (i = 0; i < 12; i++)
		stats.hist[i] = 13 + i;
	assert_int_equal(sizeof(stats), 24 * 8);
	for (i = 0; i < 24; i++)
		assert_int_equal(words[i], i + 1);
}

/* Numbers that are compiled into guests. */
static void numbers(void **state)
{
	(void)state;
	assert_int_equal(PVB_VERSION, 1);
	assert_int_equal(PVB_HC_BASE, 0x70766200);
	assert_int_equal(PVB_DOORBELL_PORT, 0x5640);
	assert_int_equal(PVB_CALL_NOP, 0);
	assert_int_equal(PVB_CALL_NEGOTIATE, 1);
	assert_int_equal(PVB_CALL_REGISTER, 2);
	assert_int_equal(PVB_CALL_SUBMIT, 3);
	assert_int_equal(PVB_CALL_STATS, 4);
	assert_int_equal(PVB_SUBMIT_DONE, 0);
	assert_int_equal(PVB_SUBMIT_PARTIAL, 1);
	assert_int_equal(PVB_F_HOST_APPLY, 1);
	assert_int_equal(PVB_F_GUEST_APPLY, 2);
	assert_int_equal(PVB_F_RESULTS, 4);
	assert_int_equal(PVB_F_FLUSH, 8);
	assert_int_equal(PVB_F_STATS, 16);
	assert_int_equal(PVB_BUFFER_MIN, 4096);
	assert_int_equal(PVB_BUFFER_MAX, 65536);
	assert_int_equal(PVB_FLUSH_NONE, 0);
	assert_int_equal(PVB_FLUSH_RANGE, 1);
	assert_int_equal(PVB_FLUSH_ALL, 2);
	assert_int_equal(PVB_OP_SET, 1);
	assert_int_equal(PVB_OP_COMMIT, 2);
	assert_int_equal(PVB_OP_MASK, 3);
	assert_int_equal(PVB_OP_CHANGED, 4);
	assert_int_equal(PVB_ENT_RESULT, 1);
	assert_int_equal(PVB_ENT_FIXED, 2);
	assert_int_equal(PVB_ENT_HINT, 4);
	assert_int_equal(PVB_ENT_SOFT0, 16);
	assert_int_equal(PVB_ENT_SOFT3, 128);
	assert_int_equal(PVB_ST_PENDING, 0);
	assert_int_equal(PVB_ST_OK, 1);
	assert_int_equal(PVB_ST_CONFLICT, 2);
	assert_int_equal(PVB_ST_NOTPRESENT, 3);
	assert_int_equal(PVB_ST_BAD_OP, 4);
	assert_int_equal(PVB_ST_BAD_FLAGS, 5);
	assert_int_equal(PVB_ST_BAD_NR, 6);
	assert_int_equal(PVB_ST_UNALIGNED, 7);
	assert_int_equal(PVB_ST_CROSSES, 8);
	assert_int_equal(PVB_ST_BAD_GPA, 9);
	assert_int_equal(PVB_ST_DENIED, 10);
	assert_int_equal(PVB_ST_BAD_PTE, 11);
	assert_int_equal(PVB_ST_BAD_PFN, 12);
	assert_int_equal(PVB_ST_BAD_RESULT, 13);
	assert_int_equal(PVB_ST_RETRY, 14);
}

/* The largest answer fits, and comes back as it went in. */
static void answers(void **state)
{
	unsigned int status, done;

	(void)state;
	for (status = 0; status < PVB_NR_STATUS; status++) {
		for (done = 0; done <= PVB_PTES_PER_TABLE; done++) {
			uint16_t answer = pvb_answer((enum pvb_status)status, done);

			assert_int_equal(answer, status * 1024 + done);
			assert_int_equal(pvb_answer_status(answer), status);
			assert_int_equal(pvb_answer_done(answer), done);
		}
	}
}

static void histogram(void **state)
{
	static const struct {
		uint32_t size;
		unsigned int bucket;
	} cases[] = {
		{ 0, 0 },     { 1, 0 },	    { 2, 1 },	 { 3, 1 },   { 4, 2 },
		{ 7, 2 },     { 8, 3 },	    { 511, 8 },	 { 512, 9 }, { 1023, 9 },
		{ 2047, 10 }, { 2048, 11 }, { ~0U, 11 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(pvb_hist_bucket(cases[i].size), cases[i].bucket);
}

/* Entries that fit behind the header. */
static void capacity(void **state)
{
	(void)state;
	assert_int_equal(PVB_MAX_ENTRIES(4096U), 126);
	assert_int_equal(PVB_MAX_ENTRIES(65536U), 2046);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(negotiate_bytes), cmocka_unit_test(header_bytes),
		cmocka_unit_test(entry_bytes),	   cmocka_unit_test(stats_bytes),
		cmocka_unit_test(numbers),	   cmocka_unit_test(answers),
		cmocka_unit_test(histogram),	   cmocka_unit_test(capacity),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
