/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: VMM - the parts of one machine and who calls whom, in the order of a run:
 *
 *   host.c      what this machine's KVM is like, found out by running something on it
 *   vm.c        builds the machine, starts a thread per vCPU, runs the loop, takes all down
 *   memory.c    guest RAM; the only file that turns a guest address into a host pointer
 *   elf.c       the guest's image into RAM
 *   boot.c      the state in which a vCPU starts (machine.h)
 *   vcpu.c      KVM_RUN and what each return of it means
 *   ports.c     the machine's I/O ports
 *   doorbell.c  PVB_CALL_* to the engine, and the engine's backend
 *   xen.c       Xen's hypercalls to hypervisor/xen
 *   flush.c     dropping the translations of all vCPUs (law 4)
 *   console.c   bytes from vCPU threads to the event loop
 *   loop.c      io_uring: console output, signals, timers, kicks
 *   control.c   the socket by which others read counters and records, on the same ring
 *   trace.c     records of batches, while somebody reads them
 *   sandbox.c, ring.c   what is left to the process while a guest runs (sandbox.h)
 *   stats.c     exit counts
 *   dump.c      what a crash looks like
 */
#ifndef PVB_VMM_INTERNAL_H
#define PVB_VMM_INTERNAL_H

#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include <pvbatch/engine.h>
#include <record/record.h>
#include <vmm/vmm.h>
#include <xen/handler.h>

/* Takes a vCPU out of KVM_RUN; its handler does nothing. */
#define VMM_SIGNAL_KICK SIGUSR1

/* error.c: fill in @error and return -@code. */
int vmm_error_set(struct vmm_error *error, enum vmm_fault fault, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* memory.c */
struct memory {
	uint8_t *ram;
	uint64_t bytes;
};

int memory_create(struct memory *mem, uint64_t bytes, struct vmm_error *error);
void memory_destroy(struct memory *mem);
/* Host address of [gpa, gpa + bytes), or NULL if any of it is not RAM. */
void *memory_at(const struct memory *mem, pvb_gpa_t gpa, uint64_t bytes);
int memory_read(const struct memory *mem, pvb_gpa_t gpa, void *dst, uint64_t bytes);
int memory_write(const struct memory *mem, pvb_gpa_t gpa, const void *src, uint64_t bytes);

/* elf.c */
struct elf_info {
	uint64_t entry;
	uint64_t end; /* gpa of the first byte behind the image */
};

/*
 * elf_load() - copy the PT_LOAD segments of an image to their physical addresses.
 * @image, @bytes: the file's content, untrusted. 0 or -ENOEXEC with @error.
 */
int elf_load(const void *image, size_t bytes, const struct memory *mem, struct elf_info *info,
	     struct vmm_error *error);
int elf_load_file(const char *path, const struct memory *mem, struct elf_info *info,
		  struct vmm_error *error);

/* flush.c */
struct flusher {
	int vm_fd;
	bool works; /* proven at setup */
	pthread_mutex_t lock;
	atomic_ulong begun; /* flushes begun, written under lock */
	uint32_t next; /* next bit of the slot's dirty bitmap */
	void *backing; /* host address of the slot's unreadable pages */
};

int flush_setup(struct flusher *flusher, int vm_fd, struct vmm_error *error);
void flush_teardown(struct flusher *flusher);
/* On return no vCPU uses a translation made before the call. 0 or -errno. */
int flush_guest(struct flusher *flusher);

/* console.c */
#define CONSOLE_BYTES 16384

struct console {
	pthread_mutex_t lock;
	pthread_cond_t room;
	uint8_t bytes[CONSOLE_BYTES];
	size_t head, tail; /* head: written by vCPUs; tail: taken by the loop */
	bool closed;
	int event_fd; /* wakes the loop */
};

void console_init(struct console *console, int event_fd);
void console_destroy(struct console *console);
/* From a vCPU's thread; waits while the loop has no room, until the console is closed. */
void console_put(struct console *console, const uint8_t *src, size_t bytes);
/* From the loop: the next contiguous bytes, to be given back by console_taken(). */
size_t console_peek(struct console *console, const uint8_t **src);
void console_taken(struct console *console, size_t bytes);
void console_close(struct console *console);

/* trace.c */
#define TRACE_RING_BYTES (4UL << 20)

enum trace_mode {
	TRACE_OFF = 0,
	TRACE_ON_BATCHES, /* headers and times */
	TRACE_ON_ENTRIES, /* and entries, and the PTEs they name */
};

struct trace {
	_Atomic int mode; /* enum trace_mode; what a vCPU looks at */
	pthread_mutex_t lock; /* guards all below */
	struct pvb_ring ring;
};

struct vm;
struct vcpu;

/* Begin to record. False: somebody does already, or there is no memory. */
bool trace_start(struct vm *vm, enum trace_mode mode);
/* From the loop: the next contiguous bytes, to be given back by trace_taken(). */
size_t trace_peek(struct trace *trace, const char **src);
void trace_taken(struct trace *trace, size_t bytes);
/* The last record is put; trace_stop() when it is taken, or when nobody wants it. */
void trace_end(struct trace *trace);
void trace_stop(struct trace *trace);
/* PVB_CALL_SUBMIT of a vCPU, recorded. */
int64_t trace_submit(struct vcpu *vcpu);

/* stats.c */
struct kvm_stat {
	int fd; /* -1: not there */
	uint64_t offset;
};

int kvm_stat_open(struct kvm_stat *stat, int kvm_object_fd, const char *name);
void kvm_stat_close(struct kvm_stat *stat);
uint64_t kvm_stat_read(const struct kvm_stat *stat); /* ~0 if unknown */

struct vcpu {
	struct vm *vm;
	unsigned int index;
	int fd;
	struct kvm_run *run;
	size_t run_bytes;
	pthread_t thread;
	bool started;
	struct pvb_vcpu engine;
	struct xen_vcpu xen;
	uint64_t xen_root; /* CR3 while a hypercall of Xen's ABI is served */
	/* Written by the vCPU's thread alone, relaxed; read by any. */
	_Atomic uint64_t exits[VMM_EXIT_KINDS];
	_Atomic uint64_t nr_exits;
	struct kvm_stat kvm_exits;
	void *trace; /* where its records are made; NULL until there is one */
	_Atomic bool asked; /* the loop wants to know whether it is halted for good */
	_Atomic bool halted; /* the answer */
};

/* Counters at PVB_PORT_MARK. */
struct mark {
	uint64_t exits;
	uint64_t kvm_exits;
};

struct vm {
	const struct vmm_config *config;
	const struct vmm_host *host;
	int kvm_fd;
	int vm_fd;
	int event_fd; /* anything the loop should look at */
	struct memory memory;
	struct elf_info image;
	struct flusher flusher;
	struct console console;
	struct pvb_vm engine;
	struct pvb_vm xen; /* the engine again, for those who use Xen's ABI */
	struct trace trace;
	unsigned int phys_bits; /* of a guest-physical address, by CPUID */
	unsigned int nr_vcpus;
	struct vcpu *vcpus;

	_Atomic int stopping; /* the vCPU threads leave */
	pthread_mutex_t gate; /* held until the vCPU threads may begin */
	unsigned int confined; /* VMM_CONFINED_* */
	pthread_mutex_t lock; /* guards all below */
	enum vmm_end end;
	unsigned int code;
	char why[200];
	struct mark mark;
	struct pvb_record *records;
	_Atomic unsigned int nr_records;
};

/* vm.c */
/* The machine ends; the first reason counts. From any thread. */
void vm_end(struct vm *vm, enum vmm_end end, unsigned int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void vm_wake_loop(struct vm *vm);
void vm_kick_all(struct vm *vm);
/* From the loop, when it is set up: confine the process if asked to, and let the vCPUs run. */
int vm_begin(struct vm *vm, struct vmm_error *error);
/* kvm.c: open /dev/kvm and check what is needed; the fd or -errno. */
int kvm_open(struct vmm_error *error);

/* All but an image and a boot state; on failure too, vm_destroy() takes down what is there. */
int vm_create(struct vm *vm, struct vmm_error *error);
void vm_destroy(struct vm *vm);

/* boot.c */
int boot_prepare(struct vm *vm, struct vmm_error *error);
int boot_vcpu(struct vcpu *vcpu, struct vmm_error *error);

/* vcpu.c */
int vcpu_create(struct vm *vm, unsigned int index, struct vmm_error *error);
void vcpu_destroy(struct vcpu *vcpu);
void *vcpu_thread(void *arg);

/* ports.c: answer a KVM_EXIT_IO. */
void ports_io(struct vcpu *vcpu);

/* doorbell.c */
extern const struct pvb_backend doorbell_backend;
/* One doorbell; the result for the guest's EAX. */
int32_t doorbell_call(struct vcpu *vcpu, unsigned int call);

/* xen.c */
int xen_setup(struct vm *vm);
/* Ask KVM to hand over Xen's hypercalls. Returns whether it can. */
bool xen_intercept(struct vm *vm);
/* A hypercall by PVB_PORT_XEN, the result for EAX; by KVM_EXIT_XEN. */
int32_t xen_port(struct vcpu *vcpu);
void xen_exit(struct vcpu *vcpu);

/* loop.c */
int loop_possible(struct vmm_error *error);
int loop_run(struct vm *vm, struct vmm_error *error);

/* Requests on the loop's ring: the operation below, the owner's own data above. */
#define LOOP_OP_BITS 8
#define LOOP_OP_CONTROL 8

/* control.c; all on the loop's thread, and all take NULL */
struct control;
struct io_uring;

/* Listen at config->control. NULL if there is none, or if it cannot be had. */
struct control *control_start(struct vm *vm, struct io_uring *ring);
/* A request has ended in @res; @data is what control.c gave it. */
void control_done(struct control *control, uint64_t data, int res);
/* There may be records for who reads them. */
void control_wake(struct control *control);
/* Now and then: the same, and send clients away that take too long. */
void control_tick(struct control *control);
/* Take no more clients and cancel what is under way, until control_busy() says it is over. */
void control_stop(struct control *control);
bool control_busy(const struct control *control);
void control_free(struct control *control);

/* stats.c */
/* stats_document() - the counters as one JSON text with a newline; free(). NULL: no memory. */
char *stats_document(const struct vm *vm);
void stats_sum(const struct vm *vm, struct mark *sum);
void stats_result(const struct vm *vm, struct vmm_result *result);

/* dump.c */
void dump_vcpu(struct vcpu *vcpu, FILE *out, const char *what);

#endif /* PVB_VMM_INTERNAL_H */
