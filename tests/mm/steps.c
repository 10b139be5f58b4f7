// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests of guest/mm - each step twice: on the model, page by page, as the
 * documentation says it; and by guest/mm. Where an operation returns something, that is
 * compared here; the pages are compared by the caller.
 */
#include <string.h>

#include "model.h"

static char message[160];

#define FAIL(...) (snprintf(message, sizeof(message), __VA_ARGS__), (const char *)message)

/* Call @f for each piece of [page, page + nr) in one table, locked and in lazy mode. */
static void pieces(const struct step *step, void (*f)(uint32_t page, uint32_t nr, void *arg),
		   void *arg)
{
	for (uint32_t at = step->page, n, left = step->nr; left; at += n, left -= n) {
		n = space_piece(at, left);
		space_lock(at);
		pvb_lazy_enter(space_cpu());
		f(at, n, arg);
		pvb_flush_range(space_cpu(), pvb_gva(space_va(at)), n, 0);
		pvb_lazy_leave(space_cpu());
		space_unlock(at);
	}
}

/* A page of a block shares its A and D with the others. */
static void mark(uint32_t at, bool write)
{
	uint32_t first = model[at].block ? at & ~(PVB_CONT_PTES - 1) : at;
	uint32_t nr = model[at].block ? PVB_CONT_PTES : 1;

	for (uint32_t i = first; i < first + nr; i++) {
		model[i].young = true;
		model[i].dirty |= write;
	}
}

static struct page page_of_state(const struct step *step, uint32_t i)
{
	struct page page = {
		.content = step->a & STATE_NOTHING ? NOTHING :
			   step->a & STATE_LEAF	   ? LEAF :
						     PAGE,
		.prot = step->a & STATE_PROT,
		.young = step->a & STATE_YOUNG,
		.dirty = step->a & STATE_DIRTY,
		.soft_dirty = step->a & STATE_SOFT_DIRTY,
		.uffd_wp = step->a & STATE_UFFD_WP,
		.special = step->a & STATE_SPECIAL,
		.exclusive = step->a & STATE_EXCLUSIVE,
		.type = step->a >> STATE_TYPE_SHIFT & 31,
		.pfn = space.memory + (step->b + i) % SPACE_MEMORY,
		.offset = space.memory + (step->b + i) % SPACE_MEMORY,
	};

	if ((step->a & STATE_MIXED) && page.content == PAGE) {
		page.young ^= i & 1;
		page.dirty ^= i >> 1 & 1;
		page.soft_dirty ^= i % 3 == 1;
	}
	/* Accessible is readable; a page that reports writes is not writable. */
	if (page.prot)
		page.prot |= PVB_PROT_READ;
	if (page.uffd_wp)
		page.prot &= ~PVB_PROT_WRITE;
	if (page.content == LEAF && page.type == PVB_SWP_MARKER)
		page.offset = 1ULL << step->b % 3;
	return page;
}

static const char *state(const struct step *step)
{
	const struct pvb_flush_req all = { .type = PVB_FLUSH_ALL };
	struct pvb_inproc *host = space.machine.host;

	for (uint32_t i = 0; i < step->nr; i++) {
		model[step->page + i] = page_of_state(step, i);
		*space_pte(step->page + i) = page_encode(&model[step->page + i]);
	}
	for (unsigned int i = 0; i < host->config.nr_vcpus; i++)
		pvb_inproc_flush_vcpu(&host->vcpus[i], &all);
	return NULL;
}

/* Mapping: into the holes of the range, consecutive pages for consecutive addresses. */
static void map_piece(uint32_t page, uint32_t nr, void *arg)
{
	const struct step *step = arg;

	for (uint32_t at = page, n; at < page + nr; at += n) {
		uint64_t pte;

		n = 1;
		if (model[at].content != NOTHING)
			continue;
		while (at + n < page + nr && model[at + n].content == NOTHING &&
		       (step->b + at + n - step->page) % SPACE_MEMORY)
			n++;
		for (uint32_t i = at; i < at + n; i++) {
			struct step one = { .a = step->a & ~(STATE_LEAF | STATE_NOTHING),
					    .b = step->b };

			model[i] = page_of_state(&one, i - step->page);
		}
		pte = page_encode(&model[at]);
		pvb_set_new_ptes(space_cpu(), space_va(at), space_pte(at), pte, n);
		/* Aligned in both, and accessible: contiguous. */
		for (uint32_t i = at; i < at + n; i++) {
			model[i].block = PVB_CONT_PTES > 1 && i - i % PVB_CONT_PTES >= at &&
					 i - i % PVB_CONT_PTES + PVB_CONT_PTES <= at + n &&
					 model[i].prot &&
					 model[i].pfn % PVB_CONT_PTES == i % PVB_CONT_PTES;
		}
	}
}

static const char *map(const struct step *step)
{
	pieces(step, map_piece, (void *)step);
	return NULL;
}

/* One page's change of protection. Returns whether it counts as changed. */
static bool protect_page(struct page *page, unsigned int prot, unsigned int flags)
{
	const struct pvb_vma *vma = &space.vma;
	struct pvb_folio folio;
	bool has_folio = space_folio(page->pfn, &folio);

	if ((flags & PVB_CP_PROT_NUMA) &&
	    (!page->prot || !has_folio || space_is_numa_skipped(folio.pfn)))
		return false;
	page->prot = prot ? prot | PVB_PROT_READ : 0;
	if (flags & PVB_CP_UFFD_WP)
		page->uffd_wp = true;
	else if (flags & PVB_CP_UFFD_WP_RESOLVE)
		page->uffd_wp = false;
	if (page->uffd_wp)
		page->prot &= ~PVB_PROT_WRITE;

	if (!(flags & PVB_CP_TRY_CHANGE_WRITABLE) || !(vma->flags & PVB_VM_WRITE) || !page->prot ||
	    page->uffd_wp)
		return true;
	if (!(vma->flags & PVB_VM_SOFTDIRTY) && !page->soft_dirty)
		return true; /* the first write is to be noticed */
	if (vma->flags & PVB_VM_SHARED ? page->dirty :
					 has_folio && folio.anon && space_is_exclusive(page->pfn))
		page->prot |= PVB_PROT_WRITE;
	return true;
}

static bool protect_leaf(struct page *page, unsigned int flags)
{
	struct page before = *page;
	struct pvb_folio folio;

	switch (page->type) {
	case PVB_SWP_MIGRATION_WRITE:
		page->type = space_folio(page->offset, &folio) && folio.anon ?
				     PVB_SWP_MIGRATION_READ_EXCLUSIVE :
				     PVB_SWP_MIGRATION_READ;
		page->exclusive = false;
		break;
	case PVB_SWP_DEVICE_WRITE:
		page->type = PVB_SWP_DEVICE_READ;
		page->soft_dirty = page->exclusive = false;
		break;
	case PVB_SWP_MARKER:
		if (page->offset == PVB_MARKER_UFFD_WP && (flags & PVB_CP_UFFD_WP_RESOLVE)) {
			*page = (struct page){ .content = NOTHING };
			return true;
		}
		return false;
	default:
		break;
	}
	if (flags & PVB_CP_UFFD_WP)
		page->uffd_wp = true;
	else if (flags & PVB_CP_UFFD_WP_RESOLVE)
		page->uffd_wp = false;
	return !page_same(&before, page);
}

static const char *protect(const struct step *step)
{
	unsigned int prot = step->b & PVB_CP_PROT_NUMA ? 0 : step->a & 7;
	unsigned int flags = step->b;
	int64_t want = 0, got;

	if (prot)
		prot |= PVB_PROT_READ;
	for (uint32_t i = step->page; i < step->page + step->nr; i++) {
		struct page *page = &model[i];

		if (page->content == PAGE) {
			want += protect_page(page, prot, flags);
		} else if (page->content == LEAF) {
			want += protect_leaf(page, flags);
		} else if ((flags & PVB_CP_UFFD_WP) && (space.vma.flags & PVB_VM_UFFD_MARKERS)) {
			*page = (struct page){ .content = LEAF,
					       .type = PVB_SWP_MARKER,
					       .offset = PVB_MARKER_UFFD_WP };
			want++;
		}
	}
	got = pvb_change_protection(&space.vma, space_va(step->page),
				    space_va(step->page + step->nr), pvb_prot(prot), flags);
	if (got != want)
		return FAIL("change_protection returned %ld, not %ld", (long)got, (long)want);
	return NULL;
}

static void fork_piece(uint32_t page, uint32_t nr, void *arg)
{
	(void)arg;
	pvb_wrprotect_ptes(space_cpu(), space_va(page), space_pte(page), nr);
}

static void free_piece(uint32_t page, uint32_t nr, void *arg)
{
	pvb_clear_young_dirty_ptes(space_cpu(), space_va(page), space_pte(page), nr,
				   *(unsigned int *)arg);
}

static const char *clear_young_dirty(const struct step *step)
{
	unsigned int flags = PVB_CLEAR_YOUNG | (step->kind == STEP_FREE ? PVB_CLEAR_DIRTY : 0);

	for (uint32_t i = step->page; i < step->page + step->nr; i++) {
		model[i].young = false;
		model[i].dirty &= step->kind == STEP_AGE;
	}
	pieces(step, free_piece, &flags);
	return NULL;
}

static const char *fork_style(const struct step *step)
{
	for (uint32_t i = step->page; i < step->page + step->nr; i++)
		model[i].prot &= ~PVB_PROT_WRITE;
	pieces(step, fork_piece, NULL);
	return NULL;
}

/* Runs of pages, and of what is no page, are unmapped apart: what is returned is A and D. */
static void unmap_piece(uint32_t page, uint32_t nr, void *arg)
{
	const char **failed = arg;

	for (uint32_t at = page, n; at < page + nr; at += n) {
		struct page want = model[at];
		uint64_t pte;

		for (n = 1; at + n < page + nr && model[at + n].content == want.content; n++) {
			want.young |= model[at + n].young;
			want.dirty |= model[at + n].dirty;
		}
		pte = pvb_get_and_clear_full_ptes(space_cpu(), space_va(at), space_pte(at), n);
		if (want.content == PAGE &&
		    (pvb_pte_young(pte) != want.young || pvb_pte_dirty(pte) != want.dirty ||
		     pvb_pte_pfn(pte) != want.pfn))
			*failed = FAIL("get_and_clear of %u+%u returned %#lx", at, n,
				       (unsigned long)pte);
		for (uint32_t i = at; i < at + n; i++)
			model[i] = (struct page){ .content = NOTHING };
	}
}

static const char *unmap(const struct step *step)
{
	const char *failed = NULL;

	pieces(step, unmap_piece, &failed);
	return failed;
}

static void leaf_piece(uint32_t page, uint32_t nr, void *arg)
{
	const struct step *step = arg;

	for (uint32_t i = page; i < page + nr; i++)
		pvb_set_ptes(space_cpu(), space_pte(i), page_encode(&model[i]), 1, 0);
	(void)step;
}

static const char *leaves(const struct step *step)
{
	const char *failed = unmap(step);

	for (uint32_t i = 0; i < step->nr; i++) {
		struct step one = { .a = step->a | STATE_LEAF, .b = step->b };

		model[step->page + i] = page_of_state(&one, i);
	}
	pieces(step, leaf_piece, (void *)step);
	return failed;
}

/* The touched range and the count of a walk. */
static const char *check_touched(const struct pvb_touched *got, const struct pvb_touched *want)
{
	if (got->total == want->total &&
	    (!want->total || (got->start == want->start && got->end == want->end)))
		return NULL;
	return FAIL("touched %lu in [%#lx, %#lx), not %lu in [%#lx, %#lx)",
		    (unsigned long)got->total, (unsigned long)got->start, (unsigned long)got->end,
		    (unsigned long)want->total, (unsigned long)want->start,
		    (unsigned long)want->end);
}

static void expect_touched(struct pvb_touched *want, uint32_t page)
{
	if (!want->total++)
		want->start = space_va(page);
	want->end = space_va(page + 1);
}

static const char *wrprotect(const struct step *step)
{
	struct pvb_touched got, want = { 0 };
	int r;

	for (uint32_t i = step->page; i < step->page + step->nr; i++) {
		if (model[i].content != PAGE || !(model[i].prot & PVB_PROT_WRITE))
			continue;
		model[i].prot &= ~PVB_PROT_WRITE;
		expect_touched(&want, i);
	}
	r = pvb_wrprotect_range(&space.vma, space_va(step->page), space_va(step->page + step->nr),
				PVB_HUGE_REFUSE, &got);
	return r ? FAIL("wrprotect_range returned %d", r) : check_touched(&got, &want);
}

static const char *clean(const struct step *step)
{
	uint64_t bits[SPACE_PAGES / 64] = { 0 }, expected[SPACE_PAGES / 64] = { 0 };
	struct pvb_dirty_bitmap bitmap = { .bits = SPACE_PAGES, .map = bits };
	struct pvb_touched got, want = { 0 };
	uint64_t first = 0, last = 0;
	int r;

	for (uint32_t i = step->page; i < step->page + step->nr; i++) {
		if (model[i].content != PAGE || !model[i].dirty)
			continue;
		model[i].dirty = false;
		expected[i / 64] |= 1ULL << i % 64;
		if (!want.total)
			first = i;
		last = i + 1;
		expect_touched(&want, i);
	}
	r = pvb_clean_record_range(&space.vma, space_va(step->page),
				   space_va(step->page + step->nr), PVB_HUGE_REFUSE, &bitmap, &got);
	if (r)
		return FAIL("clean_record_range returned %d", r);
	if (memcmp(bits, expected, sizeof(bits)))
		return FAIL("clean_record_range recorded other pages");
	if (want.total && (bitmap.first != first || bitmap.last != last))
		return FAIL("bitmap from %lu to %lu, not %lu to %lu", (unsigned long)bitmap.first,
			    (unsigned long)bitmap.last, (unsigned long)first, (unsigned long)last);
	return check_touched(&got, &want);
}

static const char *access_pages(const struct step *step)
{
	bool write = step->a & 1;

	for (uint32_t i = step->page; i < step->page + step->nr; i++) {
		bool can = model[i].content == PAGE && model[i].prot &&
			   (!write || (model[i].prot & PVB_PROT_WRITE));

		if (space_access(step->b % space.config.nr_vcpus, i, write) != can)
			return FAIL("%s of page %u %s", write ? "write" : "read", i,
				    can ? "faults" : "does not fault");
		if (can)
			mark(i, write);
	}
	return NULL;
}

/* How many pages from @page on, at most @nr, are alike but for A, D and, if @mixed, soft-dirty? */
static uint32_t alike(uint32_t page, uint32_t nr, bool mixed)
{
	const struct page *first = &model[page];
	uint32_t n = 1;

	for (; n < nr; n++) {
		const struct page *next = first + n;

		if (next->content != PAGE || next->pfn != first->pfn + n ||
		    next->prot != first->prot ||
		    (!mixed && next->soft_dirty != first->soft_dirty) ||
		    next->uffd_wp != first->uffd_wp || next->special != first->special)
			break;
	}
	return n;
}

static const char *transaction(const struct step *step)
{
	bool pieces = step->b & TRANSACTION_PIECES;
	uint32_t page = step->page, nr = alike(page, space_piece(page, step->nr), pieces);
	uint32_t touched = page + (step->b & ~TRANSACTION_PIECES) % nr;
	uint32_t first = pieces && nr > 1 ? nr / 2 : nr;
	uint8_t soft = pieces ? PVB_ENT_SOFT_DIRTY : 0;
	unsigned int prot = step->a & 7 ? (step->a & 7) | PVB_PROT_READ : 0;
	bool young = false, dirty = false;
	struct pvb_cpu *c = space_cpu();
	uint64_t old, new;

	if (model[page].content != PAGE)
		return NULL;
	if (model[page].uffd_wp)
		prot &= ~PVB_PROT_WRITE;
	for (uint32_t i = page; i < page + nr; i++) {
		young |= model[i].young;
		dirty |= model[i].dirty;
	}
	space_lock(page);
	pvb_lazy_enter(c);
	old = pvb_modify_prot_start_ptes(c, space_va(page), space_pte(page), nr);
	if (pvb_pte_young(old) != young || pvb_pte_dirty(old) != dirty)
		return FAIL("start returned %#lx", (unsigned long)old);
	if (space_access(0, touched, true))
		mark(touched, true);
	new = pvb_pte_modify(old, pvb_prot(prot));
	if (pvb_pte_uffd_wp(old))
		new = pvb_pte_mkuffd_wp(new);
	pvb_modify_prot_commit_ptes(c, space_va(page), space_pte(page), old, new, first, soft);
	if (first < nr)
		pvb_modify_prot_commit_ptes(c, space_va(page + first), space_pte(page + first),
					    pvb_pte_advance(old, first),
					    pvb_pte_advance(new, first), nr - first, soft);
	pvb_flush_range(c, pvb_gva(space_va(page)), nr, 0);
	pvb_lazy_leave(c);
	space_unlock(page);
	for (uint32_t i = page; i < page + nr; i++) {
		model[i].prot = prot;
		model[i].young |= young;
		model[i].dirty |= dirty;
	}
	return NULL;
}

const char *step_run(const struct step *step)
{
	static const char *(*const runs[NR_STEPS])(const struct step *step) = {
		[STEP_STATE] = state,
		[STEP_MAP] = map,
		[STEP_PROTECT] = protect,
		[STEP_FORK] = fork_style,
		[STEP_FREE] = clear_young_dirty,
		[STEP_AGE] = clear_young_dirty,
		[STEP_UNMAP] = unmap,
		[STEP_WRPROTECT] = wrprotect,
		[STEP_CLEAN] = clean,
		[STEP_LEAF] = leaves,
		[STEP_ACCESS] = access_pages,
		[STEP_TRANSACTION] = transaction,
	};
	uint64_t bugs = space.bugs;
	const char *failed = runs[step->kind](step);

	if (!failed && space.bugs != bugs)
		return FAIL("transaction rule broken: %s", space.bug);
	if (!failed && space_conflicts() && !space.sabotaged)
		return FAIL("a TLB holds part of a block as what it is no more");
	return failed;
}
