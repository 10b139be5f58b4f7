// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the VMM's test guest: the doorbell, rung rightly and wrongly, and from CPL 3.
 */
#include "guest.h"

#define GP 13

struct gate {
	uint16_t low;
	uint16_t selector;
	uint16_t flags;
	uint16_t middle;
	uint32_t high;
	uint32_t zero;
};

struct pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

extern const char user_code[], trap_ud[], trap_gp[];
void user_enter(const void *rip, void *rsp) __attribute__((noreturn));
void rep_insd(uint32_t port, void *dst, uint64_t count);
void guest_trap(uint32_t vector, uint32_t cpl) __attribute__((noreturn));

static uint8_t buffers[8][PVB_PAGE_SIZE] __attribute__((aligned(4096)));
static uint64_t table[PVB_PTES_PER_TABLE] __attribute__((aligned(4096)));

struct pvb_batch_hdr *batch_setup(uint32_t index, bool negotiate)
{
	static struct pvb_negotiate neg = {
		.magic = PVB_NEGOTIATE_MAGIC,
		.size = sizeof(neg),
		.pte_format = PVB_PTE_FORMAT,
		.version_min = 1,
		.version_max = PVB_VERSION,
		.features_wanted = PVB_F_ALL,
	};

	if (negotiate) {
		check(ring(PVB_CALL_NEGOTIATE, (uintptr_t)&neg, 0) == 0, "negotiate");
		check(neg.features & PVB_F_FLUSH, "the flush is offered");
	}
	check(ring(PVB_CALL_REGISTER, (uintptr_t)buffers[index], PVB_PAGE_SIZE) == 0, "register");
	return (struct pvb_batch_hdr *)buffers[index];
}

uint16_t batch_one(struct pvb_batch_hdr *hdr, const struct pvb_entry *entry, uint8_t flush)
{
	struct pvb_entry *at = (struct pvb_entry *)(hdr + 1);

	memset(hdr, 0, sizeof(*hdr));
	hdr->version = PVB_VERSION;
	hdr->flush = flush;
	hdr->nr = entry ? 1 : 0;
	if (entry)
		*at = *entry;
	check(ring(PVB_CALL_SUBMIT, 0, 0) == PVB_SUBMIT_DONE, "submit");
	return entry ? at->answer : 0;
}

static enum pvb_status set_at(struct pvb_batch_hdr *hdr, uint64_t gpa)
{
	const struct pvb_entry entry = { .pte_gpa = gpa, .op = PVB_OP_SET, .nr = 1 };

	return pvb_answer_status(batch_one(hdr, &entry, PVB_FLUSH_NONE));
}

void run_doorbell(void)
{
	struct pvb_batch_hdr *hdr;
	int32_t results[4] = { 0 };

	check(inb(PVB_DOORBELL_PORT) == 0xff, "a byte from the doorbell is no call");
	check(inw(PVB_DOORBELL_PORT) == 0xffff, "a word from the doorbell is no call");
	check(ring(PVB_CALL_NOP, 0, 0) == 0, "nop");
	for (unsigned int call = PVB_NR_CALLS; call < PVB_DOORBELL_PORTS / 4; call++)
		check(ring(call, 0, 0) == -PVB_ENOSYS, "an unknown call");
	check(ring(PVB_DOORBELL_PORTS / 4, 0, 0) == -1, "the port behind the doorbell");
	check(ring(PVB_CALL_SUBMIT, 0, 0) < 0, "submit before negotiation");
	check(ring(PVB_CALL_NEGOTIATE, 1ULL << 40, 0) == -PVB_EFAULT, "negotiate beyond RAM");
	hdr = batch_setup(0, true);
	rep_insd(PVB_DOORBELL_PORT + 4 * PVB_CALL_SUBMIT, results, 4);
	for (unsigned int i = 0; i < 4; i++)
		check(results[i] == -PVB_EINVAL, "a repeated IN is no call");
	check(set_at(hdr, (uintptr_t)table) == PVB_ST_OK, "set");
	check(set_at(hdr, (uintptr_t)hdr) == PVB_ST_DENIED, "set in a buffer");
	check(set_at(hdr, 0xd0000000) == PVB_ST_BAD_GPA, "set in the flush slot");
	check(set_at(hdr, 0xfee00000) == PVB_ST_BAD_GPA, "set in the APIC");
	check(set_at(hdr, ~7ULL) == PVB_ST_BAD_GPA, "set at the end of everything");
	check(ring(PVB_CALL_REGISTER, 1ULL << 40, PVB_PAGE_SIZE) < 0, "a buffer beyond RAM");
	leave(0);
}

void guest_trap(uint32_t vector, uint32_t cpl)
{
	check(cpl == 3, "the trap came from CPL 3");
	check(vector == GP, "the doorbell at CPL 3 is a #GP");
	leave(0);
}

static void set_gate(struct gate *gate, const void *handler)
{
	uint64_t at = (uintptr_t)handler;

	gate->low = (uint16_t)at;
	gate->selector = 0x08;
	gate->flags = 0x8e00;
	gate->middle = (uint16_t)(at >> 16);
	gate->high = (uint32_t)(at >> 32);
}

/*
 * CPL 3 with what the VMM booted us with: only user segments and an IDT are added, the TSS
 * (and with it the absence of an I/O bitmap) stays the VMM's.
 */
void run_user(void)
{
	static struct gate idt[32];
	static uint64_t gdt[8];
	static uint8_t stack[4096], trap_stack[4096];
	struct pointer old, gdtr = { sizeof(gdt) - 1, (uintptr_t)gdt };
	struct pointer idtr = { sizeof(idt) - 1, (uintptr_t)idt };
	volatile uint64_t *level = (uint64_t *)PVB_BOOT_AREA;
	uint8_t *tss;

	__asm__ volatile("sgdt %0" : "=m"(old));
	memcpy(gdt, (void *)old.base, old.limit + 1U);
	/* 0x18 holds the TSS in two slots, so the user segments come from a second table. */
	tss = (uint8_t *)(gdt[3] >> 16 & 0xffffff);
	gdt[3] = 0x00cff3000000ffffULL; /* 0x18: data, DPL 3 */
	gdt[4] = 0x00affb000000ffffULL; /* 0x20: 64-bit code, DPL 3 */
	__asm__ volatile("lgdt %0" : : "m"(gdtr));
	set_gate(&idt[6], trap_ud);
	set_gate(&idt[GP], trap_gp);
	__asm__ volatile("lidt %0" : : "m"(idtr));
	*(uint64_t *)(tss + 4) = (uintptr_t)(trap_stack + sizeof(trap_stack)); /* RSP0 */

	level[0] |= PVB_PTE_U; /* PML4, PDPT, PD: each in a page of its own */
	level[512] |= PVB_PTE_U;
	for (unsigned int i = 0; i < 512; i++)
		level[1024 + i] |= PVB_PTE_U;
	__asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
	user_enter(user_code, stack + sizeof(stack));
}
