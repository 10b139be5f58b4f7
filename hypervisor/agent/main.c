// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - pvbatchd(8): options, start, end. In the foreground, with messages on
 * standard error and readiness and a watchdog for systemd.
 */
#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <agent/daemon.h>

#define EXIT_USAGE 2
#define EXIT_HOST 3
#define SCAN_PATIENCE 60.0 /* seconds without a scan after which we are not well */
#define SOCKET_NAME "agent.sock"
#define STATE_NAME "agent.state"

enum key {
	KEY_KVM = 256,
	KEY_NO_LIBVIRT,
	KEY_LISTEN,
	KEY_PATIENCE,
	KEY_STATE
};

static const struct argp_option options[] = {
	{ "connect", 'c', "URI", 0, "libvirt's. Default: qemu:///system", 0 },
	{ "no-libvirt", KEY_NO_LIBVIRT, NULL, 0, "Only serve figures", 0 },
	{ "socket", 's', "PATH", 0,
	  "Serve HTTP on this Unix socket, mode 0660. Default: agent.sock in /run/pvbatch", 0 },
	{ "listen", KEY_LISTEN, "ADDRESS:PORT", 0,
	  "Serve HTTP on TCP, too: 127.0.0.0/8 alone, as there is no access control", 0 },
	{ "interval", 'i', "SECONDS", 0, "Between two looks at the VMs. Default: 2", 0 },
	{ "patience", KEY_PATIENCE, "SECONDS", 0,
	  "For libvirt's answers, until they are given up. Default: 10", 0 },
	{ "state", KEY_STATE, "PATH", 0,
	  "Keep there what VMs had before they were changed. Default: agent.state in /run/pvbatch",
	  0 },
	{ "kvm-debugfs", KEY_KVM, "DIR", 0, "KVM's directory. Default: " AGENT_KVM_DEBUGFS, 0 },
	{ 0 }
};

void daemon_say(const char *format, ...)
{
	va_list args;

	fputs("pvbatchd: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static double seconds(struct argp_state *state, const char *name, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (*end || !(value >= 0.05 && value <= 3600))
		argp_error(state, "--%s %s: 0.05 to 3600 seconds", name, text);
	return value;
}

static void listen_at(struct argp_state *state, struct daemon_config *config, char *text)
{
	char *colon = strrchr(text, ':'), *end = NULL;
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;

	if (!port || *end || port > 65535 || strncmp(text, "127.", 4)) {
		argp_error(state, "--listen %s: 127.x.y.z:PORT", text);
		return;
	}
	*colon = 0;
	config->address = text;
	config->port = (unsigned int)port;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct daemon_config *config = state->input;

	switch (key) {
	case 'c':
		config->uri = arg;
		return 0;
	case KEY_NO_LIBVIRT:
		config->uri = NULL;
		return 0;
	case 's':
		config->socket = arg;
		return 0;
	case KEY_LISTEN:
		listen_at(state, config, arg);
		return 0;
	case 'i':
		config->interval = seconds(state, "interval", arg);
		return 0;
	case KEY_PATIENCE:
		config->patience = seconds(state, "patience", arg);
		return 0;
	case KEY_STATE:
		config->state = arg;
		return 0;
	case KEY_KVM:
		config->sources.kvm = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much", arg);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static void print_version(FILE *out, struct argp_state *state)
{
	(void)state;
	fprintf(out, "pvbatchd %s\n", agent_release);
}

/* Signals that end the process come through the loop; every thread has them blocked. */
static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void on_signal(int id, int fd, int events, void *ctx)
{
	struct daemon *daemon = ctx;
	struct signalfd_siginfo info;

	(void)id;
	(void)events;
	while (read(fd, &info, sizeof(info)) == sizeof(info))
		ring_stop(daemon->ring);
}

/* The watchdog is told that we are well only if the scanning thread is, too. */
static void on_watchdog(int id, void *ctx)
{
	struct daemon *daemon = ctx;
	bool well;

	(void)id;
	pthread_mutex_lock(&daemon->lock);
	well = daemon->scans && agent_now() - daemon->list.time < SCAN_PATIENCE;
	pthread_mutex_unlock(&daemon->lock);
	if (well)
		sd_notify(0, "WATCHDOG=1");
}

/* Ready is who can be asked and has something to say. */
static void on_first_scan(int id, void *ctx)
{
	struct daemon *daemon = ctx;
	bool scanned;

	pthread_mutex_lock(&daemon->lock);
	scanned = daemon->scans;
	pthread_mutex_unlock(&daemon->lock);
	if (!scanned)
		return;
	ring_remove_timer(daemon->ring, id);
	sd_notify(0, "READY=1\nSTATUS=serving");
}

static int run(struct daemon *daemon, int signal_fd)
{
	struct virt *virt = NULL;
	uint64_t watchdog = 0;
	pthread_t scanner;
	struct http *http;
	int rc;

	http = http_start(daemon);
	if (!http)
		return EXIT_HOST;
	if (daemon->config.uri)
		virt = virt_start(daemon);
	ring_add_fd(daemon->ring, signal_fd, POLLIN, on_signal, daemon, NULL);
	ring_add_timer(daemon->ring, 20, on_first_scan, daemon, NULL);
	if (sd_watchdog_enabled(0, &watchdog) > 0)
		ring_add_timer(daemon->ring, (int)(watchdog / 2000), on_watchdog, daemon, NULL);
	rc = scan_start(daemon, &scanner);
	if (!rc) {
		rc = ring_run(daemon->ring);
		sd_notify(0, "STOPPING=1");
		pthread_mutex_lock(&daemon->lock);
		daemon->ending = true;
		pthread_cond_broadcast(&daemon->end);
		pthread_mutex_unlock(&daemon->lock);
		pthread_join(scanner, NULL);
	}
	if (rc)
		daemon_say("the event loop failed: %s", strerror(rc < 0 ? -rc : rc));
	http_stop(http);
	/* A thread that hangs in a call has a right to what it will look at: nothing is freed. */
	if (!virt_stop(virt))
		_exit(rc ? EXIT_HOST : EXIT_SUCCESS);
	return rc ? EXIT_HOST : EXIT_SUCCESS;
}

static void daemon_init(struct daemon *daemon)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&daemon->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&daemon->end, &attr);
	pthread_condattr_destroy(&attr);
}

int main(int argc, char **argv)
{
	static const char doc[] =
		"Serve the counters of this machine's VMs over HTTP, and keep the switches of "
		"KVM's pvbatch handler as the metadata of libvirt's domains want them.\v"
		"Pages: /metrics (Prometheus), /vms and /status (JSON).\n\n"
		"Exit codes: 0 ended by SIGTERM, SIGINT or SIGHUP; 2 usage; 3 something is missing "
		"on this machine.";
	static const struct argp argp = { .options = options, .parser = parse, .doc = doc };
	/* Not on the stack: a worker that hangs may outlive this function. */
	static struct daemon daemon = { .config = { .uri = "qemu:///system",
						    .sources.kvm = AGENT_KVM_DEBUGFS,
						    .interval = 2,
						    .patience = 10 } };
	struct daemon_config *config = &daemon.config;
	char *directory, *socket = NULL, *state = NULL;
	int signal_fd, code;

	argp_err_exit_status = EXIT_USAGE;
	argp_program_version_hook = print_version;
	argp_parse(&argp, argc, argv, 0, NULL, config);
	directory = agent_runtime_dir();
	config->sources.runtime = directory;
	if (!config->socket && directory) {
		mkdir(directory, 0750);
		if (asprintf(&socket, "%s/%s", directory, SOCKET_NAME) < 0)
			abort();
		config->socket = socket;
	}
	if (!config->state && directory) {
		if (asprintf(&state, "%s/%s", directory, STATE_NAME) < 0)
			abort();
		config->state = state;
	}
	daemon_init(&daemon);
	signal_fd = block_signals();
	daemon.ring = ring_create();
	if (!daemon.ring || signal_fd < 0) {
		daemon_say("no event loop: %m; it needs io_uring, Linux 5.11 or later");
		return EXIT_HOST;
	}
	code = run(&daemon, signal_fd);
	ring_destroy(daemon.ring);
	close(signal_fd);
	agent_list_free(&daemon.list);
	free(daemon.domains.domains);
	free(socket);
	free(state);
	free(directory);
	return code;
}
