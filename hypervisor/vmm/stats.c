// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - counting exits: our own returns of KVM_RUN, and KVM's binary statistics
 * (Documentation/virt/kvm/api.rst, 4.133 KVM_GET_STATS_FD) for all VM exits, those that
 * the kernel handles by itself included.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <vmm/internal.h>

int kvm_stat_open(struct kvm_stat *stat, int kvm_object_fd, const char *name)
{
	struct kvm_stats_header header;
	struct kvm_stats_desc *desc;
	size_t size;
	int fd;

	stat->fd = -1;
	fd = ioctl(kvm_object_fd, KVM_GET_STATS_FD, NULL);
	if (fd < 0)
		return -errno;
	if (pread(fd, &header, sizeof(header), 0) != sizeof(header) || header.name_size > 4096)
		goto out;
	size = sizeof(*desc) + header.name_size;
	desc = calloc(1, size + 1);
	if (!desc)
		goto out;
	for (uint32_t i = 0; i < header.num_desc && stat->fd < 0; i++) {
		if (pread(fd, desc, size, header.desc_offset + (off_t)(i * size)) != (ssize_t)size)
			break;
		if (!strcmp(desc->name, name)) {
			stat->fd = fd;
			stat->offset = header.data_offset + desc->offset;
		}
	}
	free(desc);
out:
	if (stat->fd >= 0)
		return 0;
	close(fd);
	return -ENOENT;
}

void kvm_stat_close(struct kvm_stat *stat)
{
	if (stat->fd >= 0)
		close(stat->fd);
	stat->fd = -1;
}

uint64_t kvm_stat_read(const struct kvm_stat *stat)
{
	uint64_t value;

	if (stat->fd < 0 ||
	    pread(stat->fd, &value, sizeof(value), (off_t)stat->offset) != sizeof(value))
		return ~0ULL;
	return value;
}

void stats_sum(const struct vm *vm, struct mark *sum)
{
	sum->exits = 0;
	sum->kvm_exits = 0;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		const struct vcpu *vcpu = &vm->vcpus[i];
		uint64_t kvm_exits = kvm_stat_read(&vcpu->kvm_exits);

		sum->exits += atomic_load_explicit(&vcpu->nr_exits, memory_order_relaxed);
		if (kvm_exits == ~0ULL || sum->kvm_exits == ~0ULL)
			sum->kvm_exits = ~0ULL;
		else
			sum->kvm_exits += kvm_exits;
	}
}

void stats_result(const struct vm *vm, struct vmm_result *result)
{
	struct mark sum;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		for (unsigned int kind = 0; kind < VMM_EXIT_KINDS; kind++)
			result->exits[kind] += atomic_load_explicit(&vm->vcpus[i].exits[kind],
								    memory_order_relaxed);
		pvb_stats_add(&result->stats, &vm->vcpus[i].engine.stats);
	}
	stats_sum(vm, &sum);
	result->kvm_exits = sum.kvm_exits;
}

/* KVM's "unknown" is JSON's null. */
static json_t *known(uint64_t value)
{
	return value == ~0ULL ? json_null() : json_integer((json_int_t)value);
}

static json_t *counters(const struct pvb_host_stats *s, const struct mark *sum)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
			 "calls", (json_int_t)s->calls, "batches", (json_int_t)s->batches,
			 "partial", (json_int_t)s->partial, "failed", (json_int_t)s->failed,
			 "entries", (json_int_t)s->entries, "ptes", (json_int_t)s->applied,
			 "carried_a", (json_int_t)s->carried_a, "carried_d",
			 (json_int_t)s->carried_d, "conflicts", (json_int_t)s->conflicts, "refused",
			 (json_int_t)s->refused, "flush_range", (json_int_t)s->flush_range,
			 "flush_all", (json_int_t)s->flush_all, "user_exits",
			 (json_int_t)sum->exits, "exits", known(sum->kvm_exits));
}

char *stats_document(const struct vm *vm)
{
	struct pvb_host_stats stats = { 0 };
	json_t *document, *hist, *name;
	char *compact, *text = NULL;
	struct mark sum;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		pvb_stats_add(&stats, &vm->vcpus[i].engine.stats);
	stats_sum(vm, &sum);
	hist = json_array();
	for (unsigned int i = 0; i < PVB_HIST_BUCKETS; i++)
		json_array_append_new(hist, json_integer((json_int_t)stats.hist[i]));
	/* A path need not be UTF-8. */
	name = json_string(vm->config->name ? vm->config->name : "");
	document = json_pack("{s:i, s:s, s:o, s:i, s:i, s:i, s:I, s:o, s:o}", "schema", 1,
			     "backend", "vmm", "name", name ? name : json_string(""), "pid",
			     (int)getpid(), "vcpus", (int)vm->nr_vcpus, "registered",
			     (int)__atomic_load_n(&vm->engine.registered, __ATOMIC_RELAXED),
			     "features",
			     (json_int_t)__atomic_load_n(&vm->engine.features, __ATOMIC_RELAXED),
			     "counters", counters(&stats, &sum), "batch_entries", hist);
	compact = document ? json_dumps(document, JSON_COMPACT) : NULL;
	json_decref(document);
	if (!compact || asprintf(&text, "%s\n", compact) < 0)
		text = NULL;
	free(compact);
	return text;
}

const char *vmm_exit_name(unsigned int reason)
{
	static const char *const names[VMM_EXIT_KINDS] = {
		[KVM_EXIT_UNKNOWN] = "unknown",
		[KVM_EXIT_EXCEPTION] = "exception",
		[KVM_EXIT_IO] = "io",
		[KVM_EXIT_HYPERCALL] = "hypercall",
		[KVM_EXIT_DEBUG] = "debug",
		[KVM_EXIT_HLT] = "halt",
		[KVM_EXIT_MMIO] = "mmio",
		[KVM_EXIT_IRQ_WINDOW_OPEN] = "irq-window",
		[KVM_EXIT_SHUTDOWN] = "shutdown",
		[KVM_EXIT_FAIL_ENTRY] = "fail-entry",
		[KVM_EXIT_INTR] = "signal",
		[KVM_EXIT_INTERNAL_ERROR] = "internal-error",
		[KVM_EXIT_SYSTEM_EVENT] = "system-event",
	};

	return reason < VMM_EXIT_KINDS ? names[reason] : NULL;
}
