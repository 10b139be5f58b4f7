// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - console and exit port (machine.h).
 */
#include <pvbatch/machine.h>
#include "console.h"
#include "cpu.h"
#include "lib.h"

static spinlock_t console_lock;

/* One OUTSB sequence, so one exit, a line. */
static void put_text(const char *fmt, va_list args)
{
	char line[256];
	const char *from = line;
	size_t len = format(line, sizeof(line), fmt, args);

	asm volatile("rep outsb" : "+S"(from), "+c"(len) : "d"(PVB_PORT_CONSOLE) : "memory");
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
	out32(PVB_PORT_EXIT, code);
	for (;;)
		asm volatile("cli; hlt");
}

void demo_die(unsigned int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put_text(fmt, args);
	va_end(args);
	demo_exit(code);
}
