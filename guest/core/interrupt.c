// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Stage: guest core - around the queue: a context that may have interrupted one in the
 * middle of queueing or submitting, on the same CPU.
 *
 * It cannot touch the queue, and a CPU has but one registered buffer. It needs only the
 * head of it, though, and what it interrupted stands still meanwhile: so it saves the
 * header and the first entry, makes its one call, and puts them back. The host looks at
 * the buffer during a call only.
 */
#include "internal.h"

struct borrowed {
	struct pvb_batch_hdr hdr;
	struct pvb_entry entry;
};

static int64_t call_borrowed(struct pvb_cpu *c, const struct pvb_entry *entry,
			     const struct pvb_flush_arg *flush)
{
	struct borrowed *head = (struct borrowed *)c->buffer;
	struct borrowed saved = *head;
	struct pvb_guest_stats *stats = &c->irq_stats;
	uint64_t calls = stats->calls;
	uint64_t partial = stats->partial;
	uint64_t retries = stats->retries;
	uint32_t start, skip;
	int64_t r;

	if (entry)
		head->entry = *entry;
	r = pvb_call_submit(c, stats, flush, !!entry, &start, &skip);
	if (!r && entry && pvb_answer_status(head->entry.answer) != PVB_ST_OK)
		r = -PVB_EAGAIN;
	stats->irq_calls += stats->calls - calls;
	stats->calls = calls;
	stats->partial = partial;
	stats->retries = retries;
	*head = saved;
	return r;
}

void pvb_interrupt_changed(struct pvb_cpu *c, uint64_t *ptep, uint32_t nr)
{
	const struct pvb_flush_arg none = { .type = PVB_FLUSH_NONE };
	const struct pvb_flush_arg all = { .type = PVB_FLUSH_ALL };
	struct pvb_entry entry = {
		.pte_gpa = pvb_gpa_raw(c->guest->ops->gpa_of(ptep)),
		.nr = (uint16_t)nr,
		.op = PVB_OP_CHANGED,
	};

	if (!call_borrowed(c, &entry, &none)) {
		c->irq_stats.synced += nr;
		return;
	}
	/* Whether the host is lost for good is found out where the queue is submitted. */
	c->irq_stats.unsynced += nr;
	pvb_own_flush(c, &c->irq_stats, &all);
}

void pvb_interrupt_flush(struct pvb_cpu *c, const struct pvb_flush_arg *flush)
{
	if (!(c->guest->features & PVB_F_FLUSH) || call_borrowed(c, NULL, flush))
		pvb_own_flush(c, &c->irq_stats, flush);
	else
		c->irq_stats.flushes++;
}
