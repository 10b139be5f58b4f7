// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - the console's ring: vCPU threads put bytes in, the event loop writes them
 * out. When the reader of our output is slow the guest waits, as on a real serial line.
 */
#include <string.h>
#include <unistd.h>

#include <vmm/internal.h>

void console_init(struct console *console, int event_fd)
{
	pthread_mutex_init(&console->lock, NULL);
	pthread_cond_init(&console->room, NULL);
	console->head = 0;
	console->tail = 0;
	console->closed = false;
	console->event_fd = event_fd;
}

void console_destroy(struct console *console)
{
	pthread_cond_destroy(&console->room);
	pthread_mutex_destroy(&console->lock);
}

static void wake(struct console *console)
{
	uint64_t one = 1;
	ssize_t written = write(console->event_fd, &one, sizeof(one));

	/* A full counter means that the loop is going to look anyway. */
	(void)written;
}

void console_put(struct console *console, const uint8_t *src, size_t bytes)
{
	pthread_mutex_lock(&console->lock);
	while (bytes) {
		size_t used = console->head - console->tail;
		size_t at = console->head % CONSOLE_BYTES;
		size_t part = CONSOLE_BYTES - used;

		if (console->closed)
			break;
		if (!part) {
			pthread_cond_wait(&console->room, &console->lock);
			continue;
		}
		if (part > bytes)
			part = bytes;
		if (part > CONSOLE_BYTES - at)
			part = CONSOLE_BYTES - at;
		memcpy(console->bytes + at, src, part);
		console->head += part;
		src += part;
		bytes -= part;
		/* Only an empty ring needs a wake-up: the loop drains it to the end. */
		if (!used)
			wake(console);
	}
	pthread_mutex_unlock(&console->lock);
}

size_t console_peek(struct console *console, const uint8_t **src)
{
	size_t at, bytes;

	pthread_mutex_lock(&console->lock);
	at = console->tail % CONSOLE_BYTES;
	bytes = console->head - console->tail;
	if (bytes > CONSOLE_BYTES - at)
		bytes = CONSOLE_BYTES - at;
	*src = console->bytes + at;
	pthread_mutex_unlock(&console->lock);
	return bytes;
}

void console_taken(struct console *console, size_t bytes)
{
	pthread_mutex_lock(&console->lock);
	console->tail += bytes;
	pthread_cond_broadcast(&console->room);
	pthread_mutex_unlock(&console->lock);
}

void console_close(struct console *console)
{
	pthread_mutex_lock(&console->lock);
	console->closed = true;
	pthread_cond_broadcast(&console->room);
	pthread_mutex_unlock(&console->lock);
}
