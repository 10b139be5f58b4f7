/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: VMM - what a caller (hypervisor/cli, tests) sees: describe a machine, run it to
 * its end, read what happened. Everything below is behind internal.h.
 */
#ifndef PVB_VMM_VMM_H
#define PVB_VMM_VMM_H

#include <stdio.h>

#include <pvbatch/machine.h>

#define VMM_MAX_CPUS 64
#define VMM_MAX_MEMORY (3ULL << 30) /* machine.h: RAM has no holes below the APIC pages */
#define VMM_MIN_MEMORY (4ULL << 20)
#define VMM_EXIT_KINDS 64 /* KVM_EXIT_* above that are counted in the last */

/* Whose fault a failure is; the command line turns it into an exit code. */
enum vmm_fault {
	VMM_FAULT_NONE = 0,
	VMM_FAULT_HOST, /* /dev/kvm, memory, io_uring: the environment */
	VMM_FAULT_IMAGE, /* the guest's ELF file */
	VMM_FAULT_CONFIG, /* a value that the caller asked for */
};

/* struct vmm_error - one line that says what happened, to what, and what to do. */
struct vmm_error {
	enum vmm_fault fault;
	char text[400];
};

enum vmm_paging {
	VMM_PAGING_UNKNOWN = 0, /* no module says */
	VMM_PAGING_SECOND_LEVEL, /* EPT or NPT: hardware walks the guest's own tables */
	VMM_PAGING_SHADOW,
};

/* struct vmm_host - what this machine's KVM is like (host.c). */
struct vmm_host {
	enum vmm_paging paging;
	char module[32]; /* the KVM module that was found loaded, or "" */
	bool native; /* guest code runs on the CPU and is not emulated */
	double ns_per_insn; /* measured, of the simplest guest loop */
	bool stats; /* KVM's binary statistics are there */
	bool flush; /* the host can flush the guest's translations (flush.c) */
};

struct vmm_config {
	const char *image; /* path of the guest's ELF64 file */
	const char *cmdline; /* for the guest; "" for none */
	unsigned int cpus; /* 1..VMM_MAX_CPUS */
	uint64_t memory; /* bytes of RAM, a multiple of 2 MiB */
	unsigned int timeout; /* seconds until the guest is stopped; 0: never */
	int console; /* file descriptor for the guest's console; -1: thrown away */
	FILE *log; /* where a crash is dumped */
	/*
	 * Confine the calling process for good before the guest's first instruction: nothing
	 * is left to it but to return from vmm_run() and to end (sandbox.h).
	 */
	bool sandbox;
	const char *control; /* path of the socket that serves the counters (control.c); or NULL */
	const char *name; /* of the guest, for the control socket; or NULL */
	/* Called from the event loop about twice a second and with each record; may be NULL. */
	void (*progress)(void *ctx, double seconds, unsigned int records);
	void *progress_ctx;
};

enum vmm_end {
	VMM_END_NONE = 0,
	VMM_END_EXIT, /* the guest wrote its exit code to PVB_PORT_EXIT */
	VMM_END_HALT, /* every vCPU halted with interrupts off */
	VMM_END_TRIPLE_FAULT,
	VMM_END_CRASH, /* the guest did what the machine has no answer to */
	VMM_END_TIMEOUT,
	VMM_END_INTERRUPTED, /* SIGINT, SIGTERM or SIGHUP */
	VMM_END_HOST, /* an ioctl of the host failed; see why */
};

/* What a process has given away. */
#define VMM_CONFINED_PRIVILEGES 1 /* no new ones */
#define VMM_CONFINED_FILES 2 /* landlock */
#define VMM_CONFINED_CALLS 4 /* seccomp */

struct vmm_result {
	enum vmm_end end;
	unsigned int confined; /* VMM_CONFINED_*, as far as this kernel can */
	unsigned int code; /* VMM_END_EXIT: the guest's; VMM_END_INTERRUPTED: the signal */
	char why[200]; /* one line for the ends that need one */
	double seconds;
	struct pvb_record *records; /* in the order reported; free with vmm_result_free() */
	unsigned int nr_records;
	uint64_t exits[VMM_EXIT_KINDS]; /* returns of KVM_RUN by KVM_EXIT_* */
	uint64_t kvm_exits; /* all VM exits by KVM's statistics; ~0 if unknown */
	struct pvb_host_stats stats; /* the engine's counters, all vCPUs */
};

/*
 * vmm_probe() - find out what /dev/kvm is, by running a small guest on it.
 * Returns 0, or -errno with @error filled in.
 */
int vmm_probe(struct vmm_host *host, struct vmm_error *error);

/*
 * vmm_run() - boot @config's guest and stay until it has ended, however it ended.
 * @host: from vmm_probe(); decides what is offered to the guest.
 * Returns 0 with @result filled in, or -errno with @error if it could not be started.
 * Takes SIGINT, SIGTERM and SIGHUP for itself while it runs, and uses VMM_SIGNAL_KICK.
 */
int vmm_run(const struct vmm_config *config, const struct vmm_host *host, struct vmm_result *result,
	    struct vmm_error *error);
void vmm_result_free(struct vmm_result *result);

/* vmm_exit_name() - short name of a KVM_EXIT_* number, or NULL if it has none here. */
const char *vmm_exit_name(unsigned int reason);

#endif /* PVB_VMM_VMM_H */
