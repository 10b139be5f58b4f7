// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of guest/core - negotiation and registration (law 8), and that whatever
 * goes wrong there leaves a library that writes directly (law 6).
 */
#include "core_rig.h"

static int setup(void **state)
{
	(void)state;
	rig_open_bare();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_non_null(rig.c.guest);
	rig_close();
	return 0;
}

/* The library, in direct mode: lazy or not, everything is there at once. */
static void expect_direct(void)
{
	uint64_t direct = rig_stats().direct;

	assert_int_equal(rig.c.mode, PVB_MODE_DIRECT);
	rig_fill(0, 0, 8, PFN(0x1000) | RW);
	pvb_lazy_enter(&rig.c);
	rig_modify(rig_pte(0, 0), PVB_PTE_W, 0);
	assert_int_equal(*rig_pte(0, 0), PFN(0x1000) | RO);
	assert_int_equal(
		pvb_commit_ptes(&rig.c, rig_pte(0, 1), PFN(0x1001) | RW, PFN(0x1001) | RO, 2), 0);
	assert_int_equal(*rig_pte(0, 2), PFN(0x1002) | RO);
	pvb_set(&rig.c, rig_pte(0, 3), 0);
	assert_int_equal(*rig_pte(0, 3), 0);
	assert_int_equal(pvb_mask_ptes(&rig.c, rig_pte(0, 4), PVB_PTE_W, 0, 2), 0);
	assert_int_equal(*rig_pte(0, 5), PFN(0x1005) | RO);
	assert_int_equal(pvb_changed(&rig.c, rig_pte(0, 5), 1), 0);
	pvb_lazy_leave(&rig.c);
	pvb_flush_range(&rig.c, pvb_gva(0x5000), 3, PVB_FLUSH_LOCAL);
	assert_int_equal(rig.own_flush.type, PVB_FLUSH_RANGE);
	assert_int_equal(rig.own_flush.flags, PVB_FLUSH_LOCAL);
	assert_int_equal(rig.own_flush.va, 0x5000);
	assert_int_equal(rig.own_flush.pages, 3);
	assert_int_equal(rig.submits, 0);
	assert_int_equal(rig_stats().direct, direct + 7);
}

static void all_is_well(void **state)
{
	(void)state;
	assert_int_equal(rig_negotiate(PVB_MODE_HOST_APPLY), 0);
	assert_int_equal(rig.g.mode, PVB_MODE_HOST_APPLY);
	assert_int_equal(rig.mem->scratch.features_wanted,
			 PVB_F_HOST_APPLY | PVB_F_FLUSH | PVB_F_RESULTS | PVB_F_STATS);
	assert_int_equal(rig.mem->scratch.pte_format, PVB_PTE_X86_64);
	assert_int_equal(rig_register(8192), 0);
	assert_int_equal(rig.c.mode, PVB_MODE_HOST_APPLY);
	assert_int_equal(rig.c.capacity, (8192 - 64) / 32);
	pvb_cpu_exit(&rig.c);
	assert_int_equal(rig.unregisters, 1);
	expect_direct();
}

static void nobody_is_asked_for_direct(void **state)
{
	(void)state;
	rig.negotiate_result = -PVB_ENOSYS;
	assert_int_equal(rig_negotiate(PVB_MODE_DIRECT), 0);
	assert_int_equal(rig_register(4096), 0);
	assert_int_equal(rig.registers, 0);
	expect_direct();
}

static void refused_negotiation(void **state)
{
	static const int errors[] = { PVB_ENOSYS, PVB_EOPNOTSUPP, PVB_EPERM, PVB_EBUSY };

	(void)state;
	for (unsigned int i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		rig.negotiate_result = -errors[i];
		assert_int_equal(rig_negotiate(PVB_MODE_GUEST_APPLY), -errors[i]);
		assert_int_equal(rig.g.mode, PVB_MODE_DIRECT);
	}
	assert_int_equal(rig_register(4096), 0);
	assert_int_equal(rig.registers, 0);
	expect_direct();
}

/* A host that answers nonsense is not believed. */
static void strange_answers(void **state)
{
	(void)state;
	rig.negotiate_result = 1;
	assert_int_equal(rig_negotiate(PVB_MODE_HOST_APPLY), -PVB_EPROTO);
	rig.negotiate_result = 0;
	rig.grant.version = PVB_VERSION + 1;
	assert_int_equal(rig_negotiate(PVB_MODE_HOST_APPLY), -PVB_EPROTO);
	rig.grant.version = PVB_VERSION;
	rig.grant.features |= 1ULL << 40;
	assert_int_equal(rig_negotiate(PVB_MODE_HOST_APPLY), -PVB_EPROTO);
	rig.grant.features = PVB_F_HOST_APPLY;
	rig.grant.max_bytes = PVB_BUFFER_MIN - 1;
	assert_int_equal(rig_negotiate(PVB_MODE_HOST_APPLY), -PVB_EPROTO);
	rig.grant.max_bytes = PVB_BUFFER_MIN;
	rig.grant.features = PVB_F_FLUSH | PVB_F_RESULTS;
	assert_int_equal(rig_negotiate(PVB_MODE_HOST_APPLY), -PVB_EOPNOTSUPP);
	assert_int_equal(rig.g.mode, PVB_MODE_DIRECT);
	assert_int_equal(rig_register(4096), 0);
	expect_direct();
}

static void wrong_arguments(void **state)
{
	struct pvb_guest *g = &rig.g;

	(void)state;
	assert_int_equal(rig_negotiate((enum pvb_mode)3), -PVB_EINVAL);
	assert_int_equal(rig_negotiate(PVB_MODE_HOST_APPLY), 0);
	assert_int_equal(pvb_guest_init(g, g->transport, g->ops, PVB_MODE_HOST_APPLY,
					(struct pvb_negotiate *)((char *)&rig.mem->scratch + 8)),
			 -PVB_EINVAL);
	assert_int_equal(rig_negotiate(PVB_MODE_HOST_APPLY), 0);
	assert_int_equal(pvb_cpu_init(g, &rig.c, rig.mem->buffer + 64, 4096), -PVB_EINVAL);
	assert_int_equal(rig_register(4096 + 64), -PVB_EINVAL);
	assert_int_equal(rig_register(0), -PVB_EINVAL);
	assert_int_equal(rig_register(PVB_BUFFER_MAX + 4096), -PVB_EINVAL);
	rig.g.max_bytes = 4096;
	assert_int_equal(rig_register(8192), -PVB_EINVAL);
	assert_int_equal(rig.registers, 0);
	expect_direct();
}

/* No memory for the queue, here or there: this CPU writes directly. */
static void no_queue_memory(void **state)
{
	(void)state;
	assert_int_equal(rig_negotiate(PVB_MODE_HOST_APPLY), 0);
	assert_int_equal(pvb_cpu_init(&rig.g, &rig.c, NULL, 4096), -PVB_ENOMEM);
	expect_direct();
	rig.register_result = -PVB_ENOMEM;
	assert_int_equal(rig_register(4096), -PVB_ENOMEM);
	expect_direct();
	rig.register_result = 7;
	assert_int_equal(rig_register(4096), -PVB_EPROTO);
	assert_int_equal(rig.g.mode, PVB_MODE_HOST_APPLY);
	expect_direct();
}

/* What is queued when the CPU goes is not lost. */
static void exit_drains(void **state)
{
	(void)state;
	assert_int_equal(rig_negotiate(PVB_MODE_HOST_APPLY), 0);
	assert_int_equal(rig_register(4096), 0);
	rig_fill(0, 0, 1, PFN(0x1000) | RW);
	pvb_lazy_enter(&rig.c);
	rig_modify(rig_pte(0, 0), PVB_PTE_W, 0);
	pvb_cpu_exit(&rig.c);
	assert_int_equal(*rig_pte(0, 0), PFN(0x1000) | RO);
	assert_int_equal(rig.unregisters, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_is_well, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_is_asked_for_direct, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_negotiation, setup, teardown),
		cmocka_unit_test_setup_teardown(strange_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(no_queue_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(exit_drains, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
