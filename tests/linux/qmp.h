/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: Linux tests - the host's word with QEMU: commands in QEMU's machine protocol (QMP)
 * over a socket, answered one by one.
 */
#ifndef TESTS_LINUX_QMP_H
#define TESTS_LINUX_QMP_H

#include <jansson.h>
#include <stdio.h>

struct qmp {
	FILE *in, *out;
};

/* Takes over fd; waits for QEMU's greeting. 0, or -1 when it does not come. */
int qmp_open(struct qmp *qmp, int fd);

/* Ends the connection, with the descriptor. */
void qmp_close(struct qmp *qmp);

/*
 * Has QEMU do a command; arguments (may be NULL) are taken over. What it returns, to be
 * given back with json_decref(), or NULL, said on stderr, if it refuses or has gone.
 */
json_t *qmp_do(struct qmp *qmp, const char *command, json_t *arguments);

/* The string "status" in what a command returns, into text; "" if there is none. */
void qmp_status(struct qmp *qmp, const char *command, char *text, size_t size);

#endif /* TESTS_LINUX_QMP_H */
