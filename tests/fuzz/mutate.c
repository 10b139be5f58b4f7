// SPDX-License-Identifier: GPL-2.0-only
/* Stage: tests, fuzzing - mutations that know what a batch looks like; see fuzz.h. */
#include <string.h>

#include "fuzz.h"
#include "world.h"

static uint64_t state = 1;

void random_seed(uint64_t seed)
{
	state = seed * 0x9e3779b97f4a7c15ULL | 1;
}

uint64_t random64(void)
{
	/* xorshift64* */
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dULL;
}

uint32_t random_below(uint32_t n)
{
	return (uint32_t)(random64() >> 33) % n;
}

uint64_t random_value(void)
{
	static const uint64_t edges[] = { 0,	      1,	  7,	      63,     64,
					  65,	      511,	  512,	      513,    4095,
					  4096,	      65535,	  0x7fffffff, 1 << 9, 0xffffffff,
					  1ULL << 36, 1ULL << 52, ~0ULL };

	switch (random_below(4)) {
	case 0:
		return edges[random_below(sizeof(edges) / sizeof(edges[0]))];
	case 1:
		return 1ULL << random_below(64);
	case 2:
		return random_below(600);
	default:
		return random64();
	}
}

uint64_t random_pte(void)
{
	uint64_t pte = (uint64_t)random_below(1 << 16) << 12 | (random64() & 0x8400000000000f67ULL);

	if (random_below(16))
		pte |= 1;
	if (!random_below(16))
		pte |= (0xffffffffULL - random_below(600)) << 12;
	return pte;
}

uint64_t random_pte_gpa(void)
{
	uint64_t page = WORLD_TABLE_PAGE + random_below(4);

	if (!random_below(16))
		page = random_below(WORLD_PAGES + 2);
	return page * PVB_PAGE_SIZE + 8ULL * random_below(random_below(3) ? 80 : 512);
}

void random_entry(struct pvb_entry *entry)
{
	uint32_t slot;

	*entry = (struct pvb_entry){ .op = (uint8_t)(1 + random_below(4)) };
	entry->pte_gpa = random_pte_gpa();
	slot = entry->pte_gpa / 8 % 512;
	entry->nr = (uint16_t)(random_below(2) ? 1 : 1 + random_below(512 - slot));
	switch (entry->op) {
	case PVB_OP_SET:
		entry->new = random_pte();
		entry->flags = random_below(3) ? 0 : PVB_ENT_FIXED;
		break;
	case PVB_OP_COMMIT:
		entry->old = random_pte();
		entry->new = entry->old ^ (random64() & 0x67);
		entry->flags = random_below(3) ? 0 : (uint8_t)(random64() & PVB_ENT_SOFT);
		break;
	case PVB_OP_MASK:
		entry->old = random_below(3) ? random64() & 0x8400000000000fffULL : ~0ULL;
		entry->new = entry->old == ~0ULL ? 0 : random64() & 0x67;
		break;
	default:
		entry->flags = random_below(2) ? PVB_ENT_HINT : 0;
		entry->old = entry->flags ? random_pte() : 0;
		break;
	}
	if (entry->op != PVB_OP_CHANGED && !random_below(4)) {
		entry->flags |= PVB_ENT_RESULT;
		entry->result = (uint16_t)(random_below(8) ? 1024 + 16 * random_below(60) :
							     random_below(2100));
	}
}

void spoil_entry(struct pvb_entry *entry)
{
	switch (random_below(8)) {
	case 0:
		entry->pte_gpa = random_below(2) ? random_pte_gpa() :
						   entry->pte_gpa ^ random_value();
		break;
	case 1:
		entry->old ^= random_value();
		break;
	case 2:
		entry->new ^= random_value();
		break;
	case 3:
		entry->nr = (uint16_t)random_value();
		break;
	case 4:
		entry->op = (uint8_t)(random_below(4) ? 1 + random_below(4) : random_value());
		break;
	case 5:
		entry->flags ^= (uint8_t)(1U << random_below(8));
		break;
	case 6:
		entry->result = (uint16_t)random_value();
		break;
	default:
		entry->old = entry->new = random_pte();
	}
}

size_t mutate_records(uint8_t *data, size_t size, size_t max_size, size_t head, size_t each,
		      void (*make)(uint8_t *record), void (*change)(uint8_t *record))
{
	size_t nr = size > head ? (size - head) / each : 0, at, from;
	uint8_t record[64];

	if (size < head)
		memset(data + size, 0, head - size);
	size = head + nr * each;
	at = nr ? random_below((uint32_t)nr) : 0;
	from = nr ? random_below((uint32_t)nr) : 0;
	switch (nr ? random_below(6) : 0) {
	case 0:
	case 1: /* a new one, or a copy */
		if (size + each > max_size)
			return size;
		if (nr && random_below(3) == 0)
			memcpy(record, data + head + from * each, each);
		else
			make(record);
		memmove(data + head + (at + 1) * each, data + head + at * each, (nr - at) * each);
		memcpy(data + head + at * each, record, each);
		return size + each;
	case 2:
		memmove(data + head + at * each, data + head + (at + 1) * each,
			(nr - at - 1) * each);
		return size - each;
	case 3:
		memcpy(record, data + head + at * each, each);
		memcpy(data + head + at * each, data + head + from * each, each);
		memcpy(data + head + from * each, record, each);
		return size;
	default:
		change(data + head + at * each);
		return size;
	}
}
