/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests - what a host does to a running guest, on the guest's demand: the mailbox
 * between tests/kvm/guest and disturb.c, which is preloaded into the VMM.
 *
 * The guest writes a job into the mailbox and its address to DISTURB_PORT. One job runs at a
 * time, beside the vCPUs, until DISTURB_STOP. With nobody there result stays as it was.
 */
#ifndef TESTS_KVM_DISTURB_H
#define TESTS_KVM_DISTURB_H

#include <stdint.h>

#define DISTURB_PORT 0x5690U
/* Reads and writes of this page, which no memslot holds, are answered: all ones. */
#define DISTURB_MMIO 0xe8000000UL

enum disturb_job {
	DISTURB_STOP, /* end the job; result says whether all was well */
	DISTURB_LOG, /* dirty logging on and off; a copy made with its help equals memory */
	DISTURB_SLOTS, /* another memslot comes and goes */
	DISTURB_FORK, /* the VMM forks: all of memory is copied on the next write */
	DISTURB_SWITCH, /* the per-VM switch off and on */
	DISTURB_COUNTERS, /* fills in counters and now, at once */
	DISTURB_READ, /* a file of this VM in debugfs: file -> text, after a short rest */
	DISTURB_WRITE, /* text -> file, one write */
	DISTURB_LOG_ON, /* dirty logging, and a copy of memory: from now on, until... */
	DISTURB_LOG_OFF, /* ...the copy, brought up to date by the log, has to equal memory */
	DISTURB_SMI, /* an SMI to this vCPU, and memory where SMM looks for it */
	DISTURB_SMI_OVER, /* none there any more */
	DISTURB_JOBS
};

enum disturb_result {
	DISTURB_NOBODY,
	DISTURB_DONE,
	DISTURB_FAILED,
};

/* KVM's counters, in this order. */
#define DISTURB_COUNTER_NAMES                                                                \
	"pvb_calls", "pvb_partial", "pvb_failed", "pvb_entries", "pvb_ptes", "pvb_refused",  \
		"pvb_flushes", "pvb_full_syncs", "pvb_denied", "pvb_limited", "pvb_delayed", \
		"pvb_ns"
#define DISTURB_NR_COUNTERS 12

/* Fills a page: what the VMM writes is in no dirty log. */
struct disturb_mail {
	uint32_t job; /* IN */
	uint32_t result; /* OUT */
	uint64_t rounds; /* OUT, while the job runs: how often it has done it */
	uint64_t counters[DISTURB_NR_COUNTERS]; /* OUT */
	uint64_t now; /* OUT: ns, CLOCK_MONOTONIC */
	char file[32]; /* IN */
	char text[512]; /* IN or OUT */
	int32_t error; /* OUT: errno of the access, 0: it went well */
} __attribute__((aligned(4096)));

#endif /* TESTS_KVM_DISTURB_H */
