/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: host engine, all of it - what the engine needs from its compiler and kernel.
 *
 * The only file of the engine that knows whether it is built into Linux or into a
 * user-space VMM.
 */
#ifndef PVB_ENGINE_ENV_H
#define PVB_ENGINE_ENV_H

#include <pvbatch/types.h>

#ifdef __KERNEL__

#include <linux/atomic.h>
#include <linux/compiler.h>

#define pvb_load(p) READ_ONCE(*(p))
#define pvb_store(p, v) WRITE_ONCE(*(p), v)
/* Full barrier. Stores @val if *@p is *@cur, else sets *@cur to what *@p is. */
#define pvb_cmpxchg64(p, cur, val) try_cmpxchg64(p, cur, val)
#define pvb_fetch_add32(p, n) ((void)xadd(p, n))

#else

/* Relaxed: for counters and fields that other threads may look at. */
#define pvb_load(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define pvb_store(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#ifndef pvb_cmpxchg64 /* a test may have put a hook here */
#define pvb_cmpxchg64(p, cur, val) \
	__atomic_compare_exchange_n(p, cur, val, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#endif
#define pvb_fetch_add32(p, n) ((void)__atomic_fetch_add(p, n, __ATOMIC_SEQ_CST))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#ifndef __always_inline /* some C libraries have it */
#define __always_inline inline __attribute__((always_inline))
#endif

#endif

#endif /* PVB_ENGINE_ENV_H */
