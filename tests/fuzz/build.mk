# SPDX-License-Identifier: GPL-2.0-only
# Fuzzers. Each is a pair of functions with libFuzzer's names, built three times: with
# libFuzzer (make fuzz), for coverage, and with replay.c and the usual compiler, which runs
# the corpus in the tree as a test.

FUZZERS := calls batch xen elf agent
FUZZ_CC ?= clang
FUZZ_SECONDS ?= 60
FUZZ_RUNS ?= 20000
LLVM_COV ?= llvm-cov-14
LLVM_PROFDATA ?= llvm-profdata-14

FUZZ_ENGINE := tests/model/oracle.c tests/model/hooked_apply.c \
	$(filter-out %/apply.c,$(ENGINE_SRCS))
FUZZ_WORLD := $(addprefix tests/fuzz/,world.c judge.c judge_submit.c mutate.c) $(FUZZ_ENGINE)
FUZZ_SRCS_calls := tests/fuzz/calls.c $(FUZZ_WORLD)
FUZZ_SRCS_batch := tests/fuzz/batch.c $(FUZZ_WORLD)
FUZZ_SRCS_xen := $(addprefix tests/fuzz/,xen.c mutate.c) $(wildcard hypervisor/xen/*.c) \
	$(ENGINE_SRCS)
FUZZ_SRCS_elf := $(addprefix tests/fuzz/,elf.c mutate.c) \
	$(addprefix hypervisor/vmm/,elf.c memory.c error.c)

FUZZ_SRCS_agent := $(addprefix tests/fuzz/,agent.c mutate.c) \
	$(addprefix hypervisor/agent/,source_vmm.c counters.c limits.c trace_file.c wish.c)
FUZZ_LIBS_agent := -ljansson -lexpat -lz

FUZZ_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_fuzz := $(CFLAGS_COMMON) -D_GNU_SOURCE -O1 -fno-omit-frame-pointer $(FUZZ_SANITIZE) \
	-fsanitize=fuzzer-no-link
CFLAGS_cov := $(CFLAGS_COMMON) -D_GNU_SOURCE -O1 -fprofile-instr-generate -fcoverage-mapping
CFLAGS_afl := $(CFLAGS_COMMON) -D_GNU_SOURCE -fsanitize=address,undefined
$(foreach v,fuzz cov afl,$(eval $(call variant_rules,$(v))))
$(B)/obj/fuzz/%.o $(B)/obj/cov/%.o: CC := $(FUZZ_CC)
$(B)/obj/afl/%.o: CC := afl-clang-fast

define fuzzer
$(B)/fuzz/$(1): $(call objs,fuzz,$(FUZZ_SRCS_$(1)))
	@mkdir -p $$(@D)
	$(FUZZ_CC) $(FUZZ_SANITIZE) -fsanitize=fuzzer $$^ $(FUZZ_LIBS_$(1)) -o $$@

$(B)/fuzz/$(1)-cov: $(call objs,cov,$(FUZZ_SRCS_$(1)) tests/fuzz/replay.c)
	@mkdir -p $$(@D)
	$(FUZZ_CC) -fprofile-instr-generate $$^ $(FUZZ_LIBS_$(1)) -o $$@

$(B)/fuzz/$(1)-afl: $(call objs,afl,$(FUZZ_SRCS_$(1)))
	@mkdir -p $$(@D)
	afl-clang-fast $(FUZZ_SANITIZE) -fsanitize=fuzzer $$^ $(FUZZ_LIBS_$(1)) -o $$@

$(B)/fuzz/$(1)-replay: $(call objs,asan,$(FUZZ_SRCS_$(1)) tests/fuzz/replay.c)
	@mkdir -p $$(@D)
	$$(CC) $(LDFLAGS_asan) $$^ $(FUZZ_LIBS_$(1)) -o $$@

$(B)/tests/fuzz-$(1): $(B)/fuzz/$(1)-replay tests/fuzz/$(1).corpus
	@mkdir -p $$(@D)
	@printf '#!/bin/sh\nexec %s %s\n' $$^ >$$@ && chmod +x $$@
endef
$(foreach f,$(FUZZERS),$(eval $(call fuzzer,$(f))))

FUZZ_CORPORA := $(FUZZERS:%=tests/fuzz/%.corpus)

.PHONY: fuzz fuzz-afl coverage deps-afl

deps-afl:
	@.ci/install-deps afl

##: make fuzz        FUZZ_SECONDS=60: every fuzzer for so long, from the corpora in the tree
fuzz: deps-build deps-test $(FUZZERS:%=$(B)/fuzz/%)
	tests/fuzz/run --seconds $(FUZZ_SECONDS) $(FUZZERS)

# AFL++ in persistent mode over the same two functions (package afl++)
fuzz-afl: deps-afl $(FUZZERS:%=$(B)/fuzz/%-afl)
	tests/fuzz/run --afl --seconds $(FUZZ_SECONDS) $(FUZZERS)

##: make coverage    what the fuzzers' corpora reach: build/coverage
coverage: deps-build deps-test $(FUZZERS:%=$(B)/fuzz/%-cov)
	tests/fuzz/coverage --report

$(B)/tests/fuzz-coverage: tests/fuzz/coverage $(FUZZERS:%=$(B)/fuzz/%-cov) $(FUZZ_CORPORA)
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec tests/fuzz/coverage\n' >$@ && chmod +x $@

# A short run of each, the same every time.
$(B)/tests/fuzz-short: tests/fuzz/run $(FUZZERS:%=$(B)/fuzz/%) $(FUZZ_CORPORA)
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec tests/fuzz/run --runs $(FUZZ_RUNS) $(FUZZERS)\n' >$@ && chmod +x $@

CHECK_TESTS += $(FUZZERS:%=$(B)/tests/fuzz-%)
SLOW_TESTS += $(B)/tests/fuzz-coverage $(B)/tests/fuzz-short
