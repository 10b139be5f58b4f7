/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests, lessons - the rig that they share: two vCPUs, everything negotiated, vCPU 0
 * with a buffer of one page, one table full of ordinary entries.
 */
#ifndef TESTS_LESSONS_H
#define TESTS_LESSONS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../unit/engine_rig.h"

#define RIG_MAX_ENTRIES 126U
#define OLD(slot) (0x100067ULL + ((uint64_t)(slot) << 12)) /* present, writable, user, A, D */
#define NEW 0x555063ULL

static struct rig rig;

static inline void fill(void)
{
	for (uint32_t i = 0; i < 512; i++)
		rig.table[i] = OLD(i);
}

static inline void assert_unchanged(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		assert_int_equal(rig.table[i], OLD(i));
}

static inline int64_t call(enum pvb_call nr, uint64_t a0, uint64_t a1)
{
	return pvb_inproc_call(rig.cpu, nr, a0, a1);
}

/* The batch's one entry is refused with @status, and nothing has changed. */
static inline void assert_refused(enum pvb_status status)
{
	fill();
	assert_int_equal(rig_submit(&rig), PVB_SUBMIT_DONE);
	assert_int_equal(rig.entries[0].answer, pvb_answer(status, 0));
	assert_int_equal(rig.hdr->applied, 0);
	assert_unchanged(0, 512);
}

static int lesson_begin(void **state)
{
	(void)state;
	rig_open(&rig, 2, PVB_F_ALL, PVB_PAGE_SIZE);
	return 0;
}

static int lesson_end(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

#define lesson(name) cmocka_unit_test_setup_teardown(name, lesson_begin, lesson_end)

#endif /* TESTS_LESSONS_H */
