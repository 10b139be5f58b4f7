# SPDX-License-Identifier: GPL-2.0-only
# Models that spin searches exhaustively, and their mutants (docs/proofs.md). About ten
# seconds of one CPU each.

SPIN_MODELS := merge progress queue

$(B)/tests/spin-%: tests/spin/run tests/spin/%.pml
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s %s\n' $^ >$@ && chmod +x $@

SLOW_TESTS += $(SPIN_MODELS:%=$(B)/tests/spin-%)
