// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, fuzzing - fuzz-calls: a script of calls by two vCPUs, and of what else happens
 * to a machine, each call compared with the judge's.
 */
#include <string.h>

#include "fuzz.h"
#include "world.h"

/* A step of a script, 32 bytes. What a step does not use is ignored. */
struct step {
	uint8_t kind;
	uint8_t cpu; /* bit 0: who calls; ENTRY: the op; SETUP: how */
	uint16_t a;
	uint32_t b;
	uint64_t c, d, e;
};

enum step_kind {
	STEP_ENTRY, /* appended to the batch that is being made */
	STEP_SUBMIT, /* a header, and the call */
	STEP_CONTINUE,
	STEP_NEGOTIATE,
	STEP_REGISTER,
	STEP_STATS,
	STEP_CALL, /* anything */
	STEP_FILL, /* a table */
	STEP_ACT,
	STEP_PAGE,
	STEP_FAULT,
	STEP_RESET,
	STEP_POKE,
	STEP_SETUP,
	STEP_YIELD,
	STEP_KINDS
};

#define ENTRY_RELATIVE 0x80000000U /* old and new are differences to what is in memory */
#define MAX_STEPS 256U

static struct pvb_entry entries[PVB_CHUNK * 3];
static uint32_t nr_entries;

static void add_entry(const struct step *step)
{
	struct pvb_entry entry = {
		.pte_gpa = step->c,
		.old = step->d,
		.new = step->e,
		.nr = step->a,
		.op = step->cpu,
		.flags = (uint8_t)step->b,
		.result = (uint16_t)(step->b >> 8 & 0x7fff),
	};
	uint64_t cur = 0;

	if (nr_entries == sizeof(entries) / sizeof(entries[0]))
		return;
	if (step->b & ENTRY_RELATIVE && world_at(entry.pte_gpa, 8, false)) {
		memcpy(&cur, world.ram + entry.pte_gpa, 8);
		entry.old ^= cur;
		entry.new ^= cur;
	}
	entries[nr_entries++] = entry;
}

/* What a header says is right unless the step says otherwise. */
static void submit(const struct step *step)
{
	const struct judge_buffer *buffer = &judge_buffers[step->cpu & 1];
	uint32_t room, nr = nr_entries;
	struct pvb_batch_hdr hdr = {
		.version = (uint16_t)(PVB_VERSION ^ step->d >> 48),
		.flush = (uint8_t)(step->d >> 32),
		.flush_flags = (uint8_t)(step->d >> 40),
		.flush_pages = (uint32_t)step->d,
		.flush_va = step->c,
		.start = step->b & 0xffff,
		.skip = step->b >> 16,
		.reserved0 = (uint8_t)(step->e >> 32),
		.reserved1 = (uint16_t)(step->e >> 40),
		.status = 12345,
	};

	if (buffer->bytes) {
		room = PVB_MAX_ENTRIES(buffer->bytes);
		if (nr > room)
			nr = room;
		hdr.nr = step->e >> 63 ? (uint32_t)step->e : nr;
		memcpy(world.ram + buffer->gpa, &hdr, sizeof(hdr));
		memcpy(world.ram + buffer->gpa + sizeof(hdr), entries, nr * sizeof(entries[0]));
	}
	world_call(step->cpu & 1, PVB_CALL_SUBMIT, 0, 0, 0);
	if (step->a)
		world_continue(step->cpu & 1, step->a % 16);
	nr_entries = 0;
}

static void negotiate(const struct step *step)
{
	uint64_t gpa = step->e ? step->e : PVB_PAGE_SIZE;
	struct pvb_negotiate neg = {
		.magic = PVB_NEGOTIATE_MAGIC ^ step->a,
		.size = (uint16_t)(sizeof(neg) + (int8_t)step->b),
		.pte_format = (uint16_t)(PVB_PTE_X86_64 ^ (step->b >> 8 & 3)),
		.version_min = (uint16_t)(PVB_VERSION + (step->b >> 10 & 3) - (step->b >> 12 & 1)),
		.version_max = (uint16_t)(PVB_VERSION + (step->b >> 13 & 3) - (step->b >> 15 & 1)),
		.reserved0 = step->b >> 16,
		.features_wanted = step->c,
		.features = step->d,
	};

	if (gpa < WORLD_RAM - sizeof(neg))
		memcpy(world.ram + gpa, &neg, sizeof(neg));
	world_call(step->cpu & 1, PVB_CALL_NEGOTIATE, gpa, 0, 0);
}

static void fill(const struct step *step)
{
	uint64_t page = step->a % WORLD_PAGES;

	for (uint64_t i = 0; i < PVB_PTES_PER_TABLE; i++) {
		uint64_t pte = (step->c + (i << PVB_PAGE_SHIFT)) |
			       (step->d >> i % 64 & 1 ? step->e : 0);

		memcpy(world.ram + page * PVB_PAGE_SIZE + i * 8, &pte, 8);
	}
}

static void act(const struct step *step)
{
	uint64_t from = step->c % WORLD_SLOTS;

	for (uint64_t slot = from; slot <= from + step->a % 64 && slot < WORLD_SLOTS; slot++) {
		world.acts[slot].kind = (enum act_kind)(step->cpu % 3);
		world.acts[slot].bits = step->b & 1 ? step->d : step->d & 0x60;
	}
}

static void reset(const struct step *step)
{
	for (unsigned int i = 0; i < WORLD_CPUS; i++) {
		pvb_engine_vcpu_reset(&world.cpus[i]);
		judge_buffers[i].bytes = 0;
	}
	if (!(step->cpu & 1))
		return;
	pvb_engine_vm_reset(&world.vm);
	judge_features = 0;
	judge_version = 0;
}

static void setup(const struct step *step)
{
	unsigned int bits = step->b & 0xff;

	world_open(step->cpu, step->c, bits ? bits : 36, step->a);
	if (step->d)
		world.yields = step->d;
}

static void take(const struct step *step)
{
	switch ((enum step_kind)(step->kind % STEP_KINDS)) {
	case STEP_ENTRY:
		add_entry(step);
		break;
	case STEP_SUBMIT:
		submit(step);
		break;
	case STEP_CONTINUE:
		world_continue(step->cpu & 1, step->a % 16);
		break;
	case STEP_NEGOTIATE:
		negotiate(step);
		break;
	case STEP_REGISTER:
		world_call(step->cpu & 1, PVB_CALL_REGISTER, step->c, step->d, 0);
		break;
	case STEP_STATS:
		world_call(step->cpu & 1, PVB_CALL_STATS, step->c, step->d, 0);
		break;
	case STEP_CALL:
		world_call(step->cpu & 1, step->c, step->d, step->e, step->a & 3);
		break;
	case STEP_FILL:
		fill(step);
		break;
	case STEP_ACT:
		act(step);
		break;
	case STEP_PAGE:
		world.pages[step->a % WORLD_PAGES] = (enum page_kind)(step->cpu % PAGE_KINDS);
		break;
	case STEP_FAULT:
		world.fault_in = step->b % 256;
		break;
	case STEP_RESET:
		reset(step);
		break;
	case STEP_POKE:
		if (world_at(step->c, 8, false))
			memcpy(world.ram + step->c, &step->d, 8);
		break;
	case STEP_SETUP:
		setup(step);
		break;
	case STEP_YIELD:
	default:
		world.yields = step->c;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct step step;

	world_open(WORLD_READY, PVB_F_ALL, 36, 8192);
	nr_entries = 0;
	for (size_t i = 0; i < MAX_STEPS && (i + 1) * sizeof(step) <= size; i++) {
		memcpy(&step, data + i * sizeof(step), sizeof(step));
		take(&step);
	}
	return 0;
}

static void make_entry(struct step *step)
{
	struct pvb_entry entry;

	random_entry(&entry);
	*step = (struct step){
		.kind = STEP_ENTRY,
		.cpu = entry.op,
		.a = entry.nr,
		.b = entry.flags | (uint32_t)entry.result << 8,
		.c = entry.pte_gpa,
		.d = entry.old,
		.e = entry.new,
	};
	if (entry.op == PVB_OP_COMMIT && random_below(4)) {
		step->b |= ENTRY_RELATIVE;
		step->d = 0;
		step->e = random64() & 0x67;
	}
}

static void make(uint8_t *record)
{
	struct step step = { .kind = (uint8_t)random_below(STEP_KINDS),
			     .cpu = (uint8_t)random64() };

	switch (random_below(4) ? random_below(3) * 100 : step.kind) {
	case 0:
		make_entry(&step);
		break;
	case 100:
		step.kind = STEP_SUBMIT;
		if (random_below(2)) { /* a flush: none, range, all */
			step.d = (uint64_t)random_below(3) << 32;
			if (step.d == 1ULL << 32) {
				step.d |= 1 + random_below(20000);
				step.c = random64() & ~0xfffULL;
			}
		}
		step.a = (uint16_t)random_below(16);
		break;
	case 200:
		step.kind = STEP_FILL;
		step.a = (uint16_t)(WORLD_TABLE_PAGE + random_below(4));
		step.c = random_pte();
		step.d = random64();
		step.e = 0x60;
		break;
	case STEP_NEGOTIATE:
		step.c = PVB_F_KNOWN;
		break;
	case STEP_REGISTER:
		step.c = random_below(WORLD_PAGES) * PVB_PAGE_SIZE;
		step.d = random_below(6) * PVB_PAGE_SIZE;
		break;
	case STEP_STATS:
		step.c = random_below(WORLD_PAGES) * PVB_PAGE_SIZE;
		step.d = sizeof(struct pvb_host_stats);
		break;
	case STEP_ACT:
		step.a = (uint16_t)random_below(64);
		step.b = random_below(2);
		step.c = random_pte_gpa() / 8;
		step.d = random_below(2) ? 0x60 : 1ULL << random_below(64);
		break;
	case STEP_PAGE:
		step.a = (uint16_t)random_below(WORLD_PAGES);
		break;
	case STEP_SETUP:
		step.a = (uint16_t)random_below(700);
		step.c = random_below(4) ? PVB_F_KNOWN : random64();
		step.d = random64();
		break;
	default:
		step.b = (uint32_t)random_value();
		step.c = random_value();
		step.d = random_value();
		step.e = random_value();
	}
	memcpy(record, &step, sizeof(step));
}

static void change(uint8_t *record)
{
	struct step step;

	memcpy(&step, record, sizeof(step));
	switch (random_below(7)) {
	case 0:
		step.cpu ^= (uint8_t)(1U << random_below(8));
		break;
	case 1:
		step.a = (uint16_t)random_value();
		break;
	case 2:
		step.b ^= 1U << random_below(32);
		break;
	case 3:
		step.c = random_below(2) ? random_pte_gpa() : step.c ^ random_value();
		break;
	case 4:
		step.d ^= random_value();
		break;
	case 5:
		step.e ^= random_value();
		break;
	default:
		LLVMFuzzerMutate((uint8_t *)&step, sizeof(step), sizeof(step));
	}
	memcpy(record, &step, sizeof(step));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	random_seed(seed);
	if (max_size > MAX_STEPS * sizeof(struct step))
		max_size = MAX_STEPS * sizeof(struct step);
	for (uint32_t i = 0; i <= random_below(4); i++)
		size = mutate_records(data, size, max_size, 0, sizeof(struct step), make, change);
	return size;
}
