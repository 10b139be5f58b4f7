// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - VMs of any VMM, by the handler's files in KVM's debugfs:
 * kvm/<pid>-<fd>/pvb_* and the switch pvbatch beside them (docs/kvm.md). KVM's binary
 * statistics are for the process that has the VM's descriptor; these are for everybody who
 * may read debugfs. A VM without the switch runs on a KVM without the handler: not ours.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <agent/agent.h>

#define CMDLINE_BYTES 65536U

/* Read a small file below @dir as text. */
static bool read_at(int dir, const char *file, char *text, size_t bytes)
{
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, text, bytes - 1);
	close(fd);
	if (got < 0)
		return false;
	text[got] = 0;
	return true;
}

static bool read_counter(int dir, const char *file, uint64_t *value)
{
	char text[32], *end;

	if (!read_at(dir, file, text, sizeof(text)) || !isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return !errno && (*end == '\n' || !*end);
}

/*
 * Who runs it: QEMU says so on its command line, in "-name guest=NAME,..." and "-uuid UUID".
 * libvirt passes both. What a process says about itself is its own affair: it decides
 * under which name its own VM is shown, and whose metadata apply to it.
 */
static void identify(struct agent_vm *vm)
{
	char path[64], *text = calloc(1, CMDLINE_BYTES), *word;
	ssize_t got = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)vm->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && text)
		got = read(fd, text, CMDLINE_BYTES - 1);
	if (fd >= 0)
		close(fd);
	for (word = text; got > 0 && word < text + got; word += strlen(word) + 1) {
		char *value = word + strlen(word) + 1;

		if (value >= text + got)
			break;
		if (!strcmp(word, "-uuid") && strlen(value) == sizeof(vm->uuid) - 1) {
			agent_copy_name(vm->uuid, sizeof(vm->uuid), value);
		} else if (!strcmp(word, "-name")) {
			/* The value is not looked at as an option: stepping by words finds it again. */
			agent_copy_name(vm->name, sizeof(vm->name),
					strncmp(value, "guest=", 6) ? value : value + 6);
			vm->name[strcspn(vm->name, ",")] = 0;
		}
	}
	free(text);
	if (!vm->name[0])
		snprintf(vm->name, sizeof(vm->name), "pid-%d", (int)vm->pid);
}

/* "1 N", "2 N", "4 N", ...: finished batches of so many entries or more, to the next line. */
static bool read_hist(int dir, struct agent_vm *vm)
{
	char text[512], *at = text, *end;

	if (!read_at(dir, "pvbatch_hist", text, sizeof(text)))
		return false;
	for (unsigned int b = 0; b < PVB_HIST_BUCKETS; b++) {
		unsigned long long from;

		errno = 0;
		from = strtoull(at, &end, 10);
		if (end == at || *end != ' ' || from != 1ULL << b)
			return false;
		at = end + 1;
		vm->hist[b] = strtoull(at, &end, 10);
		if (errno || end == at || *end != '\n')
			return false;
		at = end + 1;
	}
	return true;
}

static void read_limits(int dir, struct agent_vm *vm)
{
	uint64_t value;

	for (unsigned int i = 0; i < NR_LIMITS; i++) {
		bool there = read_counter(dir, agent_limits[i].file, &value) && value < LIMIT_UNSET;

		vm->limit[i] = there ? (uint32_t)value : LIMIT_UNSET;
	}
}

static bool read_vm(int dir, struct agent_vm *vm)
{
	uint64_t value;
	char text[8];

	if (!read_at(dir, "pvbatch", text, sizeof(text)))
		return false;
	vm->on = text[0] == '1' ? AGENT_SWITCH_ON : AGENT_SWITCH_OFF;
	for (unsigned int i = 0; i < NR_COUNTERS; i++)
		if (agent_counters[i].kvm && read_counter(dir, agent_counters[i].kvm, &value))
			agent_set(vm, (enum counter)i, value);
	read_limits(dir, vm);
	vm->has_hist = read_hist(dir, vm);
	agent_derive(vm);
	return true;
}

void agent_scan_kvm(const char *directory, struct agent_list *list)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct agent_vm vm = { .backend = AGENT_KVM };
		int pid, fd, used = 0, at;

		if (sscanf(entry->d_name, "%9d-%9d%n", &pid, &fd, &used) != 2 || pid <= 0 ||
		    entry->d_name[used])
			continue;
		vm.pid = pid;
		vm.fd = fd;
		at = openat(dirfd(dir), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (at < 0)
			continue;
		if (read_vm(at, &vm)) {
			identify(&vm);
			agent_list_add(list, &vm);
		}
		close(at);
	}
	if (dir)
		closedir(dir);
}
