# SPDX-License-Identifier: GPL-2.0-only
# Unit tests of guest/core, with address and undefined sanitizers.

CORE_UNIT := core_setup core_queue core_submit core_guest_apply core_collect

define core_unit_rule
$(B)/tests/$(1): $(call objs,asan,tests/unit/$(1).c tests/unit/core_rig.c $(GUEST_CORE_SRCS))
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS_asan) $$^ -lcmocka -o $$@
endef
$(foreach t,$(CORE_UNIT),$(eval $(call core_unit_rule,$(t))))

CHECK_TESTS += $(CORE_UNIT:%=$(B)/tests/%)
