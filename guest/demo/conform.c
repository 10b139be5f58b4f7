// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - conformance of Xen's ABI: thousands of generated calls of mmu_update
 * and multicall, the same on a real Xen and on our VMM. Each prints one line: what was
 * asked, what came back, and what is in the page table afterwards. tests/xen/conformance
 * compares the two outputs case by case.
 *
 * What is printed is relative, as machine frames differ: a frame of the workload area is
 * its number there. U, G and bit 52 of an entry are Xen's to change (docs/xen.md), and not
 * looked at.
 */
#include "conform.h"
#include "console.h"
#include "cpu.h"
#include "lib.h"
#include "mm.h"
#include "options.h"
#include "platform.h"
#include "smp.h"
#include "workload.h"

#define CASES_PER_ROUND 400U
#define MAX_REQUESTS 512U
/* Page 500 of the area ends with requests, and page 501 is never there. */
#define EDGE_PAGE 500U
#define CASE_PTES 480U /* entries that cases change */
#define XEN_BITS (PVB_PTE_U | PVB_PTE_G | 1ULL << 52)

/* What a request is about; the first that stops a call is named in the output. */
enum kind {
	KIND_L1, /* an entry of the table */
	KIND_PLAIN, /* a word of a page that is no table */
	KIND_L2, /* the entry above the table, with what it holds */
	KIND_M2P, /* MMU_MACHPHYS_UPDATE */
	KIND_BEYOND, /* memory that is not there */
	KIND_COMMAND, /* a command that does not exist */
	KIND_FRAME, /* a frame that is not there */
	KIND_TABLE, /* the page table itself, writable: only Xen minds */
};

static const char *const kind_names[] = {
	"l1", "plain", "l2", "m2p", "beyond", "command", "frame", "table",
};

static struct mmu_update requests[MAX_REQUESTS] __attribute__((aligned(4096)));
static uint8_t kinds[MAX_REQUESTS];
static uint64_t seed;
static uint64_t *plain; /* the page that is no table */
static uint64_t first_frame;

static uint32_t below(uint32_t n)
{
	/* Knuth's LCG; the upper bits are the good ones. */
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((seed >> 33) % n);
}

static uint64_t machine_of(const volatile void *ptr)
{
	return pvb_gpa_raw(platform_gpa(ptr));
}

static const volatile uint64_t *pte(uint32_t i)
{
	return mm_work_ptes() + i;
}

static uint64_t frame_pte(uint32_t page)
{
	return pvb_pte_advance(mm_work_pte(0) & PVB_PTE_PFN_MASK, page);
}

/* Put the table into a state that the cases share, by calls that cannot fail. */
static void prepare(void)
{
	static struct mmu_update reset[CASE_PTES];

	for (uint32_t i = 0; i < CASE_PTES; i++) {
		uint64_t flags = PVB_PTE_P | PVB_PTE_NX;

		flags |= i % 3 ? PVB_PTE_W : 0;
		flags |= i / 3 % 2 ? PVB_PTE_A : 0;
		flags |= i / 6 % 2 && i % 3 ? PVB_PTE_AD : 0;
		flags |= i / 12 % 2 ? PVB_PTE_SOFT0 : 0;
		reset[i].ptr = machine_of(pte(i)) | MMU_NORMAL_PT_UPDATE;
		reset[i].val = i % 8 == 7 ? 0 : frame_pte(i) | flags;
	}
	if (xen_abi_call(__HYPERVISOR_mmu_update, (uint64_t)reset, CASE_PTES, 0, DOMID_SELF))
		demo_die(EXIT_CHECK_FAILED, "conform: the table cannot be prepared\n");
	plain[0] = 0;
	smp_flush(PVB_FLUSH_ALL, 0, pvb_gva(0), 0);
}

/* Hardware sets A and D in some of the entries. */
static void touch(uint32_t nr)
{
	for (; nr; nr--) {
		uint32_t i = below(CASE_PTES);
		uint64_t entry = *pte(i);
		volatile uint64_t *word = (volatile uint64_t *)mm_work_va(i);

		if (!(entry & PVB_PTE_P) || (entry & PVB_PTE_PFN_MASK) != frame_pte(i))
			continue;
		if (entry & PVB_PTE_W && below(2))
			*word = i;
		else
			(void)*word;
	}
}

static uint64_t random_val(uint32_t i)
{
	uint64_t val = frame_pte(below(8) ? i : below(CASE_PTES));

	if (!below(6))
		return below(2) ? 0 : PVB_PTE_AD | PVB_PTE_SOFT1; /* not present */
	val |= PVB_PTE_P;
	val |= below(2) ? PVB_PTE_W : 0;
	val |= below(2) ? PVB_PTE_A : 0;
	val |= below(2) ? PVB_PTE_D : 0;
	val |= below(2) ? PVB_PTE_NX : 0;
	val |= below(4) ? 0 : PVB_PTE_SOFT0;
	val |= below(4) ? 0 : PVB_PTE_SOFT1;
	return val;
}

/* @odd: one in so many is something else than an entry of the table. */
static void make_request(uint32_t n, uint32_t odd)
{
	uint32_t i = below(4) ? n % CASE_PTES : below(CASE_PTES);
	struct mmu_update *request = &requests[n];
	uint32_t command = below(10);

	kinds[n] = below(odd) ? KIND_L1 : (uint8_t)(KIND_PLAIN + below(KIND_TABLE));
	request->ptr = machine_of(pte(i));
	request->val = random_val(i);
	switch (kinds[n]) {
	case KIND_PLAIN:
		request->ptr = machine_of(plain);
		command = 0;
		break;
	case KIND_L2:
		request->ptr = machine_of(mm_work_parent());
		request->val = *mm_work_parent();
		break;
	case KIND_M2P:
		request->ptr = machine_of(plain) | MMU_MACHPHYS_UPDATE;
		request->val = (uint64_t)plain >> PVB_PAGE_SHIFT;
		return;
	case KIND_BEYOND:
		request->ptr = 1ULL << 44 | (request->ptr & 0xff8);
		break;
	case KIND_COMMAND:
		request->ptr |= 4 + below(4);
		return;
	case KIND_FRAME:
		request->val = (PVB_PTE_PFN_MASK & ~0xfffffULL) | PVB_PTE_P;
		break;
	case KIND_TABLE:
		request->val = (machine_of(pte(0)) & PVB_PTE_PFN_MASK) | PVB_PTE_P | PVB_PTE_W;
		break;
	}
	request->ptr |= command < 5 ? MMU_NORMAL_PT_UPDATE :
			command < 9 ? MMU_PT_UPDATE_PRESERVE_AD :
				      MMU_PT_UPDATE_NO_TRANSLATE;
}

static uint64_t hash(uint64_t sum, uint64_t value)
{
	return (sum ^ value) * 0x100000001b3ULL; /* FNV */
}

/* What is in the table, independent of where the frames are. */
static uint64_t table_hash(void)
{
	uint64_t sum = 0xcbf29ce484222325ULL;

	for (uint32_t i = 0; i < CASE_PTES; i++) {
		uint64_t entry = *pte(i) & ~XEN_BITS;

		if (entry & PVB_PTE_P)
			entry = pvb_pte_advance(entry, -first_frame);
		sum = hash(sum, entry);
	}
	return hash(sum, *plain & ~XEN_BITS & ~PVB_PTE_PFN_MASK);
}

static const uint32_t lengths[] = { 0, 1, 1, 1, 2, 5, 31, 32, 33, 128, 512 };

static uint32_t make_requests(uint32_t odd)
{
	uint32_t nr = lengths[below(ARRAY_SIZE(lengths))];

	for (uint32_t n = 0; n < nr; n++)
		make_request(n, odd);
	return nr;
}

static const char *stop_name(int64_t result, uint32_t done, uint32_t nr)
{
	return result && done < nr ? kind_names[kinds[done]] : "-";
}

/* Requests among the first @nr that only a host minds which types its pages, as Xen does. */
static uint32_t typed(uint32_t nr)
{
	uint32_t sum = 0;

	for (uint32_t n = 0; n < nr; n++)
		sum += kinds[n] == KIND_TABLE;
	return sum;
}

static void case_update(uint32_t number)
{
	uint32_t nr = make_requests(below(3) ? 1000 : 12), done = 12345;
	int64_t result;

	result = xen_abi_call(__HYPERVISOR_mmu_update, (uint64_t)requests, nr, (uint64_t)&done,
			      DOMID_SELF);
	say("%u update n=%u typed=%u result=%ld done=%u at=%s table=%016lx\n", number, nr,
	    typed(nr), result, done, stop_name(result, done, nr), table_hash());
}

/* Pointers and domains that are wrong, one in turn. */
static void case_argument(uint32_t number)
{
	static const uint64_t nowhere[] = { 0, 1ULL << 47, 0xffff800000000000ULL,
					    0x7f0000000000ULL };
	uint64_t edge = mm_work_va(EDGE_PAGE + 1);
	uint32_t nr = make_requests(1000), done = 12345, which = below(7);
	uint64_t array = (uint64_t)requests, count = nr, done_va = (uint64_t)&done;
	uint32_t domain = DOMID_SELF, fit = 0;
	int64_t result;

	switch (which) {
	case 0: /* no array, even where none is needed */
		array = nowhere[below(ARRAY_SIZE(nowhere))];
		break;
	case 1: /* an array of which only the beginning is there */
		fit = below(8);
		array = edge - fit * sizeof(requests[0]) - below(2) * 8;
		memcpy((void *)array, requests, edge - array);
		break;
	case 2: /* nobody to tell how far it went */
		done_va = 0;
		break;
	case 3:
		done_va = nowhere[1 + below(3)];
		break;
	case 4:
		domain = 5;
		break;
	case 5: /* tables of domain 0, which is this one; of domain 5, which is not */
		domain = DOMID_SELF | (below(2) ? 1U : 6U) << 16;
		break;
	case 6: /* what a continuation would say */
		count |= 0x80000000U;
		array = below(2) ? array : 0;
		break;
	}
	result = xen_abi_call(__HYPERVISOR_mmu_update, array, count, done_va, domain);
	say("%u argument %u n=%u typed=%u result=%ld done=%u table=%016lx\n", number, which, nr,
	    typed(nr), result, done, table_hash());
}

/* Calls of which some are wrong, one after another; each has its own result. */
static void case_multicall(uint32_t number)
{
	static struct multicall_entry calls[8];
	static uint32_t done[8];
	static struct mmuext_op flush;
	uint32_t nr = make_requests(below(2) ? 1000 : 40), nr_calls = below(8), from = 0;
	uint64_t sum = 0xcbf29ce484222325ULL;
	int64_t result;

	for (uint32_t i = 0; i < nr_calls; i++) {
		uint32_t part = i + 1 < nr_calls ? below(nr - from + 1) : nr - from;

		done[i] = 0;
		calls[i] = (struct multicall_entry){
			.op = __HYPERVISOR_mmu_update,
			.args = { (uint64_t)&requests[from], part, (uint64_t)&done[i], DOMID_SELF },
		};
		switch (below(8)) {
		case 0:
			flush.cmd = below(2) ? MMUEXT_TLB_FLUSH_ALL : MMUEXT_TLB_FLUSH_LOCAL;
			calls[i].op = __HYPERVISOR_mmuext_op;
			calls[i].args[0] = (uint64_t)&flush;
			calls[i].args[1] = 1;
			continue;
		case 1:
			calls[i].op = 63; /* there is none */
			continue;
		case 2:
			calls[i].op = __HYPERVISOR_multicall;
			continue;
		}
		from += part;
	}
	result = xen_abi_call(__HYPERVISOR_multicall, (uint64_t)calls, nr_calls, 0, 0);
	say("%u multicall %u n=%u typed=%u result=%ld", number, nr_calls, nr, typed(nr), result);
	for (uint32_t i = 0; i < nr_calls; i++) {
		say(" %ld/%u", (int64_t)calls[i].result, done[i]);
		sum = hash(hash(sum, calls[i].result), done[i]);
	}
	say(" table=%016lx\n", table_hash() ^ sum);
}

unsigned int workload_conform(void)
{
	const char *how = xen_abi_find();
	uint32_t cases = options.rounds * CASES_PER_ROUND;

	if (!how) {
		say("conform: this host has no Xen ABI\n");
		return EXIT_MACHINE;
	}
	mm_map_work(PVB_PTES_PER_TABLE);
	first_frame = pvb_pte_pfn(mm_work_pte(0));
	plain = mm_alloc(1);
	/* No page behind the edge. */
	requests[0] = (struct mmu_update){ .ptr = machine_of(pte(EDGE_PAGE + 1)) };
	if (xen_abi_call(__HYPERVISOR_mmu_update, (uint64_t)requests, 1, 0, DOMID_SELF))
		demo_die(EXIT_CHECK_FAILED, "conform: no edge\n");
	smp_flush(PVB_FLUSH_ALL, 0, pvb_gva(0), 0);
	for (uint32_t number = 0; number < cases; number++) {
		seed = number;
		below(1);
		prepare();
		touch(below(3) * 40);
		switch (below(5)) {
		case 0:
			case_argument(number);
			break;
		case 1:
			case_multicall(number);
			break;
		default:
			case_update(number);
		}
	}
	say("conform: %u cases by %s\n", cases, how);
	return EXIT_OK;
}
