# SPDX-License-Identifier: GPL-2.0-only
# make test-mutants: does each law have a test that fails when the law is broken?

.PHONY: test-mutants

##: make test-mutants  break each law's line in a copy; a test has to notice
test-mutants: deps-build deps-test
	@tests/mutants/run $(sort $(wildcard tests/mutants/*.mutants))
