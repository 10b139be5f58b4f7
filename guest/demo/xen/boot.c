// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest on Xen - from the start info page to demo_main(): what the VMM tells in
 * struct pvb_boot_info is gathered from Xen. Neighbours: start.S before, ../main.c after.
 */
#include "xen.h"
#include "../cpu.h"
#include "../lib.h"
#include "../platform.h"

void xen_main(const struct start_info *start) __attribute__((noreturn));
void xen_main_secondary(uint32_t index) __attribute__((noreturn));
void xen_start_secondary(void);
void demo_main(const struct pvb_boot_info *boot, uint32_t index) __attribute__((noreturn));

static struct pvb_boot_info boot_info;

/* CPUs that Xen has prepared for this domain: dom0_max_vcpus=. */
static uint32_t count_vcpus(void)
{
	uint32_t nr = 0;

	while (nr < MAX_CPUS && nr < XEN_LEGACY_MAX_VCPUS &&
	       xen_vcpu_op(VCPUOP_is_up, nr, NULL) >= 0)
		nr++;
	return nr;
}

/* kHz of the TSC, from Xen's own conversion factor: ns = tsc << shift * mul >> 32. */
static uint32_t tsc_khz(void)
{
	const struct vcpu_time_info *time = &xen_shared->vcpu_info[0].time;
	uint64_t khz = (1000000ULL << 32) / time->tsc_to_system_mul;

	return (uint32_t)(time->tsc_shift < 0 ? khz << -time->tsc_shift : khz >> time->tsc_shift);
}

static void start_vcpu(uint32_t index)
{
	static struct vcpu_guest_context context; /* too large for the stack */

	memset(&context, 0, sizeof(context));
	context.flags = VGCF_IN_KERNEL;
	context.user_regs.rip = (uint64_t)xen_start_secondary;
	context.user_regs.rsp = (uint64_t)cpu_stacks + (index + 1) * (uint64_t)STACK_SIZE;
	context.user_regs.rdi = index;
	context.user_regs.cs = FLAT_KERNEL_CS;
	context.user_regs.ss = FLAT_KERNEL_SS;
	context.user_regs.ds = FLAT_KERNEL_DS;
	context.user_regs.es = FLAT_KERNEL_DS;
	context.user_regs.rflags = 0x1000; /* IOPL 1, which is this kernel's level (cpu.c) */
	context.kernel_ss = FLAT_KERNEL_SS;
	context.kernel_sp = context.user_regs.rsp;
	context.ctrlreg[0] = 0x80000001; /* PG, PE */
	context.ctrlreg[3] = xen_top_mfn() << PVB_PAGE_SHIFT;
	if (xen_vcpu_op(VCPUOP_initialise, index, &context) || xen_vcpu_op(VCPUOP_up, index, NULL))
		xen_die("boot: vCPU does not start\n");
}

void xen_main(const struct start_info *start)
{
	xen_mm_early(start);
	boot_info.magic = PVB_BOOT_MAGIC;
	boot_info.ram_bytes = start->nr_pages << PVB_PAGE_SHIFT;
	boot_info.free_start = start->pt_base + ((start->nr_pt_frames + 1) << PVB_PAGE_SHIFT);
	boot_info.nr_cpus = count_vcpus();
	boot_info.tsc_khz = tsc_khz();
	memcpy(boot_info.cmdline, start->cmd_line, sizeof(boot_info.cmdline));
	for (uint32_t i = 1; i < boot_info.nr_cpus; i++)
		start_vcpu(i);
	demo_main(&boot_info, 0);
}

void xen_main_secondary(uint32_t index)
{
	demo_main(&boot_info, index);
}
