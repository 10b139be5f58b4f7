// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, faults - between the VMM and the C library: the linker sends the VMM's calls
 * of some functions here (--wrap). Those of the libraries themselves are not seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>

#include "fault.h"

/* The linker's names of the functions that are replaced, and of those that replace them. */
void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_calloc(size_t nr, size_t bytes);
void *__wrap_calloc(size_t nr, size_t bytes);
void *__real_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_eventfd(unsigned int count, int flags);
int __wrap_eventfd(unsigned int count, int flags);
int __real_signalfd(int fd, const sigset_t *set, int flags);
int __wrap_signalfd(int fd, const sigset_t *set, int flags);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __real_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags);
int __wrap_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags);
int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned int nr);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int nr);

struct fault fault;

/* Is it this call's turn to fail? */
static bool fails(void)
{
	unsigned int call;

	if (fault.begun)
		return false;
	call = ++fault.calls;
	return fault.at && (fault.all ? call >= fault.at : call == fault.at);
}

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t nr, size_t bytes)
{
	return fails() ? NULL : __real_calloc(nr, bytes);
}

void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	if (fails()) {
		/* Only the guest's file is mapped from a file without being shared. */
		fault.image = fault.image || (fd >= 0 && !(flags & MAP_SHARED));
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return __real_mmap(at, bytes, prot, flags, fd, offset);
}

int __wrap_open(const char *path, int flags, ...)
{
	if (fails()) {
		fault.image = strcmp(path, "/dev/kvm") != 0;
		errno = EMFILE;
		return -1;
	}
	return __real_open(path, flags);
}

int __wrap_eventfd(unsigned int count, int flags)
{
	if (fails()) {
		errno = EMFILE;
		return -1;
	}
	return __real_eventfd(count, flags);
}

int __wrap_signalfd(int fd, const sigset_t *set, int flags)
{
	if (fails()) {
		errno = EMFILE;
		return -1;
	}
	return __real_signalfd(fd, set, flags);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	return fails() ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (request == KVM_CREATE_VM && fault.create) {
		errno = atomic_exchange(&fault.create, 0);
		return -1;
	}
	if (request == KVM_RUN)
		fault.begun = true;
	else if (fails()) {
		errno = ENOMEM;
		return -1;
	}
	if (fault.begun && request == fault.request && fault.nth && !--fault.nth) {
		errno = fault.error;
		return -1;
	}
	return __real_ioctl(fd, request, arg);
}

int __wrap_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags)
{
	return fails() ? -ENOMEM : __real_io_uring_queue_init(entries, ring, flags);
}

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int nr)
{
	int error = atomic_exchange(&fault.ring, 0);

	return error ? -error : __real_io_uring_submit_and_wait(ring, nr);
}
