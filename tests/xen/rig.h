/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests, Xen transport - a Xen of a hundred lines for one process: page tables are
 * the test's memory, mmu_update does what Xen's does to an entry, hardware acts in between
 * as the test says, and values that the test names are refused. Or, in its place, our own
 * handler of Xen's ABI (hypervisor/xen): the way there and back again.
 */
#ifndef TESTS_XEN_RIG_H
#define TESTS_XEN_RIG_H

#include <pvbatch/xen.h>
#include <xen/handler.h>

#define RIG_TABLES 4U
#define RIG_PHYS_BITS 47 /* the process's own addresses are the guest's physical ones */
#define RIG_PTES (RIG_TABLES * PVB_PTES_PER_TABLE)

struct rig {
	uint64_t ptes[RIG_PTES] __attribute__((aligned(4096)));
	uint8_t buffer[65536] __attribute__((aligned(4096)));
	struct pvb_negotiate neg __attribute__((aligned(64)));
	struct pvb_xen_cpu cpu;
	struct pvb_xen xen;
	/* Called before each request; may change entries as hardware does. May be NULL. */
	void (*before)(struct rig *rig, uint64_t *pte);
	/* Is this value refused for that entry? May be NULL. */
	bool (*refuses)(struct rig *rig, const uint64_t *pte, uint64_t val);
	int64_t error; /* with which it is refused */
	uint32_t requests; /* mmu_update requests seen */
	uint32_t flushes; /* flush ops seen */
	uint32_t after_flush; /* requests since the last of them */
	bool handled; /* by our handler, which refuses frames of RIG_PHYS_BITS and more */
	struct pvb_vm vm;
	struct xen_vcpu vcpu;
};

/*
 * rig_start() - negotiated and registered, over the small Xen or, @handled, our handler. One
 * rig at a time.
 */
void rig_start(struct rig *rig, bool handled);

static inline struct pvb_batch_hdr *rig_header(struct rig *rig)
{
	return (struct pvb_batch_hdr *)rig->buffer;
}

static inline struct pvb_entry *rig_entries(struct rig *rig)
{
	return (struct pvb_entry *)(rig_header(rig) + 1);
}

/* rig_submit() - the batch in the buffer, its continuations included. Returns calls made. */
uint32_t rig_submit(struct rig *rig, uint32_t nr, enum pvb_flush flush, uint32_t pages);

/* rig_hardware() - what an access that sets @ad does to @pte: nothing that it may not. */
void rig_hardware(uint64_t *pte, uint64_t ad);

/* rig_pte_gpa() - the machine address of entry @i. */
uint64_t rig_pte_gpa(struct rig *rig, uint32_t i);

#endif /* TESTS_XEN_RIG_H */
