// SPDX-License-Identifier: GPL-2.0-only
/* Stage: tests, fuzzing - the machine and the engine's backend; see world.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../model/hooked_apply.h"
#include "world.h"

struct world world;

void world_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("fuzz: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

void *world_at(uint64_t gpa, uint64_t bytes, bool write)
{
	if (!bytes || gpa >= WORLD_RAM || bytes > WORLD_RAM - gpa)
		return NULL;
	for (uint64_t page = gpa / PVB_PAGE_SIZE; page <= (gpa + bytes - 1) / PVB_PAGE_SIZE; page++)
		if (world.pages[page] == PAGE_HOLE || (write && world.pages[page] == PAGE_ROM))
			return NULL;
	return world.ram + gpa;
}

/* A call from inside a call must change nothing and say so. */
static void nested(void *ctx)
{
	struct pvb_vcpu *vcpu = ctx;

	if (world.how & WORLD_NESTED &&
	    pvb_engine_call(vcpu, PVB_CALL_SUBMIT, 0, 0, 0) != -PVB_EBUSY)
		world_fail("a call inside a call was not refused");
}

/* Does this access fail? From the chosen one on, all do. */
static bool fails(void)
{
	if (!world.fault_in)
		return false;
	if (world.fault_in == 1)
		world.faulted = true;
	else
		world.fault_in--;
	return world.faulted;
}

static int read_guest(void *ctx, pvb_gpa_t gpa, void *dst, uint32_t bytes)
{
	uint8_t *src = world_at(pvb_gpa_raw(gpa), bytes, false);

	nested(ctx);
	if (fails() || !src)
		return -PVB_EFAULT;
	memcpy(dst, src, bytes);
	if (world.submitting && world.how & WORLD_NEIGHBOUR)
		for (uint32_t i = 0; i < bytes; i++) {
			src[i] = (uint8_t)~src[i];
			world.model[pvb_gpa_raw(gpa) + i] = src[i];
		}
	return 0;
}

static int write_guest(void *ctx, pvb_gpa_t gpa, const void *src, uint32_t bytes)
{
	void *dst = world_at(pvb_gpa_raw(gpa), bytes, true);

	nested(ctx);
	if (world.mapped && pvb_gpa_raw(gpa) < world.mapped_page + PVB_PAGE_SIZE &&
	    pvb_gpa_raw(gpa) + bytes > world.mapped_page)
		world_fail("a write into the table that is mapped");
	if (fails() || !dst)
		return -PVB_EFAULT;
	memcpy(dst, src, bytes);
	return 0;
}

static int write_answers(void *ctx, pvb_gpa_t gpa, const uint16_t *answers, uint32_t nr)
{
	uint8_t *to = world_at(pvb_gpa_raw(gpa), nr * sizeof(struct pvb_entry), true);

	nested(ctx);
	if (!nr)
		return 0;
	if (fails() || !to)
		return -PVB_EFAULT;
	to += offsetof(struct pvb_entry, answer);
	for (uint32_t i = 0; i < nr; i++)
		memcpy(to + i * sizeof(struct pvb_entry), &answers[i], sizeof(*answers));
	return 0;
}

static enum pvb_status check_table(void *ctx, pvb_gpa_t table)
{
	uint64_t gpa = pvb_gpa_raw(table);

	nested(ctx);
	if (gpa % PVB_PAGE_SIZE)
		world_fail("table %#llx is not aligned", (unsigned long long)gpa);
	if (world.mapped)
		world_fail("a second table is mapped");
	if (world.nr_flushes)
		world_fail("a table is used after the flush");
	if (!world_at(gpa, PVB_PAGE_SIZE, true))
		return PVB_ST_BAD_GPA;
	if (world.pages[gpa / PVB_PAGE_SIZE] == PAGE_BUSY)
		return PVB_ST_RETRY;
	for (unsigned int i = 0; i < WORLD_CPUS; i++)
		if (pvb_engine_owns_page(&world.cpus[i], table))
			return PVB_ST_DENIED;
	return PVB_ST_OK;
}

static enum pvb_status map_table(void *ctx, pvb_gpa_t table, uint64_t **ptes)
{
	enum pvb_status status = check_table(ctx, table);

	if (status != PVB_ST_OK)
		return status;
	world.mapped_page = pvb_gpa_raw(table);
	*ptes = (uint64_t *)(world.ram + world.mapped_page);
	world.mapped = *ptes;
	return PVB_ST_OK;
}

static void unmap_table(void *ctx, pvb_gpa_t table, uint64_t *ptes)
{
	nested(ctx);
	if (!world.mapped || ptes != world.mapped || pvb_gpa_raw(table) != world.mapped_page)
		world_fail("what is unmapped is not what was mapped");
	world.mapped = NULL;
}

static void changed(void *ctx, const struct pvb_changed_run *run)
{
	uint64_t slot = pvb_gpa_raw(run->table) / sizeof(uint64_t) + run->first;

	nested(ctx);
	if (world.nr_flushes)
		world_fail("told of a change after the flush");
	if (run->ptes != world.mapped)
		world_fail("told of a table that is not the mapped one");
	if (!run->nr || run->nr > PVB_PTES_PER_TABLE - run->first || slot + run->nr > WORLD_SLOTS)
		world_fail("told of a run of %u from %u", run->nr, run->first);
	for (uint32_t i = 0; i < run->nr; i++)
		world.told[slot + i] = 1;
	world.nr_told += run->nr;
}

static void flush(void *ctx, const struct pvb_flush_req *req)
{
	nested(ctx);
	if (world.mapped)
		world_fail("flush while a table is mapped");
	world.nr_flushes++;
	world.flushed = *req;
}

static bool should_yield(void *ctx)
{
	bool yield = world.yields & 1;

	nested(ctx);
	world.yields = world.yields >> 1 | world.yields << 63;
	world.yielded |= yield;
	return yield;
}

static void sum_stats(void *ctx, struct pvb_host_stats *sum)
{
	nested(ctx);
	for (unsigned int i = 0; i < WORLD_CPUS; i++)
		pvb_stats_add(sum, &world.cpus[i].stats);
}

/* Hardware's turn, and the liars'. */
static void hook(uint64_t *pte)
{
	uint64_t slot = (uint64_t)((uint8_t *)pte - world.ram) / sizeof(*pte);

	if (slot >= WORLD_SLOTS)
		world_fail("an exchange outside of guest memory");
	if (!world.mapped || slot / PVB_PTES_PER_TABLE != world.mapped_page / PVB_PAGE_SIZE)
		world_fail("an exchange outside of the mapped table");
	if (world.acts[slot].kind == ACT_WAR)
		*pte ^= 1ULL << 5;
	if (world.acts[slot].kind != ACT_XOR || world.met[slot])
		return;
	world.met[slot] = true;
	*pte ^= world.acts[slot].bits;
}

static void ready(void)
{
	const struct pvb_negotiate neg = {
		.magic = PVB_NEGOTIATE_MAGIC,
		.size = sizeof(neg),
		.pte_format = PVB_PTE_X86_64,
		.version_min = PVB_VERSION,
		.version_max = PVB_VERSION,
		.features_wanted = ~0ULL,
	};

	memcpy(world.ram + PVB_PAGE_SIZE, &neg, sizeof(neg));
	world_call(0, PVB_CALL_NEGOTIATE, PVB_PAGE_SIZE, 0, 0);
	for (uint64_t i = 0; i < WORLD_CPUS; i++)
		world_call((unsigned int)i, PVB_CALL_REGISTER,
			   (WORLD_BUFFER_PAGE + i * WORLD_BUFFER_PAGES) * PVB_PAGE_SIZE,
			   WORLD_BUFFER_PAGES * PVB_PAGE_SIZE, 0);
}

void world_open(unsigned int how, uint64_t features, unsigned int phys_bits, uint32_t max_work)
{
	uint8_t *ram = world.ram ? world.ram : malloc(WORLD_RAM);
	uint8_t *before = world.before ? world.before : malloc(WORLD_RAM);
	uint8_t *model = world.model ? world.model : malloc(WORLD_RAM);

	if (!ram || !before || !model)
		world_fail("no memory");
	memset(&world, 0, sizeof(world));
	memset(ram, 0, WORLD_RAM);
	world.ram = ram;
	world.before = before;
	world.model = model;
	world.how = how;
	world.backend = (struct pvb_backend){
		.read_guest = read_guest,
		.write_guest = write_guest,
		.write_answers = how & WORLD_NO_WRITE_ANSWERS ? NULL : write_answers,
		.map_table = map_table,
		.unmap_table = unmap_table,
		.check_table = how & WORLD_CHECK_TABLE ? check_table : NULL,
		.changed = how & WORLD_NO_CHANGED ? NULL : changed,
		.flush = flush,
		.should_yield = how & WORLD_YIELDS ? should_yield : NULL,
		.stats = how & WORLD_NO_STATS ? NULL : sum_stats,
	};
	judge_reset();
	apply_hook = hook;
	if (pvb_engine_vm_init(&world.vm, &world.backend, features, phys_bits)) {
		if (!(features & ~PVB_F_KNOWN) && phys_bits > PVB_PAGE_SHIFT && phys_bits <= 52)
			world_fail("a good offer was refused");
		features &= PVB_F_KNOWN;
		if (pvb_engine_vm_init(&world.vm, &world.backend, features, 36))
			world_fail("the usual offer was refused");
	}
	world.vm.max_work = max_work ? max_work : 1;
	for (unsigned int i = 0; i < WORLD_CPUS; i++)
		pvb_engine_vcpu_init(&world.cpus[i], &world.vm, &world.cpus[i]);
	if (how & WORLD_READY)
		ready();
}

int64_t world_call(unsigned int cpu, uint64_t call, uint64_t a0, uint64_t a1, unsigned int cpl)
{
	int64_t result;

	memcpy(world.before, world.ram, WORLD_RAM);
	memcpy(world.model, world.ram, WORLD_RAM);
	world.submitting = call == PVB_CALL_SUBMIT;
	world.faulted = false;
	world.yielded = false;
	world.nr_told = 0;
	world.nr_flushes = 0;
	memset(world.told, 0, sizeof(world.told));
	memset(world.met, 0, sizeof(world.met));
	result = pvb_engine_call(&world.cpus[cpu], call, a0, a1, cpl);
	world.submitting = false;
	if (world.mapped)
		world_fail("a table is left mapped");
	judge_call(cpu, call, a0, a1, cpl, result);
	return result;
}

int64_t world_continue(unsigned int cpu, unsigned int times)
{
	uint64_t gpa = judge_buffers[cpu].gpa;
	int64_t result = PVB_SUBMIT_PARTIAL;
	struct pvb_batch_hdr hdr;

	while (times-- && result == PVB_SUBMIT_PARTIAL) {
		uint8_t *at = judge_buffers[cpu].bytes ? world_at(gpa, sizeof(hdr), true) : NULL;

		if (!at)
			return -PVB_ENXIO;
		memcpy(&hdr, at, sizeof(hdr));
		if (world.how & WORLD_NEIGHBOUR) {
			/* What the neighbour has spoilt; the answers are the engine's. */
			uint32_t nr = PVB_MAX_ENTRIES(judge_buffers[cpu].bytes);

			memcpy(&hdr, world.before + gpa, offsetof(struct pvb_batch_hdr, status));
			for (uint32_t i = 0; i < nr; i++) {
				uint64_t offset = sizeof(hdr) + i * sizeof(struct pvb_entry);

				memcpy(at + offset, world.before + gpa + offset,
				       offsetof(struct pvb_entry, answer));
			}
		}
		hdr.start = hdr.done;
		hdr.skip = hdr.done_ptes;
		memcpy(at, &hdr, offsetof(struct pvb_batch_hdr, status));
		result = world_call(cpu, PVB_CALL_SUBMIT, 0, 0, 0);
	}
	return result;
}
