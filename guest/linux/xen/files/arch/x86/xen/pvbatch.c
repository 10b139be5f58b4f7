// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux guest on Xen PV - changes of page-table entries as queued mmu_updates.
 * Before: the helpers in asm/pvbatch_xen_ptes.h, and the pv-ops. After: multicalls.c, whose
 * queue goes to Xen when lazy MMU mode is left.
 *
 * Xen has two requests: a plain store, and one that adds the A and D of the moment
 * (PRESERVE_AD). Each is used where it is exact whatever hardware does between the reading
 * here and the exchange there; where neither is, the entry is changed by a locked
 * instruction, which traps and is emulated. docs/xen.md has the proof.
 */
#define pr_fmt(fmt) "pvbatch: " fmt

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/seq_file.h>

#include <xen/features.h>
#include <xen/interface/xen.h>
#include <xen/page.h>
#include <xen/xen.h>
#include <asm/xen/hypercall.h>
#include <asm/xen/page.h>

#include "xen-ops.h"
#include "pvbatch.h"

#define AD (_PAGE_ACCESSED | _PAGE_DIRTY)

DEFINE_STATIC_KEY_FALSE(xen_pvbatch);
EXPORT_SYMBOL(xen_pvbatch);
DEFINE_PER_CPU(struct xen_pvbatch_table, xen_pvbatch_table);
DEFINE_PER_CPU(struct xen_pvbatch_stats, xen_pvbatch_stats);

static bool wanted __initdata = true;

static int __init parse_pvbatch(char *arg)
{
	/* What else the word may mean is for KVM's side to say (arch/x86/pvbatch/setup.c). */
	if (arg && !strcmp(arg, "off"))
		wanted = false;
	return 0;
}
early_param("pvbatch", parse_pvbatch);

static int __init xen_pvbatch_init(void)
{
	if (!xen_pv_domain())
		return 0;
	if (!wanted) {
		pr_info("off, as the command line says\n");
		return 0;
	}
	/* Its bookkeeping wants every entry that is cleared. */
	if (IS_ENABLED(CONFIG_PAGE_TABLE_CHECK))
		return 0;
	if (!xen_feature(XENFEAT_mmu_pt_update_preserve_ad)) {
		pr_info("not used: this Xen does not preserve A and D\n");
		return 0;
	}
	WRITE_ONCE(xen_mc_args_limit, XEN_PVBATCH_MC_ARGS);
	static_branch_enable(&xen_pvbatch);
	pr_info("runs of entries go to Xen in multicalls of up to %u\n",
		(unsigned int)(XEN_PVBATCH_MC_ARGS / sizeof(struct mmu_update) - 1));
	return 0;
}
early_initcall(xen_pvbatch_init);

/* Requests for entries of one table, interrupts off. */
struct run {
	u64 machine; /* address of the run's first entry */
	u8 masked; /* interrupts, before */
};

/*
 * local_irq_save() and local_irq_restore() without pv-ops. Xen's virtual interrupt mask is
 * the CPU's own memory.
 */
static __always_inline u8 mask_interrupts(void)
{
	struct vcpu_info *vcpu;
	u8 masked;

	preempt_disable();
	vcpu = this_cpu_read(xen_vcpu);
	masked = vcpu->evtchn_upcall_mask;
	vcpu->evtchn_upcall_mask = 1;
	barrier();
	preempt_enable_no_resched();
	return masked;
}

static __always_inline void unmask_interrupts(u8 masked)
{
	struct vcpu_info *vcpu;

	if (masked)
		return;
	preempt_disable();
	vcpu = this_cpu_read(xen_vcpu);
	vcpu->evtchn_upcall_mask = 0;
	barrier(); /* unmask, then look, or what comes in between is not noticed */
	if (unlikely(vcpu->evtchn_upcall_pending))
		xen_force_evtchn_callback();
	preempt_enable();
}

/* Returns false, with nothing begun, if Xen does not guard the table. */
static __always_inline bool run_begin(struct run *run, const pte_t *ptep)
{
	unsigned long table = (unsigned long)ptep & PAGE_MASK;

	run->masked = mask_interrupts();
	if (unlikely(__this_cpu_read(xen_pvbatch_table.address) != table)) {
		if (!xen_page_pinned((void *)ptep)) {
			unmask_interrupts(run->masked);
			return false;
		}
		__this_cpu_write(xen_pvbatch_table.machine, virt_to_machine((void *)table).maddr);
		__this_cpu_write(xen_pvbatch_table.address, table);
	}
	run->machine = __this_cpu_read(xen_pvbatch_table.machine) |
		       ((unsigned long)ptep & ~PAGE_MASK);
	return true;
}

static __always_inline void run_add(const struct run *run, unsigned int i, unsigned int command,
				    pteval_t val)
{
	xen_mc_add_mmu_update((run->machine + i * sizeof(pte_t)) | command, val);
}

static __always_inline void run_end(const struct run *run, unsigned int nr)
{
	__this_cpu_add(xen_pvbatch_stats.queued, nr);
	/* xen_get_lazy_mode(), of which an interrupt has none */
	if (unlikely(__this_cpu_read(xen_lazy_mode) != XEN_LAZY_MMU || in_interrupt()))
		xen_mc_flush();
	unmask_interrupts(run->masked);
}

/* The A and D that hardware can still set in @pte. */
static __always_inline pteval_t settable(pte_t pte)
{
	return AD & ~pte.pte & ~(pte.pte & _PAGE_RW ? 0 : _PAGE_DIRTY);
}

pte_t xen_pvbatch_modify(pte_t pte, pgprot_t prot)
{
	pteval_t val = (pte.pte & _PAGE_CHG_MASK) | (check_pgprot(prot) & ~_PAGE_CHG_MASK);
	pte_t result = native_make_pte(val);

	return pte.pte & _PAGE_RW ? pte_mksaveddirty(result) : pte_clear_saveddirty(result);
}
EXPORT_SYMBOL(xen_pvbatch_modify);

bool xen_pvbatch_set_pte(pte_t *ptep, pte_t pte)
{
	struct run run;

	if (!xen_page_pinned(ptep)) {
		/* A table that is not pinned yet, as a forked child's, is plain memory. */
		raw_cpu_inc(xen_pvbatch_stats.plain);
		WRITE_ONCE(*ptep, pte);
		return true;
	}
	/* One alone costs less as a call of its own. */
	if (xen_get_lazy_mode() != XEN_LAZY_MMU || !run_begin(&run, ptep))
		return false;
	run_add(&run, 0, MMU_NORMAL_PT_UPDATE, pte_val_ma(pte));
	run_end(&run, 1);
	return true;
}

bool xen_pvbatch_wrprotect(pte_t *ptep, unsigned int nr)
{
	struct run run;
	unsigned int i;

	if (!run_begin(&run, ptep))
		return false;
	for (i = 0; i < nr; i++) {
		pte_t pte = READ_ONCE(ptep[i]);

		/* Nothing is cleared that hardware sets: PRESERVE_AD is exact. */
		if (pte_flags(pte) & _PAGE_RW)
			run_add(&run, i, MMU_PT_UPDATE_PRESERVE_AD,
				pte_val_ma(pte_clear_flags(pte, _PAGE_RW)));
	}
	run_end(&run, nr);
	return true;
}
EXPORT_SYMBOL(xen_pvbatch_wrprotect);

/*
 * An entry that userfaultfd guards is looked at once more after it has been cleared
 * (pte_install_uffd_wp_if_needed()). The entries of a run are alike in that.
 */
bool xen_pvbatch_clear(pte_t *ptep, unsigned int nr)
{
	struct run run;
	unsigned int i;

	if (pte_uffd_wp(READ_ONCE(*ptep)) || !run_begin(&run, ptep))
		return false;
	for (i = 0; i < nr; i++)
		run_add(&run, i, MMU_NORMAL_PT_UPDATE, 0);
	run_end(&run, nr);
	return true;
}
EXPORT_SYMBOL(xen_pvbatch_clear);

pte_t xen_pvbatch_get_and_clear(pte_t *ptep)
{
	pte_t old = READ_ONCE(*ptep);
	struct run run;

	if (!pte_present(old) || settable(old) || pte_uffd_wp(old) || !run_begin(&run, ptep))
		return native_make_pte(0);
	run_add(&run, 0, MMU_NORMAL_PT_UPDATE, 0);
	run_end(&run, 1);
	return old;
}
EXPORT_SYMBOL(xen_pvbatch_get_and_clear);

/* What is not cleared has to survive: an entry in which hardware can still set it, traps. */
static void clean_trapping(pte_t *ptep, pteval_t clear)
{
	pte_t old = READ_ONCE(*ptep), new;

	__this_cpu_inc(xen_pvbatch_stats.trapped);
	do {
		new = pte_clear_flags(old, clear);
	} while (!try_cmpxchg((long *)&ptep->pte, (long *)&old, *(long *)&new));
}

bool xen_pvbatch_clean(pte_t *ptep, unsigned int nr, pteval_t clear)
{
	struct run run;
	unsigned int i;

	if (!run_begin(&run, ptep))
		return false;
	for (i = 0; i < nr; i++) {
		pte_t pte = READ_ONCE(ptep[i]);

		if (!(pte_flags(pte) & clear))
			continue;
		if (settable(pte) & ~clear)
			clean_trapping(&ptep[i], clear);
		else
			run_add(&run, i, MMU_NORMAL_PT_UPDATE,
				pte_val_ma(pte_clear_flags(pte, clear)));
	}
	run_end(&run, nr);
	return true;
}
EXPORT_SYMBOL(xen_pvbatch_clean);

bool xen_pvbatch_clear_young(pte_t *ptep, int *young)
{
	pte_t pte = READ_ONCE(*ptep);
	struct run run;

	*young = !!pte_young(pte);
	if (!*young)
		return true;
	if (settable(pte) || !run_begin(&run, ptep))
		return false;
	run_add(&run, 0, MMU_NORMAL_PT_UPDATE, pte_val_ma(pte_mkold(pte)));
	run_end(&run, 1);
	return true;
}

/*
 * The A/D law for a commit that cleans: PRESERVE_AD would leave set what it means to clear.
 * A store is exact if hardware can set nothing any more that would have to survive.
 */
static void commit_cleaning(const struct run *run, pte_t *ptep, pteval_t old, pteval_t new)
{
	pte_t cur = READ_ONCE(*ptep), merged;

	merged.pte = new | (cur.pte & ~old & AD);
	if (!(settable(cur) & ~old & ~new)) {
		run_add(run, 0, MMU_NORMAL_PT_UPDATE, pte_val_ma(merged));
		return;
	}
	__this_cpu_inc(xen_pvbatch_stats.trapped);
	while (!try_cmpxchg((long *)&ptep->pte, (long *)&cur, *(long *)&merged))
		merged.pte = new | (cur.pte & ~old & AD);
}

bool xen_pvbatch_commit(pte_t *ptep, pte_t old, pte_t new)
{
	struct run run;

	if (!run_begin(&run, ptep))
		return false;
	if (likely(!(old.pte & ~new.pte &AD)))
		run_add(&run, 0, MMU_PT_UPDATE_PRESERVE_AD, pte_val_ma(new));
	else
		commit_cleaning(&run, ptep, old.pte, new.pte);
	run_end(&run, 1);
	return true;
}
EXPORT_SYMBOL(xen_pvbatch_commit);

void xen_pvbatch_resume(const struct multicall_entry *mc)
{
	struct mmuext_op flush = { .cmd = MMUEXT_TLB_FLUSH_ALL };
	/*
	 * A call that Xen has continued names what was left of it then, with a mark of Xen's
	 * in the number (MMU_UPDATE_PREEMPTED); the end is the same.
	 */
	struct mmu_update *end = (struct mmu_update *)mc->args[0] + (mc->args[1] & (BIT(31) - 1));
	const struct xen_pvbatch_done *done = (const void *)mc->args[2];
	struct mmu_update *at;

	if (mc->op != __HYPERVISOR_mmu_update || !done)
		return;
	for (at = (struct mmu_update *)(done + 1) + done->nr; at < end;) {
		int more = 0;

		__this_cpu_inc(xen_pvbatch_stats.refused);
		pr_err("Xen refuses 0x%llx for the entry at 0x%llx\n", at->val, at->ptr);
		if (++at == end || !HYPERVISOR_mmu_update(at, end - at, &more, DOMID_SELF))
			break;
		at += more;
	}
	/* What flushed may have been done before what was left. */
	if (HYPERVISOR_mmuext_op(&flush, 1, NULL, DOMID_SELF))
		BUG();
}

static int stats_show(struct seq_file *m, void *unused)
{
	struct xen_pvbatch_stats sum = {};
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		const struct xen_pvbatch_stats *one = per_cpu_ptr(&xen_pvbatch_stats, cpu);

		sum.calls += READ_ONCE(one->calls);
		sum.queued += READ_ONCE(one->queued);
		sum.trapped += READ_ONCE(one->trapped);
		sum.plain += READ_ONCE(one->plain);
		sum.refused += READ_ONCE(one->refused);
	}
	seq_printf(m, "pvb_calls %llu\npvb_ptes %llu\ntrapped %llu\nplain %llu\nrefused %llu\n",
		   sum.calls, sum.queued, sum.trapped, sum.plain, sum.refused);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int __init xen_pvbatch_debugfs(void)
{
	if (xen_pvbatch_queues())
		debugfs_create_file("xen", 0444, debugfs_lookup("pvbatch", NULL), NULL,
				    &stats_fops);
	return 0;
}
/* After KVM's side, which has made the directory. */
late_initcall_sync(xen_pvbatch_debugfs);
