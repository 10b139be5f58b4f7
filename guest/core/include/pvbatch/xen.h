/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: guest core, Xen transport - the batches of abi.h carried by Xen's PV interface.
 *
 * An unmodified Xen knows nothing of pvbatch. This transport answers the library's calls
 * inside the guest and hands what they ask for to Xen as mmu_update and mmuext_op in one
 * multicall. Guest-physical addresses are machine addresses here. docs/xen.md proves that
 * no Accessed or Dirty bit is lost on the way.
 *
 * Needs Xen's public headers (package libxen-dev); link guest/core/xen/ into the kernel.
 */
#ifndef PVBATCH_XEN_H
#define PVBATCH_XEN_H

#include <pvbatch/guest.h>

#ifndef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#endif
#include <xen/xen.h>

/* PTEs of one PVB_CALL_SUBMIT, that is of one multicall. What is more continues (law 5). */
#define PVB_XEN_WORK 512U
/* A flush of at most so many pages goes page by page, a larger one takes the whole TLB. */
#define PVB_XEN_INVLPG_MAX 8U

/* What the kernel around the transport provides. */
struct pvb_xen_ops {
	/* HYPERVISOR_multicall. */
	int64_t (*multicall)(struct multicall_entry *calls, uint32_t nr);
	/* The calling CPU's state. */
	struct pvb_xen_cpu *(*this_cpu)(void);
	/* Where the kernel can read the object at @machine; NULL: nowhere. */
	void *(*pointer_to)(pvb_gpa_t machine);
};

/* Counters of one CPU. */
struct pvb_xen_stats {
	uint64_t multicalls; /* hypercalls issued */
	uint64_t updates; /* mmu_update requests that Xen carried out */
	/* What was planned for PTEs (form.h); after a refusal the rest is planned again. */
	uint64_t preserved; /* MMU_PT_UPDATE_PRESERVE_AD */
	uint64_t stored; /* plain stores */
	uint64_t frozen; /* taken out first: two requests */
	uint64_t unchanged; /* nothing to do */
	uint64_t refused; /* requests that Xen refused */
	uint64_t stuck; /* PTEs that Xen did not even take back: lost mappings, not lost bits */
};

/* A PTE on its way. Private. */
struct pvb_xen_slot {
	uint64_t *pte;
	uint64_t cur; /* as read; with form FREEZE: as it was when it was taken out */
	uint16_t entry;
	uint16_t index; /* in the entry's run */
	bool carried; /* A or D that hardware has set is in what is stored */
};

/* One per CPU, about 30 KiB, zeroed before use. Private but for stats. */
struct pvb_xen_cpu {
	struct pvb_batch_hdr *buffer; /* as registered */
	uint32_t bytes;
	struct pvb_xen_stats stats;
	uint32_t nr_slots; /* also requests of the first multicall */
	uint32_t nr_frozen; /* also requests of the second */
	uint32_t done[2]; /* success counts, written by Xen */
	struct multicall_entry calls[2];
	struct mmuext_op flush[PVB_XEN_INVLPG_MAX];
	struct pvb_xen_slot slots[PVB_XEN_WORK];
	struct mmu_update first[PVB_XEN_WORK]; /* a request for each slot */
	uint16_t frozen[PVB_XEN_WORK]; /* slots that are taken out by it */
	struct mmu_update second[PVB_XEN_WORK]; /* what becomes of them */
};

struct pvb_xen {
	const struct pvb_xen_ops *ops;
	bool preserve_ad; /* XENFEAT_mmu_pt_update_preserve_ad */
};

/*
 * pvb_xen_call() - struct pvb_transport::call; ctx is a struct pvb_xen. Offers
 * PVB_F_HOST_APPLY, PVB_F_RESULTS and PVB_F_FLUSH; nothing where Xen lacks PRESERVE_AD.
 */
int64_t pvb_xen_call(void *ctx, enum pvb_call call, uint64_t a0, uint64_t a1);

#endif /* PVBATCH_XEN_H */
