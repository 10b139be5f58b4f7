# SPDX-License-Identifier: GPL-2.0-only
# Tests of guest/mm. Each is built for both PTE formats on this machine, and those that
# prove the most once more as an aarch64 binary, which qemu-aarch64 runs.

MM_DEFS := -DPVB_MM_DEBUG
CFLAGS_mm_x86 := $(CFLAGS_host) $(MM_DEFS)
CFLAGS_mm_arm64 := $(CFLAGS_host) $(MM_DEFS) -DPVB_PTE_WANT_ARM64
# An architecture that overrides nothing: the loops of generic.c under everything else.
CFLAGS_mm_generic := $(CFLAGS_mm_x86) -DPVB_MM_GENERIC
CFLAGS_mm_generic-arm64 := $(CFLAGS_mm_arm64) -DPVB_MM_GENERIC
CFLAGS_mm_asan_x86 := $(CFLAGS_asan) $(MM_DEFS)
CFLAGS_mm_asan_arm64 := $(CFLAGS_asan) $(MM_DEFS) -DPVB_PTE_WANT_ARM64
CFLAGS_mm_tsan_x86 := $(CFLAGS_tsan) $(MM_DEFS)
CFLAGS_mm_tsan_arm64 := $(CFLAGS_tsan) $(MM_DEFS) -DPVB_PTE_WANT_ARM64
$(foreach v,mm_x86 mm_arm64 mm_generic mm_generic-arm64 mm_asan_x86 mm_asan_arm64 mm_tsan_x86 \
	mm_tsan_arm64, \
	$(eval $(call variant_rules,$(v))))

MM_SRCS := tests/mm/space.c tests/unit/core_machine.c $(GUEST_CORE_SRCS) $(GUEST_MM_SRCS) \
	$(ENGINE_SRCS) $(INPROC_SRCS)

MM_MODEL_SRCS := $(addprefix tests/mm/,model.c steps.c program.c)

# mm_program NAME VARIANT SOURCES LDFLAGS LIBS
define mm_program
$(B)/tests/$(1)-$(lastword $(subst _, ,$(2))): $(call objs,$(2),tests/mm/$(1).c $(3) $(MM_SRCS))
	@mkdir -p $$(@D)
	$$(CC) $(4) $$^ -lpthread $(5) -o $$@
endef
$(foreach f,x86 arm64,$(eval $(call mm_program,mm_law,mm_$(f),,,)))
$(foreach f,x86 arm64,$(eval $(call mm_program,mm_contpte,mm_$(f),,,)))
$(foreach f,x86 arm64 generic generic-arm64, \
	$(eval $(call mm_program,mm_model,mm_$(f),$(MM_MODEL_SRCS),,)))
$(foreach f,x86 arm64,$(eval $(call mm_program,mm_race,mm_tsan_$(f),,$(LDFLAGS_tsan),)))
$(foreach t,mm_unit mm_huge,$(foreach f,x86 arm64, \
	$(eval $(call mm_program,$(t),mm_asan_$(f),,$(LDFLAGS_asan),-lcmocka))))

CHECK_TESTS += $(foreach f,x86 arm64,$(B)/tests/mm_contpte-$(f) $(B)/tests/mm_model-$(f) \
	$(B)/tests/mm_race-$(f) $(B)/tests/mm_unit-$(f) $(B)/tests/mm_huge-$(f) $(B)/tests/mm_law-$(f))
SLOW_TESTS += $(B)/tests/mm_model-generic $(B)/tests/mm_model-generic-arm64

# More programs: others than the fast tests run, a few seconds of them.
$(B)/tests/mm_programs-%: $(B)/tests/mm_model-%
	@printf '#!/bin/sh\nexec %s --random --programs 1000 --seed 1000\n' $< >$@ && chmod +x $@

SLOW_TESTS += $(B)/tests/mm_programs-x86 $(B)/tests/mm_programs-arm64

# The same programs for the machine itself, under qemu-aarch64. Static: no library of that
# machine is installed here but libc.
ARM_CC ?= aarch64-linux-gnu-gcc
CFLAGS_mm_aarch64 := $(CFLAGS_host) $(MM_DEFS)

$(B)/obj/mm_aarch64/%.o: %.c
	@mkdir -p $(@D)
	$(ARM_CC) $(CFLAGS_mm_aarch64) $(CFLAGS_EXTRA) -MMD -MP -c $< -o $@

define mm_aarch64_program
$(B)/tests/$(1)-aarch64.elf: $(call objs,mm_aarch64,tests/mm/$(1).c $(2) $(MM_SRCS))
	@mkdir -p $$(@D)
	$(ARM_CC) -static $$^ -lpthread -o $$@

$(B)/tests/$(1)-aarch64: $(B)/tests/$(1)-aarch64.elf
	@printf '#!/bin/sh\nexec qemu-aarch64 %s $(3)\n' $$< >$$@ && chmod +x $$@
endef
$(eval $(call mm_aarch64_program,mm_contpte,))
$(eval $(call mm_aarch64_program,mm_model,$(MM_MODEL_SRCS),--programs 10))
$(eval $(call mm_aarch64_program,mm_race,))
$(eval $(call mm_aarch64_program,mm_law,))

SLOW_TESTS += $(foreach t,mm_contpte mm_model mm_race mm_law,$(B)/tests/$(t)-aarch64)

$(B)/tests/mm_bench: tests/mm/bench-test $(B)/pvbatch
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s %s\n' $^ >$@ && chmod +x $@

SLOW_TESTS += $(B)/tests/mm_bench
