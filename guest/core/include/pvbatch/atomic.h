/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: guest core - the few atomic accesses to PTEs, by compiler builtins, so that the
 * same text builds in a kernel, in a small guest and in user space.
 *
 * All are single 64-bit accesses, never torn (law 1). The exchanges are full barriers:
 * what a page held before its entry changed is seen before the change.
 */
#ifndef PVBATCH_ATOMIC_H
#define PVBATCH_ATOMIC_H

#include <pvbatch/types.h>

#define pvb_likely(x) __builtin_expect(!!(x), 1)
#define pvb_unlikely(x) __builtin_expect(!!(x), 0)

static inline uint64_t pvb_load64(const uint64_t *ptep)
{
	return __atomic_load_n(ptep, __ATOMIC_RELAXED);
}

/* Release: whoever sees the entry sees the page that was filled before. */
static inline void pvb_store64(uint64_t *ptep, uint64_t new)
{
	__atomic_store_n(ptep, new, __ATOMIC_RELEASE);
}

static inline uint64_t pvb_xchg64(uint64_t *ptep, uint64_t new)
{
	return __atomic_exchange_n(ptep, new, __ATOMIC_SEQ_CST);
}

/* pvb_cmpxchg64() - store @new if *@ptep is *@cur; else false, and *@cur is what it is. */
static inline bool pvb_cmpxchg64(uint64_t *ptep, uint64_t *cur, uint64_t new)
{
	return __atomic_compare_exchange_n(ptep, cur, new, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

#endif /* PVBATCH_ATOMIC_H */
