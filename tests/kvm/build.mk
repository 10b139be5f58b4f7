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

$(B)/tests/kvm-handler: tests/kvm/handler $(KVM_TEST_GUEST) $(B)/tests/kvm-disturb.so $(B)/pvbatch
	@printf '#!/bin/sh\nexec tests/kvm/handler "$$@"\n' >$@ && chmod +x $@

SLOW_TESTS += $(B)/tests/kvm-handler
