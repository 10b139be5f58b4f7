// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - where control sockets are: /run/pvbatch for root and the agent's own
 * user, $XDG_RUNTIME_DIR/pvbatch for others, or where PVBATCH_RUNTIME_DIR says.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

/* Does nobody listen there? A VMM between bind() and listen() looks alike, but lives. */
static bool deserted(const char *path, pid_t pid)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat stat;
	bool refused;
	int fd;

	/* A connection is refused by what is no socket, too. */
	if (lstat(path, &stat) || !S_ISSOCK(stat.st_mode))
		return false;
	if (!kill(pid, 0) || errno != ESRCH || strlen(path) >= sizeof(address.sun_path))
		return false;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	refused = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) &&
		  errno == ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	return refused;
}

/* A VMM that was killed, by SIGPIPE for example, has left its socket. */
static void tidy(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *file;

	while (dir && (file = readdir(dir))) {
		int pid, used = 0;
		char *path;

		if (sscanf(file->d_name, "%9d.sock%n", &pid, &used) != 1 || !used || pid <= 0 ||
		    file->d_name[used] || asprintf(&path, "%s/%s", directory, file->d_name) < 0)
			continue;
		if (deserted(path, pid))
			unlink(path);
		free(path);
	}
	if (dir)
		closedir(dir);
}

char *agent_control_path(void)
{
	char *directory = agent_runtime_dir();
	char *path;

	if (!directory)
		return NULL;
	/* It may be there; if it cannot be, the socket cannot, and the VMM goes without. */
	mkdir(directory, 0750);
	tidy(directory);
	if (asprintf(&path, "%s/%d.sock", directory, (int)getpid()) < 0)
		path = NULL;
	free(directory);
	return path;
}
