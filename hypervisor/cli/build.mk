# SPDX-License-Identifier: GPL-2.0-only
# build/pvbatch: the command line, the VMM and the engine in one program; guest/core and
# guest/mm for `pvbatch bench mm`.

VMM_SRCS := $(wildcard hypervisor/vmm/*.c hypervisor/record/*.c hypervisor/xen/*.c)
CLI_SRCS := $(wildcard hypervisor/cli/*.c)
VMM_LIBS := -luring -ljansson -lseccomp -lpthread
CLI_LIBS := $(VMM_LIBS) -lncursesw -ltinfo -lz

# The doorbell as it would be without tracing, for `pvbatch bench trace` alone.
DOORBELL_UNTRACED := $(B)/obj/host/hypervisor/cli/doorbell_untraced.o
$(DOORBELL_UNTRACED): hypervisor/vmm/doorbell.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_host) -DVMM_WITHOUT_TRACE -Ddoorbell_call=doorbell_call_untraced \
		-Ddoorbell_backend=doorbell_backend_untraced -MMD -MP -c $< -o $@

$(B)/pvbatch: $(DOORBELL_UNTRACED) $(call objs,host,$(CLI_SRCS) $(VMM_SRCS) $(AGENT_SRCS) $(GUEST_CORE_SRCS) $(GUEST_MM_SRCS)) \
		$(B)/libpvbatch-inproc.a \
		$(B)/libpvbatch-host.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_host) $^ $(CLI_LIBS) -o $@

# Rewritten only when it changes, so that a new revision rebuilds one object.
.PHONY: version-now
$(B)/gen/version.h: version-now
	@mkdir -p $(@D)
	@printf '%s\n' '#define PVB_RELEASE "$(VERSION)"' '#define PVB_GIT_REV "$(GIT_REV)"' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(foreach v,host asan tsan,$(B)/obj/$(v)/hypervisor/cli/version.o): CFLAGS_EXTRA := -I$(B)/gen
$(foreach v,host asan tsan,$(B)/obj/$(v)/hypervisor/cli/version.o): $(B)/gen/version.h

ALL += $(B)/pvbatch
