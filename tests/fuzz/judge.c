// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, fuzzing - what every call but a submission must have done; see world.h. Said
 * from the words of abi.h, without a look at negotiate.c.
 */
#include <string.h>

#include "world.h"

struct judge_buffer judge_buffers[WORLD_CPUS];
uint64_t judge_features;
uint32_t judge_version;

void judge_reset(void)
{
	memset(judge_buffers, 0, sizeof(judge_buffers));
	judge_features = 0;
	judge_version = 0;
}

static bool anyone_registered(void)
{
	for (unsigned int i = 0; i < WORLD_CPUS; i++)
		if (judge_buffers[i].bytes)
			return true;
	return false;
}

static bool readable(uint64_t gpa, uint64_t bytes)
{
	return !(gpa >> world.vm.phys_bits) && world_at(gpa, bytes, false);
}

static bool writable(uint64_t gpa, uint64_t bytes)
{
	return !((gpa + bytes - 1) >> world.vm.phys_bits) && world_at(gpa, bytes, true);
}

static int64_t negotiate(uint64_t gpa)
{
	const uint32_t in = offsetof(struct pvb_negotiate, features);
	struct pvb_negotiate neg;

	if (anyone_registered())
		return -PVB_EBUSY;
	if (gpa % 8)
		return -PVB_EINVAL;
	if (!readable(gpa, in) || (gpa + sizeof(neg) - 1) >> world.vm.phys_bits)
		return -PVB_EFAULT;
	memcpy(&neg, world.before + gpa, in);
	if (neg.magic != PVB_NEGOTIATE_MAGIC || neg.size < 64 || neg.reserved0 ||
	    neg.version_min == 0 || neg.version_max < neg.version_min)
		return -PVB_EINVAL;
	if (neg.version_min > 1 || neg.pte_format != PVB_PTE_X86_64 || !world.vm.offered)
		return -PVB_EOPNOTSUPP;
	if (!writable(gpa + in, sizeof(neg) - in))
		return -PVB_EFAULT;
	judge_features = neg.features_wanted & world.vm.offered;
	judge_version = 1;
	neg.features = judge_features;
	neg.version = 1;
	neg.max_bytes = world.vm.max_bytes;
	neg.max_work = world.vm.max_work;
	neg.reserved1 = 0;
	memset(neg.reserved2, 0, sizeof(neg.reserved2));
	memcpy(world.model + gpa + in, (uint8_t *)&neg + in, sizeof(neg) - in);
	return 0;
}

static int64_t registration(unsigned int cpu, uint64_t gpa, uint64_t bytes)
{
	struct judge_buffer *buffer = &judge_buffers[cpu];

	if (!bytes) {
		int64_t result = buffer->bytes ? 0 : -PVB_ENXIO;

		buffer->bytes = 0;
		return result;
	}
	if (!judge_version)
		return -PVB_EPERM;
	if (gpa % 4096 || bytes % 4096 || bytes < 4096 || bytes > world.vm.max_bytes)
		return -PVB_EINVAL;
	if (!writable(gpa, bytes))
		return -PVB_EFAULT;
	buffer->gpa = gpa;
	buffer->bytes = (uint32_t)bytes;
	return 0;
}

static int64_t stats(uint64_t gpa, uint64_t bytes)
{
	struct pvb_host_stats sum = { 0 };

	if (!(judge_features & PVB_F_STATS))
		return -PVB_EPERM;
	if (gpa % 8 || bytes < sizeof(sum))
		return -PVB_EINVAL;
	if (!writable(gpa, sizeof(sum)))
		return -PVB_EFAULT;
	for (unsigned int i = 0; i < WORLD_CPUS; i++)
		pvb_stats_add(&sum, &world.stats[i]);
	memcpy(world.model + gpa, &sum, sizeof(sum));
	return 0;
}

static void compare_memory(void)
{
	if (!memcmp(world.ram, world.model, WORLD_RAM))
		return;
	for (uint32_t i = 0; i < WORLD_RAM; i += 8) {
		uint64_t is, should;

		memcpy(&is, world.ram + i, 8);
		memcpy(&should, world.model + i, 8);
		if (is != should)
			world_fail("memory at %#x is %#llx, should be %#llx", i,
				   (unsigned long long)is, (unsigned long long)should);
	}
}

static bool uses_memory(uint64_t call)
{
	return call == PVB_CALL_NEGOTIATE || call == PVB_CALL_REGISTER || call == PVB_CALL_STATS;
}

/* After an access that the test made fail: nothing is promised but that it is bounded. */
static void resync(unsigned int cpu)
{
	judge_buffers[cpu].gpa = pvb_gpa_raw(world.cpus[cpu].buffer);
	judge_buffers[cpu].bytes = world.cpus[cpu].bytes;
	judge_features = world.vm.features;
	judge_version = world.vm.version;
	world.stats[cpu] = world.cpus[cpu].stats;
}

static void compare_state(unsigned int cpu)
{
	const struct pvb_vcpu *vcpu = &world.cpus[cpu];
	unsigned int registered = 0;

	if (vcpu->bytes != judge_buffers[cpu].bytes ||
	    (vcpu->bytes && pvb_gpa_raw(vcpu->buffer) != judge_buffers[cpu].gpa))
		world_fail("another buffer is registered than should be");
	for (unsigned int i = 0; i < WORLD_CPUS; i++)
		registered += !!judge_buffers[i].bytes;
	if (world.vm.registered != registered || world.vm.features != judge_features ||
	    world.vm.version != judge_version)
		world_fail("registered %u, features %#llx, version %u: not what should be",
			   world.vm.registered, (unsigned long long)world.vm.features,
			   world.vm.version);
	if (memcmp(&vcpu->stats, &world.stats[cpu], sizeof(vcpu->stats)) != 0)
		world_fail("the counters do not add up");
}

void judge_call(unsigned int cpu, uint64_t call, uint64_t a0, uint64_t a1, unsigned int cpl,
		int64_t result)
{
	const struct judge_buffer buffer = judge_buffers[cpu];
	int64_t expected;

	if (world.cpus[cpu].busy)
		world_fail("the vCPU is busy after the call");
	if (world.faulted) {
		if (result != -PVB_EFAULT && (uses_memory(call) || result < 0) && result)
			world_fail("result %lld of a call whose memory failed", (long long)result);
		resync(cpu);
		return;
	}
	if (cpl)
		expected = -PVB_EPERM;
	else if (call == PVB_CALL_NOP)
		expected = 0;
	else if (call == PVB_CALL_NEGOTIATE)
		expected = negotiate(a0);
	else if (call == PVB_CALL_REGISTER)
		expected = registration(cpu, a0, a1);
	else if (call == PVB_CALL_STATS)
		expected = stats(a0, a1);
	else if (call == PVB_CALL_SUBMIT) {
		judge_submit(cpu, buffer.gpa, buffer.bytes, result);
		expected = result;
	} else {
		expected = -PVB_ENOSYS;
	}
	if (result != expected)
		world_fail("call %llu: result %lld, should be %lld", (unsigned long long)call,
			   (long long)result, (long long)expected);
	compare_memory();
	compare_state(cpu);
}
