/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: Linux tests - what guest.c (in the measured kernel) and host.c (on the KVM host
 * under it) say to each other over the guest's second serial port.
 *
 * The guest writes one byte, PROBE_ASK. The host reads KVM's counters while the guest
 * waits in read(), and answers one line: PROBE_COUNTERS decimal numbers, always as wide, so
 * that an answer costs the same whatever it says. Natively there is no host; then all
 * counters are zero.
 */
#ifndef TESTS_LINUX_PROBE_H
#define TESTS_LINUX_PROBE_H

#define PROBE_TTY "/dev/ttyS1"
#define PROBE_ASK '?'
#define PROBE_LINE 512
#define PROBE_NUMBER "%012lld"

/* KVM's files in debugfs, in the order of the answer. */
static const char *const probe_counters[] = {
	"exits",     "hypercalls",     "pf_taken",    "pf_fixed",   "pf_guest",	 "invlpg",
	"tlb_flush", "mmu_pte_write",  "mmu_flooded", "mmu_unsync", "irq_exits", "halt_exits",
	"io_exits",  "insn_emulation", "pvb_calls",   "pvb_ptes",
};

#define PROBE_COUNTERS (sizeof(probe_counters) / sizeof(probe_counters[0]))

#endif /* TESTS_LINUX_PROBE_H */
