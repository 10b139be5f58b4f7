// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of guest/core - the submit loop (law 5), the flush that travels along
 * (law 4), and the repair of what the host did not do (law 6).
 */
#include "core_rig.h"

static int setup(void **state)
{
	(void)state;
	rig_open(PVB_MODE_HOST_APPLY);
	rig_fill(0, 0, 512, PFN(0x1000) | RW);
	pvb_lazy_enter(&rig.c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close();
	return 0;
}

/* Every second PTE of table 0 below @end: so many entries. */
static void queue_singles(unsigned int end)
{
	for (unsigned int i = 0; i < end; i += 2)
		rig_modify(rig_pte(0, i), PVB_PTE_W, 0);
}

static void expect_singles(unsigned int end)
{
	for (unsigned int i = 0; i < end; i++)
		assert_int_equal(*rig_pte(0, i), PFN(0x1000 + i) | (i % 2 ? RW : RO));
}

/* The script's next result, whatever was submitted before. */
static void next_result(int64_t result)
{
	while (rig.nr_script <= rig.submits)
		rig.script[rig.nr_script++] = RIG_NORMAL;
	rig.script[rig.submits] = result;
}

static void nested_lazy_mode_submits_once(void **state)
{
	(void)state;
	pvb_lazy_enter(&rig.c);
	queue_singles(4);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.submits, 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.submits, 1);
	expect_singles(4);
	pvb_lazy_leave(&rig.c); /* unpaired: nothing to leave */
	pvb_lazy_enter(&rig.c);
	queue_singles(0);
	pvb_lazy_leave(&rig.c); /* nothing queued: no call */
	assert_int_equal(rig.submits, 1);
}

static void outside_lazy_mode_one_at_a_time(void **state)
{
	(void)state;
	pvb_lazy_leave(&rig.c);
	rig_modify(rig_pte(0, 0), PVB_PTE_W, 0);
	rig_modify(rig_pte(0, 1), PVB_PTE_W, 0);
	assert_int_equal(rig.submits, 2);
	assert_int_equal(*rig_pte(0, 1), PFN(0x1001) | RO);
	assert_int_equal(rig_stats().reasons[PVB_REASON_EAGER], 2);
}

static void lazy_flush_submits_and_goes_on(void **state)
{
	(void)state;
	queue_singles(4);
	pvb_lazy_flush(&rig.c);
	expect_singles(4);
	rig_modify(rig_pte(0, 7), PVB_PTE_W, 0);
	assert_int_equal(*rig_pte(0, 7), PFN(0x1007) | RW);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(*rig_pte(0, 7), PFN(0x1007) | RO);
}

/* Work is bounded on the host: the loop names where it got to. */
static void partial_progress_is_resumed(void **state)
{
	(void)state;
	rig.work = 100;
	for (unsigned int i = 0; i < 512; i++)
		rig_modify(rig_pte(0, i), PVB_PTE_W, 0);
	rig_fill(1, 0, 4, PFN(0x5000) | RW);
	for (unsigned int i = 0; i < 4; i++)
		rig_modify(rig_pte(1, i), PVB_PTE_U, 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.submits, 6);
	assert_int_equal(rig.hdr.start, 0);
	assert_int_equal(rig.hdr.skip, 500);
	for (unsigned int i = 0; i < 512; i++)
		assert_int_equal(*rig_pte(0, i), PFN(0x1000 + i) | RO);
	assert_int_equal(*rig_pte(1, 3), PFN(0x5003) | (RW & ~PVB_PTE_U));
	assert_int_equal(rig_stats().partial, 5);
	assert_int_equal(rig_stats().applied, 516);
	assert_int_equal(rig_stats().fallbacks, 0);
}

/* An answer of "partial" that names no progress, or progress to nowhere, ends the loop. */
static uint32_t lie_done, lie_ptes;

static void lie(void)
{
	struct pvb_batch_hdr *hdr = (struct pvb_batch_hdr *)rig.mem->buffer;

	hdr->done = lie_done;
	hdr->done_ptes = lie_ptes;
}

static void false_progress_is_an_error(void **state)
{
	static const uint32_t lies[][2] = {
		{ 0, 0 }, { 5, 0 }, { 0, 4 }, { UINT32_MAX, 0 }, { 1, 1 }
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		rig_fill(0, 0, 512, PFN(0x1000) | RW);
		for (unsigned int k = 0; k < 4; k++)
			rig_modify(rig_pte(0, k), PVB_PTE_W, 0);
		queue_singles(0);
		lie_done = lies[i][0];
		lie_ptes = lies[i][1];
		rig.after = lie;
		next_result(PVB_SUBMIT_PARTIAL);
		assert_int_equal(
			pvb_submit(&rig.c, PVB_REASON_FLUSH, PVB_FLUSH_NONE, 0, pvb_gva(0), 0),
			-PVB_EPROTO);
		rig.after = NULL;
		assert_int_equal(rig.submits, i + 1);
		for (unsigned int k = 0; k < 4; k++)
			assert_int_equal(*rig_pte(0, k), PFN(0x1000 + k) | RO);
		assert_int_equal(rig_stats().fallbacks, 4 * (i + 1));
	}
	/* The host is still there for the next one. */
	assert_int_equal(rig.c.mode, PVB_MODE_HOST_APPLY);
	assert_int_equal(rig.losses, 0);
	rig_modify(rig_pte(0, 9), PVB_PTE_W, 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig_stats().applied, 1);
}

/* "Partial" again and again without moving on from where it was. */
static void stuck_host_is_an_error(void **state)
{
	(void)state;
	for (unsigned int k = 0; k < 6; k++)
		rig_modify(rig_pte(0, k), PVB_PTE_W, 0);
	rig.work = 2;
	lie_done = 0;
	lie_ptes = 2;
	rig.after = lie;
	assert_int_equal(pvb_submit(&rig.c, PVB_REASON_FLUSH, PVB_FLUSH_NONE, 0, pvb_gva(0), 0),
			 -PVB_EPROTO);
	assert_int_equal(rig.submits, 2);
	/* What it had applied without saying so is a conflict to the library, and left. */
	for (unsigned int k = 0; k < 6; k++)
		assert_int_equal(*rig_pte(0, k), PFN(0x1000 + k) | RO);
	assert_int_equal(rig_stats().applied, 2);
	assert_int_equal(rig_stats().untouched, 2);
	assert_int_equal(rig_stats().fallbacks, 2);
}

/* Busy hosts are asked again, but not for ever. */
static void again_is_bounded(void **state)
{
	(void)state;
	queue_singles(4);
	next_result(-PVB_EAGAIN);
	pvb_lazy_flush(&rig.c);
	assert_int_equal(rig.submits, 2);
	assert_int_equal(rig_stats().retries, 1);
	assert_int_equal(rig_stats().applied, 2);
	for (unsigned int i = 2; i < 32; i++)
		rig.script[i] = -PVB_EAGAIN;
	rig.nr_script = 32;
	rig_modify(rig_pte(0, 4), PVB_PTE_W, 0);
	pvb_lazy_leave(&rig.c);
	assert_in_range(rig.submits, 4, 30);
	expect_singles(6);
	assert_int_equal(rig_stats().fallbacks, 1);
	assert_int_equal(rig.c.mode, PVB_MODE_HOST_APPLY);
}

/* An error that says nothing about the feature: this batch directly, the next by call. */
static void failed_call_is_done_directly(void **state)
{
	(void)state;
	queue_singles(8);
	next_result(-PVB_EFAULT);
	pvb_flush_range(&rig.c, pvb_gva(0x7000), 8, 0);
	expect_singles(8);
	assert_int_equal(rig.host_flushes, 0);
	assert_int_equal(rig.own_flush.type, PVB_FLUSH_RANGE);
	assert_int_equal(rig.own_flush.pages, 8);
	assert_int_equal(rig_stats().fallbacks, 4);
	assert_int_equal(rig.losses, 0);
	pvb_flush_all(&rig.c, 0);
	assert_int_equal(rig.host_flushes, 1);
}

/* The feature is gone: told once, everything queued is written, direct from now on. */
static void lost_host(void **state)
{
	static const int errors[] = { PVB_ENOSYS, PVB_EPERM, PVB_ENXIO, PVB_EOPNOTSUPP };

	(void)state;
	for (unsigned int i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		rig_close();
		setup(NULL);
		queue_singles(8);
		*rig_pte(0, 2) |= PVB_PTE_A | PVB_PTE_D;
		next_result(-errors[i]);
		pvb_flush_all(&rig.c, PVB_FLUSH_LOCAL);
		assert_int_equal(rig.losses, 1);
		assert_int_equal(rig.loss, -errors[i]);
		assert_int_equal(rig.c.mode, PVB_MODE_DIRECT);
		assert_int_equal(rig.g.mode, PVB_MODE_DIRECT);
		assert_int_equal(*rig_pte(0, 2), PFN(0x1002) | RO | PVB_PTE_A | PVB_PTE_D);
		*rig_pte(0, 2) &= ~PVB_PTE_AD;
		expect_singles(8);
		assert_int_equal(rig_stats().fallbacks, 4);
		assert_int_equal(rig_stats().carried, 1);
		assert_int_equal(rig.own_flush.type, PVB_FLUSH_ALL);
		assert_int_equal(rig.own_flush.flags, PVB_FLUSH_LOCAL);
		/* Still in lazy mode, but at once. */
		rig_modify(rig_pte(0, 100), PVB_PTE_W, 0);
		assert_int_equal(*rig_pte(0, 100), PFN(0x1064) | RO);
		pvb_lazy_leave(&rig.c);
		assert_int_equal(rig.submits, 1);
		assert_int_equal(rig.losses, 1);
	}
}

/* It goes when the queue is full, in the middle of an operation. */
static void lost_host_with_full_queue(void **state)
{
	(void)state;
	rig.c.limit = 2;
	rig_modify(rig_pte(0, 0), PVB_PTE_W, 0);
	rig_modify(rig_pte(0, 2), PVB_PTE_W, 0);
	next_result(-PVB_ENXIO);
	rig_modify(rig_pte(0, 4), PVB_PTE_W, 0);
	expect_singles(6);
	assert_int_equal(rig_stats().fallbacks, 2);
	assert_int_equal(rig_stats().direct, 1);
}

/* A conflict leaves that PTE alone; the rest of the run is finished by the library. */
static void conflict_stops_nothing_else(void **state)
{
	uint64_t strange = PFN(0x1007) | RW | PVB_PTE_G;

	(void)state;
	for (unsigned int i = 0; i < 16; i++)
		rig_modify(rig_pte(0, i), PVB_PTE_W, 0);
	rig_modify(rig_pte(0, 20), PVB_PTE_W, 0);
	*rig_pte(0, 7) = strange;
	*rig_pte(0, 9) |= PVB_PTE_D;
	pvb_lazy_leave(&rig.c);
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(*rig_pte(0, i),
				 i == 7 ? strange :
					  (PFN(0x1000 + i) | RO | (i == 9 ? PVB_PTE_D : 0)));
	assert_int_equal(*rig_pte(0, 20), PFN(0x1014) | RO);
	assert_int_equal(rig.conflicts, 1);
	assert_int_equal(rig.conflict_cur, strange);
	assert_int_equal(rig_stats().conflicts, 1);
	assert_int_equal(rig_stats().untouched, 1);
	assert_int_equal(rig_stats().fallbacks, 8);
	assert_int_equal(rig_stats().applied, 8);
	assert_int_equal(rig_stats().carried, 1);
}

/* Any other refusal: the library writes it, and flushes after it. */
static void refused_entry_is_written(void **state)
{
	(void)state;
	for (int status = PVB_ST_BAD_OP; status < PVB_NR_STATUS; status++) {
		uint64_t fallbacks = rig_stats().fallbacks;

		rig_fill(0, 0, 32, PFN(0x1000) | RW);
		queue_singles(8);
		for (unsigned int i = 8; i < 16; i++)
			pvb_set(&rig.c, rig_pte(0, i), PFN(0x3000 + i) | RO);
		assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, 16), PVB_PTE_W, 0, 8), 0);
		rig.refuse.entry = 4 + (unsigned int)status % 2;
		rig.refuse.pte = 3;
		rig.refuse.status = (enum pvb_status)status;
		rig.refuse.times = 1;
		pvb_flush_all(&rig.c, 0);
		expect_singles(8);
		for (unsigned int i = 8; i < 16; i++)
			assert_int_equal(*rig_pte(0, i), PFN(0x3000 + i) | RO);
		for (unsigned int i = 16; i < 24; i++)
			assert_int_equal(*rig_pte(0, i), PFN(0x1000 + i) | RO);
		assert_int_equal(rig_stats().fallbacks, fallbacks + 5);
		assert_int_equal(rig_stats().conflicts, 0);
		/* The host's flush came before the repair: another one after it (law 4). */
		assert_int_equal(rig.own_flushes, status - PVB_ST_BAD_OP + 1);
	}
}

/* A kernel that could not write it either is told instead. */
static unsigned int told;

static void refused(uint64_t *ptep, uint32_t nr, enum pvb_status status)
{
	assert_ptr_equal(ptep, rig_pte(0, 2));
	assert_int_equal(nr, 6);
	assert_int_equal(status, PVB_ST_DENIED);
	told++;
}

static void refused_entry_is_left(void **state)
{
	(void)state;
	told = 0;
	rig.ops.refused = refused;
	rig.refuse.pte = 2;
	rig.refuse.status = PVB_ST_DENIED;
	rig.refuse.times = 1;
	assert_int_equal(pvb_set_ptes(&rig.c, rig_pte(0, 0), PFN(0x3000) | RO, 8, 0), 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(told, 1);
	assert_int_equal(*rig_pte(0, 1), PFN(0x3001) | RO);
	assert_int_equal(*rig_pte(0, 7), PFN(0x1007) | RW);
	assert_int_equal(rig_stats().untouched, 6);
	assert_int_equal(rig_stats().fallbacks, 0);
	assert_int_equal(rig.own_flushes, 0);
}

/* A store that was refused does not overwrite a later one that was not (law 5). */
static void repair_keeps_the_order(void **state)
{
	(void)state;
	assert_int_equal(pvb_set_ptes(&rig.c, rig_pte(0, 0), PFN(0x3000) | RW | PVB_PTE_D, 8, 0),
			 0);
	assert_int_equal(pvb_set_ptes(&rig.c, rig_pte(0, 2), PFN(0x4000) | RO, 2, 0), 0);
	assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, 5), PVB_PTE_D, 0, 10), 0);
	rig.refuse.entry = 0;
	rig.refuse.pte = 1;
	rig.refuse.status = PVB_ST_RETRY;
	rig.refuse.times = 1;
	pvb_lazy_leave(&rig.c);
	assert_int_equal(*rig_pte(0, 0), PFN(0x3000) | RW | PVB_PTE_D);
	assert_int_equal(*rig_pte(0, 1), PFN(0x3001) | RW | PVB_PTE_D);
	assert_int_equal(*rig_pte(0, 2), PFN(0x4000) | RO);
	assert_int_equal(*rig_pte(0, 3), PFN(0x4001) | RO);
	assert_int_equal(*rig_pte(0, 4), PFN(0x3004) | RW | PVB_PTE_D);
	assert_int_equal(*rig_pte(0, 5), PFN(0x3005) | RW);
	assert_int_equal(*rig_pte(0, 7), PFN(0x3007) | RW);
	assert_int_equal(*rig_pte(0, 8), PFN(0x1008) | RW);
}

/* Answers that contradict themselves count as none. */
static uint16_t forged;

static void forge(void)
{
	((struct pvb_entry *)(rig.mem->buffer + sizeof(struct pvb_batch_hdr)))[0].answer = forged;
}

static void forged_answers(void **state)
{
	(void)state;
	rig.after = forge;
	forged = pvb_answer(PVB_ST_OK, 3); /* done, but not all */
	pvb_set_ptes(&rig.c, rig_pte(0, 0), PFN(0x3000) | RO, 4, 0);
	pvb_lazy_flush(&rig.c);
	forged = pvb_answer(PVB_ST_OK, 512); /* more than there were */
	pvb_set_ptes(&rig.c, rig_pte(0, 4), PFN(0x3004) | RO, 4, 0);
	pvb_lazy_flush(&rig.c);
	forged = 0; /* none at all */
	pvb_set_ptes(&rig.c, rig_pte(0, 8), PFN(0x3008) | RO, 4, 0);
	pvb_lazy_flush(&rig.c);
	for (unsigned int i = 0; i < 12; i++)
		assert_int_equal(*rig_pte(0, i), PFN(0x3000 + i) | RO);
	assert_int_equal(rig_stats().fallbacks, 12);
}

/* The queue and the flush, one call. */
static void flush_takes_the_queue_along(void **state)
{
	(void)state;
	queue_singles(8);
	pvb_flush_range(&rig.c, pvb_gva(0x400000), 8, PVB_FLUSH_LOCAL);
	assert_int_equal(rig.submits, 1);
	assert_int_equal(rig.hdr.nr, 4);
	assert_int_equal(rig.hdr.flush, PVB_FLUSH_RANGE);
	assert_int_equal(rig.hdr.flush_flags, PVB_FLUSH_LOCAL);
	assert_int_equal(rig.hdr.flush_va, 0x400000);
	assert_int_equal(rig.hdr.flush_pages, 8);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.submits, 1);
	/* And with nothing queued a flush is one call too. */
	pvb_flush_all(&rig.c, 0);
	assert_int_equal(rig.submits, 2);
	assert_int_equal(rig.hdr.nr, 0);
	assert_int_equal(rig.hdr.flush, PVB_FLUSH_ALL);
	pvb_flush_range(&rig.c, pvb_gva(0), 0, 0); /* of nothing */
	assert_int_equal(rig.submits, 2);
	assert_int_equal(rig.own_flushes, 0);
	assert_int_equal(rig_stats().flushes, 2);
}

/* A host that does not flush: the queue by call, then the kernel's own flush. */
static void host_without_flush(void **state)
{
	(void)state;
	rig.g.features &= ~PVB_F_FLUSH;
	queue_singles(8);
	pvb_flush_range(&rig.c, pvb_gva(0x400000), 8, 0);
	expect_singles(8);
	assert_int_equal(rig.submits, 1);
	assert_int_equal(rig.hdr.flush, PVB_FLUSH_NONE);
	assert_int_equal(rig.hdr.flush_pages, 0);
	assert_int_equal(rig.own_flushes, 1);
	pvb_flush_all(&rig.c, 0);
	assert_int_equal(rig.submits, 1);
	assert_int_equal(rig.own_flushes, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nested_lazy_mode_submits_once, setup, teardown),
		cmocka_unit_test_setup_teardown(outside_lazy_mode_one_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(lazy_flush_submits_and_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(partial_progress_is_resumed, setup, teardown),
		cmocka_unit_test_setup_teardown(false_progress_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(stuck_host_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(again_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(failed_call_is_done_directly, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_host, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_host_with_full_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(conflict_stops_nothing_else, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_entry_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_entry_is_left, setup, teardown),
		cmocka_unit_test_setup_teardown(repair_keeps_the_order, setup, teardown),
		cmocka_unit_test_setup_teardown(forged_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(flush_takes_the_queue_along, setup, teardown),
		cmocka_unit_test_setup_teardown(host_without_flush, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
