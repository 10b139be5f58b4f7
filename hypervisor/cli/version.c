// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - which pvbatch this is. The only object that a new revision changes.
 */
#include <cli/cli.h>
#include <version.h>

const char cli_release[] = PVB_RELEASE;
const char cli_git[] = PVB_GIT_REV;
