// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux tests - on the KVM host: starts QEMU with the kernel to be measured, hands
 * out KVM's counters when the guest asks for them (probe.h), copies the guest's console to
 * stdout, moves it to another QEMU or wakes it where it says so, ends when the guest has
 * powered off.
 *
 * usage: host KERNEL INITRAMFS CPUS MEMORY_MB APPEND [DISK_MB]
 * With DISK_MB, not 0, the guest has an empty virtio disk of that size.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"
#include "qmp.h"

#define DEBUGFS_KVM "/sys/kernel/debug/kvm/"
#define DISK "/tmp/disk"
#define DISK_DRIVE "if=virtio,format=raw,cache=unsafe,file=" DISK
#define MOVE_URI "unix:/tmp/move"
#define STEP_MS 200 /* of the host's time, between two questions to QEMU */

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

/* Gives the feature to the VMs of a QEMU, or of all (pid 0), or takes it from them. */
static void set_switch(pid_t pid, const char *to)
{
	char pattern[64] = DEBUGFS_KVM "*/pvbatch";
	glob_t vms;

	if (pid)
		snprintf(pattern, sizeof(pattern), DEBUGFS_KVM "%d-*/pvbatch", pid);
	if (glob(pattern, 0, NULL, &vms)) {
		fprintf(stderr, "host: no %s\n", pattern);
		return;
	}
	for (size_t i = 0; i < vms.gl_pathc; i++) {
		int fd = open(vms.gl_pathv[i], O_WRONLY);

		if (fd < 0 || write(fd, to, strlen(to)) != (ssize_t)strlen(to))
			perror("host: switch");
		close(fd);
	}
	globfree(&vms);
}

/* An empty file of so many MB. 0, or -1 with errno. */
static int make_disk(const char *mb)
{
	int fd = open(DISK, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int err;

	if (fd < 0)
		return -1;
	err = ftruncate(fd, strtol(mb, NULL, 10) << 20);
	close(fd);
	return err;
}

/* A QEMU with the guest in it, or waiting for it to move in. */
struct guest {
	pid_t pid;
	int console, probe;
	struct qmp qmp;
};

/* The ends of the guest's lines that QEMU gets. */
struct lines {
	int console, probe, qmp;
};

static void exec_qemu(char **argv, const struct lines *lines, bool incoming)
{
	const char *disk = argv[6] && strcmp(argv[6], "0") ? DISK_DRIVE : NULL;
	char console[64], probe[64], qmp[64];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(console, sizeof(console), "socket,id=console,fd=%d", lines->console);
	snprintf(probe, sizeof(probe), "socket,id=probe,fd=%d", lines->probe);
	snprintf(qmp, sizeof(qmp), "socket,id=qmp,fd=%d", lines->qmp);
	execlp("qemu-system-x86_64", "qemu-system-x86_64", "-machine", "pc", "-accel", "kvm",
	       "-cpu", "host", "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot",
	       "-kernel", argv[1], "-initrd", argv[2], "-smp", argv[3], "-m", argv[4], "-append",
	       argv[5], "-chardev", console, "-serial", "chardev:console", "-chardev", probe,
	       "-serial", "chardev:probe", "-chardev", qmp, "-mon", "chardev=qmp,mode=control",
	       disk	? "-drive" :
	       incoming ? "-incoming" :
			  NULL,
	       disk ? disk : MOVE_URI, disk && incoming ? "-incoming" : NULL, MOVE_URI,
	       (char *)NULL);
	fprintf(stderr, "host: qemu-system-x86_64: %s\n", strerror(errno));
	_exit(127);
}

/* 0, or -1, said on stderr. */
static int start(struct guest *guest, char **argv, bool incoming)
{
	int console[2], probe[2], qmp[2];
	struct lines lines;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, console) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, probe) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, qmp)) {
		perror("host: socketpair");
		return -1;
	}
	lines = (struct lines){ .console = console[1], .probe = probe[1], .qmp = qmp[1] };
	guest->pid = fork();
	if (!guest->pid)
		exec_qemu(argv, &lines, incoming);
	close(console[1]);
	close(probe[1]);
	close(qmp[1]);
	guest->console = console[0];
	guest->probe = probe[0];
	if (guest->pid < 0) {
		perror("host: cannot start the guest");
		return -1;
	}
	return qmp_open(&guest->qmp, qmp[0]);
}

/* Gives up what was held for it; its exit code. */
static int finish(struct guest *guest)
{
	int status;

	qmp_close(&guest->qmp);
	close(guest->console);
	close(guest->probe);
	if (waitpid(guest->pid, &status, 0) != guest->pid)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* The guest is to move to a QEMU of its own, whose VM has the feature or not. 0 or -1. */
static int move(struct guest *from, struct guest *to, char **argv, bool feature)
{
	json_t *done;

	if (start(to, argv, true))
		return -1;
	set_switch(to->pid, feature ? "on" : "off");
	done = qmp_do(&from->qmp, "migrate-set-parameters",
		      json_pack("{s:i,s:i}", "max-bandwidth", 1 << 30, "downtime-limit", 20000));
	json_decref(done);
	done = qmp_do(&from->qmp, "migrate", json_pack("{s:s}", "uri", MOVE_URI));
	json_decref(done);
	return done ? 0 : -1;
}

/* Has it arrived? Then from has ended, and to is the guest. -1: it will not. */
static int moved(struct guest *from, struct guest *to)
{
	char status[32];

	qmp_status(&from->qmp, "query-migrate", status, sizeof(status));
	if (!strcmp(status, "failed") || !strcmp(status, "cancelled") || !*status) {
		fprintf(stderr, "host: the move ended as '%s'\n", status);
		return -1;
	}
	if (strcmp(status, "completed"))
		return 0;
	json_decref(qmp_do(&from->qmp, "quit", NULL));
	finish(from);
	*from = *to;
	return 1;
}

/* Does the guest sleep? Then it is woken. */
static bool woken(struct guest *guest)
{
	char status[32];

	qmp_status(&guest->qmp, "query-status", status, sizeof(status));
	if (strcmp(status, "suspended"))
		return false;
	json_decref(qmp_do(&guest->qmp, "system_wakeup", NULL));
	return true;
}

int main(int argc, char **argv)
{
	bool moving = false, sleeping = false;
	struct guest guest, next;

	if (argc != 6 && argc != 7) {
		fprintf(stderr, "usage: host KERNEL INITRAMFS CPUS MEMORY_MB APPEND [DISK_MB]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (argv[6] && strcmp(argv[6], "0") && make_disk(argv[6])) {
		perror("host: " DISK);
		return 1;
	}
	if (start(&guest, argv, false))
		return 1;
	for (;;) {
		struct pollfd fds[2] = { { .fd = guest.console, .events = POLLIN },
					 { .fd = guest.probe, .events = POLLIN } };
		char buf[4096];
		ssize_t n;
		int rc;

		if (poll(fds, 2, moving || sleeping ? STEP_MS : -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents & POLLIN) {
			n = read(guest.probe, buf, 1);
			if (n == 1 && buf[0] == PROBE_ASK && answer(guest.probe))
				break;
			if (n == 1 && buf[0] == PROBE_WITHDRAW)
				set_switch(0, "off");
			if (n == 1 && buf[0] == PROBE_OFFER)
				set_switch(0, "on");
			if (n == 1 && buf[0] == PROBE_WAKE)
				sleeping = true;
			if (n == 1 && (buf[0] == PROBE_LEAVE || buf[0] == PROBE_RETURN)) {
				moving = true;
				if (move(&guest, &next, argv, buf[0] == PROBE_RETURN))
					break;
			}
		}
		if (fds[0].revents & (POLLIN | POLLHUP)) {
			n = read(guest.console, buf, sizeof(buf));
			if (n <= 0)
				return finish(&guest);
			fwrite(buf, 1, (size_t)n, stdout);
			fflush(stdout);
			continue; /* nothing of it is left behind when the guest moves */
		}
		if (sleeping && woken(&guest))
			sleeping = false;
		if (!moving)
			continue;
		rc = moved(&guest, &next);
		if (rc < 0)
			break;
		moving = !rc;
	}
	/* QEMU has gone wrong, or what was asked of it has. */
	kill(guest.pid, SIGKILL);
	return 1;
}
