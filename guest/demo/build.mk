# SPDX-License-Identifier: GPL-2.0-only
# guest/demo: the bare-metal guest of the quick start, the VM tests and the benchmarks.

DEMO_SRCS := $(wildcard guest/demo/*.c guest/demo/*.S)
DEMO_ELF := $(B)/guest/demo.elf

$(DEMO_ELF): $(call objs,guest,$(DEMO_SRCS)) $(B)/libpvbatch-guest.a guest/demo/demo.lds
	@mkdir -p $(@D)
	$(CC) -nostdlib -static -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
		-Wl,-z,noexecstack -T guest/demo/demo.lds $(filter %.o %.a,$^) -o $@

# The same kernel, that attacks its host unless told otherwise.
CFLAGS_guest_hostile := $(CFLAGS_guest) -DDEMO_WORKLOAD=WORKLOAD_HOSTILE
$(eval $(call variant_rules,guest_hostile))

$(B)/guest/hostile.elf: $(call objs,guest,$(filter-out %/options.c,$(DEMO_SRCS))) \
		$(call objs,guest_hostile,guest/demo/options.c) $(B)/libpvbatch-guest.a \
		guest/demo/demo.lds
	@mkdir -p $(@D)
	$(CC) -nostdlib -static -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
		-Wl,-z,noexecstack -T guest/demo/demo.lds $(filter %.o %.a,$^) -o $@

ALL += $(DEMO_ELF) $(B)/guest/hostile.elf

include guest/demo/xen/build.mk
