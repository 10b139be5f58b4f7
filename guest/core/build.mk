# SPDX-License-Identifier: GPL-2.0-only OR MIT
# guest/core and guest/mm as one library, in the form a kernel links.

GUEST_CORE_SRCS := $(wildcard guest/core/*.c)
GUEST_MM_SRCS := $(wildcard guest/mm/*.c)

$(B)/libpvbatch-guest.a: $(call objs,guest,$(GUEST_CORE_SRCS) $(GUEST_MM_SRCS))
	@rm -f $@
	$(AR) rcs $@ $^

ALL += $(B)/libpvbatch-guest.a
