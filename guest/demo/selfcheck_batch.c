// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - selfcheck: every field of a batch wrong in turn. The reason is named,
 * the other entries are not affected, and what is refused is left as it was.
 */
#include "cpu.h"
#include "lib.h"
#include "host.h"
#include "mm.h"
#include "options.h"
#include "selfcheck.h"

struct raw_totals raw_totals;

static void add(uint64_t *total, uint64_t n)
{
	__atomic_fetch_add(total, n, __ATOMIC_RELAXED);
}

struct pvb_batch_hdr *raw_header(void)
{
	struct pvb_batch_hdr *hdr = this_cpu()->buffer;

	*hdr = (struct pvb_batch_hdr){ .version = PVB_VERSION };
	return hdr;
}

struct pvb_entry *raw_entries(void)
{
	return (struct pvb_entry *)((struct pvb_batch_hdr *)this_cpu()->buffer + 1);
}

int64_t raw_submit(struct pvb_batch_hdr *hdr)
{
	int64_t result;

	hdr->status = 12345;
	result = host_call(PVB_CALL_SUBMIT, 0, 0);
	check(hdr->status == result, "submit's result is %ld, its status field %d", result,
	      hdr->status);
	add(&raw_totals.calls, 1);
	add(result < 0 ? &raw_totals.failed : &raw_totals.partial,
	    result < 0 || result == PVB_SUBMIT_PARTIAL);
	add(&raw_totals.applied, hdr->applied);
	add(&raw_totals.conflicts, hdr->conflicts);
	add(&raw_totals.refused, hdr->refused);
	return result;
}

/* A good commit of entry @slot: to read-only. */
static struct pvb_entry good(uint32_t slot)
{
	return (struct pvb_entry){
		.pte_gpa = (uint64_t)&check_ptes()[slot],
		.old = check_pte(slot),
		.new = check_pte(slot) & ~PVB_PTE_W,
		.nr = 1,
		.op = PVB_OP_COMMIT,
	};
}

struct header_case {
	const char *name;
	struct pvb_batch_hdr hdr;
	int64_t expected;
};

#define HDR(...)                                             \
	{                                                    \
		.version = PVB_VERSION, .nr = 1, __VA_ARGS__ \
	}

static const struct header_case header_cases[] = {
	{ "version 0", { .nr = 1 }, -PVB_EINVAL },
	{ "a newer version", { .version = PVB_VERSION + 1, .nr = 1 }, -PVB_EINVAL },
	{ "reserved0", HDR(.reserved0 = 1), -PVB_EINVAL },
	{ "reserved1", HDR(.reserved1 = 0x8000), -PVB_EINVAL },
	{ "unknown flush", HDR(.flush = PVB_FLUSH_ALL + 1), -PVB_EINVAL },
	{ "unknown flush flag", HDR(.flush = PVB_FLUSH_ALL, .flush_flags = 2), -PVB_EINVAL },
	{ "flush flag, no flush", HDR(.flush_flags = PVB_FLUSH_LOCAL), -PVB_EINVAL },
	{ "flush pages, no flush", HDR(.flush_pages = 1), -PVB_EINVAL },
	{ "flush address, no flush", HDR(.flush_va = PVB_PAGE_SIZE), -PVB_EINVAL },
	{ "flush all, pages", HDR(.flush = PVB_FLUSH_ALL, .flush_pages = 1), -PVB_EINVAL },
	{ "flush of no page", HDR(.flush = PVB_FLUSH_RANGE), -PVB_EINVAL },
	{ "flush of half a page",
	  HDR(.flush = PVB_FLUSH_RANGE, .flush_pages = 1, .flush_va = 0x800), -PVB_EINVAL },
	{ "flush over the end",
	  HDR(.flush = PVB_FLUSH_RANGE, .flush_pages = 2, .flush_va = -PVB_PAGE_SIZE),
	  -PVB_EINVAL },
	{ "more entries than the buffer holds",
	  { .version = PVB_VERSION, .nr = PVB_MAX_ENTRIES(HOST_BUFFER_BYTES) + 1 },
	  -PVB_E2BIG },
	{ "4 Gi entries", { .version = PVB_VERSION, .nr = ~0U }, -PVB_E2BIG },
	{ "start behind the end", HDR(.start = 2), -PVB_E2BIG },
	{ "skip at the end", HDR(.start = 1, .skip = 1), -PVB_E2BIG },
	{ "skip behind the entry", HDR(.skip = 1), -PVB_E2BIG },
	{ "skip behind any entry", HDR(.skip = PVB_PTES_PER_TABLE), -PVB_E2BIG },
};

void check_headers(void)
{
	struct pvb_batch_hdr *hdr;
	int64_t result;

	check_reset();
	for (size_t i = 0; i < ARRAY_SIZE(header_cases); i++) {
		const struct header_case *c = &header_cases[i];

		hdr = raw_header();
		*hdr = c->hdr;
		raw_entries()[0] = good(0);
		result = raw_submit(hdr);
		check(result == c->expected, "header, %s: result %ld, expected %ld", c->name,
		      result, c->expected);
		check(check_ptes()[0] == check_pte(0), "header, %s: the entry was applied",
		      c->name);
	}
	/* Nothing but a flush is a batch, too. */
	hdr = raw_header();
	hdr->flush = PVB_FLUSH_ALL;
	result = raw_submit(hdr);
	check(result == PVB_SUBMIT_DONE, "plain flush: result %ld", result);
	hdr = raw_header();
	result = raw_submit(hdr);
	check(result == PVB_SUBMIT_DONE, "empty batch: result %ld", result);
}

/* Where a case's entry points to. */
enum place {
	AT_SLOT, /* entry 8 of the CPU's table, writable, neither young nor dirty */
	AT_SLOT_UNALIGNED,
	AT_LAST_SLOT,
	AT_ABSENT_SLOT, /* entry 9, made not present */
	AT_RAM_END,
	AT_MMIO, /* the local APIC's */
	AT_FAR,
	AT_OWN_BUFFER,
	AT_OTHER_BUFFER,
};

enum {
	SLOT = 8,
	ABSENT = 9,
	LAST = PVB_PTES_PER_TABLE - 1
};

/*
 * A case is an entry, of which pte_gpa is filled in by place. A commit's old and new are
 * what differs from the entry as it stands.
 */
struct entry_case {
	const char *name;
	enum pvb_status expected;
	enum place place;
	struct pvb_entry entry;
};

#define ENTRY(...)                   \
	{                            \
		.nr = 1, __VA_ARGS__ \
	}
#define COMMIT(...)                                                \
	{                                                          \
		.op = PVB_OP_COMMIT, .new = PVB_PTE_W, __VA_ARGS__ \
	}
#define FLAGGED(o, f)                            \
	{                                        \
		.nr = 1, .op = (o), .flags = (f) \
	}
#define RESULT(at)                                                                  \
	{                                                                           \
		.nr = 1, .op = PVB_OP_MASK, .flags = PVB_ENT_RESULT, .result = (at) \
	}

#define LAST_WORD (HOST_BUFFER_BYTES / 8 - 1) /* there is room for one word, two are needed */

static const struct entry_case entry_cases[] = {
	{ "op 0", PVB_ST_BAD_OP, AT_SLOT, ENTRY(.op = 0) },
	{ "op 5", PVB_ST_BAD_OP, AT_SLOT, ENTRY(.op = 5) },
	{ "op 255", PVB_ST_BAD_OP, AT_SLOT, ENTRY(.op = 255) },
	{ "unknown flag", PVB_ST_BAD_FLAGS, AT_SLOT, FLAGGED(PVB_OP_COMMIT, 0x08) },
	{ "commit, fixed", PVB_ST_BAD_FLAGS, AT_SLOT, FLAGGED(PVB_OP_COMMIT, PVB_ENT_FIXED) },
	{ "commit, hint", PVB_ST_BAD_FLAGS, AT_SLOT, FLAGGED(PVB_OP_COMMIT, PVB_ENT_HINT) },
	{ "set, hint", PVB_ST_BAD_FLAGS, AT_SLOT, FLAGGED(PVB_OP_SET, PVB_ENT_HINT) },
	{ "set, soft", PVB_ST_BAD_FLAGS, AT_SLOT, FLAGGED(PVB_OP_SET, PVB_ENT_SOFT0) },
	{ "mask, fixed", PVB_ST_BAD_FLAGS, AT_SLOT, FLAGGED(PVB_OP_MASK, PVB_ENT_FIXED) },
	{ "changed, result", PVB_ST_BAD_FLAGS, AT_SLOT, FLAGGED(PVB_OP_CHANGED, PVB_ENT_RESULT) },
	{ "no PTE", PVB_ST_BAD_NR, AT_SLOT, COMMIT(.nr = 0) },
	{ "513 PTEs", PVB_ST_BAD_NR, AT_SLOT, COMMIT(.nr = 513) },
	{ "65535 PTEs", PVB_ST_BAD_NR, AT_SLOT, COMMIT(.nr = 65535) },
	{ "not aligned", PVB_ST_UNALIGNED, AT_SLOT_UNALIGNED, COMMIT(.nr = 1) },
	{ "over the table's end", PVB_ST_CROSSES, AT_LAST_SLOT, COMMIT(.nr = 2) },
	{ "512 from the middle", PVB_ST_CROSSES, AT_SLOT, COMMIT(.nr = 512) },
	{ "at the end of RAM", PVB_ST_BAD_GPA, AT_RAM_END, ENTRY(.op = PVB_OP_SET) },
	{ "in the APIC's page", PVB_ST_BAD_GPA, AT_MMIO, ENTRY(.op = PVB_OP_SET) },
	{ "beyond any address", PVB_ST_BAD_GPA, AT_FAR, ENTRY(.op = PVB_OP_SET) },
	{ "in its own buffer", PVB_ST_DENIED, AT_OWN_BUFFER, ENTRY(.op = PVB_OP_SET) },
	{ "in CPU 0's buffer", PVB_ST_DENIED, AT_OTHER_BUFFER, ENTRY(.op = PVB_OP_SET) },
	{ "set, old", PVB_ST_BAD_PTE, AT_SLOT, ENTRY(.op = PVB_OP_SET, .old = 1) },
	{ "mask, clears PFN", PVB_ST_BAD_PTE, AT_SLOT, ENTRY(.op = PVB_OP_MASK, .old = 0x1000) },
	{ "mask, sets PFN", PVB_ST_BAD_PTE, AT_SLOT, ENTRY(.op = PVB_OP_MASK, .new = 0x1000) },
	{ "get-and-clear, sets", PVB_ST_BAD_PTE, AT_SLOT,
	  ENTRY(.op = PVB_OP_MASK, .old = ~0ULL, .new = 1) },
	{ "changed, old", PVB_ST_BAD_PTE, AT_SLOT, ENTRY(.op = PVB_OP_CHANGED, .old = 1) },
	{ "changed, new", PVB_ST_BAD_PTE, AT_SLOT, ENTRY(.op = PVB_OP_CHANGED, .new = 1) },
	{ "result in the header", PVB_ST_BAD_RESULT, AT_SLOT, RESULT(1) },
	{ "result in an entry", PVB_ST_BAD_RESULT, AT_SLOT, RESULT(12) },
	{ "result over the end", PVB_ST_BAD_RESULT, AT_SLOT, RESULT(LAST_WORD) },
	{ "result beyond the end", PVB_ST_BAD_RESULT, AT_SLOT, RESULT(0xffff) },
	{ "result, no flag", PVB_ST_BAD_RESULT, AT_SLOT, ENTRY(.op = PVB_OP_MASK, .result = 99) },
	{ "conflict in W", PVB_ST_CONFLICT, AT_SLOT, COMMIT(.nr = 1, .old = PVB_PTE_W) },
	{ "conflict in the PFN", PVB_ST_CONFLICT, AT_SLOT, COMMIT(.nr = 1, .old = 0x1000) },
	{ "conflict in a soft bit", PVB_ST_CONFLICT, AT_SLOT,
	  COMMIT(.nr = 1, .old = PVB_PTE_SOFT0) },
	{ "conflict in another soft bit", PVB_ST_CONFLICT, AT_SLOT,
	  COMMIT(.nr = 1, .old = PVB_PTE_SOFT0, .flags = PVB_ENT_SOFT1) },
	{ "mask, not present", PVB_ST_NOTPRESENT, AT_ABSENT_SLOT,
	  ENTRY(.op = PVB_OP_MASK, .old = PVB_PTE_A) },
};

static uint64_t gpa_of_place(enum place place)
{
	switch (place) {
	case AT_SLOT_UNALIGNED:
		return (uint64_t)&check_ptes()[SLOT] + 4;
	case AT_LAST_SLOT:
		return (uint64_t)&check_ptes()[LAST];
	case AT_ABSENT_SLOT:
		return (uint64_t)&check_ptes()[ABSENT];
	case AT_RAM_END:
		return mm_ram_bytes();
	case AT_MMIO:
		return 0xfee00000;
	case AT_FAR:
		return 1ULL << 62;
	case AT_OWN_BUFFER:
		return (uint64_t)this_cpu()->buffer + HOST_BUFFER_BYTES - 8;
	case AT_OTHER_BUFFER:
		return (uint64_t)cpus[0].buffer;
	default:
		return (uint64_t)&check_ptes()[SLOT];
	}
}

/* Submit @bad between two good entries; it is to end with @expected after @done PTEs. */
static void check_entry(const char *name, const struct pvb_entry *bad, enum pvb_status expected,
			uint32_t done)
{
	struct pvb_batch_hdr *hdr = raw_header();
	struct pvb_entry *entries = raw_entries();
	uint64_t *ptes = check_ptes();
	bool conflict = expected == PVB_ST_CONFLICT;
	int64_t result;

	ptes[0] = check_pte(0);
	ptes[1] = check_pte(1);
	entries[0] = good(0);
	entries[1] = *bad;
	entries[2] = good(1);
	hdr->nr = 3;
	result = raw_submit(hdr);
	check(result == PVB_SUBMIT_DONE && hdr->done == 3, "%s: result %ld, done %u", name, result,
	      hdr->done);
	check(entries[1].answer == pvb_answer(expected, done),
	      "%s: status %u after %u PTEs, expected %u after %u", name,
	      (uint32_t)pvb_answer_status(entries[1].answer), pvb_answer_done(entries[1].answer),
	      (uint32_t)expected, done);
	check(hdr->applied == 2 + done && hdr->conflicts == conflict && hdr->refused == !conflict,
	      "%s: applied %u, conflicts %u, refused %u", name, hdr->applied, hdr->conflicts,
	      hdr->refused);
	check(entries[0].answer == pvb_answer(PVB_ST_OK, 1) &&
		      entries[2].answer == pvb_answer(PVB_ST_OK, 1) && !(ptes[0] & PVB_PTE_W) &&
		      !(ptes[1] & PVB_PTE_W),
	      "%s: an entry beside it suffered", name);
}

/* A PFN that this CPU's physical addresses have no room for; Intel and AMD agree on the leaf. */
static void check_wide_pfn(void)
{
	struct pvb_entry entry = { .nr = 1, .op = PVB_OP_SET };
	uint32_t regs[4];

	cpuid(0x80000008, regs);
	if ((regs[0] & 0xff) >= 52)
		return;
	entry.pte_gpa = gpa_of_place(AT_SLOT);
	entry.new = 1ULL << (regs[0] & 0xff) | PVB_PTE_P;
	check_entry("a PFN that is too wide", &entry, PVB_ST_BAD_PFN, 0);
	/* Of two pages, the first is the last that fits. */
	entry.nr = 2;
	entry.new = ((1ULL << (regs[0] & 0xff)) - PVB_PAGE_SIZE) | PVB_PTE_P;
	check_entry("a run that ends in a PFN too wide", &entry, PVB_ST_BAD_PFN, 0);
}

void check_entries(void)
{
	uint64_t *ptes = check_ptes();
	struct pvb_entry entry;

	check_reset();
	ptes[ABSENT] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(entry_cases); i++) {
		const struct entry_case *c = &entry_cases[i];

		entry = c->entry;
		entry.pte_gpa = gpa_of_place(c->place);
		if (entry.op == PVB_OP_COMMIT) {
			entry.old ^= ptes[SLOT];
			entry.new ^= ptes[SLOT];
		}
		check_entry(c->name, &entry, c->expected, 0);
		check(ptes[SLOT] == check_pte(SLOT) && ptes[LAST] == check_pte(LAST) &&
			      !ptes[ABSENT],
		      "%s: the entry was written to", c->name);
	}
	check_wide_pfn();

	/* A conflict in the middle of a run: what is before it is applied, the rest is not. */
	entry = good(SLOT + 4);
	entry.nr = 8;
	ptes[SLOT + 4 + 5] |= PVB_PTE_SOFT2;
	check_entry("conflict within a run", &entry, PVB_ST_CONFLICT, 5);
	for (uint32_t i = 0; i < 8; i++)
		check(!(ptes[SLOT + 4 + i] & PVB_PTE_W) == (i < 5),
		      "conflict within a run: PTE %u is 0x%lx", i, ptes[SLOT + 4 + i]);
}
