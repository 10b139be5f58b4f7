/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests - the guest that tests KVM's handler, what its files share.
 *
 * Runs under our VMM (machine.h), but rings with the hypercall, so that KVM answers. It
 * keeps the engine's other callers out: no library of ours is between it and the ABI.
 */
#ifndef TESTS_KVM_GUEST_H
#define TESTS_KVM_GUEST_H

#include "../disturb.h"

#include <pvbatch/machine.h>
#include <pvbatch/merge.h>

#define PAGE 4096UL
#define TABLE_ENTRIES 512

/* start.S */
#define NO_FAULT (~0ULL)
int64_t vmmcall(uint64_t nr, uint64_t a0, uint64_t a1);
int64_t vmmcall_at_cpl3(uint64_t nr);
uint64_t probe_read(uint64_t va, uint64_t *value);
uint64_t probe_write(uint64_t va, uint64_t value);
uint64_t probe_exec(uint64_t va);
extern uint64_t user_cr2;
uint64_t user_read(uint64_t va);
uint64_t user_write(uint64_t va);
uint64_t user_exec(uint64_t va);

/* base.c */
extern struct pvb_boot_info *boot;
void base_init(struct pvb_boot_info *info);
void cpu_init(void);
void print(const char *text);
void print_number(uint64_t value);
void check(bool good, const char *what);
void skip(const char *what, const char *why);
void finish(void);
bool all_passed(void);
uint64_t random64(void);
void fill(void *at, uint64_t value, size_t bytes);

static inline void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port));
}

static inline void invlpg(uint64_t va)
{
	__asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

static inline uint64_t read_cr3(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr3, %0" : "=r"(v));
	return v;
}

static inline void write_cr3(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr3" ::"r"(v) : "memory");
}

static inline uint64_t read_cr4(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr4, %0" : "=r"(v));
	return v;
}

static inline void write_cr4(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr4" ::"r"(v) : "memory");
}

/* flush_all() - of all address spaces, global translations included: CR4.PGE, there and back. */
static inline void flush_all(void)
{
	write_cr4(read_cr4() ^ 1UL << 7);
	write_cr4(read_cr4() ^ 1UL << 7);
}

/* space.c: an address space with a leaf table of our own at TEST_VA, and again at ALIAS_VA. */
#define TEST_VA 0x8000000000UL /* PML4 entry 1 */
#define ALIAS_VA (TEST_VA + 0x200000UL)
#define DATA_PAGES 64
extern uint64_t leaf[TABLE_ENTRIES]; /* the table that tests change */
extern uint64_t pmd[TABLE_ENTRIES];
extern uint64_t data[DATA_PAGES][PAGE / 8]; /* data[i][0] == DATA_MARK + i at first */
extern uint64_t other_root[TABLE_ENTRIES]; /* maps the image, but nothing at TEST_VA */
#define DATA_MARK 0xda7a0000UL
#define RW (PVB_PTE_P | PVB_PTE_W | PVB_PTE_A | PVB_PTE_D)
#define RO (PVB_PTE_P | PVB_PTE_A | PVB_PTE_D)
#define UPPER (PVB_PTE_P | PVB_PTE_W | PVB_PTE_U | PVB_PTE_A)
void space_init(void);
void space_load(void);
void space_into_other(bool shown);
uint64_t data_pte(unsigned int page, uint64_t flags);

static inline void set_pte(uint64_t *pte, uint64_t value)
{
	__atomic_store_n(pte, value, __ATOMIC_SEQ_CST);
}

static inline uint64_t get_pte(const uint64_t *pte)
{
	return __atomic_load_n(pte, __ATOMIC_SEQ_CST);
}

/* batch.c: a batch in the calling CPU's buffer. */
#define BUFFER_BYTES 8192U
extern uint8_t buffers[2][BUFFER_BYTES];
struct pvb_batch_hdr *batch_begin(unsigned int cpu);
struct pvb_entry *batch_add(struct pvb_batch_hdr *hdr, uint8_t op, const uint64_t *ptes,
			    uint16_t nr);
int64_t batch_submit(struct pvb_batch_hdr *hdr);
int64_t name_run(const uint64_t *ptes, uint16_t nr, enum pvb_flush flush);
int64_t call(enum pvb_call nr, uint64_t a0, uint64_t a1);
int64_t negotiate(uint64_t features);

/* host.c: asking the host to do something, by way of the VMM. */
extern struct disturb_mail mail;
enum disturb_result ask(enum disturb_job job);
int write_file(const char *file, const char *text);
int read_file(const char *file);
bool same_text(const char *a, const char *b);

/* The tests. */
void test_setup(void);
void test_guest_apply(void);
void test_consent(void);
void test_contract(void);
void test_host_apply(void);
void test_smp(unsigned int cpu);
void smp_worker(unsigned int cpu);
void test_hostile(void);
void hostile_worker(void);
void test_storms(void);
void storm_worker(unsigned int cpu);
void test_withdraw(void);
void test_log(void);
void test_smm(void);
void test_nested(void);
void test_beside(void);
void beside_worker(unsigned int cpu);
void test_tables(void);
void test_look(void);
void test_nested_paging(void);

extern volatile uint32_t worker_job; /* what the second CPU does: enum job */
extern volatile uint32_t worker_done; /* the job it has ended */
enum job {
	JOB_NONE,
	JOB_WATCH,
	JOB_SCRIBBLE,
	JOB_STORM,
	JOB_BESIDE,
	JOB_STOP
};

#endif /* TESTS_KVM_GUEST_H */
