/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: protocol - the contract between guest/core (which fills a batch) and
 * hypervisor/engine (which answers it). Every byte that crosses the boundary is
 * defined here and nowhere else; docs/abi.md and pvbatch-abi(7) explain, this
 * header decides.
 *
 * One request in short:
 *
 *   guest   negotiates once per VM, registers one buffer per vCPU
 *   guest   writes struct pvb_batch_hdr and nr entries into its own vCPU's buffer
 *   guest   issues PVB_CALL_SUBMIT: one exit
 *   host    copies the header, then the entries, once; checks the copies; applies
 *           in order; flushes; writes the answers; returns
 *
 * All fields are little-endian and naturally aligned. Fields marked IN are
 * written by the guest and never by the host; OUT the reverse. Reserved fields
 * and bits must be zero: the host refuses anything else, so that they can be
 * given a meaning later (law 8).
 */
#ifndef PVBATCH_ABI_H
#define PVBATCH_ABI_H

#include <pvbatch/types.h>

/* ABI version. Minor growth is by feature bits; the version moves on a break. */
#define PVB_VERSION 1U

#define PVB_PAGE_SHIFT 12
#define PVB_PAGE_SIZE (1UL << PVB_PAGE_SHIFT)
#define PVB_PTES_PER_TABLE 512U

/*
 * Calls.
 *
 * Two doorbells carry the same calls. As a hypercall instruction (VMCALL or
 * VMMCALL): RAX = PVB_HC_BASE + call, RBX = a0, RCX = a1, result in RAX, which
 * is KVM's own convention. As a doorbell to a user-space VMM: a 4-byte IN from
 * I/O port PVB_DOORBELL_PORT + 4 * call, RBX = a0, RCX = a1, result in EAX,
 * sign-extended by the guest. Only CPL 0 may call (law 7): a VMM gets that from
 * IOPL 0 and an empty I/O bitmap.
 *
 * A result below zero is -PVB_E*, with nothing applied by that call.
 */
#define PVB_HC_BASE 0x70766200U /* "pvb\0" */
#define PVB_DOORBELL_PORT 0x5640U
#define PVB_DOORBELL_PORTS 32U /* I/O ports taken from there */

enum pvb_call {
	PVB_CALL_NOP = 0, /* returns 0: round-trip measurement */
	PVB_CALL_NEGOTIATE = 1, /* a0: gpa of struct pvb_negotiate */
	PVB_CALL_REGISTER =
		2, /* a0: gpa of the calling vCPU's buffer, a1: bytes; a1 = 0: unregister */
	PVB_CALL_SUBMIT = 3, /* no arguments: the calling vCPU's registered buffer */
	PVB_CALL_STATS = 4, /* a0: gpa of struct pvb_host_stats, a1: its size in bytes */
	PVB_NR_CALLS
};

/* PVB_CALL_SUBMIT's results besides errors. */
#define PVB_SUBMIT_DONE 0 /* every entry is answered and the flush is over */
#define PVB_SUBMIT_PARTIAL 1 /* call again with start = done, skip = done_ptes */

/* Errors of a call. The values are Linux's errno values, on every guest. */
enum pvb_errno {
	PVB_EPERM = 1, /* the caller is not at CPL 0, or the feature is switched off */
	PVB_ENXIO = 6, /* no buffer is registered for this vCPU */
	PVB_E2BIG = 7, /* nr, start or skip point beyond the registered buffer or the entry */
	PVB_EAGAIN = 11, /* the host cannot now; nothing was applied; try again */
	PVB_ENOMEM = 12, /* the host has no memory for the registration */
	PVB_EFAULT = 14, /* an address is not writable guest memory */
	PVB_EBUSY = 16, /* negotiation after a registration, or a call inside a call */
	PVB_EINVAL = 22, /* a field of the header or of the arguments is wrong */
	PVB_EPROTO = 71, /* guest side only: the host answered without progress (law 5) */
	PVB_EOPNOTSUPP = 95, /* no common version, or nothing to win on this host */
	PVB_ENOSYS = 1000, /* unknown call (KVM's own number for it) */
};

/* Features, negotiated in struct pvb_negotiate. Unknown bits are refused, not guessed (law 8). */
#define PVB_F_HOST_APPLY (1ULL << 0) /* PVB_OP_SET, PVB_OP_COMMIT, PVB_OP_MASK */
#define PVB_F_GUEST_APPLY (1ULL << 1) /* PVB_OP_CHANGED */
#define PVB_F_RESULTS (1ULL << 2) /* PVB_ENT_RESULT */
#define PVB_F_FLUSH (1ULL << 3) /* flush != PVB_FLUSH_NONE */
#define PVB_F_STATS (1ULL << 4) /* PVB_CALL_STATS */
#define PVB_F_ALL (PVB_F_HOST_APPLY | PVB_F_GUEST_APPLY | PVB_F_RESULTS | PVB_F_FLUSH | PVB_F_STATS)
/*
 * A relaxation that the guest consents to, and not among what all guests want: where the
 * host sets D on behalf of the hardware (shadow paging: the first write to a clean page
 * exits for that alone), it may set D of writable, accessed entries that follow in the
 * same table, of no more entries than were written before in one ascending streak. So D
 * may be set on a page that was not written; it is never clear on one that was.
 */
#define PVB_F_DIRTY_AROUND (1ULL << 8)
#define PVB_F_KNOWN (PVB_F_ALL | PVB_F_DIRTY_AROUND)

/* Format of a PTE (struct pvb_negotiate::pte_format). */
enum pvb_pte_format {
	PVB_PTE_X86_64 = 1,
	PVB_PTE_ARM64_4K = 2,
};

#define PVB_NEGOTIATE_MAGIC 0x4e425650U /* "PVBN" */

/*
 * struct pvb_negotiate - the first thing a guest says, once per VM.
 *
 * The guest offers a range of versions and the features it wants; the host picks
 * the highest version both know and grants a subset of the features. Asking for
 * a feature unknown to the host is no error: it is not granted. No common version
 * is -PVB_EOPNOTSUPP. After an answer only granted features may be used.
 */
struct pvb_negotiate {
	uint32_t magic; /* IN: PVB_NEGOTIATE_MAGIC */
	uint16_t size; /* IN: sizeof this struct; may grow in later versions */
	uint16_t pte_format; /* IN: enum pvb_pte_format */
	uint16_t version_min; /* IN: lowest version the guest speaks */
	uint16_t version_max; /* IN: highest version the guest speaks */
	uint32_t reserved0; /* IN: 0 */
	uint64_t features_wanted; /* IN: PVB_F_* */
	uint64_t features; /* OUT: granted PVB_F_* */
	uint32_t version; /* OUT: the version spoken from now on */
	uint32_t max_bytes; /* OUT: largest buffer that PVB_CALL_REGISTER takes */
	uint32_t max_work; /* OUT: PTEs one call processes at most before PVB_SUBMIT_PARTIAL */
	uint32_t reserved1; /* OUT: 0 */
	uint64_t reserved2[2]; /* OUT: 0 */
};

/*
 * The registered buffer: page-aligned, physically contiguous guest memory of
 * PVB_BUFFER_MIN..PVB_BUFFER_MAX bytes, a multiple of PVB_PAGE_SIZE. One per vCPU,
 * used by that vCPU alone. It holds the header, then the entries, then any room
 * the guest sets aside for result bitmaps.
 */
#define PVB_BUFFER_MIN 4096U
#define PVB_BUFFER_MAX 65536U

enum pvb_flush {
	PVB_FLUSH_NONE = 0,
	PVB_FLUSH_RANGE =
		1, /* flush_pages pages from flush_va, in the address space(s) using them */
	PVB_FLUSH_ALL = 2, /* everything, global translations included */
};

/* flush_flags */
#define PVB_FLUSH_LOCAL 0x0001U /* the calling vCPU only; otherwise all vCPUs of the guest */
#define PVB_FLUSH_FLAGS PVB_FLUSH_LOCAL

/*
 * struct pvb_batch_hdr - first 64 bytes of the registered buffer.
 *
 * Entries are processed from index start, and in that first entry from PTE index
 * skip, in order (law 5). A first submission has both 0. A continuation names what
 * the last answer said; the host checks it like any other input, it keeps no state
 * between calls. The flush is done in the call that finishes the batch, after the
 * last update and before the answer (law 4), refused entries or not.
 *
 * nr = 0 with a flush is a plain flush.
 */
struct pvb_batch_hdr {
	uint16_t version; /* IN: the negotiated version */
	uint8_t reserved0; /* IN: 0 */
	uint8_t flush; /* IN: enum pvb_flush */
	uint16_t flush_flags; /* IN: PVB_FLUSH_LOCAL or 0; 0 without a flush */
	uint16_t reserved1; /* IN: 0 */
	uint32_t nr; /* IN: entries in the buffer */
	uint32_t start; /* IN: first entry to process, <= nr */
	uint32_t skip; /* IN: PTEs of entry start already done, < its nr */
	uint32_t flush_pages; /* IN: PVB_FLUSH_RANGE: 4 KiB pages, >= 1; else 0 */
	uint64_t flush_va; /* IN: PVB_FLUSH_RANGE: page-aligned guest-virtual; else 0 */
	int32_t status; /* OUT: the call's result, as in the result register */
	uint32_t done; /* OUT: entries answered, counted from entry 0 */
	uint32_t done_ptes; /* OUT: PTEs of entry done already processed (PARTIAL) */
	uint32_t applied; /* OUT: PTEs written (or synchronised) by this call */
	uint32_t carried; /* OUT: of these, PTEs whose hardware-set A or D was carried */
	uint32_t conflicts; /* OUT: entries that stopped at a conflict in this call */
	uint32_t refused; /* OUT: entries refused in this call for any other reason */
	uint32_t reserved2; /* OUT: 0 */
};

/*
 * Operations. Each covers a run of nr PTEs of one leaf page table, the first at
 * pte_gpa. For i in [0, nr) the templates advance by i pages in the PFN field and
 * by nothing else (law 2), unless PVB_ENT_FIXED says not to.
 */
enum pvb_op {
	/*
	 * Store new, whatever was there. With PVB_ENT_RESULT the A and D bits of
	 * the entry that was replaced are reported, so that even this loses none.
	 */
	PVB_OP_SET = 1,
	/*
	 * Commit a transaction: old is what start returned (for a run: the union of
	 * the run's A and D bits), new is what to store. The A/D law (law 1, merge.h)
	 * decides. new must have room for A and D wherever old is present: to replace
	 * a present entry by a swap entry use PVB_OP_MASK with old = ~0 first.
	 */
	PVB_OP_COMMIT = 2,
	/*
	 * Read-modify-write of each PTE as it stands: clear the bits in old, then set
	 * the bits in new. PFN bits may be cleared only with old = ~0 (get-and-clear,
	 * new = 0) and never set. Present entries only; another stops the run with
	 * PVB_ST_NOTPRESENT. The templates do not advance.
	 */
	PVB_OP_MASK = 3,
	/*
	 * The guest has changed these entries itself (law 1 kept by its own
	 * compare-and-exchange); the host brings its translations up to date. old and
	 * new are zero, or with PVB_ENT_HINT the templates before and after, which the
	 * host may use to save work but never trusts.
	 */
	PVB_OP_CHANGED = 4,
};

/* Entry flags */
#define PVB_ENT_RESULT 0x01U /* SET, COMMIT, MASK: report A and D at the exchange at result */
#define PVB_ENT_FIXED 0x02U /* SET only: new does not advance (clearing a run, the zero page) */
#define PVB_ENT_HINT 0x04U /* CHANGED only: old and new are templates */
/*
 * COMMIT only: software bits in which cur may differ from old; the stored result
 * keeps cur's. Which bits these are depends on the PTE format (pvb_pte_soft_mask()).
 */
#define PVB_ENT_SOFT0 0x10U /* x86-64: bit 9 */
#define PVB_ENT_SOFT1 0x20U /* x86-64: bit 10 */
#define PVB_ENT_SOFT2 0x40U /* x86-64: bit 11 */
#define PVB_ENT_SOFT3 0x80U /* x86-64: bit 58 */
#define PVB_ENT_SOFT (PVB_ENT_SOFT0 | PVB_ENT_SOFT1 | PVB_ENT_SOFT2 | PVB_ENT_SOFT3)
#define PVB_ENT_FLAGS (PVB_ENT_RESULT | PVB_ENT_FIXED | PVB_ENT_HINT | PVB_ENT_SOFT)

/*
 * What happened to an entry. Everything but PVB_ST_OK and PVB_ST_PENDING stopped
 * the entry at PTE index done: PTEs before it are applied, it and those after it
 * are untouched. The batch goes on with the next entry.
 */
enum pvb_status {
	PVB_ST_PENDING = 0, /* not processed yet */
	PVB_ST_OK = 1, /* all nr PTEs applied */
	PVB_ST_CONFLICT = 2, /* cur differs from old in more than A, D and the soft bits */
	PVB_ST_NOTPRESENT = 3, /* MASK: the PTE is not present */
	PVB_ST_BAD_OP = 4, /* unknown, or its feature is not granted */
	PVB_ST_BAD_FLAGS = 5, /* unknown flag, or one that this op does not take */
	PVB_ST_BAD_NR = 6, /* nr is 0 or above 512 */
	PVB_ST_UNALIGNED = 7, /* pte_gpa is not a multiple of 8 */
	PVB_ST_CROSSES = 8, /* the run leaves its page table */
	PVB_ST_BAD_GPA = 9, /* pte_gpa is no writable guest memory (hole, ROM, MMIO) */
	PVB_ST_DENIED = 10, /* pte_gpa is memory that a batch may not write: a registered buffer */
	PVB_ST_BAD_PTE = 11, /* reserved bits in old or new, or fields that must be zero are not */
	PVB_ST_BAD_PFN = 12, /* a PFN of the run is wider than the guest's physical address */
	PVB_ST_BAD_RESULT =
		13, /* the result bitmaps do not fit into the buffer, or overlap entries */
	PVB_ST_RETRY = 14, /* the host could not reach the table now; submit the entry again */
	PVB_NR_STATUS
};

/* answer: status in bits 15..10, PTEs done (0..512) in bits 9..0 */
#define PVB_ANSWER_DONE_MASK 0x03ffU
#define PVB_ANSWER_STATUS_SHIFT 10

/*
 * struct pvb_entry - one operation over one run, 32 bytes.
 *
 * result is the offset in units of 8 bytes from the start of the registered
 * buffer of two bitmaps of DIV_ROUND_UP(nr, 64) 64-bit words each: first "was
 * young", then "was dirty", bit i for PTE i. They lie beyond the header and the nr
 * entries of the batch, inside the buffer. The host writes whole words; bits of
 * PTEs that were not reached are 0. A continuation ORs into what is there.
 */
struct pvb_entry {
	uint64_t pte_gpa; /* IN: guest-physical address of the first PTE */
	uint64_t old; /* IN: COMMIT: expected; MASK: bits to clear; CHANGED: hint or 0; SET: 0 */
	uint64_t new; /* IN: SET, COMMIT: to store; MASK: bits to set; CHANGED: hint or 0 */
	uint16_t nr; /* IN: PTEs in the run, 1..512 */
	uint8_t op; /* IN: enum pvb_op */
	uint8_t flags; /* IN: PVB_ENT_* */
	uint16_t result; /* IN: with PVB_ENT_RESULT; else 0 */
	uint16_t answer; /* OUT: PVB_ANSWER; the guest writes 0 before it submits */
};

#define PVB_HIST_BUCKETS 12 /* bucket b counts sizes in [2^b, 2^(b+1)), the last all above */

/*
 * struct pvb_host_stats - the host's counters for one VM since its start.
 *
 * They add up (law 9): batches + partial + failed = calls;
 * ptes = applied + what conflicts and refusals left; the histogram sums to batches.
 */
struct pvb_host_stats {
	uint64_t calls; /* PVB_CALL_SUBMIT calls */
	uint64_t batches; /* of these, batches finished */
	uint64_t partial; /* of these, answered PVB_SUBMIT_PARTIAL */
	uint64_t failed; /* of these, answered below zero */
	uint64_t entries; /* entries answered */
	uint64_t applied; /* PTEs written or synchronised */
	uint64_t carried_a; /* PTEs whose hardware-set A survived a commit */
	uint64_t carried_d; /* PTEs whose hardware-set D survived a commit */
	uint64_t conflicts; /* entries that ended in PVB_ST_CONFLICT */
	uint64_t refused; /* entries that ended in any other status but OK */
	uint64_t flush_range; /* flushes done, by kind */
	uint64_t flush_all;
	uint64_t hist[PVB_HIST_BUCKETS]; /* finished batches by entries */
};

#ifdef __cplusplus
#define PVB_ASSERT(c) static_assert(c, #c)
#else
#define PVB_ASSERT(c) _Static_assert(c, #c)
#endif
#define PVB_ASSERT_AT(type, field, at) PVB_ASSERT(offsetof(struct type, field) == (at))

PVB_ASSERT(sizeof(struct pvb_negotiate) == 64);
PVB_ASSERT_AT(pvb_negotiate, magic, 0);
PVB_ASSERT_AT(pvb_negotiate, size, 4);
PVB_ASSERT_AT(pvb_negotiate, pte_format, 6);
PVB_ASSERT_AT(pvb_negotiate, version_min, 8);
PVB_ASSERT_AT(pvb_negotiate, version_max, 10);
PVB_ASSERT_AT(pvb_negotiate, reserved0, 12);
PVB_ASSERT_AT(pvb_negotiate, features_wanted, 16);
PVB_ASSERT_AT(pvb_negotiate, features, 24);
PVB_ASSERT_AT(pvb_negotiate, version, 32);
PVB_ASSERT_AT(pvb_negotiate, max_bytes, 36);
PVB_ASSERT_AT(pvb_negotiate, max_work, 40);
PVB_ASSERT_AT(pvb_negotiate, reserved1, 44);
PVB_ASSERT_AT(pvb_negotiate, reserved2, 48);

PVB_ASSERT(sizeof(struct pvb_batch_hdr) == 64);
PVB_ASSERT_AT(pvb_batch_hdr, version, 0);
PVB_ASSERT_AT(pvb_batch_hdr, flush, 3);
PVB_ASSERT_AT(pvb_batch_hdr, flush_flags, 4);
PVB_ASSERT_AT(pvb_batch_hdr, nr, 8);
PVB_ASSERT_AT(pvb_batch_hdr, start, 12);
PVB_ASSERT_AT(pvb_batch_hdr, skip, 16);
PVB_ASSERT_AT(pvb_batch_hdr, flush_pages, 20);
PVB_ASSERT_AT(pvb_batch_hdr, flush_va, 24);
PVB_ASSERT_AT(pvb_batch_hdr, status, 32);
PVB_ASSERT_AT(pvb_batch_hdr, done, 36);
PVB_ASSERT_AT(pvb_batch_hdr, done_ptes, 40);
PVB_ASSERT_AT(pvb_batch_hdr, applied, 44);
PVB_ASSERT_AT(pvb_batch_hdr, carried, 48);
PVB_ASSERT_AT(pvb_batch_hdr, conflicts, 52);
PVB_ASSERT_AT(pvb_batch_hdr, refused, 56);
PVB_ASSERT_AT(pvb_batch_hdr, reserved2, 60);

PVB_ASSERT(sizeof(struct pvb_entry) == 32);
PVB_ASSERT_AT(pvb_entry, pte_gpa, 0);
PVB_ASSERT_AT(pvb_entry, old, 8);
PVB_ASSERT_AT(pvb_entry, new, 16);
PVB_ASSERT_AT(pvb_entry, nr, 24);
PVB_ASSERT_AT(pvb_entry, op, 26);
PVB_ASSERT_AT(pvb_entry, flags, 27);
PVB_ASSERT_AT(pvb_entry, result, 28);
PVB_ASSERT_AT(pvb_entry, answer, 30);

PVB_ASSERT(sizeof(struct pvb_host_stats) == 192);
PVB_ASSERT_AT(pvb_host_stats, hist, 96);

#define PVB_MAX_ENTRIES(bytes) \
	(((bytes) - (uint32_t)sizeof(struct pvb_batch_hdr)) / (uint32_t)sizeof(struct pvb_entry))

/* pvb_answer() - the answer field for @status after @done PTEs (0..512). */
static inline uint16_t pvb_answer(enum pvb_status status, uint32_t done)
{
	return (uint16_t)(((uint32_t)status << PVB_ANSWER_STATUS_SHIFT) |
			  (done & PVB_ANSWER_DONE_MASK));
}

static inline enum pvb_status pvb_answer_status(uint16_t answer)
{
	return (enum pvb_status)(answer >> PVB_ANSWER_STATUS_SHIFT);
}

static inline uint32_t pvb_answer_done(uint16_t answer)
{
	return answer & PVB_ANSWER_DONE_MASK;
}

/* pvb_hist_bucket() - histogram bucket of @size >= 1; 0 counts with 1. */
static inline unsigned int pvb_hist_bucket(uint32_t size)
{
	unsigned int bucket = 0;

	while (size > 1 && bucket < PVB_HIST_BUCKETS - 1) {
		size >>= 1;
		bucket++;
	}
	return bucket;
}

#endif /* PVBATCH_ABI_H */
