// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: model - guest/core's own loop over partial progress, and its repair, against every
 * host: each decision that a host can take is taken, one after the other, from the first to
 * the last call of a batch. The code under test is the one that ships; tests/spin/progress.pml
 * says the same of a model of it (docs/proofs.md).
 *
 * A true host keeps the contract of docs/abi.md: it stops after any PTE, refuses an entry at any
 * PTE, wants to be called again, fails, disappears; and hardware sets D at any moment.
 *
 *   stores     stores that overlap, and a commit: every PTE ends as the batch says, with its
 *              D, before a flush
 *   collecting old and clean: what was dirty is in the answer, or is dirty still
 *   naming     where the guest applies: what has changed is known to the host, or flushed
 *
 * And a liar, who says anything, again and again, and does nothing: the guest comes to an end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pvbatch/guest.h>

#define SLOTS 8U
#define STOPS_MAX 4U
#define AGAIN_MAX 2U
#define RETRIES_MAX 2U
#define CALLS_MAX 64U
#define CHOICES_MAX 128U

static struct {
	uint64_t table[PVB_PTES_PER_TABLE];
	uint8_t buffer[PVB_BUFFER_MIN];
	struct pvb_negotiate scratch;
} memory __attribute__((aligned(4096)));

/* The decisions of this run, and the one to go on with where there is a next one. */
static struct {
	unsigned int taken, of;
} path[CHOICES_MAX];
static unsigned int nr_choices, known;

static unsigned int choose(unsigned int of)
{
	if (nr_choices == CHOICES_MAX) {
		printf("not ok - a run without end\n");
		exit(1);
	}
	if (nr_choices == known) {
		path[known].taken = 0;
		path[known++].of = of;
	}
	return path[nr_choices++].taken;
}

static bool next_path(void)
{
	nr_choices = 0;
	while (known && path[known - 1].taken + 1 == path[known - 1].of)
		known--;
	if (!known)
		return false;
	path[known - 1].taken++;
	return true;
}

static struct pvb_guest guest;
static struct pvb_cpu cpu;
static enum {
	STORES,
	COLLECTING,
	NAMING
} kind;
static bool lying, hardware_was_here;
static uint64_t shadow[SLOTS]; /* the host's translations, where the guest applies */
static unsigned int calls, stops, agains, retries;
static uint64_t flushed[SLOTS]; /* the PTEs when the last flush was done */

static pvb_gpa_t gpa_of(const volatile void *ptr)
{
	return pvb_gpa((uint64_t)(uintptr_t)ptr);
}

static uint64_t *pte_at(pvb_gpa_t gpa)
{
	return (uint64_t *)(uintptr_t)pvb_gpa_raw(gpa);
}

static void note_flush(void)
{
	memcpy(flushed, memory.table, sizeof(flushed));
}

static void own_flush(enum pvb_flush type, uint32_t flags, pvb_gva_t va, uint32_t pages)
{
	(void)flags;
	(void)va;
	(void)pages;
	note_flush();
	if (type == PVB_FLUSH_ALL)
		memcpy(shadow, memory.table, sizeof(shadow));
}

/* One PTE of an entry, as the law says it. */
static void apply(const struct pvb_entry *entry, uint32_t i)
{
	uint64_t *ptep = pte_at(pvb_gpa(entry->pte_gpa)) + i;
	uint64_t *bits = (uint64_t *)memory.buffer + entry->result;
	uint64_t cur = *ptep, ad = PVB_PTE_A | PVB_PTE_D;

	switch (entry->op) {
	case PVB_OP_SET:
		*ptep = pvb_pte_advance(entry->new, i);
		break;
	case PVB_OP_COMMIT:
		*ptep = pvb_pte_advance(entry->new, i) | (cur & ~entry->old & ad);
		break;
	case PVB_OP_MASK: /* of at most 64: a word of young bits, a word of dirty ones */
		*ptep = (cur & ~entry->old) | entry->new;
		bits[0] |= (uint64_t) !!(cur & PVB_PTE_A) << i;
		bits[1] |= (uint64_t) !!(cur & PVB_PTE_D) << i;
		break;
	default: /* CHANGED */
		shadow[ptep - memory.table] = cur;
	}
}

/* Slot 6 is written by another CPU, once, at any time. */
static void maybe_hardware(void)
{
	if (!hardware_was_here && choose(2)) {
		hardware_was_here = true;
		memory.table[6] |= PVB_PTE_A | PVB_PTE_D;
	}
}

static int64_t true_host(struct pvb_batch_hdr *hdr, struct pvb_entry *entries)
{
	static const enum pvb_status refusals[] = { PVB_ST_RETRY, PVB_ST_DENIED, PVB_ST_CONFLICT };
	/* What is named cannot conflict, and is tried again: fewer ways, and longer ones. */
	unsigned int nr_refusals = kind == NAMING ? 2 : 3;
	unsigned int stops_max = kind == NAMING ? 1 : STOPS_MAX;
	bool moved = false;

	switch (choose(agains < AGAIN_MAX ? 4 : 3)) {
	case 1:
		return -PVB_EINVAL;
	case 2:
		return -PVB_ENOSYS;
	case 3:
		agains++;
		return -PVB_EAGAIN;
	default:
		break;
	}
	for (uint32_t e = hdr->start; e < hdr->nr; e++) {
		enum pvb_status status = PVB_ST_OK;
		uint32_t i = e == hdr->start ? hdr->skip : 0;

		for (; i < entries[e].nr && status == PVB_ST_OK; i += status == PVB_ST_OK) {
			unsigned int what;

			maybe_hardware();
			what = choose(1 + nr_refusals + (moved && stops < stops_max));
			if (what == 1 + nr_refusals) {
				stops++;
				hdr->done = e;
				hdr->done_ptes = i;
				return PVB_SUBMIT_PARTIAL;
			}
			/* The host that cannot now can another time. */
			if (what == 1 && retries++ >= RETRIES_MAX)
				what = 0;
			if (what)
				status = refusals[what - 1];
			else
				apply(&entries[e], i);
			moved = true;
		}
		entries[e].answer = pvb_answer(status, i);
	}
	hdr->done = hdr->nr;
	hdr->done_ptes = 0;
	if (hdr->flush != PVB_FLUSH_NONE)
		note_flush();
	return PVB_SUBMIT_DONE;
}

/* The first lie is as good as any other: it is told in every call. */
static int64_t liar(struct pvb_batch_hdr *hdr, struct pvb_entry *entries)
{
	static const int64_t results[] = { PVB_SUBMIT_PARTIAL, PVB_SUBMIT_DONE, -PVB_EAGAIN, 77 };
	static struct {
		int64_t result;
		uint32_t done, done_ptes, step;
		uint16_t answers[3];
	} lie;

	if (calls == 1) {
		lie.result = results[choose(4)];
		lie.done = choose(5);
		lie.done_ptes = choose(4);
		lie.step = choose(2); /* the same each time, or further each time */
		for (unsigned int e = 0; e < 3; e++) {
			static const uint32_t done[] = { 0, 1, 2, 3, 511 };

			lie.answers[e] = pvb_answer(choose(2) ? PVB_ST_OK : PVB_ST_CONFLICT,
						    done[choose(5)]);
		}
	}
	hdr->done = lie.done + (calls - 1) * lie.step;
	hdr->done_ptes = lie.done_ptes;
	for (unsigned int e = 0; e < hdr->nr; e++)
		entries[e].answer = lie.answers[e % 3];
	return lie.result;
}

static int64_t call(void *ctx, enum pvb_call nr, uint64_t a0, uint64_t a1)
{
	struct pvb_batch_hdr *hdr = (struct pvb_batch_hdr *)memory.buffer;
	struct pvb_entry *entries = (struct pvb_entry *)(hdr + 1);

	(void)ctx;
	(void)a0;
	(void)a1;
	if (nr == PVB_CALL_NEGOTIATE) {
		memory.scratch.version = PVB_VERSION;
		memory.scratch.features = memory.scratch.features_wanted;
		memory.scratch.max_bytes = PVB_BUFFER_MIN;
		memory.scratch.max_work = PVB_PTES_PER_TABLE;
		return 0;
	}
	if (nr != PVB_CALL_SUBMIT)
		return 0;
	if (calls++ >= CALLS_MAX)
		return -PVB_ENOSYS;
	return lying ? liar(hdr, entries) : true_host(hdr, entries);
}

static const struct pvb_guest_ops ops = { .gpa_of = gpa_of, .pte_at = pte_at, .flush = own_flush };
static const struct pvb_transport transport = { .call = call };

static uint64_t page(uint64_t pfn, uint64_t bits)
{
	return pfn << PVB_PAGE_SHIFT | PVB_PTE_P | bits;
}

/*
 * Three entries of two PTEs: a store, another that overlaps it, so that the later one has to
 * win (law 5), and a commit.
 */
static void stores(void)
{
	pvb_lazy_enter(&cpu);
	pvb_set_ptes(&cpu, &memory.table[0], page(0x10, 0), 2, 0);
	pvb_set_ptes(&cpu, &memory.table[1], page(0x20, PVB_PTE_W), 2, 0);
	pvb_commit_ptes(&cpu, &memory.table[5], page(0x15, PVB_PTE_W), page(0x15, 0), 2);
	pvb_flush_range(&cpu, pvb_gva(0), 8, 0);
	pvb_lazy_leave(&cpu);
}

static bool stored(void)
{
	const uint64_t expected[SLOTS] = {
		page(0x10, 0), page(0x20, PVB_PTE_W), page(0x21, PVB_PTE_W), 0, 0,
		page(0x15, 0), page(0x16, 0),
	};
	bool good = true;

	for (unsigned int i = 0; i < SLOTS; i++) {
		uint64_t ad = i == 6 && hardware_was_here ? PVB_PTE_A | PVB_PTE_D : 0;

		good &= memory.table[i] == (expected[i] | ad);
		/* Hardware may have come after the flush, nobody else. */
		good &= (flushed[i] | ad) == memory.table[i];
	}
	return good;
}

static struct pvb_ad_map map;

/* Two entries; slot 5 is young and dirty from the start. */
static void collect(void)
{
	memory.table[5] |= PVB_PTE_A | PVB_PTE_D;
	pvb_collect_begin(&cpu, &map);
	pvb_mask_ptes(&cpu, &memory.table[1], PVB_PTE_A | PVB_PTE_D, 0, 1);
	pvb_mask_ptes(&cpu, &memory.table[5], PVB_PTE_A | PVB_PTE_D, 0, 2);
	pvb_collect_end(&cpu, PVB_FLUSH_RANGE, 0, pvb_gva(0), 8);
}

static bool collected(void)
{
	uint64_t was = 1 << 5, late = 0;

	/* What hardware did after the exchange is in the entry, before it in the answer. */
	if (hardware_was_here && (memory.table[6] & PVB_PTE_D))
		late = PVB_PTE_A | PVB_PTE_D;
	else if (hardware_was_here)
		was |= 1 << 6;
	return map.young[0] == was && map.dirty[0] == was &&
	       memory.table[1] == page(0x11, PVB_PTE_W) &&
	       memory.table[5] == page(0x15, PVB_PTE_W) &&
	       memory.table[6] == (page(0x16, PVB_PTE_W) | late) && flushed[5] == memory.table[5];
}

/* Three runs that the guest changes itself, the last one interrupted by hardware. */
static void change(void)
{
	memcpy(shadow, memory.table, sizeof(shadow));
	pvb_lazy_enter(&cpu);
	pvb_commit_ptes(&cpu, &memory.table[1], page(0x11, PVB_PTE_W), page(0x11, 0), 1);
	pvb_commit_ptes(&cpu, &memory.table[3], page(0x13, PVB_PTE_W), page(0x13, 0), 1);
	pvb_commit_ptes(&cpu, &memory.table[5], page(0x15, PVB_PTE_W), page(0x15, 0), 2);
	pvb_flush_range(&cpu, pvb_gva(0), 8, 0);
	pvb_lazy_leave(&cpu);
}

static bool named(const struct pvb_guest_stats *stats)
{
	bool good = stats->own + stats->direct == 4;

	for (unsigned int i = 0; i < SLOTS; i++)
		good &= !((shadow[i] ^ memory.table[i]) & ~(PVB_PTE_A | PVB_PTE_D));
	return good;
}

static bool run(void)
{
	enum pvb_mode mode = kind == NAMING ? PVB_MODE_GUEST_APPLY : PVB_MODE_HOST_APPLY;
	struct pvb_guest_stats stats;
	bool good;

	memset(memory.table, 0, sizeof(memory.table));
	for (unsigned int i = 0; i < 7; i++)
		memory.table[i] = kind == STORES && i < 5 ? 0 : page(0x10 + i, PVB_PTE_W);
	memset(flushed, 0, sizeof(flushed));
	hardware_was_here = false;
	calls = stops = agains = retries = 0;
	if (pvb_guest_init(&guest, &transport, &ops, mode, &memory.scratch) ||
	    pvb_cpu_init(&guest, &cpu, memory.buffer, sizeof(memory.buffer)))
		return false;
	if (kind == STORES)
		stores();
	else if (kind == COLLECTING)
		collect();
	else
		change();
	pvb_cpu_stats(&cpu, &stats);
	good = !cpu.nr && calls < CALLS_MAX;
	good &= stats.ptes == stats.applied + stats.own + stats.fallbacks + stats.bypassed +
				      stats.direct + stats.untouched;
	if (lying)
		return good;
	good &= !stats.untouched;
	return good && (kind == STORES	   ? stored() :
			kind == COLLECTING ? collected() :
					     named(&stats));
}

static bool explore(unsigned int number, const char *what)
{
	unsigned long runs = 0;

	known = 0;
	nr_choices = 0;
	do {
		runs++;
		if (run())
			continue;
		printf("not ok %u - %s: run %lu\n# decisions:", number, what, runs);
		for (unsigned int i = 0; i < nr_choices; i++)
			printf(" %u/%u", path[i].taken, path[i].of);
		printf("\n# PTEs, and when the last flush was done:\n");
		for (unsigned int i = 0; i < SLOTS; i++)
			printf("#   %#lx %#lx\n", (unsigned long)memory.table[i],
			       (unsigned long)flushed[i]);
		return false;
	} while (next_path());
	printf("ok %u - %s: all %lu ways\n", number, what, runs);
	fflush(stdout);
	return true;
}

int main(void)
{
	static const char *const names[] = { "stores", "collecting", "naming" };
	unsigned int number = 0, failed = 0;
	char name[64];

	printf("1..6\n");
	for (unsigned int k = 0; k < 6; k++) {
		kind = k / 2;
		lying = k % 2;
		snprintf(name, sizeof(name), "%s, %s", names[kind],
			 lying ? "a host that lies" : "a host that keeps the contract");
		failed += !explore(++number, name);
	}
	return failed != 0;
}
