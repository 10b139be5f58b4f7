/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests of the engine - one in-process machine, negotiated and registered, with a
 * page table of its own, and short ways to fill in and submit a batch.
 */
#ifndef ENGINE_RIG_H
#define ENGINE_RIG_H

#include <inproc/inproc.h>

#define RIG_RAM (8ULL << 20)
#define RIG_ROM (RIG_RAM - (1ULL << 20)) /* the last MiB may not be written */
#define RIG_PHYS_BITS 36U

struct rig {
	struct pvb_inproc *host;
	struct pvb_inproc_vcpu *cpu; /* vCPU 0 */
	struct pvb_batch_hdr *hdr; /* its buffer */
	struct pvb_entry *entries;
	uint32_t bytes; /* of the buffer */
	uint64_t *table; /* a page table in guest memory */
	pvb_gpa_t table_gpa;
};

/*
 * rig_open() - a machine with @nr_vcpus vCPUs, @features negotiated, @bytes of buffer
 * registered for vCPU 0. Asserts on failure.
 */
void rig_open(struct rig *rig, unsigned int nr_vcpus, uint64_t features, uint32_t bytes);
void rig_close(struct rig *rig);

/* The machine alone: nothing negotiated, nothing registered. */
void rig_open_bare(struct rig *rig, unsigned int nr_vcpus);
/* Negotiate @features; returns the call's result. */
int64_t rig_negotiate(struct rig *rig, uint64_t features);

/* An empty batch. */
void rig_batch(struct rig *rig);
/* Append an entry on PTE @first of the rig's table; returns it, to be altered. */
struct pvb_entry *rig_add(struct rig *rig, enum pvb_op op, uint32_t first, uint32_t nr,
			  uint64_t old, uint64_t new);
/* One PVB_CALL_SUBMIT. */
int64_t rig_submit(struct rig *rig);
/* Submit until the batch is done, going on after PARTIAL. Returns the number of calls. */
unsigned int rig_finish(struct rig *rig);

/* gpa of PTE @index of the rig's table. */
static inline uint64_t rig_pte_gpa(const struct rig *rig, uint32_t index)
{
	return pvb_gpa_raw(rig->table_gpa) + index * sizeof(uint64_t);
}

#endif /* ENGINE_RIG_H */
