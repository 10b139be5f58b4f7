# SPDX-License-Identifier: GPL-2.0-only
# Manual pages, from the Markdown that people read here.

MAN_PAGES := $(patsubst docs/man/%.md,$(B)/man/%,$(wildcard docs/man/*.md)) $(B)/man/pvbatch-abi.7
ALL += $(MAN_PAGES)

man = lowdown -s -T man --out-no-smarty -M title=$(1) -M section=$(2) -M source=pvbatch -M volume=pvbatch

$(B)/man/pvbatch-abi.7: docs/abi.md docs/build.mk
	@mkdir -p $(@D)
	sed '1,/^# The pvbatch ABI/d; /<!--/d' $< | \
		{ printf '# NAME\n\npvbatch-abi - batches of page-table updates, guest to host\n\n# DESCRIPTION\n'; cat; } | \
		$(call man,pvbatch-abi,7) -o $@

$(B)/man/%: docs/man/%.md docs/build.mk
	@mkdir -p $(@D)
	sed '1{/<!--/d}' $< | $(call man,$(basename $*),$(patsubst .%,%,$(suffix $*))) -o $@
