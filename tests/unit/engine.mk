# SPDX-License-Identifier: GPL-2.0-only
# The engine's unit tests: one program a stage, with address and undefined sanitizers.

ENGINE_UNIT := abi_golden engine_apply engine_header engine_entry engine_negotiate engine_flow \
	engine_walker
ENGINE_RIG := tests/unit/engine_rig.c $(ENGINE_SRCS) $(INPROC_SRCS)

define engine_unit_rule
$(B)/tests/$(1): $(call objs,asan,tests/unit/$(1).c $(ENGINE_RIG))
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS_asan) $$^ -lcmocka -lpthread -o $$@
endef
$(foreach t,$(ENGINE_UNIT),$(eval $(call engine_unit_rule,$(t))))

# This one comes between the engine's look at a PTE and its exchange.
$(B)/tests/engine_exchange: $(call objs,asan,tests/unit/engine_exchange.c tests/model/hooked_apply.c \
		$(filter-out %/apply.c,$(ENGINE_RIG)))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_asan) $^ -lcmocka -lpthread -o $@

CHECK_TESTS += $(ENGINE_UNIT:%=$(B)/tests/%) $(B)/tests/engine_exchange

# Not under the sanitizers: a promise about time.
tests/unit/engine_ratio: $(B)/pvbatch

SLOW_TESTS += tests/unit/engine_ratio
