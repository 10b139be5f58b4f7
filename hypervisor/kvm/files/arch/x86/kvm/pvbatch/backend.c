// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: in-kernel KVM, between the engine and the MMU: guest memory, the runs that
 * changed, the flush.
 *
 * Before: the engine. After: mmu_sync.h. All callbacks run on the vCPU's thread, inside
 * an exit, with kvm->srcu held for reading.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kvm_host.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "internal.h"
#include "mmu.h"
#include "x86.h"
#include "pvb_trace.h"

static struct kvm_pvb_vcpu *to_pvb(void *ctx)
{
	return ((struct kvm_vcpu *)ctx)->arch.pvb;
}

/*
 * find_page() - have v->page describe the page of guest memory that holds @gpa: a batch is
 * read and answered in pieces that mostly lie in one page, the registered one, which is
 * looked up again only when memslots change. False: it is not writable memory.
 */
static bool find_page(struct kvm_vcpu *vcpu, gpa_t gpa)
{
	struct kvm_pvb_page *page = &vcpu->arch.pvb->page;
	struct kvm_memslots *slots = kvm_memslots(vcpu->kvm);
	gfn_t gfn = gpa_to_gfn(gpa);
	bool writable = false;

	if (likely(page->slot && page->gfn == gfn && page->generation == slots->generation))
		return true;
	page->slot = gfn_to_memslot(vcpu->kvm, gfn);
	page->gfn = gfn;
	page->generation = slots->generation;
	if (kvm_is_visible_memslot(page->slot))
		page->hva = gfn_to_hva_memslot_prot(page->slot, gfn, &writable);
	if (!writable || kvm_is_error_hva(page->hva))
		page->slot = NULL;
	return page->slot;
}

/*
 * read_guest() - header and entries are whole words at multiples of 8 in one page, and
 * copied as such; what is not goes the long way.
 */
static int read_guest(void *ctx, pvb_gpa_t at, void *dst, uint32_t bytes)
{
	struct kvm_vcpu *vcpu = ctx;
	gpa_t gpa = pvb_gpa_raw(at);
	const u64 __user *from;
	u64 *to = dst;
	u32 i;

	if (unlikely((gpa | bytes) % sizeof(u64) || offset_in_page(gpa) + bytes > PAGE_SIZE ||
		     !find_page(vcpu, gpa)))
		return kvm_vcpu_read_guest(vcpu, gpa, dst, bytes) ? -PVB_EFAULT : 0;

	from = (const u64 __user *)(vcpu->arch.pvb->page.hva + offset_in_page(gpa));
	if (!user_read_access_begin(from, bytes))
		return -PVB_EFAULT;
	for (i = 0; i < bytes / sizeof(u64); i++)
		unsafe_get_user(to[i], &from[i], fault);
	user_read_access_end();
	return 0;
fault:
	user_read_access_end();
	return -PVB_EFAULT;
}

/* put_guest() - write an answer (2 bytes) or whole words. The page has been found. */
static bool put_guest(void __user *at, const void *src, uint32_t bytes)
{
	const u64 *from = src;
	u64 __user *to = at;
	u32 i;

	if (!user_write_access_begin(at, bytes))
		return false;
	if (bytes == sizeof(u16)) {
		unsafe_put_user(*(const u16 *)src, (u16 __user *)at, fault);
	} else {
		for (i = 0; i < bytes / sizeof(u64); i++)
			unsafe_put_user(from[i], &to[i], fault);
	}
	user_write_access_end();
	return true;
fault:
	user_write_access_end();
	return false;
}

static int write_guest(void *ctx, pvb_gpa_t at, const void *src, uint32_t bytes)
{
	struct kvm_vcpu *vcpu = ctx;
	struct kvm_pvb_page *page = &to_pvb(ctx)->page;
	gpa_t gpa = pvb_gpa_raw(at);
	u32 size = bytes == sizeof(u16) ? sizeof(u16) : sizeof(u64);

	if (unlikely((gpa | bytes) % size || offset_in_page(gpa) + bytes > PAGE_SIZE ||
		     !find_page(vcpu, gpa)))
		return kvm_vcpu_write_guest(vcpu, gpa, src, bytes) ? -PVB_EFAULT : 0;
	if (!put_guest((void __user *)(page->hva + offset_in_page(gpa)), src, bytes))
		return -PVB_EFAULT;
	mark_page_dirty_in_slot(vcpu->kvm, page->slot, page->gfn);
	return 0;
}

/* owned() - is @table part of the registered buffer of any vCPU? */
static bool owned(struct kvm *kvm, pvb_gpa_t table)
{
	struct kvm_pvb *pvb = kvm->arch.pvb;
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		struct kvm_pvb_vcpu *v = smp_load_acquire(&vcpu->arch.pvb);

		if (v && READ_ONCE(v->generation) == READ_ONCE(pvb->generation) &&
		    pvb_engine_owns_page(&v->engine, table))
			return true;
	}
	return false;
}

/*
 * map_table() - the guest page at @table for host-apply's compare-and-exchange.
 *
 * kvm_vcpu_map() takes a reference and maps for writing: holes, read-only memslots and
 * what is not memory are refused. The page is pinned only until unmap_table(), inside
 * this call, under kvm->srcu: memslots cannot go away, and an MMU notifier that unmaps
 * it meanwhile leaves us the old page, as it would any other access in flight.
 */
static enum pvb_status map_table(void *ctx, pvb_gpa_t table, uint64_t **ptes)
{
	struct kvm_vcpu *vcpu = ctx;
	struct kvm_pvb_vcpu *v = to_pvb(ctx);

	if (owned(vcpu->kvm, table))
		return PVB_ST_DENIED;
	if (kvm_vcpu_map(vcpu, gpa_to_gfn(pvb_gpa_raw(table)), &v->map))
		return PVB_ST_BAD_GPA;
	*ptes = v->map.hva;
	return PVB_ST_OK;
}

/* unmap_table() - also marks the page dirty, in dirty logs and for the host's own mm. */
static void unmap_table(void *ctx, pvb_gpa_t table, uint64_t *ptes)
{
	kvm_vcpu_unmap(ctx, &to_pvb(ctx)->map, true);
}

/*
 * check_table() - is @table guest memory, for entries that the guest has changed itself?
 * The MMU finds by its gfn what shadows it, and reads it through the VMM's mapping.
 */
static enum pvb_status check_table(void *ctx, pvb_gpa_t table)
{
	struct kvm_memory_slot *slot = kvm_vcpu_gfn_to_memslot(ctx, gpa_to_gfn(pvb_gpa_raw(table)));

	return kvm_is_visible_memslot(slot) ? PVB_ST_OK : PVB_ST_BAD_GPA;
}

/* drain() - synchronise what is collected. Afterwards no vCPU uses what that has lowered. */
static void drain(struct kvm_vcpu *vcpu)
{
	struct kvm_pvb_vcpu *v = vcpu->arch.pvb;

	if (!v->nr_runs)
		return;
	v->flushed = kvm_pvb_sync_runs(vcpu, v->runs, v->nr_runs);
	v->nr_runs = 0;
	v->nr_ptes = 0;
}

/* changed() - collect a run; runs of many tables share one lock and one TLB flush. */
static void changed(void *ctx, const struct pvb_changed_run *run)
{
	struct kvm_pvb_vcpu *v = to_pvb(ctx);

	v->runs[v->nr_runs++] = (struct kvm_pvb_run){
		.gfn = gpa_to_gfn(pvb_gpa_raw(run->table)),
		.first = run->first,
		.nr = run->nr,
	};
	v->nr_ptes += run->nr;
	v->named = true;
	v->flushed = false;
	if (v->nr_runs == PVB_RUNS || v->nr_ptes >= PVB_RUN_PTES)
		drain(ctx);
}

/* Longer local ranges are cheaper as a flush of everything. */
#define LOCAL_RANGE_MAX 32

/*
 * flush_local() - the calling vCPU's TLB alone. What the shadow MMU itself needs flushed
 * is flushed by now, so that this is about permissions that were raised, no more.
 */
static void flush_local(struct kvm_vcpu *vcpu, const struct pvb_flush_req *req)
{
	u32 i;

	vcpu_clear_mmio_info(vcpu, MMIO_GVA_ANY);
	if (req->type != PVB_FLUSH_RANGE || req->pages > LOCAL_RANGE_MAX) {
		kvm_make_request(KVM_REQ_TLB_FLUSH, vcpu);
		return;
	}
	for (i = 0; i < req->pages; i++) {
		u64 gva = pvb_gva_raw(req->va) + i * PVB_PAGE_SIZE;

		if (!is_noncanonical_invlpg_address(gva, vcpu))
			kvm_x86_call(flush_tlb_gva)(vcpu, gva);
	}
}

static void flush(void *ctx, const struct pvb_flush_req *req)
{
	struct kvm_vcpu *vcpu = ctx;
	struct kvm_pvb_vcpu *v = to_pvb(ctx);

	drain(vcpu);
	trace_kvm_pvb_flush(vcpu->vcpu_id, req->type, req->local, pvb_gva_raw(req->va), req->pages,
			    v->flushed);
	++vcpu->stat.pvb_flushes;
	/* A guest that cannot say what it changed. */
	if (!v->named && req->type == PVB_FLUSH_ALL)
		kvm_pvb_sync_everything(vcpu);
	if (v->flushed) /* by the drain: all vCPUs, everything */
		vcpu_clear_mmio_info(vcpu, MMIO_GVA_ANY);
	else if (req->local || atomic_read(&vcpu->kvm->online_vcpus) == 1)
		flush_local(vcpu, req);
	else
		kvm_flush_remote_tlbs(vcpu->kvm);
	v->flushed |= req->type == PVB_FLUSH_ALL && !req->local;
}

/*
 * kvm_pvb_finish() - the call is over. In guest-apply mode what was named is flushed with it,
 * whatever flush the batch has carried: the guest will not ask again (docs/linux.md).
 *
 * That the drain has lowered nothing does not say that the TLBs hold nothing: KVM may have
 * synchronised the entry before, when the table was linked, and left the flush to the guest.
 */
void kvm_pvb_finish(struct kvm_vcpu *vcpu)
{
	struct kvm_pvb_vcpu *v = vcpu->arch.pvb;

	drain(vcpu);
	if (v->named && !v->flushed && kvm_pvb_names_changes(vcpu))
		kvm_flush_remote_tlbs(vcpu->kvm);
}

/* should_yield() - end the call when the vCPU's thread has something else to do. */
static bool should_yield(void *ctx)
{
	struct kvm_vcpu *vcpu = ctx;

	if (need_resched()) {
		drain(vcpu);
		cond_resched();
	}
	return signal_pending(current);
}

static void stats(void *ctx, struct pvb_host_stats *sum)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, ((struct kvm_vcpu *)ctx)->kvm) {
		struct kvm_pvb_vcpu *v = smp_load_acquire(&vcpu->arch.pvb);

		if (v)
			pvb_stats_add(sum, &v->engine.stats);
	}
}

const struct pvb_backend kvm_pvb_backend = {
	.read_guest = read_guest,
	.write_guest = write_guest,
	.map_table = map_table,
	.unmap_table = unmap_table,
	.check_table = check_table,
	.changed = changed,
	.flush = flush,
	.should_yield = should_yield,
	.stats = stats,
};
