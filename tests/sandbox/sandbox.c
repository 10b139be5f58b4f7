// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, containment - a process that confines itself as a guest's does
 * (hypervisor/vmm/sandbox.c, ring.c) and then tries to get out, one way at a time; and a
 * running `pvbatch run`, whose process is asked what it has given away.
 *
 * usage: sandbox PVBATCH GUEST.elf
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <vmm/sandbox.h>

#define TRIED 7 /* exit code: the attempt came to nothing, without a violation */
#define GOT_OUT 8

static const char *pvbatch, *guest;
static pid_t outside; /* this test, for the child to aim at */
static void *page;

/* What an attacker may try. Each returns false if it came to nothing. */
static bool opens(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0;
}

static bool executes(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return true;
}

static bool forks(void)
{
	return syscall(SYS_fork) >= 0;
}

static bool connects(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0;
}

static bool traces(void)
{
	return !ptrace(PTRACE_ATTACH, outside, NULL, NULL);
}

static bool writes_elsewhere(void)
{
	return syscall(SYS_process_vm_writev, outside, NULL, 0, NULL, 0, 0) >= 0;
}

static bool kills(void)
{
	return !kill(outside, SIGTERM);
}

static bool kills_thread(void)
{
	return !syscall(SYS_tgkill, outside, outside, SIGTERM);
}

static bool maps_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	       MAP_FAILED;
}

static bool makes_code(void)
{
	return !mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
}

static bool makes_ring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL) >= 0;
}

static bool lifts_restrictions(void)
{
	return !syscall(SYS_io_uring_register, 0, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static bool other_ioctl(void)
{
	return !ioctl(0, KVM_CREATE_VM, 0);
}

static bool handles_signals(void)
{
	return !signal(SIGSYS, SIG_IGN);
}

static bool unlinks(void)
{
	return !unlink("/nonexistent");
}

static bool loads_filter(void)
{
	return !prctl(PR_SET_DUMPABLE, 1);
}

static const struct attempt {
	const char *name; /* of the system call that has to be named */
	bool (*get_out)(void);
} attempts[] = {
	{ "openat", opens },
	{ "execve", executes },
	{ "fork", forks },
	{ "socket", connects },
	{ "ptrace", traces },
	{ "process_vm_writev", writes_elsewhere },
	{ "kill", kills },
	{ "tgkill", kills_thread },
	{ "mmap", maps_code },
	{ "mprotect", makes_code },
	{ "io_uring_setup", makes_ring },
	{ "io_uring_register", lifts_restrictions },
	{ "ioctl", other_ioctl },
	{ "rt_sigaction", handles_signals },
	{ "unlink", unlinks },
	{ "prctl", loads_filter },
};

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *try(void *arg)
{
	const struct attempt *attempt = arg;

	pthread_mutex_lock(&gate);
	_exit(attempt->get_out() ? GOT_OUT : TRIED);
}

/* Confined in the main thread, tried in it or, like a vCPU, in one that began before that. */
static void __attribute__((noreturn)) confined(const struct attempt *attempt, bool thread)
{
	struct vmm_error error;
	pthread_t id;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_mutex_lock(&gate);
	if (sandbox_files(&error) < 0)
		_exit(1);
	if (thread && pthread_create(&id, NULL, try, (void *)attempt))
		_exit(1);
	if (sandbox_calls(&error) < 0)
		_exit(1);
	pthread_mutex_unlock(&gate);
	if (!thread)
		_exit(attempt->get_out() ? GOT_OUT : TRIED);
	for (;;)
		sched_yield();
}

/* Runs @body in a child; its standard error goes to @text. Returns its exit status. */
static int in_child(void (*body)(const struct attempt *, bool), const struct attempt *attempt,
		    bool thread, char *text, size_t bytes)
{
	int pipes[2], status;
	size_t at = 0;
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (!pid) {
		dup2(pipes[1], STDERR_FILENO);
		body(attempt, thread);
		_exit(GOT_OUT);
	}
	close(pipes[1]);
	while (at < bytes - 1 && (got = read(pipes[0], text + at, bytes - 1 - at)) > 0)
		at += (size_t)got;
	text[at] = 0;
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void no_way_out(void **state)
{
	char text[256], expected[64];

	(void)state;
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		skip();
	outside = getpid();
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		for (int thread = 0; thread < 2; thread++) {
			int status = in_child(confined, &attempts[i], thread, text, sizeof(text));

			snprintf(expected, sizeof(expected), "sandbox: system call %s is not",
				 attempts[i].name);
			if (!WIFEXITED(status) || WEXITSTATUS(status) != SANDBOX_EXIT ||
			    !strstr(text, expected))
				fail_msg("%s, thread %d: status %#x, said: %s", attempts[i].name,
					 thread, (unsigned int)status, text);
		}
	}
}

static void no_files(const struct attempt *attempt, bool thread)
{
	struct vmm_error error;
	int rc = sandbox_files(&error);

	(void)attempt;
	(void)thread;
	if (rc < 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		_exit(GOT_OUT);
	if (!(rc & VMM_CONFINED_FILES))
		_exit(TRIED + 100);
	_exit(open("/dev/kvm", O_RDWR | O_CLOEXEC) >= 0 || open("/", O_RDONLY | O_CLOEXEC) >= 0 ?
		      GOT_OUT :
		      TRIED);
}

static void no_privileges_no_files(void **state)
{
	char text[256];
	int status;

	(void)state;
	status = in_child(no_files, NULL, false, text, sizeof(text));
	assert_true(WIFEXITED(status));
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1) {
		assert_int_equal(WEXITSTATUS(status), TRIED + 100);
		print_message("# this kernel has no landlock: only the privileges are tested\n");
		return;
	}
	assert_int_equal(WEXITSTATUS(status), TRIED);
}

/* A request on the ring is no system call: the ring itself has to say no. */
static void no_way_out_by_the_ring(void **state)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	(void)state;
	assert_int_equal(ring_open(&ring, 4), 0);
	if (!(ring.flags & IORING_SETUP_R_DISABLED)) {
		io_uring_queue_exit(&ring);
		skip();
	}
	for (unsigned int i = 0; i < 3; i++) {
		sqe = io_uring_get_sqe(&ring);
		assert_non_null(sqe);
		if (i == 0)
			io_uring_prep_openat(sqe, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
		else if (i == 1)
			io_uring_prep_socket(sqe, AF_INET, SOCK_STREAM, 0, 0);
		else
			io_uring_prep_read(sqe, 0, &sqe, 0, 0);
		assert_true(io_uring_submit(&ring) >= 0);
		assert_int_equal(io_uring_wait_cqe(&ring, &cqe), 0);
		assert_int_equal(cqe->res, -EACCES);
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
}

/* The first line of /proc/@path that begins with @field. */
static bool proc_field(const char *path, const char *field, char *value, size_t bytes)
{
	FILE *file = fopen(path, "re");
	char line[256];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file)) {
		found = !strncmp(line, field, strlen(field));
		if (found)
			snprintf(value, bytes, "%s", line + strlen(field) + 1);
	}
	if (file)
		fclose(file);
	return found;
}

/* The child of @parent, or 0. */
static pid_t child_of(pid_t parent)
{
	char path[64], text[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
	file = fopen(path, "re");
	if (file && !fgets(text, sizeof(text), file))
		text[0] = 0;
	if (file)
		fclose(file);
	return (pid_t)strtol(text, NULL, 10);
}

static void check_threads(pid_t pid, unsigned int cpus)
{
	char path[300], value[64];
	unsigned int threads = 0;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char name[16];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, entry->d_name);
		/* The kernel's own workers among them, of the ring and of KVM, are named otherwise. */
		if (proc_field(path, "Name:", name, sizeof(name)) && !strncmp(name, "pvbatch", 7))
			threads++;
		assert_true(proc_field(path, "NoNewPrivs:", value, sizeof(value)));
		assert_int_equal(strtol(value, NULL, 10), 1);
		assert_true(proc_field(path, "Seccomp:", value, sizeof(value)));
		assert_int_equal(strtol(value, NULL, 10), 2);
	}
	closedir(dir);
	assert_int_equal(threads, 1 + cpus);
}

/* No memory of the process is both writable and executable; guest RAM is in no core file. */
static void check_memory(pid_t pid)
{
	unsigned long from, to, guest_bytes = 0;
	char path[64], line[512], perms[8];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	file = fopen(path, "re");
	assert_non_null(file);
	from = to = 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, perms) == 3)
			assert_false(strchr(perms, 'w') && strchr(perms, 'x'));
		if (!strncmp(line, "VmFlags:", 8) && strstr(line, " dd"))
			guest_bytes += to - from;
	}
	fclose(file);
	assert_true(guest_bytes >= 32UL << 20);
}

static void running_guest(void **state)
{
	pid_t pid, child = 0;
	char path[64], value[64];
	int status;

	(void)state;
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		skip();
	pid = fork();
	if (!pid) {
		execl(pvbatch, pvbatch, "run", "--backend", "kvm", "--guest", guest, "--cpus", "2",
		      "--memory", "32", "-q", "spin", (char *)NULL);
		_exit(127);
	}
	for (unsigned int i = 0; i < 1000; i++) {
		usleep(10000);
		if (waitpid(pid, &status, WNOHANG) == pid) {
			assert_true(WIFEXITED(status));
			if (WEXITSTATUS(status) == 3)
				skip(); /* no KVM here */
			fail_msg("pvbatch ended with %d", WEXITSTATUS(status));
		}
		child = child_of(pid);
		snprintf(path, sizeof(path), "/proc/%d/status", child);
		if (child && proc_field(path, "Seccomp:", value, sizeof(value)) &&
		    strtol(value, NULL, 10) == 2)
			break;
	}
	check_threads(child, 2);
	check_memory(child);
	/* Whoever waits for it is killed: no guest is left over. */
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	for (unsigned int i = 0; i < 500 && !kill(child, 0); i++)
		usleep(10000);
	assert_int_equal(kill(child, 0), -1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_way_out),
		cmocka_unit_test(no_privileges_no_files),
		cmocka_unit_test(no_way_out_by_the_ring),
		cmocka_unit_test(running_guest),
	};

	if (argc != 3) {
		fprintf(stderr, "usage: sandbox PVBATCH GUEST.elf\n");
		return 2;
	}
	pvbatch = argv[1];
	guest = argv[2];
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
