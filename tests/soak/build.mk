# SPDX-License-Identifier: GPL-2.0-only
# Everything that keeps ledgers, for as long as wanted.

MINUTES ?= 30

SOAK_NEEDS = $(B)/pvbatch $(DEMO_ELF) $(B)/guest/hostile.elf $(addprefix $(B)/tests/,race_ad \
	race_ad_tsan model_random mm_model-x86 mm_model-arm64 vmm-faults) $(FUZZERS:%=$(B)/fuzz/%)

.PHONY: soak soak-now

##: make soak        MINUTES=30: all of it with ledgers on; commits, merges, faults, losses
soak: deps-build deps-test
	@$(MAKE) --no-print-directory -j$$(nproc) soak-now

soak-now: $(SOAK_NEEDS)
	tests/soak/soak --minutes $(MINUTES)

# One minute, and another seed for each commit: a failure names it.
.SECONDEXPANSION:
$(B)/tests/soak: tests/soak/soak $$(SOAK_NEEDS)
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec tests/soak/soak --minutes 1\n' >$@ && chmod +x $@

SLOW_TESTS += $(B)/tests/soak
