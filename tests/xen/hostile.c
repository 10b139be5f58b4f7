// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, Xen's ABI on our VMM - a guest that makes nonsense of every argument: of the
 * calls, of the requests, of multicalls that point into each other. The handler stays
 * inside the guest's memory (the address sanitizer watches), comes back, and says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <xen/handler.h>

#define RAM_AT 0x400000ULL /* guest-virtual and physical */
#define RAM_BYTES 0x8000ULL
#define CALLS 300000U

static uint8_t *ram;
static struct pvb_vm vm;
static struct xen_vcpu vcpu;
static uint64_t seed = 1;
static uint32_t budget; /* looks at ending() until it says yes */
static uint64_t flushes;

static uint32_t below(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((seed >> 33) % n);
}

static void *at(uint64_t address, uint64_t bytes)
{
	if (address < RAM_AT || address - RAM_AT > RAM_BYTES ||
	    bytes > RAM_BYTES - (address - RAM_AT))
		return NULL;
	return ram + (address - RAM_AT);
}

static int read_va(void *ctx, uint64_t va, void *dst, uint32_t bytes)
{
	const void *src = at(va, bytes);

	(void)ctx;
	if (!src)
		return -XEN_EFAULT;
	memcpy(dst, src, bytes);
	return 0;
}

static int write_va(void *ctx, uint64_t va, const void *src, uint32_t bytes)
{
	void *dst = at(va, bytes);

	(void)ctx;
	if (!dst)
		return -XEN_EFAULT;
	memcpy(dst, src, bytes);
	return 0;
}

static bool ending(void *ctx)
{
	(void)ctx;
	return !budget || !--budget;
}

static int read_guest(void *ctx, pvb_gpa_t gpa, void *dst, uint32_t bytes)
{
	return read_va(ctx, pvb_gpa_raw(gpa), dst, bytes);
}

static int write_guest(void *ctx, pvb_gpa_t gpa, const void *src, uint32_t bytes)
{
	return write_va(ctx, pvb_gpa_raw(gpa), src, bytes);
}

static enum pvb_status map_table(void *ctx, pvb_gpa_t table, uint64_t **ptes)
{
	(void)ctx;
	*ptes = at(pvb_gpa_raw(table), PVB_PAGE_SIZE);
	if (!*ptes)
		return PVB_ST_BAD_GPA;
	return below(50) ? PVB_ST_OK : below(2) ? PVB_ST_DENIED : PVB_ST_RETRY;
}

static void unmap_table(void *ctx, pvb_gpa_t table, uint64_t *ptes)
{
	(void)ctx;
	assert_ptr_equal(ptes, at(pvb_gpa_raw(table), PVB_PAGE_SIZE));
}

static void flush(void *ctx, const struct pvb_flush_req *req)
{
	(void)ctx;
	assert_true(req->type == PVB_FLUSH_ALL || req->pages == 1);
	flushes++;
}

static const struct xen_backend backend = { read_va, write_va, ending };
static const struct pvb_backend engine = {
	.read_guest = read_guest,
	.write_guest = write_guest,
	.map_table = map_table,
	.unmap_table = unmap_table,
	.flush = flush,
};

/* Something that a pointer, a count or an entry may be, near the right or far away. */
static uint64_t value(void)
{
	static const uint64_t special[] = {
		0,
		1,
		7,
		63,
		512,
		0x7fffffff,
		0x80000000,
		0xffffffff,
		~0ULL,
		1ULL << 47,
		0xffff800000000000ULL,
		0xffff880000000000ULL,
		DOMID_SELF,
		DOMID_SELF | 1 << 16,
		DOMID_SELF | 2 << 16,
	};

	switch (below(4)) {
	case 0:
		return special[below(sizeof(special) / sizeof(special[0]))];
	case 1:
		return below(600);
	case 2:
		return seed;
	default:
		return RAM_AT - 64 + below(RAM_BYTES + 128);
	}
}

static uint64_t number(void)
{
	static const uint64_t known[] = { __HYPERVISOR_mmu_update, __HYPERVISOR_mmuext_op,
					  __HYPERVISOR_multicall };

	return below(8) ? known[below(3)] : value();
}

/* 64 bytes that are a multicall entry, four requests or a flush, or were meant to be. */
static void scribble(void)
{
	for (uint32_t i = 0; i < 64; i++) {
		uint64_t words[8] = { number(), value(), value(), value(), value(), value() };

		switch (below(3)) {
		case 0:
			for (uint32_t w = 0; w < 8; w += 2) {
				words[w] = RAM_AT + below(RAM_BYTES) / 8 * 8 + below(3);
				words[w + 1] = below(1U << 30);
			}
			break;
		case 1:
			words[0] = MMUEXT_TLB_FLUSH_LOCAL + below(8);
			break;
		}
		memcpy(ram + below(RAM_BYTES / 64) * 64, words, sizeof(words));
	}
}

static void nonsense(void **state)
{
	uint64_t ok = 0, errors = 0;

	(void)state;
	for (uint32_t i = 0; i < CALLS; i++) {
		uint64_t args[6] = { value(), value(), value(), value(), value(), value() };
		int64_t result;

		if (i % 16 == 0)
			scribble();
		if (below(2))
			args[0] = RAM_AT + below(RAM_BYTES / 64) * 64;
		if (below(2))
			args[1] = below(5);
		if (below(2))
			args[3] = DOMID_SELF;
		budget = 1000;
		result = xen_hypercall(&vcpu, number(), args);
		assert_false(vcpu.in_multicall);
		/* An error number, or what a continuation is told to return. */
		assert_true(result == (int32_t)result);
		ok += !result;
		errors += result < 0;
	}
	assert_true(ok > CALLS / 100 && errors > CALLS / 100);
	assert_true(vcpu.updates > 1000 && flushes > 100);
}

/* A count of two thousand million, all of it readable: it ends when the machine does. */
static void endless(void **state)
{
	const uint64_t args[6] = { RAM_AT, 0x7fffffff, 0, DOMID_SELF };

	(void)state;
	memset(ram, 0, RAM_BYTES);
	budget = 3;
	/* Requests of zeros: entry 0 at gpa 0, which is not there. */
	assert_int_equal(xen_hypercall(&vcpu, __HYPERVISOR_mmu_update, args), -XEN_EINVAL);
	for (uint64_t i = 0; i < RAM_BYTES; i += 64) {
		const struct multicall_entry call = { .op = 63 };

		memcpy(ram + i, &call, sizeof(call));
	}
	assert_int_equal(xen_hypercall(&vcpu, __HYPERVISOR_multicall, args), 0);
	assert_int_equal(budget, 0);
}

static int setup(void **state)
{
	(void)state;
	ram = calloc(1, RAM_BYTES);
	assert_int_equal(xen_vm_init(&vm, &engine, 40), 0);
	xen_vcpu_init(&vcpu, &vm, &backend, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(ram);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nonsense),
		cmocka_unit_test(endless),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
