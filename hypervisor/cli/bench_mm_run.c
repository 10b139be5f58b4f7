// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch bench mm`, the measurements: guest/mm on the in-process
 * machine. Its instructions are counted, the host's are not: the doorbell switches the
 * counting off and on again.
 */
#include <string.h>

#include <inproc/inproc.h>
#include <pvbatch/mm.h>

#include <cli/bench_mm.h>

#define BASE 0x40000000ULL
#define TABLES 128U /* 64 Ki pages */
#define WORK (TABLES * PVB_PTES_PER_TABLE) /* a host that bounds a call by time alone */
#define COUNTED 128U /* pages: a stepped instruction takes microseconds */
#define RAM (16ULL << 20)
#define BUFFER PVB_BUFFER_MIN

static struct bench_mm *out;
static struct pvb_inproc *host;
static struct pvb_guest guest;
static struct pvb_cpu cpu;
static uint64_t *tables[TABLES];
static uint32_t folio_pages;
static bool counting;

/* The doorbell: what happens behind it is not the guest's. */
static int64_t call(void *ctx, enum pvb_call nr, uint64_t a0, uint64_t a1)
{
	int64_t r;

	if (counting)
		steps_mark();
	r = pvb_inproc_call(ctx, nr, a0, a1);
	if (counting)
		steps_mark();
	return r;
}

static pvb_gpa_t gpa_of(const volatile void *ptr)
{
	return pvb_gpa((uint64_t)((const volatile uint8_t *)ptr - host->ram));
}

static uint64_t *pte_at(pvb_gpa_t gpa)
{
	return (uint64_t *)(host->ram + pvb_gpa_raw(gpa));
}

static void own_flush(enum pvb_flush type, uint32_t flags, pvb_gva_t va, uint32_t pages)
{
	/* One instruction on a real machine; there is no TLB here. */
	(void)type;
	(void)flags;
	(void)va;
	(void)pages;
}

static const struct pvb_guest_ops guest_ops = { .gpa_of = gpa_of,
						.pte_at = pte_at,
						.flush = own_flush };
static struct pvb_transport transport = { .call = call };

static uint64_t *table_at(void *ctx, pvb_gpa_t gpa)
{
	(void)ctx;
	return pte_at(gpa);
}

static struct pvb_cpu *this_cpu(void *ctx)
{
	(void)ctx;
	return &cpu;
}

static void no_lock(void *ctx, uint64_t *table)
{
	(void)ctx;
	(void)table;
}

static bool folio_of(void *ctx, uint64_t pte, struct pvb_folio *folio)
{
	(void)ctx;
	folio->pfn = pvb_pte_pfn(pte) & ~(uint64_t)(folio_pages - 1);
	folio->nr = folio_pages;
	folio->anon = true;
	return true;
}

static const struct pvb_mm_ops split_ops = {
	.table = table_at, .cpu = this_cpu, .lock = no_lock, .unlock = no_lock, .folio = folio_of
};
static const struct pvb_mm_ops one_ops = { .table = table_at, .cpu = this_cpu, .folio = folio_of };
static struct pvb_mm mm = { .levels = 4 };

static int open_machine(enum pvb_mode mode)
{
	const struct pvb_inproc_config config = {
		.ram_bytes = RAM,
		.nr_vcpus = 1,
		.offered = PVB_F_ALL,
		.phys_bits = 40,
	};
	void *buffer;

	host = pvb_inproc_create(&config);
	if (!host)
		return 1;
	transport.ctx = &host->vcpus[0];
	mm.root = pvb_inproc_alloc(host, 1);
	for (uint32_t i = 0; i < TABLES; i++)
		tables[i] = pvb_inproc_pte(host, mm.root, BASE + i * PVB_PMD_SIZE);
	buffer = pte_at(pvb_inproc_alloc(host, BUFFER / PVB_PAGE_SIZE));
	if (pvb_guest_init(&guest, &transport, &guest_ops, mode, buffer) ||
	    pvb_cpu_init(&guest, &cpu, buffer, BUFFER)) {
		pvb_inproc_destroy(host);
		return 1;
	}
	return 0;
}

static uint64_t page_pte(uint32_t page, unsigned int prot)
{
	return pvb_pte_mkyoung(pvb_pte_make(0x1000 + page, pvb_prot(prot)));
}

static void fill(uint32_t nr, unsigned int prot)
{
	for (uint32_t i = 0; i < nr; i++)
		tables[i / PVB_PTES_PER_TABLE][i % PVB_PTES_PER_TABLE] = page_pte(i, prot);
}

static uint64_t va(uint32_t page)
{
	return BASE + page * PVB_PAGE_SIZE;
}

/* One operation on @nr entries from @slot on of the first table. */
typedef void (*operation)(uint32_t slot, uint32_t nr);

#define ON va(slot), tables[0] + slot

static void single_modify_prot(uint32_t slot, uint32_t nr)
{
	uint64_t *ptep = tables[0] + slot, *end = ptep + nr;
	uint64_t addr = va(slot);

	for (; ptep < end; ptep++, addr += PVB_PAGE_SIZE) {
		uint64_t old = pvb_ptep_modify_prot_start(&cpu, addr, ptep);

		pvb_ptep_modify_prot_commit(&cpu, addr, ptep, old, pvb_pte_wrprotect(old));
	}
}

static void batched_modify_prot(uint32_t slot, uint32_t nr)
{
	uint64_t old = pvb_modify_prot_start_ptes(&cpu, ON, nr);

	pvb_modify_prot_commit_ptes(&cpu, ON, old, pvb_pte_wrprotect(old), nr, 0);
}

static void generic_modify_prot(uint32_t slot, uint32_t nr)
{
	uint64_t old = pvb_generic_modify_prot_start_ptes(&cpu, ON, nr);

	pvb_generic_modify_prot_commit_ptes(&cpu, ON, old, pvb_pte_wrprotect(old), nr, 0);
}

static void batched_wrprotect(uint32_t slot, uint32_t nr)
{
	pvb_wrprotect_ptes(&cpu, ON, nr);
}

static void generic_wrprotect(uint32_t slot, uint32_t nr)
{
	pvb_generic_wrprotect_ptes(&cpu, ON, nr);
}

static void batched_clear_young_dirty(uint32_t slot, uint32_t nr)
{
	pvb_mkold_clean_ptes(&cpu, ON, nr);
}

static void generic_clear_young_dirty(uint32_t slot, uint32_t nr)
{
	pvb_generic_clear_young_dirty_ptes(&cpu, ON, nr, PVB_CLEAR_YOUNG | PVB_CLEAR_DIRTY);
}

static void batched_set_new(uint32_t slot, uint32_t nr)
{
	pvb_set_new_ptes(&cpu, ON, page_pte(slot, PVB_PROT_READ), nr);
}

static void generic_set_new(uint32_t slot, uint32_t nr)
{
	pvb_generic_set_new_ptes(&cpu, ON, page_pte(slot, PVB_PROT_READ), nr);
}

static void batched_get_and_clear(uint32_t slot, uint32_t nr)
{
	pvb_get_and_clear_full_ptes(&cpu, ON, nr);
}

static void generic_get_and_clear(uint32_t slot, uint32_t nr)
{
	pvb_generic_get_and_clear_full_ptes(&cpu, ON, nr);
}

#undef ON

static const struct {
	const char *name, *form;
	operation run;
	bool on_nothing; /* nothing is mapped before */
} operations[] = {
	{ "modify_prot", "single", single_modify_prot, false },
	{ "modify_prot", "batched", batched_modify_prot, false },
	{ "modify_prot", "generic", generic_modify_prot, false },
	{ "wrprotect", "batched", batched_wrprotect, false },
	{ "wrprotect", "generic", generic_wrprotect, false },
	{ "clear_young_dirty", "batched", batched_clear_young_dirty, false },
	{ "clear_young_dirty", "generic", generic_clear_young_dirty, false },
	{ "set", "batched", batched_set_new, true },
	{ "set", "generic", generic_set_new, true },
	{ "get_and_clear", "batched", batched_get_and_clear, false },
	{ "get_and_clear", "generic", generic_get_and_clear, false },
};

#define OPERATIONS (sizeof(operations) / sizeof(*operations))

/* What an entry has to be after operation @op. */
static bool is_right(unsigned int op, uint32_t slot)
{
	uint64_t pte = tables[0][slot];
	uint64_t rw = page_pte(slot, PVB_PROT_READ | PVB_PROT_WRITE);

	if (!strcmp(operations[op].name, "clear_young_dirty"))
		return pte == pvb_pte_mkold(rw);
	if (!strcmp(operations[op].name, "set"))
		return pte == page_pte(slot, PVB_PROT_READ);
	return pte == (strcmp(operations[op].name, "get_and_clear") ? pvb_pte_wrprotect(rw) : 0);
}

static void measure_run(unsigned int op, uint32_t run, uint32_t ptes)
{
	struct bench_mm_run *result = &out->runs[out->nr_runs++];
	struct pvb_guest_stats before, after;

	fill(ptes, PVB_PROT_READ | PVB_PROT_WRITE);
	if (operations[op].on_nothing)
		memset(tables[0], 0, ptes * sizeof(uint64_t));
	pvb_cpu_stats(&cpu, &before);
	pvb_lazy_enter(&cpu);
	counting = true;
	steps_begin();
	for (uint32_t slot = 0; slot < ptes; slot += run)
		operations[op].run(slot, run);
	result->instructions = steps_end();
	steps_begin();
	pvb_flush_range(&cpu, pvb_gva(BASE), ptes, 0);
	pvb_lazy_leave(&cpu);
	result->submit = steps_end();
	counting = false;
	pvb_cpu_stats(&cpu, &after);
	for (uint32_t slot = 0; slot < ptes; slot++)
		out->wrong |= !is_right(op, slot);
	result->operation = operations[op].name;
	result->form = operations[op].form;
	result->mode = cpu.mode;
	result->run = run;
	result->ptes = ptes;
	result->entries = after.entries - before.entries;
	result->hypercalls = after.calls - before.calls;
}

/* @work: PTEs that the host does in one call at most. */
static void measure_range(bool split, uint32_t folio, bool unbatched, uint32_t work)
{
	struct bench_mm_range *result = &out->ranges[out->nr_ranges++];
	struct pvb_vma vma = { .mm = &mm, .start = BASE, .end = BASE + TABLES * PVB_PMD_SIZE };
	unsigned int flags = unbatched ? PVB_CP_SINGLE : 0;
	uint32_t pages = TABLES * PVB_PTES_PER_TABLE;
	struct pvb_guest_stats before, after;

	mm.ops = split ? &split_ops : &one_ops;
	host->vm.max_work = work;
	folio_pages = folio;
	fill(pages, PVB_PROT_READ | PVB_PROT_WRITE);
	pvb_cpu_stats(&cpu, &before);
	out->wrong |= pvb_change_protection(&vma, vma.start, vma.end, pvb_prot(PVB_PROT_READ),
					    flags) != pages;
	pvb_cpu_stats(&cpu, &after);
	for (uint32_t i = 0; i < pages; i++)
		out->wrong |= tables[i / PVB_PTES_PER_TABLE][i % PVB_PTES_PER_TABLE] !=
			      page_pte(i, PVB_PROT_READ);
	fill(COUNTED, PVB_PROT_READ | PVB_PROT_WRITE);
	counting = true;
	steps_begin();
	pvb_change_protection(&vma, vma.start, va(COUNTED), pvb_prot(PVB_PROT_READ), flags);
	result->instructions = steps_end();
	counting = false;
	*result = (struct bench_mm_range){
		.locks = split ? "split" : "one",
		.mode = cpu.mode,
		.folio = folio,
		.max_work = work,
		.unbatched = unbatched,
		.pages = pages,
		.tables = TABLES,
		.entries = after.entries - before.entries,
		.hypercalls = after.calls - before.calls,
		.flushes = after.flushes + after.own_flushes - before.flushes - before.own_flushes,
		.counted_pages = COUNTED,
		.instructions = result->instructions,
	};
}

int bench_mm_measure(void *arg)
{
	static const enum pvb_mode modes[] = { PVB_MODE_DIRECT, PVB_MODE_HOST_APPLY,
					       PVB_MODE_GUEST_APPLY };
	/* Batches of one: as many as make an average. */
	uint32_t usual;
	static const uint32_t runs[][2] = { { 1, 16 }, { 16, 32 }, { 512, 512 } };

	out = arg;
	for (unsigned int m = 0; m < 3; m++) {
		if (open_machine(modes[m]))
			return 1;
		usual = host->vm.max_work;
		for (unsigned int i = 0; i < OPERATIONS * 3; i++) {
			unsigned int op = i / 3, r = i % 3;

			/* Without a host most are what they are where the guest applies. */
			if (modes[m] != PVB_MODE_DIRECT ||
			    !strcmp(operations[op].name, "modify_prot"))
				measure_run(op, runs[r][0], runs[r][1]);
		}
		for (unsigned int split = 0; split < 2; split++) {
			measure_range(split, 1, false, WORK);
			measure_range(split, 512, false, WORK);
			measure_range(split, 512, true, WORK);
		}
		if (modes[m] != PVB_MODE_DIRECT)
			measure_range(false, 512, false, usual);
		pvb_cpu_exit(&cpu);
		pvb_inproc_destroy(host);
	}
	return 0;
}
