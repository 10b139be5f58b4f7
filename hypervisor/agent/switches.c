// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - from what domains want to the handler's per-VM switch and limits in
 * debugfs, and back.
 *
 * A wish holds: a setting that was changed since, by whomever, is changed back. Where a domain
 * wants nothing, nothing is touched, except that what this agent has changed gets the value
 * that it had before; so it does when the agent ends. That value is on disk before anything
 * is written (state.c).
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <agent/daemon.h>

#define UNSET LIMIT_UNSET /* no wish; no such file; nothing to write */

struct switches {
	const char *state;
	bool changed; /* since it was saved */
	bool said_save, said_write, said_limit[NR_LIMITS];
	struct held_list list;
};

/* What is to be written to one VM. */
struct orders {
	uint32_t write[NR_SETTINGS];
	bool back[NR_SETTINGS]; /* it is what was there before: ours no more */
};

static void save(struct switches *switches)
{
	int rc;

	if (!switches->changed || !switches->state)
		return;
	rc = state_save(switches->state, &switches->list);
	switches->changed = rc;
	if (rc && !switches->said_save)
		daemon_say("cannot write %s: %s. If the agent is killed now, nobody knows what VMs "
			   "had before",
			   switches->state, strerror(-rc));
	switches->said_save = rc;
}

struct switches *switches_create(const char *state)
{
	struct switches *switches = calloc(1, sizeof(*switches));

	if (!switches)
		return NULL;
	switches->state = state;
	/* What is left of a file that is read is saved; one that is refused stays for now. */
	switches->changed = state && state_load(state, &switches->list);
	return switches;
}

void switches_free(struct switches *switches)
{
	free(switches);
}

/* Among the first @nr, which are in order. */
static struct held *find(struct held_list *list, unsigned int nr, pid_t pid, int fd)
{
	const struct held key = { .pid = pid, .fd = fd };

	return nr ? bsearch(&key, list->held, nr, sizeof(key), state_order) : NULL;
}

static const char *file_of(unsigned int setting)
{
	return setting == SETTING_SWITCH ? "pvbatch" : agent_limits[setting - SETTING_LIMIT].file;
}

static int open_setting(const char *kvm, pid_t pid, int fd, unsigned int setting, int flags)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%d-%d/%s", kvm, (int)pid, fd, file_of(setting));
	return open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

static bool write_setting(const char *kvm, pid_t pid, int fd, unsigned int setting, uint32_t value)
{
	int file = open_setting(kvm, pid, fd, setting, O_WRONLY | O_TRUNC);
	char text[16];
	int bytes = snprintf(text, sizeof(text), "%u\n", value);
	bool good;

	if (file < 0)
		return false;
	good = write(file, text, (size_t)bytes) == bytes;
	close(file);
	return good;
}

static uint32_t read_setting(const char *kvm, pid_t pid, int fd, unsigned int setting)
{
	int file = open_setting(kvm, pid, fd, setting, O_RDONLY);
	unsigned long long value;
	char text[32];
	ssize_t got;

	if (file < 0)
		return UNSET;
	got = read(file, text, sizeof(text) - 1);
	close(file);
	if (got <= 0 || !isdigit((unsigned char)text[0]))
		return UNSET;
	text[got] = 0;
	value = strtoull(text, NULL, 10);
	return value < UNSET ? (uint32_t)value : UNSET;
}

static uint32_t current(const struct agent_vm *vm, unsigned int setting)
{
	if (setting != SETTING_SWITCH)
		return vm->limit[setting - SETTING_LIMIT];
	return vm->on == AGENT_SWITCH_UNKNOWN ? UNSET : vm->on == AGENT_SWITCH_ON;
}

static void note(struct agent_vm *vm, unsigned int setting, uint32_t value)
{
	if (setting != SETTING_SWITCH)
		vm->limit[setting - SETTING_LIMIT] = value;
	else
		vm->on = value ? AGENT_SWITCH_ON : AGENT_SWITCH_OFF;
}

static uint32_t wanted(const struct want *want, unsigned int setting)
{
	if (setting != SETTING_SWITCH)
		return want->limit[setting - SETTING_LIMIT];
	return want->wish == WISH_NONE ? UNSET : want->wish == WISH_ON;
}

/* A handler that is older than the limits: said once, since all of a host's VMs have the same. */
static void say_missing(struct switches *switches, unsigned int setting, const char *kvm,
			const struct domain *domain, uint64_t *errors)
{
	const struct limit_info *limit;

	if (setting == SETTING_SWITCH || switches->said_limit[setting - SETTING_LIMIT])
		return;
	limit = &agent_limits[setting - SETTING_LIMIT];
	switches->said_limit[setting - SETTING_LIMIT] = true;
	++*errors;
	daemon_say(
		"domain '%s' wants %s %u, but this host's KVM handler has no such limit (no %s in "
		"%s/<pid>-<fd>): it goes without. A newer handler is needed",
		domain->name, limit->attribute, domain->want.limit[setting - SETTING_LIMIT],
		limit->file, kvm);
}

/* What is to be done to a VM of a domain that is known and understood. */
static void order(struct switches *switches, const char *kvm, const struct agent_vm *vm,
		  const struct domain *domain, struct held *held, struct orders *orders,
		  uint64_t *errors)
{
	for (unsigned int s = 0; s < NR_SETTINGS; s++) {
		uint32_t is = current(vm, s), want = wanted(&domain->want, s);
		bool ours = held->settings & 1U << s;

		if (want == UNSET && ours) {
			/* Who has changed it meanwhile knows why. */
			orders->back[s] = true;
			orders->write[s] = is == held->ours[s] ? held->before[s] : UNSET;
		} else if (want != UNSET && is == UNSET) {
			say_missing(switches, s, kvm, domain, errors);
		} else if (want != UNSET && (is != want || (ours && held->ours[s] != want))) {
			if (!ours)
				held->before[s] = is;
			held->settings |= 1U << s;
			held->ours[s] = want;
			orders->write[s] = is != want ? want : UNSET;
			switches->changed = true;
		}
	}
}

static void obey(struct switches *switches, const char *kvm, struct agent_vm *vm, struct held *held,
		 const struct orders *orders, uint64_t *set, uint64_t *errors)
{
	for (unsigned int s = 0; s < NR_SETTINGS; s++) {
		uint32_t value = orders->write[s];

		if (value != UNSET && !write_setting(kvm, vm->pid, vm->fd, s, value)) {
			++*errors;
			if (!switches->said_write)
				daemon_say("cannot write %u to %s/%d-%d/%s: %m", value, kvm,
					   (int)vm->pid, vm->fd, file_of(s));
			switches->said_write = true;
			continue;
		}
		if (value != UNSET) {
			++*set;
			note(vm, s, value);
		}
		if (orders->back[s] && held) {
			held->settings &= ~(1U << s);
			switches->changed = true;
		}
	}
}

/* A VM that was not found in this scan, and is there all the same. */
static bool still_there(const char *kvm, const struct held *held)
{
	int fd = open_setting(kvm, held->pid, held->fd, SETTING_SWITCH, O_PATH);

	if (fd >= 0)
		close(fd);
	return fd >= 0 && held->start && state_start(held->pid) == held->start;
}

/* VMs that are gone are forgotten, and so are those of which nothing is ours any more. */
static void tidy(struct switches *switches, const char *kvm)
{
	struct held_list *list = &switches->list;
	unsigned int nr = 0;

	for (unsigned int i = 0; i < list->nr; i++) {
		if (list->held[i].settings &&
		    (list->held[i].seen || still_there(kvm, &list->held[i])))
			list->held[nr++] = list->held[i];
		else
			switches->changed = true;
	}
	list->nr = nr;
	if (nr)
		qsort(list->held, nr, sizeof(*list->held), state_order);
}

static void order_all(struct switches *switches, const char *kvm, const struct agent_list *list,
		      const struct domains *domains, struct orders *orders, uint64_t *errors)
{
	struct held_list *held_list = &switches->list;
	const unsigned int sorted = held_list->nr; /* new ones come behind */

	for (unsigned int i = 0; i < sorted; i++)
		held_list->held[i].seen = false;
	for (unsigned int i = 0; i < list->nr; i++) {
		const struct agent_vm *vm = &list->vms[i];
		const struct domain *domain = vm->uuid[0] ? domains_find(domains, vm->uuid) : NULL;
		struct held fresh = { .pid = vm->pid, .fd = vm->fd }, *held;

		for (unsigned int s = 0; s < NR_SETTINGS; s++)
			orders[i].write[s] = UNSET;
		if (vm->backend != AGENT_KVM)
			continue;
		held = find(held_list, sorted, vm->pid, vm->fd);
		if (held)
			held->seen = true;
		/* A domain that libvirt no longer knows may be one that it will know again. */
		if (!domain || domain->want.wish == WISH_BAD)
			continue;
		order(switches, kvm, vm, domain, held ? held : &fresh, &orders[i], errors);
		if (held || !fresh.settings || held_list->nr == AGENT_MAX_VMS)
			continue;
		fresh.start = state_start(vm->pid);
		fresh.seen = true;
		held_list->held[held_list->nr++] = fresh;
	}
}

void switches_apply(struct switches *switches, const char *kvm, struct agent_list *list,
		    const struct domains *domains, uint64_t *set, uint64_t *errors)
{
	struct held_list *held = &switches->list;
	struct orders *orders = calloc(list->nr + 1UL, sizeof(*orders));

	if (!orders)
		return;
	order_all(switches, kvm, list, domains, orders, errors);
	tidy(switches, kvm);
	save(switches);
	for (unsigned int i = 0; i < list->nr; i++)
		if (list->vms[i].backend == AGENT_KVM)
			obey(switches, kvm, &list->vms[i],
			     find(held, held->nr, list->vms[i].pid, list->vms[i].fd), &orders[i],
			     set, errors);
	tidy(switches, kvm);
	save(switches);
	free(orders);
}

void switches_restore(struct switches *switches, const char *kvm)
{
	struct held_list *list = &switches->list;

	for (unsigned int i = 0; i < list->nr; i++) {
		struct held *held = &list->held[i];

		for (unsigned int s = 0; s < NR_SETTINGS; s++) {
			if (!(held->settings & 1U << s))
				continue;
			if (read_setting(kvm, held->pid, held->fd, s) != held->ours[s] ||
			    write_setting(kvm, held->pid, held->fd, s, held->before[s]))
				held->settings &= ~(1U << s);
			else
				daemon_say("cannot put %s/%d-%d/%s back to %u: %m", kvm,
					   (int)held->pid, held->fd, file_of(s), held->before[s]);
			switches->changed = true;
		}
	}
	tidy(switches, kvm);
	save(switches);
}
