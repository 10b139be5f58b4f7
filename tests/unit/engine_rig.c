// SPDX-License-Identifier: GPL-2.0-only
/* Stage: tests of the engine - the machine they share; see engine_rig.h. */
#include <assert.h>
#include <string.h>

#include "engine_rig.h"

void rig_open_bare(struct rig *rig, unsigned int nr_vcpus)
{
	const struct pvb_inproc_config config = {
		.ram_bytes = RIG_RAM,
		.rom_gpa = RIG_ROM,
		.rom_bytes = RIG_RAM - RIG_ROM,
		.nr_vcpus = nr_vcpus,
		.offered = PVB_F_ALL,
		.phys_bits = RIG_PHYS_BITS,
	};

	memset(rig, 0, sizeof(*rig));
	rig->host = pvb_inproc_create(&config);
	assert(rig->host);
	rig->cpu = &rig->host->vcpus[0];
	rig->table_gpa = pvb_inproc_alloc(rig->host, 1);
	rig->table = pvb_inproc_ptr(rig->host, rig->table_gpa, PVB_PAGE_SIZE, true);
}

int64_t rig_negotiate(struct rig *rig, uint64_t features)
{
	pvb_gpa_t gpa = pvb_inproc_alloc(rig->host, 1);
	struct pvb_negotiate *neg = pvb_inproc_ptr(rig->host, gpa, sizeof(*neg), true);

	*neg = (struct pvb_negotiate){
		.magic = PVB_NEGOTIATE_MAGIC,
		.size = sizeof(*neg),
		.pte_format = PVB_PTE_FORMAT,
		.version_min = PVB_VERSION,
		.version_max = PVB_VERSION,
		.features_wanted = features,
	};
	return pvb_inproc_call(rig->cpu, PVB_CALL_NEGOTIATE, pvb_gpa_raw(gpa), 0);
}

void rig_open(struct rig *rig, unsigned int nr_vcpus, uint64_t features, uint32_t bytes)
{
	pvb_gpa_t buffer;
	int64_t result;

	rig_open_bare(rig, nr_vcpus);
	result = rig_negotiate(rig, features);
	assert(!result);
	buffer = pvb_inproc_alloc(rig->host, bytes / PVB_PAGE_SIZE);
	result = pvb_inproc_call(rig->cpu, PVB_CALL_REGISTER, pvb_gpa_raw(buffer), bytes);
	assert(!result);
	rig->bytes = bytes;
	rig->hdr = pvb_inproc_ptr(rig->host, buffer, bytes, true);
	rig->entries = (struct pvb_entry *)(rig->hdr + 1);
	rig_batch(rig);
}

void rig_close(struct rig *rig)
{
	pvb_inproc_destroy(rig->host);
	memset(rig, 0, sizeof(*rig));
}

void rig_batch(struct rig *rig)
{
	memset(rig->hdr, 0, sizeof(*rig->hdr));
	rig->hdr->version = PVB_VERSION;
}

struct pvb_entry *rig_add(struct rig *rig, enum pvb_op op, uint32_t first, uint32_t nr,
			  uint64_t old, uint64_t new)
{
	struct pvb_entry *entry = &rig->entries[rig->hdr->nr++];

	assert(rig->hdr->nr <= PVB_MAX_ENTRIES(rig->bytes));
	*entry = (struct pvb_entry){
		.pte_gpa = rig_pte_gpa(rig, first),
		.old = old,
		.new = new,
		.nr = (uint16_t)nr,
		.op = (uint8_t)op,
	};
	return entry;
}

int64_t rig_submit(struct rig *rig)
{
	return pvb_inproc_call(rig->cpu, PVB_CALL_SUBMIT, 0, 0);
}

unsigned int rig_finish(struct rig *rig)
{
	unsigned int calls = 0;
	int64_t result;

	do {
		uint64_t before = (uint64_t)rig->hdr->start << 32 | rig->hdr->skip;

		result = rig_submit(rig);
		calls++;
		if (result == PVB_SUBMIT_PARTIAL) {
			rig->hdr->start = rig->hdr->done;
			rig->hdr->skip = rig->hdr->done_ptes;
			assert(((uint64_t)rig->hdr->start << 32 | rig->hdr->skip) > before);
		}
	} while (result == PVB_SUBMIT_PARTIAL);
	assert(result == PVB_SUBMIT_DONE);
	return calls;
}
