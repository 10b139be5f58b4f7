/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: host, in-process backend - a whole machine inside one process, to prove the
 * laws without any virtualisation.
 *
 * Plain memory is the guest's RAM. A vCPU is a thread: as guest code it issues calls
 * with pvb_inproc_call(), as hardware it walks the guest's page tables with
 * pvb_inproc_access(): it sets A and D in the entries with locked instructions, caches
 * what it found in a TLB, and goes on using that until it is flushed. A missing or
 * early flush (law 4) or a lost bit (law 1) therefore shows, as on a real CPU.
 */
#ifndef PVB_INPROC_H
#define PVB_INPROC_H

#include <pthread.h>

#include <pvbatch/engine.h>

#define PVB_INPROC_VCPUS_MAX 16U
#define PVB_INPROC_TLB 64U /* entries of one vCPU's TLB, directly mapped */

struct pvb_inproc;

/* What the hardware remembers of one walk. */
struct pvb_inproc_tlb {
	bool valid;
	bool writable; /* W at all levels when it was cached */
	bool dirty; /* D was set when it was cached: writes set it no more */
	bool block; /* cached as part of a block of contiguous entries */
	uint64_t vpn;
	uint64_t pfn;
};

struct pvb_inproc_vcpu {
	struct pvb_vcpu engine;
	struct pvb_inproc *host;
	unsigned int id;
	pvb_gpa_t root; /* CR3: set with pvb_inproc_set_root() */
	/* Held during one access. Whoever flushes takes it: that is the acknowledgement. */
	pthread_mutex_t lock;
	struct pvb_inproc_tlb tlb[PVB_INPROC_TLB];
	uint64_t walks; /* under lock: page walks done */
	/*
	 * Under lock: a page was found to be in a block, or not, while the TLB held pages
	 * of it as the opposite. Arm calls for break-before-make there (Arm ARM, D8.16).
	 */
	uint64_t conflicts;
	uint64_t told; /* PTEs told to changed by this vCPU's calls; relaxed */
};

struct pvb_inproc_config {
	uint64_t ram_bytes; /* RAM from gpa 0, a multiple of the page size */
	uint64_t rom_gpa; /* part of it that the guest may not write, page-aligned */
	uint64_t rom_bytes; /* 0: none */
	unsigned int nr_vcpus; /* 1..PVB_INPROC_VCPUS_MAX */
	uint64_t offered; /* PVB_F_* */
	unsigned int phys_bits;
	unsigned int levels; /* of the page tables that vCPUs walk: 4, 5 for x86-64; 0: 4 */
};

struct pvb_inproc {
	struct pvb_inproc_config config;
	struct pvb_vm vm;
	struct pvb_backend backend; /* the VM's own copy: a test may replace callbacks */
	uint8_t *ram;
	uint64_t next_page; /* gpa of the first page not given out, atomically */
	struct pvb_inproc_vcpu vcpus[PVB_INPROC_VCPUS_MAX];
};

/* Why an access did not happen. */
enum pvb_inproc_fault {
	PVB_INPROC_OK = 0,
	PVB_INPROC_NOT_PRESENT = 1,
	PVB_INPROC_PROTECTION = 2, /* a write to what is not writable */
	PVB_INPROC_NO_MEMORY = 3, /* the walk or the page lies outside RAM */
};

/* host.c */

/* A machine, or NULL without memory or with a wrong configuration. */
struct pvb_inproc *pvb_inproc_create(const struct pvb_inproc_config *config);
void pvb_inproc_destroy(struct pvb_inproc *host);

/*
 * pvb_inproc_call() - one doorbell from CPL 0, on the calling thread.
 * @ctx: the struct pvb_inproc_vcpu. The signature is that of struct pvb_transport.
 */
int64_t pvb_inproc_call(void *ctx, enum pvb_call call, uint64_t a0, uint64_t a1);

/* memory.c */

/* Host pointer of @bytes of guest memory at @gpa, or NULL where it is not all RAM. */
void *pvb_inproc_ptr(const struct pvb_inproc *host, pvb_gpa_t gpa, uint64_t bytes, bool write);
/* The reverse, for guest code: @ptr points into the machine's RAM. */
pvb_gpa_t pvb_inproc_gpa_of(const struct pvb_inproc *host, const volatile void *ptr);
/* @pages zeroed, contiguous pages nobody else has. Asserts that there are some. */
pvb_gpa_t pvb_inproc_alloc(struct pvb_inproc *host, uint64_t pages);
int pvb_inproc_read(void *ctx, pvb_gpa_t gpa, void *dst, uint32_t bytes);
int pvb_inproc_write(void *ctx, pvb_gpa_t gpa, const void *src, uint32_t bytes);
int pvb_inproc_write_answers(void *ctx, pvb_gpa_t gpa, const uint16_t *answers, uint32_t nr);

/* walker.c */

/* The leaf PTE of @va under @root, with the tables above it made as needed. */
uint64_t *pvb_inproc_pte(struct pvb_inproc *host, pvb_gpa_t root, uint64_t va);
/* Load CR3: empties the TLB. */
void pvb_inproc_set_root(struct pvb_inproc_vcpu *vcpu, pvb_gpa_t root);
/*
 * pvb_inproc_access() - one 8-byte load or store at @va (aligned), as hardware does it.
 * @value: stored if @write, else loaded into.
 */
enum pvb_inproc_fault pvb_inproc_access(struct pvb_inproc_vcpu *vcpu, uint64_t va, bool write,
					uint64_t *value);
/* Flush one vCPU's TLB; when it returns, no access with what was dropped is under way. */
void pvb_inproc_flush_vcpu(struct pvb_inproc_vcpu *vcpu, const struct pvb_flush_req *req);

#endif /* PVB_INPROC_H */
