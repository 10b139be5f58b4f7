# SPDX-License-Identifier: GPL-2.0-only
# Threads as hardware: the long run, and a short one under the thread sanitizer.

RACE_SRCS := $(addprefix tests/race/,race_ad.c committer.c walker.c) $(ENGINE_SRCS) $(INPROC_SRCS)

$(B)/tests/race_ad: $(call objs,host,$(RACE_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_host) $^ -lpthread -o $@

$(B)/tests/race_ad_tsan: $(call objs,tsan,$(filter-out %/apply.c,$(RACE_SRCS)) \
		tests/model/hooked_apply.c)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_tsan) $^ -lpthread -o $@

CHECK_TESTS += $(B)/tests/race_ad_tsan
SLOW_TESTS += $(B)/tests/race_ad
