/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: host agent - what `pvbatch stat`, `pvbatch top` and pvbatchd share: the VMs of
 * this machine and their counters.
 *
 *   limits.c       which limits there are
 *   counters.c     which counters there are, by what name each source has them
 *   runtime.c      where control sockets are
 *   source_vmm.c   VMMs, by their control sockets (hypervisor/vmm/control.c)
 *   source_kvm.c   other VMs, by the handler's files in KVM's debugfs (hypervisor/kvm)
 *   scan.c         both, as one list
 *   list.c         the list as JSON; what has changed between two
 *
 * Everything that is read here comes from processes that are not trusted: it is bounded,
 * checked, and never waited for without a deadline.
 */
#ifndef PVB_AGENT_H
#define PVB_AGENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <agent/limits.h>
#include <pvbatch/abi.h>

#define AGENT_MAX_VMS 4096U
#define AGENT_KVM_DEBUGFS "/sys/kernel/debug/kvm"

enum counter {
	COUNTER_CALLS,
	COUNTER_BATCHES,
	COUNTER_PARTIAL,
	COUNTER_FAILED,
	COUNTER_ENTRIES,
	COUNTER_PTES,
	COUNTER_CARRIED_A,
	COUNTER_CARRIED_D,
	COUNTER_CONFLICTS,
	COUNTER_REFUSED,
	COUNTER_FLUSHES,
	COUNTER_FLUSH_RANGE,
	COUNTER_FLUSH_ALL,
	COUNTER_SPTES_SYNCED,
	COUNTER_SPTES_DROPPED,
	COUNTER_SPTES_INSTALLED,
	COUNTER_SPS_ZAPPED,
	COUNTER_FULL_SYNCS,
	COUNTER_DIRTY_AROUND,
	COUNTER_DENIED,
	COUNTER_HANDLER_NS,
	COUNTER_EXITS,
	COUNTER_USER_EXITS,
	COUNTER_LIMITED,
	COUNTER_DELAYED,
	NR_COUNTERS
};

struct counter_info {
	const char *name; /* in documents, and of the metric */
	const char *kvm; /* the file in KVM's debugfs; NULL: the handler does not count it */
	const char *help;
};

extern const struct counter_info agent_counters[NR_COUNTERS];

enum agent_backend {
	AGENT_VMM,
	AGENT_KVM
};

/* enum agent_switch - the handler's switch of one VM. */
enum agent_switch {
	AGENT_SWITCH_UNKNOWN,
	AGENT_SWITCH_OFF,
	AGENT_SWITCH_ON
};

struct agent_vm {
	enum agent_backend backend;
	pid_t pid;
	int fd; /* KVM: the VM's file descriptor in that process; else -1 */
	int socket; /* VMM: the number that its control socket is named by */
	char name[64]; /* never empty; printable */
	char uuid[37]; /* "" if it has none */
	enum agent_switch on;
	uint32_t limit[NR_LIMITS]; /* LIMIT_UNSET: there is none */
	unsigned int known; /* bit COUNTER_x: value[] is there */
	uint64_t value[NR_COUNTERS];
	bool has_hist;
	uint64_t hist[PVB_HIST_BUCKETS]; /* finished batches by entries (pvb_hist_bucket()) */
};

struct agent_list {
	double time; /* seconds, CLOCK_MONOTONIC, of the reading */
	unsigned int nr;
	unsigned int silent; /* VMs that did not answer in time, or nonsense */
	bool more; /* there are more than AGENT_MAX_VMS */
	struct agent_vm *vms;
};

static inline bool agent_knows(const struct agent_vm *vm, enum counter counter)
{
	return vm->known >> counter & 1;
}

void agent_set(struct agent_vm *vm, enum counter counter, uint64_t value);
/* agent_derive() - sums that follow from others, once all that is known is set. */
void agent_derive(struct agent_vm *vm);
/* Add @vm; false if the list is full or there is no memory. */
bool agent_list_add(struct agent_list *list, const struct agent_vm *vm);
void agent_list_free(struct agent_list *list);
/* Copy text from outside, with '?' for what is no printable ASCII. */
void agent_copy_name(char *dst, size_t bytes, const char *src);
double agent_now(void);

/* runtime.c */

/* agent_runtime_dir() - the directory of control sockets, or NULL if there is none; free(). */
char *agent_runtime_dir(void);
/* agent_control_path() - where this process's VMM is to listen; makes the directory. */
char *agent_control_path(void);

/* struct agent_sources - where to look. */
struct agent_sources {
	const char *runtime; /* directory of control sockets; NULL: none */
	const char *kvm; /* KVM's directory in debugfs; NULL: none */
};

/* source_vmm.c, source_kvm.c: add what is there to @list. */
void agent_scan_vmms(const char *directory, struct agent_list *list);
void agent_scan_kvm(const char *directory, struct agent_list *list);
/* agent_parse_vmm() - a VMM's document, untrusted. Whether it is one. */
bool agent_parse_vmm(const char *text, size_t bytes, struct agent_vm *vm);

/* scan.c */

/*
 * agent_scan() - all VMs, by name and process. Takes a second at most, whoever does not
 * answer.
 */
void agent_scan(const struct agent_sources *sources, struct agent_list *list);
/* agent_find() - the same VM in another list, or NULL. */
const struct agent_vm *agent_find(const struct agent_list *list, const struct agent_vm *vm);

/* list.c */

/*
 * Figures that follow from counters; NAN if unknown. What is saved is below 0 where more was
 * spent. docs/metrics.md says what both are against, and how good an estimate they are.
 */
struct agent_figures {
	double ptes_per_call, ptes_per_entry, entries_per_call;
	double calls_saved; /* against one hypercall per PTE and one per flush */
	double exits_saved; /* against shadow paging without the handler, one exit per event */
};

struct agent_figures agent_figures(const struct agent_vm *vm);
/*
 * agent_since() - a VM whose counters are those of @vm less those of @before, the same VM
 * earlier. A counter that has gone back (another VM with the same numbers) counts from 0.
 */
struct agent_vm agent_since(const struct agent_vm *vm, const struct agent_vm *before);
/* agent_json() - the list as a document (docs/metrics.md); @before may be NULL. */
json_t *agent_json(const struct agent_list *list, const struct agent_list *before);

#endif /* PVB_AGENT_H */
