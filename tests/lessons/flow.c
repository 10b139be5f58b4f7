// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, lessons - what went wrong in other handlers of guest page tables, one test
 * for each class, against our engine: work, order, references, memory that goes away.
 */
#include "../model/hooked_apply.h"
#include "lessons.h"

static struct {
	unsigned int maps, unmaps, held; /* of tables */
	unsigned int looks; /* at should_yield */
	uint32_t applied_at_look; /* entries of the table that were NEW then */
	bool yield;
	uint64_t gone; /* gpa of a page that is no longer there; 0: none */
	unsigned int gone_after; /* maps until then */
	unsigned int flushes;
	bool flush_early, answered_early;
	uint32_t told;
	bool told_unmapped;
} seen;

static enum pvb_status (*real_map)(void *, pvb_gpa_t, uint64_t **);

static enum pvb_status map(void *ctx, pvb_gpa_t table, uint64_t **ptes)
{
	enum pvb_status status;

	if (seen.gone && pvb_gpa_raw(table) == seen.gone && seen.maps >= seen.gone_after)
		return PVB_ST_BAD_GPA;
	status = real_map(ctx, table, ptes);
	if (status == PVB_ST_OK) {
		seen.maps++;
		seen.held++;
	}
	return status;
}

static void unmap(void *ctx, pvb_gpa_t table, uint64_t *ptes)
{
	(void)ctx;
	(void)table;
	(void)ptes;
	seen.unmaps++;
	seen.held--;
}

static uint32_t applied(void)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < 512; i++)
		nr += (rig.table[i] & 0xfff) == (NEW & 0xfff);
	return nr;
}

static bool look(void *ctx)
{
	(void)ctx;
	seen.looks++;
	seen.applied_at_look = applied();
	return seen.yield;
}

static void flushed(void *ctx, const struct pvb_flush_req *req)
{
	(void)ctx;
	(void)req;
	seen.flushes++;
	seen.flush_early |= applied() != 512 || seen.held;
	seen.answered_early |= rig.hdr->status != 12345;
}

static void told(void *ctx, const struct pvb_changed_run *run)
{
	(void)ctx;
	seen.told += run->nr;
	seen.told_unmapped |= !seen.held;
}

static void watch(void)
{
	struct pvb_backend *backend = &rig.host->backend;

	memset(&seen, 0, sizeof(seen));
	real_map = backend->map_table;
	backend->map_table = map;
	backend->unmap_table = unmap;
	backend->should_yield = look;
	backend->flush = flushed;
	backend->changed = told;
	fill();
	rig_batch(&rig);
}

/*
 * XSA-45, 58, 240, 264, 290: one call did as much as the guest asked for, and nothing else
 * ran meanwhile. Here: at most max_work entries a call, a look at should_yield after every 64.
 */
static void xsa_264_unbounded_work(void **state)
{
	(void)state;
	watch();
	for (uint32_t i = 0; i < RIG_MAX_ENTRIES; i++)
		rig_add(&rig, PVB_OP_SET, 0, 512, 0, NEW);
	rig.host->vm.max_work = 1024;
	for (uint32_t done = 0; done < RIG_MAX_ENTRIES; done = rig.hdr->done) {
		int64_t result = rig_submit(&rig);

		assert_true(rig.hdr->applied <= 1024);
		assert_int_equal(result, rig.hdr->done == RIG_MAX_ENTRIES ? PVB_SUBMIT_DONE :
									    PVB_SUBMIT_PARTIAL);
		rig.hdr->start = rig.hdr->done;
		rig.hdr->skip = rig.hdr->done_ptes;
	}
	assert_int_equal(seen.looks, RIG_MAX_ENTRIES * 512 / 64 - RIG_MAX_ENTRIES / 2);
}

static void xsa_240_unpreemptible_work(void **state)
{
	(void)state;
	watch();
	seen.yield = true;
	rig_add(&rig, PVB_OP_SET, 0, 512, 0, NEW);
	for (uint32_t piece = 1; piece < 8; piece++) {
		assert_int_equal(rig_submit(&rig), PVB_SUBMIT_PARTIAL);
		assert_int_equal(seen.applied_at_look, 64 * piece);
		assert_int_equal(applied(), 64 * piece);
		rig.hdr->start = rig.hdr->done;
		rig.hdr->skip = rig.hdr->done_ptes;
	}
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(applied(), 512);
}

/* What is refused is work, too: a buffer full of nonsense for ever. */
static void xsa_290_work_without_effect(void **state)
{
	(void)state;
	watch();
	for (uint32_t i = 0; i < RIG_MAX_ENTRIES; i++)
		rig_add(&rig, PVB_OP_SET, 0, 1, 1, NEW);
	rig.host->vm.max_work = 20;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_PARTIAL);
	assert_int_equal(rig.hdr->refused, 20);
	assert_int_equal(rig.hdr->done, 20);
}

/*
 * XSA-241, 279, 286, 346, 401, 408: the flush was missing, or came before the last update,
 * and 286 was brought back by an optimisation. Updates, then the flush, then the answer;
 * with refused entries as well, and once, in the call that ends the batch.
 */
static void xsa_286_flush_order(void **state)
{
	(void)state;
	for (unsigned int yield = 0; yield < 2; yield++) {
		lesson_end(NULL);
		lesson_begin(NULL);
		watch();
		seen.yield = yield;
		for (uint32_t i = 0; i < 8; i++)
			rig_add(&rig, PVB_OP_SET, 64 * i, 64, 0, NEW);
		rig_add(&rig, PVB_OP_SET, 511, 2, 0, NEW); /* refused, at the end */
		rig.hdr->flush = PVB_FLUSH_ALL;
		rig.hdr->status = 12345;
		while (rig_submit(&rig) == PVB_SUBMIT_PARTIAL) {
			assert_int_equal(seen.flushes, 0);
			rig.hdr->start = rig.hdr->done;
			rig.hdr->skip = rig.hdr->done_ptes;
			rig.hdr->status = 12345;
		}
		assert_int_equal(seen.flushes, 1);
		assert_false(seen.flush_early);
		assert_false(seen.answered_early);
		assert_int_equal(rig.hdr->status, PVB_SUBMIT_DONE);
	}
}

/* XSA-113, 299: a reference was kept on an error path. Every path drops the table it holds. */
static void xsa_299_references_on_error_paths(void **state)
{
	(void)state;
	watch();
	rig_add(&rig, PVB_OP_SET, 0, 1, 0, NEW);
	rig_add(&rig, PVB_OP_COMMIT, 1, 4, 0x1001, 0x1003); /* conflict */
	rig_add(&rig, PVB_OP_SET, 2, 1, 1, NEW); /* bad templates */
	rig_add(&rig, PVB_OP_SET, 3, 1, 0, NEW)->pte_gpa = RIG_RAM; /* no table */
	rig_add(&rig, PVB_OP_SET, 3, 1, 0, NEW)->pte_gpa += 1; /* not aligned */
	rig_add(&rig, PVB_OP_SET, 3, 1, 0, NEW)->op = 99;
	rig_add(&rig, PVB_OP_SET, 4, 1, 0, NEW);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(seen.held, 0);
	assert_true(seen.maps && seen.maps == seen.unmaps);
	/* Cut short in the middle of a table. */
	rig_batch(&rig);
	rig_add(&rig, PVB_OP_SET, 0, 512, 0, NEW);
	seen.yield = true;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_PARTIAL);
	assert_int_equal(seen.held, 0);
	/* A header that is refused behind all that. */
	rig.hdr->skip = 512;
	assert_int_equal(rig_submit(&rig), -PVB_E2BIG);
	assert_int_equal(seen.maps, seen.unmaps);
}

/*
 * XSA-296: an assertion that a guest could reach. Here a neighbour changes the entry before
 * each exchange, in ways that hardware may and in ways that it may not; the host neither
 * stops nor stays.
 */
static uint64_t war_bits;
static unsigned int exchanges;

static void war(uint64_t *pte)
{
	*pte ^= war_bits;
	exchanges++;
}

static void xsa_296_reachable_assertion(void **state)
{
	static const struct {
		uint64_t bits;
		enum pvb_status status;
	} wars[] = {
		{ PVB_PTE_A, PVB_ST_RETRY },	{ PVB_PTE_D, PVB_ST_RETRY },
		{ PVB_PTE_W, PVB_ST_CONFLICT }, { PVB_PTE_P, PVB_ST_CONFLICT },
		{ 0x1000, PVB_ST_CONFLICT },	{ ~0ULL, PVB_ST_CONFLICT },
	};

	(void)state;
	watch();
	for (size_t i = 0; i < sizeof(wars) / sizeof(wars[0]); i++) {
		struct pvb_entry *entry;

		fill();
		rig_batch(&rig);
		entry = rig_add(&rig, PVB_OP_COMMIT, 0, 512, OLD(0), OLD(0) & ~2ULL);
		war_bits = wars[i].bits;
		exchanges = 0;
		apply_hook = war;
		assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
		apply_hook = NULL;
		assert_int_equal(entry->answer, pvb_answer(wars[i].status, 0));
		assert_true(exchanges <= 16);
		assert_int_equal(rig.hdr->applied, 0);
	}
}

/*
 * XSA-345, and memory slots that are removed while a batch runs: the table goes away between
 * two entries. It is asked for anew after each other table, and never used without.
 */
static void xsa_345_table_goes_away(void **state)
{
	pvb_gpa_t gpa = pvb_inproc_alloc(rig.host, 1);
	uint64_t *other = pvb_inproc_ptr(rig.host, gpa, PVB_PAGE_SIZE, true);

	(void)state;
	watch();
	seen.gone = pvb_gpa_raw(gpa);
	seen.gone_after = 3;
	for (uint32_t i = 0; i < 4; i++) {
		rig_add(&rig, PVB_OP_SET, i, 1, 0, NEW);
		rig_add(&rig, PVB_OP_SET, 0, 1, 0, NEW)->pte_gpa = pvb_gpa_raw(gpa) + 8 * i;
	}
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(other[0], NEW);
	for (uint32_t i = 1; i < 4; i++) {
		assert_int_equal(rig.entries[2 * i + 1].answer, pvb_answer(PVB_ST_BAD_GPA, 0));
		assert_int_equal(other[i], 0);
		assert_int_equal(rig.table[i], NEW);
	}
	assert_int_equal(seen.held, 0);
}

/* The buffer itself goes away: an error, and nothing after it. */
static uint32_t vanish_after; /* bytes of the buffer that remain */

static int vanished_read(void *ctx, pvb_gpa_t gpa, void *dst, uint32_t bytes)
{
	uint64_t at = pvb_gpa_raw(gpa) - pvb_gpa_raw(rig.cpu->engine.buffer);

	return at + bytes > vanish_after ? -PVB_EFAULT : pvb_inproc_read(ctx, gpa, dst, bytes);
}

static int vanished_write(void *ctx, pvb_gpa_t gpa, const void *src, uint32_t bytes)
{
	uint64_t at = pvb_gpa_raw(gpa) - pvb_gpa_raw(rig.cpu->engine.buffer);

	return at + bytes > vanish_after ? -PVB_EFAULT : pvb_inproc_write(ctx, gpa, src, bytes);
}

static void slot_under_the_buffer_removed(void **state)
{
	(void)state;
	watch();
	rig.host->backend.read_guest = vanished_read;
	rig.host->backend.write_guest = vanished_write;
	rig.host->backend.write_answers = NULL;
	for (vanish_after = 0; vanish_after <= 4096; vanish_after += 16) {
		int64_t result;

		fill();
		rig_batch(&rig);
		for (uint32_t i = 0; i < RIG_MAX_ENTRIES; i++)
			rig_add(&rig, PVB_OP_SET, i, 1, 0, NEW);
		result = rig_submit(&rig);
		if (vanish_after < 64 + 64 * 32) /* not even the first chunk */
			assert_int_equal(applied(), 0);
		if (vanish_after < 64)
			assert_int_equal(result, -PVB_EFAULT);
		assert_true(
			result == -PVB_EFAULT || result == PVB_SUBMIT_PARTIAL ||
			(result == PVB_SUBMIT_DONE && vanish_after >= 64 + RIG_MAX_ENTRIES * 32));
		assert_int_equal(seen.held, 0);
	}
}

/* XSA-438, 494: a root was freed while it was in use. What is told of is still mapped then. */
static void xsa_438_told_while_mapped(void **state)
{
	pvb_gpa_t gpa = pvb_inproc_alloc(rig.host, 1);

	(void)state;
	watch();
	for (uint32_t i = 0; i < 60; i++) {
		rig_add(&rig, PVB_OP_SET, i * 3, 1 + i % 3, 0, NEW);
		rig_add(&rig, PVB_OP_SET, 0, 1, 0, NEW)->pte_gpa = pvb_gpa_raw(gpa) + 8 * i;
	}
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_false(seen.told_unmapped);
	assert_int_equal(seen.told, rig.hdr->applied);
}

/* A page becomes another vCPU's buffer between two batches: from then on it is no table. */
static void registration_over_a_table(void **state)
{
	(void)state;
	fill();
	rig_batch(&rig);
	rig_add(&rig, PVB_OP_SET, 0, 1, 0, NEW);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(pvb_inproc_call(&rig.host->vcpus[1], PVB_CALL_REGISTER,
					 pvb_gpa_raw(rig.table_gpa), PVB_PAGE_SIZE),
			 0);
	rig_batch(&rig);
	rig_add(&rig, PVB_OP_SET, 0, 1, 0, NEW);
	assert_refused(PVB_ST_DENIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		lesson(xsa_264_unbounded_work),
		lesson(xsa_240_unpreemptible_work),
		lesson(xsa_290_work_without_effect),
		lesson(xsa_286_flush_order),
		lesson(xsa_299_references_on_error_paths),
		lesson(xsa_296_reachable_assertion),
		lesson(xsa_345_table_goes_away),
		lesson(slot_under_the_buffer_removed),
		lesson(xsa_438_told_while_mapped),
		lesson(registration_over_a_table),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
