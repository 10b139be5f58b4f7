/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - the processor: per-CPU data behind GS, privileged instructions,
 * segments, local APIC.
 */
#ifndef DEMO_CPU_H
#define DEMO_CPU_H

#include <pvbatch/guest.h>
#include "layout.h"

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t iomap; /* beyond the limit: no I/O port for CPL 3 */
} __attribute__((packed));

struct trap_frame;

/* What a stub at CPL 3 ended with. */
struct user_exit {
	uint64_t vector;
	uint64_t error;
	uint64_t rip;
	uint64_t rax;
};

/* One per CPU. The first two fields are known to assembly. */
struct cpu {
	struct cpu *self;
	uint64_t user_return; /* stack pointer of user_enter() */
	uint32_t index; /* also the APIC id */
	uint32_t irq_depth; /* > 0: in an interrupt handler */
	uint64_t gdt[7];
	struct tss tss;
	struct user_exit user_exit;
	/* May resolve an exception of this CPU; true: go on. */
	bool (*trap_hook)(struct trap_frame *frame);
	void (*self_irq)(void); /* what VEC_SELF runs */
	struct pvb_cpu pvb;
	void *buffer; /* what it has registered (host.c) */
	uint8_t ist_stack[4096] __attribute__((aligned(16))); /* #DF and NMI */
	uint8_t user_trap_stack[4096] __attribute__((aligned(16))); /* traps from CPL 3 */
} __attribute__((aligned(64)));

PVB_ASSERT_AT(cpu, self, CPU_SELF);
PVB_ASSERT_AT(cpu, user_return, CPU_USER_RETURN);

extern struct cpu cpus[MAX_CPUS];
extern uint32_t nr_cpus;

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	asm volatile("mov %%gs:%c1, %0" : "=r"(cpu) : "i"(CPU_SELF));
	return cpu;
}

/* cpu_init() - segments, traps, APIC of the calling CPU; the first CPU's is @index 0. */
void cpu_init(uint32_t index);
/* cpu_is_amd() - does this vendor's hypercall instruction read VMMCALL? */
bool cpu_is_amd(void);

/* start.S */
void load_gdt(const void *desc);
void user_enter(uint64_t rip, uint64_t rsp);
void user_leave(void) __attribute__((noreturn));

#define EFLAGS_IF 0x200ULL

#define CR4_PGE 0x80ULL

#define MSR_APIC_BASE 0x1bU
#define MSR_X2APIC_EOI 0x80bU
#define MSR_X2APIC_SVR 0x80fU
#define MSR_X2APIC_ICR 0x830U
#define MSR_EFER 0xc0000080U
#define MSR_GS_BASE 0xc0000101U

#define ICR_ALL_BUT_SELF 0xc0000ULL
#define ICR_SELF 0x40000ULL

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	asm volatile("wrmsr"
		     :
		     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
}

#define DEFINE_CR(n)                                                           \
	static inline uint64_t read_cr##n(void)                                \
	{                                                                      \
		uint64_t value;                                                \
                                                                               \
		asm volatile("mov %%cr" #n ", %0" : "=r"(value) : : "memory"); \
		return value;                                                  \
	}                                                                      \
	static inline void write_cr##n(uint64_t value)                         \
	{                                                                      \
		asm volatile("mov %0, %%cr" #n : : "r"(value) : "memory");     \
	}
DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)
#undef DEFINE_CR

static inline void cpuid(uint32_t leaf, uint32_t regs[4])
{
	asm volatile("cpuid"
		     : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
		     : "a"(leaf), "c"(0));
}

static inline void invlpg(uint64_t va)
{
	asm volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	/* The fence keeps the measured work on its side of the reading. */
	asm volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void cpu_relax(void)
{
	asm volatile("pause" : : : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
	asm volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

#ifdef DEMO_XEN
void irq_enable(void); /* xen/trap.c: Xen's event mask is the interrupt flag */
bool irq_save(void);
#else
static inline void irq_enable(void)
{
	asm volatile("sti" : : : "memory");
}

/* irq_save() - interrupts off; returns whether they were on, for irq_restore(). */
static inline bool irq_save(void)
{
	uint64_t flags;

	asm volatile("pushfq; pop %0; cli" : "=r"(flags) : : "memory");
	return flags & EFLAGS_IF;
}
#endif

static inline void irq_restore(bool on)
{
	if (on)
		irq_enable();
}

static inline void apic_ipi(uint64_t icr)
{
	wrmsr(MSR_X2APIC_ICR, icr);
}

static inline void apic_eoi(void)
{
	wrmsr(MSR_X2APIC_EOI, 0);
}

#endif /* DEMO_CPU_H */
