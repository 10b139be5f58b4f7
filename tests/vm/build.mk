# SPDX-License-Identifier: GPL-2.0-only
# The demo guest under `pvbatch run`: on this machine's /dev/kvm, whatever it is, in the
# testbed, and in the testbed on a KVM that has our handler and shadow page tables. The
# first set takes seconds even where /dev/kvm emulates guest code.

VM_SETS := vm-demo vm-figures vm-memory
VM_ARGS := $(B)/pvbatch $(DEMO_ELF)

$(B)/tests/vm-demo-here: $(call objs,host,tests/vm/demo.c tests/vm/run.c)
$(B)/tests/vm-figures-here: $(call objs,host,tests/vm/figures.c tests/vm/run.c)
$(B)/tests/vm-memory-here: $(call objs,host,tests/vm/memory.c tests/vm/run.c)

$(VM_SETS:%=$(B)/tests/%-here):
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_host) $^ -lcmocka -ljansson -o $@

$(VM_SETS:%=$(B)/tests/%): $(B)/tests/%: $(B)/tests/%-here $(VM_ARGS)
	@printf '#!/bin/sh\nexec %s %s %s\n' $^ >$@ && chmod +x $@

$(VM_SETS:%=$(B)/tests/%-testbed): $(B)/tests/%-testbed: $(B)/tests/%-here $(VM_ARGS)
	@printf '#!/bin/sh\nexec tests/vm/on-testbed %s %s %s\n' $^ >$@ && chmod +x $@

$(VM_SETS:%=$(B)/tests/%-handler): $(B)/tests/%-handler: $(B)/tests/%-here $(VM_ARGS)
	@printf '#!/bin/sh\nexec tests/vm/on-testbed --handler %s %s %s\n' $^ >$@ && chmod +x $@

$(B)/tests/vm-hostile: tests/vm/hostile $(B)/pvbatch $(B)/guest/hostile.elf $(DEMO_ELF)
	@printf '#!/bin/sh\nexec tests/vm/hostile $(B)/pvbatch\n' >$@ && chmod +x $@

SLOW_TESTS += $(B)/tests/vm-hostile

CHECK_TESTS += $(B)/tests/vm-demo
SLOW_TESTS += $(B)/tests/vm-figures $(B)/tests/vm-memory
EMULATED_TESTS += $(VM_SETS:%=$(B)/tests/%-testbed) $(VM_SETS:%=$(B)/tests/%-handler)
