// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - counting of checks, for the selfchecks of all platforms.
 */
#include "console.h"
#include "cpu.h"
#include "lib.h"
#include "selfcheck.h"

struct check_totals check_totals;

bool check(bool holds, const char *fmt, ...)
{
	char text[200];
	va_list args;

	__atomic_fetch_add(&check_totals.checks, 1, __ATOMIC_RELAXED);
	if (holds)
		return true;
	__atomic_fetch_add(&check_totals.failed, 1, __ATOMIC_RELAXED);
	va_start(args, fmt);
	format(text, sizeof(text), fmt, args);
	va_end(args);
	say("FAIL: CPU %u: %s\n", this_cpu()->index, text);
	return false;
}
