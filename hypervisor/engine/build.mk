# SPDX-License-Identifier: GPL-2.0-only
# libpvbatch-host.a: the engine, for any VMM. Freestanding, as the same files go into KVM.

ENGINE_SRCS := $(addprefix hypervisor/engine/,call.c submit.c decode.c validate.c table.c \
	apply.c flush.c complete.c negotiate.c)

$(foreach v,host asan tsan,$(B)/obj/$(v)/hypervisor/engine/%.o): CFLAGS_EXTRA := -ffreestanding

$(B)/libpvbatch-host.a: $(call objs,host,$(ENGINE_SRCS))
	@rm -f $@
	$(AR) rcs $@ $^

ALL += $(B)/libpvbatch-host.a
