/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: host engine - what a VMM or KVM calls, and what it must provide.
 *
 *   decode (copy once) -> validate -> apply -> flush -> complete
 *
 * Embed a struct pvb_vm in the VM and a struct pvb_vcpu in each vCPU, fill in the
 * backend, and hand every doorbell to pvb_engine_call(). The engine allocates
 * nothing, uses no libc, and takes no locks: a struct pvb_vcpu belongs to the thread
 * that runs the vCPU; struct pvb_vm is written only by negotiation and registration.
 */
#ifndef PVBATCH_ENGINE_H
#define PVBATCH_ENGINE_H

#include <pvbatch/pte.h>

/* A flush, decoded and checked. */
struct pvb_flush_req {
	enum pvb_flush type; /* RANGE or ALL */
	bool local; /* the calling vCPU only */
	pvb_gva_t va; /* RANGE: page-aligned */
	uint32_t pages; /* RANGE: >= 1 */
};

/* A run of entries of one table that has just been changed (or named by CHANGED). */
struct pvb_changed_run {
	pvb_gpa_t table; /* page-aligned gpa of the page table */
	uint32_t first; /* index of the first PTE, 0..511 */
	uint32_t nr; /* PTEs, 1..512 - first */
	uint64_t *ptes; /* the mapped table, as map_table returned it; NULL after check_table */
	bool hint; /* old and new are the guest's templates: do not trust */
	uint64_t old;
	uint64_t new;
};

/*
 * struct pvb_backend - what the engine needs from its surroundings. All callbacks
 * run on the vCPU's thread inside pvb_engine_call(). @ctx is pvb_vcpu::ctx.
 */
struct pvb_backend {
	/* Copy @bytes between host and guest memory. 0 or -PVB_EFAULT. */
	int (*read_guest)(void *ctx, pvb_gpa_t gpa, void *dst, uint32_t bytes);
	int (*write_guest)(void *ctx, pvb_gpa_t gpa, const void *src, uint32_t bytes);
	/*
	 * Write @answers to the answer fields, and to nothing else, of @nr consecutive
	 * struct pvb_entry, the first at @gpa. 0 or -PVB_EFAULT. May be NULL: write_guest for
	 * each. Worth having: it is called once for up to PVB_CHUNK entries.
	 */
	int (*write_answers)(void *ctx, pvb_gpa_t gpa, const uint16_t *answers, uint32_t nr);
	/*
	 * Map the page table at @table (page-aligned, untrusted) for atomic access.
	 * On success *ptes are its 512 entries until unmap_table, and PVB_ST_OK; else
	 * PVB_ST_BAD_GPA, PVB_ST_DENIED or PVB_ST_RETRY. The engine maps one table at
	 * a time and keeps it over consecutive entries of the same table.
	 */
	enum pvb_status (*map_table)(void *ctx, pvb_gpa_t table, uint64_t **ptes);
	void (*unmap_table)(void *ctx, pvb_gpa_t table, uint64_t *ptes);
	/*
	 * A table of which entries are named by PVB_OP_CHANGED only, so that nothing needs
	 * to be mapped: PVB_ST_OK or a reason, as map_table. May be NULL: it is mapped.
	 */
	enum pvb_status (*check_table)(void *ctx, pvb_gpa_t table);
	/* Entries changed: bring shadow translations up to date. May be NULL. */
	void (*changed)(void *ctx, const struct pvb_changed_run *run);
	/* No CPU concerned uses an old translation when this returns (law 4). */
	void (*flush)(void *ctx, const struct pvb_flush_req *req);
	/* End this call early with PVB_SUBMIT_PARTIAL? May be NULL. */
	bool (*should_yield)(void *ctx);
	/*
	 * Add the counters of all vCPUs of the VM to the zeroed *sum, pvb_stats_add() for
	 * each. May be NULL: then PVB_F_STATS is not granted.
	 */
	void (*stats)(void *ctx, struct pvb_host_stats *sum);
};

/*
 * PTEs that one call changes at most, unless the backend's owner says otherwise: as many as
 * the smallest buffer, one page, can name as whole tables. It takes well under a millisecond;
 * should_yield is asked meanwhile.
 */
#define PVB_MAX_WORK (128 * PVB_PTES_PER_TABLE)

struct pvb_vm {
	const struct pvb_backend *backend;
	uint64_t offered; /* PVB_F_*: what this host grants at most; 0: nothing to win here */
	unsigned int phys_bits; /* width of a guest-physical address, 12..52 */
	uint32_t max_bytes; /* largest registered buffer, PVB_BUFFER_MIN..MAX */
	uint32_t max_work; /* PTEs per call, >= 512; at first PVB_MAX_WORK */
	/* Entries per call; at first 0: no such limit. May be changed at any time, atomically. */
	uint32_t max_entries;
	/* Written by calls of any vCPU, always atomically: */
	uint32_t version; /* negotiated; 0: not yet */
	uint64_t features; /* negotiated: granted PVB_F_* */
	uint32_t registered; /* vCPUs with a buffer */
};

/* Longer range flushes become PVB_FLUSH_ALL, so that a backend may loop over the pages (law 7). */
#define PVB_FLUSH_RANGE_MAX 16384U

#define PVB_CHUNK 64 /* entries copied and validated at a time */

struct pvb_vcpu {
	struct pvb_vm *vm;
	void *ctx; /* handed to the backend */
	pvb_gpa_t buffer; /* written by the vCPU's thread, atomically */
	uint32_t bytes; /* 0: not registered; likewise */
	bool busy; /* inside a call */
	struct pvb_host_stats
		stats; /* this vCPU's part; read by other threads with relaxed loads */
	uint64_t limited; /* calls that pvb_vm::max_entries has ended; likewise */
	struct pvb_entry chunk[PVB_CHUNK]; /* the one copy of guest data */
};

/*
 * pvb_engine_vm_init() - check and set the offer. 0 or -PVB_EINVAL.
 *
 * Sets max_bytes and max_work to defaults, which the caller may change before the
 * first call. @backend and what it points to must outlive @vm.
 */
int pvb_engine_vm_init(struct pvb_vm *vm, const struct pvb_backend *backend, uint64_t offered,
		       unsigned int phys_bits);
void pvb_engine_vcpu_init(struct pvb_vcpu *vcpu, struct pvb_vm *vm, void *ctx);
/* Forget the negotiation and all it allowed, as after a reset or a migration. */
void pvb_engine_vm_reset(struct pvb_vm *vm);
void pvb_engine_vcpu_reset(struct pvb_vcpu *vcpu);

/*
 * pvb_engine_owns_page() - does @page (page-aligned) belong to @vcpu's registered
 * buffer? For map_table callbacks, which answer PVB_ST_DENIED to the buffer of any
 * vCPU of the VM. Callable from any thread.
 */
bool pvb_engine_owns_page(const struct pvb_vcpu *vcpu, pvb_gpa_t page);

/*
 * pvb_engine_call() - one doorbell.
 * @call: number relative to PVB_HC_BASE, untrusted; @a0, @a1: arguments, untrusted;
 * @cpl: the caller's privilege level.
 * Returns the result for the guest's register: >= 0, or -PVB_E*.
 */
int64_t pvb_engine_call(struct pvb_vcpu *vcpu, uint64_t call, uint64_t a0, uint64_t a1,
			unsigned int cpl);

/* pvb_stats_add() - add one vCPU's counters to a sum. */
void pvb_stats_add(struct pvb_host_stats *sum, const struct pvb_host_stats *part);

#endif /* PVBATCH_ENGINE_H */
