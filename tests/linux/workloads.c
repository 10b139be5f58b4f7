// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux tests - the workloads. Each, but for the programs at the end, works on 4096
 * anonymous 4 KiB pages that fill eight leaf page tables, huge pages off, all dirty before
 * the clock starts. Pages are written with plain stores: under QEMU's emulation a
 * read-modify-write faults twice.
 */
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workloads.h"

#define WL_BYTES (WL_PAGES * WL_PAGE)
#define WL_ALIGN (2UL << 20) /* what one leaf table maps */
#define SPARSE_STRIDE 64UL
#define SWITCHES 200UL

static unsigned char *area;

static void write_pages(void)
{
	volatile unsigned char *p = area;

	for (unsigned long i = 0; i < WL_PAGES; i++)
		p[i * WL_PAGE] = (unsigned char)i;
}

/* The range, in whole leaf tables and nothing else in them. */
static int map_area(void)
{
	uintptr_t start;
	void *p = mmap(NULL, WL_BYTES + 2 * WL_ALIGN, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	start = ((uintptr_t)p + WL_ALIGN - 1) & ~(WL_ALIGN - 1);
	munmap(p, WL_BYTES + 2 * WL_ALIGN);
	p = mmap((void *)start, WL_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	if (madvise(p, WL_BYTES, MADV_NOHUGEPAGE) && errno != EINVAL)
		return -errno;
	area = p;
	write_pages();
	return 0;
}

static void unmap_area(void)
{
	munmap(area, WL_BYTES);
	area = NULL;
}

static int protect(void *start, unsigned long bytes, int prot)
{
	return mprotect(start, bytes, prot) ? -errno : 0;
}

static int mprotect_round(void)
{
	int err = protect(area, WL_BYTES, PROT_READ);

	return err ? err : protect(area, WL_BYTES, PROT_READ | PROT_WRITE);
}

static int touch_round(void)
{
	int err = mprotect_round();

	write_pages();
	return err;
}

static int sparse_round(void)
{
	int err = 0;

	for (unsigned long i = 0; !err && i < WL_PAGES; i += SPARSE_STRIDE) {
		err = protect(area + i * WL_PAGE, WL_PAGE, PROT_READ);
		if (!err)
			err = protect(area + i * WL_PAGE, WL_PAGE, PROT_READ | PROT_WRITE);
	}
	return err;
}

static int fork_round(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return status ? -ECHILD : 0;
}

static int free_round(void)
{
	if (madvise(area, WL_BYTES, MADV_FREE))
		return -errno;
	write_pages();
	return 0;
}

static int refault_round(void)
{
	if (madvise(area, WL_BYTES, MADV_DONTNEED))
		return -errno;
	write_pages();
	return 0;
}

static int munmap_round(void)
{
	return munmap(area, WL_BYTES) ? -errno : 0;
}

/* Context switch: a token goes to and fro between this process and its child. */
static int to_child[2], to_parent[2];
static pid_t child;

static void switch_child(void)
{
	char token;

	write_pages(); /* its own copies */
	while (read(to_child[0], &token, 1) == 1)
		if (write(to_parent[1], &token, 1) != 1)
			break;
	_exit(0);
}

static int switch_round(void)
{
	char token = 0;

	for (unsigned long i = 0; i < SWITCHES / 2; i++)
		if (write(to_child[1], &token, 1) != 1 || read(to_parent[0], &token, 1) != 1)
			return -EPIPE;
	return 0;
}

static int switch_setup(void)
{
	int err = map_area();

	if (err)
		return err;
	if (pipe(to_child) || pipe(to_parent))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		close(to_child[1]);
		close(to_parent[0]);
		switch_child();
	}
	close(to_child[0]);
	close(to_parent[1]);
	write_pages();
	return switch_round(); /* both are there and warm */
}

static void switch_teardown(void)
{
	close(to_child[1]);
	close(to_parent[0]);
	waitpid(child, NULL, 0);
	unmap_area();
}

/*
 * A just-in-time compiler: maps a code buffer of 16 pages, fills it, makes it executable,
 * patches one page of it (writable and back), frees it.
 */
#define JIT_PAGES 16UL
#define JIT_BUFFERS 16UL

static int jit_round(void)
{
	for (unsigned long b = 0; b < JIT_BUFFERS; b++) {
		volatile unsigned char *code;
		unsigned char *p = mmap(NULL, JIT_PAGES * WL_PAGE, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		int err;

		if (p == MAP_FAILED)
			return -errno;
		code = p;
		for (unsigned long i = 0; i < JIT_PAGES; i++)
			code[i * WL_PAGE] = 0xc3; /* ret */
		err = protect(p, JIT_PAGES * WL_PAGE, PROT_READ | PROT_EXEC);
		if (err)
			return err;
		((void (*)(void))p)();
		err = protect(p + WL_PAGE, WL_PAGE, PROT_READ | PROT_WRITE);
		if (err)
			return err;
		code[WL_PAGE] = 0xc3;
		err = protect(p + WL_PAGE, WL_PAGE, PROT_READ | PROT_EXEC);
		if (err)
			return err;
		((void (*)(void))(p + WL_PAGE))();
		if (munmap(p, JIT_PAGES * WL_PAGE))
			return -errno;
	}
	return 0;
}

/*
 * A garbage collector with a card-marking barrier by protection: protects the old
 * generation, mutates a part of it (each first write to a 16-page card unprotects the card,
 * as a SIGSEGV handler would), collects: gives back a quarter of the young generation.
 */
#define GC_CARD 16UL

static int gc_round(void)
{
	volatile unsigned char *heap = area;
	int err = protect(area, WL_BYTES / 2, PROT_READ);

	for (unsigned long page = 0; !err && page < WL_PAGES / 2; page += 8 * GC_CARD) {
		err = protect(area + page * WL_PAGE, GC_CARD * WL_PAGE, PROT_READ | PROT_WRITE);
		for (unsigned long i = 0; i < GC_CARD; i++)
			heap[(page + i) * WL_PAGE] = 1;
	}
	if (!err)
		err = protect(area, WL_BYTES / 2, PROT_READ | PROT_WRITE);
	if (!err && madvise(area + WL_BYTES / 2, WL_BYTES / 8, MADV_DONTNEED))
		err = -errno;
	for (unsigned long page = WL_PAGES / 2; page < WL_PAGES * 5 / 8; page++)
		heap[page * WL_PAGE] = 2;
	return err;
}

/* A shell's loop: it forks for each of its commands, which is executed and ends. */
#define SHELL_COMMANDS 8UL

static int shell_round(void)
{
	static const char loop[] = "for i in 1 2 3 4 5 6 7 8; do /bin/busybox true || exit; done";
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/busybox", "sh", "-c", loop, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return status ? -ECHILD : 0;
}

const struct workload workloads[] = {
	{ "mprotect", "page", 10, 2 * WL_PAGES, 2, map_area, NULL, mprotect_round, unmap_area },
	{ "touch", "page", 3, 2 * WL_PAGES, 2, map_area, NULL, touch_round, unmap_area },
	{ "sparse", "call", 4, 2 * WL_PAGES / SPARSE_STRIDE, 2 * WL_PAGES / SPARSE_STRIDE, map_area,
	  NULL, sparse_round, unmap_area },
	{ "fork", "page", 3, WL_PAGES, 1, map_area, NULL, fork_round, unmap_area },
	{ "free", "page", 3, WL_PAGES, 1, map_area, NULL, free_round, unmap_area },
	{ "refault", "page", 3, WL_PAGES, 1, map_area, NULL, refault_round, unmap_area },
	{ "munmap", "page", 3, WL_PAGES, 1, NULL, map_area, munmap_round, NULL },
	{ "switch", "call", 2, SWITCHES, SWITCHES, switch_setup, NULL, switch_round,
	  switch_teardown },
	{ "jit", "call", 3, JIT_BUFFERS, JIT_BUFFERS, NULL, NULL, jit_round, NULL },
	{ "gc", "page", 3, WL_PAGES, 1, map_area, NULL, gc_round, unmap_area },
	{ "shell", "call", 3, SHELL_COMMANDS, SHELL_COMMANDS, NULL, NULL, shell_round, NULL },
	{ NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL },
};
