// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest core - before the first batch: negotiation once per VM, registration once
 * per CPU (law 8). Whatever goes wrong here leaves a library that works directly.
 */
#include "internal.h"

static uint64_t features_of(enum pvb_mode mode)
{
	switch (mode) {
	case PVB_MODE_HOST_APPLY:
		return PVB_F_HOST_APPLY;
	case PVB_MODE_GUEST_APPLY:
		return PVB_F_GUEST_APPLY;
	default:
		return 0;
	}
}

static int64_t call(const struct pvb_guest *g, enum pvb_call nr, uint64_t a0, uint64_t a1)
{
	return g->transport->call(g->transport->ctx, nr, a0, a1);
}

int pvb_guest_init(struct pvb_guest *g, const struct pvb_transport *t,
		   const struct pvb_guest_ops *ops, enum pvb_mode wanted,
		   struct pvb_negotiate *scratch)
{
	uint64_t needed = features_of(wanted);
	uint64_t features = needed | PVB_F_FLUSH | PVB_F_RESULTS | PVB_F_STATS | ops->consents;
	int64_t r;

	*g = (struct pvb_guest){ .transport = t, .ops = ops, .mode = PVB_MODE_DIRECT };
	if (wanted == PVB_MODE_DIRECT)
		return 0;
	if (!needed || (uintptr_t)scratch % 64)
		return -PVB_EINVAL;

	*scratch = (struct pvb_negotiate){
		.magic = PVB_NEGOTIATE_MAGIC,
		.size = sizeof(*scratch),
		.pte_format = PVB_PTE_FORMAT,
		.version_min = PVB_VERSION,
		.version_max = PVB_VERSION,
		.features_wanted = features,
	};
	r = call(g, PVB_CALL_NEGOTIATE, pvb_gpa_raw(ops->gpa_of(scratch)), 0);
	if (r < 0)
		return (int)r;
	/* A host that grants what was not asked, or not what is needed, is not believed. */
	if (r > 0 || scratch->version != PVB_VERSION || (scratch->features & ~features) ||
	    scratch->max_bytes < PVB_BUFFER_MIN)
		return -PVB_EPROTO;
	if (!(scratch->features & needed))
		return -PVB_EOPNOTSUPP;

	g->features = scratch->features;
	g->version = scratch->version;
	g->max_bytes = scratch->max_bytes;
	g->mode = wanted;
	return 0;
}

int pvb_cpu_init(struct pvb_guest *g, struct pvb_cpu *c, void *buffer, uint32_t bytes)
{
	int64_t r;

	*c = (struct pvb_cpu){ .guest = g, .mode = PVB_MODE_DIRECT, .coalesce = true };
	if (g->mode == PVB_MODE_DIRECT)
		return 0;
	if (!buffer)
		return -PVB_ENOMEM;
	if ((uintptr_t)buffer % PVB_PAGE_SIZE || bytes % PVB_PAGE_SIZE || bytes < PVB_BUFFER_MIN ||
	    bytes > PVB_BUFFER_MAX || bytes > g->max_bytes)
		return -PVB_EINVAL;

	r = call(g, PVB_CALL_REGISTER, pvb_gpa_raw(g->ops->gpa_of(buffer)), bytes);
	if (r)
		return r < 0 ? (int)r : -PVB_EPROTO;

	c->buffer = buffer;
	c->bytes = bytes;
	c->capacity = PVB_MAX_ENTRIES(bytes);
	c->limit = c->capacity;
	c->mode = g->mode;
	return 0;
}

void pvb_cpu_exit(struct pvb_cpu *c)
{
	pvb_lazy_flush(c);
	/* The host may have gone meanwhile: then there is nothing to unregister. */
	if (c->mode != PVB_MODE_DIRECT)
		call(c->guest, PVB_CALL_REGISTER, pvb_gpa_raw(c->guest->ops->gpa_of(c->buffer)), 0);
	c->mode = PVB_MODE_DIRECT;
	c->buffer = NULL;
}

void pvb_cpu_stats(struct pvb_cpu *c, struct pvb_guest_stats *out)
{
	/* All fields are 64-bit counters. */
	const uint64_t *irq = (const uint64_t *)&c->irq_stats;
	uint64_t *sum = (uint64_t *)out;

	pvb_run_close(c);
	*out = c->stats;
	for (uint32_t i = 0; i < sizeof(*out) / sizeof(*sum); i++)
		sum[i] += irq[i];
}
