// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - where to run: this machine's /dev/kvm, or the testbed.
 */
#include <stdlib.h>

#include <cli/cli.h>

#define TESTBED "the testbed: KVM inside QEMU's emulation of AMD SVM"

bool cli_in_testbed(void)
{
	return getenv(CLI_TESTBED_ENV) != NULL;
}

int cli_backend_choose(enum cli_backend wanted, enum cli_backend *backend, struct vmm_host *host)
{
	struct vmm_error error;

	*backend = wanted;
	if (wanted == BACKEND_TESTBED)
		return CLI_OK;
	if (vmm_probe(host, &error)) {
		if (wanted == BACKEND_KVM)
			return cli_fail(&error);
		cli_say("%s", error.text);
		cli_say("running in " TESTBED);
		*backend = BACKEND_TESTBED;
		return CLI_OK;
	}
	*backend = BACKEND_KVM;
	if (host->native && (wanted == BACKEND_KVM || host->paging == VMM_PAGING_SECOND_LEVEL))
		return CLI_OK;
	if (wanted == BACKEND_KVM) {
		if (!cli_in_testbed())
			cli_say("/dev/kvm emulates guest code (%.0f ns an instruction): the times "
				"below mean nothing",
				host->ns_per_insn);
		return CLI_OK;
	}
	*backend = BACKEND_TESTBED;
	if (host->native)
		cli_say("/dev/kvm shadows page tables, which a VMM in user space cannot keep up to "
			"date; running in " TESTBED);
	else
		cli_say("/dev/kvm emulates guest code (%.0f ns an instruction); running in " TESTBED,
			host->ns_per_insn);
	return CLI_OK;
}
