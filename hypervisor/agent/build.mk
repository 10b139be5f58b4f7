# SPDX-License-Identifier: GPL-2.0-only
# build/pvbatchd, the host agent, and build/pvbatch-domain, which pvbatch starts. AGENT_SRCS is what `pvbatch` shares with it.

AGENT_SRCS := $(addprefix hypervisor/agent/,counters.c limits.c list.c runtime.c scan.c source_kvm.c \
	source_vmm.c trace_file.c)
AGENT_DAEMON_SRCS := $(addprefix hypervisor/agent/,events.c http.c main.c metrics.c ring.c \
	scan_thread.c state.c switches.c version.c virt.c wish.c)
AGENT_DAEMON_LIBS := -luring -ljansson -lmicrohttpd -lvirt -lexpat -lsystemd -lz -lpthread

$(foreach v,host asan tsan,$(B)/obj/$(v)/hypervisor/agent/version.o): CFLAGS_EXTRA := -I$(B)/gen
$(foreach v,host asan tsan,$(B)/obj/$(v)/hypervisor/agent/version.o): $(B)/gen/version.h

$(B)/pvbatchd: $(call objs,host,$(AGENT_SRCS) $(AGENT_DAEMON_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_host) $^ $(AGENT_DAEMON_LIBS) -o $@

$(B)/pvbatch-domain: $(call objs,host,$(addprefix hypervisor/agent/,domain.c limits.c wish.c))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_host) $^ -ljansson -lvirt -lexpat -o $@

ALL += $(B)/pvbatchd $(B)/pvbatch-domain
