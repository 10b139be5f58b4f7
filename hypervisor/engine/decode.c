// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host engine, 1 of 5: decode - from guest memory into host memory, once.
 *
 * Before: submit.c. After: validate.c, which looks at these copies and never at the
 * guest's memory: another vCPU may be rewriting it (law 7).
 */
#include "stages.h"

/* pvb_decode_header() - copy the IN half of the header. 0 or -PVB_EFAULT. */
int pvb_decode_header(struct pvb_work *work)
{
	void *ctx = work->vcpu->ctx;

	return work->backend->read_guest(ctx, work->buffer, &work->hdr, PVB_HDR_IN_BYTES) ?
		       -PVB_EFAULT :
		       0;
}

/*
 * pvb_decode_chunk() - copy entries @first to @first + @nr - 1 into the vCPU's chunk.
 * @nr: 1..PVB_CHUNK; the header check has bound @first + @nr by the buffer.
 * Returns 0 or -PVB_EFAULT.
 */
int pvb_decode_chunk(struct pvb_work *work, uint32_t first, uint32_t nr)
{
	struct pvb_vcpu *vcpu = work->vcpu;
	uint32_t bytes = nr * (uint32_t)sizeof(struct pvb_entry);

	return work->backend->read_guest(vcpu->ctx, pvb_entry_gpa(work, first), vcpu->chunk,
					 bytes) ?
		       -PVB_EFAULT :
		       0;
}
