// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - the control socket: a client sends one line, gets one JSON document, and is
 * done; or it gets the records of batches (trace.c) for as long as it stays. docs/vmm.md has
 * the protocol.
 *
 * It runs on the loop's ring. A client costs nothing but its slot: few are served at a
 * time (the others wait in the listening socket's queue), a request has a bounded length,
 * and whoever is slow is sent away. A machine runs without its socket just as well, so
 * that nothing here can fail a run.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <vmm/internal.h>

#define CLIENTS 8U /* served at a time; two requests each leave room in the ring */
#define SEND_BYTES 262144U /* of a stream, at a time */
#define BACKLOG 64
#define REQUEST_BYTES 64U
#define PATIENCE 5 /* seconds */

/* What a request on the ring was: user data above LOOP_OP_BITS. */
#define DATA_CANCEL (CLIENTS + 1)
#define DATA_ACCEPT CLIENTS
#define DATA_STREAM 256U /* plus a client: records are sent to it */
/* below CLIENTS: that client's question or answer */

struct client {
	int fd; /* -1: nobody */
	time_t since;
	char request[REQUEST_BYTES];
	size_t got;
	char *answer; /* NULL: still asking */
	size_t bytes, sent;
	unsigned int pending; /* requests that the ring has */
	bool leaving; /* closed when the ring has none any more */
	bool stream; /* it gets records */
	bool sending; /* some are under way */
};

struct control {
	struct vm *vm;
	struct io_uring *ring;
	int listen_fd;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	bool accepting; /* a request is with the kernel */
	bool stopping;
	struct client clients[CLIENTS];
};

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec;
}

static struct io_uring_sqe *tag(struct io_uring_sqe *sqe, uint64_t data)
{
	io_uring_sqe_set_data64(sqe, data << LOOP_OP_BITS | LOOP_OP_CONTROL);
	return sqe;
}

static struct client *vacant(struct control *control)
{
	for (unsigned int i = 0; i < CLIENTS; i++)
		if (control->clients[i].fd < 0)
			return &control->clients[i];
	return NULL;
}

static void accept_next(struct control *control)
{
	struct io_uring_sqe *sqe;

	if (control->accepting || control->stopping || !vacant(control))
		return;
	sqe = io_uring_get_sqe(control->ring);
	io_uring_prep_accept(sqe, control->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	tag(sqe, DATA_ACCEPT);
	control->accepting = true;
}

static void receive(struct control *control, struct client *client)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(control->ring);

	io_uring_prep_recv(sqe, client->fd, client->request + client->got,
			   sizeof(client->request) - client->got, 0);
	tag(sqe, (uint64_t)(client - control->clients));
	client->pending++;
}

static void reply(struct control *control, struct client *client)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(control->ring);

	io_uring_prep_send(sqe, client->fd, client->answer + client->sent,
			   client->bytes - client->sent, MSG_NOSIGNAL);
	tag(sqe, (uint64_t)(client - control->clients));
	client->pending++;
}

static void drop(struct control *control, struct client *client)
{
	/* What is still in flight ends by the shutdown, and then we are here again. */
	client->leaving = true;
	if (client->pending) {
		shutdown(client->fd, SHUT_RDWR);
		return;
	}
	if (client->stream)
		trace_stop(&control->vm->trace);
	close(client->fd);
	free(client->answer);
	memset(client, 0, sizeof(*client));
	client->fd = -1;
	accept_next(control);
}

/* Send what there is of records; straight out of the ring, which waits until it is taken. */
static void stream(struct control *control, struct client *client)
{
	struct trace *trace = &control->vm->trace;
	struct io_uring_sqe *sqe;
	const char *src;
	size_t bytes;

	if (client->sending || client->leaving)
		return;
	bytes = trace_peek(trace, &src);
	if (!bytes) {
		if (control->stopping)
			drop(control, client);
		return;
	}
	sqe = io_uring_get_sqe(control->ring);
	io_uring_prep_send(sqe, client->fd, src, bytes < SEND_BYTES ? bytes : SEND_BYTES,
			   MSG_NOSIGNAL);
	tag(sqe, DATA_STREAM + (uint64_t)(client - control->clients));
	client->pending++;
	client->sending = true;
}

static void streamed(struct control *control, struct client *client, int res)
{
	client->sending = false;
	if (res <= 0) {
		drop(control, client);
		return;
	}
	trace_taken(&control->vm->trace, (size_t)res);
	stream(control, client);
}

/* A client that wants records: from now on it is listened to only for its end. */
static bool begin_stream(struct control *control, struct client *client)
{
	bool batches = !strcmp(client->request, "trace batches");

	if (!batches && strcmp(client->request, "trace entries"))
		return false;
	if (!trace_start(control->vm, batches ? TRACE_ON_BATCHES : TRACE_ON_ENTRIES))
		return false;
	client->stream = true;
	client->got = 0;
	receive(control, client);
	stream(control, client);
	return true;
}

static char *answer(const struct vm *vm, const char *request)
{
	if (!strcmp(request, "stats"))
		return stats_document(vm);
	if (!strncmp(request, "trace ", 6) && vm->trace.ring.data)
		return strdup("{\"error\": \"somebody else records\"}\n");
	return strdup("{\"error\": \"unknown request\"}\n");
}

static void received(struct control *control, struct client *client, int res)
{
	char *end;

	if (res <= 0 || client->stream) {
		drop(control, client);
		return;
	}
	client->got += (size_t)res;
	end = memchr(client->request, '\n', client->got);
	if (!end && client->got < sizeof(client->request)) {
		receive(control, client);
		return;
	}
	/* Too long a line is an unknown request. */
	client->request[end ? (size_t)(end - client->request) : sizeof(client->request) - 1] = 0;
	if (begin_stream(control, client))
		return;
	client->answer = answer(control->vm, client->request);
	if (!client->answer) {
		drop(control, client);
		return;
	}
	client->bytes = strlen(client->answer);
	reply(control, client);
}

static void sent(struct control *control, struct client *client, int res)
{
	if (res > 0)
		client->sent += (size_t)res;
	if (res > 0 && client->sent < client->bytes)
		reply(control, client);
	else
		drop(control, client);
}

static void accepted(struct control *control, int res)
{
	struct client *client = vacant(control);

	control->accepting = false;
	if (res >= 0 && (!client || control->stopping)) {
		close(res);
		return;
	}
	/* Out of descriptors: control_tick() tries again. */
	if (res < 0)
		return;
	client->fd = res;
	client->since = now();
	receive(control, client);
	accept_next(control);
}

void control_done(struct control *control, uint64_t data, int res)
{
	struct client *client;

	if (data == DATA_ACCEPT) {
		accepted(control, res);
	} else if (data >= DATA_STREAM) {
		client = &control->clients[data - DATA_STREAM];
		client->pending--;
		streamed(control, client, client->leaving ? -1 : res);
	} else if (data < CLIENTS) {
		client = &control->clients[data];
		client->pending--;
		if (client->leaving || (control->stopping && !client->stream))
			drop(control, client);
		else if (client->answer)
			sent(control, client, res);
		else
			received(control, client, res);
	}
}

void control_wake(struct control *control)
{
	for (unsigned int i = 0; control && i < CLIENTS; i++)
		if (control->clients[i].stream)
			stream(control, &control->clients[i]);
}

void control_tick(struct control *control)
{
	if (!control)
		return;
	control_wake(control);
	for (unsigned int i = 0; i < CLIENTS; i++) {
		struct client *client = &control->clients[i];

		/* The request in flight ends by that, and then the client is dropped. */
		if (client->fd >= 0 && (!client->stream || control->stopping) &&
		    now() - client->since > PATIENCE)
			shutdown(client->fd, SHUT_RDWR);
	}
	accept_next(control);
}

void control_stop(struct control *control)
{
	struct io_uring_sqe *sqe;

	if (!control)
		return;
	control->stopping = true;
	if (control->accepting) {
		sqe = io_uring_get_sqe(control->ring);
		io_uring_prep_cancel64(sqe, (uint64_t)DATA_ACCEPT << LOOP_OP_BITS | LOOP_OP_CONTROL,
				       0);
		tag(sqe, DATA_CANCEL);
	}
	for (unsigned int i = 0; i < CLIENTS; i++) {
		struct client *client = &control->clients[i];

		if (client->fd < 0)
			continue;
		if (!client->stream || client->leaving) {
			shutdown(client->fd, SHUT_RDWR);
			continue;
		}
		/* Who records gets what there is, if it takes it. */
		trace_end(&control->vm->trace);
		client->since = now();
		stream(control, client);
	}
}

bool control_busy(const struct control *control)
{
	bool busy = control && control->accepting;

	for (unsigned int i = 0; control && i < CLIENTS; i++)
		busy |= control->clients[i].fd >= 0;
	return busy;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, rc;

	if (strlen(path) >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* A socket of a process that had our number and was killed. */
	unlink(path);
	/* The owner and the group, which is the directory's where it is setgid. */
	mask = umask(0117);
	rc = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (!rc && !listen(fd, BACKLOG))
		return fd;
	close(fd);
	return -1;
}

struct control *control_start(struct vm *vm, struct io_uring *ring)
{
	const char *path = vm->config->control;
	struct control *control;

	control = path ? calloc(1, sizeof(*control)) : NULL;
	if (!control)
		return NULL;
	control->listen_fd = listen_at(path);
	if (control->listen_fd < 0) {
		free(control);
		return NULL;
	}
	memcpy(control->path, path, strlen(path) + 1);
	control->vm = vm;
	control->ring = ring;
	for (unsigned int i = 0; i < CLIENTS; i++)
		control->clients[i].fd = -1;
	accept_next(control);
	return control;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	/* A confined process cannot: then it is up to whoever started it. */
	if (!control->vm->config->sandbox)
		unlink(control->path);
	close(control->listen_fd);
	for (unsigned int i = 0; i < CLIENTS; i++)
		if (control->clients[i].fd >= 0) {
			/* The ring is gone. */
			control->clients[i].pending = 0;
			drop(control, &control->clients[i]);
		}
	free(control);
}
