// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: testbed - keeps one idle VM with one vCPU open for as long as the KVM host lives.
 *
 * The first VM switches on static keys, the last switches them off again: the kernel then
 * rewrites code that other CPUs are executing (the scheduler's preempt notifiers, KVM's
 * checks for disabled APICs). Silicon is told how to cope; QEMU's emulator with a thread per
 * CPU now and then runs the breakpoint that guards the rewrite after it is gone, and the
 * kernel dies of it, about once in 300 rewrites. So init starts this program while only one
 * CPU is online, and the keys stay on.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(void)
{
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	int kvm, vm;

	kvm = open("/dev/kvm", O_RDWR);
	if (kvm < 0)
		return 1;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0 || ioctl(vm, KVM_ENABLE_CAP, &split) || ioctl(vm, KVM_CREATE_VCPU, 0) < 0) {
		perror("testbed: kvm-hold");
		return 1;
	}
	/* init waits for this line */
	if (puts("held") == EOF || fflush(stdout))
		return 1;
	for (;;)
		pause();
}
