// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of guest/core - the guest applies, the host synchronises: the entry
 * changes at commit, the queue names runs, and the flush takes them along; and what
 * interrupt context does around the queue.
 */
#include <string.h>

#include "core_rig.h"

static int setup(void **state)
{
	(void)state;
	rig_open(PVB_MODE_GUEST_APPLY);
	rig_fill(0, 0, 512, PFN(0x1000) | RW);
	rig_fill(1, 0, 512, PFN(0x2000) | RW);
	return 0;
}

static int setup_host_apply(void **state)
{
	(void)state;
	rig_open(PVB_MODE_HOST_APPLY);
	rig_fill(0, 0, 512, PFN(0x1000) | RW);
	rig_fill(1, 0, 512, PFN(0x2000) | RW);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close();
	return 0;
}

static void expect_named(uint32_t index, unsigned int table, unsigned int slot, uint32_t nr)
{
	assert_int_equal(rig.entries[index].op, PVB_OP_CHANGED);
	assert_int_equal(rig.entries[index].pte_gpa, rig_pte_gpa(table, slot));
	assert_int_equal(rig.entries[index].nr, nr);
	assert_int_equal(rig.entries[index].old, 0);
	assert_int_equal(rig.entries[index].new, 0);
	assert_int_equal(rig.entries[index].flags, 0);
}

/* Entries change at once; runs of several tables travel with the flush, in one call. */
static void runs_travel_with_the_flush(void **state)
{
	uint64_t old;

	(void)state;
	pvb_lazy_enter(&rig.c);
	for (unsigned int i = 0; i < 512; i++)
		rig_modify(rig_pte(0, i), PVB_PTE_W, 0);
	assert_int_equal(*rig_pte(0, 511), PFN(0x11ff) | RO);
	pvb_lazy_leave(&rig.c);
	pvb_lazy_enter(&rig.c);
	old = pvb_start_ptes(rig_pte(1, 8), 16);
	assert_int_equal(pvb_commit_ptes(&rig.c, rig_pte(1, 8), old, old & ~PVB_PTE_W, 16), 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.submits, 0);
	pvb_flush_range(&rig.c, pvb_gva(0x400000), 1024, 0);
	assert_int_equal(rig.submits, 1);
	assert_int_equal(rig.hdr.nr, 2);
	assert_int_equal(rig.hdr.flush, PVB_FLUSH_RANGE);
	expect_named(0, 0, 0, 512);
	expect_named(1, 1, 8, 16);
	assert_int_equal(*rig_pte(1, 23), PFN(0x2017) | RO);
	assert_int_equal(rig_stats().own, 528);
	assert_int_equal(rig_stats().synced, 528);
}

/* Outside lazy mode a commit waits for its flush too. */
static void eager_commit_is_named(void **state)
{
	(void)state;
	rig_modify(rig_pte(0, 3), PVB_PTE_W, 0);
	assert_int_equal(*rig_pte(0, 3), PFN(0x1003) | RO);
	assert_int_equal(rig.submits, 0);
	pvb_lazy_flush(&rig.c);
	assert_int_equal(rig.submits, 1);
	expect_named(0, 0, 3, 1);
}

/* Naming the same or overlapping entries again costs nothing. */
static void overlapping_runs_are_named_once(void **state)
{
	(void)state;
	rig_modify(rig_pte(0, 3), PVB_PTE_W, 0);
	rig_modify(rig_pte(0, 3), 0, PVB_PTE_W);
	assert_int_equal(pvb_changed(&rig.c, rig_pte(0, 3), 10), 0);
	assert_int_equal(pvb_changed(&rig.c, rig_pte(0, 5), 2), 0);
	assert_int_equal(pvb_changed(&rig.c, rig_pte(0, 8), 10), 0);
	assert_int_equal(pvb_changed(&rig.c, rig_pte(0, 18), 2), 0);
	assert_int_equal(pvb_changed(&rig.c, rig_pte(0, 1), 1), 0);
	pvb_flush_all(&rig.c, 0);
	assert_int_equal(rig.hdr.nr, 2);
	expect_named(0, 0, 3, 17);
	expect_named(1, 0, 1, 1);
}

/* What no hardware can have cached needs no naming: not present before, or unchanged. */
static void new_entries_are_not_named(void **state)
{
	(void)state;
	pvb_set(&rig.c, rig_pte(2, 0), PFN(0x3000) | RW);
	rig_modify(rig_pte(0, 0), 0, PVB_PTE_W);
	assert_int_equal(*rig_pte(2, 0), PFN(0x3000) | RW);
	pvb_lazy_flush(&rig.c);
	assert_int_equal(rig.submits, 0);
	pvb_set(&rig.c, rig_pte(2, 0), 0);
	assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, 0), PVB_PTE_W, 0, 4), 0);
	pvb_lazy_flush(&rig.c);
	assert_int_equal(rig.hdr.nr, 2);
	expect_named(0, 2, 0, 1);
	expect_named(1, 0, 0, 4);
}

/* The A/D law holds where the guest merges, and conflicts are left and reported. */
static void guest_keeps_the_law(void **state)
{
	uint64_t old;

	(void)state;
	old = pvb_start_ptes(rig_pte(0, 0), 8);
	*rig_pte(0, 2) |= PVB_PTE_A | PVB_PTE_D;
	*rig_pte(0, 4) |= PVB_PTE_G;
	assert_int_equal(pvb_commit_ptes(&rig.c, rig_pte(0, 0), old, old & ~PVB_PTE_W, 8), 0);
	assert_int_equal(*rig_pte(0, 1), PFN(0x1001) | RO);
	assert_int_equal(*rig_pte(0, 2), PFN(0x1002) | RO | PVB_PTE_A | PVB_PTE_D);
	assert_int_equal(*rig_pte(0, 4), PFN(0x1004) | RW | PVB_PTE_G);
	assert_int_equal(*rig_pte(0, 7), PFN(0x1007) | RO);
	assert_int_equal(rig.conflicts, 1);
	assert_int_equal(rig_stats().untouched, 1);
	assert_int_equal(rig_stats().carried, 1);
	pvb_flush_all(&rig.c, 0);
	expect_named(0, 0, 0, 8);
}

/* Entries that are read are never stale, so reading calls nobody. */
static void read_does_not_drain(void **state)
{
	(void)state;
	rig_modify(rig_pte(0, 3), PVB_PTE_W, 0);
	assert_int_equal(pvb_read(&rig.c, rig_pte(0, 3)), PFN(0x1003) | RO);
	assert_int_equal(rig.submits, 0);
}

/* The queue is full before there is a flush. */
static void full_queue_is_synchronised(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 512; i += 2)
		rig_modify(rig_pte(0, i), PVB_PTE_W, 0);
	assert_int_equal(rig.submits, 2);
	assert_int_equal(rig.hdr.flush, PVB_FLUSH_NONE);
	pvb_flush_all(&rig.c, 0);
	assert_int_equal(rig_stats().synced, 256);
}

/* "Again later" for a run: submitted again, from where it stopped. */
static void retry_is_submitted_again(void **state)
{
	(void)state;
	rig_modify(rig_pte(0, 0), PVB_PTE_W, 0);
	assert_int_equal(pvb_changed(&rig.c, rig_pte(1, 0), 16), 0);
	rig_modify(rig_pte(0, 8), PVB_PTE_W, 0);
	rig.refuse.entry = 1;
	rig.refuse.pte = 4;
	rig.refuse.status = PVB_ST_RETRY;
	rig.refuse.times = 1;
	pvb_flush_all(&rig.c, 0);
	assert_int_equal(rig.submits, 2);
	assert_int_equal(rig.hdr.nr, 1);
	assert_int_equal(rig.hdr.flush, PVB_FLUSH_ALL); /* after what it was late for */
	expect_named(0, 1, 4, 12);
	assert_int_equal(rig.own_flushes, 0);
	assert_int_equal(rig_stats().synced, 18);
	assert_int_equal(rig_stats().entries, 3);
}

/* For ever "again later", or refused: the kernel's own flush, of everything. */
static void unsynchronised_runs_are_flushed(void **state)
{
	(void)state;
	rig.refuse.status = PVB_ST_RETRY;
	rig.refuse.times = UINT32_MAX;
	rig_modify(rig_pte(0, 0), PVB_PTE_W, 0);
	pvb_lazy_flush(&rig.c);
	assert_in_range(rig.submits, 2, 20);
	assert_int_equal(rig.own_flush.type, PVB_FLUSH_ALL);
	assert_int_equal(rig_stats().unsynced, 1);
	rig.refuse.status = PVB_ST_BAD_GPA;
	rig.refuse.times = 1;
	rig_modify(rig_pte(0, 1), PVB_PTE_W, 0);
	pvb_flush_range(&rig.c, pvb_gva(0x1000), 1, 0);
	assert_int_equal(rig.own_flushes, 2);
	assert_int_equal(rig_stats().unsynced, 2);
	rig_modify(rig_pte(0, 2), PVB_PTE_W, 0);
	rig.script[rig.submits] = -PVB_EFAULT;
	for (unsigned int i = 0; i < rig.submits; i++)
		rig.script[i] = RIG_NORMAL;
	rig.nr_script = rig.submits + 1;
	pvb_flush_range(&rig.c, pvb_gva(0x1000), 1, 0);
	assert_int_equal(rig_stats().unsynced, 3);
	assert_int_equal(rig.own_flush.type, PVB_FLUSH_ALL);
	assert_int_equal(rig.c.mode, PVB_MODE_GUEST_APPLY);
}

static void lost_host_is_flushed_by_hand(void **state)
{
	(void)state;
	rig.script[0] = -PVB_ENXIO;
	rig.nr_script = 1;
	rig_modify(rig_pte(0, 0), PVB_PTE_W, 0);
	pvb_flush_range(&rig.c, pvb_gva(0x1000), 1, 0);
	assert_int_equal(rig.losses, 1);
	assert_int_equal(rig.c.mode, PVB_MODE_DIRECT);
	assert_int_equal(rig.own_flush.type, PVB_FLUSH_ALL);
	rig_modify(rig_pte(0, 1), PVB_PTE_W, 0);
	assert_int_equal(*rig_pte(0, 1), PFN(0x1001) | RO);
	pvb_flush_range(&rig.c, pvb_gva(0x1000), 1, 0);
	assert_int_equal(rig.submits, 1);
	assert_int_equal(rig_stats().direct, 1);
}

/* An interrupt while the queue is being filled: at once, and by a call of its own. */
static void interrupt_names_at_once(void **state)
{
	uint8_t before[PVB_BUFFER_MIN];

	(void)state;
	pvb_lazy_enter(&rig.c);
	rig_modify(rig_pte(0, 0), PVB_PTE_W, 0);
	rig_modify(rig_pte(0, 1), PVB_PTE_W, 0);
	memcpy(before, rig.mem->buffer, sizeof(before));
	rig.interrupt = true;
	pvb_lazy_enter(&rig.c);
	rig_modify(rig_pte(1, 2), PVB_PTE_W, 0);
	assert_int_equal(*rig_pte(1, 2), PFN(0x2002) | RO);
	assert_int_equal(rig.submits, 1);
	assert_int_equal(rig.hdr.nr, 1);
	expect_named(0, 1, 2, 1);
	pvb_lazy_leave(&rig.c);
	pvb_lazy_flush(&rig.c);
	assert_int_equal(rig.submits, 1);
	pvb_flush_all(&rig.c, PVB_FLUSH_LOCAL);
	assert_int_equal(rig.submits, 2);
	assert_int_equal(rig.hdr.nr, 0);
	assert_int_equal(rig.hdr.flush, PVB_FLUSH_ALL);
	assert_int_equal(pvb_changed(&rig.c, rig_pte(1, 4), 3), 0);
	expect_named(0, 1, 4, 3);
	rig.interrupt = false;
	/* The queue is as it was, and goes on. */
	assert_memory_equal(before, rig.mem->buffer, sizeof(before));
	rig_modify(rig_pte(0, 2), PVB_PTE_W, 0);
	pvb_lazy_leave(&rig.c);
	pvb_flush_all(&rig.c, 0);
	expect_named(0, 0, 0, 3);
	assert_int_equal(rig.hdr.nr, 1);
	assert_int_equal(rig_stats().bypassed, 1);
	assert_int_equal(rig_stats().own, 6);
}

/* The worst moment: between the header and the doorbell, and before the answers are read. */
static bool nested;

static void interrupting(void)
{
	if (nested)
		return;
	nested = true;
	rig.interrupt = true;
	rig_modify(rig_pte(1, 2), PVB_PTE_W, 0);
	pvb_flush_all(&rig.c, 0);
	rig.interrupt = false;
}

static void interrupt_while_submitting(void **state)
{
	(void)state;
	for (unsigned int when = 0; when < 2; when++) {
		nested = false;
		rig.before = when ? NULL : interrupting;
		rig.after = when ? interrupting : NULL;
		rig_fill(1, 0, 8, PFN(0x2000) | RW);
		rig_modify(rig_pte(0, 0), PVB_PTE_W, when ? PVB_PTE_W : 0);
		assert_int_equal(pvb_changed(&rig.c, rig_pte(0, 4), 4), 0);
		pvb_flush_range(&rig.c, pvb_gva(0x1000), 8, 0);
		rig.before = rig.after = NULL;
		assert_int_equal(*rig_pte(1, 2), PFN(0x2002) | RO);
		assert_int_equal(rig_stats().unsynced, 0);
		assert_int_equal(rig.own_flushes, 0);
	}
	assert_int_equal(rig_stats().synced, 2 * (1 + 4 + 1));
	assert_int_equal(rig_stats().irq_calls, 4);
}

/* The host is of no help to the interrupt: the kernel's own flush. */
static void interrupt_without_host(void **state)
{
	(void)state;
	rig.interrupt = true;
	rig.script[0] = rig.script[1] = -PVB_EFAULT;
	rig.nr_script = 2;
	rig_modify(rig_pte(0, 0), PVB_PTE_W, 0);
	assert_int_equal(rig.own_flush.type, PVB_FLUSH_ALL);
	assert_int_equal(rig_stats().unsynced, 1);
	pvb_flush_range(&rig.c, pvb_gva(0x2000), 2, 0);
	assert_int_equal(rig.own_flush.type, PVB_FLUSH_RANGE);
	rig.g.features &= ~PVB_F_FLUSH;
	pvb_flush_range(&rig.c, pvb_gva(0x2000), 2, 0);
	assert_int_equal(rig.submits, 2);
	assert_int_equal(rig.own_flushes, 3);
	rig.g.features |= PVB_F_FLUSH;
}

/* Host applies: the interrupt writes directly; the queue is not touched. */
static void interrupt_writes_directly(void **state)
{
	(void)state;
	pvb_lazy_enter(&rig.c);
	rig_modify(rig_pte(0, 0), PVB_PTE_W, 0);
	rig.interrupt = true;
	pvb_lazy_enter(&rig.c); /* its lazy mode is none, and leaves the other one's alone */
	rig_modify(rig_pte(1, 0), PVB_PTE_W, 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(*rig_pte(1, 0), PFN(0x2000) | RO);
	assert_int_equal(pvb_set_ptes(&rig.c, rig_pte(1, 1), 0, 4, PVB_ENT_FIXED), 0);
	assert_int_equal(*rig_pte(1, 4), 0);
	assert_int_equal(pvb_read(&rig.c, rig_pte(0, 0)), PFN(0x1000) | RW);
	rig.interrupt = false;
	assert_int_equal(rig.submits, 0);
	rig_modify(rig_pte(0, 1), PVB_PTE_W, 0);
	pvb_lazy_leave(&rig.c);
	assert_int_equal(rig.hdr.nr, 1);
	assert_int_equal(rig.entries[0].nr, 2);
	assert_int_equal(rig_stats().bypassed, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(runs_travel_with_the_flush, setup, teardown),
		cmocka_unit_test_setup_teardown(eager_commit_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(overlapping_runs_are_named_once, setup, teardown),
		cmocka_unit_test_setup_teardown(new_entries_are_not_named, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_keeps_the_law, setup, teardown),
		cmocka_unit_test_setup_teardown(read_does_not_drain, setup, teardown),
		cmocka_unit_test_setup_teardown(full_queue_is_synchronised, setup, teardown),
		cmocka_unit_test_setup_teardown(retry_is_submitted_again, setup, teardown),
		cmocka_unit_test_setup_teardown(unsynchronised_runs_are_flushed, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_host_is_flushed_by_hand, setup, teardown),
		cmocka_unit_test_setup_teardown(interrupt_names_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(interrupt_while_submitting, setup, teardown),
		cmocka_unit_test_setup_teardown(interrupt_without_host, setup, teardown),
		cmocka_unit_test_setup_teardown(interrupt_writes_directly, setup_host_apply,
						teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
