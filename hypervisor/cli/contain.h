/* SPDX-License-Identifier: GPL-2.0-only */
/* Stage: command line - a guest in a process of its own, which gives away what it can. */
#ifndef PVB_CLI_CONTAIN_H
#define PVB_CLI_CONTAIN_H

#include <vmm/vmm.h>

/*
 * contain_run() - as vmm_run(), in a confined child (vmm/sandbox.h). What it brings back is
 * not trusted: a child that was taken over can only lie about its own guest.
 */
int contain_run(const struct vmm_config *config, const struct vmm_host *host,
		struct vmm_result *result, struct vmm_error *error);

#endif /* PVB_CLI_CONTAIN_H */
