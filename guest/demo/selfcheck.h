/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - selfcheck: the host's promises, asked for one by one from inside a
 * guest. Each part is a file; selfcheck.c runs them in order.
 */
#ifndef DEMO_SELFCHECK_H
#define DEMO_SELFCHECK_H

#include <pvbatch/guest.h>

/* check() - count a check, and say it if it does not hold. Any CPU. Returns @holds. */
bool check(bool holds, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

extern struct check_totals {
	uint32_t checks;
	uint32_t failed;
} check_totals;

/* The calling CPU's part of the workload area: one page table, and its first page. */
uint32_t check_page(void);
uint64_t *check_ptes(void);
/* check_pte() - what entry @i of it was in the beginning. */
uint64_t check_pte(uint32_t i);
/* check_reset() - all of its entries are that again, and no TLB knows better. */
void check_reset(void);

/* Every way to negotiate and register; leaves the host negotiated for all it has. CPU 0. */
void check_negotiation(void);

/*
 * check_registered() - give the calling CPU its buffer; check_unregistered() - take it.
 * Between the two, batches are written by hand.
 */
void check_registered(void);
void check_unregistered(void);

/* raw_submit() - PVB_CALL_SUBMIT; counts it, and compares result and status field. */
int64_t raw_submit(struct pvb_batch_hdr *hdr);
struct raw_totals {
	uint64_t calls;
	uint64_t failed; /* of these, answered below zero */
	uint64_t partial;
	uint64_t applied; /* PTEs, by the headers' answers */
	uint64_t conflicts;
	uint64_t refused;
};
extern struct raw_totals raw_totals;

/* Wrong headers; wrong and right entries; long batches. Any CPU, registered. */
void check_headers(void);
void check_entries(void);
void check_operations(void);
void check_partial(void);

/* raw_header() - an empty batch in the calling CPU's buffer; raw_entries() - its entries. */
struct pvb_batch_hdr *raw_header(void);
struct pvb_entry *raw_entries(void);

/* The doorbells at CPL 3 are refused. Any CPU, registered; set up once. */
void check_user_setup(void);
void check_user(void);
/* Round trip of an empty call, reported as a record. CPU 0. */
void check_nop(void);
/* The host's counters against raw_totals. CPU 0, the others quiet. */
void check_host_stats(void);
/* guest/core in the mode that is started: interrupts, counters of both sides. CPU 0. */
void check_library(void);

#endif /* DEMO_SELFCHECK_H */
