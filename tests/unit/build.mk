# SPDX-License-Identifier: GPL-2.0-only
# Unit tests. One fragment for each part of the tree under test.
include $(filter-out %/build.mk,$(wildcard tests/unit/*.mk))
