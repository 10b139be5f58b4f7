# SPDX-License-Identifier: GPL-2.0-only
# The host agent: what it reads, what it shows, what it serves.

$(B)/tests/agent-stat: tests/agent/stat $(B)/pvbatch $(B)/tests/vmm-guest.elf
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s %s %s\n' $^ >$@ && chmod +x $@

$(B)/tests/agent-unit: $(call objs,asan,tests/agent/unit.c $(AGENT_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_asan) $^ -ljansson -lcmocka -o $@

CHECK_TESTS += $(B)/tests/agent-unit
# 15 s: it waits for clients and servers that do nothing.
SLOW_TESTS += $(B)/tests/agent-stat
