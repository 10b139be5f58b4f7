// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - what VMs had before this agent changed them, in a file: so that an agent
 * that was killed is followed by one that can put things back.
 *
 * The file is written beside itself and renamed. What is read is not trusted: it must be a
 * file of our own that nobody else may write, and every value must be one that we could have
 * written; else all of it is refused. A process is known by its number and its start, so that
 * another one with the same number is not taken for it; a file of another boot says nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <agent/daemon.h>

#define SCHEMA 1
#define STATE_BYTES_MAX (2L << 20) /* 4096 VMs take a third of that */
#define BOOT_BYTES 37

const char *state_name(unsigned int setting)
{
	if (setting == SETTING_SWITCH)
		return "enabled";
	return setting < NR_SETTINGS ? agent_limits[setting - SETTING_LIMIT].attribute : NULL;
}

/* Limits are what the handler said: it knows best what they may be. */
bool state_good(unsigned int setting, uint64_t value)
{
	return setting == SETTING_SWITCH ? value <= 1 : value < LIMIT_UNSET;
}

int state_order(const void *left, const void *right)
{
	const struct held *a = left, *b = right;

	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	return a->fd < b->fd ? -1 : a->fd > b->fd;
}

uint64_t state_start(pid_t pid)
{
	char path[32], text[1024], *at;
	unsigned long long start = 0;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[got > 0 ? got : 0] = 0;
	/* Field 22; the second is the program's name in parentheses, which may hold anything. */
	at = strrchr(text, ')');
	for (unsigned int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at)
		start = strtoull(at, NULL, 10);
	return start;
}

static void this_boot(char boot[BOOT_BYTES])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!file || !fgets(boot, BOOT_BYTES, file))
		boot[0] = 0;
	if (file)
		fclose(file);
}

static bool whole(const json_t *value, uint64_t max, uint64_t *number)
{
	json_int_t integer = json_integer_value(value);

	if (!json_is_integer(value) || integer < 0 || (uint64_t)integer > max)
		return false;
	*number = (uint64_t)integer;
	return true;
}

/* "NAME": [what it was, what we made of it] */
static bool parse_setting(const char *key, const json_t *value, struct held *held)
{
	uint64_t before, ours;

	for (unsigned int i = 0; i < NR_SETTINGS; i++) {
		if (strcmp(key, state_name(i)))
			continue;
		if (json_array_size(value) != 2 ||
		    !whole(json_array_get(value, 0), LIMIT_UNSET, &before) ||
		    !whole(json_array_get(value, 1), LIMIT_UNSET, &ours) ||
		    !state_good(i, before) || !state_good(i, ours))
			return false;
		held->settings |= 1U << i;
		held->before[i] = (uint32_t)before;
		held->ours[i] = (uint32_t)ours;
		return true;
	}
	return false;
}

static bool parse_vm(json_t *object, struct held *held)
{
	uint64_t pid = 0, fd = 0, start = 0;
	unsigned int numbers = 0;
	const char *key;
	json_t *value;

	memset(held, 0, sizeof(*held));
	json_object_foreach(object, key, value)
	{
		bool good = true;

		if (!strcmp(key, "pid"))
			good = whole(value, INT32_MAX, &pid) && pid > 0 && ++numbers;
		else if (!strcmp(key, "fd"))
			good = whole(value, INT32_MAX, &fd) && ++numbers;
		else if (!strcmp(key, "start"))
			good = whole(value, INT64_MAX, &start) && ++numbers;
		else
			good = parse_setting(key, value, held);
		if (!good)
			return false;
	}
	held->pid = (pid_t)pid;
	held->fd = (int)fd;
	held->start = start;
	return json_is_object(object) && numbers == 3 && held->settings;
}

static const char *parse_document(json_t *document, struct held_list *list)
{
	const char *boot = json_string_value(json_object_get(document, "boot"));
	json_t *vms = json_object_get(document, "vms");
	char now[BOOT_BYTES];
	size_t i;

	if (!json_is_object(document) || json_object_size(document) != 3 || !boot ||
	    json_integer_value(json_object_get(document, "schema")) != SCHEMA)
		return "it is none of this version";
	if (!json_is_array(vms) || json_array_size(vms) > AGENT_MAX_VMS)
		return "it has no list of VMs, or too many";
	for (i = 0; i < json_array_size(vms); i++) {
		if (!parse_vm(json_array_get(vms, i), &list->held[i]))
			return "it says what this agent does not write";
		if (i && state_order(&list->held[i - 1], &list->held[i]) >= 0)
			return "its VMs are not in order";
	}
	this_boot(now);
	if (strcmp(boot, now))
		return NULL; /* nothing of it is there any more */
	for (i = 0; i < json_array_size(vms); i++)
		if (state_start(list->held[i].pid) == list->held[i].start)
			list->held[list->nr++] = list->held[i];
	return NULL;
}

/* Whose is it? NULL: ours alone. */
static const char *not_ours(int fd)
{
	struct stat stat;

	if (fstat(fd, &stat))
		return strerror(errno);
	if (!S_ISREG(stat.st_mode))
		return "it is no regular file";
	if (stat.st_uid != geteuid() || (stat.st_mode & 022))
		return "others may write it";
	if (stat.st_size > STATE_BYTES_MAX)
		return "it is too large";
	return NULL;
}

bool state_load(const char *path, struct held_list *list)
{
	/* A fifo must not keep us waiting, and a link not lead us elsewhere. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	const char *why;
	json_t *document;
	json_error_t error;

	list->nr = 0;
	if (fd < 0 && errno == ENOENT)
		return true;
	why = fd < 0 ? strerror(errno) : not_ours(fd);
	if (!why) {
		document = json_loadfd(fd, JSON_REJECT_DUPLICATES, &error);
		why = document ? parse_document(document, list) : "it is no JSON";
		json_decref(document);
	}
	if (fd >= 0)
		close(fd);
	if (!why)
		return true;
	list->nr = 0;
	daemon_say("%s is refused: %s. What VMs had before, as far as it is in there, is not put "
		   "back; remove the file if it is not the agent's",
		   path, why);
	return false;
}

static json_t *make_document(const struct held_list *list)
{
	json_t *vms = json_array();
	char boot[BOOT_BYTES];

	for (unsigned int i = 0; i < list->nr; i++) {
		const struct held *held = &list->held[i];
		json_t *object = json_pack("{s:i, s:i, s:I}", "pid", (int)held->pid, "fd", held->fd,
					   "start", (json_int_t)held->start);

		for (unsigned int s = 0; s < NR_SETTINGS; s++)
			if (held->settings & 1U << s)
				json_object_set_new(object, state_name(s),
						    json_pack("[I, I]", (json_int_t)held->before[s],
							      (json_int_t)held->ours[s]));
		json_array_append_new(vms, object);
	}
	this_boot(boot);
	return json_pack("{s:i, s:s, s:o}", "schema", SCHEMA, "boot", boot, "vms", vms);
}

static int write_document(const char *path, const json_t *document)
{
	int fd, rc = 0;

	if (unlink(path) && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	errno = EIO;
	if (json_dumpfd(document, fd, JSON_INDENT(1)) || fsync(fd))
		rc = -errno;
	if (close(fd) && !rc)
		rc = -errno;
	return rc;
}

int state_save(const char *path, const struct held_list *list)
{
	json_t *document;
	char *next;
	int rc;

	if (!list->nr)
		return unlink(path) && errno != ENOENT ? -errno : 0;
	document = make_document(list);
	if (!document || asprintf(&next, "%s.new", path) < 0) {
		json_decref(document);
		return -ENOMEM;
	}
	rc = write_document(next, document);
	if (!rc && rename(next, path))
		rc = -errno;
	if (rc)
		unlink(next);
	free(next);
	json_decref(document);
	return rc;
}
