// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, lessons - the same classes against the VMM's backend (doorbell.c, memory.c):
 * what a guest address may become. No KVM is needed, as nothing runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vmm/internal.h>

#define RAM VMM_MIN_MEMORY
#define TABLE 0x10000ULL
#define BUFFER 0x20000ULL
#define OTHER 0x30000ULL
#define PAGE PVB_PAGE_SIZE

static struct vmm_config config = { .cpus = 2, .memory = RAM };
static struct vm vm;

static void *at(uint64_t gpa)
{
	return memory_at(&vm.memory, pvb_gpa(gpa), 1);
}

static int64_t call(unsigned int cpu, uint64_t nr, uint64_t a0, uint64_t a1)
{
	return pvb_engine_call(&vm.vcpus[cpu].engine, nr, a0, a1, 0);
}

static int begin(void **state)
{
	struct pvb_negotiate neg = {
		.magic = PVB_NEGOTIATE_MAGIC,
		.size = sizeof(neg),
		.pte_format = PVB_PTE_FORMAT,
		.version_min = PVB_VERSION,
		.version_max = PVB_VERSION,
		.features_wanted = PVB_F_ALL,
	};
	struct vmm_error error;

	(void)state;
	memset(&vm, 0, sizeof(vm));
	vm.config = &config;
	vm.nr_vcpus = 2;
	vm.vcpus = calloc(2, sizeof(*vm.vcpus));
	if (!vm.vcpus || memory_create(&vm.memory, RAM, &error) ||
	    pvb_engine_vm_init(&vm.engine, &doorbell_backend, PVB_F_ALL, 40))
		return -1;
	for (unsigned int i = 0; i < 2; i++) {
		vm.vcpus[i].vm = &vm;
		pvb_engine_vcpu_init(&vm.vcpus[i].engine, &vm.engine, &vm.vcpus[i]);
	}
	memcpy(at(PAGE), &neg, sizeof(neg));
	return call(0, PVB_CALL_NEGOTIATE, PAGE, 0) || call(0, PVB_CALL_REGISTER, BUFFER, PAGE) ||
	       call(1, PVB_CALL_REGISTER, OTHER, PAGE);
}

static int end(void **state)
{
	(void)state;
	memory_destroy(&vm.memory);
	free(vm.vcpus);
	return 0;
}

/* One SET of the entry at @gpa; returns its status. */
static enum pvb_status set(uint64_t gpa)
{
	const struct pvb_batch_hdr hdr = { .version = PVB_VERSION, .nr = 1 };
	const struct pvb_entry entry = { .pte_gpa = gpa, .new = 0x1063, .nr = 1, .op = PVB_OP_SET };
	struct pvb_entry answer;

	memcpy(at(BUFFER), &hdr, sizeof(hdr));
	memcpy(at(BUFFER + sizeof(hdr)), &entry, sizeof(entry));
	assert_int_equal(call(0, PVB_CALL_SUBMIT, 0, 0), PVB_SUBMIT_DONE);
	memcpy(&answer, at(BUFFER + sizeof(hdr)), sizeof(answer));
	return pvb_answer_status(answer.answer);
}

/* The one function that makes a pointer of a guest address, at every edge there is. */
static void cve_2026_53360_bounds(void **state)
{
	static const uint64_t edges[] = { 0,	     1,		 PAGE,	     RAM - 1, RAM,
					  RAM + 1,   1ULL << 32, 1ULL << 63, ~0ULL,   ~0ULL - PAGE,
					  0ULL - RAM };
	const size_t nr = sizeof(edges) / sizeof(edges[0]);

	(void)state;
	for (size_t i = 0; i < nr * nr; i++) {
		uint64_t gpa = edges[i / nr], bytes = edges[i % nr];
		unsigned __int128 last = (unsigned __int128)gpa + bytes;
		uint8_t *ptr = memory_at(&vm.memory, pvb_gpa(gpa), bytes);

		assert_int_equal(!!ptr, last <= RAM);
		if (ptr)
			assert_ptr_equal(ptr, vm.memory.ram + gpa);
	}
}

static void xsa_109_wrong_kind_of_page(void **state)
{
	(void)state;
	assert_int_equal(set(TABLE), PVB_ST_OK);
	assert_int_equal(set(RAM - 8), PVB_ST_OK);
	assert_int_equal(set(RAM), PVB_ST_BAD_GPA);
	assert_int_equal(set(0xd0000000), PVB_ST_BAD_GPA); /* the flush's own slot */
	assert_int_equal(set(0xfee00000), PVB_ST_BAD_GPA); /* the local APIC */
	assert_int_equal(set(0xfffbd000), PVB_ST_BAD_GPA); /* KVM's TSS pages */
	assert_int_equal(set(1ULL << 39), PVB_ST_BAD_GPA);
	assert_int_equal(set(~7ULL), PVB_ST_BAD_GPA);
	assert_int_equal(set(BUFFER), PVB_ST_DENIED);
	assert_int_equal(set(BUFFER + PAGE - 8), PVB_ST_DENIED);
	assert_int_equal(set(OTHER), PVB_ST_DENIED);
	/* No longer anybody's: a page like any other. */
	assert_int_equal(call(1, PVB_CALL_REGISTER, 0, 0), 0);
	assert_int_equal(set(OTHER), PVB_ST_OK);
}

static void size_larger_than_the_buffer(void **state)
{
	(void)state;
	assert_int_equal(call(0, PVB_CALL_REGISTER, RAM - PAGE, 2 * PAGE), -PVB_EFAULT);
	assert_int_equal(call(0, PVB_CALL_REGISTER, RAM, PAGE), -PVB_EFAULT);
	assert_int_equal(call(0, PVB_CALL_REGISTER, 0xd0000000, PAGE), -PVB_EFAULT);
	assert_int_equal(call(0, PVB_CALL_REGISTER, 0ULL - PAGE, PAGE), -PVB_EFAULT);
	assert_int_equal(call(0, PVB_CALL_STATS, RAM - 8, sizeof(struct pvb_host_stats)),
			 -PVB_EFAULT);
	assert_int_equal(call(0, PVB_CALL_STATS, 0ULL - 8, sizeof(struct pvb_host_stats)),
			 -PVB_EFAULT);
	/* The registration from before still holds. */
	assert_int_equal(set(TABLE), PVB_ST_OK);
}

/* A guest that can make the host's memory executable, or its pages part of a core file. */
static void guest_memory_in_the_host(void **state)
{
	char line[256], flags[256] = "", perms[8] = "";
	unsigned long from, to;
	bool inside = false;
	FILE *file = fopen("/proc/self/smaps", "re");

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, perms) == 3)
			inside = (uintptr_t)vm.memory.ram >= from && (uintptr_t)vm.memory.ram < to;
		if (!inside)
			continue;
		assert_null(strchr(perms, 'x'));
		if (sscanf(line, "VmFlags: %255[^\n]", flags) == 1)
			break;
	}
	fclose(file);
	assert_non_null(strstr(flags, "dd")); /* do not dump */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(cve_2026_53360_bounds, begin, end),
		cmocka_unit_test_setup_teardown(xsa_109_wrong_kind_of_page, begin, end),
		cmocka_unit_test_setup_teardown(size_larger_than_the_buffer, begin, end),
		cmocka_unit_test_setup_teardown(guest_memory_in_the_host, begin, end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
