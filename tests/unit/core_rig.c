// SPDX-License-Identifier: GPL-2.0-only
/* Stage: tests of guest/core - the guest CPU and the obedient host. See core_rig.h. */
#include <stdlib.h>
#include <string.h>

#include "core_rig.h"

struct rig rig;

static pvb_gpa_t gpa_of(const volatile void *ptr)
{
	uint64_t at = (uint64_t)((const volatile uint8_t *)ptr - (uint8_t *)rig.mem);

	assert_true(at < sizeof(*rig.mem));
	return pvb_gpa(RIG_GPA + at);
}

static uint64_t *pte_at(pvb_gpa_t gpa)
{
	uint64_t at = pvb_gpa_raw(gpa) - RIG_GPA;

	assert_true(at < sizeof(rig.mem->tables));
	return (uint64_t *)((uint8_t *)rig.mem + at);
}

static bool in_interrupt(void)
{
	return rig.interrupt;
}

static void own_flush(enum pvb_flush type, uint32_t flags, pvb_gva_t va, uint32_t pages)
{
	rig.own_flushes++;
	rig.own_flush.type = type;
	rig.own_flush.flags = flags;
	rig.own_flush.va = pvb_gva_raw(va);
	rig.own_flush.pages = pages;
}

static void lost(int64_t error)
{
	rig.losses++;
	rig.loss = error;
}

static void conflict(uint64_t *ptep, uint64_t old, uint64_t new, uint64_t cur)
{
	(void)old;
	(void)new;
	assert_int_equal(*ptep, cur);
	rig.conflicts++;
	rig.conflict_cur = cur;
}

static const struct pvb_guest_ops ops_of_rig = {
	.gpa_of = gpa_of,
	.pte_at = pte_at,
	.in_interrupt = in_interrupt,
	.flush = own_flush,
	.lost = lost,
	.conflict = conflict,
};

static struct pvb_batch_hdr *hdr_now(void)
{
	return (struct pvb_batch_hdr *)rig.mem->buffer;
}

static struct pvb_entry *entries_now(void)
{
	return (struct pvb_entry *)(hdr_now() + 1);
}

/* One PTE of an entry. PVB_ST_OK, or why not. */
static enum pvb_status apply_pte(const struct pvb_entry *entry, uint32_t i)
{
	uint64_t *ptep = pte_at(pvb_gpa(entry->pte_gpa + i * sizeof(uint64_t)));
	uint64_t cur = *ptep;
	uint64_t step = (uint64_t)i << PVB_PAGE_SHIFT;
	uint64_t soft = pvb_pte_soft_mask(entry->flags);
	uint64_t *bits = (uint64_t *)rig.mem->buffer + entry->result;

	switch (entry->op) {
	case PVB_OP_SET:
		*ptep = entry->new + (entry->flags & PVB_ENT_FIXED ? 0 : step);
		break;
	case PVB_OP_COMMIT:
		if ((cur ^ (entry->old + step)) & ~(PVB_PTE_A | PVB_PTE_D | soft))
			return PVB_ST_CONFLICT;
		*ptep = ((entry->new + step) | (cur & ~entry->old & (PVB_PTE_A | PVB_PTE_D))) &
			~soft;
		*ptep |= cur & soft;
		break;
	case PVB_OP_MASK:
		if (!(cur & PVB_PTE_P))
			return PVB_ST_NOTPRESENT;
		*ptep = (cur & ~entry->old) | entry->new;
		break;
	case PVB_OP_CHANGED:
		break;
	default:
		return PVB_ST_BAD_OP;
	}
	if (entry->flags & PVB_ENT_RESULT) {
		uint32_t words = (entry->nr + 63U) / 64;

		assert_true(entry->result * 8U >= sizeof(struct pvb_batch_hdr) + rig.hdr.nr * 32U);
		assert_true(entry->result * 8U + words * 16 <= rig.c.bytes);
		bits[i / 64] |= (uint64_t) !!(cur & PVB_PTE_A) << i % 64;
		bits[words + i / 64] |= (uint64_t) !!(cur & PVB_PTE_D) << i % 64;
	}
	return PVB_ST_OK;
}

/* The batch as it stands in the buffer. Returns the call's result. */
static int64_t process(void)
{
	struct pvb_batch_hdr *hdr = hdr_now();
	uint32_t work = rig.work ? rig.work : UINT32_MAX;

	hdr->done_ptes = 0;
	for (uint32_t e = hdr->start; e < hdr->nr; e++) {
		struct pvb_entry *entry = &entries_now()[e];
		uint32_t i = e == hdr->start ? hdr->skip : 0;
		enum pvb_status status = PVB_ST_OK;

		for (; i < entry->nr; i++) {
			if (!work--) {
				hdr->done = e;
				hdr->done_ptes = i;
				return PVB_SUBMIT_PARTIAL;
			}
			status = apply_pte(entry, i);
			if (rig.refuse.times && rig.refuse.entry == e && rig.refuse.pte == i) {
				status = rig.refuse.status;
				rig.refuse.times--;
			}
			if (status != PVB_ST_OK)
				break;
			hdr->applied++;
		}
		entry->answer = pvb_answer(status, i);
	}
	hdr->done = hdr->nr;
	if (hdr->flush != PVB_FLUSH_NONE)
		rig.host_flushes++;
	return PVB_SUBMIT_DONE;
}

static int64_t host_submit(void)
{
	int64_t forced = RIG_NORMAL;
	int64_t r;

	rig.hdr = *hdr_now();
	assert_true(rig.hdr.nr <= rig.c.capacity);
	memcpy(rig.entries, entries_now(), rig.hdr.nr * sizeof(*rig.entries));
	for (uint32_t e = rig.hdr.start; e < rig.hdr.nr; e++)
		assert_int_equal(rig.entries[e].answer, 0);
	if (rig.submits < rig.nr_script)
		forced = rig.script[rig.submits];
	rig.submits++;
	if (rig.before)
		rig.before();
	r = forced == RIG_NORMAL ? process() : forced;
	if (rig.after)
		rig.after();
	return r;
}

static int64_t host_call(void *ctx, enum pvb_call call, uint64_t a0, uint64_t a1)
{
	struct pvb_negotiate *n = &rig.mem->scratch;

	assert_ptr_equal(ctx, &rig);
	switch (call) {
	case PVB_CALL_NEGOTIATE:
		assert_int_equal(a0, pvb_gpa_raw(gpa_of(n)));
		assert_int_equal(n->magic, PVB_NEGOTIATE_MAGIC);
		assert_int_equal(n->size, sizeof(*n));
		n->features = rig.grant.features;
		n->version = rig.grant.version;
		n->max_bytes = rig.grant.max_bytes;
		return rig.negotiate_result;
	case PVB_CALL_REGISTER:
		assert_int_equal(a0, pvb_gpa_raw(gpa_of(rig.mem->buffer)));
		if (a1)
			rig.registers++;
		else
			rig.unregisters++;
		return rig.register_result;
	case PVB_CALL_SUBMIT:
		return host_submit();
	default:
		fail_msg("unexpected call %d", (int)call);
		return -PVB_ENOSYS;
	}
}

static const struct pvb_transport transport = { .call = host_call, .ctx = &rig };

void rig_open_bare(void)
{
	struct rig_memory *mem = aligned_alloc(4096, sizeof(*mem));

	assert_non_null(mem);
	memset(mem, 0, sizeof(*mem));
	rig = (struct rig){ .mem = mem, .ops = ops_of_rig };
	rig.grant.features = PVB_F_HOST_APPLY | PVB_F_FLUSH | PVB_F_RESULTS;
	rig.grant.version = PVB_VERSION;
	rig.grant.max_bytes = PVB_BUFFER_MAX;
}

int rig_negotiate(enum pvb_mode mode)
{
	return pvb_guest_init(&rig.g, &transport, &rig.ops, mode, &rig.mem->scratch);
}

int rig_register(uint32_t bytes)
{
	/* Starts the CPU's counters anew. */
	rig.submits = 0;
	rig.own_flushes = 0;
	return pvb_cpu_init(&rig.g, &rig.c, rig.mem->buffer, bytes);
}

void rig_open(enum pvb_mode mode)
{
	rig_open_bare();
	if (mode == PVB_MODE_GUEST_APPLY)
		rig.grant.features = PVB_F_GUEST_APPLY | PVB_F_FLUSH | PVB_F_RESULTS;
	assert_int_equal(rig_negotiate(mode), 0);
	assert_int_equal(rig_register(RIG_BYTES), 0);
}

struct pvb_guest_stats rig_stats(void)
{
	struct pvb_guest_stats stats;

	pvb_cpu_stats(&rig.c, &stats);
	return stats;
}

void rig_close(void)
{
	struct pvb_guest_stats s;
	uint64_t reasons = 0, hist = 0;

	rig.interrupt = false;
	pvb_cpu_exit(&rig.c);
	s = rig_stats();
	for (unsigned int i = 0; i < PVB_NR_REASONS; i++)
		reasons += s.reasons[i];
	for (unsigned int i = 0; i < PVB_HIST_BUCKETS; i++)
		hist += s.hist[i];
	assert_int_equal(rig.c.nr, 0);
	assert_int_equal(s.ops, s.entries + s.coalesced + s.unqueued);
	assert_int_equal(s.ptes,
			 s.applied + s.own + s.fallbacks + s.bypassed + s.direct + s.untouched);
	assert_int_equal(s.calls, s.batches + s.partial + s.retries);
	assert_int_equal(s.batches, reasons);
	assert_int_equal(s.batches, hist);
	assert_int_equal(s.calls + s.irq_calls, rig.submits);
	assert_int_equal(s.own_flushes, rig.own_flushes);
	free(rig.mem);
}

uint64_t *rig_pte(unsigned int table, unsigned int index)
{
	return &rig.mem->tables[table + index / PVB_PTES_PER_TABLE][index % PVB_PTES_PER_TABLE];
}

uint64_t rig_pte_gpa(unsigned int table, unsigned int index)
{
	return pvb_gpa_raw(gpa_of(rig_pte(table, index)));
}

void rig_fill(unsigned int table, unsigned int first, unsigned int nr, uint64_t pte)
{
	for (unsigned int i = 0; i < nr; i++)
		*rig_pte(table, first + i) = pte + PFN(i);
}

void rig_modify(uint64_t *ptep, uint64_t clear, uint64_t set)
{
	uint64_t old = pvb_start(ptep);

	pvb_commit(&rig.c, ptep, old, (old & ~clear) | set);
}
