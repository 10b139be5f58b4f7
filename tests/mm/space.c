// SPDX-License-Identifier: GPL-2.0-only
/* Stage: tests of guest/mm - the address space. See space.h. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "space.h"

struct space space;

static _Thread_local struct pvb_cpu *self;

static uint64_t *table(void *ctx, pvb_gpa_t gpa)
{
	(void)ctx;
	return pvb_inproc_ptr(space.machine.host, gpa, PVB_PAGE_SIZE, true);
}

static struct pvb_cpu *cpu(void *ctx)
{
	(void)ctx;
	return self;
}

struct pvb_cpu *space_cpu(void)
{
	return self;
}

/* SPACE_TABLES: a table above the leaves, which has no lock of its own here. */
static uint32_t table_number(const uint64_t *at)
{
	for (uint32_t i = 0; i < SPACE_TABLES; i++) {
		if (at >= space.tables[i] && at < space.tables[i] + PVB_PTES_PER_TABLE)
			return i;
	}
	return SPACE_TABLES;
}

static void lock_number(uint32_t i)
{
	if (i == SPACE_TABLES)
		return;
	pthread_mutex_lock(&space.lock[i]);
	space.holder[i] = pthread_self();
	space.locked[i] = true;
}

static void unlock_number(uint32_t i)
{
	if (i == SPACE_TABLES)
		return;
	space.locked[i] = false;
	pthread_mutex_unlock(&space.lock[i]);
}

static void lock(void *ctx, uint64_t *at)
{
	(void)ctx;
	if (space.lock_delay)
		usleep(space.lock_delay);
	lock_number(table_number(at));
}

static void unlock(void *ctx, uint64_t *at)
{
	(void)ctx;
	unlock_number(table_number(at));
}

void space_lock(uint32_t page)
{
	if (space.config.split_locks)
		lock_number(page / PVB_PTES_PER_TABLE);
}

void space_unlock(uint32_t page)
{
	if (space.config.split_locks)
		unlock_number(page / PVB_PTES_PER_TABLE);
}

static bool is_locked(void *ctx, const uint64_t *ptep)
{
	uint32_t i = table_number(ptep);

	(void)ctx;
	return i == SPACE_TABLES ||
	       (space.locked[i] && pthread_equal(space.holder[i], pthread_self()));
}

static void bug(void *ctx, const char *what, const uint64_t *ptep)
{
	(void)ctx;
	(void)ptep;
	space.bugs++;
	space.bug = what;
}

static uint64_t hash(uint64_t value)
{
	value *= 0x9e3779b97f4a7c15ULL;
	return value ^ value >> 29;
}

bool space_is_exclusive(uint64_t pfn)
{
	return hash(pfn / 3) & 1;
}

bool space_is_numa_skipped(uint64_t folio_pfn)
{
	return hash(folio_pfn) % 4 == 1;
}

bool space_folio(uint64_t pfn, struct pvb_folio *folio)
{
	uint64_t page = pfn - space.memory;

	if (page >= SPACE_MEMORY || page / 128 % 16 == 15)
		return false;
	folio->pfn = pfn & ~(uint64_t)(space.folio_pages - 1);
	folio->nr = space.folio_pages;
	folio->anon = space.anon;
	return true;
}

static bool folio_of(void *ctx, uint64_t pte, struct pvb_folio *folio)
{
	(void)ctx;
	return space_folio(pvb_pte_mapped(pte) ? pvb_pte_pfn(pte) : pvb_swp_offset(pte), folio);
}

static bool anon_exclusive(void *ctx, uint64_t pfn)
{
	(void)ctx;
	return space_is_exclusive(pfn);
}

static bool numa_skip(void *ctx, const struct pvb_vma *vma, const struct pvb_folio *folio)
{
	(void)ctx;
	(void)vma;
	return !folio || space_is_numa_skipped(folio->pfn);
}

static uint64_t alloc_table(void *ctx, uint64_t **fresh)
{
	pvb_gpa_t gpa;

	if (space.no_tables)
		return 0;
	gpa = pvb_inproc_alloc(space.machine.host, 1);
	*fresh = table(ctx, gpa);
	return pvb_gpa_raw(gpa);
}

static const struct pvb_mm_ops ops = {
	.table = table,
	.cpu = cpu,
	.lock = lock,
	.unlock = unlock,
	.folio = folio_of,
	.anon_exclusive = anon_exclusive,
	.numa_skip = numa_skip,
	.alloc_table = alloc_table,
};

/* The shadow: what is named is dropped, so that its next use sees the entry as it is. */
static void changed(void *ctx, const struct pvb_changed_run *run)
{
	struct pvb_inproc *host = space.machine.host;
	struct pvb_flush_req req = { .type = PVB_FLUSH_RANGE, .pages = run->nr };

	(void)ctx;
	for (uint32_t i = 0; i < SPACE_TABLES; i++) {
		if (space.table_gpa[i] != pvb_gpa_raw(run->table))
			continue;
		req.va = pvb_gva(space_va(i * PVB_PTES_PER_TABLE + run->first));
		for (unsigned int k = 0; k < host->config.nr_vcpus; k++)
			pvb_inproc_flush_vcpu(&host->vcpus[k], &req);
	}
}

static void flush_nothing(void *ctx, const struct pvb_flush_req *req)
{
	(void)ctx;
	(void)req;
}

struct pvb_cpu *space_be_cpu(unsigned int i)
{
	uint32_t bytes = space.config.bytes ? space.config.bytes : PVB_BUFFER_MIN;

	machine_start_cpu(&space.machine, i, bytes);
	self = &space.machine.cpu[i];
	space.debug[i] = (struct pvb_mm_debug){ .bug = bug };
	if (space.config.split_locks)
		space.debug[i].locked = is_locked;
	pvb_mm_debug(self, &space.debug[i]);
	return self;
}

void space_open(const struct space_config *config)
{
	struct pvb_inproc *host;
	uint64_t first;

	memset(&space, 0, sizeof(space));
	space.config = *config;
	machine_open(&space.machine, config->mode, config->nr_vcpus, SPACE_RAM);
	host = space.machine.host;
	host->config.levels = config->levels ? config->levels : 4;
	space.base = config->levels == 5 ? SPACE_BASE_5 : SPACE_BASE;
	if (config->shadow) {
		host->backend.changed = changed;
		host->backend.flush = flush_nothing;
	}
	/* Taken as it is: clearing it would take longer than most programs. */
	first = (host->next_page >> PVB_PAGE_SHIFT) + 511;
	space.memory = first & ~511ULL;
	host->next_page = (space.memory + SPACE_MEMORY) << PVB_PAGE_SHIFT;
	space.ops = ops;
	if (!config->split_locks)
		space.ops.lock = space.ops.unlock = NULL;
	space.mm = (struct pvb_mm){
		.ops = &space.ops,
		.root = pvb_inproc_alloc(host, 1),
		.levels = host->config.levels,
	};
	space.vma = (struct pvb_vma){
		.mm = &space.mm,
		.start = space_va(0),
		.end = space_va(SPACE_PAGES),
	};
	space.folio_pages = 1;
	for (uint32_t i = 0; i < SPACE_TABLES; i++) {
		space.tables[i] =
			pvb_inproc_pte(host, space.mm.root, space_va(i * PVB_PTES_PER_TABLE));
		space.table_gpa[i] = pvb_gpa_raw(pvb_inproc_gpa_of(host, space.tables[i]));
		pthread_mutex_init(&space.lock[i], NULL);
	}
	for (unsigned int i = 0; i < config->nr_vcpus; i++)
		pvb_inproc_set_root(&host->vcpus[i], space.mm.root);
	space_be_cpu(0);
}

void space_close(void)
{
	for (uint32_t i = 0; i < SPACE_TABLES; i++)
		pthread_mutex_destroy(&space.lock[i]);
	machine_close(&space.machine);
}

bool space_access(unsigned int vcpu, uint32_t page, bool write)
{
	uint64_t value = page;

	return !pvb_inproc_access(&space.machine.host->vcpus[vcpu], space_va(page), write, &value);
}

uint64_t space_conflicts(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < space.config.nr_vcpus; i++)
		sum += space.machine.host->vcpus[i].conflicts;
	return sum;
}
