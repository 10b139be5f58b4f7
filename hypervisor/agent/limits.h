/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: host agent - the limits of one VM: what metadata may wish, what KVM's handler takes
 * (limits.c there). Both have 0 for "no limit".
 */
#ifndef PVB_AGENT_LIMITS_H
#define PVB_AGENT_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum limit {
	LIMIT_MAX_BATCH, /* entries that one hypercall handles */
	LIMIT_RATE, /* hypercalls a second */
	NR_LIMITS
};

#define LIMIT_UNSET UINT32_MAX /* nothing is wished; the handler has no such file */

struct limit_info {
	const char *attribute; /* in metadata */
	const char *key; /* in documents and metrics */
	const char *file; /* of the handler, in debugfs */
	const char *help;
	uint32_t min, max; /* or 0 */
};

extern const struct limit_info agent_limits[NR_LIMITS];

/* limit_parse() - a decimal number in canonical form that @limit may be. */
bool limit_parse(enum limit limit, const char *text, uint32_t *value);
/* limit_good() - may @limit be @value? */
bool limit_good(enum limit limit, uint64_t value);

#endif /* PVB_AGENT_LIMITS_H */
