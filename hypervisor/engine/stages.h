/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: host engine - the stages among themselves, in the order of the flow.
 *
 *   call -> submit: decode -> validate -> apply -> flush -> complete
 *        \-> negotiate
 *
 * Everything here runs on the vCPU's own thread, inside one pvb_engine_call(). All
 * state of a submission is in struct pvb_work on that thread's stack: between calls
 * the engine remembers nothing of a batch (law 7), a continuation is checked again.
 */
#ifndef PVB_ENGINE_STAGES_H
#define PVB_ENGINE_STAGES_H

#include <pvbatch/engine.h>
#include <pvbatch/merge.h>

#include "env.h"

/* PTEs applied between two looks at should_yield; also the bits of a result word. */
#define PVB_PIECE 64U
#define PVB_RESULT_WORDS (PVB_PTES_PER_TABLE / PVB_PIECE)

/* The half of the header that the guest writes; the host reads nothing behind it. */
#define PVB_HDR_IN_BYTES ((uint32_t)offsetof(struct pvb_batch_hdr, status))

/* What one exchange loop saw of the PTEs of a piece, bit i % PVB_PIECE for PTE i. */
struct pvb_seen {
	uint64_t young;
	uint64_t dirty;
	uint32_t carried; /* PTEs with carried bits */
	uint32_t carried_a;
	uint32_t carried_d;
};

/* A shape of entries that has been checked, and what the other checks need of it. */
struct pvb_shape {
	uint64_t raw; /* nr, op, flags and result */
	enum pvb_status status;
	enum pvb_op op;
	bool single; /* one PTE, without result and soft bits: pvb_apply_singles() */
	bool hint;
	uint32_t last; /* byte of a table where a run of nr PTEs may start at the latest */
	uint64_t span; /* bytes from the first page of a template to the last one */
};

#define PVB_ANSWERS_AT_ONCE 4 /* answers in one store */

/* One PVB_CALL_SUBMIT. */
struct pvb_work {
	struct pvb_vcpu *vcpu;
	const struct pvb_backend *backend;
	uint64_t features; /* as granted when the call began */
	pvb_gpa_t buffer;
	uint32_t bytes;
	struct pvb_batch_hdr hdr; /* the one copy of its IN half; the OUT half to be */

	bool held; /* table is in use: mapped, or checked for CHANGED */
	pvb_gpa_t table;
	uint64_t *ptes; /* NULL: none is mapped */
	struct pvb_changed_run run; /* applied, backend not told yet; nr = 0: nothing */

	uint32_t budget; /* work left, in PTEs; a refused entry costs one */
	uint32_t unpolled; /* work since should_yield was asked */

	struct pvb_shape shape; /* of the last entry validated */
	uint16_t answers[PVB_CHUNK + PVB_ANSWERS_AT_ONCE - 1]; /* of the chunk's entries */

	uint32_t entries; /* answered in this call */
	struct pvb_seen seen; /* sums of the carried counters; bitmaps of the last piece */

	/* Result bitmaps of the entry in progress, as they will stand in the buffer. */
	uint64_t result[2 * PVB_RESULT_WORDS];
};

/* decode.c */
int pvb_decode_header(struct pvb_work *work);
int pvb_decode_chunk(struct pvb_work *work, uint32_t first, uint32_t nr);

/* validate.c */
int pvb_validate_header(const struct pvb_work *work);
int pvb_validate_skip(const struct pvb_work *work, const struct pvb_entry *entry);
uint32_t pvb_validate_run(struct pvb_work *work, uint32_t index, uint32_t nr,
			  enum pvb_status *status);

/* table.c */
enum pvb_status pvb_table_use(struct pvb_work *work, const struct pvb_entry *entry);
void pvb_table_changed(struct pvb_work *work, const struct pvb_entry *entry, uint32_t first,
		       uint32_t nr);
void pvb_table_drop(struct pvb_work *work);

/* apply.c */
enum pvb_status pvb_apply(struct pvb_work *work, const struct pvb_entry *entry, uint32_t *at,
			  uint32_t end);

uint32_t pvb_apply_singles(struct pvb_work *work, uint32_t first, uint32_t nr);

/* flush.c */
void pvb_flush(struct pvb_work *work);

/* complete.c */
bool pvb_result_open(struct pvb_work *work, const struct pvb_entry *entry, uint32_t skip);
void pvb_result_add(struct pvb_work *work, const struct pvb_entry *entry, uint32_t at);
int pvb_result_close(struct pvb_work *work, const struct pvb_entry *entry);
void pvb_answer_entry(struct pvb_work *work, uint32_t index, enum pvb_status status, uint32_t done);
void pvb_answer_singles(struct pvb_work *work, uint32_t index, uint32_t nr);
int pvb_complete_chunk(struct pvb_work *work, uint32_t first, uint32_t nr);
void pvb_account(struct pvb_work *work, int64_t result);
int64_t pvb_complete(struct pvb_work *work, int64_t result);

/* submit.c, negotiate.c */
int64_t pvb_engine_submit(struct pvb_vcpu *vcpu);
int64_t pvb_negotiate(struct pvb_vcpu *vcpu, uint64_t gpa);
int64_t pvb_register(struct pvb_vcpu *vcpu, uint64_t gpa, uint64_t bytes);
void pvb_unregister(struct pvb_vcpu *vcpu);

/* pvb_gpa_fits() - do @bytes >= 1 bytes from @gpa on lie within the VM's address width? */
static inline bool pvb_gpa_fits(const struct pvb_vm *vm, uint64_t gpa, uint32_t bytes)
{
	uint64_t limit = 1ULL << vm->phys_bits;

	return gpa < limit && bytes <= limit - gpa;
}

static inline pvb_gpa_t pvb_gpa_add(pvb_gpa_t gpa, uint64_t bytes)
{
	return pvb_gpa(pvb_gpa_raw(gpa) + bytes);
}

/* pvb_entry_slot() - index in its table of the first PTE of @entry. */
static inline uint32_t pvb_entry_slot(const struct pvb_entry *entry)
{
	return (entry->pte_gpa & (PVB_PAGE_SIZE - 1)) / (uint32_t)sizeof(uint64_t);
}

/* pvb_entry_table() - gpa of the page table that @entry is about. */
static inline pvb_gpa_t pvb_entry_table(const struct pvb_entry *entry)
{
	return pvb_gpa(entry->pte_gpa & ~(PVB_PAGE_SIZE - 1));
}

/* pvb_result_words() - 64-bit words of one of the two bitmaps for @nr PTEs. */
static inline uint32_t pvb_result_words(uint32_t nr)
{
	return (nr + PVB_PIECE - 1) / PVB_PIECE;
}

/* pvb_entry_gpa() - where entry @index of the batch lies in guest memory. */
static inline pvb_gpa_t pvb_entry_gpa(const struct pvb_work *work, uint32_t index)
{
	return pvb_gpa_add(work->buffer, sizeof(struct pvb_batch_hdr) +
						 (uint64_t)index * sizeof(struct pvb_entry));
}

#endif /* PVB_ENGINE_STAGES_H */
