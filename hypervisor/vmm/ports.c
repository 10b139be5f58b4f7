// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - the machine's I/O ports (machine.h) and the doorbell (abi.h). An access
 * that no port answers reads as all ones and writes to nowhere, as on a PC.
 */
#include <string.h>

#include <vmm/internal.h>

#define CONSOLE_LSR (PVB_PORT_CONSOLE + 5)
#define LSR_EMPTY 0x60 /* transmitter empty: always ready */
#define MAX_RECORDS 4096U

static void mark(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	stats_sum(vm, &vm->mark);
	pthread_mutex_unlock(&vm->lock);
}

/* Complete a record with what happened between the mark and the exit that brought it. */
static void record(struct vcpu *vcpu, uint32_t gpa)
{
	struct vm *vm = vcpu->vm;
	struct pvb_record *copy;
	struct mark now;

	stats_sum(vm, &now);
	pthread_mutex_lock(&vm->lock);
	if (!vm->records || vm->nr_records == MAX_RECORDS) {
		pthread_mutex_unlock(&vm->lock);
		vm_end(vm, VMM_END_CRASH, 0, "the guest sent more than %u records", MAX_RECORDS);
		return;
	}
	copy = &vm->records[vm->nr_records];
	if (memory_read(&vm->memory, pvb_gpa(gpa), copy, sizeof(*copy))) {
		pthread_mutex_unlock(&vm->lock);
		vm_end(vm, VMM_END_CRASH, 0, "the guest sent a record at %#x, beyond its RAM", gpa);
		return;
	}
	copy->workload[PVB_RECORD_NAME - 1] = 0;
	copy->exits = now.exits - vm->mark.exits - 1;
	copy->kvm_exits = now.kvm_exits == ~0ULL || vm->mark.kvm_exits == ~0ULL ?
				  ~0ULL :
				  now.kvm_exits - vm->mark.kvm_exits - 1;
	memory_write(&vm->memory, pvb_gpa(gpa), copy, sizeof(*copy));
	vm->nr_records++;
	pthread_mutex_unlock(&vm->lock);
	vm_wake_loop(vm);
}

static void out(struct vcpu *vcpu, uint16_t port, uint32_t value)
{
	switch (port) {
	case PVB_PORT_MARK:
		mark(vcpu->vm);
		break;
	case PVB_PORT_RECORD:
		record(vcpu, value);
		break;
	case PVB_PORT_EXIT:
		vm_end(vcpu->vm, VMM_END_EXIT, value & 127, "exit code %u", value & 127);
		break;
	case PVB_PORT_XEN:
		if (value == 1)
			xen_intercept(vcpu->vm);
		break;
	}
}

static void io_out(struct vcpu *vcpu, const uint8_t *data)
{
	const struct kvm_run *run = vcpu->run;
	uint32_t value;

	if (run->io.port == PVB_PORT_CONSOLE && run->io.size == 1) {
		console_put(&vcpu->vm->console, data, run->io.count);
		return;
	}
	if (run->io.size != sizeof(value))
		return;
	for (uint32_t i = 0; i < run->io.count; i++) {
		memcpy(&value, data + i * sizeof(value), sizeof(value));
		out(vcpu, run->io.port, value);
	}
}

static void io_in(struct vcpu *vcpu, uint8_t *data)
{
	const struct kvm_run *run = vcpu->run;
	unsigned int offset = run->io.port - PVB_DOORBELL_PORT;
	int32_t result;

	if (offset < PVB_DOORBELL_PORTS && run->io.size == sizeof(result) && !(offset % 4)) {
		/* INSD would ring many times with one set of arguments: no call at all. */
		result = run->io.count == 1 ? doorbell_call(vcpu, offset / 4) : -PVB_EINVAL;
		for (uint32_t i = 0; i < run->io.count; i++)
			memcpy(data + i * sizeof(result), &result, sizeof(result));
		return;
	}
	if (run->io.port == PVB_PORT_XEN && run->io.size == sizeof(result) && run->io.count == 1) {
		result = xen_port(vcpu);
		memcpy(data, &result, sizeof(result));
		return;
	}
	memset(data, 0xff, (size_t)run->io.size * run->io.count);
	if (run->io.port == CONSOLE_LSR && run->io.size == 1)
		memset(data, LSR_EMPTY, run->io.count);
}

void ports_io(struct vcpu *vcpu)
{
	uint8_t *data = (uint8_t *)vcpu->run + vcpu->run->io.data_offset;

	if (vcpu->run->io.direction == KVM_EXIT_IO_IN)
		io_in(vcpu, data);
	else
		io_out(vcpu, data);
}
