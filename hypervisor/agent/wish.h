/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: host agent - what a domain's <metadata> say about pvbatch: pvbatchd reads it,
 * `pvbatch domain` writes it. docs/libvirt.md and docs/pvbatch.rng describe it.
 */
#ifndef PVB_AGENT_WISH_H
#define PVB_AGENT_WISH_H

#include <stddef.h>

#include <agent/limits.h>

#define WISH_NAMESPACE "urn:pvbatch:domain:1"
#define WISH_PREFIX "pvbatch"
#define WISH_BYTES_MAX 4096U

enum wish {
	WISH_NONE = 0, /* nothing is said: the handler's own default */
	WISH_OFF,
	WISH_ON,
	WISH_BAD /* not what the schema says; nothing is done about it */
};

/* What the element says. Of one that is WISH_BAD, nothing else counts. */
struct want {
	enum wish wish;
	uint32_t limit[NR_LIMITS]; /* LIMIT_UNSET: nothing is said */
};

/* want_nothing() - what no element says. */
struct want want_nothing(enum wish wish);
/* wish_parse() - the element as libvirt gives it, written by whoever defined the domain. */
struct want wish_parse(const char *xml, size_t bytes);

#endif /* PVB_AGENT_WISH_H */
