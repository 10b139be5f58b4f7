# SPDX-License-Identifier: GPL-2.0-only
#
# Linux as a KVM guest: workloads, tests, figures.

$(B)/tests/linux-guest: $(call objs,host,tests/linux/guest.c tests/linux/workloads.c)
	@mkdir -p $(@D)
	$(CC) -static $(LDFLAGS_host) $^ -o $@

$(B)/tests/linux-host: $(call objs,host,tests/linux/host.c)
	@mkdir -p $(@D)
	$(CC) -static $(LDFLAGS_host) $^ -o $@

LINUX_BENCH := $(B)/tests/linux-guest $(B)/tests/linux-host

.PHONY: run-linux bench-linux

##: make run-linux   Linux under KVM's shadow paging: the table, feature off and on
run-linux: linux deps-build $(LINUX_BENCH)
	tests/linux/bench

##: make bench-linux the same with the unmodified kernel beside it: build/bench/linux.json
bench-linux: linux linux-baseline deps-build $(LINUX_BENCH)
	tests/linux/bench --json $(B)/bench/linux.json --configs "native-baseline native npt baseline off on"

$(B)/tests/insn-profile.so: tests/linux/insn-profile.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_host) -shared -fPIC $< -o $@

# KUnit in each mode, under our kernel as the KVM host.
$(B)/tests/linux-kunit: tests/linux/test tests/linux/in-guest $(B)/tests/linux-host
	@printf '#!/bin/sh\nexec tests/linux/test "$$@"\n' >$@ && chmod +x $@

SLOW_TESTS += $(B)/tests/linux-kunit
