# SPDX-License-Identifier: GPL-2.0-only
# The host agent. AGENT_SRCS is what `pvbatch` shares with it.

AGENT_SRCS := $(addprefix hypervisor/agent/,counters.c list.c runtime.c scan.c source_kvm.c \
	source_vmm.c)
