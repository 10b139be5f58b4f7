// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - the VMMs of this machine, by their control sockets.
 *
 * All are asked at once and have half a second together: one that is stopped or stuck
 * costs the others nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <agent/agent.h>

#define DEADLINE 0.5 /* seconds */
#define ANSWER_BYTES 4096U /* a VMM's document is a third of that */
#define ASKED_AT_ONCE 256U /* descriptors in use */

static const char request[] = "stats\n";

struct asked {
	int fd;
	int socket; /* its number */
	pid_t pid; /* of the socket's owner: the kernel's word, not the document's */
	size_t got;
	char *text;
};

/* Connect to a socket and send the request. False: nobody is there. */
static bool ask(const char *directory, const char *file, struct asked *asked)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t bytes = sizeof(peer);
	int length;

	length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", directory, file);
	if (length < 0 || (size_t)length >= sizeof(address.sun_path))
		return false;
	asked->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (asked->fd < 0)
		return false;
	asked->got = 0;
	asked->text = malloc(ANSWER_BYTES);
	if (asked->text && !connect(asked->fd, (struct sockaddr *)&address, sizeof(address)) &&
	    !getsockopt(asked->fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) &&
	    send(asked->fd, request, sizeof(request) - 1, MSG_NOSIGNAL) ==
		    (ssize_t)sizeof(request) - 1) {
		asked->pid = peer.pid;
		asked->socket = (int)strtol(file, NULL, 10);
		return true;
	}
	close(asked->fd);
	free(asked->text);
	return false;
}

static uint64_t number(const json_t *object, const char *key, bool *there)
{
	const json_t *value = json_object_get(object, key);
	json_int_t number = json_integer_value(value);

	*there = json_is_integer(value) && number >= 0;
	return *there ? (uint64_t)number : 0;
}

static bool parse_hist(const json_t *hist, struct agent_vm *vm)
{
	for (unsigned int i = 0; i < PVB_HIST_BUCKETS; i++) {
		const json_t *value = json_array_get(hist, i);

		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return false;
		vm->hist[i] = (uint64_t)json_integer_value(value);
	}
	return true;
}

bool agent_parse_vmm(const char *text, size_t bytes, struct agent_vm *vm)
{
	json_t *document = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
	const json_t *counters = json_object_get(document, "counters");
	const char *name = json_string_value(json_object_get(document, "name"));
	const char *slash;
	bool good, there;

	memset(vm, 0, sizeof(*vm));
	vm->backend = AGENT_VMM;
	vm->fd = -1;
	for (unsigned int i = 0; i < NR_LIMITS; i++)
		vm->limit[i] = LIMIT_UNSET;
	good = json_integer_value(json_object_get(document, "schema")) == 1 &&
	       json_is_object(counters);
	if (good) {
		slash = name ? strrchr(name, '/') : NULL;
		agent_copy_name(vm->name, sizeof(vm->name), slash ? slash + 1 : name ? name : "");
		for (unsigned int i = 0; i < NR_COUNTERS; i++) {
			uint64_t value = number(counters, agent_counters[i].name, &there);

			if (there)
				agent_set(vm, (enum counter)i, value);
		}
		vm->has_hist = parse_hist(json_object_get(document, "batch_entries"), vm);
		agent_derive(vm);
	}
	json_decref(document);
	return good;
}

/* An answer has ended. Whether it is one. */
static bool answered(const struct asked *asked, struct agent_list *list)
{
	struct agent_vm vm;

	if (!agent_parse_vmm(asked->text, asked->got, &vm))
		return false;
	vm.pid = asked->pid;
	vm.socket = asked->socket;
	if (!vm.name[0])
		snprintf(vm.name, sizeof(vm.name), "pid-%d", (int)vm.pid);
	agent_list_add(list, &vm);
	return true;
}

/* Something can be read. Returns whether that was the end, good or bad. */
static bool receive(struct asked *asked, struct agent_list *list)
{
	ssize_t got = recv(asked->fd, asked->text + asked->got, ANSWER_BYTES - asked->got, 0);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got > 0) {
		asked->got += (size_t)got;
		if (asked->got < ANSWER_BYTES)
			return false;
	}
	if (got < 0 || asked->got == ANSWER_BYTES || !answered(asked, list))
		list->silent++;
	return true;
}

static void collect(struct asked *asked, unsigned int nr, struct agent_list *list)
{
	double end = agent_now() + DEADLINE, left;
	struct pollfd polls[ASKED_AT_ONCE];
	unsigned int open = nr;

	for (unsigned int i = 0; i < nr; i++)
		polls[i] = (struct pollfd){ .fd = asked[i].fd, .events = POLLIN };
	while (open && (left = end - agent_now()) > 0) {
		if (poll(polls, nr, (int)(left * 1000) + 1) < 0 && errno != EINTR)
			break;
		for (unsigned int i = 0; i < nr; i++) {
			if (polls[i].fd < 0 || !polls[i].revents || !receive(&asked[i], list))
				continue;
			polls[i].fd = -1;
			open--;
		}
	}
	list->silent += open;
	for (unsigned int i = 0; i < nr; i++) {
		close(asked[i].fd);
		free(asked[i].text);
	}
}

/*
 * <number>.sock, a number in its one form, since VMs are told apart by it; the agent's own socket
 * is named otherwise.
 */
static bool is_control_socket(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return digits > 0 && digits < 10 && name[0] != '0' && !strcmp(name + digits, ".sock");
}

void agent_scan_vmms(const char *directory, struct agent_list *list)
{
	struct asked *asked = calloc(ASKED_AT_ONCE, sizeof(*asked));
	DIR *dir = opendir(directory);
	unsigned int nr = 0;
	struct dirent *file;

	while (asked && dir && nr < ASKED_AT_ONCE && (file = readdir(dir)))
		if (is_control_socket(file->d_name) && ask(directory, file->d_name, &asked[nr]))
			nr++;
	list->more |= nr == ASKED_AT_ONCE;
	if (nr)
		collect(asked, nr, list);
	if (dir)
		closedir(dir);
	free(asked);
}
