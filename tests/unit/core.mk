# SPDX-License-Identifier: GPL-2.0-only
# Unit tests of guest/core, with address and undefined sanitizers: over a host that does
# as it is told, and over the engine.

CORE_UNIT := core_setup core_queue core_submit core_guest_apply core_collect
CORE_RIG := tests/unit/core_rig.c $(GUEST_CORE_SRCS)
CORE_MACHINE := tests/unit/core_machine.c $(GUEST_CORE_SRCS) $(ENGINE_SRCS) $(INPROC_SRCS)

define core_unit_rule
$(B)/tests/$(1): $(call objs,asan,tests/unit/$(1).c $(CORE_RIG))
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS_asan) $$^ -lcmocka -o $$@
endef
$(foreach t,$(CORE_UNIT),$(eval $(call core_unit_rule,$(t))))

$(B)/tests/core_engine: $(call objs,asan,tests/unit/core_engine.c $(CORE_MACHINE))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_asan) $^ -lcmocka -lpthread -o $@

$(B)/tests/core_race: $(call objs,tsan,tests/unit/core_race.c $(CORE_MACHINE))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_tsan) $^ -lcmocka -lpthread -o $@

CHECK_TESTS += $(CORE_UNIT:%=$(B)/tests/%) $(B)/tests/core_engine $(B)/tests/core_race
