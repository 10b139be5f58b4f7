// SPDX-License-Identifier: GPL-2.0-only
/* Stage: tests, the oracle: apply.c itself, compiled with the hook; see hooked_apply.h. */
#include <stdbool.h>

#include "hooked_apply.h"

void (*apply_hook)(uint64_t *pte);

static bool hooked_cmpxchg(uint64_t *pte, uint64_t *cur, uint64_t val)
{
	if (apply_hook)
		apply_hook(pte);
	return __atomic_compare_exchange_n(pte, cur, val, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

#define pvb_cmpxchg64(p, cur, val) hooked_cmpxchg(p, cur, val)

/* NOLINTNEXTLINE(bugprone-suspicious-include): the hook has to be inside it */
#include <engine/apply.c>
