/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests of guest/core - a guest CPU in front of a host that does as it is told.
 *
 * The host is a plain, one-PTE-at-a-time reading of the ABI, on purpose not the engine,
 * and it can be made to answer partially, to refuse, to lie or to disappear.
 */
#ifndef CORE_RIG_H
#define CORE_RIG_H

#include <setjmp.h>
#include <stdarg.h>

#include <pvbatch/guest.h>

#include <cmocka.h>

#define RIG_TABLES 4U
#define RIG_BYTES 4096U
#define RIG_GPA 0x10000000ULL /* where the rig's memory is for the host */
#define RIG_NORMAL INT64_MIN /* in script[]: answer as the batch deserves */

#define PFN(pfn) ((uint64_t)(pfn) << PVB_PAGE_SHIFT)
#define RW (PVB_PTE_P | PVB_PTE_W | PVB_PTE_U)
#define RO (PVB_PTE_P | PVB_PTE_U)

struct rig_memory {
	uint64_t tables[RIG_TABLES][PVB_PTES_PER_TABLE];
	uint8_t buffer[PVB_BUFFER_MAX];
	struct pvb_negotiate scratch;
} __attribute__((aligned(4096)));

struct rig {
	struct rig_memory *mem;
	struct pvb_guest g;
	struct pvb_cpu c;
	struct pvb_guest_ops ops;
	/* The script */
	int64_t negotiate_result;
	struct pvb_negotiate grant; /* features, version, max_bytes of the answer */
	int64_t register_result;
	uint32_t work; /* PTEs per submit call; 0: no bound */
	int64_t script[32]; /* results of the next submit calls */
	unsigned int nr_script;
	struct {
		uint32_t entry, pte; /* answer this entry, at this PTE, ... */
		enum pvb_status status; /* ... so; 0: off */
		unsigned int times;
	} refuse;
	void (*before)(void); /* in each submit call, before the host looks */
	void (*after)(void); /* in each submit call, after the host has answered */
	bool interrupt; /* what in_interrupt() says */
	/* The record */
	unsigned int submits, registers, unregisters;
	struct pvb_batch_hdr hdr; /* of the last submit call, as handed in */
	struct pvb_entry entries[PVB_MAX_ENTRIES(PVB_BUFFER_MAX)];
	unsigned int host_flushes, own_flushes, losses, conflicts;
	int64_t loss;
	struct {
		enum pvb_flush type;
		uint32_t flags, pages;
		uint64_t va;
	} own_flush; /* the last */
	uint64_t conflict_cur;
};

extern struct rig rig;

/* rig_open() - negotiated for @mode with all features, one CPU with RIG_BYTES registered. */
void rig_open(enum pvb_mode mode);
/* The parts, for tests of setup: a rig with its script set to "all is well". */
void rig_open_bare(void);
int rig_negotiate(enum pvb_mode mode);
int rig_register(uint32_t bytes);
/* rig_close() - checks that nothing is queued and that the counters add up. */
void rig_close(void);
struct pvb_guest_stats rig_stats(void);

/* Entry @index of table @table, counting on into the tables behind it. */
uint64_t *rig_pte(unsigned int table, unsigned int index);
uint64_t rig_pte_gpa(unsigned int table, unsigned int index);
/* Fill entries with @pte, advancing. */
void rig_fill(unsigned int table, unsigned int first, unsigned int nr, uint64_t pte);
/* One transaction: clear @clear, set @set. */
void rig_modify(uint64_t *ptep, uint64_t clear, uint64_t set);

#endif /* CORE_RIG_H */
