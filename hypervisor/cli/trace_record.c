// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch trace record`: records of a VM's batches into a file.
 *
 * A VMM sends records on its control socket, KVM's handler has them in a file in debugfs; both
 * take the same request and send the same stream, which is put into blocks here. One ring
 * waits for the source, for signals and for time, and writes: one block is written while the
 * next one fills. If the disk is slower than the guest, the source is left alone, its ring
 * fills, and it counts what it drops: it never waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <agent/agent.h>
#include <cli/trace.h>

#define RING_ENTRIES 16
#define WRITE_BYTES 65536U /* enough records for a block */
#define FLUSH_SECONDS 1 /* or after that time, however few */

enum op {
	OP_SOURCE = 1,
	OP_SIGNAL,
	OP_FLUSH,
	OP_END,
	OP_WRITE
};

struct buffer {
	struct trace_block block;
	char records[TRACE_BLOCK_MAX];
};

struct recorder {
	struct io_uring ring;
	int source, file, signals;
	bool listening; /* the ring waits for the source */
	bool writing, over, failed;
	struct buffer *now, *written;
	size_t filled, whole; /* bytes in now; of them, whole records */
	size_t to_write, wrote; /* bytes of written */
	uint64_t offset;
	uint32_t sequence;
	uint64_t batches, dropped;
	bool ended, began; /* records of that kind have come */
	struct __kernel_timespec flush, end;
};

struct options {
	const char *output, *name, *seconds, *kvm;
	bool batches, handler;
};

static void prepare(struct recorder *recorder, enum op op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&recorder->ring);

	switch (op) {
	case OP_SOURCE:
		io_uring_prep_poll_add(sqe, recorder->source, POLLIN);
		break;
	case OP_SIGNAL:
		io_uring_prep_poll_add(sqe, recorder->signals, POLLIN);
		break;
	case OP_FLUSH:
		io_uring_prep_timeout(sqe, &recorder->flush, 0, 0);
		break;
	case OP_END:
		io_uring_prep_timeout(sqe, &recorder->end, 0, 0);
		break;
	case OP_WRITE:
		io_uring_prep_write(sqe, recorder->file,
				    (char *)recorder->written + recorder->wrote,
				    (unsigned int)(recorder->to_write - recorder->wrote),
				    recorder->offset + recorder->wrote);
		break;
	}
	io_uring_sqe_set_data64(sqe, op);
}

/* Whole records go into a block and on their way; what is left begins the next one. */
static void write_block(struct recorder *recorder)
{
	struct buffer *full = recorder->now;
	size_t rest = recorder->filled - recorder->whole;

	if (recorder->writing || !recorder->whole || recorder->failed)
		return;
	trace_block_seal(&full->block, full->records, (uint32_t)recorder->whole,
			 recorder->sequence++);
	memcpy(recorder->written->records, full->records + recorder->whole, rest);
	recorder->now = recorder->written;
	recorder->written = full;
	recorder->to_write = sizeof(full->block) + recorder->whole;
	recorder->wrote = 0;
	recorder->filled = rest;
	recorder->whole = 0;
	recorder->writing = true;
	prepare(recorder, OP_WRITE);
}

static void fail(struct recorder *recorder, const char *what)
{
	if (!recorder->failed)
		cli_say("%s", what);
	recorder->failed = true;
	recorder->over = true;
}

static void wrote(struct recorder *recorder, int res)
{
	if (res <= 0) {
		char what[160];

		snprintf(what, sizeof(what), "cannot write the trace: %s",
			 strerror(res ? -res : ENOSPC));
		recorder->writing = false;
		fail(recorder, what);
		return;
	}
	recorder->wrote += (size_t)res;
	if (recorder->wrote < recorder->to_write) {
		prepare(recorder, OP_WRITE);
		return;
	}
	recorder->offset += recorder->to_write;
	recorder->writing = false;
	if (recorder->whole >= WRITE_BYTES)
		write_block(recorder);
}

/* Count the whole records among what has come. */
static void look(struct recorder *recorder)
{
	while (recorder->filled - recorder->whole >= sizeof(struct trace_record)) {
		const struct trace_record *record =
			(const void *)(recorder->now->records + recorder->whole);
		size_t bytes = recorder->filled - recorder->whole;

		if (record->bytes > TRACE_MAX_BYTES || record->bytes < sizeof(*record)) {
			fail(recorder, "the VM sends no records (does somebody else record?)");
			return;
		}
		if (record->bytes > bytes)
			return;
		if (!trace_record_good(record, bytes) ||
		    (record->kind == TRACE_MACHINE) == recorder->began) {
			fail(recorder, "the VM sends what is no record");
			return;
		}
		recorder->began = true;
		if (record->kind == TRACE_BATCH)
			recorder->batches++;
		else if (record->kind == TRACE_DROPPED)
			recorder->dropped += ((const struct trace_count *)record)->count;
		recorder->ended |= record->kind == TRACE_END;
		recorder->whole += record->bytes;
	}
}

static bool room(const struct recorder *recorder)
{
	/* The last record is ours. */
	return recorder->filled + TRACE_MAX_BYTES + sizeof(struct trace_count) <= TRACE_BLOCK_MAX;
}

static void receive(struct recorder *recorder)
{
	size_t left = TRACE_BLOCK_MAX - sizeof(struct trace_count) - recorder->filled;
	ssize_t got;

	got = read(recorder->source, recorder->now->records + recorder->filled, left);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		recorder->over = true;
		return;
	}
	recorder->filled += (size_t)got;
	look(recorder);
	if (recorder->whole >= WRITE_BYTES)
		write_block(recorder);
}

static void handle(struct recorder *recorder, enum op op, int res)
{
	switch (op) {
	case OP_SOURCE:
		recorder->listening = false;
		receive(recorder);
		break;
	case OP_FLUSH:
		write_block(recorder);
		prepare(recorder, OP_FLUSH);
		break;
	case OP_SIGNAL:
	case OP_END:
		recorder->over = true;
		break;
	case OP_WRITE:
		wrote(recorder, res);
		break;
	}
}

static int turn(struct recorder *recorder)
{
	struct io_uring_cqe *cqe;
	int rc;

	if (!recorder->listening && !recorder->over && room(recorder)) {
		prepare(recorder, OP_SOURCE);
		recorder->listening = true;
	}
	rc = io_uring_submit_and_wait(&recorder->ring, 1);
	if (rc < 0 && rc != -EINTR)
		return rc;
	while (!io_uring_peek_cqe(&recorder->ring, &cqe)) {
		enum op op = (enum op)io_uring_cqe_get_data64(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&recorder->ring, cqe);
		handle(recorder, op, res);
	}
	return 0;
}

/* The recorder's own end, if the source's did not come: the file is complete up to there. */
static void put_end(struct recorder *recorder)
{
	struct trace_count end = { .record = { .bytes = sizeof(end), .kind = TRACE_END },
				   .count = recorder->batches };

	if (recorder->ended)
		return;
	memcpy(recorder->now->records + recorder->whole, &end, sizeof(end));
	recorder->whole += sizeof(end);
	recorder->filled = recorder->whole;
}

static int record(struct recorder *recorder, const struct options *options)
{
	struct trace_file_head head = { .magic = TRACE_FILE_MAGIC, .version = TRACE_VERSION };
	int rc = 0;

	if (write(recorder->file, &head, sizeof(head)) != (ssize_t)sizeof(head)) {
		cli_say("cannot write %s: %m", options->output);
		return CLI_OUTPUT;
	}
	recorder->offset = sizeof(head);
	recorder->flush.tv_sec = FLUSH_SECONDS;
	prepare(recorder, OP_SIGNAL);
	prepare(recorder, OP_FLUSH);
	if (options->seconds) {
		recorder->end.tv_sec = strtol(options->seconds, NULL, 10);
		prepare(recorder, OP_END);
	}
	while (!rc && !recorder->over)
		rc = turn(recorder);
	while (!rc && recorder->writing)
		rc = turn(recorder);
	if (!rc && !recorder->failed) {
		put_end(recorder);
		write_block(recorder);
		while (!rc && recorder->writing)
			rc = turn(recorder);
	}
	if (rc) {
		cli_say("io_uring: %s", strerror(-rc));
		return CLI_HOST;
	}
	if (!recorder->failed && !recorder->began) {
		cli_say("the VM ended before it sent anything");
		return CLI_FAILED;
	}
	return recorder->failed ? CLI_OUTPUT : CLI_OK;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof(address)) &&
	    !fcntl(fd, F_SETFL, O_NONBLOCK))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* The VM by its name or process: of the VMM, unless KVM's handler is asked for or alone has it. */
static bool find(const struct agent_list *list, const struct options *options,
		 struct agent_vm *found)
{
	const struct agent_vm *best = NULL;
	char pid[16];

	for (unsigned int i = 0; i < list->nr; i++) {
		const struct agent_vm *vm = &list->vms[i];

		snprintf(pid, sizeof(pid), "%d", (int)vm->pid);
		if (strcmp(vm->name, options->name) && strcmp(pid, options->name))
			continue;
		if (options->handler && vm->backend != AGENT_KVM)
			continue;
		if (!best || vm->backend == AGENT_VMM)
			best = vm;
	}
	if (best)
		*found = *best;
	return best;
}

/* Where the records come from: a descriptor, or -1 with one line said. */
static int open_source(const struct options *options)
{
	char *directory = agent_runtime_dir();
	const struct agent_sources sources = { .runtime = directory, .kvm = options->kvm };
	struct agent_list list;
	struct agent_vm vm;
	char path[512];
	bool there;
	int fd;

	agent_scan(&sources, &list);
	there = find(&list, options, &vm);
	agent_list_free(&list);
	if (there && vm.backend == AGENT_VMM)
		snprintf(path, sizeof(path), "%s/%d.sock", directory, vm.socket);
	else if (there)
		snprintf(path, sizeof(path), "%s/%d-%d/pvbatch_trace", options->kvm, (int)vm.pid,
			 vm.fd);
	free(directory);
	if (!there) {
		cli_say("no VM '%s' with %s is running", options->name,
			options->handler ?
				"a file in KVM's directory in debugfs" :
				"a control socket or a file in KVM's directory in debugfs");
		return -1;
	}
	fd = vm.backend == AGENT_VMM ? connect_to(path) :
				       open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd >= 0)
		return fd;
	if (vm.backend == AGENT_KVM && errno == EBUSY)
		cli_say("somebody else records '%s'", options->name);
	else
		cli_say("cannot connect to %s: %m", path);
	return -1;
}

/*
 * What a guest does with its memory is for who records it alone, also where a file is written
 * over that others could read.
 */
static int open_output(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct stat stat;

	if (fd < 0 || fstat(fd, &stat) || !S_ISREG(stat.st_mode))
		return fd;
	if (((stat.st_mode & 077) && fchmod(fd, stat.st_mode & 0700)) || ftruncate(fd, 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int ask(const struct options *options, struct recorder *recorder)
{
	const char *request = options->batches ? "trace batches\n" : "trace entries\n";
	sigset_t set;

	recorder->source = open_source(options);
	if (recorder->source < 0)
		return CLI_FAILED;
	recorder->file = open_output(options->output);
	if (recorder->file < 0) {
		cli_say("cannot write %s: %m", options->output);
		return CLI_OUTPUT;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	recorder->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (recorder->signals < 0 || write(recorder->source, request, strlen(request)) < 0) {
		cli_say("cannot ask the VM: %m");
		return CLI_HOST;
	}
	return CLI_OK;
}

static int run(const struct options *options)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));
	int code, rc;

	if (!recorder)
		abort();
	recorder->source = recorder->file = recorder->signals = -1;
	recorder->now = malloc(sizeof(*recorder->now));
	recorder->written = malloc(sizeof(*recorder->written));
	if (!recorder->now || !recorder->written)
		abort();
	code = ask(options, recorder);
	if (!code) {
		rc = io_uring_queue_init(RING_ENTRIES, &recorder->ring, 0);
		if (rc) {
			cli_say("no io_uring: %s", strerror(-rc));
			code = CLI_HOST;
		} else {
			code = record(recorder, options);
			io_uring_queue_exit(&recorder->ring);
		}
	}
	if (!code && (fdatasync(recorder->file) && errno != EINVAL)) {
		cli_say("cannot write %s: %m", options->output);
		code = CLI_OUTPUT;
	}
	if (!code)
		cli_say("%llu batches recorded, %llu dropped, %llu bytes",
			(unsigned long long)recorder->batches,
			(unsigned long long)recorder->dropped,
			(unsigned long long)recorder->offset);
	if (recorder->source >= 0)
		close(recorder->source);
	if (recorder->file >= 0)
		close(recorder->file);
	if (recorder->signals >= 0)
		close(recorder->signals);
	free(recorder->now);
	free(recorder->written);
	free(recorder);
	return code;
}

enum key {
	KEY_BATCHES = 256,
	KEY_HANDLER,
	KEY_KVM
};

static const struct argp_option record_options[] = {
	{ "output", 'o', "FILE", 0, "Write there", 0 },
	{ "batches", KEY_BATCHES, NULL, 0, "Headers and times alone: small, and no replay", 0 },
	{ "kvm", KEY_HANDLER, NULL, 0, "What KVM's handler serves, even if the VM is ours", 0 },
	{ "kvm-debugfs", KEY_KVM, "DIR", 0, "KVM's directory. Default: " AGENT_KVM_DEBUGFS, 0 },
	{ "seconds", 't', "SECONDS", 0, "End after that time. Default: with the VM, or Ctrl-C", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;
	char *end;

	switch (key) {
	case 'o':
		options->output = arg;
		return 0;
	case KEY_BATCHES:
		options->batches = true;
		return 0;
	case KEY_HANDLER:
		options->handler = true;
		return 0;
	case KEY_KVM:
		options->kvm = arg;
		return 0;
	case 't':
		if (strtol(arg, &end, 10) < 1 || *end || strlen(arg) > 8)
			argp_error(state, "--seconds %s: a number from 1 on", arg);
		options->seconds = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (options->name)
			argp_error(state, "'%s' is too much", arg);
		options->name = arg;
		return 0;
	case ARGP_KEY_END:
		if (!options->name || !options->output)
			argp_error(state, "a VM and --output FILE are needed");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int cmd_trace_record(int argc, char **argv)
{
	static const char doc[] =
		"Record the batches of a VM, by its name or process, with their entries and the PTEs "
		"that these name, until the VM or you end it: of one that `pvbatch run` runs, or of "
		"any that KVM's handler serves (which takes root).\v"
		"What there was no room for is counted, in the file and at the end.";
	static const struct argp argp = {
		.options = record_options, .parser = parse, .args_doc = "VM", .doc = doc
	};
	struct options options = { .kvm = AGENT_KVM_DEBUGFS };

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	return run(&options);
}
