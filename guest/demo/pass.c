// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - changing protections. Neighbours: the workloads before, guest/core
 * after.
 */
#include "pass.h"
#include "console.h"
#include "cpu.h"
#include "host.h"
#include "mm.h"
#include "options.h"

spinlock_t pass_lock;

void pass_shape(const struct shape *shape)
{
	struct pvb_cpu *c = &this_cpu()->pvb;

	c->coalesce = shape->mode == PVB_SUBMIT_RANGE;
	c->limit = shape->batch;
}

static uint64_t *pte_of(uint32_t page)
{
	return (uint64_t *)mm_work_ptes() + page;
}

void pass_commit(const struct shape *shape, uint32_t first, uint32_t nr, const uint64_t *olds,
		 uint64_t clear, uint64_t set)
{
	struct pvb_cpu *c = &this_cpu()->pvb;
	uint64_t *ptes = pte_of(first);
	bool each = shape->mode == PVB_SUBMIT_PER_ENTRY;

	pvb_lazy_enter(c);
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t old = olds ? olds[i] : pvb_start(&ptes[i]);

		pvb_commit(c, &ptes[i], old, (old & ~clear) | set);
		if (each && i + 1 < nr)
			pvb_lazy_flush(c); /* the last one goes with the flush */
	}
	pvb_flush_range(c, pvb_gva(mm_work_va(first)), nr, 0);
	pvb_lazy_leave(c);
}

void pass_protect(const struct shape *shape, bool writable)
{
	uint32_t section = options.lock_all ? options.pages : PVB_PTES_PER_TABLE;

	for (uint32_t first = 0; first < options.pages; first += section) {
		uint32_t left = options.pages - first;
		uint32_t nr = left < section ? left : section;

		spin_lock(&pass_lock);
		if (writable)
			pass_commit(shape, first, nr, NULL, 0, PVB_PTE_W);
		else
			pass_commit(shape, first, nr, NULL, PVB_PTE_W, 0);
		spin_unlock(&pass_lock);
	}
}

void pass_shapes(const uint32_t *batches, void (*fn)(const struct shape *shape))
{
	struct shape shape;

	if (options.mode & MODE_PER_ENTRY) {
		shape = (struct shape){ PVB_SUBMIT_PER_ENTRY, 1 };
		fn(&shape);
	}
	if (options.mode & MODE_BATCHED) {
		const uint32_t one[] = { options.batch, 0 };

		for (const uint32_t *b = options.batch ? one : batches; *b; b++) {
			shape = (struct shape){ PVB_SUBMIT_BATCHED, *b };
			fn(&shape);
		}
	}
	if (options.mode & MODE_RANGE) {
		shape = (struct shape){ PVB_SUBMIT_RANGE, PVB_PTES_PER_TABLE };
		fn(&shape);
	}
}

unsigned int pass_modes(uint32_t nr, void (*fn)(void))
{
	static const struct {
		uint32_t apply;
		enum pvb_mode mode;
		const char *name;
	} modes[] = {
		{ APPLY_HOST, PVB_MODE_HOST_APPLY, "host" },
		{ APPLY_GUEST, PVB_MODE_GUEST_APPLY, "guest" },
		{ APPLY_DIRECT, PVB_MODE_DIRECT, "direct" },
	};
	unsigned int done = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(modes); i++) {
		if (!(options.apply & modes[i].apply))
			continue;
		if (!host_start(modes[i].mode, nr)) {
			say("apply=%s: not offered by this host\n", modes[i].name);
			continue;
		}
		fn();
		host_stop();
		done++;
	}
	return done;
}
