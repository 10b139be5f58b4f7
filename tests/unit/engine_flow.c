// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of the engine, the flow: what happens in which order (laws 4 and 5), where
 * a call may end and how the next one goes on, and that guest memory is read once and
 * only OUT fields are written (law 7).
 *
 * The backend's callbacks are replaced by ones that write a log, a letter each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine_rig.h"

#define BUFFER 16384U
#define PTE(pfn) ((uint64_t)(pfn) << PVB_PAGE_SHIFT | PVB_PTE_P | PVB_PTE_W)

static struct rig rig;
static struct pvb_backend plain;
static char log_[4096]; /* what happened */
static struct pvb_flush_req flushed;
static struct pvb_changed_run told[64];
static unsigned int nr_told;
static uint64_t yield_at; /* should_yield says yes from this question on; 0: never */
static uint64_t asked;

static void note(const char *what)
{
	strncat(log_, what, sizeof(log_) - strlen(log_) - 1);
}

static enum pvb_status log_map(void *ctx, pvb_gpa_t table, uint64_t **ptes)
{
	note("M");
	return plain.map_table(ctx, table, ptes);
}

static enum pvb_status log_check(void *ctx, pvb_gpa_t table)
{
	uint64_t *ptes;

	note("K");
	return plain.map_table(ctx, table, &ptes);
}

static void log_unmap(void *ctx, pvb_gpa_t table, uint64_t *ptes)
{
	note("U");
	plain.unmap_table(ctx, table, ptes);
}

static void log_changed(void *ctx, const struct pvb_changed_run *run)
{
	note("C");
	if (nr_told < 64)
		told[nr_told++] = *run;
	plain.changed(ctx, run);
}

static void log_flush(void *ctx, const struct pvb_flush_req *req)
{
	note("F");
	/* law 4: the updates are there, the answer is not */
	assert_int_not_equal(rig.table[0], 0);
	assert_int_equal(rig.hdr->status, 0x5555);
	flushed = *req;
	plain.flush(ctx, req);
}

static int log_read(void *ctx, pvb_gpa_t gpa, void *dst, uint32_t bytes)
{
	char what[32];

	snprintf(what, sizeof(what), "r%u ", bytes);
	note(what);
	return plain.read_guest(ctx, gpa, dst, bytes);
}

static int log_write(void *ctx, pvb_gpa_t gpa, const void *src, uint32_t bytes)
{
	char what[32];

	snprintf(what, sizeof(what), "w%u ", bytes);
	note(what);
	return plain.write_guest(ctx, gpa, src, bytes);
}

static bool yields(void *ctx)
{
	(void)ctx;
	return yield_at && ++asked >= yield_at;
}

static int setup(void **state)
{
	struct pvb_backend *backend;

	(void)state;
	rig_open(&rig, 2, PVB_F_ALL, BUFFER);
	backend = &rig.host->backend;
	plain = *backend;
	backend->map_table = log_map;
	backend->unmap_table = log_unmap;
	backend->changed = log_changed;
	backend->flush = log_flush;
	log_[0] = '\0';
	nr_told = 0;
	yield_at = 0;
	asked = 0;
	rig.hdr->status = 0x5555;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static void expect_told(unsigned int i, uint32_t first, uint32_t nr, bool hint)
{
	assert_int_equal(pvb_gpa_raw(told[i].table), pvb_gpa_raw(rig.table_gpa));
	assert_ptr_equal(told[i].ptes, rig.table);
	assert_int_equal(told[i].first, first);
	assert_int_equal(told[i].nr, nr);
	assert_int_equal(told[i].hint, hint);
}

/* Law 4: updates, then the backend is told, then the flush, then the answer. */
static void order(void **state)
{
	(void)state;
	rig_add(&rig, PVB_OP_SET, 0, 10, 0, PTE(1));
	rig.hdr->flush = PVB_FLUSH_RANGE;
	rig.hdr->flush_pages = 10;
	rig.hdr->flush_va = 0x12345000;
	rig.hdr->flush_flags = PVB_FLUSH_LOCAL;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_string_equal(log_, "MCUF");
	expect_told(0, 0, 10, false);
	assert_int_equal(flushed.type, PVB_FLUSH_RANGE);
	assert_int_equal(flushed.pages, 10);
	assert_int_equal(pvb_gva_raw(flushed.va), 0x12345000);
	assert_true(flushed.local);
	assert_int_equal(rig.hdr->status, PVB_SUBMIT_DONE);
	assert_int_equal(rig.cpu->engine.stats.flush_range, 1);
}

/* A range too long to loop over becomes a flush of everything. */
static void long_flush(void **state)
{
	(void)state;
	rig_add(&rig, PVB_OP_SET, 0, 1, 0, PTE(1));
	rig.hdr->flush = PVB_FLUSH_RANGE;
	rig.hdr->flush_pages = PVB_FLUSH_RANGE_MAX;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(flushed.type, PVB_FLUSH_RANGE);
	rig.hdr->flush_pages = PVB_FLUSH_RANGE_MAX + 1;
	rig.hdr->status = 0x5555;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(flushed.type, PVB_FLUSH_ALL);
	assert_false(flushed.local);
	assert_int_equal(flushed.pages, 0);
	assert_int_equal(rig.cpu->engine.stats.flush_all, 1);
}

/* One mapping for consecutive entries of a table; runs that touch are told as one. */
static void one_mapping(void **state)
{
	pvb_gpa_t other = pvb_inproc_alloc(rig.host, 1);
	uint32_t i;

	(void)state;
	for (i = 0; i < 100; i++) /* more than a chunk */
		rig_add(&rig, PVB_OP_SET, i, 1, 0, PTE(i));
	rig_add(&rig, PVB_OP_SET, 100, 412, 0, PTE(7));
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_string_equal(log_, "MCU");
	expect_told(0, 0, 512, false);

	log_[0] = '\0';
	nr_told = 0;
	rig_batch(&rig);
	rig_add(&rig, PVB_OP_SET, 0, 1, 0, PTE(1));
	rig_add(&rig, PVB_OP_SET, 2, 1, 0, PTE(1)); /* a gap: told apart */
	rig_add(&rig, PVB_OP_SET, 3, 1, 0, PTE(1))->pte_gpa = pvb_gpa_raw(other) + 24;
	rig_add(&rig, PVB_OP_SET, 4, 1, 0, PTE(1));
	rig_add(&rig, PVB_OP_SET, 4, 1, 0, PTE(2)); /* the same again: told again */
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_string_equal(log_, "MCCUMCUMCCU");
	expect_told(0, 0, 1, false);
	expect_told(1, 2, 1, false);
	assert_int_equal(pvb_gpa_raw(told[2].table), pvb_gpa_raw(other));
	assert_int_equal(told[2].first, 3);
	expect_told(3, 4, 1, false);
	expect_told(4, 4, 1, false);
}

/* A table ends where the next begins in memory: a run never reaches over. */
static void adjacent_tables(void **state)
{
	pvb_gpa_t two = pvb_inproc_alloc(rig.host, 2);
	uint32_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		rig_add(&rig, PVB_OP_SET, 0, 1, 0, PTE(i))->pte_gpa =
			pvb_gpa_raw(two) + (510 + i) * 8;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_string_equal(log_, "MCUMCU");
	assert_int_equal(told[0].first, 510);
	assert_int_equal(told[0].nr, 2);
	assert_int_equal(told[1].first, 0);
	assert_int_equal(told[1].nr, 2);
}

/* Hints go through with the run they are for, moved on to its first PTE. */
static void hints(void **state)
{
	(void)state;
	rig_add(&rig, PVB_OP_CHANGED, 0, 4, PTE(8), PTE(9))->flags = PVB_ENT_HINT;
	rig_add(&rig, PVB_OP_CHANGED, 4, 4, 0, 0);
	rig_add(&rig, PVB_OP_CHANGED, 8, 4, 0, 0);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_string_equal(log_, "MCCU");
	expect_told(0, 0, 4, true);
	assert_int_equal(told[0].old, PTE(8));
	assert_int_equal(told[0].new, PTE(9));
	expect_told(1, 4, 8, false);
	assert_int_equal(told[1].old, 0);
	assert_int_equal(told[1].new, 0);

	nr_told = 0;
	rig.hdr->nr = 1;
	rig.hdr->skip = 3;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	expect_told(0, 3, 1, true);
	assert_int_equal(told[0].old, PTE(11));
	assert_int_equal(told[0].new, PTE(12));
}

/* What is only named need not be mapped, if the backend can do without. */
static void named_only(void **state)
{
	(void)state;
	rig.host->backend.check_table = log_check;
	rig_add(&rig, PVB_OP_CHANGED, 0, 4, 0, 0);
	rig_add(&rig, PVB_OP_CHANGED, 4, 4, 0, 0); /* of the same table: checked once */
	rig_add(&rig, PVB_OP_CHANGED, 0, 4, 0, 0)->pte_gpa = RIG_ROM;
	rig_add(&rig, PVB_OP_CHANGED, 8, 4, 0, 0);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_string_equal(log_, "KCKKC");
	assert_int_equal(told[0].first, 0);
	assert_int_equal(told[0].nr, 8);
	assert_null(told[0].ptes);
	assert_int_equal(rig.entries[2].answer, pvb_answer(PVB_ST_BAD_GPA, 0));
	assert_int_equal(rig.hdr->applied, 12);

	/* one that is written is mapped, before it was named as well as after */
	log_[0] = '\0';
	nr_told = 0;
	rig_batch(&rig);
	rig_add(&rig, PVB_OP_CHANGED, 0, 4, 0, 0);
	rig_add(&rig, PVB_OP_SET, 4, 1, 0, PTE(4));
	rig_add(&rig, PVB_OP_CHANGED, 5, 4, 0, 0);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_string_equal(log_, "KCMCU");
	assert_null(told[0].ptes);
	expect_told(1, 4, 5, false);
	assert_int_equal(rig.table[4], PTE(4));
}

/* What stopped a run is not told; what was applied before it is. */
static void told_what_was_applied(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < 512; i++)
		rig.table[i] = PTE(i);
	rig.table[300] = 0;
	rig_add(&rig, PVB_OP_MASK, 0, 512, PVB_PTE_W, 0);
	rig_add(&rig, PVB_OP_MASK, 300, 1, PVB_PTE_W, 0);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_string_equal(log_, "MCU");
	expect_told(0, 0, 300, false);
}

/* Law 5 and 7: max_work PTEs a call, a refused entry counts as one, and progress always. */
static void bounded(void **state)
{
	uint64_t flushes;
	uint32_t i;

	(void)state;
	rig.host->backend.flush = plain.flush;
	rig.host->vm.max_work = 512;
	for (i = 0; i < 3; i++)
		rig_add(&rig, PVB_OP_SET, 0, 400, 0, PTE(i << 10));
	rig.hdr->flush = PVB_FLUSH_ALL;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_PARTIAL);
	assert_int_equal(rig.hdr->status, PVB_SUBMIT_PARTIAL);
	assert_int_equal(rig.hdr->done, 1);
	assert_int_equal(rig.hdr->done_ptes, 112);
	assert_int_equal(rig.hdr->applied, 512);
	assert_int_equal(rig.entries[0].answer, pvb_answer(PVB_ST_OK, 400));
	assert_int_equal(rig.entries[1].answer, pvb_answer(PVB_ST_PENDING, 0));
	assert_int_equal(rig.table[111], PTE((1 << 10) + 111));
	assert_int_equal(rig.table[112], PTE(112));
	flushes = rig.cpu->engine.stats.flush_all;
	assert_int_equal(flushes, 0); /* not before the last call */

	rig.hdr->start = 1;
	rig.hdr->skip = 112;
	assert_int_equal(rig_finish(&rig), 2);
	assert_int_equal(rig.entries[1].answer, pvb_answer(PVB_ST_OK, 400));
	assert_int_equal(rig.entries[2].answer, pvb_answer(PVB_ST_OK, 400));
	assert_int_equal(rig.hdr->done, 3);
	assert_int_equal(rig.hdr->done_ptes, 0);
	assert_int_equal(rig.hdr->applied, 1200 - 1024);
	for (i = 0; i < 400; i++)
		assert_int_equal(rig.table[i], PTE((2 << 10) + i));
	assert_int_equal(rig.cpu->engine.stats.flush_all, 1);
	assert_int_equal(rig.cpu->engine.stats.partial, 2);
	assert_int_equal(rig.cpu->engine.stats.batches, 1);
	assert_int_equal(rig.cpu->engine.stats.applied, 1200);
}

static void bounded_refusals(void **state)
{
	uint32_t i, calls;

	(void)state;
	rig.host->vm.max_work = 100;
	for (i = 0; i < 250; i++)
		rig_add(&rig, (enum pvb_op)99, 0, 1, 0, 0);
	calls = rig_finish(&rig);
	assert_int_equal(calls, 3);
	for (i = 0; i < 250; i++)
		assert_int_equal(rig.entries[i].answer, pvb_answer(PVB_ST_BAD_OP, 0));
	assert_int_equal(rig.cpu->engine.stats.refused, 250);
	assert_int_equal(rig.cpu->engine.stats.entries, 250);
}

/* max_entries ends a call after so many entries, none is left out, the flush is the last's. */
static void bounded_entries(void **state)
{
	static const uint32_t limits[] = { 1, 7, 64, 65, 199, 200, 201 };

	(void)state;
	rig.host->backend.flush = plain.flush;
	for (unsigned int l = 0; l < sizeof(limits) / sizeof(limits[0]); l++) {
		uint64_t limited = rig.cpu->engine.limited, flushes;
		uint32_t calls = (200 + limits[l] - 1) / limits[l];

		rig.host->vm.max_entries = limits[l];
		rig_batch(&rig);
		for (uint32_t i = 0; i < 200; i++) {
			rig.table[i] = 0;
			rig_add(&rig, i == 100 ? (enum pvb_op)99 : PVB_OP_SET, i, 1, 0, PTE(i));
		}
		rig.hdr->flush = PVB_FLUSH_ALL;
		flushes = rig.cpu->engine.stats.flush_all;
		if (limits[l] < 200) {
			assert_int_equal(rig_submit(&rig), PVB_SUBMIT_PARTIAL);
			assert_int_equal(rig.hdr->done, limits[l]);
			assert_int_equal(rig.hdr->done_ptes, 0);
			assert_int_equal(rig.entries[limits[l]].answer, 0);
			assert_int_equal(rig.cpu->engine.stats.flush_all, flushes);
			rig.hdr->start = rig.hdr->done;
			calls--;
		}
		assert_int_equal(rig_finish(&rig), calls);
		for (uint32_t i = 0; i < 200; i++) {
			assert_int_equal(rig.table[i], i == 100 ? 0 : PTE(i));
			assert_int_equal(rig.entries[i].answer,
					 i == 100 ? pvb_answer(PVB_ST_BAD_OP, 0) :
						    pvb_answer(PVB_ST_OK, 1));
		}
		assert_int_equal(rig.cpu->engine.stats.flush_all, flushes + 1);
		assert_int_equal(rig.cpu->engine.limited - limited,
				 (200 + limits[l] - 1) / limits[l] - 1);
	}
}

/* A host that always wants the CPU back still lets each call do a piece of work. */
static void yielding(void **state)
{
	unsigned int calls;
	uint32_t i;

	(void)state;
	rig.host->backend.should_yield = yields;
	yield_at = 1;
	rig_add(&rig, PVB_OP_SET, 0, 512, 0, PTE(0));
	for (i = 0; i < 200; i++)
		rig_add(&rig, PVB_OP_SET, i, 1, 0, PTE(1000 + i));
	rig_add(&rig, PVB_OP_CHANGED, 0, 512, 0, 0);
	calls = rig_finish(&rig);
	assert_in_range(calls, 12, 13); /* 8 pieces, then 64 entries a call, then one */
	for (i = 0; i < 512; i++)
		assert_int_equal(rig.table[i], PTE(i < 200 ? 1000 + i : i));
	for (i = 0; i < 202; i++)
		assert_int_equal(pvb_answer_status(rig.entries[i].answer), PVB_ST_OK);
	assert_int_equal(rig.cpu->told, 512 + 200 + 512);
}

/* Cut into every possible pair of calls, bitmaps and answers come out as in one. */
static void results_across_calls(void **state)
{
	uint64_t *bitmaps = (uint64_t *)((uint8_t *)rig.hdr + 8192);
	uint32_t cut, i;

	(void)state;
	for (cut = 1; cut < 200; cut++) {
		for (i = 0; i < 200; i++)
			rig.table[i] = PTE(i) | (i % 3 ? 0 : PVB_PTE_A) | (i % 5 ? 0 : PVB_PTE_D);
		rig_batch(&rig);
		rig_add(&rig, PVB_OP_MASK, 0, 200, PVB_PTE_A | PVB_PTE_D, 0);
		rig.entries[0].flags = PVB_ENT_RESULT;
		rig.entries[0].result = 8192 / 8;
		memset(bitmaps, 0xff, 64); /* what was there before is no result */
		rig.host->vm.max_work = cut;
		assert_int_equal(rig_submit(&rig), PVB_SUBMIT_PARTIAL);
		assert_int_equal(rig.hdr->done_ptes, cut);
		for (i = cut; i < 256; i++)
			assert_int_equal(bitmaps[i / 64] >> i % 64 & 1, 0);
		rig.hdr->skip = cut;
		rig.host->vm.max_work = 512;
		assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
		assert_int_equal(rig.entries[0].answer, pvb_answer(PVB_ST_OK, 200));
		for (i = 0; i < 256; i++) {
			assert_int_equal(bitmaps[i / 64] >> i % 64 & 1, i < 200 && !(i % 3));
			assert_int_equal(bitmaps[4 + i / 64] >> i % 64 & 1, i < 200 && !(i % 5));
		}
	}
}

/* A swap entry's template has its PFN field wrap; no other bit may feel it (law 2). */
static void template_wraps(void **state)
{
	uint64_t old = PVB_PTE_PFN_MASK | 1ULL << 57,
		 new = (PVB_PTE_PFN_MASK - 0x2000) | 1ULL << 60;
	uint32_t i;

	(void)state;
	for (i = 0; i < 8; i++)
		rig.table[i] = pvb_pte_advance(old, i);
	rig_add(&rig, PVB_OP_COMMIT, 0, 8, old, new);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(rig.entries[0].answer, pvb_answer(PVB_ST_OK, 8));
	for (i = 0; i < 8; i++) {
		uint64_t pfn = ((0xffffffffffULL - 2) + i) & 0xffffffffffULL;

		assert_int_equal(rig.table[i], pfn << 12 | 1ULL << 60);
	}
}

/*
 * Law 7: the guest's buffer is read once: 32 bytes of header, then the entries, a chunk at
 * a time. Written are answers and the OUT half of the header, by single answers where the
 * backend has no better way.
 */
static void reads_once(void **state)
{
	(void)state;
	rig.host->backend.read_guest = log_read;
	rig.host->backend.write_guest = log_write;
	rig.host->backend.write_answers = NULL;
	rig_add(&rig, PVB_OP_SET, 0, 3, 0, PTE(1));
	rig_add(&rig, PVB_OP_SET, 8, 3, 0, PTE(1));
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_string_equal(log_, "r32 r64 MCw2 w2 CUw32 ");
	assert_int_equal(rig.entries[0].answer, pvb_answer(PVB_ST_OK, 3));
	assert_int_equal(rig.entries[1].answer, pvb_answer(PVB_ST_OK, 3));
}

/* Law 7: whoever rewrites the batch while it is being worked on changes nothing. */
static int read_and_rewrite(void *ctx, pvb_gpa_t gpa, void *dst, uint32_t bytes)
{
	uint8_t *memory = pvb_inproc_ptr(rig.host, gpa, bytes, true);
	int result = plain.read_guest(ctx, gpa, dst, bytes);

	memset(memory, 0xff, bytes);
	return result;
}

static void rewritten_in_flight(void **state)
{
	uint32_t i;

	(void)state;
	rig.host->backend.read_guest = read_and_rewrite;
	rig_add(&rig, PVB_OP_SET, 0, 1, 0, PTE(1));
	rig_add(&rig, PVB_OP_SET, 1, 100, 0, PTE(2));
	rig_add(&rig, PVB_OP_SET, 200, 1, 0, PTE(3));
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(rig.table[0], PTE(1));
	for (i = 0; i < 100; i++)
		assert_int_equal(rig.table[1 + i], PTE(2 + i));
	assert_int_equal(rig.table[200], PTE(3));
	assert_int_equal(rig.hdr->done, 3);
	assert_int_equal(rig.hdr->applied, 102);
	/* IN fields are left as the other vCPU wrote them, OUT fields are the host's */
	assert_int_equal(rig.hdr->nr, ~0U);
	assert_int_equal(rig.hdr->reserved2, 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(rig.entries[i].pte_gpa, ~0ULL);
		assert_int_equal(rig.entries[i].result, 0xffff);
		assert_int_equal(pvb_answer_status(rig.entries[i].answer), PVB_ST_OK);
	}
}

static unsigned int reads_left, writes_left;

static int read_until(void *ctx, pvb_gpa_t gpa, void *dst, uint32_t bytes)
{
	return reads_left-- ? plain.read_guest(ctx, gpa, dst, bytes) : -PVB_EFAULT;
}

static int write_until(void *ctx, pvb_gpa_t gpa, const void *src, uint32_t bytes)
{
	return writes_left-- ? plain.write_guest(ctx, gpa, src, bytes) : -PVB_EFAULT;
}

/* The buffer's memory is taken away at each possible moment: an answer, and no harm. */
static void buffer_vanishes(void **state)
{
	uint64_t failed = 0, partial = 0;
	unsigned int reads, writes;
	uint32_t i;

	(void)state;
	rig.host->backend.read_guest = read_until;
	rig.host->backend.write_guest = write_until;
	rig.host->backend.write_answers = NULL;
	for (i = 0; i < 130; i++)
		rig_add(&rig, PVB_OP_SET, i, 1, 0, PTE(i));
	rig.entries[0].flags = PVB_ENT_RESULT;
	rig.entries[0].result = (BUFFER - 16) / 8;
	for (reads = 0; reads < 4; reads++) {
		reads_left = reads;
		writes_left = ~0U;
		switch (rig_submit(&rig)) {
		case -PVB_EFAULT:
			assert_true(reads < 2);
			assert_int_equal(rig.hdr->status, -PVB_EFAULT);
			assert_int_equal(rig.hdr->applied, 0);
			failed++;
			break;
		case PVB_SUBMIT_PARTIAL: /* what was done is done: the next call says EFAULT */
			assert_int_equal(rig.hdr->done, (reads - 1) * PVB_CHUNK);
			partial++;
			break;
		default:
			fail();
		}
	}
	for (writes = 0; writes < 132; writes++) {
		reads_left = ~0U;
		writes_left = writes;
		assert_int_equal(rig_submit(&rig), -PVB_EFAULT);
		failed++;
	}
	reads_left = writes_left = ~0U;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	/* a continuation needs to read its bitmaps: refused before anything is applied */
	rig.entries[0].nr = 2;
	rig.hdr->skip = 1;
	reads_left = 2;
	rig_submit(&rig);
	assert_int_equal(rig.entries[0].answer, pvb_answer(PVB_ST_BAD_RESULT, 1));
	assert_int_equal(rig.cpu->engine.stats.failed, failed);
	assert_int_equal(rig.cpu->engine.stats.calls, failed + partial + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(order, setup, teardown),
		cmocka_unit_test_setup_teardown(long_flush, setup, teardown),
		cmocka_unit_test_setup_teardown(one_mapping, setup, teardown),
		cmocka_unit_test_setup_teardown(adjacent_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(hints, setup, teardown),
		cmocka_unit_test_setup_teardown(named_only, setup, teardown),
		cmocka_unit_test_setup_teardown(told_what_was_applied, setup, teardown),
		cmocka_unit_test_setup_teardown(bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(bounded_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(bounded_entries, setup, teardown),
		cmocka_unit_test_setup_teardown(yielding, setup, teardown),
		cmocka_unit_test_setup_teardown(results_across_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(template_wraps, setup, teardown),
		cmocka_unit_test_setup_teardown(reads_once, setup, teardown),
		cmocka_unit_test_setup_teardown(rewritten_in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(buffer_vanishes, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
