/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: VMM - what is left to the process of a guest once the guest runs. Whoever takes the
 * process over finds a guest's RAM, its vCPUs and a console, and nothing else.
 *
 *   sandbox.c   no new privileges, no files (landlock), no system calls but those needed
 *   ring.c      no requests on the io_uring but those needed: it would be a way around
 */
#ifndef PVB_VMM_SANDBOX_H
#define PVB_VMM_SANDBOX_H

#include <liburing.h>

#include <vmm/vmm.h>

/* Exit code of a process that broke out of line; the system call is on standard error. */
#define SANDBOX_EXIT 159 /* as a shell has it for SIGSYS */

/*
 * sandbox_files() - no new privileges for the calling process and, where the kernel has
 * landlock, no file, device or socket by name for the calling thread and those it starts.
 * What is open stays open. Returns VMM_CONFINED_* or -errno with @error.
 */
int sandbox_files(struct vmm_error *error);

/*
 * sandbox_calls() - for all threads of the process: a system call that is not on the list
 * ends the process with SANDBOX_EXIT and its name. Returns VMM_CONFINED_CALLS, 0 where the
 * kernel has no seccomp, or -errno with @error. SIGSYS is taken.
 */
int sandbox_calls(struct vmm_error *error);

/*
 * ring_open() - an io_uring of @entries, for polls, timeouts, writes and their cancellation
 * alone where the kernel can restrict it (Linux 5.10). 0 or -errno.
 */
int ring_open(struct io_uring *ring, unsigned int entries);

#endif /* PVB_VMM_SANDBOX_H */
