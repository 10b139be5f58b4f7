/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests - the VMM's test guest: one small program per word of its command line.
 * It uses the boot state as it is (machine.h) and no other code of the project than the
 * ABI's headers, so that it tests the VMM and the engine and nothing of guest/.
 */
#ifndef TEST_GUEST_H
#define TEST_GUEST_H

#include <pvbatch/machine.h>
#include <pvbatch/pte.h>

#define BOOT_PD 0x12000ULL /* the VMM's page directory: 2 MiB pages, one to one */

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline int32_t ring(unsigned int call, uint64_t a0, uint64_t a1)
{
	int32_t result;

	__asm__ volatile("inl %1, %0"
			 : "=a"(result)
			 : "d"((uint16_t)(PVB_DOORBELL_PORT + 4 * call)), "b"(a0), "c"(a1)
			 : "memory");
	return result;
}

static inline void relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

void *memset(void *dst, int value, size_t bytes);
void *memcpy(void *dst, const void *src, size_t bytes);
void say(const char *text);
void leave(uint32_t code) __attribute__((noreturn));
/* Ends the guest with @line as text and exit code 1 unless @ok. */
void check(bool ok, const char *what);
/* Negotiate once, register a buffer for vCPU @index; returns it. */
struct pvb_batch_hdr *batch_setup(uint32_t index, bool negotiate);
/* Fill in a batch of one entry and submit it; the entry's answer. */
uint16_t batch_one(struct pvb_batch_hdr *hdr, const struct pvb_entry *entry, uint8_t flush);

void run_doorbell(void);
void run_user(void);
void run_flush(uint32_t index, uint32_t rounds);
void run_cross(uint32_t index, uint32_t nr_cpus, uint32_t rounds);

#endif /* TEST_GUEST_H */
