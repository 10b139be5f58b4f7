// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - this program again, inside the testbed (docs/testbed.md), for its
 * results as a JSON file. Its output comes out here as if it had run here.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cli/cli.h>

#define SCRIPT_STUCK 123 /* run-kvm: a CPU of the emulated host is stuck */
#define SCRIPT_FAILED 125 /* also what run-kvm exits with when the testbed itself fails */
#define HOST_MEMORY 512U /* MiB that the KVM host needs besides the guest */
#define HOST_SECONDS 120U /* to boot it on a slow machine */
#define NEVER "999999" /* the longest timeout that run-kvm takes */

static const int passed[] = { SIGINT, SIGTERM, SIGHUP };
#define PASSED (sizeof(passed) / sizeof(passed[0]))

static volatile sig_atomic_t child; /* to which they go on */

static void forward(int signal)
{
	if (child)
		kill((pid_t)child, signal);
}

static void child_exec(char *const *argv, const sigset_t *mask)
{
	/*
	 * A group of its own: a Ctrl-C reaches the script alone, once, through us, so that it
	 * can clean up. If we are killed it ends too. A shell cannot trap what it was started
	 * to ignore, as background jobs of a script are.
	 */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	for (size_t i = 0; i < PASSED; i++)
		signal(passed[i], SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execv(argv[0], argv);
	cli_say("cannot start %s: %m", argv[0]);
	_exit(SCRIPT_FAILED);
}

/* Run @argv to its end; its wait status, or -1 with errno. */
static int run(char *const *argv)
{
	struct sigaction on = { .sa_handler = forward, .sa_flags = SA_RESTART };
	struct sigaction saved[PASSED];
	sigset_t set, mask;
	int status = -1;
	pid_t pid;

	sigemptyset(&set);
	for (size_t i = 0; i < PASSED; i++)
		sigaddset(&set, passed[i]);
	/* Until the child is known no signal may end us without it. */
	sigprocmask(SIG_BLOCK, &set, &mask);
	fflush(NULL);
	pid = fork();
	if (!pid)
		child_exec(argv, &mask);
	if (pid > 0) {
		setpgid(pid, pid);
		child = pid;
		for (size_t i = 0; i < PASSED; i++)
			sigaction(passed[i], &on, &saved[i]);
		sigprocmask(SIG_SETMASK, &mask, NULL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		child = 0;
		for (size_t i = 0; i < PASSED; i++)
			sigaction(passed[i], &saved[i], NULL);
	}
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return pid < 0 ? -1 : status;
}

static int code_of(int status)
{
	int code;

	if (status < 0) {
		cli_say("cannot start the testbed: %m");
		return CLI_HOST;
	}
	if (WIFSIGNALED(status))
		return CLI_SIGNAL + WTERMSIG(status);
	code = WEXITSTATUS(status);
	if (code == SCRIPT_STUCK || code == SCRIPT_FAILED || code == 126 || code == 127) {
		cli_say("the testbed failed, see above; `pvbatch check` says what is missing");
		return CLI_HOST;
	}
	return code;
}

int cli_testbed(const struct cli_options *options, const char *cmdline, const char *json)
{
	char host_memory[16], host_cpus[16], timeout[16], cpus[16], memory[16], limit[16];
	char *script = cli_find("../tests/testbed/run-kvm", "../libexec/pvbatch/testbed/run-kvm");
	char *self = cli_self();
	unsigned int host_timeout = options->timeout + HOST_SECONDS;
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	int code = CLI_HOST;

	if (!script || !self) {
		cli_say("the testbed's script run-kvm is not there; it comes with pvbatch");
		goto out;
	}
	snprintf(host_memory, sizeof(host_memory), "%u", options->memory + HOST_MEMORY);
	snprintf(host_cpus, sizeof(host_cpus), "%u",
		 online > 0 && online < options->cpus ? (unsigned int)online : options->cpus);
	snprintf(limit, sizeof(limit), "%u", host_timeout);
	if (!options->timeout || host_timeout > 999999)
		strcpy(limit, NEVER);
	snprintf(timeout, sizeof(timeout), "%u", options->timeout);
	snprintf(cpus, sizeof(cpus), "%u", options->cpus);
	snprintf(memory, sizeof(memory), "%u", options->memory);
	char *const argv[] = {
		script,
		"--npt",
		"--cpus",
		host_cpus,
		"--memory",
		host_memory,
		"--timeout",
		limit,
		"--env",
		CLI_TESTBED_ENV "=1",
		"--in",
		options->image,
		"--out",
		(char *)json,
		"--",
		self,
		"run",
		"--backend",
		"kvm",
		"--guest",
		options->image,
		"--cpus",
		cpus,
		"--memory",
		memory,
		"--timeout",
		timeout,
		"--json",
		(char *)json,
		"--cmdline",
		(char *)cmdline,
		options->quiet ? "--quiet" : NULL,
		NULL,
	};
	code = code_of(run(argv));
out:
	free(script);
	free(self);
	return code;
}
