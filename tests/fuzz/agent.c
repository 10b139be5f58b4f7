// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, fuzzing - fuzz-agent: what the host agent and the tools read from others. The
 * first byte chooses: a VMM's counters (its process may have been taken over), a domain's
 * metadata, a trace file's records in a block that is sealed here, a trace file as it is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <agent/agent.h>
#include <agent/trace_file.h>
#include <agent/wish.h>

#include "fuzz.h"

enum kind {
	KIND_COUNTERS,
	KIND_WISH,
	KIND_RECORDS,
	KIND_FILE,
	KINDS
};

static volatile uint64_t touched;

static void fail(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

static void counters(const uint8_t *data, size_t size)
{
	struct agent_vm vm;

	if (!agent_parse_vmm((const char *)data, size, &vm))
		return;
	if (!memchr(vm.name, 0, sizeof(vm.name)))
		fail("a name without an end");
	for (const char *c = vm.name; *c; c++)
		if (*c < ' ' || *c > '~')
			fail("a name that a terminal would obey");
	if (vm.backend != AGENT_VMM || vm.fd != -1)
		fail("a document that is more than counters");
}

/* Whoever is handed a record may read all that it says it has. */
static bool record_given(void *ctx, const struct trace_record *record)
{
	const struct trace_batch *batch = (const struct trace_batch *)record;
	unsigned int *nr = ctx;

	for (uint32_t i = 0; i < record->bytes; i++)
		touched += ((const uint8_t *)record)[i];
	if (record->kind == TRACE_BATCH) {
		for (uint32_t i = 0; i < batch->nr_entries; i++)
			touched += trace_entries(batch)[i].nr;
		for (uint32_t i = 0; i < batch->nr_runs; i++)
			touched += trace_runs(batch)[i].nr;
	}
	return ++*nr < 1000;
}

static void read_file(void *data, size_t size)
{
	struct trace_totals totals = { 0 };
	unsigned int nr = 0;
	FILE *file = size ? fmemopen(data, size, "r") : NULL;
	int rc;

	if (!file)
		return;
	rc = trace_read(file, record_given, &nr, &totals);
	fclose(file);
	if (rc && rc != -ENOMEM && rc != -EIO)
		fail("an error that is none");
	if (!rc && nr < 1000 && totals.batches > nr)
		fail("more batches than records");
}

static void records(const uint8_t *data, size_t size)
{
	const struct trace_file_head head = { .magic = TRACE_FILE_MAGIC, .version = TRACE_VERSION };
	struct trace_block block;
	uint8_t *file = malloc(sizeof(head) + sizeof(block) + size);

	if (!file)
		fail("no memory");
	trace_block_seal(&block, data, (uint32_t)size, 0);
	memcpy(file, &head, sizeof(head));
	memcpy(file + sizeof(head), &block, sizeof(block));
	memcpy(file + sizeof(head) + sizeof(block), data, size);
	read_file(file, sizeof(head) + sizeof(block) + size);
	free(file);
}

static void wishes(const char *text, size_t size)
{
	struct want want = wish_parse(text, size);

	if (want.wish > WISH_BAD)
		fail("a wish that there is not");
	for (unsigned int i = 0; i < NR_LIMITS; i++)
		if (want.limit[i] != LIMIT_UNSET &&
		    (want.wish == WISH_BAD || !limit_good((enum limit)i, want.limit[i])))
			fail("a limit that may not be");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (!size || size > TRACE_BLOCK_MAX)
		return 0;
	/* Of the exact size, for the sanitizer. */
	copy = malloc(size);
	if (!copy)
		fail("no memory");
	memcpy(copy, data + 1, size - 1);
	switch ((enum kind)(data[0] % KINDS)) {
	case KIND_COUNTERS:
		counters(copy, size - 1);
		break;
	case KIND_WISH:
		wishes((const char *)copy, size - 1);
		break;
	case KIND_RECORDS:
		records(copy, size - 1);
		break;
	default:
		read_file(copy, size - 1);
	}
	free(copy);
	return 0;
}

/* Words of the two text formats, to be put in anywhere. */
static const char *const words[] = {
	"{\"schema\":1,\"counters\":{",
	"\"calls\":1,",
	"\"flush_range\":18446744073709551615,\"flush_all\":1",
	"},\"name\":\"a\\u0007/b\",\"batch_entries\":[0,0,0,0,0,0,0,0,0,0,0,-1]}",
	"-9223372036854775808",
	"1e400",
	"[[[[[[[[[[",
	"<pvbatch xmlns='" WISH_NAMESPACE "' enabled='yes'/>",
	" enabled='no'",
	" max-batch='2046'",
	" rate-limit='100'",
	"<!DOCTYPE x [<!ENTITY a 'b'>]>",
	"&#0;",
	"</pvbatch>",
};

/* A record that makes sense, or nearly. Returns its size. */
static size_t make_record(uint8_t *to, size_t room)
{
	struct trace_batch batch = { .record.kind = (uint16_t)(1 + random_below(4)),
				     .buffer_bytes = 4096U << random_below(5) };
	size_t bytes = sizeof(struct trace_count);

	if (batch.record.kind == TRACE_MACHINE)
		bytes = sizeof(struct trace_machine);
	if (batch.record.kind == TRACE_BATCH) {
		bytes = sizeof(batch);
		batch.flags = random_below(4);
		if (batch.flags & TRACE_ENTRIES)
			batch.nr_entries = random_below(4);
		if (batch.flags == (TRACE_ENTRIES | TRACE_PTES))
			batch.nr_runs = batch.nr_entries;
		batch.hdr.nr = batch.nr_entries;
		bytes += batch.nr_entries * sizeof(struct pvb_entry) +
			 batch.nr_runs * sizeof(struct trace_ptes);
	}
	batch.record.bytes = (uint32_t)bytes;
	if (bytes > room)
		return 0;
	memset(to, 0, bytes);
	memcpy(to, &batch, bytes < sizeof(batch) ? bytes : sizeof(batch));
	for (uint32_t i = 0; i < batch.nr_entries; i++) {
		struct pvb_entry entry;

		random_entry(&entry);
		entry.op = PVB_OP_SET;
		memcpy(to + sizeof(batch) + i * sizeof(entry), &entry, sizeof(entry));
		if (batch.nr_runs) {
			const struct trace_ptes run = { .nr = entry.nr, .how = random_below(3) };

			memcpy(to + sizeof(batch) + batch.nr_entries * sizeof(entry) +
				       i * sizeof(run),
			       &run, sizeof(run));
		}
	}
	return bytes;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	uint8_t record[1024];
	const char *word;
	size_t bytes, at;

	random_seed(seed);
	if (!size)
		data[size++] = (uint8_t)random_below(KINDS);
	if (random_below(3) == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	if (data[0] % KINDS >= KIND_RECORDS) {
		bytes = make_record(record, sizeof(record));
		at = size;
	} else {
		word = words[random_below(sizeof(words) / sizeof(words[0]))];
		bytes = strlen(word);
		memcpy(record, word, bytes);
		at = 1 + random_below((uint32_t)size);
	}
	if (at > size || size + bytes > max_size)
		return size;
	memmove(data + at + bytes, data + at, size - at);
	memcpy(data + at, record, bytes);
	return size + bytes;
}
