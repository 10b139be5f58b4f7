// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - the guest's ELF64 image into guest RAM.
 *
 * The file is untrusted: each offset and size is checked against the file, RAM and the
 * other segments before a byte is copied, and sums cannot overflow because every term
 * was bounded first.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmm/internal.h>

#define MAX_SEGMENTS 64

struct segment {
	uint64_t start, end; /* gpa */
};

static int bad(struct vmm_error *error, const char *what)
{
	return vmm_error_set(error, VMM_FAULT_IMAGE, ENOEXEC, "not a guest image: %s", what);
}

static bool overlaps(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end)
{
	return a < b_end && b < a_end;
}

static int check_header(const Elf64_Ehdr *header, size_t bytes, struct vmm_error *error)
{
	if (bytes < sizeof(*header))
		return bad(error, "shorter than an ELF header");
	if (memcmp(header->e_ident, ELFMAG, SELFMAG))
		return bad(error, "no ELF file");
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
		return bad(error, "no 64-bit little-endian ELF file");
	if (header->e_machine != EM_X86_64)
		return bad(error, "built for another machine than x86-64");
	if (header->e_type != ET_EXEC)
		return bad(error, "no statically linked executable (ET_EXEC)");
	if (header->e_phentsize != sizeof(Elf64_Phdr))
		return bad(error, "program headers of an unknown size");
	if (!header->e_phnum)
		return bad(error, "no program headers");
	if (header->e_phoff > bytes ||
	    header->e_phnum > (bytes - header->e_phoff) / sizeof(Elf64_Phdr))
		return bad(error, "program headers lie outside the file (truncated?)");
	return 0;
}

/* Check one PT_LOAD segment against the file, RAM and the segments before it. */
static int check_segment(const Elf64_Phdr *ph, size_t bytes, const struct memory *mem,
			 const struct segment *others, unsigned int nr, struct vmm_error *error)
{
	uint64_t end;

	if (ph->p_filesz > ph->p_memsz)
		return bad(error, "a segment is larger in the file than in memory");
	if (ph->p_offset > bytes || ph->p_filesz > bytes - ph->p_offset)
		return bad(error, "a segment lies outside the file (truncated?)");
	if (!memory_at(mem, pvb_gpa(ph->p_paddr), ph->p_memsz))
		return vmm_error_set(error, VMM_FAULT_IMAGE, ENOEXEC,
				     "segment at %#llx, %llu bytes, lies beyond the guest's %llu "
				     "MiB of RAM; give it more (--memory)",
				     (unsigned long long)ph->p_paddr,
				     (unsigned long long)ph->p_memsz,
				     (unsigned long long)mem->bytes >> 20);
	end = ph->p_paddr + ph->p_memsz;
	if (overlaps(ph->p_paddr, end, PVB_BOOT_AREA, PVB_BOOT_AREA_END))
		return vmm_error_set(error, VMM_FAULT_IMAGE, ENOEXEC,
				     "segment at %#llx overlaps the boot area %#llx..%#llx",
				     (unsigned long long)ph->p_paddr, PVB_BOOT_AREA,
				     PVB_BOOT_AREA_END);
	for (unsigned int i = 0; i < nr; i++)
		if (overlaps(ph->p_paddr, end, others[i].start, others[i].end))
			return bad(error, "two segments overlap");
	return 0;
}

int elf_load(const void *image, size_t bytes, const struct memory *mem, struct elf_info *info,
	     struct vmm_error *error)
{
	struct segment segments[MAX_SEGMENTS];
	unsigned int nr = 0;
	Elf64_Ehdr header = { 0 };
	bool entry_loaded = false;
	int rc;

	/* Copies, because neither alignment nor the file's stability can be relied on. */
	memcpy(&header, image, bytes < sizeof(header) ? bytes : sizeof(header));
	rc = check_header(&header, bytes, error);
	if (rc)
		return rc;
	info->entry = header.e_entry;
	info->end = 0;

	for (unsigned int i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, (const char *)image + header.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type != PT_LOAD || !ph.p_memsz)
			continue;
		if (nr == MAX_SEGMENTS)
			return bad(error, "too many segments");
		rc = check_segment(&ph, bytes, mem, segments, nr, error);
		if (rc)
			return rc;
		/* RAM is fresh and zero: the part behind p_filesz needs no clearing. */
		memory_write(mem, pvb_gpa(ph.p_paddr), (const char *)image + ph.p_offset,
			     ph.p_filesz);
		segments[nr].start = ph.p_paddr;
		segments[nr].end = ph.p_paddr + ph.p_memsz;
		if (header.e_entry >= segments[nr].start && header.e_entry < segments[nr].end)
			entry_loaded = true;
		if (segments[nr].end > info->end)
			info->end = segments[nr].end;
		nr++;
	}
	if (!nr)
		return bad(error, "nothing to load");
	if (!entry_loaded)
		return bad(error, "the entry point lies in no segment");
	if (header.e_entry >= PVB_BOOT_MAPPED)
		return bad(error, "the entry point lies above the memory mapped at boot");
	return 0;
}

int elf_load_file(const char *path, const struct memory *mem, struct elf_info *info,
		  struct vmm_error *error)
{
	struct vmm_error inner = { 0 };
	struct stat st;
	void *image;
	int fd, rc;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return vmm_error_set(error, VMM_FAULT_IMAGE, errno, "cannot open guest %s: %s",
				     path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size) {
		close(fd);
		return vmm_error_set(error, VMM_FAULT_IMAGE, ENOEXEC,
				     "guest %s is empty or no regular file", path);
	}
	image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (image == MAP_FAILED)
		return vmm_error_set(error, VMM_FAULT_IMAGE, errno, "cannot read guest %s: %s",
				     path, strerror(errno));
	rc = elf_load(image, (size_t)st.st_size, mem, info, &inner);
	munmap(image, (size_t)st.st_size);
	if (rc)
		return vmm_error_set(error, inner.fault, -rc, "guest %s: %s", path, inner.text);
	return 0;
}
