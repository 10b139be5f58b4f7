// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host, in-process backend - the machine, and the engine's callbacks.
 *
 * Before: the engine's stages. There is no shadow here: the guest's own tables are what
 * the walkers walk, so changed has nothing to do but count.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "inproc.h"

static enum pvb_status map_table(void *ctx, pvb_gpa_t table, uint64_t **ptes)
{
	struct pvb_inproc_vcpu *vcpu = ctx;
	struct pvb_inproc *host = vcpu->host;
	unsigned int i;

	*ptes = pvb_inproc_ptr(host, table, PVB_PAGE_SIZE, true);
	if (!*ptes)
		return PVB_ST_BAD_GPA;
	for (i = 0; i < host->config.nr_vcpus; i++) {
		if (pvb_engine_owns_page(&host->vcpus[i].engine, table))
			return PVB_ST_DENIED;
	}
	return PVB_ST_OK;
}

static void unmap_table(void *ctx, pvb_gpa_t table, uint64_t *ptes)
{
	(void)ctx;
	(void)table;
	(void)ptes;
}

static void changed(void *ctx, const struct pvb_changed_run *run)
{
	struct pvb_inproc_vcpu *vcpu = ctx;

	__atomic_store_n(&vcpu->told, vcpu->told + run->nr, __ATOMIC_RELAXED);
}

static void flush(void *ctx, const struct pvb_flush_req *req)
{
	struct pvb_inproc_vcpu *vcpu = ctx;
	struct pvb_inproc *host = vcpu->host;
	unsigned int i;

	if (req->local) {
		pvb_inproc_flush_vcpu(vcpu, req);
		return;
	}
	for (i = 0; i < host->config.nr_vcpus; i++)
		pvb_inproc_flush_vcpu(&host->vcpus[i], req);
}

static void stats(void *ctx, struct pvb_host_stats *sum)
{
	struct pvb_inproc_vcpu *vcpu = ctx;
	struct pvb_inproc *host = vcpu->host;
	unsigned int i;

	for (i = 0; i < host->config.nr_vcpus; i++)
		pvb_stats_add(sum, &host->vcpus[i].engine.stats);
}

int64_t pvb_inproc_call(void *ctx, enum pvb_call call, uint64_t a0, uint64_t a1)
{
	struct pvb_inproc_vcpu *vcpu = ctx;

	return pvb_engine_call(&vcpu->engine, call, a0, a1, 0);
}

static const struct pvb_backend inproc_backend = {
	.read_guest = pvb_inproc_read,
	.write_guest = pvb_inproc_write,
	.write_answers = pvb_inproc_write_answers,
	.map_table = map_table,
	.unmap_table = unmap_table,
	.changed = changed,
	.flush = flush,
	.stats = stats,
};

struct pvb_inproc *pvb_inproc_create(const struct pvb_inproc_config *config)
{
	struct pvb_inproc *host;
	unsigned int i;

	if (!config->ram_bytes || config->ram_bytes % PVB_PAGE_SIZE || !config->nr_vcpus ||
	    config->nr_vcpus > PVB_INPROC_VCPUS_MAX)
		return NULL;
	host = calloc(1, sizeof(*host));
	if (!host)
		return NULL;
	host->config = *config;
	if (!host->config.levels)
		host->config.levels = 4;
	host->backend = inproc_backend;
	host->next_page = PVB_PAGE_SIZE; /* gpa 0 is given to nobody */
	if (pvb_engine_vm_init(&host->vm, &host->backend, config->offered, config->phys_bits))
		goto free_host;
	host->ram = mmap(NULL, config->ram_bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (host->ram == MAP_FAILED)
		goto free_host;
	for (i = 0; i < config->nr_vcpus; i++) {
		struct pvb_inproc_vcpu *vcpu = &host->vcpus[i];

		pvb_engine_vcpu_init(&vcpu->engine, &host->vm, vcpu);
		vcpu->host = host;
		vcpu->id = i;
		pthread_mutex_init(&vcpu->lock, NULL);
	}
	return host;

free_host:
	free(host);
	return NULL;
}

void pvb_inproc_destroy(struct pvb_inproc *host)
{
	unsigned int i;

	if (!host)
		return;
	for (i = 0; i < host->config.nr_vcpus; i++)
		pthread_mutex_destroy(&host->vcpus[i].lock);
	munmap(host->ram, host->config.ram_bytes);
	free(host);
}
