// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - between guest.c and the VMM: a guest in a process of its own, which
 * gives away what it can; see contain.h. The parent waits, passes signals on, and takes the
 * result out of memory that both have.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cli/cli.h>
#include <cli/contain.h>
#include <vmm/sandbox.h>

#define MAX_RECORDS 4096U /* as many as a machine takes (vmm/ports.c) */

/* Memory of parent and child. The parent reads it when the child has ended. */
struct shared {
	bool complete;
	int rc;
	struct vmm_error error;
	struct vmm_result result;
	struct pvb_record records[MAX_RECORDS];
};

static void __attribute__((noreturn))
child(const struct vmm_config *config, const struct vmm_host *host, struct shared *shared,
      pid_t parent)
{
	struct vmm_config confined = *config;

	confined.sandbox = true;
	/* No guest without somebody who waits for it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(CLI_HOST);
	shared->rc = vmm_run(&confined, host, &shared->result, &shared->error);
	if (!shared->rc && shared->result.nr_records)
		memcpy(shared->records, shared->result.records,
		       shared->result.nr_records * sizeof(shared->records[0]));
	shared->complete = true;
	_exit(0);
}

/* Wait for the child's end. Signals that end a run are passed on to it. */
static int wait_for(pid_t pid, const sigset_t *set)
{
	int status, number;

	while (waitpid(pid, &status, WNOHANG) != pid)
		if (!sigwait(set, &number) && number != SIGCHLD)
			kill(pid, number);
	return status;
}

static int ended_badly(int status, struct vmm_result *result)
{
	memset(result, 0, sizeof(*result));
	result->end = VMM_END_HOST;
	if (WIFEXITED(status) && WEXITSTATUS(status) == SANDBOX_EXIT)
		snprintf(result->why, sizeof(result->why),
			 "the guest's process did what is not its business, and was ended");
	else if (WIFSIGNALED(status))
		snprintf(result->why, sizeof(result->why),
			 "the guest's process was ended by signal %d", WTERMSIG(status));
	else
		snprintf(result->why, sizeof(result->why),
			 "the guest's process ended without a result");
	return 0;
}

/* Nothing that the child wrote is used before it has been looked at. */
static int take(const struct shared *shared, struct vmm_result *result, struct vmm_error *error)
{
	if (shared->rc) {
		*error = shared->error;
		error->text[sizeof(error->text) - 1] = 0;
		return shared->rc < 0 ? shared->rc : -EIO;
	}
	*result = shared->result;
	result->records = NULL;
	result->why[sizeof(result->why) - 1] = 0;
	if (result->end > VMM_END_HOST)
		result->end = VMM_END_NONE;
	if (result->nr_records > MAX_RECORDS)
		result->nr_records = MAX_RECORDS;
	if (!result->nr_records)
		return 0;
	result->records = calloc(result->nr_records, sizeof(*result->records));
	if (!result->records)
		abort();
	memcpy(result->records, shared->records, result->nr_records * sizeof(*result->records));
	for (unsigned int i = 0; i < result->nr_records; i++)
		result->records[i].workload[PVB_RECORD_NAME - 1] = 0;
	return 0;
}

static int cannot(struct vmm_error *error)
{
	error->fault = VMM_FAULT_HOST;
	snprintf(error->text, sizeof(error->text), "no process for the guest: %s", strerror(errno));
	return -errno;
}

int contain_run(const struct vmm_config *config, const struct vmm_host *host,
		struct vmm_result *result, struct vmm_error *error)
{
	pid_t pid, parent = getpid();
	struct shared *shared;
	sigset_t set, before;
	int status, rc;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (shared == MAP_FAILED)
		return cannot(error);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &before);
	pid = fork();
	if (!pid) {
		/* INT, TERM and HUP stay blocked until the VMM takes them: none gets lost. */
		child(config, host, shared, parent);
	}
	if (pid < 0) {
		rc = cannot(error);
	} else {
		status = wait_for(pid, &set);
		rc = shared->complete && WIFEXITED(status) && !WEXITSTATUS(status) ?
			     take(shared, result, error) :
			     ended_badly(status, result);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	munmap(shared, sizeof(*shared));
	/* The child could no longer, and after a kill nobody else does. */
	if (config->control)
		unlink(config->control);
	return rc;
}
