/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - the one operation that is measured everywhere: give a run of pages
 * another protection, the way a kernel's mprotect does, in one of the modes.
 */
#ifndef DEMO_PASS_H
#define DEMO_PASS_H

#include <pvbatch/machine.h>
#include "lib.h"

/* How commits travel. */
struct shape {
	enum pvb_submit_mode mode;
	uint32_t batch; /* entries per hypercall */
};

/* The lock of all workload page tables; held for one table, or all, at a time. */
extern spinlock_t pass_lock;

/* pass_shape() - set up the calling CPU's queue for @shape. */
void pass_shape(const struct shape *shape);

/*
 * pass_commit() - commit @nr PTEs from page @first on: @olds[i], or where that is NULL
 * what start returns now, becomes that with @clear cleared and @set set. The flush of
 * the pages goes along. Under pass_lock.
 */
void pass_commit(const struct shape *shape, uint32_t first, uint32_t nr, const uint64_t *olds,
		 uint64_t clear, uint64_t set);

/*
 * pass_protect() - the whole area of options.pages pages, writable or not, in lock
 * sections of one table or, with options.lock_all, in one.
 */
void pass_protect(const struct shape *shape, bool writable);

/*
 * pass_shapes() - call @fn for each shape that options.mode and options.batch ask for,
 * with @batches (zero-terminated) where no batch is given.
 */
void pass_shapes(const uint32_t *batches, void (*fn)(const struct shape *shape));

/*
 * pass_modes() - call @fn with the host started in each mode that options.apply asks for.
 * Returns how many there were; modes that the host does not offer are named and left out.
 */
unsigned int pass_modes(uint32_t cpus, void (*fn)(void));

#endif /* DEMO_PASS_H */
