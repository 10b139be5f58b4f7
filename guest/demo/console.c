// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - formatted output, and the end of the guest.
 */
#include "console.h"
#include "cpu.h"
#include "lib.h"
#include "platform.h"

static spinlock_t console_lock;

static void put_text(const char *fmt, va_list args)
{
	char line[256];

	platform_write(line, format(line, sizeof(line), fmt, args));
}

void say(const char *fmt, ...)
{
	va_list args;
	bool on = irq_save();

	va_start(args, fmt);
	spin_lock(&console_lock);
	put_text(fmt, args);
	spin_unlock(&console_lock);
	va_end(args);
	irq_restore(on);
}

void say_unlocked(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put_text(fmt, args);
	va_end(args);
}

void demo_exit(unsigned int code)
{
	platform_exit(code);
}

void demo_die(unsigned int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put_text(fmt, args);
	va_end(args);
	demo_exit(code);
}
