# SPDX-License-Identifier: GPL-2.0-only
# Debian packages, out of what git knows of this tree.

.PHONY: deb
DEB_TREE := $(B)/deb/pvbatch-$(VERSION)

deps-deb:
	@.ci/install-deps build deb

# -d: install-deps has seen to what is needed; build-essential, which is more, is not asked for.
##: make deb         Debian packages: build/deb/*.deb
deb: deps-deb
	@rm -rf $(B)/deb && mkdir -p $(DEB_TREE)
	@git ls-files --cached --others --exclude-standard -z | xargs -0 cp --parents -t $(DEB_TREE)
	@cp -r packaging/debian $(DEB_TREE)/debian
	@printf 'pvbatch (%s) unstable; urgency=medium\n\n  * This tree: %s.\n\n -- %s  %s\n' \
		'$(VERSION)' '$(GIT_REV)' 'pvbatch developers <pvbatch@localhost.localdomain>' \
		"$$(date -R -d @$$(git log -1 --format=%ct))" >$(DEB_TREE)/debian/changelog
	@cd $(DEB_TREE) && GIT_REV=$(GIT_REV) dpkg-buildpackage -d -us -uc -b -j$$(nproc) \
		>../build.log 2>&1 || { tail -n 30 ../build.log; exit 1; }
	@ls $(B)/deb/*.deb
