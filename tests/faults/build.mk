# SPDX-License-Identifier: GPL-2.0-only
# The VMM where the host fails it. With the sanitizers: what an error path forgets is a leak.

FAULT_WRAPPED := malloc calloc mmap open eventfd signalfd pthread_create ioctl \
	io_uring_queue_init io_uring_submit_and_wait
FAULT_SRCS := tests/faults/vmm.c tests/faults/fault.c $(VMM_SRCS) $(ENGINE_SRCS)

$(B)/tests/vmm-faults-host: $(call objs,asan,$(FAULT_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_asan) $(FAULT_WRAPPED:%=-Wl,--wrap=%) $^ $(VMM_LIBS) -lcmocka -o $@

$(B)/tests/vmm-faults: $(B)/tests/vmm-faults-host $(B)/tests/vmm-guest.elf
	@printf '#!/bin/sh\nexec %s %s\n' $^ >$@ && chmod +x $@

SLOW_TESTS += $(B)/tests/vmm-faults
