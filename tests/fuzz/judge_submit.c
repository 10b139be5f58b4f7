// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, fuzzing - what a submission must have done; see world.h. The laws bit by bit
 * are the oracle's (tests/model), the rules of a batch are said here from abi.h's words.
 */
#include <string.h>

#include "../model/oracle.h"
#include "world.h"

/* The submission under judgement. */
struct trial {
	struct pvb_batch_hdr in; /* as it was when the call began */
	struct pvb_batch_hdr out; /* what must have been answered */
	uint64_t gpa;
	uint32_t bytes;
	uint32_t entries; /* answered */
	uint64_t carried_a, carried_d;
	uint64_t work;
	bool met[WORLD_SLOTS];
	uint8_t told[WORLD_SLOTS];
};

static struct trial trial;

#define REASON(status) (1U << (status))

/* -PVB_EINVAL and -PVB_E2BIG may both be right: REASON_* bits. */
#define HEADER_INVALID 1U
#define HEADER_TOO_BIG 2U

static unsigned int header_reasons(const struct pvb_batch_hdr *hdr)
{
	uint64_t last = hdr->flush_va + hdr->flush_pages * 4096ULL - 1;
	unsigned int reasons = 0;

	if (hdr->version != judge_version || hdr->reserved0 || hdr->reserved1)
		reasons |= HEADER_INVALID;
	switch (hdr->flush) {
	case PVB_FLUSH_NONE:
		if (hdr->flush_flags || hdr->flush_pages || hdr->flush_va)
			reasons |= HEADER_INVALID;
		break;
	case PVB_FLUSH_RANGE:
		if (!hdr->flush_pages || hdr->flush_va % 4096 || last < hdr->flush_va)
			reasons |= HEADER_INVALID;
		break;
	case PVB_FLUSH_ALL:
		if (hdr->flush_pages || hdr->flush_va)
			reasons |= HEADER_INVALID;
		break;
	default:
		reasons |= HEADER_INVALID;
	}
	if (hdr->flush && (hdr->flush_flags > 1 || !(judge_features & PVB_F_FLUSH)))
		reasons |= HEADER_INVALID;
	if (64ULL + 32ULL * hdr->nr > trial.bytes || hdr->start > hdr->nr || hdr->skip >= 512 ||
	    (hdr->skip && hdr->start == hdr->nr))
		reasons |= HEADER_TOO_BIG;
	return reasons;
}

static struct pvb_entry entry_before(uint32_t index)
{
	struct pvb_entry entry;

	memcpy(&entry, world.before + trial.gpa + 64 + index * 32ULL, sizeof(entry));
	return entry;
}

/* The PFNs of a present template's run must fit into the guest's address width. */
static bool too_wide(uint64_t pte, uint64_t pages)
{
	uint64_t frame = (pte >> 12 & 0xffffffffffULL) + pages - 1;

	return pte & 1 && frame >> (world.vm.phys_bits - 12);
}

static uint32_t template_reasons(const struct pvb_entry *entry)
{
	const uint64_t pfn = 0x000ffffffffff000ULL;
	uint64_t pages = entry->flags & PVB_ENT_FIXED ? 1 : entry->nr;
	uint32_t reasons = 0;

	switch (entry->op) {
	case PVB_OP_SET:
		if (entry->old)
			reasons |= REASON(PVB_ST_BAD_PTE);
		if (too_wide(entry->new, pages))
			reasons |= REASON(PVB_ST_BAD_PFN);
		break;
	case PVB_OP_COMMIT:
		if (too_wide(entry->old, pages) || too_wide(entry->new, pages))
			reasons |= REASON(PVB_ST_BAD_PFN);
		break;
	case PVB_OP_MASK:
		if (entry->old == ~0ULL ? entry->new != 0 : ((entry->old | entry->new) & pfn) != 0)
			reasons |= REASON(PVB_ST_BAD_PTE);
		break;
	case PVB_OP_CHANGED:
		if (!(entry->flags & PVB_ENT_HINT) && (entry->old || entry->new))
			reasons |= REASON(PVB_ST_BAD_PTE);
		break;
	}
	return reasons;
}

static uint32_t table_reasons(uint64_t gpa)
{
	uint64_t table = gpa & ~4095ULL;

	if (gpa >> world.vm.phys_bits || !world_at(table, 4096, true))
		return REASON(PVB_ST_BAD_GPA);
	for (unsigned int i = 0; i < WORLD_CPUS; i++)
		if (table - judge_buffers[i].gpa < judge_buffers[i].bytes)
			return REASON(PVB_ST_DENIED) |
			       (world.pages[table / 4096] == PAGE_BUSY ? REASON(PVB_ST_RETRY) : 0);
	return world.pages[table / 4096] == PAGE_BUSY ? REASON(PVB_ST_RETRY) : 0;
}

static uint32_t result_reasons(const struct pvb_entry *entry)
{
	uint64_t from = entry->result * 8ULL, bytes = 2 * ((entry->nr + 63ULL) / 64) * 8;

	if (!(entry->flags & PVB_ENT_RESULT))
		return entry->result ? REASON(PVB_ST_BAD_RESULT) : 0;
	return from < 64 + 32ULL * trial.in.nr || from + bytes > trial.bytes ?
		       REASON(PVB_ST_BAD_RESULT) :
		       0;
}

/* Every reason for which @entry has to be refused; 0: it is good. */
static uint32_t entry_reasons(const struct pvb_entry *entry)
{
	static const uint8_t taken[] = {
		[PVB_OP_SET] = PVB_ENT_RESULT | PVB_ENT_FIXED,
		[PVB_OP_COMMIT] = PVB_ENT_RESULT | PVB_ENT_SOFT,
		[PVB_OP_MASK] = PVB_ENT_RESULT,
		[PVB_OP_CHANGED] = PVB_ENT_HINT,
	};
	uint32_t reasons = 0;

	if (entry->op < PVB_OP_SET || entry->op > PVB_OP_CHANGED ||
	    !(judge_features &
	      (entry->op == PVB_OP_CHANGED ? PVB_F_GUEST_APPLY : PVB_F_HOST_APPLY)))
		reasons |= REASON(PVB_ST_BAD_OP);
	else if (entry->flags & ~taken[entry->op] ||
		 (entry->flags & PVB_ENT_RESULT && !(judge_features & PVB_F_RESULTS)))
		reasons |= REASON(PVB_ST_BAD_FLAGS);
	if (!entry->nr || entry->nr > 512)
		return reasons | REASON(PVB_ST_BAD_NR);
	if (entry->pte_gpa % 8)
		reasons |= REASON(PVB_ST_UNALIGNED);
	if ((entry->pte_gpa % 4096) / 8 + entry->nr > 512)
		reasons |= REASON(PVB_ST_CROSSES);
	return reasons | template_reasons(entry) | result_reasons(entry) |
	       table_reasons(entry->pte_gpa);
}

/* One PTE of a good entry, with what happens to it meanwhile. */
static struct oracle one_pte(const struct pvb_entry *entry, uint32_t index)
{
	uint64_t slot = entry->pte_gpa / 8 + index, cur;
	const struct act *act = &world.acts[slot];
	struct oracle is;

	memcpy(&cur, world.model + slot * 8, sizeof(cur));
	is = oracle_pte(entry, index, cur);
	if (is.status != PVB_ST_OK || entry->op == PVB_OP_CHANGED)
		return is;
	for (unsigned int tries = 0; act->kind == ACT_WAR && tries < 16; tries++) {
		cur ^= 1ULL << 5;
		is = oracle_pte(entry, index, cur);
		if (is.status != PVB_ST_OK)
			return is;
	}
	if (act->kind == ACT_WAR)
		return (struct oracle){ .status = PVB_ST_RETRY, .pte = cur };
	if (act->kind == ACT_XOR && !trial.met[slot]) {
		trial.met[slot] = true;
		is = oracle_pte(entry, index, cur ^ act->bits);
	}
	return is;
}

static void put_bitmaps(const struct pvb_entry *entry, const uint64_t *young, const uint64_t *dirty)
{
	uint64_t words = (entry->nr + 63ULL) / 64;
	uint8_t *to = world.model + trial.gpa + entry->result * 8ULL;

	memcpy(to, young, words * 8);
	memcpy(to + words * 8, dirty, words * 8);
}

static void get_bitmaps(const struct pvb_entry *entry, uint64_t *young, uint64_t *dirty)
{
	uint64_t words = (entry->nr + 63ULL) / 64;
	const uint8_t *from = world.before + trial.gpa + entry->result * 8ULL;

	memcpy(young, from, words * 8);
	memcpy(dirty, from + words * 8, words * 8);
}

/* run() - PTEs [from, end) of a good entry. Returns where it stopped, and why. */
static uint32_t run(const struct pvb_entry *entry, uint32_t from, uint32_t end,
		    enum pvb_status *status)
{
	uint64_t young[8] = { 0 }, dirty[8] = { 0 };
	uint32_t i;

	*status = PVB_ST_OK;
	if (entry->flags & PVB_ENT_RESULT && from)
		get_bitmaps(entry, young, dirty);
	for (i = from; i < end; i++) {
		uint64_t slot = entry->pte_gpa / 8 + i;
		struct oracle is = one_pte(entry, i);

		memcpy(world.model + slot * 8, &is.pte, 8);
		if (is.status != PVB_ST_OK) {
			*status = is.status;
			break;
		}
		trial.told[slot] = 1;
		young[i / 64] |= (uint64_t)is.young << i % 64;
		dirty[i / 64] |= (uint64_t)is.dirty << i % 64;
		trial.out.applied++;
		trial.out.carried += is.carried_a || is.carried_d;
		trial.carried_a += is.carried_a;
		trial.carried_d += is.carried_d;
	}
	trial.work += i - from;
	if (entry->flags & PVB_ENT_RESULT)
		put_bitmaps(entry, young, dirty);
	return i;
}

/* Entry @index as far as the engine says it got. */
static void one_entry(uint32_t index, uint32_t from, const struct pvb_batch_hdr *said)
{
	uint64_t answer_at = trial.gpa + 64 + index * 32ULL + offsetof(struct pvb_entry, answer);
	const struct pvb_entry entry = entry_before(index);
	uint32_t reasons = entry_reasons(&entry), done = from;
	enum pvb_status status;
	uint16_t answer;

	if (!reasons && index == said->done) { /* PARTIAL, in the middle of it */
		if (said->done_ptes < from || said->done_ptes >= entry.nr)
			world_fail("stopped at PTE %u of %u", said->done_ptes, entry.nr);
		done = run(&entry, from, said->done_ptes, &status);
		if (status != PVB_ST_OK || done != said->done_ptes)
			world_fail("entry %u: went on after %s", index, oracle_status(status));
		return;
	}
	if (index == said->done)
		world_fail("stopped in entry %u, which is bad", index);
	memcpy(&answer, world.ram + answer_at, sizeof(answer));
	if (reasons) {
		status = pvb_answer_status(answer);
		if (status >= PVB_NR_STATUS || !(reasons & REASON(status)))
			world_fail("entry %u: refused with %s, reasons %#x", index,
				   oracle_status(status), reasons);
		trial.work++;
	} else {
		done = run(&entry, from, entry.nr, &status);
		trial.work += done == from;
	}
	trial.out.conflicts += status == PVB_ST_CONFLICT;
	trial.out.refused += status != PVB_ST_OK && status != PVB_ST_CONFLICT;
	trial.entries++;
	if (answer != pvb_answer(status, done))
		world_fail("entry %u: answer %s at %u, should be %s at %u", index,
			   oracle_status(pvb_answer_status(answer)), pvb_answer_done(answer),
			   oracle_status(status), done);
	memcpy(world.model + answer_at, &answer, sizeof(answer));
}

static void batch(int64_t result)
{
	struct pvb_batch_hdr said;
	uint32_t from = trial.in.skip;

	memcpy(&said, world.ram + trial.gpa, sizeof(said));
	if (result == PVB_SUBMIT_DONE && (said.done != trial.in.nr || said.done_ptes))
		world_fail("done is %u and %u of %u", said.done, said.done_ptes, trial.in.nr);
	if (result == PVB_SUBMIT_PARTIAL &&
	    (said.done > trial.in.nr || said.done < trial.in.start ||
	     (said.done == trial.in.start && said.done_ptes <= trial.in.skip)))
		world_fail("no progress: from %u and %u to %u and %u", trial.in.start,
			   trial.in.skip, said.done, said.done_ptes);
	for (uint32_t i = trial.in.start; i < said.done; i++, from = 0)
		one_entry(i, from, &said);
	if (said.done_ptes)
		one_entry(said.done, from, &said);
	/* Law 7: bounded; law 5: not cut short without need. */
	if (trial.work > world.vm.max_work)
		world_fail("%llu units of work, %u are allowed", (unsigned long long)trial.work,
			   world.vm.max_work);
	if (result == PVB_SUBMIT_PARTIAL && !world.yielded && trial.work < world.vm.max_work)
		world_fail("cut short after %llu units of work", (unsigned long long)trial.work);
	trial.out.done = said.done;
	trial.out.done_ptes = said.done_ptes;
}

static void check_flush(int64_t result)
{
	const struct pvb_batch_hdr *hdr = &trial.in;
	bool due = result == PVB_SUBMIT_DONE && hdr->flush != PVB_FLUSH_NONE;
	bool all = hdr->flush == PVB_FLUSH_ALL || hdr->flush_pages > PVB_FLUSH_RANGE_MAX;

	if (world.nr_flushes != due)
		world_fail("%u flushes, should be %d", world.nr_flushes, due);
	if (!due)
		return;
	if (world.flushed.type != (all ? PVB_FLUSH_ALL : PVB_FLUSH_RANGE) ||
	    world.flushed.local != hdr->flush_flags ||
	    pvb_gva_raw(world.flushed.va) != (all ? 0 : hdr->flush_va) ||
	    world.flushed.pages != (all ? 0 : hdr->flush_pages))
		world_fail("another flush than was asked for");
}

static void count(unsigned int cpu, int64_t result)
{
	struct pvb_host_stats *stats = &world.stats[cpu];
	unsigned int bucket = 0;

	while (bucket < PVB_HIST_BUCKETS - 1 && trial.in.nr >> (bucket + 1))
		bucket++;
	stats->calls++;
	stats->failed += result < 0;
	stats->partial += result == PVB_SUBMIT_PARTIAL;
	if (result == PVB_SUBMIT_DONE) {
		stats->batches++;
		stats->hist[bucket]++;
	}
	stats->entries += trial.entries;
	stats->applied += trial.out.applied;
	stats->carried_a += trial.carried_a;
	stats->carried_d += trial.carried_d;
	stats->conflicts += trial.out.conflicts;
	stats->refused += trial.out.refused;
	if (world.nr_flushes && world.flushed.type == PVB_FLUSH_RANGE)
		stats->flush_range++;
	else
		stats->flush_all += world.nr_flushes;
}

static void check_told(void)
{
	if (world.how & WORLD_NO_CHANGED)
		return;
	if (memcmp(world.told, trial.told, sizeof(trial.told)) != 0 ||
	    world.nr_told != trial.out.applied)
		world_fail("told of %u changes, there were %u", world.nr_told, trial.out.applied);
}

/* The header is refused. Is that right, and is it with this error? */
static void refused_header(int64_t result, unsigned int reasons)
{
	struct pvb_entry first;
	bool inside;

	if (!reasons && trial.in.skip) {
		first = entry_before(trial.in.start);
		inside = trial.in.skip < first.nr;
		reasons = inside ? 0 : HEADER_TOO_BIG;
	}
	if (!(result == -PVB_EINVAL && reasons & HEADER_INVALID) &&
	    !(result == -PVB_E2BIG && reasons & HEADER_TOO_BIG))
		world_fail("result %lld, reasons %#x", (long long)result, reasons);
}

void judge_submit(unsigned int cpu, uint64_t buffer, uint32_t bytes, int64_t result)
{
	unsigned int reasons;

	memset(&trial, 0, sizeof(trial));
	trial.gpa = buffer;
	trial.bytes = bytes;
	if (!bytes) {
		if (result != -PVB_ENXIO)
			world_fail("no buffer, result %lld", (long long)result);
		count(cpu, result);
		return;
	}
	/* Memory under the buffer has gone: what becomes of the batch is the guest's problem. */
	if (!world_at(buffer, bytes, true)) {
		if (result < 0 && result != -PVB_EFAULT && result != -PVB_EINVAL &&
		    result != -PVB_E2BIG)
			world_fail("no memory, result %lld", (long long)result);
		memcpy(world.model, world.ram, WORLD_RAM);
		world.stats[cpu] = world.cpus[cpu].stats;
		return;
	}
	memcpy(&trial.in, world.before + buffer, offsetof(struct pvb_batch_hdr, status));
	trial.out = trial.in;
	reasons = header_reasons(&trial.in);
	trial.out.done = trial.in.start;
	trial.out.done_ptes = trial.in.skip;
	if (result < 0)
		refused_header(result, reasons);
	else if (reasons)
		world_fail("a header with reasons %#x was taken", reasons);
	else
		batch(result);
	trial.out.status = (int32_t)result;
	memcpy(world.model + buffer + offsetof(struct pvb_batch_hdr, status), &trial.out.status,
	       sizeof(trial.out) - offsetof(struct pvb_batch_hdr, status));
	check_flush(result);
	check_told();
	count(cpu, result);
}
