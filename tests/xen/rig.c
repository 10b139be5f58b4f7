// SPDX-License-Identifier: GPL-2.0-only
/* Stage: tests, Xen transport - the small Xen; see rig.h. Source: Xen's public/xen.h. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct rig *current;

void rig_hardware(uint64_t *pte, uint64_t ad)
{
	if (!(*pte & PVB_PTE_P))
		return;
	if (!(*pte & PVB_PTE_W))
		ad &= ~PVB_PTE_D;
	*pte |= ad;
}

static int64_t mmu_update(const struct mmu_update *reqs, uint32_t count, uint32_t *done)
{
	int64_t result = 0;
	uint32_t i;

	for (i = 0; i < count && !result; i++) {
		uint64_t command = reqs[i].ptr & 7;
		uint64_t *pte = (uint64_t *)(reqs[i].ptr & ~7ULL);
		uint64_t val = reqs[i].val;

		assert_in_range(pte - current->ptes, 0, RIG_PTES - 1);
		if (current->before)
			current->before(current, pte);
		if (current->refuses && current->refuses(current, pte, val)) {
			result = current->error;
			break;
		}
		current->requests++;
		current->after_flush++;
		if (command == MMU_NORMAL_PT_UPDATE)
			*pte = val;
		else if (command == MMU_PT_UPDATE_PRESERVE_AD)
			*pte = val | (*pte & PVB_PTE_AD);
		else
			fail_msg("command %lu", (unsigned long)command);
	}
	*done = i;
	return result;
}

static int64_t multicall(struct multicall_entry *calls, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		struct multicall_entry *call = &calls[i];
		uint32_t *done = (uint32_t *)call->args[2];

		assert_int_equal(call->args[3], DOMID_SELF);
		if (call->op == __HYPERVISOR_mmu_update) {
			call->result =
				(uint64_t)mmu_update((const struct mmu_update *)call->args[0],
						     (uint32_t)call->args[1], done);
		} else {
			assert_int_equal(call->op, __HYPERVISOR_mmuext_op);
			*done = (uint32_t)call->args[1];
			current->flushes += *done;
			current->after_flush = 0;
			call->result = 0;
		}
	}
	return 0;
}

static struct pvb_xen_cpu *this_cpu(void)
{
	return &current->cpu;
}

/* Machine addresses are the process's own. */
static void *pointer_to(pvb_gpa_t machine)
{
	return (void *)pvb_gpa_raw(machine);
}

static const struct pvb_xen_ops ops = {
	.multicall = multicall,
	.this_cpu = this_cpu,
	.pointer_to = pointer_to,
};

void rig_start(struct rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	current = rig;
	rig->xen = (struct pvb_xen){ .ops = &ops, .preserve_ad = true };
	rig->error = -PVB_EINVAL;
	rig->neg = (struct pvb_negotiate){
		.magic = PVB_NEGOTIATE_MAGIC,
		.size = sizeof(rig->neg),
		.pte_format = PVB_PTE_FORMAT,
		.version_min = PVB_VERSION,
		.version_max = PVB_VERSION,
		.features_wanted = PVB_F_ALL,
	};
	assert_int_equal(pvb_xen_call(&rig->xen, PVB_CALL_NEGOTIATE, (uint64_t)&rig->neg, 0), 0);
	assert_int_equal(pvb_xen_call(&rig->xen, PVB_CALL_REGISTER, (uint64_t)rig->buffer,
				      sizeof(rig->buffer)),
			 0);
}

uint64_t rig_pte_gpa(struct rig *rig, uint32_t i)
{
	return (uint64_t)&rig->ptes[i];
}

uint32_t rig_submit(struct rig *rig, uint32_t nr, enum pvb_flush flush, uint32_t pages)
{
	struct pvb_batch_hdr *hdr = rig_header(rig);
	uint32_t start = 0, skip = 0, calls = 0;
	int64_t result;

	do {
		*hdr = (struct pvb_batch_hdr){
			.version = PVB_VERSION,
			.flush = (uint8_t)flush,
			.nr = nr,
			.start = start,
			.skip = skip,
			.flush_pages = pages,
			.flush_va = pages ? 0x7000 : 0,
		};
		result = pvb_xen_call(&rig->xen, PVB_CALL_SUBMIT, 0, 0);
		calls++;
		assert_true(result == PVB_SUBMIT_DONE || result == PVB_SUBMIT_PARTIAL);
		assert_int_equal(result, hdr->status);
		assert_true(hdr->done > start || (hdr->done == start && hdr->done_ptes > skip) ||
			    (!nr && result == PVB_SUBMIT_DONE));
		start = hdr->done;
		skip = hdr->done_ptes;
	} while (result == PVB_SUBMIT_PARTIAL);
	assert_int_equal(start, nr);
	assert_int_equal(skip, 0);
	return calls;
}
