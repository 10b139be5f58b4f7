# SPDX-License-Identifier: GPL-2.0-only
# The host agent: what it reads, what it shows, what it serves.

$(B)/tests/agent-stat: tests/agent/stat $(B)/pvbatch $(B)/tests/vmm-guest.elf
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s %s %s\n' $^ >$@ && chmod +x $@

$(B)/tests/agent-unit: $(call objs,asan,tests/agent/unit.c hypervisor/agent/wish.c $(AGENT_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_asan) $^ -ljansson -lexpat -lcmocka -o $@

CHECK_TESTS += $(B)/tests/agent-unit
# 15 s: it waits for clients and servers that do nothing.
SLOW_TESTS += $(B)/tests/agent-stat

$(B)/tests/agent-daemon: tests/agent/daemon $(B)/pvbatchd
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s %s\n' $^ >$@ && chmod +x $@

SLOW_TESTS += $(B)/tests/agent-daemon

$(B)/tests/agent-schema: tests/agent/schema docs/pvbatch.rng docs/libvirt.md
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s\n' $< >$@ && chmod +x $@

CHECK_TESTS += $(B)/tests/agent-schema

$(B)/tests/agent-libvirtd: tests/agent/libvirtd $(B)/pvbatch $(B)/pvbatchd $(B)/pvbatch-domain
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s %s %s %s\n' $^ >$@ && chmod +x $@

SLOW_TESTS += $(B)/tests/agent-libvirtd
