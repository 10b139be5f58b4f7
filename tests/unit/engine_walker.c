// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of the in-process backend: is the walker a good hardware? What it proves of
 * the engine is worth as much as this. And law 4 seen from it: what a TLB still holds, and
 * that after the answer it no longer does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine_rig.h"

#define VA 0x7f1234567000ULL
#define RW (PVB_PTE_P | PVB_PTE_W | PVB_PTE_U)

static struct rig rig;
static struct pvb_inproc_vcpu *one, *two;
static uint64_t *pte; /* of VA and the page after it */
static uint64_t page; /* gpa of VA's page */
static uint64_t *memory; /* and its first word */

static int setup(void **state)
{
	pvb_gpa_t root;

	(void)state;
	rig_open(&rig, 2, PVB_F_ALL, 8192);
	one = &rig.host->vcpus[0];
	two = &rig.host->vcpus[1];
	root = pvb_inproc_alloc(rig.host, 1);
	page = pvb_gpa_raw(pvb_inproc_alloc(rig.host, 2));
	memory = pvb_inproc_ptr(rig.host, pvb_gpa(page), 8192, true);
	pte = pvb_inproc_pte(rig.host, root, VA);
	pte[0] = page | RW;
	pte[1] = (page + PVB_PAGE_SIZE) | RW;
	pvb_inproc_set_root(one, root);
	pvb_inproc_set_root(two, root);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static enum pvb_inproc_fault read_at(struct pvb_inproc_vcpu *cpu, uint64_t va)
{
	uint64_t value;

	return pvb_inproc_access(cpu, va, false, &value);
}

static enum pvb_inproc_fault write_at(struct pvb_inproc_vcpu *cpu, uint64_t va, uint64_t value)
{
	return pvb_inproc_access(cpu, va, true, &value);
}

/* batch() - one commit of both PTEs, from @old to @new, with @flush over @pages. */
static void batch(uint64_t old, uint64_t new, enum pvb_flush flush, uint16_t flags, uint64_t va,
		  uint32_t pages)
{
	rig_batch(&rig);
	rig_add(&rig, PVB_OP_COMMIT, 0, 2, old, new)->pte_gpa =
		pvb_gpa_raw(pvb_inproc_gpa_of(rig.host, pte));
	rig.hdr->flush = (uint8_t)flush;
	rig.hdr->flush_flags = flags;
	rig.hdr->flush_va = va;
	rig.hdr->flush_pages = pages;
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(rig.entries[0].answer, pvb_answer(PVB_ST_OK, 2));
}

static void sets_a_and_d(void **state)
{
	uint64_t value = 0;

	(void)state;
	memory[1] = 77;
	assert_int_equal(pvb_inproc_access(one, VA + 8, false, &value), PVB_INPROC_OK);
	assert_int_equal(value, 77);
	assert_int_equal(pte[0], page | RW | PVB_PTE_A);
	assert_int_equal(write_at(one, VA, 5), PVB_INPROC_OK);
	assert_int_equal(pte[0], page | RW | PVB_PTE_A | PVB_PTE_D);
	assert_int_equal(memory[0], 5);
	assert_int_equal(write_at(two, VA + PVB_PAGE_SIZE, 6), PVB_INPROC_OK);
	assert_int_equal(pte[1], (page + PVB_PAGE_SIZE) | RW | PVB_PTE_A | PVB_PTE_D);
	assert_int_equal(memory[512], 6);
}

static void faults_set_nothing(void **state)
{
	(void)state;
	pte[0] = page | PVB_PTE_P;
	assert_int_equal(write_at(one, VA, 1), PVB_INPROC_PROTECTION);
	assert_int_equal(pte[0], page | PVB_PTE_P);
	pte[0] = page | PVB_PTE_W;
	assert_int_equal(read_at(one, VA), PVB_INPROC_NOT_PRESENT);
	assert_int_equal(pte[0], page | PVB_PTE_W);
	assert_int_equal(read_at(one, VA + (1ULL << 39)), PVB_INPROC_NOT_PRESENT);
	pte[0] = RIG_RAM | RW;
	assert_int_equal(read_at(one, VA), PVB_INPROC_NO_MEMORY);
	pte[0] = RIG_ROM | RW;
	assert_int_equal(write_at(one, VA, 1), PVB_INPROC_NO_MEMORY);
	assert_int_equal(memory[0], 0);
}

/* A table above that is read-only makes the page so. */
static void upper_levels_count(void **state)
{
	uint64_t *top = pvb_inproc_ptr(
		rig.host, pvb_gpa(pvb_gpa_raw(one->root) + (VA >> 39 & 511) * 8), 8, true);

	(void)state;
	*top &= ~PVB_PTE_W;
	assert_int_equal(write_at(one, VA, 1), PVB_INPROC_PROTECTION);
	assert_int_equal(read_at(one, VA), PVB_INPROC_OK);
	assert_int_equal(write_at(one, VA, 1), PVB_INPROC_PROTECTION);
	*top &= ~PVB_PTE_P;
	assert_int_equal(read_at(two, VA), PVB_INPROC_NOT_PRESENT);
}

/* A cached translation is used as it was; one cached clean walks again to write. */
static void caches(void **state)
{
	(void)state;
	assert_int_equal(write_at(one, VA, 1), PVB_INPROC_OK);
	pte[0] = 0;
	assert_int_equal(write_at(one, VA, 2), PVB_INPROC_OK); /* stale, and not marked */
	assert_int_equal(pte[0], 0);
	assert_int_equal(memory[0], 2);
	assert_int_equal(one->walks, 1);

	assert_int_equal(read_at(one, VA + PVB_PAGE_SIZE), PVB_INPROC_OK);
	pte[1] &= ~PVB_PTE_W;
	assert_int_equal(read_at(one, VA + PVB_PAGE_SIZE), PVB_INPROC_OK);
	assert_int_equal(write_at(one, VA + PVB_PAGE_SIZE, 3), PVB_INPROC_PROTECTION);
	assert_int_equal(memory[512], 0);
}

/* Law 4: with the flush in the batch, no CPU uses the old translation after the answer. */
static void flush_reaches_all(void **state)
{
	uint64_t dirty = page | RW | PVB_PTE_A | PVB_PTE_D;

	(void)state;
	assert_int_equal(write_at(one, VA, 1), PVB_INPROC_OK);
	assert_int_equal(write_at(two, VA, 2), PVB_INPROC_OK);
	batch(dirty, dirty & ~PVB_PTE_D, PVB_FLUSH_NONE, 0, 0, 0);
	assert_int_equal(write_at(one, VA, 3), PVB_INPROC_OK);
	assert_false(pte[0] & PVB_PTE_D); /* the lost dirty bit that a flush is there for */

	batch(dirty, dirty & ~PVB_PTE_D, PVB_FLUSH_RANGE, PVB_FLUSH_LOCAL, VA, 2);
	assert_int_equal(write_at(two, VA, 4), PVB_INPROC_OK);
	assert_false(pte[0] & PVB_PTE_D); /* it was local to the other vCPU */
	assert_int_equal(write_at(one, VA, 5), PVB_INPROC_OK);
	assert_true(pte[0] & PVB_PTE_D);

	batch(dirty, dirty & ~(PVB_PTE_D | PVB_PTE_W), PVB_FLUSH_RANGE, 0, VA, 2);
	assert_int_equal(write_at(one, VA, 6), PVB_INPROC_PROTECTION);
	assert_int_equal(write_at(two, VA, 6), PVB_INPROC_PROTECTION);
	assert_int_equal(memory[0], 5);
}

/* A range flush is of its pages and of no others. */
static void flush_is_exact(void **state)
{
	uint64_t dirty = page | RW | PVB_PTE_A | PVB_PTE_D;

	(void)state;
	assert_int_equal(write_at(one, VA, 1), PVB_INPROC_OK);
	assert_int_equal(write_at(one, VA + PVB_PAGE_SIZE, 1), PVB_INPROC_OK);
	batch(dirty, dirty & ~PVB_PTE_D, PVB_FLUSH_RANGE, 0, VA + PVB_PAGE_SIZE, 1);
	assert_int_equal(write_at(one, VA, 2), PVB_INPROC_OK);
	assert_false(pte[0] & PVB_PTE_D);
	assert_int_equal(write_at(one, VA + PVB_PAGE_SIZE, 2), PVB_INPROC_OK);
	assert_true(pte[1] & PVB_PTE_D);
	batch(dirty, dirty & ~PVB_PTE_D, PVB_FLUSH_ALL, 0, 0, 0);
	assert_int_equal(write_at(one, VA, 3), PVB_INPROC_OK);
	assert_true(pte[0] & PVB_PTE_D);
}

static void new_root_is_a_flush(void **state)
{
	pvb_gpa_t other = pvb_inproc_alloc(rig.host, 1);

	(void)state;
	assert_int_equal(read_at(one, VA), PVB_INPROC_OK);
	pvb_inproc_set_root(one, other);
	assert_int_equal(read_at(one, VA), PVB_INPROC_NOT_PRESENT);
}

static void wrong_machines(void **state)
{
	static const struct pvb_inproc_config good = {
		.ram_bytes = 1 << 20,
		.nr_vcpus = 1,
		.offered = PVB_F_ALL,
		.phys_bits = 40,
	};
	struct pvb_inproc_config config;

	(void)state;
	config = good;
	config.ram_bytes += 1;
	assert_null(pvb_inproc_create(&config));
	config = good;
	config.nr_vcpus = 0;
	assert_null(pvb_inproc_create(&config));
	config.nr_vcpus = PVB_INPROC_VCPUS_MAX + 1;
	assert_null(pvb_inproc_create(&config));
	config = good;
	config.offered = ~0ULL;
	assert_null(pvb_inproc_create(&config));
	config = good;
	config.ram_bytes = 1ULL << 62;
	assert_null(pvb_inproc_create(&config));
	pvb_inproc_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sets_a_and_d, setup, teardown),
		cmocka_unit_test_setup_teardown(faults_set_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(upper_levels_count, setup, teardown),
		cmocka_unit_test_setup_teardown(caches, setup, teardown),
		cmocka_unit_test_setup_teardown(flush_reaches_all, setup, teardown),
		cmocka_unit_test_setup_teardown(flush_is_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(new_root_is_a_flush, setup, teardown),
		cmocka_unit_test(wrong_machines),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
