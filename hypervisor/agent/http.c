// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - HTTP by libmicrohttpd, on the loop: its epoll descriptor is one of
 * ours, it has no thread. A Unix socket, TCP on the loopback, or both.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <agent/daemon.h>

#define CONNECTIONS 64U
#define MEMORY_PER_CONNECTION 16384U
#define TIMEOUT_SECONDS 10U
#define BACKLOG 64

struct listener {
	struct http *http;
	struct MHD_Daemon *mhd;
	int watch, timer;
};

struct http {
	struct daemon *daemon;
	struct listener listeners[2]; /* the Unix socket's, TCP's */
};

static const struct {
	const char *path;
	const char *type;
	char *(*text)(struct daemon *daemon, size_t *bytes);
} pages[] = {
	{ "/metrics", "text/plain; version=0.0.4; charset=utf-8", metrics_text },
	{ "/vms", "application/json", metrics_vms },
	{ "/status", "application/json", metrics_status },
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned int code, char *text,
			     size_t bytes, const char *type)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(bytes, text, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	result = MHD_queue_response(connection, code, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result say(struct MHD_Connection *connection, unsigned int code, const char *text)
{
	char *copy = strdup(text);

	return copy ? reply(connection, code, copy, strlen(copy), "text/plain") : MHD_NO;
}

static enum MHD_Result answer(void *ctx, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_bytes, void **state)
{
	struct http *http = ctx;
	size_t bytes = 0;
	char *text;

	(void)version;
	(void)upload;
	(void)state;
	/* What a client sends along is of no interest, and read to its end. */
	if (*upload_bytes) {
		*upload_bytes = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return say(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD alone\n");
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(url, pages[i].path))
			continue;
		text = pages[i].text(http->daemon, &bytes);
		if (!text)
			return say(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
		return reply(connection, MHD_HTTP_OK, text, bytes, pages[i].type);
	}
	return say(connection, MHD_HTTP_NOT_FOUND, "there are /metrics, /vms and /status\n");
}

/* Whatever there is to do, and when to look again. */
static void serve(struct listener *listener)
{
	MHD_UNSIGNED_LONG_LONG ms;

	MHD_run(listener->mhd);
	if (MHD_get_timeout(listener->mhd, &ms) != MHD_YES)
		ring_set_timer(listener->http->daemon->ring, listener->timer, -1);
	else
		ring_set_timer(listener->http->daemon->ring, listener->timer,
			       ms > 60000 ? 60000 : (int)ms);
}

static void on_event(int id, int fd, int events, void *ctx)
{
	(void)id;
	(void)fd;
	(void)events;
	serve(ctx);
}

static void on_time(int id, void *ctx)
{
	(void)id;
	serve(ctx);
}

static bool listener_start(struct http *http, struct listener *listener, int fd)
{
	const union MHD_DaemonInfo *info;
	struct ring *ring = http->daemon->ring;

	listener->http = http;
	listener->mhd = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, answer, http, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)MEMORY_PER_CONNECTION, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_SECONDS,
		MHD_OPTION_END);
	if (!listener->mhd) {
		close(fd);
		return false;
	}
	info = MHD_get_daemon_info(listener->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	listener->timer = ring_add_timer(ring, -1, on_time, listener, NULL);
	listener->watch =
		info ? ring_add_fd(ring, info->epoll_fd, POLLIN, on_event, listener, NULL) : -1;
	return listener->timer >= 0 && listener->watch >= 0;
}

/* Is somebody serving there? What a killed agent has left is no reason not to start. */
static bool in_use(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool used = fd >= 0 && (!connect(fd, (const struct sockaddr *)address, sizeof(*address)) ||
				errno == EAGAIN);

	if (fd >= 0)
		close(fd);
	return used;
}

/*
 * Make room for a socket at @path, or clear up after it. What is no socket was not made by an
 * agent: it is never removed, and -1 with errno says so.
 */
static int remove_socket(const char *path)
{
	struct stat stat;

	if (lstat(path, &stat))
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(stat.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	return unlink(path);
}

static int listen_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, rc;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (in_use(&address)) {
		errno = EADDRINUSE;
		return -1;
	}
	if (remove_socket(path))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	mask = umask(0117);
	rc = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (!rc && !listen(fd, BACKLOG))
		return fd;
	close(fd);
	return -1;
}

static int listen_tcp(const char *host, unsigned int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd, one = 1;

	if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
		errno = EINVAL;
		return -1;
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(fd, (struct sockaddr *)&address, sizeof(address)) && !listen(fd, BACKLOG))
		return fd;
	close(fd);
	return -1;
}

struct http *http_start(struct daemon *daemon)
{
	const struct daemon_config *config = &daemon->config;
	struct http *http = calloc(1, sizeof(*http));
	int fd;

	if (!http)
		return NULL;
	http->daemon = daemon;
	if (config->socket) {
		fd = listen_unix(config->socket);
		if (fd < 0 || !listener_start(http, &http->listeners[0], fd)) {
			daemon_say(errno == EEXIST ?
					   "cannot listen at %s: what is there is no socket; "
					   "remove it, or choose another --socket" :
					   "cannot listen at %s: %m",
				   config->socket);
			http_stop(http);
			return NULL;
		}
	}
	if (config->address) {
		fd = listen_tcp(config->address, config->port);
		if (fd < 0 || !listener_start(http, &http->listeners[1], fd)) {
			daemon_say("cannot listen at %s:%u: %m", config->address, config->port);
			http_stop(http);
			return NULL;
		}
	}
	return http;
}

void http_stop(struct http *http)
{
	if (!http)
		return;
	if (http->listeners[0].mhd)
		remove_socket(http->daemon->config.socket);
	for (unsigned int i = 0; i < 2; i++) {
		if (!http->listeners[i].mhd)
			continue;
		ring_remove_fd(http->daemon->ring, http->listeners[i].watch);
		ring_remove_timer(http->daemon->ring, http->listeners[i].timer);
		MHD_stop_daemon(http->listeners[i].mhd);
	}
	free(http);
}
