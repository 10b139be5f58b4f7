/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: protocol - the machine that hypervisor/vmm presents to guest/demo: how it
 * boots, its ports, and the records with which the guest reports a measurement.
 * Not part of the batch ABI: another VMM or guest needs only abi.h.
 *
 * Boot: every vCPU starts at the ELF entry in 64-bit mode, CPL 0, interrupts off,
 * the first PVB_BOOT_MAPPED bytes mapped one to one, RDI = gpa of struct pvb_boot_info,
 * RSI = index of the vCPU (0 first). No stack. The local APICs are KVM's, in x2APIC
 * mode, with the index as APIC id. ELF segments are loaded at their physical addresses.
 */
#ifndef PVBATCH_MACHINE_H
#define PVBATCH_MACHINE_H

#include <pvbatch/abi.h>

#define PVB_BOOT_MAGIC 0x544f4f4250425650ULL /* "PVBPBOOT" */
#define PVB_BOOT_MAPPED 0x40000000ULL /* 1 GiB, or RAM where that is less */
/* The VMM's own tables and struct pvb_boot_info lie in [PVB_BOOT_AREA, PVB_BOOT_AREA_END). */
#define PVB_BOOT_AREA 0x10000ULL
#define PVB_BOOT_AREA_END 0x20000ULL
#define PVB_CMDLINE_MAX 1024

struct pvb_boot_info {
	uint64_t magic; /* PVB_BOOT_MAGIC */
	uint64_t ram_bytes; /* RAM from gpa 0, without holes, at most 3 GiB */
	uint64_t free_start; /* gpa of the first page behind the loaded image, page-aligned */
	uint32_t nr_cpus;
	uint32_t tsc_khz; /* 0: unknown */
	char cmdline[PVB_CMDLINE_MAX]; /* zero-terminated */
};

/* Console: a 16550 at the usual place, transmit only, always ready; OUTSB may be repeated. */
#define PVB_PORT_CONSOLE 0x3f8U

/* 32-bit OUT ports. */
#define PVB_PORT_MARK 0x5600U /* value ignored: a measurement begins, remember the counters */
#define PVB_PORT_RECORD 0x5604U /* gpa of a struct pvb_record; its exit counts get filled in */
#define PVB_PORT_EXIT 0x5608U /* the guest ends; value is its exit code, 0..127 */

/*
 * Xen's ABI, for what runs under Xen too: a 32-bit IN is a hypercall. RBX: its number; RDI,
 * RSI, RCX, R10, R8, R9: its arguments (RDX, Xen's third, is the port); the result comes in
 * EAX, sign-extended by the guest. Where the host's KVM can, also as Xen does it: after a
 * 32-bit OUT, value 1, a write of a page's gpa to PVB_MSR_XEN_PAGE fills that page with
 * Xen's hypercall stubs, and the hypercall instruction is Xen's from then on. Where it
 * cannot, the write faults.
 */
#define PVB_PORT_XEN 0x5680U
#define PVB_MSR_XEN_PAGE 0x40000000U

enum pvb_submit_mode {
	PVB_SUBMIT_PER_ENTRY = 0, /* one hypercall per PTE */
	PVB_SUBMIT_BATCHED = 1, /* `batch` one-PTE entries per hypercall */
	PVB_SUBMIT_RANGE = 2, /* range entries of up to 512 PTEs */
};

#define PVB_RECORD_NAME 24

/* One measurement. The guest fills in all but what is marked VMM. Zeroed before use. */
struct pvb_record {
	char workload[PVB_RECORD_NAME]; /* zero-terminated */
	uint32_t mode; /* enum pvb_submit_mode */
	uint32_t apply; /* 0: host applies, 1: guest applies, host synchronises */
	uint32_t batch; /* entries per hypercall aimed at */
	uint32_t rounds; /* repetitions behind min, median, max */
	uint64_t ptes; /* PTEs updated, all rounds */
	uint64_t hypercalls; /* PVB_CALL_SUBMIT calls, all rounds */
	uint64_t exits; /* VMM: exits to the VMM since the mark, all vCPUs */
	uint64_t kvm_exits; /* VMM: all VM exits by KVM's statistics; ~0 if unknown */
	uint64_t ps_per_pte_min; /* picoseconds, over rounds */
	uint64_t ps_per_pte_median;
	uint64_t ps_per_pte_max;
	uint64_t ad_merged; /* PTEs whose A or D the merge carried */
	uint64_t ad_lost; /* pages whose write is in a ledger and nowhere in A/D: must be 0 */
	uint64_t conflicts;
	uint64_t verified; /* pages compared with the ledgers; 0: this workload has none */
	uint64_t reserved[4];
};

PVB_ASSERT(sizeof(struct pvb_record) == 160);

#endif /* PVBATCH_MACHINE_H */
