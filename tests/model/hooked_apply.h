/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests, the oracle - the engine's apply stage with a hole between the load of a
 * PTE and its exchange, where a test can be the hardware.
 */
#ifndef MODEL_HOOKED_APPLY_H
#define MODEL_HOOKED_APPLY_H

#include <stdint.h>

/* Called before each exchange that the engine tries on @pte, if set. */
extern void (*apply_hook)(uint64_t *pte);

#endif /* MODEL_HOOKED_APPLY_H */
