/* SPDX-License-Identifier: GPL-2.0-only */
/* Stage: tests of guest/mm - what its unit tests share: a fresh space each, and short names. */
#ifndef MM_RIG_H
#define MM_RIG_H

#include <setjmp.h>
#include <stdarg.h>

#include "space.h"

#include <cmocka.h>

#define RW (PVB_PROT_READ | PVB_PROT_WRITE)

static inline void open_space(enum pvb_mode mode, bool split_locks)
{
	const struct space_config config = { .mode = mode,
					     .split_locks = split_locks,
					     .nr_vcpus = 2 };

	space_open(&config);
}

static inline int setup(void **state)
{
	(void)state;
	open_space(PVB_MODE_HOST_APPLY, true);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	assert_int_equal(space.bugs, 0);
	space_close();
	return 0;
}

/* Pages [page, page + nr) mapped to consecutive memory, written to the tables directly. */
static inline void fill(uint32_t page, uint32_t nr, unsigned int prot)
{
	for (uint32_t i = 0; i < nr; i++)
		*space_pte(page + i) =
			pvb_pte_make(space.memory + (page + i) % SPACE_MEMORY, pvb_prot(prot));
}

static inline uint64_t calls(void)
{
	struct pvb_guest_stats stats;

	pvb_cpu_stats(space_cpu(), &stats);
	return stats.calls;
}

static inline int64_t protect(uint32_t page, uint32_t nr, unsigned int prot, unsigned int flags)
{
	return pvb_change_protection(&space.vma, space_va(page), space_va(page + nr),
				     pvb_prot(prot), flags);
}

#endif /* MM_RIG_H */
