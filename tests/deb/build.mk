# SPDX-License-Identifier: GPL-2.0-only
# The Debian packages: built (half a minute), looked at, installed in an overlay and removed.

$(B)/tests/deb: tests/deb/deb $(ALL)
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec $<\n' >$@ && chmod +x $@

SLOW_TESTS += $(B)/tests/deb
