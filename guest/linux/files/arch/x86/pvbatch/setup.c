// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest - before the first batch: the command line, negotiation with the host
 * (law 8), a buffer for each CPU, the pv-ops. The next stages are names.c and flush.c.
 *
 * The boot CPU does this as soon as the kernel knows that it runs on KVM, long before there
 * is memory to allocate: setup maps and unmaps thousands of pages to look for tables of the
 * firmware. Its per-CPU data move once after that (setup_per_cpu_areas()).
 */
#define pr_fmt(fmt) "pvbatch: " fmt

#include <linux/cpu.h>
#include <linux/kvm_para.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/workqueue.h>
#include <asm/paravirt.h>
#include <asm/tlbflush.h>

#include "pvbatch.h"

#define BUFFER_BYTES (4 * PAGE_SIZE) /* header and 510 entries */

DEFINE_STATIC_KEY_FALSE(pvbatch_key);
EXPORT_SYMBOL(pvbatch_key);
DEFINE_STATIC_KEY_FALSE(pvbatch_host_applies);

struct pvb_guest pvbatch_guest;
static enum pvb_mode wanted __ro_after_init = PVB_MODE_GUEST_APPLY;
static DEFINE_PER_CPU(void *, buffer);
static u8 boot_buffer[BUFFER_BYTES] __aligned(PAGE_SIZE);

static int __init parse_pvbatch(char *arg)
{
	if (!arg)
		return -EINVAL;
	if (!strcmp(arg, "off"))
		wanted = PVB_MODE_DIRECT;
	else if (!strcmp(arg, "on") || !strcmp(arg, "guest-apply"))
		wanted = PVB_MODE_GUEST_APPLY;
	else if (!strcmp(arg, "host-apply"))
		wanted = PVB_MODE_HOST_APPLY;
	else
		return -EINVAL;
	return 0;
}
early_param("pvbatch", parse_pvbatch);

static int64_t transport_call(void *ctx, enum pvb_call call, uint64_t a0, uint64_t a1)
{
	return kvm_hypercall2(PVB_HC_BASE + call, a0, a1);
}

static const struct pvb_transport transport = { .call = transport_call };

static pvb_gpa_t gpa_of(const volatile void *ptr)
{
	return pvb_gpa(__pa(ptr));
}

static uint64_t *pte_at(pvb_gpa_t gpa)
{
	return __va(pvb_gpa_raw(gpa));
}

/* An interrupt keeps away from what it may have interrupted, unless it was lent to it. */
static bool interrupted(void)
{
	return !in_task() && !this_cpu_read(pvbatch_cpu.lent);
}

/*
 * The host could not. A toggle of CR4.PGE makes it synchronise everything, feature or no
 * feature; the other CPUs are the caller's (flush_here() says so).
 */
static void own_flush(enum pvb_flush type, uint32_t flags, pvb_gva_t va, uint32_t pages)
{
	this_cpu_write(pvbatch_cpu.failed, true);
	native_flush_tlb_global();
}

static void stop(struct work_struct *work)
{
	static_branch_disable(&pvbatch_key);
}
static DECLARE_WORK(stop_work, stop);

static void lost(int64_t error)
{
	pr_info("the host withdrew its support (%lld): page tables are flushed as without it\n",
		error);
	schedule_work(&stop_work);
}

static const struct pvb_guest_ops guest_ops = {
	.gpa_of = gpa_of,
	.pte_at = pte_at,
	.in_interrupt = interrupted,
	.flush = own_flush,
	.lost = lost,
	/* Linux takes a page for clean only if D is clear, and keeps a dirty one at will. */
	.consents = PVB_F_DIRTY_AROUND,
};

static void install(void)
{
	pv_ops.mmu.set_pte = pvbatch_set_pte;
	if (wanted == PVB_MODE_HOST_APPLY) {
		pv_ops.mmu.lazy_mode.enter = pvbatch_lazy_enter;
		pv_ops.mmu.lazy_mode.leave = pvbatch_lazy_leave;
		pv_ops.mmu.lazy_mode.flush = pvbatch_lazy_flush;
		pv_ops.cpu.start_context_switch = pvbatch_host_start_switch;
		pv_ops.cpu.end_context_switch = pvbatch_host_end_switch;
		static_branch_enable(&pvbatch_host_applies);
	} else {
		pv_ops.mmu.flush_tlb_user = pvbatch_flush_tlb_local;
		pv_ops.mmu.flush_tlb_kernel = pvbatch_flush_tlb_global;
		pv_ops.mmu.flush_tlb_one_user = pvbatch_flush_tlb_one;
		pv_ops.cpu.start_context_switch = pvbatch_start_context_switch;
	}
	static_branch_enable(&pvbatch_key);
}

/* Tell the host where this CPU's batches are. 0 or -PVB_E*. */
static int register_buffer(void *buffer)
{
	struct pvbatch_cpu *p = this_cpu_ptr(&pvbatch_cpu);
	int err = pvb_cpu_init(&pvbatch_guest, &p->core, buffer, BUFFER_BYTES);

	if (err)
		pr_info("CPU %d works without: the host answers %d\n", smp_processor_id(), err);
	return err;
}

void __init pvbatch_init(void)
{
	static struct pvb_negotiate scratch __initdata __aligned(64);
	int err;

	if (wanted == PVB_MODE_DIRECT) {
		pr_info("off, as the command line says\n");
		return;
	}
	err = pvb_guest_init(&pvbatch_guest, &transport, &guest_ops, wanted, &scratch);
	if (err) {
		/* The usual case: no such host, or one with nested paging. */
		if (err != -PVB_ENOSYS)
			pr_info("not used: the host answers %d\n", err);
		return;
	}
	if (register_buffer(boot_buffer))
		return;
	pr_info("%s, %u entries a call\n",
		wanted == PVB_MODE_HOST_APPLY ? "the host applies" :
						"the guest applies, the host synchronises",
		this_cpu_ptr(&pvbatch_cpu)->core.capacity);
	install();
}

/* The boot CPU's data are in their final place, and so are copies of them for all others. */
static void __init prepare_others(void)
{
	unsigned int cpu;

	this_cpu_write(buffer, boot_buffer);
	for_each_possible_cpu(cpu) {
		if (cpu == smp_processor_id())
			continue;
		memset(per_cpu_ptr(&pvbatch_cpu, cpu), 0, sizeof(struct pvbatch_cpu));
		per_cpu(buffer, cpu) = memblock_alloc(BUFFER_BYTES, PAGE_SIZE);
	}
}

void __ref pvbatch_cpu_up(void)
{
	if (pvbatch_guest.mode == PVB_MODE_DIRECT)
		return;
	if (!this_cpu_read(buffer))
		prepare_others();
	if (this_cpu_read(pvbatch_cpu.core.mode) == PVB_MODE_DIRECT)
		(void)register_buffer(this_cpu_read(buffer));
}

void pvbatch_cpu_down(void)
{
	struct pvbatch_cpu *p = this_cpu_ptr(&pvbatch_cpu);

	if (p->core.mode == PVB_MODE_DIRECT)
		return;
	pvbatch_drain(p, PVB_REASON_FLUSH, false);
	pvb_cpu_exit(&p->core);
}
