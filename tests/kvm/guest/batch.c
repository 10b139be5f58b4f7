// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the guest that tests KVM's handler: batches, as abi.h has them.
 */
#include "guest.h"

uint8_t buffers[2][BUFFER_BYTES] __attribute__((aligned(4096)));

/* A host that has no memory is asked again, as long as one may: it may be made to fail. */
int64_t call(enum pvb_call nr, uint64_t a0, uint64_t a1)
{
	int64_t result;
	int tries = 0;

	do {
		result = vmmcall(PVB_HC_BASE + nr, a0, a1);
	} while (result == -PVB_ENOMEM && ++tries < 1000);
	return result;
}

int64_t negotiate(uint64_t features)
{
	static struct pvb_negotiate neg;

	neg = (struct pvb_negotiate){
		.magic = PVB_NEGOTIATE_MAGIC,
		.size = sizeof(neg),
		.pte_format = PVB_PTE_FORMAT,
		.version_min = 1,
		.version_max = 1,
		.features_wanted = features,
	};
	return call(PVB_CALL_NEGOTIATE, (uint64_t)&neg, 0);
}

struct pvb_batch_hdr *batch_begin(unsigned int cpu)
{
	struct pvb_batch_hdr *hdr = (struct pvb_batch_hdr *)buffers[cpu];

	*hdr = (struct pvb_batch_hdr){ .version = PVB_VERSION };
	return hdr;
}

struct pvb_entry *batch_add(struct pvb_batch_hdr *hdr, uint8_t op, const uint64_t *ptes,
			    uint16_t nr)
{
	struct pvb_entry *entry = (struct pvb_entry *)(hdr + 1) + hdr->nr++;

	*entry = (struct pvb_entry){ .pte_gpa = (uint64_t)ptes, .nr = nr, .op = op };
	return entry;
}

/* batch_submit() - to its end, however many calls it takes. */
int64_t batch_submit(struct pvb_batch_hdr *hdr)
{
	int64_t result = call(PVB_CALL_SUBMIT, 0, 0);

	while (result == PVB_SUBMIT_PARTIAL) {
		hdr->start = hdr->done;
		hdr->skip = hdr->done_ptes;
		result = call(PVB_CALL_SUBMIT, 0, 0);
	}
	return result;
}

int64_t name_run(const uint64_t *ptes, uint16_t nr, enum pvb_flush flush)
{
	struct pvb_batch_hdr *hdr = batch_begin(0);

	batch_add(hdr, PVB_OP_CHANGED, ptes, nr);
	hdr->flush = (uint8_t)flush;
	return batch_submit(hdr);
}
