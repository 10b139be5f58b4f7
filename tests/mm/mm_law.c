// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the A/D law (law 1) in each PTE format, exhaustively: every old entry, what
 * hardware may do to it before the exchange, every new entry; and what somebody else may
 * do to it, which is a conflict. What has to come out is said in terms of young and dirty.
 */
#include <stdio.h>

#include <pvbatch/merge.h>
#include <pvbatch/mm-pte.h>

/* The bits that matter, all combinations. Reserved and address bits come with each. */
#ifdef PVB_PTE_DBM
static const uint64_t bits[] = { PVB_PTE_P,  PVB_PTE_U,	    PVB_PTE_RDONLY, PVB_PTE_A,
				 PVB_PTE_NG, PVB_PTE_DBM,   PVB_PTE_CONT,   PVB_PTE_UXN,
				 PVB_PTE_D,  PVB_PTE_SOFT0, PVB_PTE_SOFT2 };
#else
static const uint64_t bits[] = { PVB_PTE_P,	PVB_PTE_W,     PVB_PTE_U, PVB_PTE_PCD,
				 PVB_PTE_A,	PVB_PTE_D,     PVB_PTE_G, PVB_PTE_SOFT0,
				 PVB_PTE_SOFT2, PVB_PTE_SOFT3, PVB_PTE_NX };
#endif

#define NR_BITS (sizeof(bits) / sizeof(*bits))
#define ALL (1U << NR_BITS)
#define FRAME 0x12345000ULL
#define OTHER_FRAME 0x23456000ULL

static unsigned int number;

static uint64_t make(unsigned int set, uint64_t frame)
{
	uint64_t pte = frame;

	for (unsigned int i = 0; i < NR_BITS; i++)
		pte |= set >> i & 1 ? bits[i] : 0;
	return pte;
}

/* What hardware makes of an entry by a read, or by a write if it may be written. */
static uint64_t access(uint64_t pte, bool write)
{
	if (!pvb_pte_present(pte))
		return pte;
#ifdef PVB_PTE_DBM
	pte |= PVB_PTE_A;
	return write && (pte & PVB_PTE_DBM) ? pte & ~PVB_PTE_RDONLY : pte;
#else
	pte |= PVB_PTE_A;
	return write && (pte & PVB_PTE_W) ? pte | PVB_PTE_D : pte;
#endif
}

/* Everything that is not young or dirty. */
static uint64_t rest(uint64_t pte)
{
	return pvb_pte_mkold(pvb_pte_mkclean(pte));
}

static int wrong(const char *what, uint64_t old, uint64_t cur, uint64_t new, uint64_t result)
{
	printf("# %s: old %#018lx cur %#018lx new %#018lx result %#018lx\n", what,
	       (unsigned long)old, (unsigned long)cur, (unsigned long)new, (unsigned long)result);
	return 1;
}

/* One commit; @soft in terms of bit 2 of the soft bits. */
static int check(uint64_t old, uint64_t cur, uint64_t new)
{
	uint64_t result = pvb_merge_commit(old, new, cur, 0);
	uint64_t soft = pvb_pte_soft_mask(PVB_ENT_SOFT2);
	bool young = pvb_pte_young(new) || (pvb_pte_young(cur) && !pvb_pte_young(old));
	bool dirty = pvb_pte_dirty(new) || (pvb_pte_dirty(cur) && !pvb_pte_dirty(old));
	uint64_t flipped;

	if (pvb_merge_conflict(old, cur, 0))
		return wrong("hardware alone is a conflict", old, cur, new, result);
	if (rest(result) != rest(new))
		return wrong("more than A and D was merged", old, cur, new, result);
	if (pvb_pte_young(result) != young)
		return wrong("young", old, cur, new, result);
	if (pvb_pte_dirty(result) != dirty)
		return wrong("dirty", old, cur, new, result);
	if (!!(pvb_merge_carried(old, cur) & PVB_PTE_A) !=
		    (pvb_pte_young(cur) && !pvb_pte_young(old)) ||
	    !!(pvb_merge_carried(old, cur) & PVB_PTE_D) !=
		    (pvb_pte_dirty(cur) && !pvb_pte_dirty(old)))
		return wrong("carried", old, cur, new, result);
	/* A soft bit that moved is no conflict if it is said to be one, and stays. */
	flipped = cur ^ soft;
	if (!pvb_merge_conflict(old, flipped, 0) || pvb_merge_conflict(old, flipped, soft))
		return wrong("a soft bit", old, flipped, new, result);
	if (pvb_merge_commit(old, new, flipped, soft) !=
	    ((pvb_merge_commit(old, new, cur, 0) & ~soft) | (flipped & soft)))
		return wrong("a soft bit was not kept", old, flipped, new, result);
	return 0;
}

static int commits(unsigned long *cases)
{
	int failed = 0;

	for (unsigned int o = 0; o < ALL; o++) {
		uint64_t old = make(o, FRAME);

		for (unsigned int n = 0; n < ALL; n++) {
			uint64_t new = make(n, o % 2 ? FRAME : OTHER_FRAME);

			/* Nothing, a read, a write, and a page that another of the run dirtied. */
			failed += check(old, old, new);
			failed += check(old, access(old, false), new);
			failed += check(old, access(old, true), new);
			*cases += 3;
			if (failed > 5)
				return failed;
		}
	}
	return failed;
}

/* A template has the union of a run (law 2): each entry that was folded in still fits. */
static int templates(unsigned long *cases)
{
	int failed = 0;

	for (unsigned int o = 0; o < ALL; o++) {
		uint64_t first = make(o, FRAME);

		for (unsigned int k = 0; k < 4; k++) {
			uint64_t other = rest(first), template, result;

			/* An entry that may be dirty has to be one that can say so. */
			if (k & 1)
				other = pvb_pte_mkyoung(other);
			if (k & 2)
				other = pvb_pte_mkdirty(other);
			template = pvb_pte_fold(first, other);
			++*cases;
			if (pvb_merge_conflict(template, first, 0) ||
			    pvb_merge_conflict(template, other, 0))
				failed += wrong("conflict with a template", template, other, first,
						0);
			if (pvb_pte_young(template) != (pvb_pte_young(first) || (k & 1)) ||
			    pvb_pte_dirty(template) != (pvb_pte_dirty(first) || (k & 2)))
				failed += wrong("not the union", first, other, template, 0);
			/* And what a template without A and D stores is the entry's own. */
			result = pvb_merge_commit(rest(template), rest(first), other, 0);
			if (pvb_pte_young(result) != !!(k & 1) ||
			    pvb_pte_dirty(result) != !!(k & 2))
				failed += wrong("not the entry's own", template, other, first,
						result);
		}
	}
	return failed;
}

/* Any bit that hardware does not change, moved: a conflict. */
static int conflicts(unsigned long *cases)
{
	int failed = 0;

	for (unsigned int o = 0; o < ALL; o++) {
		uint64_t old = make(o, FRAME);

		for (unsigned int b = 0; b < 64; b++) {
			uint64_t cur = old ^ 1ULL << b;
			bool hardware = (1ULL << b) & (PVB_PTE_A | PVB_PTE_D);

#ifdef PVB_PTE_DBM
			hardware |= (old & PVB_PTE_DBM) && 1ULL << b == PVB_PTE_RDONLY;
#endif
			++*cases;
			if (pvb_merge_conflict(old, cur, 0) == hardware)
				failed += wrong("conflict", old, cur, 0, 0);
		}
	}
	return failed;
}

static int report(const char *what, int (*f)(unsigned long *cases))
{
	unsigned long cases = 0;
	int failed = f(&cases);

	printf("%sok %u - %s: %lu cases\n", failed ? "not " : "", ++number, what, cases);
	return failed;
}

int main(void)
{
	int failed;

	printf("1..3\n");
	failed = report("commits keep what hardware set, and only that", commits);
	failed += report("templates fit their runs", templates);
	failed += report("what else moves is a conflict", conflicts);
	return failed != 0;
}
