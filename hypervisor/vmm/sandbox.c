// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - the process of a guest gives away what it does not need; see sandbox.h.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vmm/internal.h>
#include <vmm/sandbox.h>

/* System calls that are allowed whatever their arguments, each with its reason. */
static const int plain_calls[] = {
	SCMP_SYS(read), /* eventfd and signalfd of the loop */
	SCMP_SYS(write), /* wake the loop; dumps and progress on standard error */
	SCMP_SYS(writev), /* the C library's way to write a line there */
	SCMP_SYS(pread64), /* KVM's binary statistics */
	SCMP_SYS(io_uring_enter), /* the loop; the ring's requests are restricted (ring.c) */
	SCMP_SYS(futex), /* locks between vCPUs and loop, joining a thread */
	SCMP_SYS(rt_sigreturn), /* from the kick's empty handler */
	SCMP_SYS(rt_sigprocmask), /* the C library around the end of a thread */
	SCMP_SYS(restart_syscall), /* after a stop and SIGCONT */
	SCMP_SYS(clock_gettime), /* where the vDSO has none */
	SCMP_SYS(gettid), /* the C library, to send the kick */
	SCMP_SYS(getpid), /* the same; the counters' document */
	SCMP_SYS(set_robust_list), /* a vCPU's thread begins */
	SCMP_SYS(rseq), /* the same */
	SCMP_SYS(sched_yield), /* the C library's locks */
	SCMP_SYS(brk), /* malloc */
	SCMP_SYS(munmap), /* free, and taking the machine down */
	SCMP_SYS(madvise), /* the stack of a thread that ends */
	SCMP_SYS(shutdown), /* a client of the control socket that is slow */
	SCMP_SYS(close), /* that client; taking the machine down */
	SCMP_SYS(exit), /* a vCPU's thread ends */
	SCMP_SYS(exit_group), /* the process ends */
};

/* Requests of ioctl(): KVM's, on file descriptors that are open already. */
static const unsigned int kvm_requests[] = {
	KVM_RUN,
	KVM_GET_REGS, /* a doorbell's arguments; dump */
	KVM_GET_SREGS, /* the root of a Xen guest's tables; dump */
	KVM_TRANSLATE, /* dump */
	KVM_GET_MP_STATE, /* does it sleep for good? */
	KVM_CLEAR_DIRTY_LOG, /* law 4 (flush.c) */
	KVM_SET_USER_MEMORY_REGION, /* flush.c, when its bits are used up */
	KVM_CHECK_EXTENSION, /* Xen's hypercalls, on demand (xen.c) */
	KVM_XEN_HVM_CONFIG, /* the same */
};

#define NAMES 512 /* system call numbers whose names are kept for the message */

static char *names[NAMES];

/*
 * A system call was refused. Nothing here needs a lock or memory: the thread may have been
 * anywhere. The name is looked up beforehand.
 */
static void on_violation(int signal, siginfo_t *info, void *context)
{
	static const char head[] = "pvbatch: sandbox: system call ";
	static const char tail[] = " is not for the process of a guest\n";
	unsigned int nr = (unsigned int)info->si_syscall, digits = nr;
	char text[12], *at = text + sizeof(text);
	const char *name = nr < NAMES ? names[nr] : NULL;
	ssize_t written;

	(void)signal;
	(void)context;
	written = write(STDERR_FILENO, head, sizeof(head) - 1);
	if (name) {
		written += write(STDERR_FILENO, name, strlen(name));
	} else {
		do
			*--at = (char)('0' + digits % 10);
		while (digits /= 10);
		written += write(STDERR_FILENO, at, (size_t)(text + sizeof(text) - at));
	}
	written += write(STDERR_FILENO, tail, sizeof(tail) - 1);
	(void)written;
	_exit(SANDBOX_EXIT);
}

static int cannot(struct vmm_error *error, const char *what, int code)
{
	return vmm_error_set(error, VMM_FAULT_HOST, code,
			     "cannot confine the guest's process: %s: %s", what, strerror(code));
}

/* The rights that landlock can take away, by its ABI's version (landlock(7)). */
static uint64_t file_rights(int version)
{
	static const unsigned int rights[] = { 13, 14, 15, 15, 16 };
	const unsigned int known = sizeof(rights) / sizeof(rights[0]);

	return (1ULL
		<< rights[(unsigned int)version > known ? known - 1 : (unsigned int)version - 1]) -
	       1;
}

int sandbox_files(struct vmm_error *error)
{
	struct landlock_ruleset_attr attr = { 0 };
	int version, fd, rc;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return cannot(error, "no new privileges", errno);
	version =
		(int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	/* Not in this kernel, or switched off when it booted. */
	if (version < 1)
		return VMM_CONFINED_PRIVILEGES;
	/* All rights are taken in hand, and no rule gives one back. */
	attr.handled_access_fs = file_rights(version);
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd < 0)
		return cannot(error, "landlock", errno);
	rc = syscall(SYS_landlock_restrict_self, fd, 0) ? errno : 0;
	close(fd);
	return rc ? cannot(error, "landlock", rc) : VMM_CONFINED_PRIVILEGES | VMM_CONFINED_FILES;
}

static int add_rules(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp not_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	const struct scmp_arg_cmp own = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid());
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(kvm_requests) / sizeof(kvm_requests[0]); i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				      SCMP_A1(SCMP_CMP_EQ, kvm_requests[i]));
	/* KVM_RUN is what is called all the time: ioctl is asked about first. */
	if (!rc)
		rc = seccomp_syscall_priority(filter, SCMP_SYS(ioctl), 255);
	for (size_t i = 0; !rc && i < sizeof(plain_calls) / sizeof(plain_calls[0]); i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, plain_calls[i], 0);
	/* Memory that is never code: malloc's arenas. */
	if (!rc)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, not_exec);
	if (!rc)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, not_exec);
	/* Kicks, to nobody else's threads. */
	if (!rc)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, own);
	return rc;
}

int sandbox_calls(struct vmm_error *error)
{
	struct sigaction violation = { .sa_sigaction = on_violation, .sa_flags = SA_SIGINFO };
	scmp_filter_ctx filter;
	int rc;

	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		return 0;
	filter = seccomp_init(SCMP_ACT_TRAP);
	if (!filter)
		return cannot(error, "seccomp", ENOMEM);
	for (int nr = 0; nr < NAMES; nr++)
		if (!names[nr])
			names[nr] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
	sigfillset(&violation.sa_mask);
	sigaction(SIGSYS, &violation, NULL);
	rc = add_rules(filter);
	/* All threads, those of the vCPUs included; -ECANCELED is the kernel's own refusal. */
	if (!rc)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!rc)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc ? cannot(error, "seccomp", -rc) : VMM_CONFINED_CALLS;
}
