// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch bench mm`, the measurements: guest/mm on the in-process
 * machine. Its instructions are counted, the host's are not: the doorbell switches the
 * counting off and on again.
 */
#include <string.h>

#include <cli/bench_mm.h>
#include <cli/bench_mm_ops.h>

#define PAGES (BENCH_MM_TABLES * PVB_PTES_PER_TABLE)
#define COUNTED 128U /* pages: a stepped instruction takes microseconds */
#define RAM (16ULL << 20)
#define BUFFER PVB_BUFFER_MIN

static struct bench_mm *out;
static struct bench_mm_machine machine;
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
	return pvb_gpa((uint64_t)((const volatile uint8_t *)ptr - machine.host->ram));
}

static uint64_t *pte_at(pvb_gpa_t gpa)
{
	return (uint64_t *)(machine.host->ram + pvb_gpa_raw(gpa));
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
	return &machine.cpu;
}

static void no_lock(void *ctx, uint64_t *table)
{
	(void)ctx;
	(void)table;
}

static bool folio_of(void *ctx, uint64_t pte, struct pvb_folio *folio)
{
	(void)ctx;
	folio->pfn = pvb_pte_pfn(pte) & ~(uint64_t)(machine.folio_pages - 1);
	folio->nr = machine.folio_pages;
	folio->anon = true;
	return true;
}

static const struct pvb_mm_ops split_ops = {
	.table = table_at, .cpu = this_cpu, .lock = no_lock, .unlock = no_lock, .folio = folio_of
};
static const struct pvb_mm_ops one_ops = { .table = table_at, .cpu = this_cpu, .folio = folio_of };

static int open_machine(enum pvb_mode mode)
{
	const struct pvb_inproc_config config = {
		.ram_bytes = RAM,
		.nr_vcpus = 1,
		.offered = PVB_F_ALL,
		.phys_bits = 40,
	};
	struct pvb_inproc *host = pvb_inproc_create(&config);
	void *buffer;

	if (!host)
		return 1;
	machine = (struct bench_mm_machine){ .host = host };
	transport.ctx = &host->vcpus[0];
	machine.mm = (struct pvb_mm){ .levels = 4, .root = pvb_inproc_alloc(host, 1) };
	machine.vma = (struct pvb_vma){
		.mm = &machine.mm,
		.start = BENCH_MM_BASE,
		.end = bench_mm_va(PAGES),
	};
	for (uint32_t i = 0; i < BENCH_MM_TABLES; i++)
		machine.tables[i] =
			pvb_inproc_pte(host, machine.mm.root, bench_mm_va(i * PVB_PTES_PER_TABLE));
	buffer = pte_at(pvb_inproc_alloc(host, BUFFER / PVB_PAGE_SIZE));
	if (pvb_guest_init(&machine.guest, &transport, &guest_ops, mode, buffer) ||
	    pvb_cpu_init(&machine.guest, &machine.cpu, buffer, BUFFER)) {
		pvb_inproc_destroy(host);
		return 1;
	}
	return 0;
}

static uint64_t *entry_of(uint32_t page)
{
	return machine.tables[page / PVB_PTES_PER_TABLE] + page % PVB_PTES_PER_TABLE;
}

static void fill(uint32_t nr, enum bench_mm_state state)
{
	for (uint32_t i = 0; i < nr; i++)
		*entry_of(i) = bench_mm_entry(i, state);
}

static void check(uint32_t nr, enum bench_mm_state state)
{
	for (uint32_t i = 0; i < nr; i++)
		out->wrong |= *entry_of(i) != bench_mm_entry(i, state);
}

/* From where to where instructions count, if they do. */
static void begin(void)
{
	if (counting)
		steps_begin();
}

static uint64_t end(void)
{
	return counting ? steps_end() : 0;
}

/* All of @ptes entries, @run at a time. *@submit: instructions of the flush that follows. */
static uint64_t run_all(const struct bench_mm_operation *operation, uint32_t run, uint32_t ptes,
			uint64_t *submit)
{
	struct pvb_cpu *c = &machine.cpu;
	uint64_t instructions;

	fill(ptes, operation->before);
	if (!operation->range)
		pvb_lazy_enter(c);
	begin();
	for (uint32_t slot = 0; slot < ptes; slot += run)
		operation->run(&machine, slot, run);
	instructions = end();
	begin();
	if (!operation->range) {
		pvb_flush_range(c, pvb_gva(BENCH_MM_BASE), ptes, 0);
		pvb_lazy_leave(c);
	}
	*submit = end();
	check(ptes, operation->after);
	return instructions;
}

static void measure_run(const struct bench_mm_operation *operation, uint32_t run, uint32_t ptes)
{
	struct bench_mm_run *result = &out->runs[out->nr_runs++];
	bool batched = !strcmp(operation->form, "batched");
	/* What goes entry by entry costs the same for each: it is enough to count some. */
	uint32_t counted = ptes > COUNTED && !batched ? COUNTED : ptes;
	struct pvb_guest_stats before, after;

	machine.mm.ops = &split_ops;
	*result = (struct bench_mm_run){
		.operation = operation->name,
		.form = operation->form,
		.mode = machine.cpu.mode,
		.run = run,
		.ptes = ptes,
		.counted = counted,
	};
	pvb_cpu_stats(&machine.cpu, &before);
	run_all(operation, run, ptes, &result->submit);
	pvb_cpu_stats(&machine.cpu, &after);
	result->entries = after.entries - before.entries;
	result->hypercalls = after.calls - before.calls;
	counting = true;
	result->instructions =
		run_all(operation, run < counted ? run : counted, counted, &result->submit);
	counting = false;
}

static void measure_range(bool split, uint32_t folio, bool unbatched)
{
	struct bench_mm_range *result = &out->ranges[out->nr_ranges++];
	unsigned int flags = unbatched ? PVB_CP_SINGLE : 0;
	struct pvb_vma *vma = &machine.vma;
	struct pvb_guest_stats before, after;
	uint64_t prot = pvb_prot(PVB_PROT_READ);

	machine.mm.ops = split ? &split_ops : &one_ops;
	machine.folio_pages = folio;
	fill(PAGES, READ_WRITE);
	pvb_cpu_stats(&machine.cpu, &before);
	out->wrong |= pvb_change_protection(vma, vma->start, vma->end, prot, flags) != PAGES;
	pvb_cpu_stats(&machine.cpu, &after);
	check(PAGES, READ_ONLY);
	fill(COUNTED, READ_WRITE);
	counting = true;
	begin();
	pvb_change_protection(vma, vma->start, bench_mm_va(COUNTED), prot, flags);
	result->instructions = end();
	counting = false;
	*result = (struct bench_mm_range){
		.locks = split ? "split" : "one",
		.mode = machine.cpu.mode,
		.folio = folio,
		.unbatched = unbatched,
		.pages = PAGES,
		.tables = BENCH_MM_TABLES,
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
	static const uint32_t runs[][2] = { { 1, 16 }, { 16, 32 }, { 512, 512 } };

	out = arg;
	for (unsigned int m = 0; m < 3; m++) {
		if (open_machine(modes[m]))
			return 1;
		for (unsigned int i = 0; i < bench_mm_nr_operations * 3; i++) {
			const struct bench_mm_operation *operation = &bench_mm_operations[i / 3];

			/* Without a host most are what they are where the guest applies. */
			if (modes[m] != PVB_MODE_DIRECT || !strcmp(operation->name, "modify_prot"))
				measure_run(operation, runs[i % 3][0], runs[i % 3][1]);
		}
		for (unsigned int split = 0; split < 2; split++) {
			measure_range(split, 1, false);
			measure_range(split, 512, false);
			measure_range(split, 512, true);
		}
		pvb_cpu_exit(&machine.cpu);
		pvb_inproc_destroy(machine.host);
	}
	return 0;
}
