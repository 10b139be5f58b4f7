# SPDX-License-Identifier: GPL-2.0-only
# guest/demo: the bare-metal guest of the quick start, the VM tests and the benchmarks.

DEMO_SRCS := $(wildcard guest/demo/*.c guest/demo/*.S)
DEMO_ELF := $(B)/guest/demo.elf

$(DEMO_ELF): $(call objs,guest,$(DEMO_SRCS)) $(B)/libpvbatch-guest.a guest/demo/demo.lds
	@mkdir -p $(@D)
	$(CC) -nostdlib -static -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
		-Wl,-z,noexecstack -T guest/demo/demo.lds $(filter %.o %.a,$^) -o $@

ALL += $(DEMO_ELF)

include guest/demo/xen/build.mk
