// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the guest that tests KVM's handler: a call out of a guest of its own, run
 * with VMRUN. What such a guest calls a guest-physical address is none of this VM's.
 *
 * While such a guest runs KVM does not intercept VMMCALL for itself (recalc_intercepts()), so
 * the CPU answers #UD. Were it to, for a feature of Hyper-V's for one, the handler refuses.
 *
 * Layout of the VMCB: AMD64 Architecture Programmer's Manual, volume 2, appendix B.
 */
#include "guest.h"

#define CPUID_FEATURES 0x80000001U
#define CPUID_SVM (1U << 2) /* ECX */
#define MSR_EFER 0xc0000080U
#define EFER_SVME (1ULL << 12)
#define MSR_VM_HSAVE_PA 0xc0010117U

/* Offsets in the VMCB. */
#define VMCB_INTERCEPT_EXCEPTIONS 0x08
#define INTERCEPT_UD (1U << 6)
#define VMCB_INTERCEPT_3 0x0c
#define INTERCEPT_HLT (1U << 24)
#define VMCB_INTERCEPT_4 0x10
#define INTERCEPT_VMRUN 1U
#define VMCB_ASID 0x58
#define VMCB_EXIT_CODE 0x70
#define EXIT_UD 0x46
#define EXIT_HLT 0x78
#define VMCB_ES 0x400
#define VMCB_CS 0x410
#define VMCB_SS 0x420
#define VMCB_DS 0x430
#define VMCB_GDTR 0x460
#define VMCB_IDTR 0x480
#define VMCB_EFER 0x4d0
#define VMCB_CR4 0x548
#define VMCB_CR3 0x550
#define VMCB_CR0 0x558
#define VMCB_DR7 0x560
#define VMCB_DR6 0x568
#define VMCB_RFLAGS 0x570
#define VMCB_RIP 0x578
#define VMCB_RSP 0x5d8
#define VMCB_RAX 0x5f8

/* Segments: selector, attributes (of 64-bit code, of data), limit. */
#define CODE_SEGMENT (0x08ULL | 0xa9bULL << 16 | 0xffffffffULL << 32)
#define DATA_SEGMENT (0x10ULL | 0xc93ULL << 16 | 0xffffffffULL << 32)

static uint8_t vmcb[PAGE] __attribute__((aligned(4096)));
static uint8_t host_save[PAGE] __attribute__((aligned(4096)));

/* start.S: runs it until it exits; the code that it is to run. */
void nested_run(uint8_t *vmcb);
extern const uint8_t nested_code[];

static uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" ::"a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(msr));
}

static bool has_svm(void)
{
	uint32_t a = CPUID_FEATURES, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c & CPUID_SVM;
}

static void put(unsigned int offset, uint64_t value)
{
	*(volatile uint64_t *)(vmcb + offset) = value;
}

static void put_table(unsigned int offset, const uint8_t *descriptor)
{
	put(offset, (uint64_t)(*(const uint16_t *)descriptor) << 32);
	put(offset + 8, *(const uint64_t *)(descriptor + 2));
}

/* A guest that is what its host is, and leaves at #UD and HLT. */
static void prepare(uint64_t nr)
{
	uint8_t descriptor[10] __attribute__((aligned(2)));
	uint64_t cr0;

	fill(vmcb, 0, sizeof(vmcb));
	*(volatile uint32_t *)(vmcb + VMCB_INTERCEPT_EXCEPTIONS) = INTERCEPT_UD;
	*(volatile uint32_t *)(vmcb + VMCB_INTERCEPT_3) = INTERCEPT_HLT;
	*(volatile uint32_t *)(vmcb + VMCB_INTERCEPT_4) = INTERCEPT_VMRUN;
	put(VMCB_ASID, 1);
	put(VMCB_ES, DATA_SEGMENT);
	put(VMCB_CS, CODE_SEGMENT);
	put(VMCB_SS, DATA_SEGMENT);
	put(VMCB_DS, DATA_SEGMENT);
	__asm__ volatile("sgdt %0" : "=m"(descriptor));
	put_table(VMCB_GDTR, descriptor);
	__asm__ volatile("sidt %0" : "=m"(descriptor));
	put_table(VMCB_IDTR, descriptor);
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	put(VMCB_CR0, cr0);
	put(VMCB_CR3, read_cr3());
	put(VMCB_CR4, read_cr4());
	put(VMCB_EFER, rdmsr(MSR_EFER));
	put(VMCB_DR6, 0xffff0ff0);
	put(VMCB_DR7, 0x400);
	put(VMCB_RFLAGS, 2);
	put(VMCB_RIP, (uint64_t)nested_code);
	put(VMCB_RAX, PVB_HC_BASE + nr);
}

/* refused() - a nested guest calls @nr: is it not answered? */
static bool refused(enum pvb_call nr)
{
	uint64_t exit_code;

	prepare(nr);
	nested_run(vmcb);
	exit_code = *(volatile uint64_t *)(vmcb + VMCB_EXIT_CODE);
	return exit_code == EXIT_UD ||
	       (exit_code == EXIT_HLT && *(volatile int64_t *)(vmcb + VMCB_RAX) == -PVB_EPERM);
}

void test_nested(void)
{
	uint64_t calls, value = 0;
	bool good;

	if (!has_svm()) {
		skip("a nested guest is refused", "no SVM in this VM");
		return;
	}
	space_load();
	if (ask(DISTURB_COUNTERS) == DISTURB_NOBODY) {
		skip("a nested guest is refused", "the VMM runs without tests/kvm/disturb.c");
		return;
	}
	calls = mail.counters[0];
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, (uint64_t)host_save);
	good = refused(PVB_CALL_NOP) && refused(PVB_CALL_SUBMIT) && refused(PVB_CALL_REGISTER);
	ask(DISTURB_COUNTERS);
	check(good && mail.counters[0] == calls, "a nested guest is refused, whatever it calls");
	set_pte(&leaf[0], data_pte(1, RW));
	check(name_run(leaf, 1, PVB_FLUSH_ALL) == 0 && probe_read(TEST_VA, &value) == NO_FAULT &&
		      value == DATA_MARK + 1,
	      "and the kernel above it is served as before");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
}
