// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - selfcheck: only CPL 0 may ring the doorbell (law 7). Each attempt
 * asks to unregister the CPU's buffer; that the CPU can still submit shows that it failed.
 */
#include "cpu.h"
#include "console.h"
#include "mm.h"
#include "selfcheck.h"
#include "trap.h"

PVB_ASSERT(USER_PORT == PVB_DOORBELL_PORT + 4 * PVB_CALL_REGISTER);
PVB_ASSERT(USER_HYPERCALL == PVB_HC_BASE + PVB_CALL_REGISTER);

#define PF_USER_WRITE 7 /* error code: present, write, user */

extern const uint8_t user_code[], user_code_end[];
extern const uint8_t user_in[], user_in_insn[], user_vmcall[], user_vmcall_insn[], user_vmmcall[],
	user_vmmcall_insn[];

void check_user_setup(void)
{
	mm_map_user(user_code, (size_t)((uint64_t)user_code_end - (uint64_t)user_code));
}

static uint64_t user_va(const uint8_t *code)
{
	return USER_BASE + ((uint64_t)code - (uint64_t)user_code);
}

static void attempt(const char *name, const uint8_t *stub, const uint8_t *insn, bool may_return)
{
	const struct user_exit *how = &this_cpu()->user_exit;
	struct pvb_batch_hdr *hdr;
	bool refused;
	bool on = irq_save();

	user_enter(user_va(stub), USER_BASE + 2 * PVB_PAGE_SIZE);
	irq_restore(on);
	refused = how->rip == user_va(insn) && (how->vector == VEC_GP || how->vector == VEC_UD);
	if (may_return && how->vector == VEC_UD && how->rip > user_va(insn))
		refused = (int64_t)how->rax < 0;
	/*
	 * KVM patches the other vendor's instruction into its own (KVM_X86_QUIRK_FIX_HYPERCALL_INSN),
	 * with the rights of whoever has executed it: user code may not be written.
	 */
	if (may_return && how->vector == VEC_PF && how->rip == user_va(insn))
		refused = how->error == PF_USER_WRITE;
	check(refused, "%s at CPL 3: vector %lu, error 0x%lx at +%ld, rax 0x%lx", name, how->vector,
	      how->error, (int64_t)(how->rip - user_va(insn)), how->rax);

	hdr = raw_header();
	check(raw_submit(hdr) == PVB_SUBMIT_DONE, "%s at CPL 3: the buffer is gone", name);
}

void check_user(void)
{
	attempt("IN", user_in, user_in_insn, false);
	attempt("VMCALL", user_vmcall, user_vmcall_insn, true);
	attempt("VMMCALL", user_vmmcall, user_vmmcall_insn, true);
}
