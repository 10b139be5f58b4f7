# SPDX-License-Identifier: GPL-2.0-only
#
# Linux as a KVM guest: workloads, tests, figures.

$(B)/tests/linux-guest: $(call objs,host,tests/linux/guest.c tests/linux/workloads.c)
	@mkdir -p $(@D)
	$(CC) -static $(LDFLAGS_host) $^ -o $@

$(B)/tests/linux-host: $(call objs,host,tests/linux/host.c tests/linux/qmp.c)
	@mkdir -p $(@D)
	$(CC) -static $(LDFLAGS_host) $^ -ljansson -o $@

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
$(B)/tests/linux-kunit: tests/linux/test tests/linux/guest.sh tests/linux/in-guest $(B)/tests/linux-host
	@printf '#!/bin/sh\nexec tests/linux/test "$$@"\n' >$@ && chmod +x $@

EMULATED_TESTS += $(B)/tests/linux-kunit

# stress-ng.
$(B)/tests/linux-stress: tests/linux/stress tests/linux/guest.sh tests/linux/in-guest $(B)/tests/linux-host
	@printf '#!/bin/sh\nexec tests/linux/stress --cpus 2 "$$@"\n' >$@ && chmod +x $@

EMULATED_TESTS += $(B)/tests/linux-stress

# Accessed and Dirty bits.
$(B)/tests/linux-ledger: $(call objs,host,tests/linux/ledger.c)
	@mkdir -p $(@D)
	$(CC) -static $(LDFLAGS_host) $^ -lpthread -o $@

$(B)/tests/linux-ad: tests/linux/ledger-test tests/linux/guest.sh tests/linux/in-guest $(B)/tests/linux-host $(B)/tests/linux-ledger
	@printf '#!/bin/sh\nexec tests/linux/ledger-test --cpus 2 "$$@"\n' >$@ && chmod +x $@

EMULATED_TESTS += $(B)/tests/linux-ad

# Linux's own mm selftests; with one CPU on demand.
$(B)/tests/linux-selftests: tests/linux/mm-test tests/linux/mm-build tests/linux/guest.sh tests/linux/in-guest $(B)/tests/linux-host
	@printf '#!/bin/sh\nexec tests/linux/mm-test --cpus 2 "$$@"\n' >$@ && chmod +x $@

EMULATED_TESTS += $(B)/tests/linux-selftests

.PHONY: test-mm-linux

##: make test-mm-linux Linux's own mm selftests, off and on, with one CPU and with two
test-mm-linux: linux deps-build $(B)/tests/linux-host
	tests/linux/mm-test
	tests/linux/mm-test --cpus 2

# The host withdraws and comes back, CPUs do.
$(B)/tests/linux-comeback: tests/linux/comeback tests/linux/guest.sh tests/linux/in-guest $(B)/tests/linux-host
	@printf '#!/bin/sh\nexec tests/linux/comeback "$$@"\n' >$@ && chmod +x $@

EMULATED_TESTS += $(B)/tests/linux-comeback

.PHONY: test-lifecycle

##: make test-lifecycle a running guest moves between hosts, sleeps, starts another kernel
test-lifecycle: linux deps-build deps-lifecycle $(B)/tests/linux-host $(B)/tests/linux-ledger
	tests/linux/lifecycle
