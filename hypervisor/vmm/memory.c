// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - guest RAM. The one place where a guest address becomes a host pointer;
 * everything else goes through memory_at() and its bounds.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <vmm/internal.h>

int memory_create(struct memory *mem, uint64_t bytes, struct vmm_error *error)
{
	void *ram;

	/* Untouched RAM costs nothing; a host that overcommits no memory may still say no. */
	ram = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (ram == MAP_FAILED)
		return vmm_error_set(error, VMM_FAULT_HOST, errno,
				     "no %llu MiB of memory for the guest: %s; use less (--memory)",
				     (unsigned long long)bytes >> 20, strerror(errno));
	/* A core file of the VMM is no place for the guest's secrets. */
	madvise(ram, bytes, MADV_DONTDUMP);
	mem->ram = ram;
	mem->bytes = bytes;
	return 0;
}

void memory_destroy(struct memory *mem)
{
	if (mem->ram)
		munmap(mem->ram, mem->bytes);
	mem->ram = NULL;
	mem->bytes = 0;
}

void *memory_at(const struct memory *mem, pvb_gpa_t gpa, uint64_t bytes)
{
	uint64_t at = pvb_gpa_raw(gpa);

	if (bytes > mem->bytes || at > mem->bytes - bytes)
		return NULL;
	return mem->ram + at;
}

int memory_read(const struct memory *mem, pvb_gpa_t gpa, void *dst, uint64_t bytes)
{
	const void *src = memory_at(mem, gpa, bytes);

	if (!src)
		return -PVB_EFAULT;
	memcpy(dst, src, bytes);
	return 0;
}

int memory_write(const struct memory *mem, pvb_gpa_t gpa, const void *src, uint64_t bytes)
{
	void *dst = memory_at(mem, gpa, bytes);

	if (!dst)
		return -PVB_EFAULT;
	memcpy(dst, src, bytes);
	return 0;
}
