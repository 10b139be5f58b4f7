// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - the readable end of an unexpected exception: what it was, where,
 * with which registers, and what the page tables say about the address.
 */
#include "console.h"
#include "cpu.h"
#include "lib.h"
#include "mm.h"
#include "platform.h"
#include "trap.h"

static const char *const names[NR_EXCEPTIONS] = {
	[0] = "#DE divide error",
	[1] = "#DB debug",
	[2] = "NMI",
	[3] = "#BP breakpoint",
	[4] = "#OF overflow",
	[5] = "#BR bound range",
	[6] = "#UD invalid opcode",
	[7] = "#NM device not available",
	[8] = "#DF double fault",
	[10] = "#TS invalid TSS",
	[11] = "#NP segment not present",
	[12] = "#SS stack fault",
	[13] = "#GP general protection",
	[14] = "#PF page fault",
	[16] = "#MF x87 error",
	[17] = "#AC alignment check",
	[18] = "#MC machine check",
	[19] = "#XM SIMD error",
	[20] = "#VE virtualization exception",
	[21] = "#CP control protection",
	[28] = "#HV hypervisor injection",
	[29] = "#VC VMM communication",
	[30] = "#SX security exception",
};

static void dump_error(const struct trap_frame *frame)
{
	uint64_t error = frame->error;

	if (frame->vector == VEC_PF)
		say_unlocked("    error 0x%lx: %s page, %s at CPL %s%s\n", error,
			     error & PF_PRESENT ? "protection of a present" : "not-present",
			     error & PF_FETCH ? "instruction fetch" :
			     error & PF_WRITE ? "write" :
						"read",
			     error & PF_USER ? "3" : "0 to 2",
			     error & PF_RESERVED ? ", reserved bit set in an entry" : "");
	else if (frame->vector >= 10 && frame->vector <= 13 && error)
		say_unlocked("    error 0x%lx: selector 0x%lx in the %s%s\n", error, error & 0xfff8,
			     error & 2 ? "IDT" :
			     error & 4 ? "LDT" :
					 "GDT",
			     error & 1 ? ", external event" : "");
	else
		say_unlocked("    error 0x%lx\n", error);
}

/* The walk as the hardware does it, by the tables in memory. */
static void dump_walk(uint64_t va)
{
	static const char *const level_names[] = { "PML4", "PDPT", "PD", "PT" };
	uint64_t parent = read_cr3();

	say_unlocked("    page tables for 0x%016lx:\n", va);
	for (unsigned int level = 0; level < 4; level++) {
		const volatile uint64_t *table = platform_table(parent);
		unsigned int index = va >> (39 - 9 * level) & 511;
		uint64_t entry;

		if (!table) {
			uint64_t at = parent & PVB_PTE_PFN_MASK;

			say_unlocked("    %4s at 0x%lx: beyond RAM\n", level_names[level], at);
			return;
		}
		entry = table[index];
		say_unlocked("    %4s[%3u] 0x%016lx %s%s%s%s%s%s%s\n", level_names[level], index,
			     entry, entry & PVB_PTE_P ? "present" : "not present",
			     entry & PVB_PTE_W ? " writable" : " read-only",
			     entry & PVB_PTE_U ? " user" : " kernel",
			     entry & PVB_PTE_A ? " accessed" : "",
			     entry & PVB_PTE_D ? " dirty" : "",
			     entry & PVB_PTE_NX ? " no-execute" : "",
			     level < 3 && entry & PTE_LARGE ? " large" : "");
		if (!(entry & PVB_PTE_P) || (level > 0 && entry & PTE_LARGE))
			return;
		parent = entry;
	}
}

void trap_dump(const struct trap_frame *f)
{
	const char *name = f->vector < NR_EXCEPTIONS ? names[f->vector] : NULL;
	uint64_t cr2 = read_cr2();

	say_unlocked("*** %s on CPU %u, rip 0x%016lx, CPL %u\n", name ? name : "reserved exception",
		     this_cpu()->index, f->rip, (uint32_t)f->cs & 3);
	dump_error(f);
	say_unlocked("    rsp %02lx:%016lx  cs %02lx  rflags %016lx\n", f->ss, f->rsp, f->cs,
		     f->rflags);
	say_unlocked("    rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx,
		     f->rdx);
	say_unlocked("    rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", f->rsi, f->rdi, f->rbp,
		     f->r8);
	say_unlocked("    r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", f->r9, f->r10, f->r11,
		     f->r12);
	say_unlocked("    r13 %016lx r14 %016lx r15 %016lx\n", f->r13, f->r14, f->r15);
	say_unlocked("    cr0 %016lx cr2 %016lx cr3 %016lx cr4 %016lx\n", read_cr0(), cr2,
		     read_cr3(), read_cr4());
	if (f->vector == VEC_PF || f->vector == VEC_DF)
		dump_walk(cr2);
}
