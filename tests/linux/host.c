// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux tests - on the KVM host: starts QEMU with the kernel to be measured, hands
 * out KVM's counters when the guest asks for them (probe.h), copies the guest's console to
 * stdout, ends when the guest has printed "done" or has powered off.
 *
 * usage: host KERNEL INITRAMFS CPUS MEMORY_MB APPEND
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

#define DEBUGFS_KVM "/sys/kernel/debug/kvm/"

/* debugfs attributes can be read once for each open. */
static long long counter(const char *name)
{
	char path[128], value[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), DEBUGFS_KVM "%s", name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0; /* this kernel has no such counter */
	n = read(fd, value, sizeof(value) - 1);
	close(fd);
	value[n > 0 ? n : 0] = 0;
	return strtoll(value, NULL, 10);
}

static int answer(int fd)
{
	char line[PROBE_LINE];
	size_t len = 0;

	for (size_t i = 0; i < PROBE_COUNTERS; i++)
		len += (size_t)snprintf(line + len, sizeof(line) - len, PROBE_NUMBER " ",
					counter(probe_counters[i]));
	line[len - 1] = '\n';
	return write(fd, line, len) == (ssize_t)len ? 0 : -1;
}

/* Takes the feature from every VM, as a migration to a host without it would. */
static void withdraw(void)
{
	glob_t vms;

	if (glob(DEBUGFS_KVM "*/pvbatch", 0, NULL, &vms))
		return;
	for (size_t i = 0; i < vms.gl_pathc; i++) {
		int fd = open(vms.gl_pathv[i], O_WRONLY);

		if (fd < 0 || write(fd, "off", 3) != 3)
			perror("host: withdraw");
		close(fd);
	}
	globfree(&vms);
}

static pid_t start(char **argv, int console, int probe)
{
	char console_dev[64], probe_dev[64];
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(console_dev, sizeof(console_dev), "socket,id=console,fd=%d", console);
	snprintf(probe_dev, sizeof(probe_dev), "socket,id=probe,fd=%d", probe);
	execlp("qemu-system-x86_64", "qemu-system-x86_64", "-machine", "pc", "-accel", "kvm",
	       "-cpu", "host", "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot",
	       "-kernel", argv[1], "-initrd", argv[2], "-smp", argv[3], "-m", argv[4], "-append",
	       argv[5], "-chardev", console_dev, "-serial", "chardev:console", "-chardev",
	       probe_dev, "-serial", "chardev:probe", (char *)NULL);
	fprintf(stderr, "host: qemu-system-x86_64: %s\n", strerror(errno));
	_exit(127);
}

int main(int argc, char **argv)
{
	int console[2], probe[2], status = 0;
	pid_t pid;

	if (argc != 6) {
		fprintf(stderr, "usage: host KERNEL INITRAMFS CPUS MEMORY_MB APPEND\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, console) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, probe)) {
		perror("host: socketpair");
		return 1;
	}
	pid = start(argv, console[1], probe[1]);
	if (pid < 0) {
		perror("host: fork");
		return 1;
	}
	close(console[1]);
	close(probe[1]);
	for (;;) {
		struct pollfd fds[2] = { { .fd = console[0], .events = POLLIN },
					 { .fd = probe[0], .events = POLLIN } };
		char buf[4096];
		ssize_t n;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents & POLLIN) {
			n = read(probe[0], buf, 1);
			if (n == 1 && buf[0] == PROBE_ASK && answer(probe[0]))
				break;
			if (n == 1 && buf[0] == PROBE_WITHDRAW)
				withdraw();
		}
		if (fds[0].revents & (POLLIN | POLLHUP)) {
			n = read(console[0], buf, sizeof(buf));
			if (n <= 0)
				break;
			fwrite(buf, 1, (size_t)n, stdout);
			fflush(stdout);
		}
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
