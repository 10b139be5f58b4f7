# SPDX-License-Identifier: GPL-2.0-only
# The in-process backend: linked into tests and into `pvbatch bench engine`.

INPROC_SRCS := $(addprefix hypervisor/inproc/,host.c memory.c walker.c)

$(B)/libpvbatch-inproc.a: $(call objs,host,$(INPROC_SRCS))
	@rm -f $@
	$(AR) rcs $@ $^

ALL += $(B)/libpvbatch-inproc.a
