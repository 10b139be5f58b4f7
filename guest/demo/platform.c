// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - the machine that hypervisor/vmm presents (machine.h).
 */
#include "platform.h"
#include "cpu.h"
#include "mm.h"

/* One OUTSB sequence, so one exit. */
void platform_write(const char *text, size_t bytes)
{
	asm volatile("rep outsb" : "+S"(text), "+c"(bytes) : "d"(PVB_PORT_CONSOLE) : "memory");
}

void platform_exit(unsigned int code)
{
	out32(PVB_PORT_EXIT, code);
	for (;;)
		asm volatile("cli; hlt");
}

void platform_sleep(void)
{
	/* STI takes effect after HLT has begun: no wake-up is lost in between. */
	asm volatile("sti; hlt; cli" : : : "memory");
}

void platform_wake_others(void)
{
	apic_ipi(ICR_ALL_BUT_SELF | VEC_WAKE);
}

/* Kernel memory is mapped one to one (mm.h). */
pvb_gpa_t platform_gpa(const volatile void *ptr)
{
	return pvb_gpa((uint64_t)ptr);
}

uint64_t *platform_pte(pvb_gpa_t gpa)
{
	return (uint64_t *)pvb_gpa_raw(gpa);
}

const bool platform_takes_out = false;

void platform_mark(void)
{
	out32(PVB_PORT_MARK, 0);
}

void platform_record(struct pvb_record *record)
{
	out32(PVB_PORT_RECORD, (uint32_t)(uint64_t)record);
}

const volatile uint64_t *platform_table(uint64_t entry)
{
	uint64_t table = entry & PVB_PTE_PFN_MASK;

	return table + PVB_PAGE_SIZE > mm_ram_bytes() ? NULL : (const volatile uint64_t *)table;
}
