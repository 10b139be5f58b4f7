// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux tests - process 1 of a PV domain (or of any machine): threads of one process
 * protect, fork, free, drop and remap their pages at the same time, and compare every page
 * with what has to be in it. What is deferred too long, or forgotten, by a kernel that
 * queues page-table updates shows as wrong content or as a missing or unexpected fault.
 *
 * Prints "stress: N operations" and "done", or what is wrong and nothing of the kind.
 * Argument: seconds.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 4
#define PAGES 1200UL /* more than two leaf tables */
#define PAGE 4096UL

struct area {
	unsigned char *at; /* private memory */
	unsigned char *shared; /* a file's pages, mapped */
	int file;
	uint32_t value[PAGES]; /* what each page starts with */
	uint32_t shared_value[PAGES];
	uint64_t random;
	unsigned long operations;
};

static atomic_bool stop, failed;
static __thread sigjmp_buf fault;
static __thread volatile sig_atomic_t expecting;

static void on_fault(int signal)
{
	if (expecting)
		siglongjmp(fault, 1);
	static const char text[] = "stress: unexpected fault\n";

	(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
	(void)signal;
	_exit(1);
}

static uint32_t below(struct area *a, uint32_t n)
{
	a->random = a->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((a->random >> 33) % n);
}

static volatile uint32_t *word(unsigned char *at, unsigned long page)
{
	return (volatile uint32_t *)(at + page * PAGE);
}

static void wrong(const char *what, unsigned long page, uint32_t is, uint32_t should)
{
	printf("stress: %s: page %lu holds %u instead of %u\n", what, page, is, should);
	atomic_store(&failed, true);
	atomic_store(&stop, true);
}

static void check(struct area *a, const char *what, unsigned long first, unsigned long nr)
{
	for (unsigned long page = first; page < first + nr; page++)
		if (*word(a->at, page) != a->value[page])
			wrong(what, page, *word(a->at, page), a->value[page]);
}

static void fill(struct area *a, unsigned long first, unsigned long nr)
{
	for (unsigned long page = first; page < first + nr; page++)
		*word(a->at, page) = a->value[page] = below(a, 1U << 30) + 1;
}

/* A write to what is read-only has to fault. */
static void protect(struct area *a, unsigned long first, unsigned long nr)
{
	unsigned long page = first + below(a, (uint32_t)nr);

	mprotect(a->at + first * PAGE, nr * PAGE, PROT_READ);
	check(a, "read-only", first, nr);
	expecting = 1;
	if (!sigsetjmp(fault, 1)) {
		*word(a->at, page) = 0;
		expecting = 0;
		wrong("write to a read-only page", page, 0, a->value[page]);
	}
	expecting = 0;
	mprotect(a->at + first * PAGE, nr * PAGE, PROT_READ | PROT_WRITE);
	fill(a, first, nr);
}

/* Neither sees what the other writes after the fork. */
static void fork_and_write(struct area *a, unsigned long first, unsigned long nr)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		for (unsigned long page = 0; page < PAGES; page++)
			if (*word(a->at, page) != a->value[page])
				_exit(1);
		for (unsigned long page = first; page < first + nr; page++)
			*word(a->at, page) = ~0U;
		_exit(0);
	}
	fill(a, first, nr);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		wrong("child", first, 0, 0);
	check(a, "after fork", first, nr);
}

static void drop(struct area *a, unsigned long first, unsigned long nr)
{
	madvise(a->at + first * PAGE, nr * PAGE, MADV_DONTNEED);
	for (unsigned long page = first; page < first + nr; page++)
		a->value[page] = 0;
	check(a, "dropped", first, nr);
	fill(a, first, nr);
}

/* Freed pages hold what they held or nothing, until they are written again. */
static void give_back(struct area *a, unsigned long first, unsigned long nr)
{
	madvise(a->at + first * PAGE, nr * PAGE, MADV_FREE);
	for (unsigned long page = first; page < first + nr; page++) {
		uint32_t is = *word(a->at, page);

		if (is && is != a->value[page])
			wrong("freed", page, is, a->value[page]);
	}
	fill(a, first, nr);
	check(a, "freed and written", first, nr);
}

static void remap(struct area *a, unsigned long first, unsigned long nr)
{
	munmap(a->at + first * PAGE, nr * PAGE);
	if (mmap(a->at + first * PAGE, nr * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		wrong("mmap", first, 0, 0);
	for (unsigned long page = first; page < first + nr; page++)
		a->value[page] = 0;
	check(a, "mapped anew", first, nr);
	fill(a, first, nr);
}

/* What was written through a mapping is in the file when the mapping is gone. */
static void file_pages(struct area *a, unsigned long first, unsigned long nr)
{
	for (unsigned long page = first; page < first + nr; page++)
		*word(a->shared, page) = a->shared_value[page] = below(a, 1U << 30);
	madvise(a->shared + first * PAGE, nr * PAGE, MADV_DONTNEED);
	for (unsigned long page = first; page < first + nr; page++) {
		uint32_t is = 0;

		if (pread(a->file, &is, sizeof(is), (off_t)(page * PAGE)) != sizeof(is) ||
		    is != a->shared_value[page])
			wrong("file", page, is, a->shared_value[page]);
	}
}

static void *work(void *arg)
{
	static void (*const operations[])(struct area *, unsigned long, unsigned long) = {
		protect, drop, give_back, remap, file_pages, protect, give_back, fork_and_write,
	};
	struct area *a = arg;

	while (!atomic_load(&stop)) {
		unsigned long first = below(a, PAGES);
		unsigned long nr = 1 + below(a, below(a, 3) ? 8 : 700);

		if (nr > PAGES - first)
			nr = PAGES - first;
		operations[below(a, sizeof(operations) / sizeof(operations[0]))](a, first, nr);
		a->operations++;
	}
	check(a, "at the end", 0, PAGES);
	return NULL;
}

static void open_area(struct area *a, unsigned int i)
{
	a->random = i + 1;
	a->at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	a->file = memfd_create("stress", 0);
	if (a->at == MAP_FAILED || a->file < 0 || ftruncate(a->file, PAGES * PAGE)) {
		perror("stress: setup");
		exit(1);
	}
	a->shared = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, a->file, 0);
	madvise(a->at, PAGES * PAGE, MADV_NOHUGEPAGE);
	fill(a, 0, PAGES);
}

static int run(unsigned int seconds)
{
	static struct area areas[THREADS];
	pthread_t threads[THREADS];
	unsigned long sum = 0;

	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	for (unsigned int i = 0; i < THREADS; i++)
		open_area(&areas[i], i);
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, &areas[i]);
	for (unsigned int i = 0; i < seconds * 10 && !atomic_load(&stop); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		sum += areas[i].operations;
	}
	printf("stress: %lu operations\n", sum);
	return atomic_load(&failed) || sum < THREADS;
}

int main(int argc, char **argv)
{
	unsigned int seconds = argc > 1 ? (unsigned int)atoi(argv[1]) : 20;
	int status = 1;
	pid_t pid;

	if (getpid() != 1)
		return run(seconds);
	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	/* A child, so that what kills it is seen here. */
	pid = fork();
	if (pid == 0)
		_exit(run(seconds));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	printf("%s\n", status ? "stress: failed" : "done");
	fflush(stdout);
	sleep(1); /* the console is somebody else's to empty */
	reboot(RB_AUTOBOOT);
	return 0;
}
