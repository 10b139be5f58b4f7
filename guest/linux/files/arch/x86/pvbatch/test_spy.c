// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest, tests - the spy: stands between the kernel and the host, at the one
 * place where all calls pass, and writes down what is said. It can also answer itself, as a
 * host would that is busy or gone.
 *
 * Built with the KUnit tests only. Nothing in the kernel asks whether it is there: it takes
 * the transport's place, which is possible until the kernel's data become read-only at the
 * end of boot.
 */
#include <linux/kernel.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

#include "test.h"

static struct spy *spy;
static DEFINE_RAW_SPINLOCK(spy_lock);
static int64_t (*to_host)(void *ctx, enum pvb_call call, uint64_t a0, uint64_t a1);

static void write_down_runs(struct spied *s)
{
	const struct pvb_batch_hdr *hdr = this_cpu_ptr(&pvbatch_cpu)->core.buffer;
	const struct pvb_entry *entry = (const struct pvb_entry *)(hdr + 1);
	u32 i;

	s->flush = hdr->flush;
	s->first = spy->nr_runs;
	for (i = hdr->start; i < hdr->nr; i++) {
		if (spy->nr_runs == SPY_RUNS) {
			spy->full = true;
			return;
		}
		spy->runs[spy->nr_runs++] = entry[i];
		s->nr++;
	}
}

static struct spied *write_down(enum pvb_call call, u64 a0, u64 a1)
{
	struct spied *s;

	if (spy->nr_calls == SPY_CALLS) {
		spy->full = true;
		return NULL;
	}
	s = &spy->calls[spy->nr_calls++];
	*s = (struct spied){
		.call = call,
		.cpu = smp_processor_id(),
		.in_task = in_task(),
		.a0 = a0,
		.a1 = a1,
	};
	if (call == PVB_CALL_SUBMIT)
		write_down_runs(s);
	return s;
}

static s64 answer(enum pvb_call call, u64 a0, u64 a1, enum spy_host host)
{
	bool ends = call == PVB_CALL_REGISTER && !a1;

	if (host == SPY_GONE && !ends)
		return -PVB_EPERM;
	if (host == SPY_BUSY && call == PVB_CALL_SUBMIT)
		return -PVB_EAGAIN;
	return to_host(NULL, call, a0, a1);
}

/* In any context, as the transport is. Not locked while the host answers. */
static int64_t spied_call(void *ctx, enum pvb_call call, uint64_t a0, uint64_t a1)
{
	void (*meanwhile)(void) = NULL;
	enum spy_host host = SPY_HOST;
	struct spied *s = NULL;
	unsigned long flags;
	s64 result;

	raw_spin_lock_irqsave(&spy_lock, flags);
	if (spy) {
		host = spy->host;
		if (host == SPY_BUSY && !cpumask_test_cpu(smp_processor_id(), &spy->cpus))
			host = SPY_HOST;
		s = write_down(call, a0, a1);
		if (call == PVB_CALL_SUBMIT && in_task())
			swap(meanwhile, spy->meanwhile);
	}
	raw_spin_unlock_irqrestore(&spy_lock, flags);
	result = answer(call, a0, a1, host);
	raw_spin_lock_irqsave(&spy_lock, flags);
	if (spy && s)
		s->result = result;
	raw_spin_unlock_irqrestore(&spy_lock, flags);
	if (meanwhile)
		meanwhile();
	return result;
}

struct spy *spy_begin(struct kunit *test, enum pvb_mode mode)
{
	struct spy *s;

	if (!pvbatch_on() || pvbatch_guest.mode != mode)
		kunit_skip(test, "not in this mode");
	if (system_state >= SYSTEM_FREEING_INITMEM)
		kunit_skip(test, "only at boot: the kernel's data are read-only");
	s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s);
	cpumask_copy(&s->cpus, cpu_possible_mask);
	raw_spin_lock_irq(&spy_lock);
	spy = s;
	raw_spin_unlock_irq(&spy_lock);
	to_host = pvbatch_transport.call;
	WRITE_ONCE(pvbatch_transport.call, spied_call);
	return s;
}

void spy_end(void)
{
	if (!spy)
		return;
	WRITE_ONCE(pvbatch_transport.call, to_host);
	raw_spin_lock_irq(&spy_lock);
	spy = NULL;
	raw_spin_unlock_irq(&spy_lock);
}

void spy_clear(struct spy *s)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&spy_lock, flags);
	s->nr_calls = 0;
	s->nr_runs = 0;
	s->full = false;
	raw_spin_unlock_irqrestore(&spy_lock, flags);
}

unsigned int spy_batches_here(struct spy *s, const struct spied **last)
{
	unsigned int i, count = 0;
	unsigned long flags;

	raw_spin_lock_irqsave(&spy_lock, flags);
	for (i = 0; i < s->nr_calls; i++) {
		const struct spied *c = &s->calls[i];

		if (c->call != PVB_CALL_SUBMIT || c->cpu != smp_processor_id() || !c->in_task)
			continue;
		count++;
		if (last)
			*last = c;
	}
	raw_spin_unlock_irqrestore(&spy_lock, flags);
	return count;
}

static bool names(const struct pvb_entry *run, u64 gpa)
{
	return gpa >= run->pte_gpa && gpa < run->pte_gpa + run->nr * sizeof(u64);
}

int spy_named(struct spy *s, const pte_t *pte, unsigned int *times)
{
	unsigned int i, run, count = 0;
	u64 gpa = __pa(pte);
	unsigned long flags;
	int first = -1;

	raw_spin_lock_irqsave(&spy_lock, flags);
	for (i = 0; i < s->nr_calls; i++) {
		const struct spied *c = &s->calls[i];

		for (run = c->first; run < c->first + c->nr; run++) {
			if (!names(&s->runs[run], gpa))
				continue;
			if (!count++)
				first = i;
		}
	}
	raw_spin_unlock_irqrestore(&spy_lock, flags);
	if (times)
		*times = count;
	return first;
}

int spy_first(struct spy *s, enum pvb_call call, int after)
{
	int i, first = -1;
	unsigned long flags;

	raw_spin_lock_irqsave(&spy_lock, flags);
	for (i = after + 1; i < (int)s->nr_calls && first < 0; i++)
		if (s->calls[i].call == call)
			first = i;
	raw_spin_unlock_irqrestore(&spy_lock, flags);
	return first;
}
