// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host, in-process backend - guest memory. The one file of this backend that
 * turns a guest address into a host pointer.
 */
#include <assert.h>
#include <string.h>

#include "inproc.h"

void *pvb_inproc_ptr(const struct pvb_inproc *host, pvb_gpa_t gpa, uint64_t bytes, bool write)
{
	const struct pvb_inproc_config *config = &host->config;
	uint64_t at = pvb_gpa_raw(gpa);

	if (at >= config->ram_bytes || bytes > config->ram_bytes - at)
		return NULL;
	if (write && config->rom_bytes && at < config->rom_gpa + config->rom_bytes &&
	    config->rom_gpa < at + bytes)
		return NULL;
	return host->ram + at;
}

pvb_gpa_t pvb_inproc_gpa_of(const struct pvb_inproc *host, const volatile void *ptr)
{
	uint64_t at = (uint64_t)((const volatile uint8_t *)ptr - host->ram);

	assert(at < host->config.ram_bytes);
	return pvb_gpa(at);
}

pvb_gpa_t pvb_inproc_alloc(struct pvb_inproc *host, uint64_t pages)
{
	uint64_t bytes = pages * PVB_PAGE_SIZE;
	uint64_t at = __atomic_fetch_add(&host->next_page, bytes, __ATOMIC_RELAXED);
	void *ptr = pvb_inproc_ptr(host, pvb_gpa(at), bytes, true);

	assert(ptr);
	memset(ptr, 0, bytes);
	return pvb_gpa(at);
}

/*
 * Copies between host and guest memory. Another vCPU may be writing there meanwhile, and
 * whatever bytes come of that are what the engine then checks. TSan wants to be told
 * that this is meant: atomic bytes.
 */
static void copy(void *dst, const void *src, uint32_t bytes)
{
#ifdef PVB_TSAN
	const uint8_t *from = src;
	uint8_t *to = dst;

	while (bytes--)
		__atomic_store_n(to++, __atomic_load_n(from++, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
#else
	memcpy(dst, src, bytes);
#endif
}

int pvb_inproc_read(void *ctx, pvb_gpa_t gpa, void *dst, uint32_t bytes)
{
	struct pvb_inproc_vcpu *vcpu = ctx;
	const void *from = pvb_inproc_ptr(vcpu->host, gpa, bytes, false);

	if (!from)
		return -PVB_EFAULT;
	copy(dst, from, bytes);
	return 0;
}

int pvb_inproc_write(void *ctx, pvb_gpa_t gpa, const void *src, uint32_t bytes)
{
	struct pvb_inproc_vcpu *vcpu = ctx;
	void *to = pvb_inproc_ptr(vcpu->host, gpa, bytes, true);

	if (!to)
		return -PVB_EFAULT;
	copy(to, src, bytes);
	return 0;
}

int pvb_inproc_write_answers(void *ctx, pvb_gpa_t gpa, const uint16_t *answers, uint32_t nr)
{
	struct pvb_inproc_vcpu *vcpu = ctx;
	struct pvb_entry *to = pvb_inproc_ptr(vcpu->host, gpa, nr * sizeof(*to), true);
	uint32_t i;

	if (!to)
		return -PVB_EFAULT;
	for (i = 0; i < nr; i++)
		__atomic_store_n(&to[i].answer, answers[i], __ATOMIC_RELAXED);
	return 0;
}
