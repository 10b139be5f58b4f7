// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of guest/mm - contiguous blocks, exhaustively: every start and length of a
 * run over three blocks, every layout of blocks and plain entries, each operation, against
 * the loop over single entries. Equal in what each page may do, is and was; and a block
 * that the run covers whole, or does not touch, is a block afterwards.
 *
 * On a format without blocks the same runs are compared with the loop all the same.
 */
#include <stdio.h>
#include <string.h>

#include "space.h"

#define BLOCKS 3U
#define BLOCK 16U
#define ENTRIES (BLOCKS * BLOCK)
#define FIRST 64U /* slot of the first entry */
#define PATTERNS 6U

enum op {
	OP_COMMIT,
	OP_COMMIT_NONE, /* to no access at all */
	OP_WRPROTECT,
	OP_YOUNG,
	OP_DIRTY,
	OP_BOTH,
	OP_CLEAR,
	NR_OPS
};

static const char *const op_names[NR_OPS] = {
	"modify_prot",
	"modify_prot to no access",
	"wrprotect_ptes",
	"clear_young_dirty: young",
	"clear_young_dirty: dirty",
	"clear_young_dirty: both",
	"get_and_clear_full_ptes",
};

struct one {
	enum op op;
	unsigned int start, nr, layout, pattern;
};

/* A page, whatever the format. */
struct view {
	bool mapped, access, write, young, dirty;
	uint64_t pfn;
};

static bool is_cont(uint64_t pte)
{
	return pvb_pte_cont(pte);
}

static uint64_t *pte_of(unsigned int table, unsigned int i)
{
	return &space.tables[table][FIRST + i];
}

static uint64_t address(unsigned int table, unsigned int i)
{
	return space_va(table * PVB_PTES_PER_TABLE + FIRST + i);
}

/* A and D by entry: none, all, one in each block, a mixture, only one of the two. */
static uint64_t with_ad(uint64_t pte, unsigned int pattern, unsigned int i)
{
	bool young = pattern == 1 || (pattern == 2 && i % BLOCK == 5) || (pattern == 3 && i % 3) ||
		     (pattern == 4 && i % BLOCK == 2);
	bool dirty = pattern == 1 || (pattern == 2 && i % BLOCK == 11) ||
		     (pattern == 3 && i % 5 == 0) || (pattern == 5 && i % BLOCK == 13);

	if (young)
		pte = pvb_pte_mkyoung(pte);
	return dirty ? pvb_pte_mkdirty(pte) : pte;
}

static void fill(unsigned int table, const struct one *one)
{
	uint64_t prot = pvb_prot(PVB_PROT_READ | PVB_PROT_WRITE);

	for (unsigned int i = 0; i < ENTRIES; i++) {
		uint64_t pte = pvb_pte_make(space.memory + i, prot);

#ifdef PVB_PTE_CONT
		if (one->layout >> i / BLOCK & 1)
			pte = pvb_pte_mkcont(pte);
#endif
		*pte_of(table, i) = with_ad(pte, one->pattern, i);
	}
}

static struct view view_of(unsigned int table, unsigned int i)
{
	uint64_t pte = *pte_of(table, i);
	struct view view = {
		.mapped = pvb_pte_mapped(pte),
		.access = pvb_pte_present(pte),
		.write = pvb_pte_write(pte),
		.young = pvb_pte_young(pte),
		.dirty = pvb_pte_dirty(pte),
		.pfn = pvb_pte_pfn(pte),
	};

	for (unsigned int k = 0; is_cont(pte) && k < BLOCK; k++) {
		uint64_t other = *pte_of(table, i / BLOCK * BLOCK + k);

		view.young |= pvb_pte_young(other);
		view.dirty |= pvb_pte_dirty(other);
	}
	return view;
}

/* The operation in the form under test. Returns what get-and-clear does. */
static uint64_t batched(struct pvb_cpu *c, const struct one *one)
{
	uint64_t *ptep = pte_of(0, one->start);
	uint64_t addr = address(0, one->start);
	uint64_t prot = one->op == OP_COMMIT ? pvb_prot(PVB_PROT_READ) : pvb_prot(0);
	uint64_t old, r = 0;

	pvb_lazy_enter(c);
	switch (one->op) {
	case OP_COMMIT:
	case OP_COMMIT_NONE:
		old = pvb_modify_prot_start_ptes(c, addr, ptep, one->nr);
		pvb_modify_prot_commit_ptes(c, addr, ptep, old, pvb_pte_modify(old, prot), one->nr,
					    0);
		break;
	case OP_WRPROTECT:
		pvb_wrprotect_ptes(c, addr, ptep, one->nr);
		break;
	case OP_CLEAR:
		r = pvb_get_and_clear_full_ptes(c, addr, ptep, one->nr);
		break;
	default:
		pvb_clear_young_dirty_ptes(c, addr, ptep, one->nr,
					   (one->op != OP_DIRTY ? PVB_CLEAR_YOUNG : 0) |
						   (one->op != OP_YOUNG ? PVB_CLEAR_DIRTY : 0));
	}
	pvb_flush_range(c, pvb_gva(addr), one->nr, 0);
	pvb_lazy_leave(c);
	return r;
}

/* The same on the second table, entry by entry. */
static uint64_t looped(struct pvb_cpu *c, const struct one *one)
{
	uint64_t *ptep = pte_of(1, one->start);
	uint64_t addr = address(1, one->start);
	uint64_t prot = one->op == OP_COMMIT ? pvb_prot(PVB_PROT_READ) : pvb_prot(0);
	uint64_t old;

	switch (one->op) {
	case OP_COMMIT:
	case OP_COMMIT_NONE:
		old = pvb_generic_modify_prot_start_ptes(c, addr, ptep, one->nr);
		pvb_generic_modify_prot_commit_ptes(c, addr, ptep, old, pvb_pte_modify(old, prot),
						    one->nr, 0);
		return 0;
	case OP_WRPROTECT:
		pvb_generic_wrprotect_ptes(c, addr, ptep, one->nr);
		return 0;
	case OP_CLEAR:
		return pvb_generic_get_and_clear_full_ptes(c, addr, ptep, one->nr);
	default:
		pvb_generic_clear_young_dirty_ptes(
			c, addr, ptep, one->nr,
			(one->op != OP_DIRTY ? PVB_CLEAR_YOUNG : 0) |
				(one->op != OP_YOUNG ? PVB_CLEAR_DIRTY : 0));
		return 0;
	}
}

/* Is block @b to be a block after the operation? */
static bool stays(const struct one *one, unsigned int b)
{
	unsigned int first = b * BLOCK, end = first + BLOCK;
	bool touched = one->start < end && one->start + one->nr > first;
	bool whole = one->start <= first && one->start + one->nr >= end;

	if (!(one->layout >> b & 1) || PVB_CONT_PTES == 1)
		return false;
	if (!touched)
		return true;
	return whole && one->op != OP_CLEAR && one->op != OP_COMMIT_NONE;
}

/* What a page has to be afterwards, said once more without blocks, batches or loops. */
static struct view expected(const struct one *one, const struct view *before, unsigned int i)
{
	struct view view = before[i];

	if (i < one->start || i >= one->start + one->nr)
		return view;
	switch (one->op) {
	case OP_COMMIT_NONE:
		view.access = false;
		/* fall through */
	case OP_COMMIT:
		/* The run's A and D were folded into its template (law 2). */
		for (unsigned int k = one->start; k < one->start + one->nr; k++) {
			view.young |= before[k].young;
			view.dirty |= before[k].dirty;
		}
		/* fall through */
	case OP_WRPROTECT:
		view.write = false;
		break;
	case OP_CLEAR:
		return (struct view){ 0 };
	default:
		view.young &= one->op == OP_DIRTY;
		view.dirty &= one->op == OP_YOUNG;
	}
	return view;
}

static bool same(const struct view *a, const struct view *b)
{
	return a->mapped == b->mapped && a->access == b->access && a->write == b->write &&
	       a->young == b->young && a->dirty == b->dirty && a->pfn == b->pfn;
}

static bool wrong(const struct one *one, unsigned int i, const char *what)
{
	printf("# %s, start %u, nr %u, layout %u, pattern %u: entry %u: %s (%#lx, loop %#lx)\n",
	       op_names[one->op], one->start, one->nr, one->layout, one->pattern, i, what,
	       (unsigned long)*pte_of(0, i), (unsigned long)*pte_of(1, i));
	return false;
}

static bool check(struct pvb_cpu *c, const struct one *one)
{
	struct view before[ENTRIES];
	uint64_t a, b;

	fill(0, one);
	fill(1, one);
	for (unsigned int i = 0; i < ENTRIES; i++)
		before[i] = view_of(0, i);
	a = batched(c, one);
	b = looped(c, one);
	if (a != b)
		return wrong(one, one->start, "another entry returned");
	for (unsigned int i = 0; i < ENTRIES; i++) {
		struct view got = view_of(0, i), loop = view_of(1, i);
		struct view want = expected(one, before, i);

		if (!same(&got, &loop))
			return wrong(one, i, "not what the loop makes");
		if (!same(&got, &want))
			return wrong(one, i, "not what it has to be");
		if (is_cont(*pte_of(0, i)) != stays(one, i / BLOCK))
			return wrong(one, i,
				     stays(one, i / BLOCK) ? "block unfolded" : "block kept");
	}
	return true;
}

static bool all_runs(struct pvb_cpu *c, enum op op, unsigned long *cases)
{
	unsigned int layouts = PVB_CONT_PTES > 1 ? 1U << BLOCKS : 1;
	struct one one = { .op = op };
	unsigned int failed = 0;

	for (one.layout = 0; one.layout < layouts; one.layout++) {
		for (one.pattern = 0; one.pattern < PATTERNS; one.pattern++) {
			for (one.start = 0; one.start < ENTRIES; one.start++) {
				for (one.nr = 1; one.nr <= ENTRIES - one.start; one.nr++) {
					++*cases;
					failed += !check(c, &one);
					if (failed > 5)
						return false;
				}
			}
		}
	}
	return !failed;
}

/* Folding: what set_new_ptes() makes contiguous. */
static bool folds(struct pvb_cpu *c, unsigned long *cases)
{
	uint64_t prot = pvb_prot(PVB_PROT_READ);

	for (unsigned int start = 0; start < ENTRIES; start++) {
		for (unsigned int nr = 1; nr <= ENTRIES - start; nr++) {
			for (unsigned int shift = 0; shift < 2; shift++) {
				uint64_t pte = pvb_pte_make(space.memory + start + shift, prot);

				++*cases;
				memset(pte_of(0, 0), 0, ENTRIES * sizeof(uint64_t));
				pvb_set_new_ptes(c, address(0, start), pte_of(0, start), pte, nr);
				for (unsigned int i = 0; i < ENTRIES; i++) {
					bool in = i >= start && i < start + nr;
					bool whole = i / BLOCK * BLOCK >= start &&
						     i / BLOCK * BLOCK + BLOCK <= start + nr;
					bool block = in && whole && !shift && PVB_CONT_PTES > 1;
					uint64_t want = in ? pvb_pte_advance(pte, i - start) : 0;

					if (pvb_pte_mknoncont(*pte_of(0, i)) != want ||
					    is_cont(*pte_of(0, i)) != block) {
						printf("# set %u+%u shift %u: entry %u is %#lx\n",
						       start, nr, shift, i,
						       (unsigned long)*pte_of(0, i));
						return false;
					}
				}
			}
		}
	}
	return true;
}

int main(void)
{
	static const enum pvb_mode modes[] = { PVB_MODE_DIRECT, PVB_MODE_HOST_APPLY,
					       PVB_MODE_GUEST_APPLY };
	static const char *const mode_names[] = { "direct", "host applies", "guest applies" };
	unsigned int number = 0, failed = 0;

	printf("1..%u\n", 3 * (NR_OPS + 1));
	for (unsigned int m = 0; m < 3; m++) {
		const struct space_config config = { .mode = modes[m], .nr_vcpus = 1 };
		unsigned long cases = 0;
		struct pvb_cpu *c;
		bool ok;

		space_open(&config);
		c = space_cpu();
		for (enum op op = 0; op < NR_OPS; op++) {
			cases = 0;
			ok = all_runs(c, op, &cases);
			failed += !ok;
			printf("%sok %u - %s, %s: %lu cases\n", ok ? "" : "not ", ++number,
			       op_names[op], mode_names[m], cases);
		}
		cases = 0;
		ok = folds(c, &cases);
		failed += !ok;
		printf("%sok %u - set_new_ptes, %s: %lu cases\n", ok ? "" : "not ", ++number,
		       mode_names[m], cases);
		space_close();
	}
	return failed != 0;
}
