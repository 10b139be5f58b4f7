# SPDX-License-Identifier: GPL-2.0-only
# make test-mutants: does each law have a test that fails when the law is broken?

.PHONY: test-mutants

##: make test-mutants  break each law's line in a copy; a test has to notice
test-mutants: deps-build deps-test
	@tests/mutants/run $(sort $(wildcard tests/mutants/*.mutants))

.PHONY: test-mutants-kernel

##: make test-mutants-kernel  the same for KVM's handler: a kernel and a VM for each, an hour
test-mutants-kernel: linux $(B)/tests/kvm-handler
	@guest/linux/build tree
	@tests/mutants/run --kernel tests/mutants/handler.kernel

.PHONY: test-mutants-linux

##: make test-mutants-linux  the same for the Linux guest, by its KUnit tests: half an hour
test-mutants-linux: linux $(B)/tests/linux-host
	@tests/mutants/run --kernel tests/mutants/linux.kernel
