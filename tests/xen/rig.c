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

/* Guest memory, virtual and physical alike, is this process's. */
static int read_va(void *ctx, uint64_t va, void *dst, uint32_t bytes)
{
	(void)ctx;
	memcpy(dst, (const void *)va, bytes);
	return 0;
}

static int write_va(void *ctx, uint64_t va, const void *src, uint32_t bytes)
{
	(void)ctx;
	memcpy((void *)va, src, bytes);
	return 0;
}

static bool ending(void *ctx)
{
	(void)ctx;
	return false;
}

static int no_copy(void *ctx, pvb_gpa_t gpa, void *dst, uint32_t bytes)
{
	(void)ctx;
	(void)gpa;
	(void)dst;
	(void)bytes;
	return -PVB_EFAULT;
}

static int no_write(void *ctx, pvb_gpa_t gpa, const void *src, uint32_t bytes)
{
	(void)src;
	return no_copy(ctx, gpa, NULL, bytes);
}

static enum pvb_status map_table(void *ctx, pvb_gpa_t table, uint64_t **ptes)
{
	(void)ctx;
	*ptes = (uint64_t *)pvb_gpa_raw(table);
	if (*ptes < current->ptes || *ptes >= current->ptes + RIG_PTES)
		return PVB_ST_BAD_GPA;
	return PVB_ST_OK;
}

static void unmap_table(void *ctx, pvb_gpa_t table, uint64_t *ptes)
{
	(void)ctx;
	assert_ptr_equal(ptes, (uint64_t *)pvb_gpa_raw(table));
}

static void changed(void *ctx, const struct pvb_changed_run *run)
{
	(void)ctx;
	current->requests += run->nr;
	current->after_flush += run->nr;
}

static void flush(void *ctx, const struct pvb_flush_req *req)
{
	(void)ctx;
	(void)req;
	current->flushes++;
	current->after_flush = 0;
}

static const struct xen_backend handler_backend = {
	.read_va = read_va,
	.write_va = write_va,
	.ending = ending,
};

static const struct pvb_backend engine_backend = {
	.read_guest = no_copy,
	.write_guest = no_write,
	.map_table = map_table,
	.unmap_table = unmap_table,
	.changed = changed,
	.flush = flush,
};

static int64_t multicall(struct multicall_entry *calls, uint32_t nr)
{
	if (current->handled)
		return xen_hypercall(&current->vcpu, __HYPERVISOR_multicall,
				     (const uint64_t[6]){ (uint64_t)calls, nr });
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

void rig_start(struct rig *rig, bool handled)
{
	memset(rig, 0, sizeof(*rig));
	current = rig;
	rig->handled = handled;
	assert_int_equal(xen_vm_init(&rig->vm, &engine_backend, RIG_PHYS_BITS), 0);
	xen_vcpu_init(&rig->vcpu, &rig->vm, &handler_backend, rig);
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
