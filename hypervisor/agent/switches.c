// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - from what domains want to the handler's per-VM switches in debugfs.
 *
 * A wish holds: a switch that was turned since, by whomever, is turned back. Where a domain
 * wants nothing, nothing is touched, except that what this agent has switched off before is
 * switched on again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <agent/daemon.h>

struct held {
	pid_t pid;
	int fd;
};

struct switches {
	unsigned int nr;
	struct held off[AGENT_MAX_VMS]; /* switched off by us, and running at the last look */
};

struct switches *switches_create(void)
{
	return calloc(1, sizeof(struct switches));
}

void switches_free(struct switches *switches)
{
	free(switches);
}

static bool held_off(const struct switches *switches, const struct agent_vm *vm)
{
	for (unsigned int i = 0; i < switches->nr; i++)
		if (switches->off[i].pid == vm->pid && switches->off[i].fd == vm->fd)
			return true;
	return false;
}

static bool turn(const char *kvm, struct agent_vm *vm, bool on)
{
	char path[256];
	bool good;
	int fd;

	snprintf(path, sizeof(path), "%s/%d-%d/pvbatch", kvm, (int)vm->pid, vm->fd);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_TRUNC);
	if (fd < 0)
		return false;
	good = write(fd, on ? "1\n" : "0\n", 2) == 2;
	close(fd);
	if (good)
		vm->on = on ? AGENT_SWITCH_ON : AGENT_SWITCH_OFF;
	return good;
}

static enum wish wish_of(const struct switches *switches, const struct agent_vm *vm,
			 const struct domains *domains)
{
	const struct domain *domain = vm->uuid[0] ? domains_find(domains, vm->uuid) : NULL;
	enum wish wish = domain ? domain->wish : WISH_NONE;

	/* A domain that libvirt no longer knows may be one that it will know again. */
	if (wish == WISH_NONE && domain && held_off(switches, vm))
		return WISH_ON;
	return wish;
}

void switches_apply(struct switches *switches, const char *kvm, struct agent_list *list,
		    const struct domains *domains, uint64_t *set, uint64_t *errors)
{
	struct switches *next = switches_create();

	for (unsigned int i = 0; next && i < list->nr; i++) {
		struct agent_vm *vm = &list->vms[i];
		enum wish wish = wish_of(switches, vm, domains);
		bool ours = held_off(switches, vm);

		if (vm->backend != AGENT_KVM)
			continue;
		if ((wish == WISH_ON && vm->on != AGENT_SWITCH_ON) ||
		    (wish == WISH_OFF && vm->on != AGENT_SWITCH_OFF)) {
			if (turn(kvm, vm, wish == WISH_ON))
				++*set;
			else
				++*errors;
		}
		if (vm->on == AGENT_SWITCH_OFF && (ours || wish == WISH_OFF))
			next->off[next->nr++] = (struct held){ .pid = vm->pid, .fd = vm->fd };
	}
	if (next)
		*switches = *next;
	switches_free(next);
}
