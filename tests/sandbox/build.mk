# SPDX-License-Identifier: GPL-2.0-only
# What is left to the process of a guest.

SANDBOX_SRCS := tests/sandbox/sandbox.c $(addprefix hypervisor/vmm/,sandbox.c ring.c error.c)

$(B)/tests/sandbox-here: $(call objs,host,$(SANDBOX_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_host) $^ -luring -lseccomp -lpthread -lcmocka -o $@

$(B)/tests/sandbox: $(B)/tests/sandbox-here $(B)/pvbatch $(B)/tests/vmm-guest.elf
	@printf '#!/bin/sh\nexec %s %s %s\n' $^ >$@ && chmod +x $@

CHECK_TESTS += $(B)/tests/sandbox
