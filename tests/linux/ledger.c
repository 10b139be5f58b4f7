// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux tests - are Accessed and Dirty bits lost? Threads write pages and keep a
 * ledger of what they wrote, while another one protects, frees, pages out, forks and clears
 * soft-dirty bits in the same leaf tables. A write that came after the last thing that may
 * undo it has to be there, and has to have left its soft-dirty bit.
 *
 * What depends on D: a page that was given back (MADV_FREE) and written again is dropped by
 * reclaim if its dirty bit is lost; a page whose copy is in swap is not written out again.
 * What depends on A: /proc/self/smaps counts the pages referenced since they were told to
 * forget it.
 *
 * usage: ledger [ROUNDS] [WRITERS]; swap should be on. Exit codes: 0 nothing is lost,
 * 1 something is, 2 the machine cannot run this.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define PAGES 1536UL /* three leaf tables, with all writers in each */
#define REGION 32UL /* pages whose operations are counted together */
#define REGIONS (PAGES / REGION)
#define READ_PAGES 256UL /* the area of the Accessed bits */
#define MAX_WRITERS 8
#define SOFT_DIRTY (1ULL << 55) /* pagemap's */
#define SWAPPED (1ULL << 62)
#define TAINTED (~0UL)
#define REPORTS 20 /* lines about what is lost */

/*
 * struct undo - something that undoes writes, counted before and after it happens. A write
 * that began when the counters were equal can be undone only by what started later.
 */
struct undo {
	atomic_ulong started, done;
};

/* A page as its owner knows it. Only its owner touches this. */
struct entry {
	unsigned long value; /* the last written */
	unsigned long frees, clears; /* the counters at that time, or TAINTED */
};

struct writer {
	pthread_t thread;
	unsigned long id;
	uint64_t random;
	unsigned long writes, checks, dropped, swapped, bits, clean;
};

static unsigned char *area, *read_area;
static struct entry ledger[PAGES];
static struct undo freeing[REGIONS], clearing;
static atomic_bool stop;
static atomic_ulong lost, faults;
static unsigned long writers = 2;
static int pagemap, clear_refs;

static void die(const char *what)
{
	fprintf(stderr, "ledger: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t below(uint64_t *random, uint64_t n)
{
	*random = *random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (*random >> 33) % n;
}

static volatile unsigned long *word(unsigned long page)
{
	return (volatile unsigned long *)(area + page * PAGE);
}

static void report(const char *what, unsigned long page, unsigned long is, unsigned long should)
{
	if (atomic_fetch_add(&lost, 1) >= REPORTS)
		return;
	printf("ledger: lost: %s: page %lu: %lu instead of %lu\n", what, page, is, should);
	fflush(stdout);
}

/* The area is read-only for a moment now and then: try the write again. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
	unsigned char *at = info->si_addr;

	(void)signal;
	(void)context;
	if (at < area || at >= area + PAGES * PAGE)
		_exit(3);
	atomic_fetch_add(&faults, 1);
	sched_yield();
}

static unsigned long undo_mark(struct undo *undo)
{
	unsigned long done = atomic_load(&undo->done);

	return atomic_load(&undo->started) == done ? done : TAINTED;
}

/* Is nothing that undoes writes known to have begun since the mark was taken? */
static bool undo_none(struct undo *undo, unsigned long mark)
{
	return atomic_load(&undo->started) == mark;
}

static void undo_begin(struct undo *undo)
{
	atomic_fetch_add(&undo->started, 1);
}

static void undo_end(struct undo *undo)
{
	atomic_fetch_add(&undo->done, 1);
}

static void put(struct writer *w, unsigned long page)
{
	struct entry *e = &ledger[page];

	e->frees = undo_mark(&freeing[page / REGION]);
	e->clears = undo_mark(&clearing);
	e->value++;
	*word(page) = e->value;
	w->writes++;
}

/* The page's entry in /proc/self/pagemap. */
static uint64_t pagemap_entry(unsigned long page)
{
	off_t at = (off_t)((uintptr_t)word(page) / PAGE * sizeof(uint64_t));
	uint64_t entry = 0;

	if (pread(pagemap, &entry, sizeof(entry), at) != sizeof(entry))
		die("/proc/self/pagemap");
	return entry;
}

static void check(struct writer *w, unsigned long page)
{
	struct entry *e = &ledger[page];
	struct undo *frees = &freeing[page / REGION];
	unsigned long is;
	uint64_t entry;
	bool dirty;

	/* The page is asked first: to read it would bring back what reclaim has taken. */
	entry = pagemap_entry(page);
	dirty = entry & SOFT_DIRTY;
	if (entry & SWAPPED)
		w->swapped++;
	if (!dirty)
		w->clean++;
	if (undo_none(frees, e->frees) && undo_none(&clearing, e->clears)) {
		w->bits++;
		if (!dirty)
			report("soft-dirty bit", page, 0, 1);
	}
	is = *word(page);
	w->checks++;
	if (is == e->value)
		return;
	if (is || undo_none(frees, e->frees))
		report("content", page, is, e->value);
	w->dropped++;
}

static void *work(void *arg)
{
	struct writer *w = arg;

	for (unsigned long i = 1; !atomic_load(&stop); i++) {
		unsigned long page = below(&w->random, PAGES / writers) * writers + w->id;

		/* A read first, so that a later write finds an entry with A and without D. */
		if (below(&w->random, 4) == 0)
			check(w, page);
		put(w, page);
		if (below(&w->random, 2) == 0)
			check(w, page);
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void protect(unsigned char *at, unsigned long bytes, int prot)
{
	if (mprotect(at, bytes, prot))
		die("mprotect");
}

static void toggle(unsigned long first, unsigned long nr)
{
	protect(area + first * PAGE, nr * PAGE, PROT_READ);
	sched_yield();
	protect(area + first * PAGE, nr * PAGE, PROT_READ | PROT_WRITE);
}

static void advise(unsigned long first, unsigned long nr, int advice)
{
	bool undoes = advice == MADV_FREE || advice == MADV_DONTNEED;

	for (unsigned long r = first / REGION; undoes && r * REGION < first + nr; r++)
		undo_begin(&freeing[r]);
	/* Reclaim without swap, or of a page in use, is refused. */
	if (madvise(area + first * PAGE, nr * PAGE, advice) && undoes)
		die("madvise");
	for (unsigned long r = first / REGION; undoes && r * REGION < first + nr; r++)
		undo_end(&freeing[r]);
}

static void clear(char what)
{
	if (pwrite(clear_refs, &what, 1, 0) != 1)
		die("/proc/self/clear_refs");
}

/* What a child writes its parent does not see. */
static void fork_and_write(unsigned long first, unsigned long nr)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (unsigned long page = first; page < first + nr; page++)
			*word(page) = TAINTED;
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		die("fork");
}

/* The pages of the second area that were referenced since the last clear('1'). */
static unsigned long referenced(void)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	unsigned long start, kib = 0;
	char line[256];
	bool here = false;

	if (!file)
		die("/proc/self/smaps");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%*x ", &start) == 1)
			here = start == (uintptr_t)read_area;
		if (here && sscanf(line, "Referenced: %lu kB", &kib) == 1)
			break;
	}
	fclose(file);
	return kib * 1024 / PAGE;
}

/*
 * Touched pages are referenced. clear_refs does not flush TLBs, neither does the CPU set A
 * where the TLB says that it is; making the area read-only is what does the flush, if it was
 * writable, which a clear('4') has ended: hence the writes.
 */
static bool accessed(unsigned long every)
{
	unsigned long touched = 0, before, after;

	memset(read_area, 1, READ_PAGES * PAGE);
	clear('1');
	protect(read_area, READ_PAGES * PAGE, PROT_READ);
	protect(read_area, READ_PAGES * PAGE, PROT_READ | PROT_WRITE);
	before = referenced();
	for (unsigned long page = 0; page < READ_PAGES; page += every, touched++)
		(void)((volatile unsigned char *)read_area)[page * PAGE];
	after = referenced();
	if (after < touched)
		report("accessed bits", 0, after, touched);
	return before < touched;
}

/* Returns how often bits that were cleared were seen clear. */
static unsigned long mangle(unsigned long rounds)
{
	unsigned long forgotten = 0;
	uint64_t random = 4711;

	for (unsigned long round = 0; round < rounds; round++) {
		unsigned long first = below(&random, PAGES);
		unsigned long nr = 1 + below(&random, below(&random, 3) ? 24 : 700);

		if (nr > PAGES - first)
			nr = PAGES - first;
		switch (below(&random, 9)) {
		case 0:
		case 1:
			toggle(first, nr);
			break;
		case 2:
			advise(first, nr, MADV_FREE);
			break;
		case 3:
			/* Written in between by the others: reclaim must not drop it. */
			advise(first, nr, MADV_FREE);
			sched_yield();
			advise(first, nr, MADV_PAGEOUT);
			break;
		case 4:
			advise(first, nr, MADV_PAGEOUT);
			break;
		case 5:
			advise(first, nr, below(&random, 2) ? MADV_COLD : MADV_DONTNEED);
			break;
		case 6:
			undo_begin(&clearing);
			clear('4');
			undo_end(&clearing);
			break;
		case 7:
			fork_and_write(first, nr);
			break;
		case 8:
			forgotten += accessed(1 + below(&random, 8));
			break;
		}
		sched_yield();
	}
	return forgotten;
}

/* Between pages that nobody may touch, so that it stays a mapping of its own. */
static unsigned char *map(unsigned long pages)
{
	unsigned char *at =
		mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		die("mmap");
	at += PAGE;
	protect(at, pages * PAGE, PROT_READ | PROT_WRITE);
	if (madvise(at, pages * PAGE, MADV_NOHUGEPAGE) && errno != EINVAL)
		die("madvise");
	memset(at, 0, pages * PAGE);
	return at;
}

static unsigned long number(const char *text, unsigned long max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || !value || value > max) {
		fprintf(stderr, "ledger: '%s' is no number from 1 to %lu\n", text, max);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	static struct writer w[MAX_WRITERS];
	unsigned long rounds = 1000, forgotten;
	struct writer sum = { 0 };

	if (argc > 3 || (argc > 1 && !strcmp(argv[1], "--help"))) {
		printf("usage: ledger [ROUNDS (1000)] [WRITERS (2)]\n");
		return argc > 3 ? 2 : 0;
	}
	if (argc > 1)
		rounds = number(argv[1], 10000000);
	if (argc > 2)
		writers = number(argv[2], MAX_WRITERS);
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	clear_refs = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	if (pagemap < 0 || clear_refs < 0)
		die("/proc/self/{pagemap,clear_refs}");
	area = map(PAGES);
	read_area = map(READ_PAGES);
	/* Of no interest to children, which would have it read-only. */
	if (madvise(read_area, READ_PAGES * PAGE, MADV_DONTFORK))
		die("madvise");
	if (!(pagemap_entry(0) & SOFT_DIRTY)) {
		printf("ledger: this kernel has no soft-dirty bits\n");
		return 2;
	}
	sigaction(SIGSEGV, &action, NULL);
	for (unsigned long i = 0; i < writers; i++) {
		w[i].id = w[i].random = i;
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			die("pthread_create");
	}
	forgotten = mangle(rounds);
	atomic_store(&stop, true);
	for (unsigned long i = 0; i < writers; i++) {
		pthread_join(w[i].thread, NULL);
		for (unsigned long page = i; page < PAGES - PAGES % writers; page += writers)
			check(&w[i], page);
		sum.writes += w[i].writes;
		sum.checks += w[i].checks;
		sum.dropped += w[i].dropped;
		sum.swapped += w[i].swapped;
		sum.bits += w[i].bits;
		sum.clean += w[i].clean;
	}
	printf("ledger: %lu writes, %lu write faults in protected pages\n", sum.writes,
	       atomic_load(&faults));
	printf("ledger: %lu checks of content, %lu of them dropped as they may be\n", sum.checks,
	       sum.dropped);
	printf("ledger: pages seen in swap %lu\n", sum.swapped);
	printf("ledger: %lu checks of soft-dirty bits that have to be set, %lu seen clear\n",
	       sum.bits, sum.clean);
	printf("ledger: %lu checks of accessed bits after they were seen clear\n", forgotten);
	printf("ledger: lost %lu\n", atomic_load(&lost));
	if (atomic_load(&lost))
		return 1;
	/* A test in which nothing is ever at stake proves nothing. */
	if (!sum.dropped || !sum.bits || !sum.clean || !forgotten) {
		printf("ledger: too little happened: more rounds, or a kernel without soft-dirty\n");
		return 2;
	}
	return 0;
}
