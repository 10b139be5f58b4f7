// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - a CPU's private tables and registers. Neighbours: start.S before,
 * trap.c (what the IDT points at) after.
 */
#include "cpu.h"
#include "lib.h"
#include "trap.h"

struct cpu cpus[MAX_CPUS];
uint32_t nr_cpus;
uint8_t cpu_stacks[MAX_CPUS * STACK_SIZE] __attribute__((aligned(16)));

/* Descriptors: Intel SDM volume 3, 3.4.5. Base and limit have no meaning for 64-bit code. */
#define GDT_KERNEL_CODE 0x00af9b000000ffffULL
#define GDT_KERNEL_DATA 0x00cf93000000ffffULL
#define GDT_USER_CODE 0x00affb000000ffffULL
#define GDT_USER_DATA 0x00cff3000000ffffULL
#define GDT_TSS_FLAGS 0x0000890000000000ULL

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static void gdt_init(struct cpu *cpu)
{
	uint64_t tss = (uint64_t)&cpu->tss;
	struct table_register desc = { sizeof(cpu->gdt) - 1, (uint64_t)cpu->gdt };

	cpu->tss.rsp[0] = (uint64_t)cpu->user_trap_stack + sizeof(cpu->user_trap_stack);
	cpu->tss.ist[0] = (uint64_t)cpu->ist_stack + sizeof(cpu->ist_stack);
	cpu->tss.iomap = sizeof(cpu->tss);

	cpu->gdt[SEL_KERNEL_CODE / 8] = GDT_KERNEL_CODE;
	cpu->gdt[SEL_KERNEL_DATA / 8] = GDT_KERNEL_DATA;
	cpu->gdt[SEL_USER_CODE / 8] = GDT_USER_CODE;
	cpu->gdt[SEL_USER_DATA / 8] = GDT_USER_DATA;
	cpu->gdt[SEL_TSS / 8] = GDT_TSS_FLAGS | (sizeof(cpu->tss) - 1) | (tss & 0xffffff) << 16 |
				(tss >> 24 & 0xff) << 56;
	cpu->gdt[SEL_TSS / 8 + 1] = tss >> 32;

	load_gdt(&desc);
	asm volatile("ltr %w0" : : "r"(SEL_TSS));
}

void cpu_init(uint32_t index)
{
	struct cpu *cpu = &cpus[index];

	cpu->self = cpu;
	cpu->index = index;
	gdt_init(cpu);
	wrmsr(MSR_GS_BASE, (uint64_t)cpu); /* after gdt_init: loading GS clears its base */
	trap_init_cpu();
	wrmsr(MSR_X2APIC_SVR, 0x100 | VEC_SPURIOUS);
}

bool cpu_is_amd(void)
{
	uint32_t regs[4];

	cpuid(0, regs);
	/* "Auth"enticAMD, "Hygo"nGenuine */
	return regs[1] == 0x68747541 || regs[1] == 0x6f677948;
}
