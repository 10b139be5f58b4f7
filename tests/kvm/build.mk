# SPDX-License-Identifier: GPL-2.0-only
# Tests of KVM's handler: a guest that checks what its hypercalls do, under our kernel as
# the KVM host with shadow page tables.

KVM_TEST_GUEST := $(B)/tests/kvm-guest.elf
KVM_TEST_GUEST_SRCS := $(wildcard tests/kvm/guest/*.c tests/kvm/guest/*.S)

$(KVM_TEST_GUEST): $(call objs,guest,$(KVM_TEST_GUEST_SRCS)) tests/kvm/guest/guest.lds
	@mkdir -p $(@D)
	$(CC) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack \
		-Wl,-z,max-page-size=4096 -T tests/kvm/guest/guest.lds $(filter %.o,$^) -o $@

$(B)/tests/kvm-disturb.so: tests/kvm/disturb.c tests/kvm/disturb.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_host) -shared -fPIC $< -o $@

# Static: there is no need to find its libraries in the host.
$(B)/tests/kvm-fail-sites: $(call objs,host,tests/kvm/fail-sites.c)
	@mkdir -p $(@D)
	$(CC) -static $^ -o $@

$(B)/tests/kvm-handler: tests/kvm/handler $(wildcard tests/kvm/*in-host) $(KVM_TEST_GUEST) $(B)/tests/kvm-disturb.so $(B)/pvbatch
	@printf '#!/bin/sh\nexec tests/kvm/handler "$$@"\n' >$@ && chmod +x $@

# The same on another host, or in another mood.
KVM_MOODS := $(B)/tests/kvm-look $(B)/tests/kvm-nested-paging $(B)/tests/kvm-hostile

$(KVM_MOODS): $(B)/tests/kvm-%: $(B)/tests/kvm-handler $(B)/guest/hostile.elf $(DEMO_ELF)
	@printf '#!/bin/sh\nexec tests/kvm/handler --what $* "$$@"\n' >$@ && chmod +x $@

# The debug kernels are hosts for these and for nothing else.
KVM_DEBUG_TESTS := $(addprefix $(B)/tests/kvm-debug,$(addprefix -,all look hostile faults))
KVM_KCSAN_TESTS := $(addprefix $(B)/tests/kvm-kcsan,$(addprefix -,all hostile))

# kvm-KERNEL-WHAT
$(KVM_DEBUG_TESTS) $(KVM_KCSAN_TESTS): $(KVM_MOODS) $(B)/tests/kvm-fail-sites
	@printf '#!/bin/sh\nexec tests/kvm/handler --kernel build/linux/bzImage.%s --what %s "$$@"\n' \
		$(wordlist 2,3,$(subst -, ,$(@F))) >$@ && chmod +x $@

.PHONY: test-debug test-kcsan

##: make test-debug  KVM's handler under lockdep and KASAN, and while allocations fail
test-debug: all linux-debug $(KVM_DEBUG_TESTS)
	@tests/run $(KVM_DEBUG_TESTS)

##: make test-kcsan  KVM's handler under KCSAN: data races
test-kcsan: all linux-kcsan $(KVM_KCSAN_TESTS)
	@tests/run $(KVM_KCSAN_TESTS)

# Of the debug kernel's tests those that take a minute.
EMULATED_TESTS += $(B)/tests/kvm-handler $(KVM_MOODS) $(B)/tests/kvm-debug-all $(B)/tests/kvm-debug-hostile
