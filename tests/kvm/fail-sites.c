// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - runs inside the KVM host with the debug kernel: what makes a VM with our
 * handler, and what traces it, once with each of its allocations failing in turn
 * (/proc/thread-self/fail-nth). It has to fail with ENOMEM, or to do without.
 *
 * Prints TAP lines without numbers; that nothing was used after it was freed, and no lock left
 * taken, is for KASAN and lockdep to say in the host's log.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAX_SITES 2000
#define VMS "/sys/kernel/debug/kvm"

static int kvm, nth, vm = -1;

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* fail() - the @n-th allocation from now on; 0: none. */
static void fail(int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", n);
	if (pwrite(nth, text, strlen(text), 0) < 0)
		die("fail-nth");
}

/* failed() - has it come to that? */
static bool failed(void)
{
	char text[16] = "";

	if (pread(nth, text, sizeof(text) - 1, 0) <= 0)
		die("fail-nth");
	return !atoi(text);
}

static int create_vm(void)
{
	return ioctl(kvm, KVM_CREATE_VM, 0UL);
}

/* vms() - how many VMs there are, by debugfs. */
static int vms(void)
{
	DIR *dir = opendir(VMS);
	struct dirent *entry;
	int nr = 0;

	if (!dir)
		die(VMS);
	while ((entry = readdir(dir)))
		nr += !!strchr(entry->d_name, '-');
	closedir(dir);
	return nr;
}

static int open_trace(void)
{
	char path[96];

	snprintf(path, sizeof(path), VMS "/%d-%d/pvbatch_trace", getpid(), vm);
	return open(path, O_RDWR | O_CLOEXEC);
}

static int create_vcpu(void)
{
	return ioctl(vm, KVM_CREATE_VCPU, 0UL);
}

/* start_trace() - a file that records. */
static int start_trace(void)
{
	static const char text[] = "trace batches";
	int fd = open_trace();

	if (fd < 0)
		return -1;
	if (write(fd, text, sizeof(text) - 1) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* every_site() - @make a descriptor, until that is done with no failure left. */
static void every_site(const char *what, int (*make)(void), bool needs_vm)
{
	int sites = 0, refused = 0, odd = 0;

	for (bool more = true; more && sites < MAX_SITES; sites += more) {
		int fd, error;

		if (needs_vm) {
			vm = create_vm();
			if (vm < 0)
				die("KVM_CREATE_VM");
		}
		fail(sites + 1);
		fd = make();
		error = errno;
		more = failed();
		fail(0);
		if (fd < 0) {
			refused++;
			if (error != ENOMEM || !more) {
				printf("# %s, site %d: %s\n", what, sites + 1, strerror(error));
				odd++;
			}
		} else {
			close(fd);
		}
		if (needs_vm)
			close(vm);
	}
	printf("%s - each allocation of %s may fail\n",
	       odd || !refused || sites == MAX_SITES ? "not ok" : "ok", what);
	printf("# %d sites, %d times refused\n", sites, refused);
}

int main(void)
{
	int before;

	setvbuf(stdout, NULL, _IOLBF, 0);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		die("/dev/kvm");
	nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth < 0)
		die("fail-nth");
	before = vms();
	every_site("KVM_CREATE_VM", create_vm, false);
	every_site("KVM_CREATE_VCPU", create_vcpu, true);
	every_site("opening a VM's trace", open_trace, true);
	every_site("starting it", start_trace, true);
	printf("%s - no VM is left over\n", vms() == before ? "ok" : "not ok");
	return 0;
}
