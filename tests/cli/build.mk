# SPDX-License-Identifier: GPL-2.0-only
# The command line's tests, on this machine and with the testbed.

$(B)/tests/cli: tests/cli/cli $(B)/pvbatch $(B)/tests/vmm-guest.elf $(B)/guest/demo.elf
$(B)/tests/cli-testbed: tests/cli/testbed $(B)/pvbatch $(B)/tests/vmm-guest.elf
$(B)/tests/cli $(B)/tests/cli-testbed:
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s %s %s %s\n' $^ >$@ && chmod +x $@

$(B)/tests/cli-options: tests/cli/options $(B)/pvbatch $(B)/pvbatchd | $(B)/pvbatch-domain
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s %s %s\n' $^ >$@ && chmod +x $@

CHECK_TESTS += $(B)/tests/cli $(B)/tests/cli-options
EMULATED_TESTS += $(B)/tests/cli-testbed
