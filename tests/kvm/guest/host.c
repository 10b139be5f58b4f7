// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the guest that tests KVM's handler: what it asks of the host it runs on, by
 * disturb.c in its VMM.
 */
#include "guest.h"

struct disturb_mail mail;

enum disturb_result ask(enum disturb_job job)
{
	mail.job = job;
	mail.result = DISTURB_NOBODY;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	outl(DISTURB_PORT, (uint32_t)(uint64_t)&mail);
	return (enum disturb_result) * (volatile uint32_t *)&mail.result;
}

static void copy_text(char *to, const char *from, size_t bytes)
{
	while (--bytes && *from)
		*to++ = *from++;
	*to = 0;
}

/* write_file() - @text into @file of this VM in debugfs, at once: 0, or an errno. */
int write_file(const char *file, const char *text)
{
	copy_text(mail.file, file, sizeof(mail.file));
	copy_text(mail.text, text, sizeof(mail.text));
	return ask(DISTURB_WRITE) == DISTURB_DONE ? mail.error : -1;
}

/* read_file() - the beginning of @file, in mail.text: 0, or an errno. */
int read_file(const char *file)
{
	copy_text(mail.file, file, sizeof(mail.file));
	return ask(DISTURB_READ) == DISTURB_DONE ? mail.error : -1;
}

bool same_text(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}
