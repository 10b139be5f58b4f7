// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest core, Xen transport - requests go to Xen, and what it says comes back.
 *
 * First multicall: every request of the plan and, unless entries were taken out, the
 * flush. Second, for those taken out: what they become, then the flush (law 4). Xen does
 * the requests of one mmu_update in order, stops at the first that it refuses and tells
 * how many it has done; preemption inside it does not show.
 */
#include "internal.h"

static enum pvb_status status_of(int64_t error)
{
	switch (error) {
	case -PVB_EPERM:
		return PVB_ST_DENIED;
	case -PVB_EFAULT:
		return PVB_ST_BAD_GPA;
	case -PVB_EAGAIN:
	case -PVB_ENOMEM:
		return PVB_ST_RETRY;
	default: /* -EBUSY too: a frame whose type forbids the mapping, and will again */
		return PVB_ST_BAD_PTE;
	}
}

/* The flush of the header as mmuext ops; returns how many. */
static uint32_t make_flush(struct pvb_xen_cpu *c)
{
	const struct pvb_batch_hdr *hdr = c->buffer;
	bool local = hdr->flush_flags & PVB_FLUSH_LOCAL;

	if (hdr->flush == PVB_FLUSH_NONE)
		return 0;
	if (hdr->flush == PVB_FLUSH_ALL || hdr->flush_pages > PVB_XEN_INVLPG_MAX) {
		c->flush[0] = (struct mmuext_op){
			.cmd = local ? MMUEXT_TLB_FLUSH_LOCAL : MMUEXT_TLB_FLUSH_ALL,
		};
		return 1;
	}
	for (uint32_t i = 0; i < hdr->flush_pages; i++)
		c->flush[i] = (struct mmuext_op){
			.cmd = local ? MMUEXT_INVLPG_LOCAL : MMUEXT_INVLPG_ALL,
			.arg1.linear_addr = hdr->flush_va + ((uint64_t)i << PVB_PAGE_SHIFT),
		};
	return hdr->flush_pages;
}

static struct multicall_entry *add_call(struct pvb_xen_cpu *c, uint32_t *nr, uint64_t op,
					const void *args, uint32_t count, uint32_t *done)
{
	struct multicall_entry *call = &c->calls[(*nr)++];

	*done = 0;
	*call = (struct multicall_entry){
		.op = op,
		.args = { (uint64_t)args, count, (uint64_t)done, DOMID_SELF },
	};
	return call;
}

/*
 * One multicall: @nr requests, then @nr_flush flushes. Returns how many requests were
 * carried out; *@error says why it was not all.
 */
static uint32_t multicall(const struct pvb_xen *x, struct pvb_xen_cpu *c,
			  const struct mmu_update *requests, uint32_t nr, uint32_t nr_flush,
			  int64_t *error)
{
	struct multicall_entry *update = NULL;
	uint32_t calls = 0;
	int64_t r;

	if (nr)
		update = add_call(c, &calls, __HYPERVISOR_mmu_update, requests, nr, &c->done[0]);
	if (nr_flush)
		add_call(c, &calls, __HYPERVISOR_mmuext_op, c->flush, nr_flush, &c->done[1]);
	if (!calls)
		return 0;
	r = x->ops->multicall(c->calls, calls);
	c->stats.multicalls++;
	if (!update)
		return 0;
	*error = r < 0 ? r : (int64_t)update->result;
	if (c->done[0] < nr) {
		c->stats.refused++;
		if (!*error)
			*error = -PVB_EAGAIN;
	}
	c->stats.updates += c->done[0];
	return c->done[0];
}

/* Xen refused PTE @slot: its entry ends there. */
static void refuse(struct pvb_xen_cpu *c, const struct pvb_xen_slot *slot, int64_t error)
{
	pvb_xen_entries(c)[slot->entry].answer = pvb_answer(status_of(error), slot->index);
}

/* What the PTEs that were taken out have to become, by what hardware had left in them. */
static void decide(struct pvb_xen_cpu *c)
{
	for (uint32_t i = 0; i < c->nr_frozen; i++) {
		struct pvb_xen_slot *slot = &c->slots[c->frozen[i]];
		const struct pvb_entry *entry = &pvb_xen_entries(c)[slot->entry];
		uint64_t want;

		slot->cur |= pvb_load64(slot->pte) & PVB_PTE_AD;
		want = pvb_xen_want(entry, slot->index, slot->cur);
		if (entry->flags & PVB_ENT_RESULT)
			pvb_xen_report(c, entry, slot->index, slot->cur);
		c->buffer->carried += pvb_xen_carried(entry, slot->index, slot->cur);
		c->second[i] = (struct mmu_update){
			.ptr = (entry->pte_gpa + slot->index * sizeof(uint64_t)) |
			       MMU_NORMAL_PT_UPDATE,
			.val = want,
		};
	}
}

/*
 * Request @at of the second round was refused. It and the rest of its entry get back what
 * was taken out; if it was that which Xen refused, the PTE stays out.
 */
static uint32_t put_back(struct pvb_xen_cpu *c, uint32_t at, int64_t error)
{
	const struct pvb_xen_slot *slot = &c->slots[c->frozen[at]];

	if (c->second[at].val == slot->cur) {
		c->stats.stuck++;
		return at + 1;
	}
	refuse(c, slot, error);
	for (uint32_t i = at; i < c->nr_frozen; i++) {
		const struct pvb_xen_slot *rest = &c->slots[c->frozen[i]];

		if (rest->entry == slot->entry)
			c->second[i].val = rest->cur;
	}
	return at;
}

/* The second round: what becomes of the PTEs that were taken out. */
static void issue_second(const struct pvb_xen *x, struct pvb_xen_cpu *c, uint32_t nr_flush)
{
	int64_t error = 0;
	uint32_t at = 0;

	decide(c);
	while (at < c->nr_frozen) {
		at += multicall(x, c, c->second + at, c->nr_frozen - at, nr_flush, &error);
		if (at < c->nr_frozen)
			at = put_back(c, at, error);
	}
}

/* The first round was refused at slot @done: nothing behind it has happened. */
static struct pvb_xen_position cut(struct pvb_xen_cpu *c, uint32_t done, int64_t error)
{
	uint32_t next = c->slots[done].entry + 1U;

	refuse(c, &c->slots[done], error);
	for (uint32_t i = next; i < c->buffer->nr; i++)
		pvb_xen_entries(c)[i].answer = 0;
	while (c->nr_frozen && c->frozen[c->nr_frozen - 1] >= done)
		c->nr_frozen--;
	return (struct pvb_xen_position){ .entry = next };
}

struct pvb_xen_position pvb_xen_issue(const struct pvb_xen *x, struct pvb_xen_cpu *c,
				      struct pvb_xen_position end)
{
	uint32_t nr = c->buffer->nr;
	uint32_t nr_flush = make_flush(c);
	bool flushed = end.entry == nr && !c->nr_frozen;
	int64_t error = 0;
	uint32_t done;

	done = multicall(x, c, c->first, c->nr_slots, flushed ? nr_flush : 0, &error);
	for (uint32_t i = 0; i < done; i++)
		c->buffer->carried += c->slots[i].carried;
	if (done < c->nr_slots)
		end = cut(c, done, error);
	if (c->nr_frozen) {
		flushed = end.entry == nr;
		issue_second(x, c, flushed ? nr_flush : 0);
		/* A refusal ends the entry that was to be continued. */
		if (end.index && pvb_xen_entries(c)[end.entry].answer)
			end = (struct pvb_xen_position){ .entry = end.entry + 1 };
	}
	if (end.entry == nr && !flushed && nr_flush)
		(void)multicall(x, c, NULL, 0, nr_flush, &error);
	return end;
}
