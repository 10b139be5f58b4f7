/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: host agent - pvbatchd: the parts of the daemon, and what its threads share.
 *
 *   main.c       options, start, end
 *   ring.c       the event loop on io_uring; descriptors and timers
 *   events.c     libvirt's event API on that loop
 *   virt.c       a thread that talks to libvirt: which domains want what
 *   wish.c       what a domain's metadata say
 *   scan_thread.c  a thread that reads the VMs and sets their switches
 *   switches.c   from wishes to the handler's switches and limits, and back
 *   state.c      what VMs had before, in a file
 *   metrics.c    the VMs as Prometheus text
 *   http.c       who asks for it
 *
 * The loop's thread never calls libvirt and never reads a VM: those are what can hang. It
 * has what the two others have last found, under one lock, held for copying pointers.
 */
#ifndef PVB_AGENT_DAEMON_H
#define PVB_AGENT_DAEMON_H

#include <pthread.h>

#include <agent/agent.h>
#include <agent/wish.h>

/* ring.c */
struct ring;
typedef void (*ring_fd_fn)(int id, int fd, int events, void *ctx); /* poll(2)'s events */
typedef void (*ring_timer_fn)(int id, void *ctx);
typedef void (*ring_free_fn)(void *ctx);

struct ring *ring_create(void); /* NULL with errno */
void ring_destroy(struct ring *ring);
/*
 * From any thread. Callbacks run on the loop's thread, without locks held, and may call all
 * of these. @done is called on the loop's thread after the last callback. -1: no memory.
 */
int ring_add_fd(struct ring *ring, int fd, int events, ring_fd_fn fn, void *ctx, ring_free_fn done);
void ring_set_fd(struct ring *ring, int id, int events);
int ring_remove_fd(struct ring *ring, int id);
/* @ms: -1: never for now; 0: each turn. */
int ring_add_timer(struct ring *ring, int ms, ring_timer_fn fn, void *ctx, ring_free_fn done);
void ring_set_timer(struct ring *ring, int id, int ms);
int ring_remove_timer(struct ring *ring, int id);
/* Run until ring_stop(). 0 or -errno. */
int ring_run(struct ring *ring);
void ring_stop(struct ring *ring);

/* events.c: once, before the first call of libvirt. */
void events_register(struct ring *ring);

/* What libvirt knows of a domain that runs. */
struct domain {
	char name[64];
	char uuid[37];
	struct want want;
};

struct domains {
	unsigned int nr;
	bool more; /* than AGENT_MAX_VMS */
	struct domain *domains; /* by uuid */
};

enum virt_state {
	VIRT_OFF, /* not asked for */
	VIRT_DOWN, /* no connection */
	VIRT_UP,
	VIRT_STUCK /* a call has not come back in time */
};

struct daemon_config {
	const char *uri; /* libvirt's; NULL: without */
	struct agent_sources sources;
	const char *socket; /* path; NULL: none */
	const char *address; /* of TCP, on the loopback; NULL: none */
	unsigned int port;
	double interval; /* seconds between two scans */
	double patience; /* seconds for one round of libvirt's calls */
	const char *state; /* file that keeps what VMs had before; NULL: none */
};

struct daemon {
	struct daemon_config config;
	struct ring *ring;
	pthread_mutex_t lock; /* guards all below */
	struct agent_list list; /* last scan */
	struct domains domains; /* last known */
	enum virt_state virt;
	char virt_error[160];
	unsigned int stuck; /* calls of libvirt that were given up */
	uint64_t scans, switched, switch_errors;
	double scan_took;
	bool ending;
	pthread_cond_t end; /* with the lock, CLOCK_MONOTONIC */
};

/* virt.c; on the loop's thread */
struct virt;
struct virt *virt_start(struct daemon *daemon);
/* False: a call still hangs, and its thread may come back at any time. */
bool virt_stop(struct virt *virt);
/* domains_find() - binary search; NULL if there is none. */
const struct domain *domains_find(const struct domains *domains, const char *uuid);

/* scan_thread.c */
int scan_start(struct daemon *daemon, pthread_t *thread);

/* switches.c; on the scanning thread, which owns @switches */
struct switches;
/* @state: config.state; a file that is there is read, or refused with one line. */
struct switches *switches_create(const char *state);
void switches_free(struct switches *switches);
/*
 * Set the switches and limits of the VMs in @list as @domains want, and note in @list what is
 * set. @set, @errors: counted up.
 */
void switches_apply(struct switches *switches, const char *kvm, struct agent_list *list,
		    const struct domains *domains, uint64_t *set, uint64_t *errors);
/* switches_restore() - at the end: all VMs as they were before. */
void switches_restore(struct switches *switches, const char *kvm);

/* state.c */

/* What of a VM is set: the switch, 0 or 1, and then its limits. */
enum setting {
	SETTING_SWITCH,
	SETTING_LIMIT, /* + enum limit */
	NR_SETTINGS = SETTING_LIMIT + NR_LIMITS
};

/* A VM that this agent has changed. */
struct held {
	pid_t pid;
	int fd;
	uint64_t start; /* of the process, in clock ticks since boot; 0: not known */
	bool seen; /* in the last scan */
	unsigned int settings; /* bit SETTING_x: this one is ours */
	uint32_t before[NR_SETTINGS]; /* what it was */
	uint32_t ours[NR_SETTINGS]; /* what we have made of it */
};

struct held_list {
	unsigned int nr;
	struct held held[AGENT_MAX_VMS]; /* by process and descriptor */
};

/* state_name() - of a setting, in the file; NULL if there is no such. */
const char *state_name(unsigned int setting);
bool state_good(unsigned int setting, uint64_t value);
/* state_load() - into @list; untrusted. False with one line said; then @list is empty. */
bool state_load(const char *path, struct held_list *list);
/* state_save() - atomically; an empty list is no file. 0 or -errno. */
int state_save(const char *path, const struct held_list *list);
/* state_start() - when process @pid began; 0 if that is not known. */
uint64_t state_start(pid_t pid);
int state_order(const void *left, const void *right);

/* metrics.c: malloc()ed text of *@bytes; NULL without memory. Takes the lock. */
char *metrics_text(struct daemon *daemon, size_t *bytes);
char *metrics_vms(struct daemon *daemon, size_t *bytes);
char *metrics_status(struct daemon *daemon, size_t *bytes);

/* http.c; on the loop's thread */
struct http;
/* NULL with one line said. */
struct http *http_start(struct daemon *daemon);
void http_stop(struct http *http);

extern const char agent_release[]; /* version.c */

/* main.c: one line on standard error. */
void daemon_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* PVB_AGENT_DAEMON_H */
