// SPDX-License-Identifier: GPL-2.0-only
/* Stage: tests, the oracle: what the laws say of each bit; see oracle.h. */
#include <stdio.h>

#include "oracle.h"

/* Bits of an x86-64 PTE, from Intel SDM volume 3, table 4-20. */
enum {
	BIT_P = 0,
	BIT_A = 5,
	BIT_D = 6,
	BIT_PFN = 12,
	PFN_BITS = 40,
	X = 2, /* in a table: conflict */
};

static unsigned int bit(uint64_t value, unsigned int number)
{
	return value >> number & 1;
}

/*
 * A commit, for a bit that hardware may set: [old][new][cur].
 * Set by hardware since start (old 0, cur 1): stays. Seen by the guest and left out of
 * new (old 1, new 0): stays out. It has never been a conflict that hardware works.
 */
static const unsigned char commit_hardware[2][2][2] = {
	{ { 0, 1 }, { 1, 1 } },
	{ { 0, 0 }, { 1, 1 } },
};

/* A commit, for a bit that the entry declares soft: it stays what it is. */
static const unsigned char commit_soft[2][2][2] = {
	{ { 0, 1 }, { 0, 1 } },
	{ { 0, 1 }, { 0, 1 } },
};

/* A commit, for all other bits: they are as start saw them, or somebody else was here. */
static const unsigned char commit_other[2][2][2] = {
	{ { 0, X }, { 1, X } },
	{ { X, 0 }, { X, 1 } },
};

/* A mask: [clear][set][cur]. */
static const unsigned char mask_bit[2][2][2] = {
	{ { 0, 1 }, { 1, 1 } },
	{ { 0, 0 }, { 1, 1 } },
};

static bool declared_soft(const struct pvb_entry *entry, unsigned int number)
{
	switch (number) {
	case 9:
		return entry->flags & 0x10;
	case 10:
		return entry->flags & 0x20;
	case 11:
		return entry->flags & 0x40;
	case 58:
		return entry->flags & 0x80;
	default:
		return false;
	}
}

uint64_t oracle_advance(uint64_t pte, uint32_t index)
{
	uint64_t result = 0, frame = 0;
	unsigned int i;

	for (i = 0; i < PFN_BITS; i++)
		frame += (uint64_t)bit(pte, BIT_PFN + i) << i;
	frame += index;
	for (i = 0; i < 64; i++) {
		bool in_frame = i >= BIT_PFN && i < BIT_PFN + PFN_BITS;

		result |= (uint64_t)(in_frame ? bit(frame, i - BIT_PFN) : bit(pte, i)) << i;
	}
	return result;
}

static struct oracle commit(const struct pvb_entry *entry, uint32_t index, uint64_t cur)
{
	uint64_t old = oracle_advance(entry->old, index), new = oracle_advance(entry->new, index);
	struct oracle result = { .status = PVB_ST_OK };
	unsigned int i;

	for (i = 0; i < 64; i++) {
		bool hardware = i == BIT_A || i == BIT_D;
		unsigned int out;

		if (hardware)
			out = commit_hardware[bit(old, i)][bit(new, i)][bit(cur, i)];
		else if (declared_soft(entry, i))
			out = commit_soft[bit(old, i)][bit(new, i)][bit(cur, i)];
		else
			out = commit_other[bit(old, i)][bit(new, i)][bit(cur, i)];
		if (out == X)
			return (struct oracle){ .status = PVB_ST_CONFLICT, .pte = cur };
		result.pte |= (uint64_t)out << i;
	}
	result.carried_a = !bit(old, BIT_A) && bit(cur, BIT_A);
	result.carried_d = !bit(old, BIT_D) && bit(cur, BIT_D);
	return result;
}

static struct oracle mask(const struct pvb_entry *entry, uint64_t cur)
{
	struct oracle result = { .status = PVB_ST_OK };
	unsigned int i;

	if (!bit(cur, BIT_P))
		return (struct oracle){ .status = PVB_ST_NOTPRESENT, .pte = cur };
	for (i = 0; i < 64; i++)
		result.pte |=
			(uint64_t)mask_bit[bit(entry->old, i)][bit(entry->new, i)][bit(cur, i)]
			<< i;
	return result;
}

struct oracle oracle_pte(const struct pvb_entry *entry, uint32_t index, uint64_t cur)
{
	struct oracle result = { .status = PVB_ST_OK, .pte = cur };

	switch (entry->op) {
	case PVB_OP_SET:
		result.pte = entry->flags & PVB_ENT_FIXED ? entry->new :
							    oracle_advance(entry->new, index);
		break;
	case PVB_OP_COMMIT:
		result = commit(entry, index, cur);
		break;
	case PVB_OP_MASK:
		result = mask(entry, cur);
		break;
	default: /* CHANGED leaves the guest's entry alone */
		return result;
	}
	if (result.status == PVB_ST_OK) {
		result.young = bit(cur, BIT_A);
		result.dirty = bit(cur, BIT_D);
	}
	return result;
}

const char *oracle_name(uint64_t pte)
{
	static const struct {
		unsigned int number;
		const char *name;
	} names[] = {
		{ 0, "P" },   { 1, "W" },   { 2, "U" },	  { 3, "PWT" }, { 4, "PCD" }, { 5, "A" },
		{ 6, "D" },   { 7, "PAT" }, { 8, "G" },	  { 9, "S0" },	{ 10, "S1" }, { 11, "S2" },
		{ 52, "52" }, { 53, "53" }, { 54, "54" }, { 55, "55" }, { 56, "56" }, { 57, "57" },
		{ 58, "S3" }, { 59, "59" }, { 60, "60" }, { 61, "61" }, { 62, "62" }, { 63, "NX" },
	};
	static char buffers[4][160];
	static unsigned int next;
	char *buffer = buffers[next++ % 4];
	uint64_t frame = 0;
	size_t at = 0, i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (bit(pte, names[i].number))
			at += (size_t)snprintf(buffer + at, sizeof(buffers[0]) - at, "%s ",
					       names[i].name);
	}
	for (i = 0; i < PFN_BITS; i++)
		frame |= (uint64_t)bit(pte, BIT_PFN + (unsigned int)i) << i;
	snprintf(buffer + at, sizeof(buffers[0]) - at, "pfn=0x%llx", (unsigned long long)frame);
	return buffer;
}

const char *oracle_status(enum pvb_status status)
{
	static const char *const names[PVB_NR_STATUS] = {
		"PENDING",   "OK",	"CONFLICT",  "NOTPRESENT", "BAD_OP",
		"BAD_FLAGS", "BAD_NR",	"UNALIGNED", "CROSSES",	   "BAD_GPA",
		"DENIED",    "BAD_PTE", "BAD_PFN",   "BAD_RESULT", "RETRY",
	};

	return (unsigned int)status < PVB_NR_STATUS ? names[status] : "?";
}
