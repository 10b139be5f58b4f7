# SPDX-License-Identifier: GPL-2.0-only
# The installation, and what others build on it.

$(B)/tests/install: tests/install/install-test $(ALL)
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec $<\n' >$@ && chmod +x $@

SLOW_TESTS += $(B)/tests/install
