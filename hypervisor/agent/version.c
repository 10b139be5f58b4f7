// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - which release this is. The only object that a new revision changes.
 */
#include <agent/daemon.h>
#include <version.h>

const char agent_release[] = PVB_RELEASE;
