/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: Linux tests - what guest.c (in the measured kernel) and host.c (on the KVM host
 * under it) say to each other over the guest's second serial port.
 *
 * The guest writes one byte, PROBE_ASK. The host reads KVM's counters while the guest
 * waits in read(), and answers one line: PROBE_COUNTERS decimal numbers, always as wide, so
 * that an answer costs the same whatever it says. Natively there is no host; then all
 * counters are zero.
 *
 * On PROBE_WITHDRAW the host takes the feature away from all its VMs, on PROBE_OFFER it
 * gives it back. On PROBE_LEAVE the guest moves, running, to another QEMU without the
 * feature, on PROBE_RETURN to another with it. PROBE_WAKE: the guest is about to suspend
 * to RAM; once it sleeps it is to be woken. No answers.
 */
#ifndef TESTS_LINUX_PROBE_H
#define TESTS_LINUX_PROBE_H

#define PROBE_TTY "/dev/ttyS1"
#define PROBE_ASK '?'
#define PROBE_WITHDRAW 'w'
#define PROBE_OFFER 'o'
#define PROBE_LEAVE 'l'
#define PROBE_RETURN 'r'
#define PROBE_WAKE 's'
#define PROBE_LINE 512
#define PROBE_NUMBER "%012lld"

/* KVM's files in debugfs, in the order of the answer. */
static const char *const probe_counters[] = {
	"exits",     "hypercalls",     "pf_taken",    "pf_fixed",   "pf_guest",	 "invlpg",
	"tlb_flush", "mmu_pte_write",  "mmu_flooded", "mmu_unsync", "irq_exits", "halt_exits",
	"io_exits",  "insn_emulation", "pvb_calls",   "pvb_ptes",
};

/*
 * On Xen there is nobody to ask: QEMU itself counts (tests/xen/count-exits.c), and takes
 * these for what they say. For everything else they are NOPs.
 */
enum probe_mark {
	PROBE_BEGIN = 1, /* count from here */
	PROBE_END, /* up to here */
	PROBE_ROW, /* a row is printed: write down the sum and begin another */
	PROBE_FORGET, /* what was counted since the last row is not to count */
};

#define PROBE_MARK_OPCODE 0x0f, 0x1f, 0x80 /* nopl of a 32-bit displacement */
#define PROBE_MARK_BASE 0x70766200
#define PROBE_STRING_(...) #__VA_ARGS__
#define PROBE_STRING(...) PROBE_STRING_(__VA_ARGS__)
#define PROBE_MARK(mark)                                                                 \
	__asm__ volatile(".byte " PROBE_STRING(PROBE_MARK_OPCODE) "\n\t.long %c0" ::"i"( \
				 PROBE_MARK_BASE + (mark))                               \
			 : "memory")

#define PROBE_COUNTERS (sizeof(probe_counters) / sizeof(probe_counters[0]))

#endif /* TESTS_LINUX_PROBE_H */
