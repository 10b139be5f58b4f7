// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch trace replay`: recorded batches through the engine again, on
 * the in-process backend, and what it answers beside what was answered then.
 *
 * A record has the header, the entries and the PTEs as they were. What the engine asked of
 * its surroundings, whether a table can be mapped, is taken from the recorded answers; all
 * else is worked out anew and compared. Between the record's reading of a PTE and the
 * engine's, hardware may have set A or D: the number of PTEs carried is shown and not
 * compared.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cli/trace.h>
#include <inproc/inproc.h>

#define RAM_BYTES (4U << 20)
#define BUFFER PVB_PAGE_SIZE /* gpa */
#define PRIME 4099U /* more than a batch has entries, so that the hash never fills up */

struct table {
	uint64_t gpa;
	bool used;
	enum pvb_status status; /* of mapping it */
	uint64_t *ptes;
};

struct replay {
	struct pvb_inproc *host;
	struct replay_result result;
	uint32_t max_work; /* of the machine that was recorded */
	struct table tables[PRIME];
	uint32_t used[PRIME]; /* slots of the batch */
	uint32_t nr_used;
};

/* The engine's callbacks know the host alone, and there is one thread. */
static struct replay *current;

static struct table *find(struct replay *replay, uint64_t gpa)
{
	uint32_t slot = (uint32_t)((gpa >> PVB_PAGE_SHIFT) % PRIME);

	while (replay->tables[slot].used && replay->tables[slot].gpa != gpa)
		slot = (slot + 1) % PRIME;
	return &replay->tables[slot];
}

static struct table *make(struct replay *replay, uint64_t gpa)
{
	struct table *table = find(replay, gpa);

	if (table->used)
		return table;
	if (!table->ptes)
		table->ptes = malloc(PVB_PAGE_SIZE);
	if (!table->ptes)
		abort();
	memset(table->ptes, 0, PVB_PAGE_SIZE);
	table->gpa = gpa;
	table->used = true;
	table->status = PVB_ST_OK;
	replay->used[replay->nr_used++] = (uint32_t)(table - replay->tables);
	return table;
}

static enum pvb_status map_table(void *ctx, pvb_gpa_t gpa, uint64_t **ptes)
{
	const struct table *table = find(current, pvb_gpa_raw(gpa));

	(void)ctx;
	if (!table->used)
		return PVB_ST_BAD_GPA;
	*ptes = table->ptes;
	return table->status;
}

/* What was said of a table then: these are not the engine's to decide. */
static bool of_the_table(enum pvb_status status)
{
	return status == PVB_ST_BAD_GPA || status == PVB_ST_DENIED || status == PVB_ST_RETRY;
}

/* One entry's PTEs out of the runs, of which @run and @used have been consumed. */
static void place(struct table *table, const struct pvb_entry *entry, const struct trace_ptes **run,
		  uint32_t *used)
{
	uint32_t index = (uint32_t)(entry->pte_gpa % PVB_PAGE_SIZE / 8);

	for (uint32_t i = 0; i < entry->nr; i++, index++) {
		uint64_t value = (*run)->first;

		if ((*run)->how == TRACE_PTES_PFN)
			value += *used * PVB_PAGE_SIZE;
		if (index < PVB_PTES_PER_TABLE)
			table->ptes[index] = value;
		if (++*used == (*run)->nr) {
			++*run;
			*used = 0;
		}
	}
}

/*
 * work_done() - what a call that was answered PARTIAL has done, in the engine's units of work.
 * A host ends a call for reasons of its own (a signal, a limit on entries): with as much
 * work as it has allowed, the engine ends where it did then.
 */
static uint32_t work_done(const struct trace_batch *batch)
{
	const struct pvb_entry *entries = trace_entries(batch);
	uint32_t work = 0, skip = batch->hdr.skip, nr = batch->hdr.done - batch->hdr.start;

	for (uint32_t i = 0; i < nr && i < batch->nr_entries; i++) {
		uint32_t done = pvb_answer_done(entries[i].answer);

		work += done > skip ? done - skip : 1;
		skip = 0;
	}
	work += batch->hdr.done_ptes > skip ? batch->hdr.done_ptes - skip : 0;
	return work ? work : 1; /* a file may say anything, the engine is promised progress */
}

static void set_up(struct replay *replay, const struct trace_batch *batch)
{
	const struct pvb_entry *entries = trace_entries(batch);
	const struct trace_ptes *run = trace_runs(batch);
	struct pvb_inproc_vcpu *vcpu = &replay->host->vcpus[0];
	uint8_t *buffer = replay->host->ram + BUFFER;
	struct pvb_batch_hdr *hdr = (struct pvb_batch_hdr *)buffer;
	struct pvb_entry *copy;
	uint32_t used = 0;

	while (replay->nr_used)
		replay->tables[replay->used[--replay->nr_used]].used = false;
	memset(buffer, 0, batch->buffer_bytes);
	memcpy(hdr, &batch->hdr, offsetof(struct pvb_batch_hdr, status));
	copy = (struct pvb_entry *)(hdr + 1) + hdr->start;
	for (uint32_t i = 0; i < batch->nr_entries; i++) {
		const struct pvb_entry *entry = &entries[i];
		struct table *table = make(replay, entry->pte_gpa & ~(PVB_PAGE_SIZE - 1));

		copy[i] = *entry;
		copy[i].answer = 0;
		if (of_the_table(pvb_answer_status(entry->answer)))
			table->status = pvb_answer_status(entry->answer);
		if (trace_has_ptes(entry))
			place(table, entry, &run, &used);
	}
	vcpu->engine.buffer = pvb_gpa(BUFFER);
	vcpu->engine.bytes = batch->buffer_bytes;
	replay->host->vm.features = batch->features & PVB_F_KNOWN;
	replay->host->vm.max_work = batch->result == PVB_SUBMIT_PARTIAL ? work_done(batch) :
									  replay->max_work;
}

static void differs(struct replay *replay, const struct trace_batch *batch, const char *what,
		    int64_t then, int64_t now)
{
	struct replay_result *result = &replay->result;

	if (!result->differ)
		snprintf(result->first, sizeof(result->first),
			 "batch %llu, vCPU %u: %s was %lld, is %lld",
			 (unsigned long long)result->batches + result->left_out, batch->record.vcpu,
			 what, (long long)then, (long long)now);
}

static bool compare(struct replay *replay, const struct trace_batch *batch, int64_t now)
{
	const struct pvb_entry *then = trace_entries(batch);
	const struct pvb_batch_hdr *hdr = (void *)(replay->host->ram + BUFFER);
	const struct pvb_entry *entry = (const struct pvb_entry *)(hdr + 1) + hdr->start;
	const struct {
		const char *name;
		int64_t then, now;
	} fields[] = {
		{ "the result", batch->result, now },
		{ "done", batch->hdr.done, hdr->done },
		{ "done_ptes", batch->hdr.done_ptes, hdr->done_ptes },
		{ "applied", batch->hdr.applied, hdr->applied },
		{ "conflicts", batch->hdr.conflicts, hdr->conflicts },
		{ "refused", batch->hdr.refused, hdr->refused },
	};
	char name[32];

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].then != fields[i].now) {
			differs(replay, batch, fields[i].name, fields[i].then, fields[i].now);
			return false;
		}
	for (uint32_t i = 0; i < batch->nr_entries; i++)
		if (then[i].answer != entry[i].answer) {
			snprintf(name, sizeof(name), "the answer to entry %u", hdr->start + i);
			differs(replay, batch, name, then[i].answer, entry[i].answer);
			return false;
		}
	replay->result.ptes += hdr->applied;
	replay->result.carried += hdr->carried;
	replay->result.carried_then += batch->hdr.carried;
	return true;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* Can it be replayed? Not what was cut, and not what failed for the guest's memory. */
static bool whole(const struct trace_batch *batch)
{
	return (batch->flags & (TRACE_ENTRIES | TRACE_PTES)) == (TRACE_ENTRIES | TRACE_PTES) &&
	       !(batch->buffer_bytes % PVB_PAGE_SIZE) && batch->result != -PVB_EFAULT &&
	       batch->result != -PVB_ENXIO;
}

bool replay_record(void *ctx, const struct trace_record *record)
{
	struct replay *replay = ctx;
	const struct trace_batch *batch = (const struct trace_batch *)record;
	const struct trace_machine *machine = (const struct trace_machine *)record;
	uint64_t begin;
	int64_t result;

	if (record->kind == TRACE_MACHINE) {
		if (machine->phys_bits >= 12 && machine->phys_bits <= 52)
			replay->host->vm.phys_bits = machine->phys_bits;
		if (machine->max_work >= PVB_PTES_PER_TABLE)
			replay->max_work = machine->max_work;
	}
	if (record->kind != TRACE_BATCH)
		return true;
	if (!whole(batch)) {
		replay->result.left_out++;
		return true;
	}
	set_up(replay, batch);
	current = replay;
	begin = now_ns();
	result = pvb_inproc_call(&replay->host->vcpus[0], PVB_CALL_SUBMIT, 0, 0);
	replay->result.ns += now_ns() - begin;
	if (!compare(replay, batch, result))
		replay->result.differ++;
	replay->result.batches++;
	return true;
}

struct replay *replay_new(void)
{
	const struct pvb_inproc_config config = {
		.ram_bytes = RAM_BYTES, .nr_vcpus = 1, .offered = PVB_F_ALL, .phys_bits = 52
	};
	struct replay *replay = calloc(1, sizeof(*replay));

	if (!replay)
		return NULL;
	replay->host = pvb_inproc_create(&config);
	if (!replay->host) {
		free(replay);
		return NULL;
	}
	replay->host->backend.map_table = map_table;
	replay->host->vm.version = PVB_VERSION;
	replay->max_work = replay->host->vm.max_work;
	return replay;
}

void replay_free(struct replay *replay)
{
	for (unsigned int i = 0; i < PRIME; i++)
		free(replay->tables[i].ptes);
	pvb_inproc_destroy(replay->host);
	free(replay);
}

const struct replay_result *replay_result(const struct replay *replay)
{
	return &replay->result;
}
