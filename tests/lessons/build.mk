# SPDX-License-Identifier: GPL-2.0-only
# What went wrong elsewhere, against the engine and the VMM.

LESSONS_RIG := tests/unit/engine_rig.c tests/model/hooked_apply.c \
	$(filter-out %/apply.c,$(ENGINE_SRCS)) $(INPROC_SRCS)

$(B)/tests/lessons-engine $(B)/tests/lessons-flow: $(B)/tests/lessons-%: \
		$(B)/obj/asan/tests/lessons/%.o $(call objs,asan,$(LESSONS_RIG))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_asan) $^ -lcmocka -lpthread -o $@

$(B)/tests/lessons-vmm: $(call objs,asan,tests/lessons/vmm.c $(VMM_SRCS) $(ENGINE_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_asan) $^ $(VMM_LIBS) -lcmocka -o $@

CHECK_TESTS += $(B)/tests/lessons-engine $(B)/tests/lessons-flow $(B)/tests/lessons-vmm
