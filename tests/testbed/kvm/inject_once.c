// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: testbed - built into our kernel where it is the KVM host on a CPU that QEMU emulates:
 * an interrupt that KVM injects is taken once.
 *
 * VMRUN of QEMU's SVM (helper_vmrun() of 7.2) delivers the interrupt and leaves it noted
 * as the exception to be delivered. It is, once more and whatever the guest's IF says, if
 * QEMU's loop is left for anything but an exit or another exception before the next one of
 * these: at the end of a CPU's slice of time, or when another of its threads asks. The guest
 * is in the interrupt's handler then, which waits for its own lock for ever, or in the middle
 * of its entry, of which it dies. An exit right behind VMRUN makes QEMU forget the note. It
 * costs some 2,000 instructions an interrupt, so it is not for measurements:
 * kvm.inject_once=on, given by the tests.
 */
#include <linux/init.h>
#include <linux/kvm_host.h>
#include <linux/moduleparam.h>

#include "svm/svm.h"

static bool inject_once __ro_after_init;
module_param(inject_once, bool, 0444);
MODULE_PARM_DESC(inject_once,
		 "leave the guest once right after an injected interrupt (QEMU's SVM)");

static bool injects_interrupt(struct kvm_vcpu *vcpu)
{
	const u32 mask = SVM_EVTINJ_VALID | SVM_EVTINJ_TYPE_MASK;

	return (to_svm(vcpu)->vmcb->control.event_inj & mask) ==
	       (SVM_EVTINJ_VALID | SVM_EVTINJ_TYPE_INTR);
}

/* On the vCPU's thread, interrupts off. */
static fastpath_t run(struct kvm_vcpu *vcpu, u64 run_flags)
{
	if (injects_interrupt(vcpu))
		run_flags |= KVM_RUN_FORCE_IMMEDIATE_EXIT;
	return kvm_x86_ops.vcpu_run(vcpu, run_flags);
}

/* After kvm-amd's own, which fills kvm_x86_ops. */
static int __init inject_once_init(void)
{
	if (inject_once && kvm_x86_ops.name && !strcmp(kvm_x86_ops.name, "kvm_amd"))
		static_call_update(kvm_x86_vcpu_run, run);
	return 0;
}
late_initcall(inject_once_init);
