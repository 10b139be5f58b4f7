// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - the event loop of the main thread, on io_uring: the console's output, the
 * signals that end a run, the deadline, a tick, the eventfd by which vCPU threads say that
 * something has changed, and the control socket's clients (control.c). vCPUs never wait
 * for it, except for room on the console.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <vmm/internal.h>
#include <vmm/sandbox.h>

#define RING_ENTRIES 64
#define TICK_NS 500000000LL
#define QUIET_TICKS 2 /* without an exit, before the vCPUs are asked whether they sleep */

enum op {
	OP_SIGNAL = 1,
	OP_EVENT,
	OP_TICK,
	OP_DEADLINE,
	OP_WRITE,
	OP_WRITABLE,
	OP_CANCEL,
	OP_CONTROL = LOOP_OP_CONTROL /* control.c's; the rest of the 64 bits is its own */
};

struct loop {
	struct vm *vm;
	struct io_uring ring;
	int signal_fd;
	struct control *control;
	struct timespec start;
	struct __kernel_timespec tick, deadline;
	bool writing; /* a console write (or the wait for it) is in flight */
	bool console_broken;
	unsigned int records_seen;
	uint64_t exits_seen;
	unsigned int quiet;
};

static struct io_uring_sqe *get_sqe(struct loop *loop, enum op op)
{
	/* Each op is in flight once at most and the ring is larger: there is room. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);

	io_uring_sqe_set_data64(sqe, op);
	return sqe;
}

static void poll_fd(struct loop *loop, enum op op, int fd, unsigned int events)
{
	struct io_uring_sqe *sqe = get_sqe(loop, op);

	io_uring_prep_poll_add(sqe, fd, events);
	io_uring_sqe_set_data64(sqe, op);
}

static void arm_timer(struct loop *loop, enum op op, struct __kernel_timespec *ts)
{
	struct io_uring_sqe *sqe = get_sqe(loop, op);

	io_uring_prep_timeout(sqe, ts, 0, 0);
	io_uring_sqe_set_data64(sqe, op);
}

static double seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* Write what the console holds, unless a write is under way. */
static void write_console(struct loop *loop)
{
	struct console *console = &loop->vm->console;
	int fd = loop->vm->config->console;
	struct io_uring_sqe *sqe;
	const uint8_t *src;
	size_t bytes;

	if (loop->writing)
		return;
	while ((bytes = console_peek(console, &src))) {
		if (fd >= 0 && !loop->console_broken) {
			sqe = get_sqe(loop, OP_WRITE);
			io_uring_prep_write(sqe, fd, src, (unsigned int)bytes, (uint64_t)-1);
			io_uring_sqe_set_data64(sqe, OP_WRITE);
			loop->writing = true;
			return;
		}
		console_taken(console, bytes);
	}
}

static void wrote(struct loop *loop, int res)
{
	loop->writing = false;
	if (res == -EAGAIN) {
		poll_fd(loop, OP_WRITABLE, loop->vm->config->console, POLLOUT);
		loop->writing = true;
	} else if (res > 0) {
		console_taken(&loop->vm->console, (size_t)res);
	} else if (res != -EINTR) {
		loop->console_broken = true;
	}
}

static void read_signal(struct loop *loop)
{
	struct signalfd_siginfo info;

	while (read(loop->signal_fd, &info, sizeof(info)) == sizeof(info))
		vm_end(loop->vm, VMM_END_INTERRUPTED, info.ssi_signo, "interrupted by signal %u",
		       info.ssi_signo);
	poll_fd(loop, OP_SIGNAL, loop->signal_fd, POLLIN);
}

static void show_progress(struct loop *loop)
{
	const struct vmm_config *config = loop->vm->config;

	if (config->progress)
		config->progress(config->progress_ctx, seconds_since(&loop->start),
				 atomic_load(&loop->vm->nr_records));
}

/* Do all vCPUs say that nothing can wake them? */
static void check_halted(struct loop *loop)
{
	struct vm *vm = loop->vm;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (atomic_load(&vm->vcpus[i].asked) || !atomic_load(&vm->vcpus[i].halted))
			return;
	vm_end(vm, VMM_END_HALT, 0, "every vCPU has halted with interrupts off");
}

static void read_event(struct loop *loop)
{
	unsigned int records = atomic_load(&loop->vm->nr_records);
	uint64_t count;

	while (read(loop->vm->event_fd, &count, sizeof(count)) == sizeof(count))
		;
	if (records != loop->records_seen)
		show_progress(loop);
	loop->records_seen = records;
	control_wake(loop->control);
	if (loop->quiet >= QUIET_TICKS)
		check_halted(loop);
	poll_fd(loop, OP_EVENT, loop->vm->event_fd, POLLIN);
}

/*
 * KVM keeps halted vCPUs to itself (the APIC is the kernel's), so a guest that has
 * halted for good looks like a busy one that does no I/O. When it has been quiet for a
 * while, take the vCPUs out and look.
 */
static void tick(struct loop *loop)
{
	struct vm *vm = loop->vm;
	struct mark sum;

	show_progress(loop);
	control_tick(loop->control);
	stats_sum(vm, &sum);
	/* The kicks of the last check are exits too. */
	if (sum.exits > loop->exits_seen + (loop->quiet >= QUIET_TICKS ? vm->nr_vcpus : 0))
		loop->quiet = 0;
	else
		loop->quiet++;
	loop->exits_seen = sum.exits;
	if (loop->quiet >= QUIET_TICKS) {
		for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
			atomic_store(&vm->vcpus[i].halted, false);
			atomic_store(&vm->vcpus[i].asked, true);
		}
		vm_kick_all(vm);
	}
	arm_timer(loop, OP_TICK, &loop->tick);
}

static void handle(struct loop *loop, uint64_t data, int res)
{
	switch ((enum op)(data & ((1U << LOOP_OP_BITS) - 1))) {
	case OP_SIGNAL:
		read_signal(loop);
		break;
	case OP_EVENT:
		read_event(loop);
		break;
	case OP_TICK:
		tick(loop);
		break;
	case OP_DEADLINE:
		vm_end(loop->vm, VMM_END_TIMEOUT, 0, "the guest did not end within %u s",
		       loop->vm->config->timeout);
		break;
	case OP_WRITE:
		wrote(loop, res);
		break;
	case OP_WRITABLE:
		loop->writing = false;
		break;
	case OP_CANCEL:
		break;
	case OP_CONTROL:
		control_done(loop->control, data >> LOOP_OP_BITS, res);
		break;
	}
}

static enum vmm_end how_ended(struct vm *vm)
{
	enum vmm_end end;

	pthread_mutex_lock(&vm->lock);
	end = vm->end;
	pthread_mutex_unlock(&vm->lock);
	return end;
}

/* One turn: submit, wait for something, handle all that is there. */
static int turn(struct loop *loop)
{
	struct io_uring_cqe *cqe;
	unsigned int head, nr = 0;
	int rc;

	rc = io_uring_submit_and_wait(&loop->ring, 1);
	/* Interrupted, short of memory, or to be emptied first: what is there is handled. */
	if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
		return rc;
	io_uring_for_each_cqe(&loop->ring, head, cqe)
	{
		handle(loop, io_uring_cqe_get_data64(cqe), cqe->res);
		nr++;
	}
	io_uring_cq_advance(&loop->ring, nr);
	write_console(loop);
	return 0;
}

/*
 * The guest is over. Its last words still go out if anybody reads them; after a Ctrl-C or
 * a timeout nobody waits for a reader that does not read.
 */
static int drain(struct loop *loop, enum vmm_end end)
{
	struct io_uring_sqe *sqe;
	int rc = 0;

	console_close(&loop->vm->console);
	if (loop->writing && (end == VMM_END_INTERRUPTED || end == VMM_END_TIMEOUT)) {
		loop->console_broken = true;
		for (enum op op = OP_WRITE; op <= OP_WRITABLE; op++) {
			sqe = get_sqe(loop, OP_CANCEL);
			io_uring_prep_cancel64(sqe, op, 0);
			io_uring_sqe_set_data64(sqe, OP_CANCEL);
		}
	}
	write_console(loop);
	while (!rc && loop->writing)
		rc = turn(loop);
	/* The kernel may still hold its buffers. */
	control_stop(loop->control);
	while (!rc && control_busy(loop->control))
		rc = turn(loop);
	return rc;
}

/* io_uring may be missing, forbidden by sysctl, or by a container's seccomp filter. */
static int ring_error(struct vmm_error *error, int rc)
{
	return vmm_error_set(
		error, VMM_FAULT_HOST, -rc,
		"no io_uring: %s; it needs Linux 5.6 or later, kernel.io_uring_disabled "
		"= 0, and a container that allows it",
		strerror(-rc));
}

int loop_possible(struct vmm_error *error)
{
	struct io_uring ring;
	int rc = ring_open(&ring, RING_ENTRIES);

	if (rc < 0)
		return ring_error(error, rc);
	io_uring_queue_exit(&ring);
	return 0;
}

int loop_run(struct vm *vm, struct vmm_error *error)
{
	struct loop loop = { .vm = vm, .tick = { .tv_nsec = TICK_NS } };
	enum vmm_end end = VMM_END_NONE;
	sigset_t set;
	int rc, begun;

	/* vm.c has blocked these in every thread. */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	loop.signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (loop.signal_fd < 0)
		return vmm_error_set(error, VMM_FAULT_HOST, errno, "signalfd: %s", strerror(errno));
	rc = ring_open(&loop.ring, RING_ENTRIES);
	if (rc < 0) {
		close(loop.signal_fd);
		return ring_error(error, rc);
	}
	clock_gettime(CLOCK_MONOTONIC, &loop.start);
	loop.control = control_start(vm, &loop.ring);
	poll_fd(&loop, OP_SIGNAL, loop.signal_fd, POLLIN);
	poll_fd(&loop, OP_EVENT, vm->event_fd, POLLIN);
	arm_timer(&loop, OP_TICK, &loop.tick);
	if (vm->config->timeout) {
		loop.deadline.tv_sec = vm->config->timeout;
		arm_timer(&loop, OP_DEADLINE, &loop.deadline);
	}
	begun = vm_begin(vm, error);
	while (!begun && !rc && (end = how_ended(vm)) == VMM_END_NONE)
		rc = turn(&loop);
	if (!begun && !rc)
		rc = drain(&loop, end);
	io_uring_queue_exit(&loop.ring);
	control_free(loop.control);
	close(loop.signal_fd);
	if (begun)
		return begun;
	if (rc)
		return vmm_error_set(error, VMM_FAULT_HOST, -rc, "io_uring: %s", strerror(-rc));
	return 0;
}
