/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - what it says and how it ends.
 */
#ifndef DEMO_CONSOLE_H
#define DEMO_CONSOLE_H

#include <pvbatch/types.h>

/* Exit codes, by PVB_PORT_EXIT. docs/demo.md has the list. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_CHECK_FAILED = 1, /* a workload's check does not hold */
	EXIT_USAGE = 2, /* the command line */
	EXIT_MACHINE = 3, /* the machine lacks what the command line asks for */
	EXIT_TRAP = 64, /* an unhandled exception: this + its vector */
};

/* say() - formatted (lib.h) text of at most 255 bytes, whole even when CPUs compete. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* say_unlocked() - for dumps: the lock's owner may be the one that trapped. */
void say_unlocked(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void demo_exit(unsigned int code) __attribute__((noreturn));
/* demo_die() - say why, then end with @code. */
void demo_die(unsigned int code, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

#endif /* DEMO_CONSOLE_H */
