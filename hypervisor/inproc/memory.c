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
 * Copies between host and guest memory. Another vCPU may be writing there meanwhile:
 * each word is read or written once, whole, which is also what keeps TSan content.
 */
int pvb_inproc_read(void *ctx, pvb_gpa_t gpa, void *dst, uint32_t bytes)
{
	struct pvb_inproc_vcpu *vcpu = ctx;
	const uint8_t *from = pvb_inproc_ptr(vcpu->host, gpa, bytes, false);
	uint8_t *to = dst;
	uint32_t i = 0;

	if (!from)
		return -PVB_EFAULT;
	if (!((uintptr_t)from % 8)) {
		for (; i + 8 <= bytes; i += 8) {
			uint64_t word =
				__atomic_load_n((const uint64_t *)(from + i), __ATOMIC_RELAXED);
			memcpy(to + i, &word, sizeof(word));
		}
	}
	for (; i < bytes; i++)
		to[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
	return 0;
}

int pvb_inproc_write(void *ctx, pvb_gpa_t gpa, const void *src, uint32_t bytes)
{
	struct pvb_inproc_vcpu *vcpu = ctx;
	uint8_t *to = pvb_inproc_ptr(vcpu->host, gpa, bytes, true);
	const uint8_t *from = src;
	uint32_t i = 0;

	if (!to)
		return -PVB_EFAULT;
	if (!((uintptr_t)to % 8)) {
		for (; i + 8 <= bytes; i += 8) {
			uint64_t word;

			memcpy(&word, from + i, sizeof(word));
			__atomic_store_n((uint64_t *)(to + i), word, __ATOMIC_RELAXED);
		}
	} else if (bytes == 2 && !((uintptr_t)to % 2)) { /* the answer of one entry */
		uint16_t half;

		memcpy(&half, from, sizeof(half));
		__atomic_store_n((uint16_t *)to, half, __ATOMIC_RELAXED);
		return 0;
	}
	for (; i < bytes; i++)
		__atomic_store_n(to + i, from[i], __ATOMIC_RELAXED);
	return 0;
}
