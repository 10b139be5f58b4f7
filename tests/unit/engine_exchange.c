// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of the engine, apply: an exchange that fails because somebody was faster.
 * Hardware makes it fail and is carried; a guest that keeps on writing gets PVB_ST_RETRY
 * after a bounded number of tries instead of a host CPU for ever (law 7).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../model/hooked_apply.h"
#include "engine_rig.h"

#define OLD (0x5000ULL | PVB_PTE_P | PVB_PTE_W)
#define NEW (0x5000ULL | PVB_PTE_P)
#define TRIES 16U /* as apply.c promises */

static struct rig rig;
static unsigned int exchanges;
static unsigned int disturbed; /* exchanges that somebody is to disturb */
static uint64_t disturbance; /* bits that toggle each time */
static uint64_t *victim;

static void disturb(uint64_t *pte)
{
	if (pte != victim)
		return;
	if (exchanges++ < disturbed)
		*pte ^= disturbance;
}

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, 1, PVB_F_ALL, 8192);
	apply_hook = disturb;
	exchanges = 0;
	victim = &rig.table[5];
	rig.table[4] = rig.table[5] = rig.table[6] = OLD;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	apply_hook = NULL;
	rig_close(&rig);
	return 0;
}

/* A, then D, each between look and exchange: two exchanges fail, both bits are carried. */
static void hardware_twice(uint64_t *pte)
{
	if (exchanges++ < 2)
		*pte |= exchanges == 1 ? PVB_PTE_A : PVB_PTE_D;
}

static void carries_each(void **state)
{
	(void)state;
	apply_hook = hardware_twice;
	rig_add(&rig, PVB_OP_COMMIT, 5, 1, OLD, NEW);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(rig.entries[0].answer, pvb_answer(PVB_ST_OK, 1));
	assert_int_equal(rig.table[5], NEW | PVB_PTE_A | PVB_PTE_D);
	assert_int_equal(exchanges, 3);
	assert_int_equal(rig.cpu->engine.stats.carried_a, 1);
	assert_int_equal(rig.cpu->engine.stats.carried_d, 1);
	assert_int_equal(rig.hdr->carried, 1);
}

/* One try short of the limit it still works out, for each operation. */
static void last_try(void **state)
{
	enum pvb_op op;

	(void)state;
	disturbed = TRIES - 1;
	disturbance = PVB_PTE_A;
	for (op = PVB_OP_SET; op <= PVB_OP_MASK; op++) {
		exchanges = 0;
		rig.table[5] = OLD;
		rig_batch(&rig);
		rig_add(&rig, op, 5, 1, op == PVB_OP_COMMIT ? OLD : 0, op == PVB_OP_MASK ? 0 : NEW);
		assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
		assert_int_equal(rig.entries[0].answer, pvb_answer(PVB_ST_OK, 1));
		assert_int_equal(exchanges, TRIES);
	}
}

/* At the limit the run stops there, as for any reason; the others are applied. */
static void gives_up(void **state)
{
	enum pvb_op op;

	(void)state;
	disturbed = ~0U;
	disturbance = PVB_PTE_A;
	for (op = PVB_OP_SET; op <= PVB_OP_MASK; op++) {
		exchanges = 0;
		rig.table[4] = rig.table[5] = rig.table[6] = 0;
		rig.table[3] = OLD;
		rig.table[4] = pvb_pte_advance(OLD, 1);
		rig.table[5] = pvb_pte_advance(OLD, 2);
		rig.table[6] = pvb_pte_advance(OLD, 3);
		rig_batch(&rig);
		rig_add(&rig, op, 3, 4,
			op == PVB_OP_COMMIT ? OLD :
			op == PVB_OP_MASK   ? PVB_PTE_W :
					      0,
			op == PVB_OP_MASK ? 0 : NEW);
		rig_add(&rig, PVB_OP_SET, 100, 1, 0, NEW);
		assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
		assert_int_equal(rig.entries[0].answer, pvb_answer(PVB_ST_RETRY, 2));
		assert_int_equal(rig.entries[1].answer, pvb_answer(PVB_ST_OK, 1));
		assert_int_equal(exchanges, TRIES);
		assert_int_equal(rig.table[4], pvb_pte_advance(NEW, 1));
		assert_int_equal(rig.table[5] & ~PVB_PTE_A, pvb_pte_advance(OLD, 2));
		assert_int_equal(rig.table[6], pvb_pte_advance(OLD, 3));
		assert_int_equal(rig.hdr->refused, 1);
	}
}

/* A lie between look and exchange is a conflict, not a retry without end. */
static void lie(void **state)
{
	(void)state;
	disturbed = ~0U;
	disturbance = PVB_PTE_U;
	rig_add(&rig, PVB_OP_COMMIT, 5, 1, OLD, NEW);
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(rig.entries[0].answer, pvb_answer(PVB_ST_CONFLICT, 0));
	assert_int_equal(rig.table[5], OLD | PVB_PTE_U);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(carries_each, setup, teardown),
		cmocka_unit_test_setup_teardown(last_try, setup, teardown),
		cmocka_unit_test_setup_teardown(gives_up, setup, teardown),
		cmocka_unit_test_setup_teardown(lie, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
