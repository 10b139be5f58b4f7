// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch bench mm`, the operations: each of guest/mm's in the forms
 * that are compared, and what an entry has to be afterwards.
 */
#include <string.h>

#include <cli/bench_mm_ops.h>

/* Where an operation on @nr entries from @slot on of the first table works. */
#define ON(m) (&(m)->cpu), bench_mm_va(slot), (m)->tables[0] + slot

static void single_modify_prot(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	uint64_t *ptep = m->tables[0] + slot, *end = ptep + nr;
	uint64_t addr = bench_mm_va(slot);

	for (; ptep < end; ptep++, addr += PVB_PAGE_SIZE) {
		uint64_t old = pvb_ptep_modify_prot_start(&m->cpu, addr, ptep);

		pvb_ptep_modify_prot_commit(&m->cpu, addr, ptep, old, pvb_pte_wrprotect(old));
	}
}

static void batched_modify_prot(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	uint64_t old = pvb_modify_prot_start_ptes(ON(m), nr);

	pvb_modify_prot_commit_ptes(ON(m), old, pvb_pte_wrprotect(old), nr, 0);
}

static void generic_modify_prot(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	uint64_t old = pvb_generic_modify_prot_start_ptes(ON(m), nr);

	pvb_generic_modify_prot_commit_ptes(ON(m), old, pvb_pte_wrprotect(old), nr, 0);
}

static void batched_wrprotect(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	pvb_wrprotect_ptes(ON(m), nr);
}

static void generic_wrprotect(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	pvb_generic_wrprotect_ptes(ON(m), nr);
}

static void batched_clear_young_dirty(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	pvb_mkold_clean_ptes(ON(m), nr);
}

static void generic_clear_young_dirty(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	pvb_generic_clear_young_dirty_ptes(ON(m), nr, PVB_CLEAR_YOUNG | PVB_CLEAR_DIRTY);
}

static void batched_set_new(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	pvb_set_new_ptes(ON(m), bench_mm_pte(slot, PVB_PROT_READ), nr);
}

static void generic_set_new(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	pvb_generic_set_new_ptes(ON(m), bench_mm_pte(slot, PVB_PROT_READ), nr);
}

static void batched_get_and_clear(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	pvb_get_and_clear_full_ptes(ON(m), nr);
}

static void generic_get_and_clear(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	pvb_generic_get_and_clear_full_ptes(ON(m), nr);
}

/*
 * Operations on ranges: the walk, the lock, the queue and the flush are part of them, so
 * there is one call at least for each range.
 */

static void change_protection(struct bench_mm_machine *m, uint32_t slot, uint32_t nr,
			      unsigned int flags)
{
	m->folio_pages = nr;
	pvb_change_protection(&m->vma, bench_mm_va(slot), bench_mm_va(slot + nr),
			      pvb_prot(PVB_PROT_READ), flags);
}

static void batched_change_protection(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	change_protection(m, slot, nr, 0);
}

static void generic_change_protection(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	change_protection(m, slot, nr, PVB_CP_SINGLE);
}

static void batched_wrprotect_range(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	struct pvb_touched touched;

	pvb_wrprotect_range(&m->vma, bench_mm_va(slot), bench_mm_va(slot + nr), PVB_HUGE_REFUSE,
			    &touched);
}

static void batched_clean_record_range(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	struct pvb_dirty_bitmap bitmap = { .bits = PVB_PTES_PER_TABLE, .map = m->dirty };
	struct pvb_touched touched;

	pvb_clean_record_range(&m->vma, bench_mm_va(slot), bench_mm_va(slot + nr), PVB_HUGE_REFUSE,
			       &bitmap, &touched);
}

/* What the walks below keep of the pages they change. */
struct entry_by_entry {
	struct pvb_walk walk; /* first: callbacks get a pointer to it */
	uint64_t *dirty;
	uint64_t total, start, end, first, last;
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* A transaction on each entry that needs one: the form that was first proposed (2019). */
static int wrprotect_each(struct pvb_walk *walk, uint64_t *ptep, uint64_t addr, uint32_t nr)
{
	struct entry_by_entry *each = (struct entry_by_entry *)walk;

	for (; nr--; ptep++, addr += PVB_PAGE_SIZE) {
		uint64_t old;

		if (!pvb_pte_write(pvb_ptep_get(walk->c, ptep)))
			continue;
		old = pvb_ptep_modify_prot_start(walk->c, addr, ptep);
		pvb_ptep_modify_prot_commit(walk->c, addr, ptep, old, pvb_pte_wrprotect(old));
		pvb_walk_flush(walk, addr, addr + PVB_PAGE_SIZE);
		each->total++;
		each->start = least(each->start, addr);
		each->end = most(each->end, addr + PVB_PAGE_SIZE);
	}
	return 0;
}

static int clean_each(struct pvb_walk *walk, uint64_t *ptep, uint64_t addr, uint32_t nr)
{
	struct entry_by_entry *each = (struct entry_by_entry *)walk;

	for (; nr--; ptep++, addr += PVB_PAGE_SIZE) {
		uint64_t page = (addr - walk->vma->start) / PVB_PAGE_SIZE + walk->vma->pgoff;
		uint64_t old;

		if (!pvb_pte_dirty(pvb_ptep_get(walk->c, ptep)))
			continue;
		old = pvb_ptep_modify_prot_start(walk->c, addr, ptep);
		pvb_ptep_modify_prot_commit(walk->c, addr, ptep, old, pvb_pte_mkclean(old));
		pvb_walk_flush(walk, addr, addr + PVB_PAGE_SIZE);
		each->total++;
		each->start = least(each->start, addr);
		each->end = most(each->end, addr + PVB_PAGE_SIZE);
		each->dirty[page / 64] |= 1ULL << page % 64;
		each->first = least(each->first, page);
		each->last = most(each->last, page + 1);
	}
	return 0;
}

static void walk_each(struct bench_mm_machine *m, uint32_t slot, uint32_t nr,
		      int (*ptes)(struct pvb_walk *walk, uint64_t *ptep, uint64_t addr,
				  uint32_t nr))
{
	struct entry_by_entry each = {
		.walk = { .vma = &m->vma, .ptes = ptes, .flush_each = true },
		.dirty = m->dirty,
		.start = ~0ULL,
		.first = ~0ULL,
	};

	pvb_walk_range(&each.walk, bench_mm_va(slot), bench_mm_va(slot + nr));
}

static void generic_wrprotect_range(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	walk_each(m, slot, nr, wrprotect_each);
}

static void generic_clean_record_range(struct bench_mm_machine *m, uint32_t slot, uint32_t nr)
{
	walk_each(m, slot, nr, clean_each);
}

const struct bench_mm_operation bench_mm_operations[] = {
	{ "modify_prot", "single", single_modify_prot, READ_WRITE, READ_ONLY, false },
	{ "modify_prot", "batched", batched_modify_prot, READ_WRITE, READ_ONLY, false },
	{ "modify_prot", "generic", generic_modify_prot, READ_WRITE, READ_ONLY, false },
	{ "wrprotect", "batched", batched_wrprotect, READ_WRITE, READ_ONLY, false },
	{ "wrprotect", "generic", generic_wrprotect, READ_WRITE, READ_ONLY, false },
	{ "clear_young_dirty", "batched", batched_clear_young_dirty, WRITTEN, OLD_AND_CLEAN,
	  false },
	{ "clear_young_dirty", "generic", generic_clear_young_dirty, WRITTEN, OLD_AND_CLEAN,
	  false },
	{ "set", "batched", batched_set_new, NOTHING, READ_ONLY, false },
	{ "set", "generic", generic_set_new, NOTHING, READ_ONLY, false },
	{ "get_and_clear", "batched", batched_get_and_clear, WRITTEN, NOTHING, false },
	{ "get_and_clear", "generic", generic_get_and_clear, WRITTEN, NOTHING, false },
	{ "change_protection", "batched", batched_change_protection, READ_WRITE, READ_ONLY, true },
	{ "change_protection", "generic", generic_change_protection, READ_WRITE, READ_ONLY, true },
	{ "wrprotect_range", "batched", batched_wrprotect_range, READ_WRITE, READ_ONLY, true },
	{ "wrprotect_range", "generic", generic_wrprotect_range, READ_WRITE, READ_ONLY, true },
	{ "clean_record_range", "batched", batched_clean_record_range, WRITTEN, READ_WRITE, true },
	{ "clean_record_range", "generic", generic_clean_record_range, WRITTEN, READ_WRITE, true },
};

const unsigned int bench_mm_nr_operations =
	sizeof(bench_mm_operations) / sizeof(*bench_mm_operations);

uint64_t bench_mm_entry(uint32_t page, enum bench_mm_state state)
{
	uint64_t rw = bench_mm_pte(page, PVB_PROT_READ | PVB_PROT_WRITE);

	switch (state) {
	case READ_ONLY:
		return bench_mm_pte(page, PVB_PROT_READ);
	case READ_WRITE:
		return rw;
	case WRITTEN:
		return pvb_pte_mkdirty(rw);
	case OLD_AND_CLEAN:
		return pvb_pte_mkold(rw);
	default:
		return 0;
	}
}
