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

/* The one way to the host. KUnit puts itself in between, at boot (test_spy.c). */
struct pvb_transport pvbatch_transport __ro_after_init = { .call = transport_call };

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

static const struct pvb_guest_ops guest_ops = {
	.gpa_of = gpa_of,
	.pte_at = pte_at,
	.in_interrupt = interrupted,
	.flush = own_flush,
	.lost = pvbatch_lost,
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
		pv_ops.mmu.exit_mmap = pvbatch_exit_mmap;
		pv_ops.cpu.start_context_switch = pvbatch_start_context_switch;
	}
	static_branch_enable(&pvbatch_key);
}

static int register_buffer(struct pvbatch_cpu *p, void *buffer)
{
	int err;

	pvbatch_keep_stats(p);
	err = pvb_cpu_init(&pvbatch_guest, &p->core, buffer, BUFFER_BYTES);
	if (err)
		pr_info("CPU %d: the host answers %d\n", smp_processor_id(), err);
	else if (p->core.mode == PVB_MODE_GUEST_APPLY)
		cpumask_set_cpu(smp_processor_id(), &pvbatch_promised);
	return err;
}

/* From an interrupt, too: what that has interrupted finds the host gone. */
void pvbatch_unregister(struct pvbatch_cpu *p)
{
	p->core.mode = PVB_MODE_DIRECT;
	if (p->core.buffer)
		pvbatch_transport.call(NULL, PVB_CALL_REGISTER, __pa(p->core.buffer), 0);
	cpumask_clear_cpu(smp_processor_id(), &pvbatch_promised);
}

void pvbatch_forget_names(struct pvbatch_cpu *p)
{
	p->next = NULL;
	p->must = false;
	p->raised = 0;
	p->pending = NULL;
	cpumask_clear_cpu(smp_processor_id(), &pvbatch_pending);
}

/*
 * What this CPU has changed and not named, and what flush of it is on its way by the
 * kernel's own means, its vCPU's promise would make void: a flush of everything covers it.
 */
int pvbatch_register(void)
{
	struct pvbatch_cpu *p = this_cpu_ptr(&pvbatch_cpu);
	int err;

	pvbatch_forget_names(p);
	err = register_buffer(p, this_cpu_read(buffer));
	if (!err && p->core.mode == PVB_MODE_GUEST_APPLY)
		pvb_flush_all(&p->core, 0);
	return err;
}

int pvbatch_negotiate(void)
{
	static struct pvb_negotiate scratch __aligned(64);

	return pvb_guest_init(&pvbatch_guest, &pvbatch_transport, &guest_ops, wanted, &scratch);
}

void __init pvbatch_init(void)
{
	int err;

	if (wanted == PVB_MODE_DIRECT) {
		pr_info("off, as the command line says\n");
		return;
	}
	err = pvbatch_negotiate();
	if (err) {
		/* The usual case: no such host, or one with nested paging. */
		if (err != -PVB_ENOSYS)
			pr_info("not used: the host answers %d\n", err);
		return;
	}
	if (register_buffer(this_cpu_ptr(&pvbatch_cpu), boot_buffer)) {
		/* Nor later: who registers without the pv-ops promises what it does not keep. */
		pvbatch_guest.mode = PVB_MODE_DIRECT;
		return;
	}
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

/*
 * All CPUs or none: who is not registered cannot name what it changes, and those who are
 * would not be served by its flushes.
 */
void __ref pvbatch_cpu_up(void)
{
	int err;

	if (pvbatch_guest.mode == PVB_MODE_DIRECT)
		return;
	if (!this_cpu_read(buffer))
		prepare_others();
	if (this_cpu_read(pvbatch_cpu.core.mode) != PVB_MODE_DIRECT)
		return;
	err = pvbatch_register();
	if (!err)
		return;
	/* After suspend to RAM, for one: the boot CPU's reset has ended what was negotiated. */
	WRITE_ONCE(pvbatch_guest.mode, PVB_MODE_DIRECT);
	if (!xchg(&pvbatch_guest.lost, 1))
		pvbatch_lost(err);
}

/* Is something of the host's to write still in the queue, or on its way there? */
static bool host_has_to_write(const struct pvb_cpu *c)
{
	return c->mode == PVB_MODE_HOST_APPLY && (c->lazy || c->nr || c->submitting);
}

/*
 * At a shutdown this may have interrupted anything, the use of the queue too, which goes on
 * afterwards and finds that there is no host: names are left to the flush with which the
 * host ends a promise. What the host has to write in host-apply mode cannot be left; then
 * the registration stays. It harms no kernel that comes after this one: host-apply mode
 * promises nothing, and the host looks at the buffer in calls only.
 */
void pvbatch_cpu_down(bool shutdown)
{
	struct pvbatch_cpu *p = this_cpu_ptr(&pvbatch_cpu);

	if (!shutdown && p->core.mode != PVB_MODE_DIRECT)
		pvbatch_drain(p, PVB_REASON_FLUSH, false);
	if (!host_has_to_write(&p->core))
		pvbatch_unregister(p);
}
