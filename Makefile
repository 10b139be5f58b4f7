# SPDX-License-Identifier: GPL-2.0-only
#
# pvbatch. Each folder's build.mk says what is built from it; this file holds what
# they share: compilers, variants, the commands. `make help` lists the commands.

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all

B := build
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := $(shell cat docs/VERSION)
GIT_REV ?= $(shell git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)

INCLUDES := -Iprotocol -Iguest/core/include -Iguest/mm/include -Ihypervisor/engine/include -Ihypervisor
WARN := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wvla
CFLAGS_COMMON := -std=gnu11 -O2 -g $(WARN) $(INCLUDES)

# Variants of one source: build/obj/<variant>/<path>.o
CFLAGS_host := $(CFLAGS_COMMON) -D_GNU_SOURCE
CFLAGS_asan := $(CFLAGS_COMMON) -D_GNU_SOURCE -O1 -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_tsan := $(CFLAGS_COMMON) -D_GNU_SOURCE -DPVB_TSAN -O1 -fno-omit-frame-pointer -fsanitize=thread
CFLAGS_guest := $(CFLAGS_COMMON) -ffreestanding -fno-stack-protector -fno-pic -fno-pie \
	-mno-red-zone -mgeneral-regs-only -mcmodel=kernel -fno-asynchronous-unwind-tables
LDFLAGS_host :=
LDFLAGS_asan := -fsanitize=address,undefined
LDFLAGS_tsan := -fsanitize=thread
VARIANTS := host asan tsan guest

# $(call objs,variant,sources): the objects of some sources in a variant
objs = $(patsubst %,$(B)/obj/$(1)/%.o,$(basename $(2)))

define variant_rules
$(B)/obj/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS_$(1)) $$(CFLAGS_EXTRA) -MMD -MP -c $$< -o $$@
$(B)/obj/$(1)/%.o: %.S
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS_$(1)) $$(CFLAGS_EXTRA) -MMD -MP -c $$< -o $$@
endef
$(foreach v,$(VARIANTS),$(eval $(call variant_rules,$(v))))

# build.mk files add to these
ALL :=           # what `make` builds
CHECK_TESTS :=   # fast tests: executables that print TAP
SLOW_TESTS :=    # the rest of `make test`
EMULATED_TESTS := # and what boots a machine in QEMU's emulation: see tests/run
CLEAN_DEPS :=

include $(wildcard guest/*/build.mk hypervisor/*/build.mk tests/*/build.mk docs/build.mk packaging/build.mk)
include install.mk

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

.PHONY: all help run test check bench lint clean deps-build deps-test deps-lint deps-lifecycle

all: deps-build
	@$(MAKE) --no-print-directory -j$$(nproc) all-now

.PHONY: all-now
all-now: $(ALL)

help:
	@sed -n 's/^##: //p' $(MAKEFILE_LIST)

##: make             build everything that needs no kernel build
##: make run         build, run the demo guest under KVM or the testbed, print the table
##: make check       the fast tests, under a minute
##: make test        every test that this machine can run
##: make bench       the benchmarks: build/bench/*.json and *.svg
##: make lint        formatting, static analysis, layering rules
##: make install     PREFIX=/usr/local DESTDIR=: pvbatch, libraries, headers, pkg-config
##: make clean       remove build/

# deps-<group>: install the Debian packages that a group of commands needs
deps-build deps-test deps-lint deps-lifecycle: deps-%:
	@.ci/install-deps $*

run: all
	$(B)/pvbatch run

check: all deps-test
	@$(MAKE) --no-print-directory -j$$(nproc) $(CHECK_TESTS)
	@tests/run $(CHECK_TESTS)

# Without what a kernel build needs, the tests that need a kernel are skipped and say so.
test: all deps-test
	@if .ci/install-deps linux; then $(MAKE) --no-print-directory linux linux-debug; fi
	@$(MAKE) --no-print-directory -j$$(nproc) $(CHECK_TESTS) $(SLOW_TESTS) $(EMULATED_TESTS)
	@tests/run $(CHECK_TESTS) $(SLOW_TESTS) --emulated $(EMULATED_TESTS)

# One JSON file each; bench-linux and bench-xen, which build kernels first, add theirs.
bench: all
	@mkdir -p $(B)/bench
	$(B)/pvbatch bench --json $(B)/bench/vm.json --plot $(B)/bench/vm.svg
	$(B)/pvbatch bench engine --json $(B)/bench/engine.json
	$(B)/pvbatch bench mm --json $(B)/bench/mm.json
	$(B)/pvbatch bench trace --json $(B)/bench/trace.json
	tests/agent/bench $(B)/pvbatch $(B)/pvbatchd $(B)/bench/agent.json
	@echo; echo "$(B)/bench: $$(cd $(B)/bench && echo *). With Linux guests: make bench-linux bench-xen"

clean:
	rm -rf $(B)
