// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch bench trace`, measuring. The VMM's own doorbell, tracing and
 * control socket on a machine whose vCPUs nobody runs: a call is a function call, so that what
 * is counted is the VMM's work alone. Records go the whole way: ring, control socket, the
 * recorder as a process of its own, file.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmm/internal.h>

#include <cli/bench_trace.h>
#include <cli/trace.h>

#define RAM (4ULL << 20)
#define BUFFER 0x10000ULL
#define BUFFER_BYTES 32768U
#define TABLE 0x20000ULL
#define RW (0x1000ULL << PVB_PAGE_SHIFT | PVB_PTE_P | PVB_PTE_W | PVB_PTE_A | PVB_PTE_D)
#define PHYS_BITS 40U
#define COUNTED 2U /* batches: an even number, to and fro */
#define RING_ENTRIES 64U
#define START_SECONDS 20.0 /* for the recorder to come */

/* hypervisor/vmm/doorbell.c, compiled without tracing (build.mk). */
int32_t doorbell_call_untraced(struct vcpu *vcpu, unsigned int call);

const struct bench_trace_shape bench_trace_shapes[BENCH_TRACE_SHAPES] = {
	{ 1, 1 }, { 64, 1 }, { 512, 1 }, { 1, 512 }
};

struct machine {
	struct vm vm;
	struct vcpu vcpu;
	struct vmm_config config;
};

static bool machine_open(struct machine *m, const char *control)
{
	const uint64_t features = PVB_F_HOST_APPLY | PVB_F_FLUSH;
	struct vmm_error error;

	memset(m, 0, sizeof(*m));
	m->config.name = "bench";
	m->config.control = control;
	m->vm.config = &m->config;
	m->vm.phys_bits = PHYS_BITS;
	m->vm.vcpus = &m->vcpu;
	m->vm.nr_vcpus = 1;
	pthread_mutex_init(&m->vm.trace.lock, NULL);
	m->vm.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->vm.event_fd < 0 || memory_create(&m->vm.memory, RAM, &error) ||
	    pvb_engine_vm_init(&m->vm.engine, &doorbell_backend, features, PHYS_BITS))
		return false;
	m->vm.engine.version = PVB_VERSION;
	m->vm.engine.features = features;
	m->vcpu.vm = &m->vm;
	m->vcpu.kvm_exits.fd = -1;
	pvb_engine_vcpu_init(&m->vcpu.engine, &m->vm.engine, &m->vcpu);
	m->vcpu.engine.buffer = pvb_gpa(BUFFER);
	m->vcpu.engine.bytes = BUFFER_BYTES;
	return true;
}

static void machine_close(struct machine *m)
{
	free(m->vcpu.trace);
	memory_destroy(&m->vm.memory);
	if (m->vm.event_fd >= 0)
		close(m->vm.event_fd);
	pthread_mutex_destroy(&m->vm.trace.lock);
}

/* The guest's part: a batch that takes its PTEs from here to there, or back. */
static void guest_fill(struct machine *m, const struct bench_trace_shape *shape, bool back)
{
	struct pvb_batch_hdr *hdr = memory_at(&m->vm.memory, pvb_gpa(BUFFER), BUFFER_BYTES);
	struct pvb_entry *entry = (struct pvb_entry *)(hdr + 1);
	uint64_t *ptes = memory_at(&m->vm.memory, pvb_gpa(TABLE), PVB_PAGE_SIZE);

	*hdr = (struct pvb_batch_hdr){ .version = PVB_VERSION, .nr = shape->entries };
	for (uint64_t i = 0; !back && i < (uint64_t)shape->entries * shape->ptes; i++)
		ptes[i] = pvb_pte_advance(RW, i);
	for (uint64_t i = 0; i < shape->entries; i++) {
		uint64_t rw = pvb_pte_advance(RW, i * shape->ptes), ro = rw & ~PVB_PTE_W;

		entry[i] = (struct pvb_entry){
			.pte_gpa = TABLE + i * shape->ptes * sizeof(*ptes),
			.old = back ? ro : rw,
			.new = back ? rw : ro,
			.nr = (uint16_t)shape->ptes,
			.op = PVB_OP_COMMIT,
		};
	}
}

static bool guest_content(struct machine *m, const struct bench_trace_shape *shape, int32_t result)
{
	const struct pvb_batch_hdr *hdr = memory_at(&m->vm.memory, pvb_gpa(BUFFER), BUFFER_BYTES);

	return result == PVB_SUBMIT_DONE && hdr->applied == shape->entries * shape->ptes;
}

/* What nobody reads is thrown away. */
static void drain(struct trace *trace)
{
	const char *src;
	size_t bytes;

	while ((bytes = trace_peek(trace, &src)))
		trace_taken(trace, bytes);
}

/* Instructions of a batch; the mean over some, after two that warm up. */
static uint64_t count(struct bench_trace *bench, struct machine *m,
		      const struct bench_trace_shape *shape,
		      int32_t (*doorbell)(struct vcpu *vcpu, unsigned int call))
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < COUNTED + 2; i++) {
		uint64_t instructions;
		int32_t result;

		guest_fill(m, shape, i % 2);
		if (i < 2) {
			result = doorbell(&m->vcpu, PVB_CALL_SUBMIT);
			instructions = 0;
		} else {
			steps_begin();
			result = doorbell(&m->vcpu, PVB_CALL_SUBMIT);
			instructions = steps_end();
		}
		bench->wrong |= !guest_content(m, shape, result);
		if (m->vm.trace.ring.data)
			drain(&m->vm.trace);
		sum += instructions;
	}
	return sum / COUNTED;
}

static bool count_on(struct bench_trace *bench, struct machine *m,
		     const struct bench_trace_shape *shape, enum trace_mode mode, uint64_t *cost)
{
	if (!trace_start(&m->vm, mode))
		return false;
	*cost = count(bench, m, shape, doorbell_call);
	bench->wrong |= m->vm.trace.ring.dropped || m->vm.trace.ring.batches != COUNTED + 2;
	trace_stop(&m->vm.trace);
	return true;
}

int bench_trace_count(void *arg)
{
	struct bench_trace *bench = arg;
	static struct machine machine;
	bool good = machine_open(&machine, NULL);

	for (unsigned int i = 0; good && i < BENCH_TRACE_SHAPES; i++) {
		const struct bench_trace_shape *shape = &bench_trace_shapes[i];
		struct bench_trace_cost *cost = &bench->cost[i];

		cost->without = count(bench, &machine, shape, doorbell_call_untraced);
		cost->off = count(bench, &machine, shape, doorbell_call);
		good = count_on(bench, &machine, shape, TRACE_ON_BATCHES, &cost->headers) &&
		       count_on(bench, &machine, shape, TRACE_ON_ENTRIES, &cost->entries);
	}
	machine_close(&machine);
	return !good;
}

/* --- records a second: the VMM's control socket on a ring of its own */

struct server {
	struct io_uring ring;
	struct control *control;
	atomic_bool over;
};

/* As the VMM's loop does it; the doorbell's wake-ups are seen a millisecond late at most. */
static void *serve(void *arg)
{
	struct __kernel_timespec patience = { .tv_nsec = 1000000 };
	struct server *server = arg;
	struct io_uring_cqe *cqe;
	bool stopped = false;

	while (!stopped || control_busy(server->control)) {
		io_uring_submit_and_wait_timeout(&server->ring, &cqe, 1, &patience, NULL);
		while (!io_uring_peek_cqe(&server->ring, &cqe)) {
			uint64_t data = io_uring_cqe_get_data64(cqe) >> LOOP_OP_BITS;
			int res = cqe->res;

			io_uring_cqe_seen(&server->ring, cqe);
			control_done(server->control, data, res);
		}
		control_tick(server->control);
		if (!stopped && atomic_load(&server->over)) {
			stopped = true;
			control_stop(server->control);
		}
	}
	return NULL;
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int by_value(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static uint64_t taken(struct trace *trace)
{
	uint64_t batches;

	pthread_mutex_lock(&trace->lock);
	batches = trace->ring.batches;
	pthread_mutex_unlock(&trace->lock);
	return batches;
}

/* The guest's thread. False: the recorder does not come, or an answer is wrong. */
static bool submit(struct machine *m, const struct bench_trace_shape *shape, unsigned int rounds,
		   double seconds, struct bench_trace_rate *rate)
{
	double begin = seconds_now(), end;
	bool good = true, back = false;

	while (!atomic_load(&m->vm.trace.mode)) {
		if (seconds_now() - begin > START_SECONDS)
			return false;
		usleep(1000);
	}
	for (unsigned int round = 0; round < rounds && good; round++) {
		uint64_t before = taken(&m->vm.trace);

		begin = end = seconds_now();
		while (good && end - begin < seconds) {
			for (unsigned int i = 0; i < 16 && good; i++) {
				guest_fill(m, shape, back);
				back = !back;
				good = guest_content(m, shape,
						     doorbell_call(&m->vcpu, PVB_CALL_SUBMIT));
			}
			end = seconds_now();
		}
		rate->per_second[round] = (double)(taken(&m->vm.trace) - before) / (end - begin);
	}
	qsort(rate->per_second, rounds, sizeof(*rate->per_second), by_value);
	return good;
}

/* `pvbatch trace record`, as a process; what it says goes to @messages. */
static pid_t start_recorder(const char *directory, const char *file, const char *messages,
			    bool entries)
{
	char name[] = "pvbatch trace record", output[] = "-o", batches[] = "--batches",
	     vm[] = "bench", path[160];
	char *argv[] = { name, output, path, vm, entries ? NULL : batches, NULL };
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	snprintf(path, sizeof(path), "%s", file);
	setenv("PVBATCH_RUNTIME_DIR", directory, 1);
	fd = open(messages, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		_exit(CLI_OUTPUT);
	_exit(cmd_trace_record(entries ? 4 : 5, argv));
}

static bool ignore(void *ctx, const struct trace_record *record)
{
	(void)ctx;
	(void)record;
	return true;
}

/* What is in the file, read as `pvbatch trace report` reads it. */
static int read_back(const char *file, struct bench_trace_rate *rate)
{
	struct trace_totals totals;
	int code = trace_read_file(file, ignore, NULL, &totals);

	if (!code && totals.state != TRACE_COMPLETE) {
		cli_say("bench trace: the trace is not complete");
		code = CLI_FAILED;
	}
	rate->batches = totals.batches;
	rate->dropped = totals.dropped;
	rate->bytes = totals.bytes;
	return code;
}

/* The recorder's exit code; what it said is said if that is bad. */
static int wait_for(pid_t pid, const char *messages)
{
	char text[512] = "it was killed";
	int status = 0;
	FILE *file;

	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status))
		return CLI_OK;
	file = fopen(messages, "re");
	if (file) {
		if (!fgets(text, sizeof(text), file))
			snprintf(text, sizeof(text), "exit status %d\n", status);
		fclose(file);
	}
	text[strcspn(text, "\n")] = 0;
	cli_say("bench trace: the recorder failed: %s", text);
	return CLI_FAILED;
}

static int record(struct machine *m, struct server *server, const struct bench_trace_shape *shape,
		  unsigned int rounds, double seconds, struct bench_trace_rate *rate,
		  const char *directory)
{
	char file[128], messages[128];
	pthread_t thread;
	int code = CLI_OK;
	bool good;
	pid_t pid;

	snprintf(file, sizeof(file), "%s/trace", directory);
	snprintf(messages, sizeof(messages), "%s/messages", directory);
	/* Before there are threads. */
	pid = start_recorder(directory, file, messages, rate->with_entries);
	if (pid < 0 || pthread_create(&thread, NULL, serve, server)) {
		cli_say("bench trace: no process or thread: %m");
		return CLI_HOST;
	}
	good = submit(m, shape, rounds, seconds, rate);
	atomic_store(&server->over, true);
	pthread_join(thread, NULL);
	code = wait_for(pid, messages);
	if (!code && !good) {
		cli_say("bench trace: the engine did not apply a batch");
		code = CLI_FAILED;
	}
	if (!code)
		code = read_back(file, rate);
	unlink(file);
	unlink(messages);
	return code;
}

int bench_trace_record(const struct bench_trace_shape *shape, unsigned int rounds, double seconds,
		       struct bench_trace_rate *rate)
{
	const char *tmp = getenv("TMPDIR");
	char directory[64], control[96];
	static struct machine machine;
	static struct server server;
	int code = CLI_HOST, rc;

	memset(&server, 0, sizeof(server));
	snprintf(directory, sizeof(directory), "%s/pvbatch-XXXXXX",
		 tmp && *tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	if (!mkdtemp(directory)) {
		cli_say("bench trace: cannot make a directory like %s: %m", directory);
		return CLI_OUTPUT;
	}
	snprintf(control, sizeof(control), "%s/%d.sock", directory, (int)getpid());
	rc = io_uring_queue_init(RING_ENTRIES, &server.ring, 0);
	if (rc) {
		cli_say("bench trace: no io_uring: %s", strerror(-rc));
	} else if (!machine_open(&machine, control)) {
		cli_say("bench trace: no memory");
	} else {
		server.control = control_start(&machine.vm, &server.ring);
		if (server.control)
			code = record(&machine, &server, shape, rounds, seconds, rate, directory);
		else
			cli_say("bench trace: cannot listen at %s", control);
		control_free(server.control);
		trace_stop(&machine.vm.trace);
		machine_close(&machine);
	}
	if (!rc)
		io_uring_queue_exit(&server.ring);
	rmdir(directory);
	return code;
}
