# SPDX-License-Identifier: GPL-2.0-only
# The demo guest on a real Xen.

.PHONY: run-xen

##: make run-xen     the demo guest as a PV domain of a real Xen, the same table
run-xen: deps-build
	@$(MAKE) --no-print-directory $(DEMO_XEN_ELF)
	tests/xen/demo

$(B)/tests/xen: tests/xen/test $(DEMO_XEN_ELF)
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec tests/xen/test\n' >$@ && chmod +x $@

EMULATED_TESTS += $(B)/tests/xen

# The transport in one process, over a Xen of a hundred lines.
XEN_RIG := $(call objs,asan,tests/xen/rig.c \
	$(wildcard guest/core/xen/*.c hypervisor/xen/*.c hypervisor/engine/*.c))

$(B)/tests/xen-form $(B)/tests/xen-transport $(B)/tests/xen-hostile: $(B)/tests/xen-%: $(B)/obj/asan/tests/xen/%.o $(XEN_RIG)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_asan) $^ -lcmocka -o $@

CHECK_TESTS += $(B)/tests/xen-form $(B)/tests/xen-transport $(B)/tests/xen-hostile

$(B)/tests/xen-conformance: tests/xen/conformance $(DEMO_XEN_ELF) $(DEMO_ELF) $(B)/pvbatch
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec tests/xen/conformance\n' >$@ && chmod +x $@

EMULATED_TESTS += $(B)/tests/xen-conformance

# Linux as a PV domain. The workloads are those of tests/linux.
$(B)/tests/xen-stress: $(call objs,host,tests/xen/stress.c)
	@mkdir -p $(@D)
	$(CC) -static $(LDFLAGS_host) $^ -lpthread -o $@

$(B)/tests/xen-linux: tests/xen/test-linux $(B)/tests/xen-stress $(B)/tests/linux-guest
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec tests/xen/test-linux\n' >$@ && chmod +x $@

EMULATED_TESTS += $(B)/tests/xen-linux

$(B)/tests/count-exits.so: tests/xen/count-exits.c tests/linux/probe.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_host) -shared -fPIC $< -o $@

XEN_BENCH := $(B)/tests/linux-guest $(B)/tests/count-exits.so

.PHONY: run-xen-linux bench-xen

##: make run-xen-linux  Linux as PV domain of a real Xen: the table, feature off and on
run-xen-linux: linux deps-build $(XEN_BENCH)
	tests/xen/bench-linux

##: make bench-xen   the same with the unmodified kernel beside it: build/bench/xen.json
bench-xen: linux linux-baseline deps-build $(XEN_BENCH)
	tests/xen/bench-linux --json $(B)/bench/xen.json --configs "xen off xen+pvbatch"
