/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: guest core, Xen transport - which of Xen's requests does to one PTE exactly what
 * the A/D law demands, whatever hardware does in the meantime. Pure; docs/xen.md has the
 * proof in words, tests/xen/form.c enumerates it.
 *
 * Xen knows two requests: a plain store, which forgets what hardware has set since the
 * guest looked, and PRESERVE_AD (*pte = val | (*pte & AD)), which can clear nothing. Each
 * is exact for some updates. For the rest the entry is first taken out: PRESERVE_AD with
 * the value 0 leaves a non-present entry that holds the A and D of that moment, and that no
 * hardware walk changes any more; what it says decides what is stored.
 */
#ifndef PVBATCH_XEN_FORM_H
#define PVBATCH_XEN_FORM_H

#include <pvbatch/merge.h>

enum pvb_xen_form {
	PVB_XEN_NOTHING, /* the entry is what it has to be, and was so when it was read */
	PVB_XEN_STORE, /* MMU_NORMAL_PT_UPDATE */
	PVB_XEN_PRESERVE, /* MMU_PT_UPDATE_PRESERVE_AD */
	PVB_XEN_FREEZE, /* PRESERVE_AD with 0, then a store of what is right */
};

/*
 * pvb_xen_settable() - A and D that hardware may still set in an entry read as @cur.
 * D needs a writable entry (Intel SDM volume 3, 4.8; AMD APM volume 2, 5.4.2): a CPU with
 * an old writable translation that is not dirty walks the tables again to set D.
 */
static inline uint64_t pvb_xen_settable(uint64_t cur)
{
	uint64_t settable = PVB_PTE_A;

	if (!pvb_pte_present(cur))
		return 0;
	if (cur & PVB_PTE_W)
		settable |= PVB_PTE_D;
	return settable & ~cur;
}

/*
 * pvb_xen_form() - the form for an entry that was read as @cur.
 * @want: what it has to become if it still is @cur.
 * @want_set: what it has to become if hardware has set all it can, @cur | settable.
 * @reported: the caller needs to know A and D of the moment of the exchange.
 */
static inline enum pvb_xen_form pvb_xen_form(uint64_t cur, uint64_t want, uint64_t want_set,
					     bool reported)
{
	uint64_t settable = pvb_xen_settable(cur);
	uint64_t carried = (want ^ want_set) & PVB_PTE_AD;

	/* An exchange that changes nothing can be thought at the moment of the reading. */
	if (want == cur)
		return PVB_XEN_NOTHING;
	if (reported && settable)
		return PVB_XEN_FREEZE;
	if (!carried)
		return PVB_XEN_STORE;
	/* All that hardware may set is to be kept or set anyway, nothing set is cleared. */
	if (!(settable & ~(carried | want)) && !(cur & PVB_PTE_AD & ~want))
		return PVB_XEN_PRESERVE;
	return PVB_XEN_FREEZE;
}

#endif /* PVBATCH_XEN_FORM_H */
