// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - which domains run, and what their metadata want, from libvirt.
 *
 * A worker thread makes the calls, in rounds: one when it has connected, one when an event
 * says that something has changed, one a minute. Any call may hang: on a domain, on
 * libvirtd, on the network. So the loop's thread looks at the clock: a round that takes too
 * long is given up with its thread and connection, the domain it hung on is left alone for
 * a while, and another worker goes on. A given-up worker that comes back ends itself; no
 * more than a few are ever waited for.
 *
 * The connection is a read-only one: nothing here can change a domain.
 */
#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <agent/daemon.h>

#define ROUND_SECONDS 60.0 /* between rounds without an event */
#define RETRY_SECONDS 2.0 /* without a connection */
#define PAUSE_SECONDS 0.5 /* between rounds, however many events */
#define LOST_WORKERS 4U /* given up and not yet back */
#define STUCK_DOMAINS 8U
#define STUCK_SECONDS 60.0
#define KEEPALIVE_SECONDS 5
#define KEEPALIVE_PROBES 3

struct stuck_domain {
	char uuid[37];
	double until;
};

struct worker {
	struct virt *virt;
	virConnectPtr connection;
	/* Under the lock: */
	double begin; /* of the round; 0: between rounds */
	char asking[37]; /* the domain that is being asked about */
	bool lost; /* given up */
};

struct virt {
	struct daemon *daemon;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* CLOCK_MONOTONIC */
	struct worker *worker; /* the one that counts; NULL: none */
	unsigned int lost; /* given up and not yet back */
	bool wanted; /* a round */
	bool stopping;
	int timer;
	struct stuck_domain stuck[STUCK_DOMAINS];
	unsigned int next_stuck;
};

static int by_uuid(const void *left, const void *right)
{
	const struct domain *a = left, *b = right;

	return strcmp(a->uuid, b->uuid);
}

const struct domain *domains_find(const struct domains *domains, const char *uuid)
{
	struct domain key = { 0 };

	if (!domains->nr || strlen(uuid) >= sizeof(key.uuid))
		return NULL;
	memcpy(key.uuid, uuid, strlen(uuid) + 1);
	return bsearch(&key, domains->domains, domains->nr, sizeof(key), by_uuid);
}

static void want_round(struct virt *virt)
{
	pthread_mutex_lock(&virt->lock);
	virt->wanted = true;
	pthread_cond_broadcast(&virt->changed);
	pthread_mutex_unlock(&virt->lock);
}

/* libvirt's callbacks, on the loop's thread. */
static int on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail,
			void *opaque)
{
	(void)connection;
	(void)domain;
	(void)event;
	(void)detail;
	want_round(opaque);
	return 0;
}

static void on_metadata(virConnectPtr connection, virDomainPtr domain, int type, const char *uri,
			void *opaque)
{
	(void)connection;
	(void)domain;
	if (type == VIR_DOMAIN_METADATA_ELEMENT && uri && !strcmp(uri, WISH_NAMESPACE))
		want_round(opaque);
}

static void on_close(virConnectPtr connection, int reason, void *opaque)
{
	(void)connection;
	(void)reason;
	want_round(opaque);
}

static void no_message(void *ctx, virErrorPtr error)
{
	(void)ctx;
	(void)error;
}

static void say_state(struct virt *virt, enum virt_state state)
{
	struct daemon *daemon = virt->daemon;
	const char *error = virGetLastErrorMessage();

	pthread_mutex_lock(&daemon->lock);
	daemon->virt = state;
	daemon->virt_error[0] = 0;
	if (state == VIRT_DOWN)
		agent_copy_name(daemon->virt_error, sizeof(daemon->virt_error), error);
	pthread_mutex_unlock(&daemon->lock);
}

static void disconnect(struct worker *worker)
{
	if (worker->connection)
		virConnectClose(worker->connection);
	worker->connection = NULL;
}

static bool connect_to(struct worker *worker)
{
	struct virt *virt = worker->virt;

	if (worker->connection && virConnectIsAlive(worker->connection) == 1)
		return true;
	disconnect(worker);
	worker->connection = virConnectOpenReadOnly(virt->daemon->config.uri);
	if (!worker->connection)
		return false;
	/* None of these has to work: without events, rounds come once a minute. */
	virConnectSetKeepAlive(worker->connection, KEEPALIVE_SECONDS, KEEPALIVE_PROBES);
	virConnectRegisterCloseCallback(worker->connection, on_close, virt, NULL);
	virConnectDomainEventRegisterAny(worker->connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
					 VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), virt, NULL);
	virConnectDomainEventRegisterAny(worker->connection, NULL,
					 VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
					 VIR_DOMAIN_EVENT_CALLBACK(on_metadata), virt, NULL);
	return true;
}

/* Note which domain is asked about. False: it is one that has hung, or nobody waits for us. */
static bool may_ask(struct worker *worker, const char *uuid)
{
	struct virt *virt = worker->virt;
	bool may = true;

	pthread_mutex_lock(&virt->lock);
	for (unsigned int i = 0; i < STUCK_DOMAINS; i++)
		if (virt->stuck[i].until > agent_now() && !strcmp(virt->stuck[i].uuid, uuid))
			may = false;
	may = may && !worker->lost;
	memcpy(worker->asking, uuid, sizeof(worker->asking));
	pthread_mutex_unlock(&virt->lock);
	return may;
}

static struct want known_want(struct daemon *daemon, const char *uuid)
{
	const struct domain *domain;
	struct want want;

	pthread_mutex_lock(&daemon->lock);
	domain = domains_find(&daemon->domains, uuid);
	want = domain ? domain->want : want_nothing(WISH_NONE);
	pthread_mutex_unlock(&daemon->lock);
	return want;
}

static struct want ask_want(struct worker *worker, virDomainPtr domain, const char *uuid)
{
	struct want want;
	char *xml;

	if (!may_ask(worker, uuid))
		return known_want(worker->virt->daemon, uuid);
	xml = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, WISH_NAMESPACE,
				   VIR_DOMAIN_AFFECT_CURRENT);
	if (!xml)
		return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_METADATA ?
			       want_nothing(WISH_NONE) :
			       known_want(worker->virt->daemon, uuid);
	want = wish_parse(xml, strlen(xml));
	free(xml);
	return want;
}

static bool ask_one(struct worker *worker, virDomainPtr found, struct domain *domain)
{
	if (virDomainGetUUIDString(found, domain->uuid))
		return false;
	agent_copy_name(domain->name, sizeof(domain->name), virDomainGetName(found));
	domain->want = ask_want(worker, found, domain->uuid);
	return true;
}

/* All running domains. False: the connection is of no use. */
static bool ask_all(struct worker *worker, struct domains *domains)
{
	virDomainPtr *found = NULL;
	int nr;

	nr = virConnectListAllDomains(worker->connection, &found, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
	if (nr < 0)
		return false;
	domains->more = (unsigned int)nr > AGENT_MAX_VMS;
	domains->domains = calloc((size_t)nr + 1, sizeof(*domains->domains));
	for (int i = 0; i < nr; i++) {
		if (domains->domains && domains->nr < AGENT_MAX_VMS &&
		    ask_one(worker, found[i], &domains->domains[domains->nr]))
			domains->nr++;
		virDomainFree(found[i]);
	}
	free(found);
	if (domains->nr)
		qsort(domains->domains, domains->nr, sizeof(*domains->domains), by_uuid);
	return virConnectIsAlive(worker->connection) == 1;
}

/* One round. What was known is kept while there is no connection. */
static bool make_round(struct worker *worker)
{
	struct daemon *daemon = worker->virt->daemon;
	struct domains domains = { 0 }, old;
	bool up, lost;

	virResetLastError();
	up = connect_to(worker) && ask_all(worker, &domains);
	pthread_mutex_lock(&worker->virt->lock);
	lost = worker->lost;
	pthread_mutex_unlock(&worker->virt->lock);
	if (lost || !up) {
		free(domains.domains);
		if (!lost)
			say_state(worker->virt, VIRT_DOWN);
		disconnect(worker);
		return false;
	}
	pthread_mutex_lock(&daemon->lock);
	old = daemon->domains;
	daemon->domains = domains;
	pthread_mutex_unlock(&daemon->lock);
	free(old.domains);
	say_state(worker->virt, VIRT_UP);
	return true;
}

/* Wait under the lock. Returns false when the time is over. */
static bool wait_for(struct virt *virt, double seconds)
{
	struct timespec at;
	double end = agent_now() + seconds;

	at.tv_sec = (time_t)end;
	at.tv_nsec = (long)((end - (double)at.tv_sec) * 1e9);
	return pthread_cond_timedwait(&virt->changed, &virt->lock, &at) != ETIMEDOUT;
}

static void *work(void *ctx)
{
	struct worker *worker = ctx;
	struct virt *virt = worker->virt;
	bool up;

	pthread_mutex_lock(&virt->lock);
	while (!worker->lost && !virt->stopping) {
		virt->wanted = false;
		worker->begin = agent_now();
		pthread_mutex_unlock(&virt->lock);
		up = make_round(worker);
		pthread_mutex_lock(&virt->lock);
		worker->begin = 0;
		/* However much happens, there is time for other things. */
		while (!worker->lost && !virt->stopping && wait_for(virt, PAUSE_SECONDS))
			;
		while (!worker->lost && !virt->stopping && !virt->wanted &&
		       wait_for(virt, up ? ROUND_SECONDS : RETRY_SECONDS))
			;
	}
	if (worker->lost)
		virt->lost--;
	else
		virt->worker = NULL;
	pthread_cond_broadcast(&virt->changed);
	pthread_mutex_unlock(&virt->lock);
	disconnect(worker);
	free(worker);
	return NULL;
}

static void start_worker(struct virt *virt)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	pthread_t thread;

	if (!worker)
		return;
	worker->virt = virt;
	if (pthread_create(&thread, NULL, work, worker)) {
		free(worker);
		return;
	}
	pthread_detach(thread);
	virt->worker = worker;
}

/* Once a second, on the loop's thread. */
static void watch(int id, void *ctx)
{
	struct virt *virt = ctx;
	struct daemon *daemon = virt->daemon;
	struct worker *worker;
	bool given_up = false;

	(void)id;
	pthread_mutex_lock(&virt->lock);
	worker = virt->worker;
	if (worker && worker->begin > 0 && agent_now() - worker->begin > daemon->config.patience) {
		struct stuck_domain *stuck = &virt->stuck[virt->next_stuck++ % STUCK_DOMAINS];

		memcpy(stuck->uuid, worker->asking, sizeof(stuck->uuid));
		stuck->until = agent_now() + STUCK_SECONDS;
		worker->lost = true;
		virt->lost++;
		virt->worker = NULL;
		given_up = true;
	}
	if (!virt->worker && virt->lost < LOST_WORKERS)
		start_worker(virt);
	pthread_mutex_unlock(&virt->lock);
	if (!given_up)
		return;
	pthread_mutex_lock(&daemon->lock);
	daemon->virt = VIRT_STUCK;
	daemon->stuck++;
	pthread_mutex_unlock(&daemon->lock);
}

struct virt *virt_start(struct daemon *daemon)
{
	struct virt *virt = calloc(1, sizeof(*virt));
	pthread_condattr_t attr;

	if (!virt)
		return NULL;
	virt->daemon = daemon;
	pthread_mutex_init(&virt->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&virt->changed, &attr);
	pthread_condattr_destroy(&attr);
	daemon->virt = VIRT_DOWN;
	events_register(daemon->ring);
	virInitialize();
	virSetErrorFunc(NULL, no_message);
	pthread_mutex_lock(&virt->lock);
	start_worker(virt);
	pthread_mutex_unlock(&virt->lock);
	virt->timer = ring_add_timer(daemon->ring, 1000, watch, virt, NULL);
	return virt;
}

bool virt_stop(struct virt *virt)
{
	bool over;

	if (!virt)
		return true;
	pthread_mutex_lock(&virt->lock);
	virt->stopping = true;
	pthread_cond_broadcast(&virt->changed);
	while (virt->worker && wait_for(virt, 1.0))
		;
	over = !virt->worker && !virt->lost;
	pthread_mutex_unlock(&virt->lock);
	if (over) {
		pthread_cond_destroy(&virt->changed);
		pthread_mutex_destroy(&virt->lock);
		free(virt);
	}
	return over;
}
