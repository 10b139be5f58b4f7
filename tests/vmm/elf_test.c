// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the ELF loader against files that lie: each field wrong in turn, each
 * refused with one line and nothing written outside of RAM.
 */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vmm/internal.h>

#define RAM (4ULL << 20)
#define AT 0x100000ULL
#define CONTENT_BYTES 256

/* A correct image of two segments; each test spoils one thing. */
struct image {
	Elf64_Ehdr header;
	Elf64_Phdr ph[2];
	uint8_t content[CONTENT_BYTES];
};

static struct memory memory;

static struct image good(void)
{
	struct image image = {
		.header = { .e_type = ET_EXEC,
			    .e_machine = EM_X86_64,
			    .e_version = EV_CURRENT,
			    .e_entry = AT,
			    .e_phoff = offsetof(struct image, ph),
			    .e_ehsize = sizeof(Elf64_Ehdr),
			    .e_phentsize = sizeof(Elf64_Phdr),
			    .e_phnum = 2 },
		.ph = { { .p_type = PT_LOAD,
			  .p_offset = offsetof(struct image, content),
			  .p_vaddr = AT,
			  .p_paddr = AT,
			  .p_filesz = CONTENT_BYTES,
			  .p_memsz = CONTENT_BYTES },
			{ .p_type = PT_LOAD,
			  .p_offset = offsetof(struct image, content),
			  .p_vaddr = AT + 0x1000,
			  .p_paddr = AT + 0x1000,
			  .p_filesz = 16,
			  .p_memsz = 0x2000 } },
	};

	memcpy(image.header.e_ident, ELFMAG, SELFMAG);
	image.header.e_ident[EI_CLASS] = ELFCLASS64;
	image.header.e_ident[EI_DATA] = ELFDATA2LSB;
	memset(image.content, 0x90, CONTENT_BYTES);
	return image;
}

/* From a heap block of the exact size, so that ASan sees each byte read too many. */
static int load(const struct image *image, size_t bytes, struct elf_info *info,
		struct vmm_error *error)
{
	void *copy = malloc(bytes ? bytes : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, image, bytes);
	memset(error, 0, sizeof(*error));
	rc = elf_load(copy, bytes, &memory, info, error);
	free(copy);
	return rc;
}

static void refused(const struct image *image, size_t bytes, const char *why)
{
	struct vmm_error error;
	struct elf_info info;

	assert_int_equal(load(image, bytes, &info, &error), -ENOEXEC);
	assert_int_equal(error.fault, VMM_FAULT_IMAGE);
	if (!strstr(error.text, why) || strchr(error.text, '\n'))
		fail_msg("'%s' does not say '%s' on one line", error.text, why);
}

static void loads(void **state)
{
	struct image image = good();
	struct vmm_error error;
	struct elf_info info;
	const uint8_t *at;

	(void)state;
	assert_int_equal(load(&image, sizeof(image), &info, &error), 0);
	assert_int_equal(info.entry, AT);
	assert_int_equal(info.end, AT + 0x3000);
	at = memory_at(&memory, pvb_gpa(AT), 0x3000);
	assert_int_equal(at[CONTENT_BYTES - 1], 0x90);
	assert_int_equal(at[CONTENT_BYTES], 0);
	assert_int_equal(at[0x1000 + 15], 0x90);
	assert_int_equal(at[0x1000 + 16], 0);
}

/* Cut off anywhere, it is refused or, behind the last byte needed, loaded: never a crash. */
static void truncated(void **state)
{
	struct image image = good();
	struct vmm_error error;
	struct elf_info info;

	(void)state;
	for (size_t bytes = 0; bytes < sizeof(image); bytes++)
		assert_int_equal(load(&image, bytes, &info, &error), -ENOEXEC);
	refused(&image, sizeof(image) - 1, "truncated");
}

#define SPOIL(field, value, why)                         \
	do {                                             \
		struct image spoiled = good();           \
		spoiled.field = (value);                 \
		refused(&spoiled, sizeof(spoiled), why); \
	} while (0)

static void header(void **state)
{
	(void)state;
	SPOIL(header.e_ident[0], 'X', "no ELF file");
	SPOIL(header.e_ident[EI_CLASS], ELFCLASS32, "64-bit");
	SPOIL(header.e_ident[EI_DATA], ELFDATA2MSB, "little-endian");
	SPOIL(header.e_machine, EM_AARCH64, "another machine");
	SPOIL(header.e_type, ET_DYN, "ET_EXEC");
	SPOIL(header.e_type, ET_REL, "ET_EXEC");
	SPOIL(header.e_phentsize, 55, "unknown size");
	SPOIL(header.e_phnum, 0, "no program headers");
	SPOIL(header.e_phnum, 0xffff, "outside the file");
	SPOIL(header.e_phoff, sizeof(struct image), "outside the file");
	SPOIL(header.e_phoff, ~0ULL, "outside the file");
	SPOIL(header.e_phoff, ~0ULL - 64, "outside the file");
	SPOIL(header.e_entry, 0, "entry point");
	SPOIL(header.e_entry, AT + 0x3000, "entry point");
	SPOIL(header.e_entry, ~0ULL, "entry point");
}

static void segments(void **state)
{
	(void)state;
	SPOIL(ph[0].p_offset, sizeof(struct image) + 1, "outside the file");
	SPOIL(ph[0].p_offset, ~0ULL, "outside the file");
	SPOIL(ph[0].p_offset, ~0ULL - CONTENT_BYTES + 1, "outside the file");
	SPOIL(ph[0].p_filesz, CONTENT_BYTES + 1, "larger in the file");
	SPOIL(ph[0].p_memsz, CONTENT_BYTES - 1, "larger in the file");
	SPOIL(ph[0].p_memsz, ~0ULL, "beyond the guest's");
	SPOIL(ph[0].p_paddr, RAM, "beyond the guest's");
	SPOIL(ph[0].p_paddr, RAM - CONTENT_BYTES + 1, "beyond the guest's");
	SPOIL(ph[0].p_paddr, ~0ULL, "beyond the guest's");
	SPOIL(ph[0].p_paddr, ~0ULL - CONTENT_BYTES + 1, "beyond the guest's");
	SPOIL(ph[0].p_paddr, PVB_BOOT_AREA, "boot area");
	SPOIL(ph[0].p_paddr, PVB_BOOT_AREA - 1, "boot area");
	SPOIL(ph[0].p_paddr, PVB_BOOT_AREA_END - 1, "boot area");
	SPOIL(ph[1].p_paddr, AT, "overlap");
	SPOIL(ph[1].p_paddr, AT + CONTENT_BYTES - 1, "overlap");
	SPOIL(ph[0].p_memsz, 0x1001, "overlap");
}

static void nothing_to_load(void **state)
{
	struct image image = good();

	(void)state;
	image.ph[0].p_type = PT_NOTE;
	image.ph[1].p_memsz = 0;
	image.ph[1].p_filesz = 0;
	refused(&image, sizeof(image), "nothing to load");
}

static void bounds(void **state)
{
	(void)state;
	assert_ptr_equal(memory_at(&memory, pvb_gpa(0), RAM), memory.ram);
	assert_non_null(memory_at(&memory, pvb_gpa(RAM - 1), 1));
	assert_null(memory_at(&memory, pvb_gpa(RAM - 1), 2));
	assert_null(memory_at(&memory, pvb_gpa(RAM), 1));
	assert_null(memory_at(&memory, pvb_gpa(0), RAM + 1));
	assert_null(memory_at(&memory, pvb_gpa(1), RAM));
	assert_null(memory_at(&memory, pvb_gpa(~0ULL), 2));
	assert_null(memory_at(&memory, pvb_gpa(8), ~0ULL));
	assert_null(memory_at(&memory, pvb_gpa(~0ULL - 7), 16));
}

static int fresh_memory(void **state)
{
	struct vmm_error error;

	(void)state;
	return memory_create(&memory, RAM, &error);
}

static int drop_memory(void **state)
{
	(void)state;
	memory_destroy(&memory);
	return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fresh_memory, drop_memory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(loads),	TEST(truncated),       TEST(header),
		TEST(segments), TEST(nothing_to_load), TEST(bounds),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("vmm elf", tests, NULL, NULL);
}
