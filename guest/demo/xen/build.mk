# SPDX-License-Identifier: GPL-2.0-only
# The demo guest as a Xen PV kernel: the same workloads, another machine underneath. Not in
# ALL: it needs Xen's public headers (package libxen-dev).

CFLAGS_xen := $(CFLAGS_guest) -DDEMO_XEN
$(eval $(call variant_rules,xen))

DEMO_XEN_SRCS := $(wildcard guest/demo/xen/*.c guest/demo/xen/*.S guest/core/xen/*.c) \
	$(addprefix guest/demo/,basics.c check.c conform.c console.c dump.c hostile.c host.c lib.c main.c measure.c memory.c \
		options.c pass.c race.c race_workers.c smp.c toggle.c trap.c victim.c)
DEMO_XEN_ELF := $(B)/guest/demo-xen.elf

$(DEMO_XEN_ELF): $(call objs,xen,$(DEMO_XEN_SRCS)) $(B)/libpvbatch-guest.a guest/demo/xen/xen.lds
	@mkdir -p $(@D)
	$(CC) -nostdlib -static -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
		-Wl,-z,noexecstack -T guest/demo/xen/xen.lds $(filter %.o %.a,$^) -o $@
