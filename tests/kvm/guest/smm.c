// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the guest that tests KVM's handler: a call out of System Management Mode.
 * Whoever runs there is not the kernel that has registered, and has other memory.
 */
#include "guest.h"

/* Where SMM begins after a reset: SMBASE and 32 KiB. */
#define SMM_CODE 0x38000UL

extern const uint8_t smm_begin[], smm_end[];
extern volatile uint64_t smm_root, smm_call;
extern volatile int64_t smm_answer;

/* from_smm() - what @nr is answered there; 1: SMM was not entered. */
static int64_t from_smm(enum pvb_call nr)
{
	for (size_t i = 0; i < (size_t)(smm_end - smm_begin); i++)
		((volatile uint8_t *)SMM_CODE)[i] = smm_begin[i];
	smm_root = read_cr3();
	smm_call = PVB_HC_BASE + nr;
	smm_answer = 1;
	if (ask(DISTURB_SMI) != DISTURB_DONE)
		return 1;
	ask(DISTURB_SMI_OVER);
	return smm_answer;
}

void test_smm(void)
{
	uint64_t denied, value = 0;
	bool good;

	if (ask(DISTURB_COUNTERS) == DISTURB_NOBODY) {
		skip("SMM is refused", "the VMM runs without tests/kvm/disturb.c");
		return;
	}
	denied = mail.counters[8];
	space_load();
	good = from_smm(PVB_CALL_NOP) == -PVB_EPERM && from_smm(PVB_CALL_SUBMIT) == -PVB_EPERM &&
	       from_smm(PVB_CALL_REGISTER) == -PVB_EPERM;
	ask(DISTURB_COUNTERS);
	check(good && mail.counters[8] - denied == 3, "SMM is refused, whatever it calls");
	set_pte(&leaf[0], data_pte(1, RW));
	check(name_run(leaf, 1, PVB_FLUSH_ALL) == 0 && probe_read(TEST_VA, &value) == NO_FAULT &&
		      value == DATA_MARK + 1,
	      "and the kernel below it is served as before");
}
