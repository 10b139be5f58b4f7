// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, fuzzing - fuzz-batch: decode, validate, apply of one batch. The input is 32
 * bytes that say how the machine is, then the buffer's first bytes as they are.
 */
#include <string.h>

#include "fuzz.h"
#include "world.h"

struct setting {
	uint8_t how; /* WORLD_*, READY implied */
	uint8_t acts; /* every so many slots something happens; 0: nothing */
	uint16_t max_work; /* 0: plenty */
	uint32_t busy; /* bit i: page i is busy, or of another kind */
	uint64_t fill; /* what the tables hold: a template */
	uint64_t ad; /* where A and D are set, bit i of 64 slots */
	uint64_t bits; /* what happens to a PTE meanwhile */
};

#define HEAD (sizeof(struct setting) + sizeof(struct pvb_batch_hdr))

static void set_up(const struct setting *setting)
{
	world_open(setting->how | WORLD_READY, PVB_F_ALL, 36,
		   setting->max_work ? setting->max_work : 8192);
	world.yields = setting->ad;
	for (uint64_t slot = WORLD_TABLE_PAGE * PVB_PTES_PER_TABLE; slot < WORLD_SLOTS; slot++) {
		uint64_t pte = (setting->fill + (slot << PVB_PAGE_SHIFT)) |
			       (setting->ad >> slot % 64 & 1 ? 0x60 : 0);

		memcpy(world.ram + slot * 8, &pte, 8);
		if (setting->acts && slot % setting->acts == 0) {
			world.acts[slot].kind = slot % 7 ? ACT_XOR : ACT_WAR;
			world.acts[slot].bits = setting->bits;
		}
	}
	/* The buffer and the page of the negotiation stay what they are. */
	for (unsigned int page = WORLD_TABLE_PAGE; page < WORLD_PAGES; page++)
		if (setting->busy >> page & 1)
			world.pages[page] = (enum page_kind)(page % PAGE_KINDS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct setting setting;
	size_t room = WORLD_BUFFER_PAGES * PVB_PAGE_SIZE;

	if (size < HEAD)
		return 0;
	memcpy(&setting, data, sizeof(setting));
	set_up(&setting);
	size -= sizeof(setting);
	memcpy(world.ram + WORLD_BUFFER_PAGE * PVB_PAGE_SIZE, data + sizeof(setting),
	       size < room ? size : room);
	world_call(0, PVB_CALL_SUBMIT, 0, 0, 0);
	world_continue(0, 64);
	return 0;
}

static void make(uint8_t *record)
{
	struct pvb_entry entry;

	random_entry(&entry);
	memcpy(record, &entry, sizeof(entry));
}

static void change(uint8_t *record)
{
	struct pvb_entry entry;

	memcpy(&entry, record, sizeof(entry));
	spoil_entry(&entry);
	memcpy(record, &entry, sizeof(entry));
}

static void change_head(uint8_t *data)
{
	struct setting setting;
	struct pvb_batch_hdr hdr;

	memcpy(&setting, data, sizeof(setting));
	memcpy(&hdr, data + sizeof(setting), sizeof(hdr));
	switch (random_below(14)) {
	case 0:
		setting.how ^= (uint8_t)(1U << random_below(8));
		break;
	case 1:
		setting.acts = (uint8_t)random_value();
		break;
	case 2:
		setting.max_work = (uint16_t)random_value();
		break;
	case 3:
		setting.busy = (uint32_t)random64() & (uint32_t)random64() & (uint32_t)random64();
		break;
	case 4:
		setting.fill = random_pte();
		break;
	case 5:
		setting.ad = random64();
		break;
	case 6:
		setting.bits = random_value();
		break;
	case 7:
		hdr.flush = (uint8_t)random_below(4);
		hdr.flush_flags = (uint16_t)random_below(3);
		break;
	case 8:
		hdr.flush_pages = (uint32_t)random_value();
		hdr.flush_va = random_value() << PVB_PAGE_SHIFT;
		break;
	case 9:
		hdr.start = (uint32_t)random_value();
		break;
	case 10:
		hdr.skip = (uint32_t)random_value();
		break;
	case 11:
		hdr.nr = (uint32_t)random_value();
		break;
	default:
		LLVMFuzzerMutate((uint8_t *)&hdr, offsetof(struct pvb_batch_hdr, nr),
				 offsetof(struct pvb_batch_hdr, nr));
	}
	memcpy(data, &setting, sizeof(setting));
	memcpy(data + sizeof(setting), &hdr, sizeof(hdr));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	struct pvb_batch_hdr *hdr = (struct pvb_batch_hdr *)(data + sizeof(struct setting));
	uint32_t nr;

	random_seed(seed);
	if (max_size < HEAD)
		return size;
	if (size < HEAD) {
		memset(data, 0, HEAD);
		size = HEAD;
	}
	for (uint32_t i = 0; i <= random_below(3); i++)
		size = mutate_records(data, size, max_size, HEAD, sizeof(struct pvb_entry), make,
				      change);
	/* Mostly a header that the engine takes. */
	nr = (uint32_t)((size - HEAD) / sizeof(struct pvb_entry));
	if (random_below(8)) {
		memcpy(&hdr->nr, &nr, sizeof(nr));
		data[sizeof(struct setting)] = PVB_VERSION;
		data[sizeof(struct setting) + 1] = 0;
	}
	if (!random_below(2))
		change_head(data);
	return size;
}
