# SPDX-License-Identifier: GPL-2.0-only
# Tests of the VMM: its ELF loader alone, and whole machines with a guest of their own.

VMM_TEST_GUEST := $(B)/tests/vmm-guest.elf
VMM_TEST_GUEST_SRCS := $(wildcard tests/vmm/guest/*.c tests/vmm/guest/*.S)

$(VMM_TEST_GUEST): $(call objs,guest,$(VMM_TEST_GUEST_SRCS)) tests/vmm/guest/guest.lds
	@mkdir -p $(@D)
	$(CC) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack \
		-Wl,-z,max-page-size=4096 -T tests/vmm/guest/guest.lds $(filter %.o,$^) -o $@

$(B)/tests/vmm-elf: $(call objs,asan,tests/vmm/elf_test.c $(addprefix hypervisor/vmm/, \
		elf.c memory.c error.c))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_asan) $^ -lcmocka -o $@

VMM_MACHINE_SRCS := tests/vmm/machine_test.c $(VMM_SRCS) $(ENGINE_SRCS)
VMM_MACHINES := vmm-machine vmm-machine-asan vmm-machine-tsan

$(B)/tests/vmm-machine-host: $(call objs,host,$(VMM_MACHINE_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_host) $^ $(VMM_LIBS) -lcmocka -o $@

$(B)/tests/vmm-machine-asan-host: $(call objs,asan,$(VMM_MACHINE_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_asan) $^ $(VMM_LIBS) -lcmocka -o $@

$(B)/tests/vmm-machine-tsan-host: $(call objs,tsan,$(VMM_MACHINE_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_tsan) $^ $(VMM_LIBS) -lcmocka -o $@

# The same tests on this machine's /dev/kvm, whatever it is, and in the testbed.
$(VMM_MACHINES:%=$(B)/tests/%): $(B)/tests/%: $(B)/tests/%-host $(VMM_TEST_GUEST)
	@printf '#!/bin/sh\nexec %s %s\n' $^ >$@ && chmod +x $@

$(B)/tests/vmm-testbed: $(B)/tests/vmm-machine-host $(VMM_TEST_GUEST)
	@printf '#!/bin/sh\nexec tests/testbed/run-kvm --timeout 300 -- %s %s\n' $^ >$@ && \
		chmod +x $@

CHECK_TESTS += $(B)/tests/vmm-elf $(B)/tests/vmm-machine
SLOW_TESTS += $(B)/tests/vmm-machine-asan $(B)/tests/vmm-machine-tsan
EMULATED_TESTS += $(B)/tests/vmm-testbed
