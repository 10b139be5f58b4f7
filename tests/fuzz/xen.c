// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, fuzzing - fuzz-xen: Xen's ABI (hypervisor/xen). A script of 64-byte records:
 * a hypercall with its arguments, or bytes for the guest's memory. The handler stays inside
 * that memory, comes back, writes nothing but tables, results and what the call names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/handler.h>

#include "fuzz.h"

#define RAM_AT 0x400000ULL /* guest-virtual and physical */
#define RAM_BYTES 0x8000ULL
#define MAX_RECORDS 64U
#define MEMORY 1U /* kinds of records */

struct record {
	uint32_t kind; /* bit 0: MEMORY; else a call, and the bits above: what fails */
	uint32_t at; /* MEMORY: where; a call: looks at ending() until it says yes */
	uint64_t nr; /* MEMORY: seven words from here on */
	uint64_t args[6];
};

static uint8_t *ram;
static struct pvb_vm vm;
static struct xen_vcpu vcpu;
static uint32_t budget;
static uint32_t failing; /* bits: which callback fails */
static bool mapped;

static void fail(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
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
	if (mapped)
		fail("guest memory is written while a table is mapped");
	if (!dst || failing & 2)
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
	if (mapped || pvb_gpa_raw(table) % PVB_PAGE_SIZE)
		fail("a second table, or one that is not aligned");
	*ptes = at(pvb_gpa_raw(table), PVB_PAGE_SIZE);
	if (!*ptes)
		return PVB_ST_BAD_GPA;
	if (failing & 4)
		return PVB_ST_DENIED;
	if (failing & 8)
		return PVB_ST_RETRY;
	mapped = true;
	return PVB_ST_OK;
}

static void unmap_table(void *ctx, pvb_gpa_t table, uint64_t *ptes)
{
	(void)ctx;
	if (!mapped || ptes != at(pvb_gpa_raw(table), PVB_PAGE_SIZE))
		fail("what is unmapped is not what was mapped");
	mapped = false;
}

static void flush(void *ctx, const struct pvb_flush_req *req)
{
	(void)ctx;
	if (mapped || (req->type != PVB_FLUSH_ALL && req->pages != 1))
		fail("a flush that nobody asked for");
}

static const struct xen_backend xen_backend = { read_va, write_va, ending };
static const struct pvb_backend engine = {
	.read_guest = read_guest,
	.write_guest = write_guest,
	.map_table = map_table,
	.unmap_table = unmap_table,
	.flush = flush,
};

static void call(const struct record *record)
{
	int64_t result;

	budget = record->at % 512;
	failing = record->kind;
	result = xen_hypercall(&vcpu, record->nr, record->args);
	if (mapped)
		fail("a table is left mapped");
	if (vcpu.in_multicall)
		fail("a multicall is left open");
	if (result != (int32_t)result)
		fail("a result that is neither an error nor a number");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record record;

	if (!ram)
		ram = malloc(RAM_BYTES);
	if (!ram || xen_vm_init(&vm, &engine, 40))
		fail("no machine");
	memset(ram, 0, RAM_BYTES);
	xen_vcpu_init(&vcpu, &vm, &xen_backend, NULL);
	for (size_t i = 0; i < MAX_RECORDS && (i + 1) * sizeof(record) <= size; i++) {
		memcpy(&record, data + i * sizeof(record), sizeof(record));
		if (record.kind & MEMORY)
			memcpy(ram + record.at % (RAM_BYTES - 56), &record.nr, 56);
		else
			call(&record);
	}
	return 0;
}

static uint64_t value(void)
{
	switch (random_below(4)) {
	case 0:
		return DOMID_SELF;
	case 1:
		return random_value();
	case 2:
		return random_below(5);
	default:
		return RAM_AT + random_below(RAM_BYTES) / 8 * 8;
	}
}

static uint64_t number(void)
{
	static const uint64_t known[] = { __HYPERVISOR_mmu_update, __HYPERVISOR_mmuext_op,
					  __HYPERVISOR_multicall };

	return random_below(8) ? known[random_below(3)] : random_value();
}

/* What arrays hold: requests, flushes, calls. */
static void make_memory(struct record *record)
{
	uint64_t *words = &record->nr;

	record->kind = MEMORY;
	record->at = random_below(RAM_BYTES / 64) * 64;
	switch (random_below(3)) {
	case 0:
		for (uint32_t i = 0; i < 6; i += 2) {
			words[i] = RAM_AT + random_below(RAM_BYTES) / 8 * 8 + random_below(3);
			words[i + 1] = random_pte();
		}
		break;
	case 1:
		words[0] = MMUEXT_TLB_FLUSH_LOCAL + random_below(8);
		words[1] = value();
		break;
	default:
		words[0] = number();
		for (uint32_t i = 2; i < 7; i++)
			words[i] = value();
	}
}

static void make(uint8_t *to)
{
	struct record record = { 0 };

	if (random_below(2)) {
		make_memory(&record);
	} else {
		record.at = 500;
		record.nr = number();
		record.args[0] = RAM_AT + random_below(RAM_BYTES / 64) * 64;
		record.args[1] = random_below(8);
		record.args[2] = random_below(2) ? 0 : RAM_AT + random_below(RAM_BYTES);
		record.args[3] = DOMID_SELF;
	}
	memcpy(to, &record, sizeof(record));
}

static void change(uint8_t *to)
{
	struct record record;

	memcpy(&record, to, sizeof(record));
	switch (random_below(4)) {
	case 0:
		record.kind ^= 1U << random_below(4);
		break;
	case 1:
		record.at = (uint32_t)random_value();
		break;
	case 2:
		record.nr = record.kind & MEMORY ? random_value() : number();
		break;
	default:
		record.args[random_below(6)] = value();
	}
	memcpy(to, &record, sizeof(record));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	random_seed(seed);
	if (max_size > MAX_RECORDS * sizeof(struct record))
		max_size = MAX_RECORDS * sizeof(struct record);
	for (uint32_t i = 0; i <= random_below(4); i++)
		size = mutate_records(data, size, max_size, 0, sizeof(struct record), make, change);
	return size;
}
