// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of the engine, validate: each field of an entry wrong in turn. That entry
 * is answered with the status that names the reason and its PTEs are untouched; its
 * neighbours are applied, the batch is finished and flushed (laws 5 and 7).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine_rig.h"

#define BUFFER 8192U
#define RESULT (4096U / 8) /* a place for bitmaps that is fine */
#define FLAGS (PVB_PTE_P | PVB_PTE_W | PVB_PTE_U)
#define PTE(pfn) ((uint64_t)(pfn) << PVB_PAGE_SHIFT | FLAGS)
#define PFN_LIMIT (1ULL << (RIG_PHYS_BITS - PVB_PAGE_SHIFT)) /* first PFN that is too wide */

static struct rig rig;

struct entry_case {
	const char *name;
	enum pvb_op op; /* of the good entry to be spoilt */
	void (*spoil)(struct pvb_entry *entry);
	enum pvb_status status; /* PVB_ST_OK: it was no harm */
	uint64_t without; /* features not granted */
};

#define CASE(name, op, status, without, statement)        \
	static void spoil_##name(struct pvb_entry *entry) \
	{                                                 \
		statement;                                \
	}                                                 \
	static const struct entry_case case_##name = { #name, op, spoil_##name, status, without }

CASE(op_zero, PVB_OP_SET, PVB_ST_BAD_OP, 0, entry->op = 0);
CASE(op_next, PVB_OP_SET, PVB_ST_BAD_OP, 0, entry->op = PVB_OP_CHANGED + 1);
CASE(op_last, PVB_OP_SET, PVB_ST_BAD_OP, 0, entry->op = 255);
CASE(all_zero, PVB_OP_SET, PVB_ST_BAD_OP, 0, memset(entry, 0, sizeof(*entry)));
CASE(set_not_granted, PVB_OP_SET, PVB_ST_BAD_OP, PVB_F_HOST_APPLY, (void)entry);
CASE(commit_not_granted, PVB_OP_COMMIT, PVB_ST_BAD_OP, PVB_F_HOST_APPLY, (void)entry);
CASE(mask_not_granted, PVB_OP_MASK, PVB_ST_BAD_OP, PVB_F_HOST_APPLY, (void)entry);
CASE(changed_not_granted, PVB_OP_CHANGED, PVB_ST_BAD_OP, PVB_F_GUEST_APPLY, (void)entry);
CASE(flag_unknown, PVB_OP_COMMIT, PVB_ST_BAD_FLAGS, 0, entry->flags = 0x08);
CASE(set_soft, PVB_OP_SET, PVB_ST_BAD_FLAGS, 0, entry->flags = PVB_ENT_SOFT0);
CASE(set_hint, PVB_OP_SET, PVB_ST_BAD_FLAGS, 0, entry->flags = PVB_ENT_HINT);
CASE(commit_fixed, PVB_OP_COMMIT, PVB_ST_BAD_FLAGS, 0, entry->flags = PVB_ENT_FIXED);
CASE(commit_hint, PVB_OP_COMMIT, PVB_ST_BAD_FLAGS, 0, entry->flags = PVB_ENT_HINT);
CASE(mask_soft, PVB_OP_MASK, PVB_ST_BAD_FLAGS, 0, entry->flags = PVB_ENT_SOFT3);
CASE(mask_fixed, PVB_OP_MASK, PVB_ST_BAD_FLAGS, 0, entry->flags = PVB_ENT_FIXED);
CASE(mask_hint, PVB_OP_MASK, PVB_ST_BAD_FLAGS, 0, entry->flags = PVB_ENT_HINT);
CASE(changed_fixed, PVB_OP_CHANGED, PVB_ST_BAD_FLAGS, 0, entry->flags = PVB_ENT_FIXED);
CASE(changed_soft, PVB_OP_CHANGED, PVB_ST_BAD_FLAGS, 0, entry->flags = PVB_ENT_SOFT1);
CASE(changed_result, PVB_OP_CHANGED, PVB_ST_BAD_FLAGS, 0, entry->flags = PVB_ENT_RESULT;
     entry->result = RESULT);
CASE(result_not_granted, PVB_OP_MASK, PVB_ST_BAD_FLAGS, PVB_F_RESULTS,
     entry->flags = PVB_ENT_RESULT;
     entry->result = RESULT);
CASE(nr_zero, PVB_OP_SET, PVB_ST_BAD_NR, 0, entry->nr = 0);
CASE(nr_too_many, PVB_OP_SET, PVB_ST_BAD_NR, 0, entry->nr = 513);
CASE(nr_max, PVB_OP_SET, PVB_ST_BAD_NR, 0, entry->nr = 0xffff);
CASE(gpa_1, PVB_OP_SET, PVB_ST_UNALIGNED, 0, entry->pte_gpa += 1);
CASE(gpa_4, PVB_OP_COMMIT, PVB_ST_UNALIGNED, 0, entry->pte_gpa += 4);
CASE(gpa_7, PVB_OP_MASK, PVB_ST_UNALIGNED, 0, entry->pte_gpa += 7);
CASE(gpa_straddles_page, PVB_OP_CHANGED, PVB_ST_UNALIGNED, 0, entry->pte_gpa += PVB_PAGE_SIZE - 4);
CASE(crosses_by_one, PVB_OP_SET, PVB_ST_CROSSES, 0, entry->nr = 511);
CASE(crosses_at_last, PVB_OP_COMMIT, PVB_ST_CROSSES, 0, entry->pte_gpa |= 0xff8; entry->nr = 2);
CASE(crosses_changed, PVB_OP_CHANGED, PVB_ST_CROSSES, 0, entry->pte_gpa |= 0xff8; entry->nr = 512);
CASE(gpa_behind_ram, PVB_OP_SET, PVB_ST_BAD_GPA, 0, entry->pte_gpa = RIG_RAM);
CASE(gpa_rom, PVB_OP_SET, PVB_ST_BAD_GPA, 0, entry->pte_gpa = RIG_ROM);
CASE(gpa_beyond_width, PVB_OP_SET, PVB_ST_BAD_GPA, 0, entry->pte_gpa += 1ULL << RIG_PHYS_BITS);
CASE(gpa_top, PVB_OP_SET, PVB_ST_BAD_GPA, 0, entry->pte_gpa = ~7ULL);
CASE(gpa_sign, PVB_OP_CHANGED, PVB_ST_BAD_GPA, 0, entry->pte_gpa |= 1ULL << 63);
CASE(buffer_itself, PVB_OP_SET, PVB_ST_DENIED, 0,
     entry->pte_gpa = pvb_gpa_raw(rig.cpu->engine.buffer));
CASE(buffer_second_page, PVB_OP_CHANGED, PVB_ST_DENIED, 0,
     entry->pte_gpa = pvb_gpa_raw(rig.cpu->engine.buffer) + 4096);
CASE(set_old, PVB_OP_SET, PVB_ST_BAD_PTE, 0, entry->old = PVB_PTE_A);
CASE(mask_clears_pfn_bit, PVB_OP_MASK, PVB_ST_BAD_PTE, 0, entry->old |= 1ULL << 20);
CASE(mask_clears_pfn, PVB_OP_MASK, PVB_ST_BAD_PTE, 0, entry->old = PVB_PTE_PFN_MASK);
CASE(mask_sets_pfn_bit, PVB_OP_MASK, PVB_ST_BAD_PTE, 0, entry->new |= 1ULL << 12);
CASE(mask_clears_all_sets, PVB_OP_MASK, PVB_ST_BAD_PTE, 0, entry->old = ~0ULL;
     entry->new = PVB_PTE_A);
CASE(changed_old, PVB_OP_CHANGED, PVB_ST_BAD_PTE, 0, entry->old = PTE(1));
CASE(changed_new, PVB_OP_CHANGED, PVB_ST_BAD_PTE, 0, entry->new = PTE(1));
CASE(set_pfn, PVB_OP_SET, PVB_ST_BAD_PFN, 0, entry->new = PTE(PFN_LIMIT));
CASE(set_pfn_last_of_run, PVB_OP_SET, PVB_ST_BAD_PFN, 0, entry->new = PTE(PFN_LIMIT - 3);
     entry->nr = 4);
CASE(set_pfn_bit_51, PVB_OP_SET, PVB_ST_BAD_PFN, 0, entry->new |= 1ULL << 51);
CASE(commit_new_pfn, PVB_OP_COMMIT, PVB_ST_BAD_PFN, 0, entry->new = PTE(PFN_LIMIT));
CASE(commit_old_pfn, PVB_OP_COMMIT, PVB_ST_BAD_PFN, 0, entry->old = PTE(PFN_LIMIT));
CASE(commit_pfn_wraps, PVB_OP_COMMIT, PVB_ST_BAD_PFN, 0, entry->new = PVB_PTE_PFN_MASK | PVB_PTE_P;
     entry->nr = 2);
CASE(result_without_flag, PVB_OP_SET, PVB_ST_BAD_RESULT, 0, entry->result = RESULT);
CASE(result_in_header, PVB_OP_SET, PVB_ST_BAD_RESULT, 0, entry->flags = PVB_ENT_RESULT);
CASE(result_in_entries, PVB_OP_COMMIT, PVB_ST_BAD_RESULT, 0, entry->flags = PVB_ENT_RESULT;
     entry->result = (64 + 3 * 32) / 8 - 1);
CASE(result_beyond, PVB_OP_MASK, PVB_ST_BAD_RESULT, 0, entry->flags = PVB_ENT_RESULT;
     entry->result = BUFFER / 8 - 1);
CASE(result_behind, PVB_OP_MASK, PVB_ST_BAD_RESULT, 0, entry->flags = PVB_ENT_RESULT;
     entry->result = BUFFER / 8);
CASE(result_top, PVB_OP_MASK, PVB_ST_BAD_RESULT, 0, entry->flags = PVB_ENT_RESULT;
     entry->result = 0xffff);
CASE(result_run_too_long, PVB_OP_MASK, PVB_ST_BAD_RESULT, 0, entry->flags = PVB_ENT_RESULT;
     entry->result = BUFFER / 8 - 3; entry->nr = 65);
/* The other side of each border. */
CASE(ok_last_slot, PVB_OP_SET, PVB_ST_OK, 0, entry->pte_gpa |= 0xff8);
CASE(ok_last_pfn, PVB_OP_SET, PVB_ST_OK, 0, entry->new = PTE(PFN_LIMIT - 4);
     entry->pte_gpa += 0x400; entry->nr = 4);
CASE(ok_fixed_last_pfn, PVB_OP_SET, PVB_ST_OK, 0, entry->new = PTE(PFN_LIMIT - 1);
     entry->pte_gpa += 0x400; entry->nr = 4; entry->flags = PVB_ENT_FIXED);
CASE(ok_swap_entry, PVB_OP_SET, PVB_ST_OK, 0, entry->new = ~1ULL);
CASE(ok_hint, PVB_OP_CHANGED, PVB_ST_OK, 0, entry->flags = PVB_ENT_HINT; entry->old = ~0ULL;
     entry->new = ~0ULL);
CASE(ok_result_first, PVB_OP_SET, PVB_ST_OK, 0, entry->flags = PVB_ENT_RESULT;
     entry->result = (64 + 3 * 32) / 8);
CASE(ok_result_last, PVB_OP_SET, PVB_ST_OK, 0, entry->flags = PVB_ENT_RESULT;
     entry->result = BUFFER / 8 - 2);
CASE(ok_answer_is_out, PVB_OP_COMMIT, PVB_ST_OK, 0, entry->answer = 0xffff);

static const struct entry_case *const cases[] = {
	&case_op_zero,
	&case_op_next,
	&case_op_last,
	&case_all_zero,
	&case_set_not_granted,
	&case_commit_not_granted,
	&case_mask_not_granted,
	&case_changed_not_granted,
	&case_flag_unknown,
	&case_set_soft,
	&case_set_hint,
	&case_commit_fixed,
	&case_commit_hint,
	&case_mask_soft,
	&case_mask_fixed,
	&case_mask_hint,
	&case_changed_fixed,
	&case_changed_soft,
	&case_changed_result,
	&case_result_not_granted,
	&case_nr_zero,
	&case_nr_too_many,
	&case_nr_max,
	&case_gpa_1,
	&case_gpa_4,
	&case_gpa_7,
	&case_gpa_straddles_page,
	&case_crosses_by_one,
	&case_crosses_at_last,
	&case_crosses_changed,
	&case_gpa_behind_ram,
	&case_gpa_rom,
	&case_gpa_beyond_width,
	&case_gpa_top,
	&case_gpa_sign,
	&case_buffer_itself,
	&case_buffer_second_page,
	&case_set_old,
	&case_mask_clears_pfn_bit,
	&case_mask_clears_pfn,
	&case_mask_sets_pfn_bit,
	&case_mask_clears_all_sets,
	&case_changed_old,
	&case_changed_new,
	&case_set_pfn,
	&case_set_pfn_last_of_run,
	&case_set_pfn_bit_51,
	&case_commit_new_pfn,
	&case_commit_old_pfn,
	&case_commit_pfn_wraps,
	&case_result_without_flag,
	&case_result_in_header,
	&case_result_in_entries,
	&case_result_beyond,
	&case_result_behind,
	&case_result_top,
	&case_result_run_too_long,
	&case_ok_last_slot,
	&case_ok_last_pfn,
	&case_ok_fixed_last_pfn,
	&case_ok_swap_entry,
	&case_ok_hint,
	&case_ok_result_first,
	&case_ok_result_last,
	&case_ok_answer_is_out,
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

/* good_entry() - a good entry on PTE @slot, which is PTE(@slot) now. */
static void good_entry(enum pvb_op op, uint32_t slot)
{
	uint64_t pte = PTE(slot);

	switch (op) {
	case PVB_OP_SET:
		rig_add(&rig, op, slot, 1, 0, pte ^ PVB_PTE_W);
		break;
	case PVB_OP_COMMIT:
		rig_add(&rig, op, slot, 1, pte, pte ^ PVB_PTE_W);
		break;
	case PVB_OP_MASK:
		rig_add(&rig, op, slot, 1, PVB_PTE_W, 0);
		break;
	case PVB_OP_CHANGED:
		rig_add(&rig, op, slot, 1, 0, 0);
		break;
	}
}

static enum pvb_status (*plain_map)(void *ctx, pvb_gpa_t table, uint64_t **ptes);

/* What the backend is asked for is a page of the machine's address width, always. */
static enum pvb_status strict_map(void *ctx, pvb_gpa_t table, uint64_t **ptes)
{
	assert_int_equal(pvb_gpa_raw(table) % PVB_PAGE_SIZE, 0);
	assert_int_equal(pvb_gpa_raw(table) >> RIG_PHYS_BITS, 0);
	return plain_map(ctx, table, ptes);
}

/* The spoilt entry between two good ones, which are of its own kind or of another. */
static void one_case(const struct entry_case *wrong, enum pvb_op neighbour, bool neighbours_ok)
{
	uint64_t memory[PVB_PTES_PER_TABLE];
	bool ok = wrong->status == PVB_ST_OK;
	uint64_t told = rig.cpu->told;
	uint32_t i;

	for (i = 0; i < PVB_PTES_PER_TABLE; i++)
		rig.table[i] = PTE(i);
	rig_batch(&rig);
	rig.hdr->flush = rig.cpu->engine.vm->features & PVB_F_FLUSH ? PVB_FLUSH_ALL : 0;
	good_entry(neighbour, 0);
	good_entry(wrong->op, 2);
	wrong->spoil(&rig.entries[1]);
	good_entry(neighbour, 4);
	memcpy(memory, rig.table, sizeof(memory));

	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(pvb_answer_status(rig.entries[1].answer), wrong->status);
	assert_int_equal(pvb_answer_done(rig.entries[1].answer), ok ? rig.entries[1].nr : 0);
	for (i = 0; i <= 4; i += 4) {
		assert_int_equal(pvb_answer_status(rig.entries[i / 2].answer),
				 neighbours_ok ? PVB_ST_OK : PVB_ST_BAD_OP);
		if (neighbours_ok && neighbour != PVB_OP_CHANGED)
			assert_int_equal(rig.table[i], PTE(i) & ~PVB_PTE_W);
	}
	for (i = 0; i < PVB_PTES_PER_TABLE && !ok; i++)
		assert_true(i == 0 || i == 4 || rig.table[i] == memory[i]);
	assert_int_equal(rig.hdr->refused, !ok + (neighbours_ok ? 0 : 2));
	assert_int_equal(rig.hdr->conflicts, 0);
	assert_int_equal(rig.hdr->done, 3);
	assert_int_equal(rig.hdr->applied, (neighbours_ok ? 2 : 0) + (ok ? rig.entries[1].nr : 0));
	assert_int_equal(rig.cpu->told - told, rig.hdr->applied);
}

static void wrong_field(void **state)
{
	const struct entry_case *wrong = *state;
	uint64_t granted = PVB_F_ALL & ~wrong->without;
	enum pvb_op op;

	rig_open(&rig, 1, granted, BUFFER);
	plain_map = rig.host->backend.map_table;
	rig.host->backend.map_table = strict_map;
	for (op = PVB_OP_SET; op <= PVB_OP_CHANGED; op++) {
		uint64_t feature = op == PVB_OP_CHANGED ? PVB_F_GUEST_APPLY : PVB_F_HOST_APPLY;

		one_case(wrong, op, granted & feature);
	}
	rig_close(&rig);
}

/* The buffer of another vCPU is as forbidden as one's own; after it is given back, not. */
static void buffer_of_another(void **state)
{
	struct pvb_inproc_vcpu *other;
	pvb_gpa_t buffer;
	int i;

	(void)state;
	rig_open(&rig, 3, PVB_F_ALL, BUFFER);
	other = &rig.host->vcpus[2];
	buffer = pvb_inproc_alloc(rig.host, 1);
	assert_int_equal(pvb_inproc_call(other, PVB_CALL_REGISTER, pvb_gpa_raw(buffer), 4096), 0);
	for (i = 0; i < 2; i++) {
		rig_batch(&rig);
		rig_add(&rig, PVB_OP_SET, 0, 1, 0, PTE(1))->pte_gpa = pvb_gpa_raw(buffer) + 8;
		assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
		assert_int_equal(pvb_answer_status(rig.entries[0].answer),
				 i ? PVB_ST_OK : PVB_ST_DENIED);
		assert_int_equal(pvb_inproc_call(other, PVB_CALL_REGISTER, 0, 0),
				 i ? -PVB_ENXIO : 0);
	}
	rig_close(&rig);
}

static enum pvb_status map_later(void *ctx, pvb_gpa_t table, uint64_t **ptes)
{
	(void)ctx;
	(void)table;
	*ptes = NULL;
	return PVB_ST_RETRY;
}

/* A table that the host cannot reach now: the entry may be submitted again. */
static void table_out_of_reach(void **state)
{
	(void)state;
	rig_open(&rig, 1, PVB_F_ALL, BUFFER);
	rig.host->backend.map_table = map_later;
	rig_add(&rig, PVB_OP_SET, 0, 1, 0, PTE(1));
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(rig.entries[0].answer, pvb_answer(PVB_ST_RETRY, 0));
	assert_int_equal(rig.hdr->refused, 1);
	rig_close(&rig);
}

int main(void)
{
	struct CMUnitTest tests[CASES + 2] = {
		cmocka_unit_test(buffer_of_another),
		cmocka_unit_test(table_out_of_reach),
	};
	size_t i;

	for (i = 0; i < CASES; i++) {
		tests[2 + i].name = cases[i]->name;
		tests[2 + i].test_func = wrong_field;
		tests[2 + i].initial_state = (void *)cases[i];
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
