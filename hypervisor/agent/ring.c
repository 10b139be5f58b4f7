// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - the event loop, on io_uring: descriptors that are waited for, and
 * timers. libvirt's event API (events.c) and HTTP (http.c) are its users.
 *
 * Any thread may add, change and remove; the loop's thread alone talks to the ring, and
 * does what the others have asked for in its next turn. A poll request that is under way
 * when its descriptor is changed or removed is cancelled, and what follows is done when the
 * ring says that it is over: so a watch is never freed while the kernel knows it.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <agent/daemon.h>

#define RING_ENTRIES 128
#define WAKE_DATA 0 /* user data of the eventfd's poll, and of cancellations; else a watch's */

struct watch {
	struct watch *next;
	int id;
	int fd;
	int events; /* wanted; 0: for now none */
	int polled; /* events that the ring waits for; 0: it does not */
	bool cancelling;
	bool removed;
	ring_fd_fn fn;
	ring_free_fn done;
	void *ctx;
};

struct timer {
	struct timer *next;
	int id;
	int ms; /* -1: off */
	double at; /* when it is due */
	bool removed;
	ring_timer_fn fn;
	ring_free_fn done;
	void *ctx;
};

struct ring {
	struct io_uring uring;
	pthread_t thread; /* that runs the loop */
	pthread_mutex_t lock; /* guards the lists and what is in them */
	int event_fd;
	int next_id;
	bool stopping;
	struct watch *watches;
	struct timer *timers;
};

static void wake(struct ring *ring)
{
	uint64_t one = 1;
	ssize_t written = write(ring->event_fd, &one, sizeof(one));

	/* A full counter wakes as well. */
	(void)written;
}

static struct watch *find_watch(struct ring *ring, int id)
{
	struct watch *watch = ring->watches;

	while (watch && (watch->id != id || watch->removed))
		watch = watch->next;
	return watch;
}

static struct timer *find_timer(struct ring *ring, int id)
{
	struct timer *timer = ring->timers;

	while (timer && (timer->id != id || timer->removed))
		timer = timer->next;
	return timer;
}

int ring_add_fd(struct ring *ring, int fd, int events, ring_fd_fn fn, void *ctx, ring_free_fn done)
{
	struct watch *watch = malloc(sizeof(*watch));
	int id;

	if (!watch)
		return -1;
	pthread_mutex_lock(&ring->lock);
	id = ring->next_id++;
	*watch = (struct watch){ .next = ring->watches,
				 .id = id,
				 .fd = fd,
				 .events = events,
				 .fn = fn,
				 .done = done,
				 .ctx = ctx };
	ring->watches = watch;
	pthread_mutex_unlock(&ring->lock);
	wake(ring);
	return id;
}

void ring_set_fd(struct ring *ring, int id, int events)
{
	struct watch *watch;

	pthread_mutex_lock(&ring->lock);
	watch = find_watch(ring, id);
	if (watch)
		watch->events = events;
	pthread_mutex_unlock(&ring->lock);
	wake(ring);
}

int ring_remove_fd(struct ring *ring, int id)
{
	struct watch *watch;

	pthread_mutex_lock(&ring->lock);
	watch = find_watch(ring, id);
	if (watch)
		watch->removed = true;
	pthread_mutex_unlock(&ring->lock);
	wake(ring);
	return watch ? 0 : -1;
}

static double due(int ms)
{
	return agent_now() + ms / 1e3;
}

int ring_add_timer(struct ring *ring, int ms, ring_timer_fn fn, void *ctx, ring_free_fn done)
{
	struct timer *timer = malloc(sizeof(*timer));
	int id;

	if (!timer)
		return -1;
	pthread_mutex_lock(&ring->lock);
	id = ring->next_id++;
	*timer = (struct timer){ .next = ring->timers,
				 .id = id,
				 .ms = ms,
				 .at = due(ms),
				 .fn = fn,
				 .done = done,
				 .ctx = ctx };
	ring->timers = timer;
	pthread_mutex_unlock(&ring->lock);
	wake(ring);
	return id;
}

void ring_set_timer(struct ring *ring, int id, int ms)
{
	struct timer *timer;

	pthread_mutex_lock(&ring->lock);
	timer = find_timer(ring, id);
	if (timer) {
		timer->ms = ms;
		timer->at = due(ms);
	}
	pthread_mutex_unlock(&ring->lock);
	wake(ring);
}

int ring_remove_timer(struct ring *ring, int id)
{
	struct timer *timer;

	pthread_mutex_lock(&ring->lock);
	timer = find_timer(ring, id);
	if (timer)
		timer->removed = true;
	pthread_mutex_unlock(&ring->lock);
	wake(ring);
	return timer ? 0 : -1;
}

static struct io_uring_sqe *get_sqe(struct ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	/* Full: what is queued goes to the kernel, and there is room. */
	while (!sqe) {
		io_uring_submit(&ring->uring);
		sqe = io_uring_get_sqe(&ring->uring);
	}
	return sqe;
}

static void poll_fd(struct ring *ring, int fd, int events, void *data)
{
	struct io_uring_sqe *sqe = get_sqe(ring);

	io_uring_prep_poll_add(sqe, fd, (unsigned int)events);
	io_uring_sqe_set_data(sqe, data);
}

/* Bring one watch to what is wanted of it. Returns whether it is over. Under the lock. */
static bool settle(struct ring *ring, struct watch *watch)
{
	struct io_uring_sqe *sqe;

	if (watch->polled) {
		if ((watch->removed || watch->events != watch->polled) && !watch->cancelling) {
			sqe = get_sqe(ring);
			io_uring_prep_poll_remove(sqe, (uintptr_t)watch);
			io_uring_sqe_set_data64(sqe, WAKE_DATA);
			watch->cancelling = true;
		}
		return false;
	}
	if (!watch->removed && watch->events) {
		poll_fd(ring, watch->fd, watch->events, watch);
		watch->polled = watch->events;
	}
	return watch->removed;
}

static void settle_watches(struct ring *ring)
{
	struct watch **at, *watch, *over = NULL;

	pthread_mutex_lock(&ring->lock);
	for (at = &ring->watches; (watch = *at);) {
		if (settle(ring, watch)) {
			*at = watch->next;
			watch->next = over;
			over = watch;
		} else {
			at = &watch->next;
		}
	}
	pthread_mutex_unlock(&ring->lock);
	while ((watch = over)) {
		over = watch->next;
		if (watch->done)
			watch->done(watch->ctx);
		free(watch);
	}
}

/* The next timer that is due by @now, made due again later; NULL: none. */
static struct timer *next_due(struct ring *ring, double now)
{
	struct timer *timer;

	pthread_mutex_lock(&ring->lock);
	timer = ring->timers;
	while (timer && (timer->removed || timer->ms < 0 || timer->at > now))
		timer = timer->next;
	if (timer)
		/* After @now also if it is to fire in each turn. */
		timer->at = now + (timer->ms > 0 ? timer->ms / 1e3 : 1e-6);
	pthread_mutex_unlock(&ring->lock);
	return timer;
}

static void run_timers(struct ring *ring)
{
	struct timer **at, *timer, *over = NULL;
	double now = agent_now();

	/* Only this thread frees timers, so that it can be used without the lock. */
	while ((timer = next_due(ring, now)))
		timer->fn(timer->id, timer->ctx);
	pthread_mutex_lock(&ring->lock);
	for (at = &ring->timers; (timer = *at);) {
		if (timer->removed) {
			*at = timer->next;
			timer->next = over;
			over = timer;
		} else {
			at = &timer->next;
		}
	}
	pthread_mutex_unlock(&ring->lock);
	while ((timer = over)) {
		over = timer->next;
		if (timer->done)
			timer->done(timer->ctx);
		free(timer);
	}
}

static struct __kernel_timespec time_left(struct ring *ring)
{
	double now = agent_now(), at = now + 60;

	pthread_mutex_lock(&ring->lock);
	for (struct timer *timer = ring->timers; timer; timer = timer->next)
		if (!timer->removed && timer->ms >= 0 && timer->at < at)
			at = timer->at;
	pthread_mutex_unlock(&ring->lock);
	at = at > now ? at - now : 0;
	return (struct __kernel_timespec){
		.tv_sec = (long long)at, .tv_nsec = (long long)((at - (double)(long long)at) * 1e9)
	};
}

/* A poll request is over. */
static void polled(struct ring *ring, struct watch *watch, int res)
{
	bool tell;

	pthread_mutex_lock(&ring->lock);
	watch->polled = 0;
	watch->cancelling = false;
	/* What is no longer wanted is not told. */
	tell = !watch->removed &&
	       (res < 0 ? res != -ECANCELED : res & (watch->events | POLLERR | POLLHUP));
	pthread_mutex_unlock(&ring->lock);
	if (tell)
		watch->fn(watch->id, watch->fd, res < 0 ? POLLERR : res, watch->ctx);
}

static void woken(struct ring *ring)
{
	uint64_t count;

	while (read(ring->event_fd, &count, sizeof(count)) == sizeof(count))
		;
	poll_fd(ring, ring->event_fd, POLLIN, ring);
}

static int turn(struct ring *ring)
{
	struct __kernel_timespec left;
	struct io_uring_cqe *cqe;
	int rc;

	run_timers(ring);
	settle_watches(ring);
	left = time_left(ring);
	rc = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1, &left, NULL);
	if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN)
		return rc;
	/* One at a time: a callback may queue more. */
	while (!io_uring_peek_cqe(&ring->uring, &cqe)) {
		void *data = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&ring->uring, cqe);
		if (data == ring)
			woken(ring);
		else if (data && data != (void *)LIBURING_UDATA_TIMEOUT)
			polled(ring, data, res);
	}
	return 0;
}

int ring_run(struct ring *ring)
{
	bool stopping = false;
	int rc = 0;

	poll_fd(ring, ring->event_fd, POLLIN, ring);
	while (!rc && !stopping) {
		rc = turn(ring);
		pthread_mutex_lock(&ring->lock);
		stopping = ring->stopping;
		pthread_mutex_unlock(&ring->lock);
	}
	return rc;
}

void ring_stop(struct ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	ring->stopping = true;
	pthread_mutex_unlock(&ring->lock);
	wake(ring);
}

struct ring *ring_create(void)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	int rc;

	if (!ring)
		return NULL;
	ring->next_id = 1;
	pthread_mutex_init(&ring->lock, NULL);
	ring->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	rc = ring->event_fd < 0 ? -errno : io_uring_queue_init(RING_ENTRIES, &ring->uring, 0);
	if (!rc)
		return ring;
	if (ring->event_fd >= 0)
		close(ring->event_fd);
	pthread_mutex_destroy(&ring->lock);
	free(ring);
	errno = -rc;
	return NULL;
}

void ring_destroy(struct ring *ring)
{
	struct watch *watch;
	struct timer *timer;

	io_uring_queue_exit(&ring->uring);
	close(ring->event_fd);
	while ((watch = ring->watches)) {
		ring->watches = watch->next;
		free(watch);
	}
	while ((timer = ring->timers)) {
		ring->timers = timer->next;
		free(timer);
	}
	pthread_mutex_destroy(&ring->lock);
	free(ring);
}
