// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - an io_uring that can do what the event loop needs and no more. Requests on a
 * ring are not system calls: seccomp does not see them, so the ring itself has to refuse to
 * open files or sockets. Restrictions can only be set before the ring is enabled, and never
 * be taken back (io_uring_register(2), IORING_REGISTER_RESTRICTIONS).
 */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vmm/sandbox.h>

static const unsigned char allowed[] = {
	IORING_OP_POLL_ADD, /* signals, events from vCPUs, room on the console */
	IORING_OP_TIMEOUT, /* the tick and the deadline */
	IORING_OP_WRITE, /* the console */
	IORING_OP_ASYNC_CANCEL, /* of a write that nobody reads */
	IORING_OP_ACCEPT, /* clients of the control socket, which is bound already */
	IORING_OP_RECV, /* what they ask */
	IORING_OP_SEND, /* the answer */
};

#define NR_ALLOWED (sizeof(allowed) / sizeof(allowed[0]))

static int restrict_to_allowed(struct io_uring *ring)
{
	struct io_uring_restriction rules[NR_ALLOWED] = { 0 };

	for (unsigned int i = 0; i < NR_ALLOWED; i++) {
		rules[i].opcode = IORING_RESTRICTION_SQE_OP;
		rules[i].sqe_op = allowed[i];
	}
	/* liburing's own functions for these two are missing from Debian 12's library. */
	if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, rules,
		    NR_ALLOWED) ||
	    syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0))
		return -errno;
	return 0;
}

int ring_open(struct io_uring *ring, unsigned int entries)
{
	int rc = io_uring_queue_init(entries, ring, IORING_SETUP_R_DISABLED);

	if (!rc) {
		rc = restrict_to_allowed(ring);
		if (rc)
			io_uring_queue_exit(ring);
		return rc;
	}
	/* Linux before 5.10 does not know the flag. */
	return rc == -EINVAL ? io_uring_queue_init(entries, ring, 0) : rc;
}
