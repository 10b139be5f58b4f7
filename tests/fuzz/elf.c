// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, fuzzing - fuzz-elf: the VMM's loader of guest images. What is loaded lies
 * inside RAM and outside of the boot area, and is what the file says.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmm/internal.h>

#include "fuzz.h"

#define RAM (4ULL << 20)

static struct memory memory;
static uint8_t *ram;

static void fail(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

static void check(const struct elf_info *info)
{
	if (!info->end || info->end > RAM || info->entry >= info->end)
		fail("the image ends outside of RAM, or its entry does");
	for (uint64_t at = PVB_BOOT_AREA; at < PVB_BOOT_AREA_END; at++)
		if (memory.ram[at])
			fail("the boot area was written to");
	for (uint64_t at = info->end; at < RAM; at += PVB_PAGE_SIZE)
		if (memory.ram[at])
			fail("memory behind the image was written to");
}

/* The same by way of a file, as the VMM does it. Returns elf_load_file()'s result. */
static int load_file(const uint8_t *image, size_t size)
{
	static int fd = -1;
	struct vmm_error error = { 0 };
	struct elf_info info = { 0 };
	char path[40];

	if (fd < 0)
		fd = memfd_create("image", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, image, size, 0) != (ssize_t)size)
		fail("no file");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return elf_load_file(path, &memory, &info, &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmm_error error = { 0 };
	struct elf_info info = { 0 };
	uint8_t *image = malloc(size ? size : 1); /* of the exact size, for the sanitizer */
	int rc, again;

	if (!ram)
		ram = malloc(RAM);
	if (!image || !ram)
		fail("no memory");
	memory.ram = ram;
	memory.bytes = RAM;
	memset(memory.ram, 0, RAM);
	memcpy(image, data, size);
	rc = elf_load(image, size, &memory, &info, &error);
	if (!rc)
		check(&info);
	else if (error.fault != VMM_FAULT_IMAGE || !error.text[0] || strchr(error.text, '\n'))
		fail("refused without a line that says why");
	again = load_file(image, size);
	if (again != rc)
		fail("from a file it is another image");
	free(image);
	return 0;
}

/* A program header that makes sense, or nearly. */
static void make(uint8_t *to)
{
	Elf64_Phdr ph = {
		.p_type = random_below(8) ? PT_LOAD : random_below(8),
		.p_offset = random_below(4) ? random_below(512) : random_value(),
		.p_paddr = random_below(4) ? random_below(RAM) : random_value(),
		.p_filesz = random_below(4) ? random_below(256) : random_value(),
	};

	ph.p_vaddr = ph.p_paddr;
	ph.p_memsz = random_below(4) ? ph.p_filesz + random_below(8192) : random_value();
	memcpy(to, &ph, sizeof(ph));
}

static void change(uint8_t *to)
{
	uint64_t value = random_value();

	memcpy(to + 8 * random_below(sizeof(Elf64_Phdr) / 8), &value, sizeof(value));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	Elf64_Ehdr header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1 },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_phentsize = sizeof(Elf64_Phdr),
	};
	Elf64_Phdr first;

	random_seed(seed);
	size = mutate_records(data, size, max_size, sizeof(header), sizeof(Elf64_Phdr), make,
			      change);
	if (size < sizeof(header) + sizeof(first) || !random_below(4))
		return LLVMFuzzerMutate(data, size, max_size);
	/* Mostly a header that fits to what is behind it. */
	memcpy(&first, data + sizeof(header), sizeof(first));
	header.e_phoff = sizeof(header);
	header.e_phnum = (uint16_t)((size - sizeof(header)) / sizeof(first));
	header.e_entry = first.p_paddr + random_below(16);
	memcpy(data, &header, sizeof(header));
	return size;
}
