# SPDX-License-Identifier: GPL-2.0-only
# The host agent: what it reads, what it shows, what it serves.

$(B)/tests/agent-stat: tests/agent/stat $(B)/pvbatch $(B)/tests/vmm-guest.elf
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s %s %s\n' $^ >$@ && chmod +x $@

$(B)/tests/agent-unit: $(call objs,asan,tests/agent/unit.c hypervisor/agent/wish.c $(AGENT_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_asan) $^ -ljansson -lexpat -lz -lcmocka -o $@

CHECK_TESTS += $(B)/tests/agent-unit

$(B)/tests/agent-state: $(call objs,asan,tests/agent/state_test.c \
		$(addprefix hypervisor/agent/,limits.c state.c))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_asan) $^ -ljansson -lcmocka -o $@

CHECK_TESTS += $(B)/tests/agent-state
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

$(B)/tests/agent-hook: tests/agent/hook packaging/libvirt-hook
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s\n' $< >$@ && chmod +x $@

CHECK_TESTS += $(B)/tests/agent-hook

$(B)/tests/agent-libvirtd: tests/agent/libvirtd $(B)/pvbatch $(B)/pvbatchd $(B)/pvbatch-domain
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s %s %s %s\n' $^ >$@ && chmod +x $@

SLOW_TESTS += $(B)/tests/agent-libvirtd

$(B)/tests/agent-trace-file: $(call objs,asan,tests/agent/trace_test.c \
		hypervisor/agent/trace_file.c hypervisor/cli/trace_replay.c $(INPROC_SRCS) $(ENGINE_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_asan) $^ -lz -lpthread -lcmocka -o $@

CHECK_TESTS += $(B)/tests/agent-trace-file

# The VMM's part of it, whose threads TSan watches.
$(B)/tests/agent-trace-ring: $(call objs,tsan,tests/agent/trace_ring_test.c \
		hypervisor/agent/trace_file.c $(addprefix hypervisor/vmm/,trace.c memory.c error.c) \
		$(wildcard hypervisor/record/*.c) \
		$(ENGINE_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_tsan) $^ -lz -lpthread -lcmocka -o $@

$(B)/tests/agent-trace: tests/agent/trace $(B)/pvbatch $(B)/guest/demo.elf
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s %s %s\n' $^ >$@ && chmod +x $@

CHECK_TESTS += $(B)/tests/agent-trace-ring
SLOW_TESTS += $(B)/tests/agent-trace
