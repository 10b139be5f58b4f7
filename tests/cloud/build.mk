# SPDX-License-Identifier: GPL-2.0-only
#
# A cloud host in a box: Debian, our kernel, our packages, libvirtd, a domain. Not in `make
# test`: it fetches a Debian, and takes minutes (docs/packages.md).

.PHONY: deps-cloud
deps-cloud:
	@.ci/install-deps cloud

.PHONY: run-cloud
##: make run-cloud   a cloud host in a box: Debian, libvirtd, the packages, a domain, figures
run-cloud: linux deb deps-cloud
	tests/cloud/run --live
