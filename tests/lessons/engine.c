// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, lessons - what went wrong in other handlers of guest page tables, one test
 * for each class, against our engine. XSA: an advisory of the Xen security team. This file:
 * what is read and believed. flow.c: work, order, references.
 */
#include "lessons.h"

/* Every read of the batch: what is read twice can be two things. */
static struct {
	unsigned int header, entries[RIG_MAX_ENTRIES];
	bool rewrite; /* the neighbour: what has been read becomes something else at once */
} reads;

static int counted_read(void *ctx, pvb_gpa_t gpa, void *dst, uint32_t bytes)
{
	uint64_t buffer = pvb_gpa_raw(rig.cpu->engine.buffer), at = pvb_gpa_raw(gpa) - buffer;
	uint8_t *src = pvb_inproc_ptr(rig.host, gpa, bytes, false);
	int result = pvb_inproc_read(ctx, gpa, dst, bytes);

	if (at < sizeof(*rig.hdr))
		reads.header++;
	for (uint64_t i = 0; i < RIG_MAX_ENTRIES; i++) {
		uint64_t from = sizeof(*rig.hdr) + i * sizeof(*rig.entries);

		if (at < from + sizeof(*rig.entries) && from < at + bytes)
			reads.entries[i]++;
	}
	if (reads.rewrite && at < rig.bytes)
		for (uint32_t i = 0; i < bytes; i++)
			src[i] = 0xff;
	return result;
}

/*
 * CVE-2026-53360 (SNP page state change): an index was checked against the ABI's largest
 * buffer, not against the one that was there. The ABI's largest buffer here holds 2046
 * entries, the rig's 4096 bytes 126.
 */
static void cve_2026_53360_bound_of_the_abi(void **state)
{
	static const uint32_t sizes[] = { 127, 128, 253, 2046, 2047, 0x7ffffff, ~0U };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fill();
		rig_batch(&rig);
		rig_add(&rig, PVB_OP_SET, 0, 1, 0, NEW);
		rig.hdr->nr = sizes[i];
		assert_int_equal(rig_submit(&rig), -PVB_E2BIG);
		/* A continuation is no way around it. */
		rig.hdr->start = sizes[i] - 1;
		assert_int_equal(rig_submit(&rig), -PVB_E2BIG);
		assert_unchanged(0, 512);
	}
	/* The last entry that fits is good. */
	rig_batch(&rig);
	for (uint32_t i = 0; i < 126; i++)
		rig_add(&rig, PVB_OP_SET, i, 1, 0, NEW);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(rig.table[125], NEW);
}

/* The same one's other half: a field was read again after it had been checked. */
static void cve_2026_53360_read_once(void **state)
{
	(void)state;
	rig.host->backend.read_guest = counted_read;
	memset(&reads, 0, sizeof(reads));
	rig_batch(&rig);
	for (uint32_t i = 0; i < 100; i++)
		rig_add(&rig, PVB_OP_SET, i, 1, 0, NEW);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(reads.header, 1);
	for (uint32_t i = 0; i < RIG_MAX_ENTRIES; i++)
		assert_int_equal(reads.entries[i], i < 100);
}

/*
 * The buffer is changed by another vCPU while it is being read (the class of XSA-155 and of
 * every double fetch): what counts is what was read.
 */
static void buffer_changed_while_read(void **state)
{
	(void)state;
	rig.host->backend.read_guest = counted_read;
	memset(&reads, 0, sizeof(reads));
	fill();
	rig_batch(&rig);
	for (uint32_t i = 0; i < 100; i++)
		rig_add(&rig, PVB_OP_COMMIT, i, 1, OLD(i), OLD(i) & ~2ULL);
	reads.rewrite = true;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	reads.rewrite = false;
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(rig.table[i], OLD(i) & ~2ULL);
	assert_unchanged(100, 512);
	assert_int_equal(rig.hdr->done, 100);
	assert_int_equal(rig.hdr->applied, 100);
}

/* XSA-212: progress that the guest hands back is an index like any other. */
static void xsa_212_forged_continuation(void **state)
{
	static const uint32_t values[] = { 0, 1,   2,	3,   4,	      5,	  7,
					   8, 511, 512, 513, 0x10000, 0x7fffffff, ~0U };
	const size_t nr = sizeof(values) / sizeof(values[0]);

	(void)state;
	for (size_t i = 0; i < nr * nr; i++) {
		uint32_t start = values[i / nr], skip = values[i % nr];
		int64_t result;

		fill();
		rig_batch(&rig);
		for (uint32_t e = 0; e < 4; e++)
			rig_add(&rig, PVB_OP_COMMIT, 8 * e, 8, OLD(8 * e), OLD(8 * e) & ~2ULL);
		rig.hdr->start = start;
		rig.hdr->skip = skip;
		result = rig_submit(&rig);
		if (start > 4 || skip >= (start < 4 ? 8 : 1)) {
			assert_int_equal(result, -PVB_E2BIG);
			assert_unchanged(0, 512);
			continue;
		}
		/* It leaves out the guest's own work, and does nothing that is not in the batch. */
		assert_int_equal(result, PVB_SUBMIT_DONE);
		assert_unchanged(0, 8 * start + skip);
		for (uint32_t slot = 8 * start + skip; slot < 32; slot++)
			assert_int_equal(rig.table[slot], OLD(slot) & ~2ULL);
		assert_unchanged(32, 512);
	}
}

/* XSA-227: an address that is not aligned straddles two entries, or two pages. */
static void xsa_227_straddling_entry(void **state)
{
	(void)state;
	for (uint32_t off = 1; off < 8; off++) {
		for (uint32_t slot = 0; slot < 512; slot += 511) {
			for (enum pvb_op op = PVB_OP_SET; op <= PVB_OP_CHANGED; op++) {
				struct pvb_entry *entry;

				fill();
				rig_batch(&rig);
				entry = rig_add(&rig, op, slot, 1, 0, 0);
				entry->pte_gpa += off;
				assert_refused(PVB_ST_UNALIGNED);
			}
		}
	}
	/* A run that begins in one table and would end in the next. */
	rig_batch(&rig);
	rig_add(&rig, PVB_OP_SET, 511, 2, 0, NEW);
	assert_refused(PVB_ST_CROSSES);
}

/* XSA-109: an update done to another kind of page than the check was for. */
static void xsa_109_wrong_kind_of_page(void **state)
{
	pvb_gpa_t other = pvb_inproc_alloc(rig.host, 1);
	static const enum pvb_op ops[] = { PVB_OP_SET, PVB_OP_COMMIT, PVB_OP_MASK };
	const struct {
		uint64_t gpa;
		enum pvb_status status;
	} places[] = {
		{ pvb_gpa_raw(rig.cpu->engine.buffer), PVB_ST_DENIED }, /* the batch itself */
		{ pvb_gpa_raw(rig.cpu->engine.buffer) + 64, PVB_ST_DENIED }, /* its own entry */
		{ pvb_gpa_raw(other), PVB_ST_DENIED }, /* another vCPU's */
		{ RIG_ROM, PVB_ST_BAD_GPA },
		{ RIG_RAM, PVB_ST_BAD_GPA },
		{ 0xfee00000, PVB_ST_BAD_GPA }, /* MMIO: the local APIC */
		{ 1ULL << RIG_PHYS_BITS, PVB_ST_BAD_GPA },
		{ ~7ULL, PVB_ST_BAD_GPA },
	};

	(void)state;
	assert_int_equal(pvb_inproc_call(&rig.host->vcpus[1], PVB_CALL_REGISTER, pvb_gpa_raw(other),
					 PVB_PAGE_SIZE),
			 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		for (size_t o = 0; o < sizeof(ops) / sizeof(ops[0]); o++) {
			struct pvb_entry *bad;

			/* Between two good ones: what was right for one table says nothing of another. */
			fill();
			rig_batch(&rig);
			rig_add(&rig, PVB_OP_SET, 0, 1, 0, NEW);
			bad = rig_add(&rig, ops[o], 0, 1, 0, ops[o] == PVB_OP_MASK ? 1 : NEW);
			bad->pte_gpa = places[i].gpa;
			rig_add(&rig, PVB_OP_SET, 1, 1, 0, NEW);
			assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
			assert_int_equal(rig.entries[1].answer, pvb_answer(places[i].status, 0));
			assert_int_equal(rig.hdr->applied, 2);
			assert_int_equal(rig.hdr->version, PVB_VERSION);
		}
	}
}

/*
 * XSA-148, 167, 182, 185: a fast path for changes of flags alone left out a check. Here the
 * fast paths are for entries of one shape in a row, and for single entries in a table that
 * is mapped: one bad entry behind many good ones of the same shape.
 */
static void xsa_182_fast_path(void **state)
{
	static const struct {
		uint64_t gpa_xor, old, new;
		enum pvb_status status;
	} bad[] = {
		{ 4, 0, 0, PVB_ST_UNALIGNED },
		{ RIG_RAM, 0, 0, PVB_ST_BAD_GPA },
		{ 1ULL << 50, 0, 0, PVB_ST_BAD_GPA },
		{ 0, 0, 1ULL << RIG_PHYS_BITS, PVB_ST_BAD_PFN },
		{ 0, 1ULL << RIG_PHYS_BITS, 0, PVB_ST_BAD_PFN },
		{ 0, 4, 4, PVB_ST_CONFLICT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (uint32_t before = 0; before < 70; before += 23) {
			uint32_t slot;

			fill();
			rig_batch(&rig);
			for (slot = 0; slot <= before + 1; slot++) {
				struct pvb_entry *entry = rig_add(&rig, PVB_OP_COMMIT, slot, 1,
								  OLD(slot), OLD(slot) & ~2ULL);

				if (slot != before)
					continue;
				entry->pte_gpa ^= bad[i].gpa_xor;
				entry->old ^= bad[i].old;
				entry->new ^= bad[i].new;
			}
			assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
			assert_int_equal(rig.entries[before].answer, pvb_answer(bad[i].status, 0));
			assert_int_equal(rig.table[before], OLD(before));
			assert_int_equal(rig.table[before + 1], OLD(before + 1) & ~2ULL);
			assert_int_equal(rig.hdr->applied, before + 1);
		}
	}
}

/* A size that says more than there is: of a struct, of the memory behind it. */
static void size_larger_than_the_buffer(void **state)
{
	const uint64_t edge = RIG_ROM - 8, features = rig.host->vm.features;
	struct pvb_negotiate neg = {
		.magic = PVB_NEGOTIATE_MAGIC,
		.size = 0xffff,
		.pte_format = PVB_PTE_FORMAT,
		.version_min = 1,
		.version_max = 0xffff,
		.features_wanted = ~0ULL,
	};
	uint8_t *ram = rig.host->ram;
	uint64_t guard;

	(void)state;
	/* A newer guest's counters are longer: ours and no byte more are written. */
	memset(ram + RIG_ROM - 512, 0xa5, 512);
	assert_int_equal(call(PVB_CALL_STATS, RIG_ROM - 256, ~0ULL), 0);
	memcpy(&guard, ram + RIG_ROM - 256 + sizeof(struct pvb_host_stats), 8);
	assert_int_equal(guard, 0xa5a5a5a5a5a5a5a5ULL);
	assert_int_equal(call(PVB_CALL_STATS, RIG_ROM - 184, ~0ULL), -PVB_EFAULT);
	assert_int_equal(call(PVB_CALL_STATS, edge, 8), -PVB_EINVAL);
	/* A buffer over the end of what can be written, of the address width, of all numbers. */
	assert_int_equal(call(PVB_CALL_REGISTER, RIG_ROM - 4096, 8192), -PVB_EFAULT);
	assert_int_equal(call(PVB_CALL_REGISTER, (1ULL << RIG_PHYS_BITS) - 4096, 8192),
			 -PVB_EFAULT);
	assert_int_equal(call(PVB_CALL_REGISTER, ~0xfffULL, 8192), -PVB_EFAULT);
	assert_int_equal(call(PVB_CALL_REGISTER, 4096, 1ULL << 32 | 4096), -PVB_EINVAL);
	assert_int_equal(call(PVB_CALL_REGISTER, 4096, PVB_BUFFER_MAX + 4096), -PVB_EINVAL);
	assert_true(pvb_engine_owns_page(&rig.cpu->engine, rig.cpu->engine.buffer));
	/* A newer guest's negotiation, too close to the end: nothing is granted. */
	assert_int_equal(call(PVB_CALL_REGISTER, 0, 0), 0);
	memcpy(ram + RIG_ROM - 32, &neg, 24);
	assert_int_equal(call(PVB_CALL_NEGOTIATE, RIG_ROM - 32, 0), -PVB_EFAULT);
	assert_int_equal(rig.host->vm.features, features);
}

/* Result bitmaps are writes that the guest aims: at the header, at entries, beyond the end. */
static void result_aimed_at_the_batch(void **state)
{
	(void)state;
	for (uint32_t at = 0; at < 0x10000; at++) {
		struct pvb_entry *entry;
		bool good;

		rig_batch(&rig);
		entry = rig_add(&rig, PVB_OP_MASK, 0, 65, 0, 0);
		entry->flags = PVB_ENT_RESULT;
		entry->result = (uint16_t)at;
		/* header and one entry: 96 bytes; two bitmaps of two words: 32 */
		good = at * 8 >= 96 && at * 8 + 32 <= 4096;
		if (good && at > 20 && at < 500)
			continue;
		fill();
		assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
		assert_int_equal(rig.hdr->applied, good ? 65 : 0);
		assert_int_equal(entry->answer, good ? pvb_answer(PVB_ST_OK, 65) :
						       pvb_answer(PVB_ST_BAD_RESULT, 0));
		assert_int_equal(rig.hdr->nr, 1);
	}
}

/* XSA-213: privilege does not change inside a call; calls do not nest; CPL 3 is nobody. */
static int64_t inner;
static bool reset_inside(void *ctx)
{
	struct pvb_inproc_vcpu *vcpu = ctx;

	inner = pvb_engine_call(&vcpu->engine, PVB_CALL_REGISTER, 0, 0, 0);
	return false;
}

static void xsa_213_privilege_and_nesting(void **state)
{
	(void)state;
	for (uint64_t nr = 0; nr < 8; nr++)
		for (unsigned int cpl = 1; cpl < 4; cpl++)
			assert_int_equal(pvb_engine_call(&rig.cpu->engine, nr, 0, 0, cpl),
					 -PVB_EPERM);
	fill();
	rig_batch(&rig);
	rig_add(&rig, PVB_OP_SET, 0, 512, 0, NEW);
	rig.host->backend.should_yield = reset_inside;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(inner, -PVB_EBUSY);
	assert_int_equal(rig.hdr->applied, 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		lesson(cve_2026_53360_bound_of_the_abi),
		lesson(cve_2026_53360_read_once),
		lesson(buffer_changed_while_read),
		lesson(xsa_212_forged_continuation),
		lesson(xsa_227_straddling_entry),
		lesson(xsa_109_wrong_kind_of_page),
		lesson(xsa_182_fast_path),
		lesson(size_larger_than_the_buffer),
		lesson(result_aimed_at_the_batch),
		lesson(xsa_213_privilege_and_nesting),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
