# SPDX-License-Identifier: GPL-2.0-only
#
# Linux as a KVM guest: workloads, tests, figures.

$(B)/tests/linux-guest: $(call objs,host,tests/linux/guest.c tests/linux/workloads.c)
	@mkdir -p $(@D)
	$(CC) -static $(LDFLAGS_host) $^ -o $@

$(B)/tests/linux-host: $(call objs,host,tests/linux/host.c)
	@mkdir -p $(@D)
	$(CC) -static $(LDFLAGS_host) $^ -o $@
