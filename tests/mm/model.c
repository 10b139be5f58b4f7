// SPDX-License-Identifier: GPL-2.0-only
/* Stage: tests of guest/mm - what a page is, in the model and in a page table. */
#include "model.h"

struct page model[SPACE_PAGES];

uint64_t page_encode(const struct page *page)
{
	uint64_t pte;

	if (page->content == NOTHING)
		return 0;
	if (page->content == LEAF)
		return pvb_swp_make(page->type, page->offset) |
		       (page->soft_dirty ? PVB_SWP_SOFT_DIRTY : 0) |
		       (page->uffd_wp ? PVB_SWP_UFFD_WP : 0) |
		       (page->exclusive ? PVB_SWP_EXCLUSIVE : 0);
	pte = pvb_pte_make(page->pfn, pvb_prot(page->prot));
	if (page->young)
		pte = pvb_pte_mkyoung(pte);
	if (page->dirty)
		pte = pvb_pte_mkdirty(pte);
	if (page->soft_dirty)
		pte = pvb_pte_mksoft_dirty(pte);
	if (page->special)
		pte = pvb_pte_mkspecial(pte);
	return page->uffd_wp ? pvb_pte_mkuffd_wp(pte) : pte;
}

static unsigned int prot_of(uint64_t pte)
{
	unsigned int prot = 0;

	if (!pvb_pte_present(pte))
		return 0;
	/* Execution has no accessor: compare with what such a page would look like. */
	if (!((pte ^ pvb_prot(PVB_PROT_READ | PVB_PROT_EXEC)) &
	      (pvb_prot(PVB_PROT_READ) ^ pvb_prot(PVB_PROT_READ | PVB_PROT_EXEC))))
		prot |= PVB_PROT_EXEC;
	if (pvb_pte_write(pte))
		prot |= PVB_PROT_WRITE;
	return prot | PVB_PROT_READ;
}

struct page page_decode(uint32_t at)
{
	uint64_t pte = *space_pte(at);
	struct page page = { .content = NOTHING };

	if (pvb_pte_none(pte))
		return page;
	if (!pvb_pte_mapped(pte)) {
		page.content = LEAF;
		page.type = pvb_swp_type(pte);
		page.offset = pvb_swp_offset(pte);
		page.soft_dirty = pte & PVB_SWP_SOFT_DIRTY;
		page.uffd_wp = pte & PVB_SWP_UFFD_WP;
		page.exclusive = pte & PVB_SWP_EXCLUSIVE;
		return page;
	}
	page.content = PAGE;
	page.pfn = pvb_pte_pfn(pte);
	page.prot = prot_of(pte);
	page.young = pvb_pte_young(pte);
	page.dirty = pvb_pte_dirty(pte);
	page.soft_dirty = pvb_pte_soft_dirty(pte);
	page.uffd_wp = pvb_pte_uffd_wp(pte);
	page.special = pvb_pte_special(pte);
	page.block = pvb_pte_cont(pte);
	for (uint32_t i = 0; page.block && i < PVB_CONT_PTES; i++) {
		uint64_t other = *space_pte((at & ~(PVB_CONT_PTES - 1)) + i);

		page.young |= pvb_pte_young(other);
		page.dirty |= pvb_pte_dirty(other);
	}
	return page;
}

static void describe(const char *who, const struct page *page)
{
	if (page->content == NOTHING) {
		printf("#   %s: nothing\n", who);
	} else if (page->content == LEAF) {
		printf("#   %s: soft leaf type %u offset %#lx%s%s%s\n", who, page->type,
		       (unsigned long)page->offset, page->soft_dirty ? " soft-dirty" : "",
		       page->uffd_wp ? " uffd-wp" : "", page->exclusive ? " exclusive" : "");
	} else {
		printf("#   %s: page %#lx %c%c%c%s%s%s%s%s%s\n", who, (unsigned long)page->pfn,
		       page->prot & PVB_PROT_READ ? 'r' : '-',
		       page->prot & PVB_PROT_WRITE ? 'w' : '-',
		       page->prot & PVB_PROT_EXEC ? 'x' : '-', page->young ? " young" : "",
		       page->dirty ? " dirty" : "", page->soft_dirty ? " soft-dirty" : "",
		       page->uffd_wp ? " uffd-wp" : "", page->special ? " special" : "",
		       page->block ? " block" : "");
	}
}

bool page_same(const struct page *a, const struct page *b)
{
	if (a->content != b->content)
		return false;
	if (a->content == LEAF)
		return a->type == b->type && a->offset == b->offset &&
		       a->soft_dirty == b->soft_dirty && a->uffd_wp == b->uffd_wp &&
		       a->exclusive == b->exclusive;
	return a->content == NOTHING ||
	       (a->pfn == b->pfn && a->prot == b->prot && a->young == b->young &&
		a->dirty == b->dirty && a->soft_dirty == b->soft_dirty &&
		a->uffd_wp == b->uffd_wp && a->special == b->special);
}

int64_t model_compare(uint32_t page, uint32_t nr, bool quiet)
{
	for (uint32_t i = page; i < page + nr; i++) {
		struct page got = page_decode(i);
		/* Blocks fall apart where an operation touches a part; they do not appear. */
		bool new_block = got.block && !model[i].block;

		if (page_same(&got, &model[i]) && !new_block) {
			model[i].block = got.block;
			continue;
		}
		if (quiet)
			return i;
		printf("# page %u (entry %#lx)%s\n", i, (unsigned long)*space_pte(i),
		       new_block ? " is in a block that nobody made" : "");
		describe("is    ", &got);
		describe("should", &model[i]);
		return i;
	}
	return -1;
}
