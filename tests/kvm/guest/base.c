// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the guest that tests KVM's handler: console, TAP, descriptor tables.
 */
#include "guest.h"

#define MAX_CPUS 2

struct pvb_boot_info *boot;
uint8_t stacks[MAX_CPUS][16384] __attribute__((aligned(16)));
static uint32_t tests, failures;
static volatile uint32_t print_lock;

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

struct tss {
	uint32_t reserved;
	uint64_t rsp0;
	uint8_t rest[92];
} __attribute__((packed));

static struct tss tss[MAX_CPUS];
static uint8_t trap_stacks[MAX_CPUS][4096] __attribute__((aligned(16)));
/* null, kernel code 0x08, kernel data 0x10, user data 0x18, user code 0x20, TSS 0x28 */
static uint64_t gdt[MAX_CPUS][7];
static uint64_t idt[32][2];

void trap_ud(void);
void trap_gp(void);
void trap_pf(void);
void guest_died(uint64_t vector, uint64_t where);

void print(const char *text)
{
	for (; *text; text++)
		__asm__ volatile("outb %b0, %w1" ::"a"(*text), "Nd"(PVB_PORT_CONSOLE));
}

void print_number(uint64_t value)
{
	char digits[24];
	int i = sizeof(digits) - 1;

	digits[i] = 0;
	do {
		digits[--i] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	print(&digits[i]);
}

static void result(bool good, const char *what)
{
	tests++;
	failures += !good;
	print(good ? "ok " : "not ok ");
	print_number(tests);
	print(" - ");
	print(what);
}

void check(bool good, const char *what)
{
	result(good, what);
	print("\n");
}

void skip(const char *what, const char *why)
{
	result(true, what);
	print(" # SKIP ");
	print(why);
	print("\n");
}

bool all_passed(void)
{
	return !failures;
}

void finish(void)
{
	print("1..");
	print_number(tests);
	print("\n");
	outl(PVB_PORT_EXIT, failures ? 1 : 0);
	for (;;)
		__asm__ volatile("hlt");
}

void guest_died(uint64_t vector, uint64_t where)
{
	print("Bail out! exception ");
	print_number(vector);
	print(" at ");
	print_number(where);
	print("\n");
	outl(PVB_PORT_EXIT, 2);
	for (;;)
		__asm__ volatile("hlt");
}

/* A fixed sequence: a failure can be repeated. */
uint64_t random64(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

void fill(void *at, uint64_t value, size_t bytes)
{
	volatile uint64_t *p = at;

	for (size_t i = 0; i < bytes / 8; i++)
		p[i] = value;
}

/* The compiler may call it. */
void *memset(void *at, int value, size_t bytes);
void *memset(void *at, int value, size_t bytes)
{
	volatile uint8_t *p = at;

	while (bytes--)
		*p++ = (uint8_t)value;
	return at;
}

static void set_gate(unsigned int vector, void (*handler)(void))
{
	uint64_t at = (uint64_t)handler;

	idt[vector][0] = (at & 0xffff) | 0x08ULL << 16 | 0x8e00ULL << 32 |
			 (at & 0xffff0000ULL) << 32;
	idt[vector][1] = at >> 32;
}

void cpu_init(void)
{
	static volatile uint32_t next;
	uint32_t cpu = __atomic_fetch_add(&next, 1, __ATOMIC_SEQ_CST);
	uint64_t base = (uint64_t)&tss[cpu], *g = gdt[cpu];
	struct table_register gdtr = { sizeof(gdt[0]) - 1, (uint64_t)g };
	struct table_register idtr = { sizeof(idt) - 1, (uint64_t)idt };

	/* CR0.WP: the kernel's own writes respect W, too. */
	__asm__ volatile("mov %%cr0, %%rax\n\tor $0x10000, %%eax\n\tmov %%rax, %%cr0" ::: "rax");
	tss[cpu].rsp0 = (uint64_t)trap_stacks[cpu] + sizeof(trap_stacks[cpu]);
	g[1] = 0x00af9b000000ffffULL;
	g[2] = 0x00cf93000000ffffULL;
	g[3] = 0x00cff3000000ffffULL;
	g[4] = 0x00affb000000ffffULL;
	g[5] = 103 | (base & 0xffffff) << 16 | 0x89ULL << 40 | (base >> 24 & 0xff) << 56;
	g[6] = base >> 32;
	__asm__ volatile("lgdt %0\n\t"
			 "pushq $0x08\n\t"
			 "lea 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\tmov $0x10, %%eax\n\t"
			 "mov %%eax, %%ss\n\t"
			 "mov %%eax, %%ds\n\t"
			 "mov %%eax, %%es\n\t"
			 "mov $0x28, %%eax\n\t"
			 "ltr %%ax\n\t"
			 "lidt %1" ::"m"(gdtr),
			 "m"(idtr)
			 : "rax", "memory");
}

void base_init(struct pvb_boot_info *info)
{
	boot = info;
	set_gate(6, trap_ud);
	set_gate(13, trap_gp);
	set_gate(14, trap_pf);
}
