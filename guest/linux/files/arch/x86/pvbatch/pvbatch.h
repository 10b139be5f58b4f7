/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: Linux guest - what the files of this folder share.
 *
 *   setup.c   negotiates, registers each CPU's buffer, installs the pv-ops
 *   resume.c  the host withdraws, or the CPUs lose their state; and later it offers again
 *   names.c   changes entries, collects their names in runs
 *   host.c    has the host change them, if it is to
 *   flush.c   hands the names to the host where Linux flushes TLBs
 *   core/     guest/core: the queue and the call, the same for every kernel
 */
#ifndef _PVBATCH_LINUX_H
#define _PVBATCH_LINUX_H

#include <linux/mm_types.h>
#include <linux/percpu.h>
#include <asm/pvbatch.h>
#include <pvbatch/guest.h>

/* pending: names of more than one address space, or nobody knows whose. */
#define PVBATCH_ANY_MM ((struct mm_struct *)1)

/*
 * struct pvbatch_cpu - a CPU's names on their way to its queue.
 *
 * Belongs to the task that runs on the CPU; what is in it goes to the host before another
 * task may run here. An interrupt changes nothing in it: it may only lengthen a run that is
 * not being closed.
 */
struct pvbatch_cpu {
	pte_t *next; /* the entry that would continue the run; NULL: no run, or closing it */
	pte_t *first;
	u64 delta, gone; /* of its last entry: bits changed, bits cleared; see name_it() */
	u64 lost; /* what its changes took from translations the host may hold */
	unsigned int raised; /* queued entries that only permit more */
	bool must; /* something queued takes permission away: to be flushed */
	bool busy; /* this structure and the queue are being changed */
	bool drain; /* another CPU asked for the queue meanwhile */
	bool lent; /* to an interrupt, which drains the queue for another CPU */
	bool failed; /* the host could not do a flush that it was asked for */
	struct mm_struct *pending; /* whose changes are queued; read by other CPUs */
	u64 drains; /* times the queue went; read by other CPUs */
	struct pvb_cpu core;
};

DECLARE_PER_CPU_ALIGNED(struct pvbatch_cpu, pvbatch_cpu);

extern struct pvb_guest pvbatch_guest;
extern struct pvb_transport pvbatch_transport;
/* The host applies: a part of pvbatch_key's cases. */
DECLARE_STATIC_KEY_FALSE(pvbatch_host_applies);
/* CPUs with something pending. */
extern struct cpumask pvbatch_pending;
/* CPUs that have promised the host to name their changes. */
extern struct cpumask pvbatch_promised;
/* Changes by CPUs that could not name them: only a flush of all helps. */
extern atomic_t pvbatch_unnamed;

/* Put the run at hand into the queue. Preemption off. */
void pvbatch_close_run(struct pvbatch_cpu *p);
/*
 * Names to the host, and the flush with them. @unnecessary_waits: not for the sake of an
 * entry that needs no flush. Preemption off, not in an interrupt but asked_to_drain().
 */
void pvbatch_drain(struct pvbatch_cpu *p, enum pvb_flush_reason reason, bool unnecessary_waits);
/* setup.c. Nothing is queued on this CPU any more. */
void pvbatch_forget_names(struct pvbatch_cpu *p);
/* Tell the host where this CPU's batches are, anew. IRQs off. 0 or -PVB_E*. */
int pvbatch_register(void);
/* End what this CPU has promised. Whatever is queued is lost. IRQs or preemption off. */
void pvbatch_unregister(struct pvbatch_cpu *p);
/* Negotiate as the command line says. 0 or -PVB_E*. */
int pvbatch_negotiate(void);

/* resume.c. The host is not there any more. Any context, locks of the scheduler held too. */
void pvbatch_lost(int64_t error);

/* debugfs.c. This CPU's counters are about to start from 0. */
void pvbatch_keep_stats(struct pvbatch_cpu *p);

/* Of all CPUs, on each of them. Interrupts on. */
void pvbatch_end_promises(void);
/* pv-ops */
void pvbatch_exit_mmap(struct mm_struct *mm);
void pvbatch_start_context_switch(struct task_struct *prev);
void pvbatch_flush_tlb_local(void);
void pvbatch_flush_tlb_global(void);
void pvbatch_flush_tlb_one(unsigned long addr);

/* host.c. pvbatch_host_commit(): false if the caller has to write, not being lazy. */
void pvbatch_host_set(pte_t *ptep, pte_t pte);
pte_t pvbatch_host_read(pte_t *ptep);
bool pvbatch_host_commit(pte_t *ptep, u64 old, u64 new);
void pvbatch_lazy_enter(void);
void pvbatch_lazy_leave(void);
void pvbatch_lazy_flush(void);
void pvbatch_host_start_switch(struct task_struct *prev);
void pvbatch_host_end_switch(struct task_struct *next);

#endif /* _PVBATCH_LINUX_H */
