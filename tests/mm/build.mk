# SPDX-License-Identifier: GPL-2.0-only
# Tests of guest/mm. Each is built for both PTE formats on this machine, and those that
# prove the most once more as an aarch64 binary, which qemu-aarch64 runs.

MM_DEFS := -DPVB_MM_DEBUG
CFLAGS_mm_x86 := $(CFLAGS_host) $(MM_DEFS)
CFLAGS_mm_arm64 := $(CFLAGS_host) $(MM_DEFS) -DPVB_PTE_WANT_ARM64
CFLAGS_mm_asan_x86 := $(CFLAGS_asan) $(MM_DEFS)
CFLAGS_mm_asan_arm64 := $(CFLAGS_asan) $(MM_DEFS) -DPVB_PTE_WANT_ARM64
CFLAGS_mm_tsan_x86 := $(CFLAGS_tsan) $(MM_DEFS)
CFLAGS_mm_tsan_arm64 := $(CFLAGS_tsan) $(MM_DEFS) -DPVB_PTE_WANT_ARM64
$(foreach v,mm_x86 mm_arm64 mm_asan_x86 mm_asan_arm64 mm_tsan_x86 mm_tsan_arm64, \
	$(eval $(call variant_rules,$(v))))

MM_SRCS := tests/mm/space.c tests/unit/core_machine.c $(GUEST_CORE_SRCS) $(GUEST_MM_SRCS) \
	$(ENGINE_SRCS) $(INPROC_SRCS)

# mm_program NAME VARIANT LIBS
define mm_program
$(B)/tests/$(1)-$(patsubst mm_%,%,$(patsubst mm_asan_%,%,$(patsubst mm_tsan_%,%,$(2)))): \
		$(call objs,$(2),tests/mm/$(1).c $(MM_SRCS))
	@mkdir -p $$(@D)
	$$(CC) $(3) $$^ -lpthread $(4) -o $$@
endef
$(foreach f,x86 arm64,$(eval $(call mm_program,mm_contpte,mm_$(f),,)))

CHECK_TESTS += $(foreach f,x86 arm64,$(B)/tests/mm_contpte-$(f))
