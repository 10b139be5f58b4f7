// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - the thread that reads the VMs, sets their switches, and hands the
 * list to the loop's thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <agent/daemon.h>

/* Until @next, or until the end. Whether to go on. */
static bool wait_until(struct daemon *daemon, double next)
{
	struct timespec at = { .tv_sec = (time_t)next };
	bool on;

	at.tv_nsec = (long)((next - (double)at.tv_sec) * 1e9);
	pthread_mutex_lock(&daemon->lock);
	while (!daemon->ending &&
	       pthread_cond_timedwait(&daemon->end, &daemon->lock, &at) != ETIMEDOUT)
		;
	on = !daemon->ending;
	pthread_mutex_unlock(&daemon->lock);
	return on;
}

/* A copy, so that no lock is held while files are written. */
static struct domains copy_domains(struct daemon *daemon)
{
	struct domains copy = { 0 };

	pthread_mutex_lock(&daemon->lock);
	if (daemon->domains.nr) {
		copy.domains = calloc(daemon->domains.nr, sizeof(*copy.domains));
		if (copy.domains) {
			copy.nr = daemon->domains.nr;
			memcpy(copy.domains, daemon->domains.domains,
			       copy.nr * sizeof(*copy.domains));
		}
	}
	pthread_mutex_unlock(&daemon->lock);
	return copy;
}

static void scan(struct daemon *daemon, struct switches *switches)
{
	const struct agent_sources *sources = &daemon->config.sources;
	uint64_t set = 0, errors = 0;
	struct agent_list list, old;
	double begin = agent_now();
	struct domains domains;

	agent_scan(sources, &list);
	domains = copy_domains(daemon);
	if (sources->kvm)
		switches_apply(switches, sources->kvm, &list, &domains, &set, &errors);
	free(domains.domains);
	pthread_mutex_lock(&daemon->lock);
	old = daemon->list;
	daemon->list = list;
	daemon->scans++;
	daemon->scan_took = agent_now() - begin;
	daemon->switched += set;
	daemon->switch_errors += errors;
	pthread_mutex_unlock(&daemon->lock);
	agent_list_free(&old);
}

static void *work(void *ctx)
{
	struct daemon *daemon = ctx;
	const char *kvm = daemon->config.sources.kvm;
	struct switches *switches = switches_create(daemon->config.state);
	double next;

	do {
		next = agent_now() + daemon->config.interval;
		if (switches)
			scan(daemon, switches);
	} while (wait_until(daemon, next));
	if (switches && kvm)
		switches_restore(switches, kvm);
	switches_free(switches);
	return NULL;
}

int scan_start(struct daemon *daemon, pthread_t *thread)
{
	return pthread_create(thread, NULL, work, daemon);
}
