// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - where control sockets are: /run/pvbatch for root and the agent's own
 * user, $XDG_RUNTIME_DIR/pvbatch for others, or where PVBATCH_RUNTIME_DIR says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <agent/agent.h>

#define SYSTEM_DIR "/run/pvbatch"

char *agent_runtime_dir(void)
{
	const char *set = getenv("PVBATCH_RUNTIME_DIR");
	const char *user = getenv("XDG_RUNTIME_DIR");
	char *path = NULL;

	if (set)
		return strdup(set);
	if (!geteuid() || !access(SYSTEM_DIR, W_OK))
		return strdup(SYSTEM_DIR);
	if (!user || asprintf(&path, "%s/pvbatch", user) < 0)
		return NULL;
	return path;
}

char *agent_control_path(void)
{
	char *directory = agent_runtime_dir();
	char *path;

	if (!directory)
		return NULL;
	/* It may be there; if it cannot be, the socket cannot, and the VMM goes without. */
	mkdir(directory, 0750);
	if (asprintf(&path, "%s/%d.sock", directory, (int)getpid()) < 0)
		path = NULL;
	free(directory);
	return path;
}
