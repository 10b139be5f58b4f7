# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel of the testbed: guest/linux and hypervisor/kvm in one image.

.PHONY: linux linux-baseline linux-debug linux-kcsan deps-linux

deps-linux:
	@.ci/install-deps linux

##: make linux       the Linux kernel that is KVM host and guest: build/linux/bzImage
linux: deps-linux
	guest/linux/build pvbatch

linux-baseline: deps-linux
	guest/linux/build baseline

##: make linux-debug the same with lockdep, KASAN, fault injection: build/linux/bzImage.debug
linux-debug: deps-linux
	guest/linux/build debug

linux-kcsan: deps-linux
	guest/linux/build kcsan
