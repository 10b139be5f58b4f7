// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - the stepper. The child marks the places with a breakpoint
 * instruction, so that it runs at full speed where nothing is counted.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cli/steps.h>

static struct steps *shared;
static uint64_t overhead; /* what begin and end count of themselves */

#if defined(__x86_64__)
#define BREAKPOINT "int3"
#elif defined(__aarch64__)
#define BREAKPOINT "brk #0"
#endif

void __attribute__((noinline)) steps_mark(void)
{
	if (!shared->stepping)
		return;
	__atomic_store_n(&shared->marks, shared->marks + 1, __ATOMIC_RELAXED);
#ifdef BREAKPOINT
	asm volatile(BREAKPOINT ::: "memory");
#endif
}

void steps_begin(void)
{
	__atomic_store_n(&shared->counted, 0, __ATOMIC_RELAXED);
	steps_mark();
}

uint64_t steps_end(void)
{
	uint64_t counted;

	steps_mark();
	counted = __atomic_load_n(&shared->counted, __ATOMIC_RELAXED);
	return counted > overhead ? counted - overhead : 0;
}

static int be_child(int (*child)(void *arg), void *arg)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) || raise(SIGSTOP))
		shared->stepping = 0;
	/* An empty piece of code counts as 0. */
	steps_begin();
	overhead = steps_end();
	return child(arg);
}

/*
 * Has the child got on since the last step? A string instruction stops after each byte or
 * word that it has copied, and is one instruction all the same.
 */
static bool got_on(pid_t pid)
{
#ifdef __x86_64__
	static long last;
	long now = ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, rip), NULL);
	bool on = now != last;

	last = now;
	return on;
#else
	(void)pid;
	return true;
#endif
}

/*
 * The child stops at a mark, and after each instruction while it is being counted. A mark
 * is counted before its breakpoint, so the end of a piece is seen one stop early: that
 * breakpoint's own stop is passed over.
 */
static int trace(pid_t pid)
{
	bool counting = false, pass = false;
	uint64_t seen = 0;
	int status;

	while (waitpid(pid, &status, 0) == pid) {
		uint64_t marks = __atomic_load_n(&shared->marks, __ATOMIC_RELAXED);
		int deliver = 0;

		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		if (WIFSIGNALED(status))
			return 128 + WTERMSIG(status);
		if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP)
			deliver = WSTOPSIG(status);
		if (pass) {
			pass = false;
		} else if (marks != seen) {
			seen = marks;
			pass = counting;
			counting = !counting;
		} else if (counting && WSTOPSIG(status) == SIGTRAP) {
			shared->counted += got_on(pid);
		}
		if (ptrace(counting ? PTRACE_SINGLESTEP : PTRACE_CONT, pid, NULL,
			   (void *)(long)deliver))
			break;
	}
	return -1;
}

int steps_run(struct steps *steps, int (*child)(void *arg), void *arg)
{
	int status;
	pid_t pid;

	shared = steps;
#ifdef BREAKPOINT
	steps->stepping = 1;
#endif
	pid = fork();
	if (pid < 0)
		return -1;
	if (!pid)
		_exit(be_child(child, arg));
	/* Without permission to trace, the child has said so and goes on. */
	if (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		if (!ptrace(PTRACE_CONT, pid, NULL, NULL))
			return trace(pid);
		kill(pid, SIGKILL);
		return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
