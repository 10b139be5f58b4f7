// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - libvirt's event API (virEventRegisterImpl()) on our loop.
 *
 * libvirt calls these from any thread that uses it, and wants its callbacks and its free
 * functions called without locks held: ring.c does both.
 */
#include <libvirt/libvirt.h>
#include <poll.h>
#include <stdlib.h>

#include <agent/daemon.h>

static struct ring *ring; /* libvirt's functions have no context */

struct handle {
	virEventHandleCallback fn;
	virEventTimeoutCallback timer;
	virFreeCallback done;
	void *opaque;
};

static int to_poll(int events)
{
	return (events & VIR_EVENT_HANDLE_READABLE ? POLLIN : 0) |
	       (events & VIR_EVENT_HANDLE_WRITABLE ? POLLOUT : 0);
}

static int from_poll(int events)
{
	return (events & POLLIN ? VIR_EVENT_HANDLE_READABLE : 0) |
	       (events & POLLOUT ? VIR_EVENT_HANDLE_WRITABLE : 0) |
	       (events & (POLLERR | POLLNVAL) ? VIR_EVENT_HANDLE_ERROR : 0) |
	       (events & POLLHUP ? VIR_EVENT_HANDLE_HANGUP : 0);
}

static void on_fd(int id, int fd, int events, void *ctx)
{
	const struct handle *handle = ctx;

	handle->fn(id, fd, from_poll(events), handle->opaque);
}

static void on_timer(int id, void *ctx)
{
	const struct handle *handle = ctx;

	handle->timer(id, handle->opaque);
}

static void on_done(void *ctx)
{
	struct handle *handle = ctx;

	if (handle->done)
		handle->done(handle->opaque);
	free(handle);
}

static struct handle *handle_new(void *opaque, virFreeCallback done)
{
	struct handle *handle = calloc(1, sizeof(*handle));

	if (handle) {
		handle->opaque = opaque;
		handle->done = done;
	}
	return handle;
}

static int add_handle(int fd, int events, virEventHandleCallback fn, void *opaque,
		      virFreeCallback done)
{
	struct handle *handle = handle_new(opaque, done);
	int id;

	if (!handle)
		return -1;
	handle->fn = fn;
	id = ring_add_fd(ring, fd, to_poll(events), on_fd, handle, on_done);
	if (id < 0)
		free(handle);
	return id;
}

static void update_handle(int id, int events)
{
	ring_set_fd(ring, id, to_poll(events));
}

static int remove_handle(int id)
{
	return ring_remove_fd(ring, id);
}

static int add_timeout(int ms, virEventTimeoutCallback fn, void *opaque, virFreeCallback done)
{
	struct handle *handle = handle_new(opaque, done);
	int id;

	if (!handle)
		return -1;
	handle->timer = fn;
	id = ring_add_timer(ring, ms, on_timer, handle, on_done);
	if (id < 0)
		free(handle);
	return id;
}

static void update_timeout(int id, int ms)
{
	ring_set_timer(ring, id, ms);
}

static int remove_timeout(int id)
{
	return ring_remove_timer(ring, id);
}

void events_register(struct ring *loop)
{
	ring = loop;
	virEventRegisterImpl(add_handle, update_handle, remove_handle, add_timeout, update_timeout,
			     remove_timeout);
}
