# SPDX-License-Identifier: GPL-2.0-only
# make lint: formatting, static analysis, layering rules.

C_FILES = $(shell git ls-files --cached --others --exclude-standard '*.c' '*.h')
# Kernel files follow the kernel's headers, which are not here to be analysed against.
C_USER = $(filter-out guest/linux/% hypervisor/kvm/% tests/testbed/kvm/%,$(C_FILES))
C_ANALYSED = $(filter %.c,$(C_USER))
SHELL_FILES = $(shell git ls-files --cached --others --exclude-standard | xargs grep -lE '^\#!.*(bash|/sh)' 2>/dev/null)

.PHONY: lint-format lint-layers lint-shell lint-cppcheck lint-sparse lint-clang

lint: deps-lint deps-build deps-test
	@$(MAKE) --no-print-directory -k -j$$(nproc) lint-format lint-layers lint-shell \
		lint-cppcheck lint-sparse lint-clang
	@echo "lint: clean"

lint-format:
	@clang-format --dry-run -Werror $(C_FILES)

lint-layers:
	@docs/gen-abi --check
	@tests/lint/layers
	@tests/lint/promises

lint-shell:
	@shellcheck -x $(SHELL_FILES)

lint-cppcheck:
	@mkdir -p $(B)/lint/cppcheck
	@cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem --suppress=comparePointers \
		--suppress=ctunullpointer --suppress=invalidPrintfArgType_uint \
		--include=tests/lint/jansson.h --error-exitcode=1 -D__x86_64__ \
		--cppcheck-build-dir=$(B)/lint/cppcheck $(INCLUDES) $(C_ANALYSED)

# sparse knows address spaces and bitwise types: guest addresses are no host pointers.
lint-sparse:
	@fail=0; for f in $(filter protocol/% guest/core/% guest/mm/% hypervisor/engine/%,$(C_ANALYSED)); do \
		sparse -std=gnu11 -Wbitwise -Wno-decl -Wsparse-error $(INCLUDES) $$f || fail=1; \
	done; exit $$fail

# clang's warnings and clang-tidy's analyser, next to gcc's in the build itself.
tidy = xargs -P$$(nproc) -n4 sh -c 'clang-tidy --quiet "$$@" -- $(1) 2>/dev/null' clang-tidy

lint-clang: $(B)/gen/version.h
	@printf '%s\n' $(filter-out guest/demo/xen/%,$(C_ANALYSED)) | \
		$(call tidy,$(filter-out -g -O2,$(CFLAGS_host)) -I$(B)/gen)
	@printf '%s\n' $(filter guest/demo/xen/%,$(C_ANALYSED)) | \
		$(call tidy,$(filter-out -g -O2,$(CFLAGS_xen)))
