# SPDX-License-Identifier: GPL-2.0-only
# The oracle and the engine compared. Optimised: there are tens of millions of cases.

MODEL_SRCS := tests/model/oracle.c tests/model/hooked_apply.c tests/unit/engine_rig.c \
	$(filter-out %/apply.c,$(ENGINE_SRCS)) $(INPROC_SRCS)
MODEL_TESTS := model_flags model_random

define model_rule
$(B)/tests/$(1): $(call objs,host,tests/model/$(1).c $(MODEL_SRCS))
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS_host) $$^ -lpthread -o $$@
endef
$(foreach t,$(MODEL_TESTS),$(eval $(call model_rule,$(t))))

$(B)/tests/model_flags_all: $(B)/tests/model_flags
	cp $< $@

SLOW_TESTS += $(B)/tests/model_flags_all
CHECK_TESTS += $(MODEL_TESTS:%=$(B)/tests/%)

$(B)/tests/explore_submit: $(call objs,host,tests/model/explore_submit.c $(GUEST_CORE_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_host) $^ -o $@

CHECK_TESTS += $(B)/tests/explore_submit
