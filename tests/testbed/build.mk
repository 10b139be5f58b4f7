# SPDX-License-Identifier: GPL-2.0-only
# Testbed: the scripts need no building, but for a program that keeps the emulated KVM host
# out of trouble; their self-test needs a program that uses KVM.

TESTBED_PROBE := $(B)/tests/kvm-probe
TESTBED_HOLD := $(B)/testbed/kvm-hold

# Static: it must run on any host kernel's initramfs, and nothing is faster to start.
$(TESTBED_HOLD): $(call objs,host,tests/testbed/kvm-hold.c)
	@mkdir -p $(@D)
	$(CC) -static $^ -o $@

ALL += $(TESTBED_HOLD)

$(TESTBED_PROBE): $(call objs,host,tests/testbed/kvm-probe.c)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_host) $^ -o $@

$(B)/tests/testbed: tests/testbed/selftest $(TESTBED_PROBE)
	@printf '#!/bin/sh\nexec tests/testbed/selftest %s\n' $(TESTBED_PROBE) >$@
	@chmod +x $@

CHECK_TESTS += tests/testbed/again
EMULATED_TESTS += $(B)/tests/testbed
