// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of the engine, negotiate and call: versions in both directions, features,
 * registration, the counters' call, and who may call at all (laws 7, 8 and 9).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine_rig.h"

static struct rig rig;
static struct pvb_negotiate *neg;
static uint64_t neg_gpa;

static int setup(void **state)
{
	pvb_gpa_t gpa;

	(void)state;
	rig_open_bare(&rig, 3);
	gpa = pvb_inproc_alloc(rig.host, 1);
	neg_gpa = pvb_gpa_raw(gpa);
	neg = pvb_inproc_ptr(rig.host, gpa, PVB_PAGE_SIZE, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static int64_t call(enum pvb_call number, uint64_t a0, uint64_t a1)
{
	return pvb_inproc_call(rig.cpu, number, a0, a1);
}

static void good(void)
{
	memset(neg, 0xee, PVB_PAGE_SIZE);
	*neg = (struct pvb_negotiate){
		.magic = PVB_NEGOTIATE_MAGIC,
		.size = sizeof(*neg),
		.pte_format = PVB_PTE_X86_64,
		.version_min = 1,
		.version_max = 1,
		.features_wanted = PVB_F_ALL,
		.features = 0x1111,
		.version = 0x2222,
		.max_bytes = 0x3333,
		.max_work = 0x4444,
		.reserved1 = 0x5555,
		.reserved2 = { 0x6666, 0x7777 },
	};
}

static int64_t negotiate(void)
{
	return call(PVB_CALL_NEGOTIATE, neg_gpa, 0);
}

static void agrees(void **state)
{
	const uint8_t *behind = (const uint8_t *)(neg + 1);

	(void)state;
	good();
	assert_int_equal(negotiate(), 0);
	assert_int_equal(neg->features, PVB_F_ALL);
	assert_int_equal(neg->version, 1);
	assert_int_equal(neg->max_bytes, PVB_BUFFER_MAX);
	assert_true(neg->max_work >= PVB_PTES_PER_TABLE);
	assert_int_equal(neg->reserved1, 0);
	assert_int_equal(neg->reserved2[0], 0);
	assert_int_equal(neg->reserved2[1], 0);
	assert_int_equal(*behind, 0xee);
	/* IN is the guest's */
	assert_int_equal(neg->magic, PVB_NEGOTIATE_MAGIC);
	assert_int_equal(neg->features_wanted, PVB_F_ALL);
}

struct negotiate_case {
	const char *name;
	void (*spoil)(void);
	int64_t error;
};

#define CASE(name, error, statement)   \
	static void spoil_##name(void) \
	{                              \
		statement;             \
	}                              \
	static const struct negotiate_case case_##name = { #name, spoil_##name, error }

CASE(magic, -PVB_EINVAL, neg->magic ^= 1);
CASE(size_short, -PVB_EINVAL, neg->size = sizeof(*neg) - 1);
CASE(size_zero, -PVB_EINVAL, neg->size = 0);
CASE(format_zero, -PVB_EOPNOTSUPP, neg->pte_format = 0);
CASE(format_other, -PVB_EOPNOTSUPP, neg->pte_format = PVB_PTE_ARM64_4K);
CASE(format_unknown, -PVB_EOPNOTSUPP, neg->pte_format = 0xffff);
CASE(version_zero, -PVB_EINVAL, neg->version_min = 0);
CASE(version_backwards, -PVB_EINVAL, neg->version_min = 2);
CASE(version_newer_only, -PVB_EOPNOTSUPP, neg->version_min = 2; neg->version_max = 9);
CASE(reserved0, -PVB_EINVAL, neg->reserved0 = 1);

static const struct negotiate_case *const cases[] = {
	&case_magic,	    &case_size_short,	     &case_size_zero,
	&case_format_zero,  &case_format_other,	     &case_format_unknown,
	&case_version_zero, &case_version_backwards, &case_version_newer_only,
	&case_reserved0,
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

static void wrong_field(void **state)
{
	const struct negotiate_case *wrong = *state;
	struct pvb_negotiate before;

	setup(NULL);
	good();
	wrong->spoil();
	before = *neg;
	assert_int_equal(negotiate(), wrong->error);
	assert_memory_equal(&before, neg, sizeof(before));
	/* nothing was agreed */
	assert_int_equal(rig.host->vm.version, 0);
	assert_int_equal(call(PVB_CALL_REGISTER, neg_gpa, 4096), -PVB_EPERM);
	good();
	assert_int_equal(negotiate(), 0);
	teardown(NULL);
}

static void addresses(void **state)
{
	(void)state;
	good();
	assert_int_equal(call(PVB_CALL_NEGOTIATE, neg_gpa + 4, 0), -PVB_EINVAL);
	assert_int_equal(call(PVB_CALL_NEGOTIATE, RIG_RAM - 8, 0), -PVB_EFAULT);
	assert_int_equal(call(PVB_CALL_NEGOTIATE, RIG_RAM, 0), -PVB_EFAULT);
	assert_int_equal(call(PVB_CALL_NEGOTIATE, ~7ULL, 0), -PVB_EFAULT);
	assert_int_equal(call(PVB_CALL_NEGOTIATE, neg_gpa | 1ULL << RIG_PHYS_BITS, 0), -PVB_EFAULT);
	/* in ROM it can be read, but not answered, and so nothing is agreed */
	memcpy(pvb_inproc_ptr(rig.host, pvb_gpa(RIG_ROM), 64, false), neg, sizeof(*neg));
	assert_int_equal(call(PVB_CALL_NEGOTIATE, RIG_ROM, 0), -PVB_EFAULT);
	assert_int_equal(rig.host->vm.version, 0);
}

/* A newer guest: more versions, more features, a longer struct. It gets what is known. */
static void newer_guest(void **state)
{
	(void)state;
	good();
	neg->size = 128;
	neg->version_max = 7;
	neg->features_wanted = ~0ULL;
	assert_int_equal(negotiate(), 0);
	assert_int_equal(neg->version, PVB_VERSION);
	assert_int_equal(neg->features, PVB_F_ALL);
	assert_int_equal(((uint8_t *)neg)[64], 0xee);
}

/* A newer host: it grants no more than an older guest asks for, and no more than is offered. */
static void newer_host(void **state)
{
	(void)state;
	good();
	neg->features_wanted = PVB_F_HOST_APPLY;
	assert_int_equal(negotiate(), 0);
	assert_int_equal(neg->features, PVB_F_HOST_APPLY);
	rig.host->vm.offered = PVB_F_GUEST_APPLY | PVB_F_FLUSH;
	good();
	assert_int_equal(negotiate(), 0); /* again, before anybody registered: the last holds */
	assert_int_equal(neg->features, PVB_F_GUEST_APPLY | PVB_F_FLUSH);
	assert_int_equal(rig.host->vm.features, PVB_F_GUEST_APPLY | PVB_F_FLUSH);
}

/* With nested paging there is nothing to win, and nothing is offered. */
static void nothing_offered(void **state)
{
	(void)state;
	rig.host->vm.offered = 0;
	good();
	assert_int_equal(negotiate(), -PVB_EOPNOTSUPP);
	assert_int_equal(neg->version, 0x2222);
}

static void registration(void **state)
{
	uint64_t buffer = pvb_gpa_raw(pvb_inproc_alloc(rig.host, 17));

	(void)state;
	assert_int_equal(call(PVB_CALL_REGISTER, buffer, 4096), -PVB_EPERM);
	good();
	assert_int_equal(negotiate(), 0);
	assert_int_equal(call(PVB_CALL_SUBMIT, 0, 0), -PVB_ENXIO);
	assert_int_equal(call(PVB_CALL_REGISTER, 0, 0), -PVB_ENXIO);

	assert_int_equal(call(PVB_CALL_REGISTER, buffer + 8, 4096), -PVB_EINVAL);
	assert_int_equal(call(PVB_CALL_REGISTER, buffer, 4095), -PVB_EINVAL);
	assert_int_equal(call(PVB_CALL_REGISTER, buffer, 64), -PVB_EINVAL);
	assert_int_equal(call(PVB_CALL_REGISTER, buffer, 4096 + 8), -PVB_EINVAL);
	assert_int_equal(call(PVB_CALL_REGISTER, buffer, PVB_BUFFER_MAX + 4096), -PVB_EINVAL);
	assert_int_equal(call(PVB_CALL_REGISTER, buffer, 1ULL << 32 | 4096), -PVB_EINVAL);
	assert_int_equal(call(PVB_CALL_REGISTER, buffer, ~0xfffULL), -PVB_EINVAL);
	assert_int_equal(call(PVB_CALL_REGISTER, RIG_RAM, 4096), -PVB_EFAULT);
	assert_int_equal(call(PVB_CALL_REGISTER, RIG_ROM, 4096), -PVB_EFAULT);
	assert_int_equal(call(PVB_CALL_REGISTER, RIG_ROM - 4096, 8192), -PVB_EFAULT);
	assert_int_equal(call(PVB_CALL_REGISTER, ~0xfffULL, 8192), -PVB_EFAULT);
	assert_int_equal(call(PVB_CALL_REGISTER, 1ULL << RIG_PHYS_BITS, 4096), -PVB_EFAULT);
	assert_int_equal(rig.host->vm.registered, 0);
	assert_int_equal(call(PVB_CALL_SUBMIT, 0, 0), -PVB_ENXIO);

	assert_int_equal(call(PVB_CALL_REGISTER, buffer, PVB_BUFFER_MAX), 0);
	assert_int_equal(rig.host->vm.registered, 1);
	good();
	assert_int_equal(negotiate(), -PVB_EBUSY);
	/* a refused registration leaves the one there is */
	assert_int_equal(call(PVB_CALL_REGISTER, buffer + 8, 4096), -PVB_EINVAL);
	assert_int_equal(rig.cpu->engine.bytes, PVB_BUFFER_MAX);
	/* a second one takes its place */
	assert_int_equal(call(PVB_CALL_REGISTER, buffer + 4096, 4096), 0);
	assert_int_equal(rig.host->vm.registered, 1);
	assert_false(pvb_engine_owns_page(&rig.cpu->engine, pvb_gpa(buffer)));
	assert_true(pvb_engine_owns_page(&rig.cpu->engine, pvb_gpa(buffer + 4096)));
	assert_false(pvb_engine_owns_page(&rig.cpu->engine, pvb_gpa(buffer + 8192)));
	assert_int_equal(call(PVB_CALL_REGISTER, 0, 0), 0);
	assert_false(pvb_engine_owns_page(&rig.cpu->engine, pvb_gpa(buffer + 4096)));
	good();
	assert_int_equal(negotiate(), 0);
}

/* Registration looks at every page and leaves what is in the buffer alone. */
static void registration_keeps_memory(void **state)
{
	pvb_gpa_t buffer = pvb_inproc_alloc(rig.host, 2);
	uint8_t *memory = pvb_inproc_ptr(rig.host, buffer, 8192, true);
	size_t i;

	(void)state;
	good();
	assert_int_equal(negotiate(), 0);
	memset(memory, 0xa5, 8192);
	assert_int_equal(call(PVB_CALL_REGISTER, pvb_gpa_raw(buffer), 8192), 0);
	for (i = 0; i < 8192; i++)
		assert_int_equal(memory[i], 0xa5);
}

/* A reset or a migration: all is forgotten, and can be agreed upon anew. */
static void reset(void **state)
{
	uint64_t buffer = pvb_gpa_raw(pvb_inproc_alloc(rig.host, 1));

	(void)state;
	good();
	assert_int_equal(negotiate(), 0);
	assert_int_equal(call(PVB_CALL_REGISTER, buffer, 4096), 0);
	pvb_engine_vcpu_reset(&rig.cpu->engine);
	pvb_engine_vm_reset(&rig.host->vm);
	assert_int_equal(rig.host->vm.registered, 0);
	assert_int_equal(call(PVB_CALL_SUBMIT, 0, 0), -PVB_ENXIO);
	assert_int_equal(call(PVB_CALL_STATS, neg_gpa, 192), -PVB_EPERM);
	assert_int_equal(call(PVB_CALL_REGISTER, buffer, 4096), -PVB_EPERM);
	good();
	assert_int_equal(negotiate(), 0);
	assert_int_equal(call(PVB_CALL_REGISTER, buffer, 4096), 0);
}

static void privilege(void **state)
{
	unsigned int cpl;
	uint64_t number;

	(void)state;
	good();
	for (cpl = 1; cpl <= 3; cpl++) {
		for (number = 0; number <= PVB_NR_CALLS; number++)
			assert_int_equal(
				pvb_engine_call(&rig.cpu->engine, number, neg_gpa, 4096, cpl),
				-PVB_EPERM);
	}
	assert_int_equal(rig.host->vm.version, 0);
}

static void unknown_calls(void **state)
{
	static const uint64_t numbers[] = { PVB_NR_CALLS, 255, 0x70766200, 1ULL << 32, ~0ULL };
	size_t i;

	(void)state;
	assert_int_equal(call(PVB_CALL_NOP, 1, 2), 0);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		assert_int_equal(pvb_engine_call(&rig.cpu->engine, numbers[i], 0, 0, 0),
				 -PVB_ENOSYS);
}

static int64_t nested_result;

static void calls_again(void *ctx, const struct pvb_flush_req *req)
{
	(void)req;
	nested_result = pvb_inproc_call(ctx, PVB_CALL_NOP, 0, 0);
}

static void call_in_a_call(void **state)
{
	(void)state;
	rig_close(&rig);
	rig_open(&rig, 1, PVB_F_ALL, 4096);
	rig.host->backend.flush = calls_again;
	rig.hdr->flush = PVB_FLUSH_ALL;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(nested_result, -PVB_EBUSY);
	assert_int_equal(call(PVB_CALL_NOP, 0, 0), 0);
}

/* Law 9: the sum over vCPUs is what the guest is told, and it adds up. */
static void counters(void **state)
{
	struct pvb_host_stats *stats;
	uint64_t hist = 0;
	uint32_t i;

	(void)state;
	rig_close(&rig);
	rig_open(&rig, 3, PVB_F_ALL, 8192);
	for (i = 0; i < 20; i++) { /* 1 good, 1 refused, 1 in conflict, each of 1 PTE */
		rig_batch(&rig);
		rig.table[0] = PVB_PTE_P | PVB_PTE_A | PVB_PTE_D;
		rig_add(&rig, PVB_OP_COMMIT, 0, 1, PVB_PTE_P | PVB_PTE_A, PVB_PTE_P);
		rig_add(&rig, PVB_OP_COMMIT, 0, 1, PVB_PTE_P | PVB_PTE_W, PVB_PTE_P);
		rig_add(&rig, PVB_OP_SET, 0, 0, 0, 0);
		assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	}
	rig_batch(&rig);
	rig.hdr->version = 9;
	assert_int_equal(rig_submit(&rig), -PVB_EINVAL);
	assert_int_equal(pvb_inproc_call(&rig.host->vcpus[1], PVB_CALL_SUBMIT, 0, 0), -PVB_ENXIO);
	pvb_inproc_call(&rig.host->vcpus[2], PVB_CALL_NOP, 0, 0);

	neg_gpa = pvb_gpa_raw(pvb_inproc_alloc(rig.host, 1));
	stats = pvb_inproc_ptr(rig.host, pvb_gpa(neg_gpa), PVB_PAGE_SIZE, true);
	memset(stats, 0xee, PVB_PAGE_SIZE);
	assert_int_equal(call(PVB_CALL_STATS, neg_gpa, 191), -PVB_EINVAL);
	assert_int_equal(call(PVB_CALL_STATS, neg_gpa + 4, 192), -PVB_EINVAL);
	assert_int_equal(call(PVB_CALL_STATS, RIG_ROM, 192), -PVB_EFAULT);
	assert_int_equal(call(PVB_CALL_STATS, RIG_RAM - 184, 192), -PVB_EFAULT);
	assert_int_equal(call(PVB_CALL_STATS, 1ULL << RIG_PHYS_BITS, 192), -PVB_EFAULT);
	assert_int_equal(call(PVB_CALL_STATS, neg_gpa, 4096), 0); /* a newer guest's is longer */
	assert_int_equal(((uint8_t *)stats)[192], 0xee);

	assert_int_equal(stats->calls, 22);
	assert_int_equal(stats->batches, 20);
	assert_int_equal(stats->partial, 0);
	assert_int_equal(stats->failed, 2);
	assert_int_equal(stats->entries, 60);
	assert_int_equal(stats->applied, 20);
	assert_int_equal(stats->carried_a, 0);
	assert_int_equal(stats->carried_d, 20);
	assert_int_equal(stats->conflicts, 20);
	assert_int_equal(stats->refused, 20);
	for (i = 0; i < PVB_HIST_BUCKETS; i++)
		hist += stats->hist[i];
	assert_int_equal(hist, stats->batches);
	assert_int_equal(stats->hist[1], 20);
}

static void counters_not_granted(void **state)
{
	(void)state;
	assert_int_equal(call(PVB_CALL_STATS, neg_gpa, 192), -PVB_EPERM);
	good();
	neg->features_wanted = PVB_F_ALL & ~PVB_F_STATS;
	assert_int_equal(negotiate(), 0);
	assert_int_equal(call(PVB_CALL_STATS, neg_gpa, 192), -PVB_EPERM);
}

static void bad_offers(void **state)
{
	struct pvb_backend mute = rig.host->backend;
	struct pvb_vm vm;

	(void)state;
	assert_int_equal(pvb_engine_vm_init(&vm, &mute, PVB_F_ALL << 1, 40), -PVB_EINVAL);
	assert_int_equal(pvb_engine_vm_init(&vm, &mute, PVB_F_ALL, 12), -PVB_EINVAL);
	assert_int_equal(pvb_engine_vm_init(&vm, &mute, PVB_F_ALL, 53), -PVB_EINVAL);
	assert_int_equal(pvb_engine_vm_init(&vm, &mute, PVB_F_ALL, 52), 0);
	assert_int_equal(vm.offered, PVB_F_ALL);
	mute.stats = NULL; /* nothing to count with: nothing is offered */
	assert_int_equal(pvb_engine_vm_init(&vm, &mute, PVB_F_ALL, 52), 0);
	assert_int_equal(vm.offered, PVB_F_ALL & ~PVB_F_STATS);
}

int main(void)
{
	const struct CMUnitTest whole[] = {
		cmocka_unit_test_setup_teardown(agrees, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(newer_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(newer_host, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_offered, setup, teardown),
		cmocka_unit_test_setup_teardown(registration, setup, teardown),
		cmocka_unit_test_setup_teardown(registration_keeps_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(reset, setup, teardown),
		cmocka_unit_test_setup_teardown(privilege, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(call_in_a_call, setup, teardown),
		cmocka_unit_test_setup_teardown(counters, setup, teardown),
		cmocka_unit_test_setup_teardown(counters_not_granted, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_offers, setup, teardown),
	};
	struct CMUnitTest tests[sizeof(whole) / sizeof(whole[0]) + CASES] = { { 0 } };
	size_t i;

	memcpy(tests, whole, sizeof(whole));
	for (i = 0; i < CASES; i++) {
		struct CMUnitTest *test = &tests[sizeof(whole) / sizeof(whole[0]) + i];

		test->name = cases[i]->name;
		test->test_func = wrong_field;
		test->initial_state = (void *)cases[i];
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
