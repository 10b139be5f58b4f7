// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - preloaded into the VMM: does to a running guest what the guest asks for
 * (disturb.h) and what the VMM has no reason to do: dirty logging, memslot changes, forks,
 * KVM's switch.
 *
 * Sees the VMM's ioctls: the memslot of its RAM, the VM, and every exit of a vCPU. Never
 * ends the VMM: what goes wrong is told to the guest, whose test then fails.
 *
 * With DISTURB_FAULTS in the environment, allocations may fail in KVM_RUN (tests/kvm/in-host
 * says how many), and the VMM does not notice.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "disturb.h"

#define PAGE 4096UL
#define MAX_FDS 256
#define RUN_BYTES (2 * PAGE) /* struct kvm_run, and the data of an I/O exit */
#define MAX_TRIES 1000 /* of KVM_RUN, in a row */
#define LOG_ROUNDS 8 /* readings of the dirty log before it is switched off */
#define SMM_SPACE (1U << 16) /* in a memslot's number: the address space of SMM */
#define SPARE_SLOT 7U
#define SPARE_GPA 0x100000000UL
#define SPARE_BYTES (1UL << 20)

static int (*real_ioctl)(int fd, unsigned long request, ...);
static int (*real_close)(int fd);
static int vm_fd = -1;
static struct kvm_userspace_memory_region ram;
static struct kvm_run *runs[MAX_FDS];

static pthread_t worker;
static bool running;
static volatile bool stop;
static volatile bool failed;
static struct disturb_mail *mail;
static uint8_t *copy; /* of RAM, by the dirty log */
static uint64_t *bitmap;

int ioctl(int fd, unsigned long request, ...);
int close(int fd);
int seccomp_load(void *filter);

static void rest(unsigned int ms)
{
	struct timespec time = { .tv_nsec = ms * 1000000L };

	nanosleep(&time, NULL);
}

static void complain(const char *what)
{
	fprintf(stderr, "# disturb: %s\n", what);
	failed = true;
}

static uint8_t *page_at(uint64_t nr)
{
	return (uint8_t *)ram.userspace_addr + nr * PAGE;
}

/*
 * Into the bitmap, and from here on anew. The VMM has enabled KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
 * so that at first all pages are in the log, and each stays, unprotected, until it is cleared.
 */
static void take_log(void)
{
	struct kvm_dirty_log log = { .slot = ram.slot, .dirty_bitmap = bitmap };
	struct kvm_clear_dirty_log clear = {
		.slot = ram.slot,
		.num_pages = (uint32_t)(ram.memory_size / PAGE),
		.dirty_bitmap = bitmap,
	};

	if (real_ioctl(vm_fd, KVM_GET_DIRTY_LOG, &log))
		complain("KVM_GET_DIRTY_LOG");
	if (real_ioctl(vm_fd, KVM_CLEAR_DIRTY_LOG, &clear))
		complain("KVM_CLEAR_DIRTY_LOG");
}

static void set_logging(bool on)
{
	struct kvm_userspace_memory_region slot = ram;

	slot.flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0;
	if (real_ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &slot))
		complain("dirty logging cannot be switched");
	if (on)
		take_log();
}

/* Copy what was written since the last time, by KVM's account. */
static void copy_dirty(void)
{
	take_log();
	for (uint64_t nr = 0; nr < ram.memory_size / PAGE; nr++)
		if (bitmap[nr / 64] >> nr % 64 & 1)
			memcpy(copy + nr * PAGE, page_at(nr), PAGE);
}

/* The vCPUs write nothing now. */
static void compare(void)
{
	uint64_t mailbox = (uint64_t)((uint8_t *)mail - page_at(0)) / PAGE;

	copy_dirty();
	for (uint64_t nr = 0; nr < ram.memory_size / PAGE; nr++) {
		if (nr == mailbox || !memcmp(copy + nr * PAGE, page_at(nr), PAGE))
			continue;
		fprintf(stderr, "# disturb: page %#lx was written and is not in the log\n",
			(unsigned long)nr);
		failed = true;
	}
	set_logging(false);
}

/* False: it was stopped, and leaves logging on for the one who stops, who compares. */
static bool log_round(void)
{
	set_logging(true);
	memcpy(copy, page_at(0), ram.memory_size);
	for (int i = 0; i < LOG_ROUNDS; i++) {
		copy_dirty();
		if (stop)
			return false;
		rest(2);
	}
	set_logging(false);
	return true;
}

static void slots_round(void)
{
	static void *memory;
	struct kvm_userspace_memory_region slot = {
		.slot = SPARE_SLOT,
		.guest_phys_addr = SPARE_GPA,
		.memory_size = SPARE_BYTES,
	};

	if (!memory)
		memory = mmap(NULL, SPARE_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	slot.userspace_addr = (uintptr_t)memory;
	if (real_ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &slot))
		complain("no memslot can be added");
	rest(2);
	slot.memory_size = 0;
	if (real_ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &slot))
		complain("a memslot cannot be removed");
	rest(2);
}

static void fork_round(void)
{
	pid_t child = fork();

	if (child < 0)
		complain("fork");
	if (!child) {
		rest(3);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	rest(2);
}

/* open_debugfs() - the file @name of this VM. */
static int open_debugfs(const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/%s", getpid(), vm_fd, name);
	return open(path, flags | O_CLOEXEC);
}

/* set_smram() - all of RAM is what a vCPU in SMM sees, too, or nothing. */
static void set_smram(bool there)
{
	struct kvm_userspace_memory_region slot = ram;

	slot.slot |= SMM_SPACE;
	slot.memory_size = there ? ram.memory_size : 0;
	if (real_ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &slot))
		complain("SMM has no memory");
}

/* access_file() - one read or one write, on the guest's behalf. */
static void access_file(bool writes)
{
	int fd = open_debugfs(mail->file, writes ? O_WRONLY : O_RDONLY);
	ssize_t done = -1;

	errno = 0;
	if (fd >= 0 && writes)
		done = write(fd, mail->text, strlen(mail->text));
	else if (fd >= 0)
		done = read(fd, mail->text, sizeof(mail->text) - 1);
	mail->error = done < 0 ? errno : 0;
	if (done >= 0)
		mail->text[done] = 0;
	if (fd >= 0)
		close(fd);
}

static void flip(const char *to)
{
	int fd = open_debugfs("pvbatch", O_WRONLY);

	if (fd < 0 || write(fd, to, strlen(to)) < 0)
		complain("no switch in debugfs");
	if (fd >= 0)
		close(fd);
}

static void switch_round(void)
{
	flip("off");
	rest(3);
	flip("on");
	rest(12);
}

static void count(void)
{
	static const char *const names[] = { DISTURB_COUNTER_NAMES };
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	mail->now = (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;

	for (int i = 0; i < DISTURB_NR_COUNTERS; i++) {
		int fd = open_debugfs(names[i], O_RDONLY);
		char text[32] = "";

		if (fd < 0 || read(fd, text, sizeof(text) - 1) < 1)
			complain(names[i]);
		if (fd >= 0)
			close(fd);
		mail->counters[i] = strtoull(text, NULL, 10);
	}
}

static void *work(void *job)
{
	bool go_on = true;

	while (go_on) {
		go_on = !stop;
		switch ((enum disturb_job)(uintptr_t)job) {
		case DISTURB_LOG:
			go_on = log_round();
			break;
		case DISTURB_SLOTS:
			slots_round();
			break;
		case DISTURB_FORK:
			fork_round();
			break;
		default:
			switch_round();
		}
		__atomic_fetch_add(&mail->rounds, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void make_copy(void)
{
	if (!copy) {
		copy = mmap(NULL, ram.memory_size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		bitmap = calloc(ram.memory_size / PAGE / 64 + 1, sizeof(*bitmap));
	}
	failed = copy == MAP_FAILED || !bitmap;
}

static void start(enum disturb_job job)
{
	make_copy();
	stop = false;
	mail->rounds = 0;
	running = !failed && !pthread_create(&worker, NULL, work, (void *)(uintptr_t)job);
	failed |= !running;
}

static void end(void)
{
	stop = true;
	if (running)
		pthread_join(worker, NULL);
	running = false;
}

/* On the thread of the vCPU that asks. */
static void ask(int vcpu, uint32_t gpa)
{
	static enum disturb_job job;
	struct disturb_mail *box = (struct disturb_mail *)page_at(gpa / PAGE);

	if (gpa % PAGE || gpa + PAGE > ram.memory_size || box->job >= DISTURB_JOBS)
		return;
	mail = box;
	switch ((enum disturb_job)mail->job) {
	case DISTURB_STOP:
		end();
		if (job == DISTURB_LOG && !failed)
			compare();
		job = DISTURB_STOP;
		break;
	case DISTURB_COUNTERS:
		failed = false;
		count();
		break;
	case DISTURB_READ:
		rest(10);
		access_file(false);
		break;
	case DISTURB_WRITE:
		access_file(true);
		break;
	case DISTURB_SMI:
		failed = false;
		set_smram(true);
		if (real_ioctl(vcpu, KVM_SMI, 0))
			complain("KVM_SMI");
		break;
	case DISTURB_SMI_OVER:
		set_smram(false);
		break;
	case DISTURB_LOG_ON:
		make_copy();
		if (failed)
			break;
		set_logging(true);
		memcpy(copy, page_at(0), ram.memory_size);
		copy_dirty();
		break;
	case DISTURB_LOG_OFF:
		if (!failed)
			compare();
		break;
	default:
		job = mail->job;
		start(job);
	}
	mail->result = failed ? DISTURB_FAILED : DISTURB_DONE;
}

/* after_exit() - look at an exit before the VMM does. True: it is dealt with, run on. */
static bool after_exit(int fd)
{
	struct kvm_run *run;

	if (fd < 0 || fd >= MAX_FDS)
		return false;
	if (!runs[fd])
		runs[fd] = mmap(NULL, RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	run = runs[fd];
	if (run == MAP_FAILED) {
		runs[fd] = NULL;
		return false;
	}
	if (run->exit_reason == KVM_EXIT_MMIO &&
	    run->mmio.phys_addr / PAGE == DISTURB_MMIO / PAGE) {
		memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
		return true;
	}
	if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT &&
	    run->io.port == DISTURB_PORT && run->io.size == 4)
		ask(fd, *(uint32_t *)((uint8_t *)run + run->io.data_offset));
	return false;
}

/*
 * make_fail() - from here on the kernel's fault injection may hit this thread, or it may not.
 * Only KVM_RUN is to fail: what the VMM does else is tests/faults' business.
 */
static void make_fail(bool yes)
{
	static __thread int file = -1;
	static const char *faults;

	if (!faults) {
		faults = getenv("DISTURB_FAULTS");
		faults = faults ? faults : "";
	}
	if (!*faults)
		return;
	if (file < 0)
		file = open("/proc/thread-self/make-it-fail", O_WRONLY | O_CLOEXEC);
	if (file < 0 || pwrite(file, yes ? "1" : "0", 1, 0) != 1) {
		perror("# disturb: make-it-fail");
		abort();
	}
}

/*
 * run() - KVM_RUN, until there is an exit for the VMM. Where the host was out of memory, the
 * guest has not moved: it is run again, so often that it has to get on.
 */
static int run(int fd)
{
	int r, tries = 0;
	bool again;

	do {
		make_fail(true);
		r = real_ioctl(fd, KVM_RUN, 0);
		make_fail(false);
		if (r && (errno == ENOMEM || errno == EFAULT))
			again = ++tries < MAX_TRIES;
		else
			again = !r && after_exit(fd);
		if (!r)
			tries = 0;
	} while (again);
	return r;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;
	int r;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (!real_ioctl)
		real_ioctl = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
	if (request == KVM_RUN)
		return run(fd);
	r = real_ioctl(fd, request, arg);
	if (request == KVM_SET_USER_MEMORY_REGION && !r) {
		const struct kvm_userspace_memory_region *slot = arg;

		/* RAM begins at 0; the VMM makes other memslots, too. */
		if (!slot->guest_phys_addr && slot->memory_size) {
			vm_fd = fd;
			ram = *slot;
		}
	}
	return r;
}

/* What is done here is more than the VMM's filter lets a guest's process do. */
int seccomp_load(void *filter)
{
	(void)filter;
	return 0;
}

/* A mapping of ours would keep a VM alive, and its name in debugfs taken. */
int close(int fd)
{
	if (fd >= 0 && fd < MAX_FDS && runs[fd]) {
		munmap(runs[fd], RUN_BYTES);
		runs[fd] = NULL;
	}
	if (!real_close)
		real_close = (int (*)(int))dlsym(RTLD_NEXT, "close");
	return real_close(fd);
}
