/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: demo guest - the few library functions that a freestanding program brings along.
 */
#ifndef DEMO_LIB_H
#define DEMO_LIB_H

#include <stdarg.h>
#include <pvbatch/types.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

void *memset(void *dst, int value, size_t bytes);
void *memcpy(void *dst, const void *src, size_t bytes);
void *memmove(void *dst, const void *src, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *s);
bool streq(const char *a, const char *b);

/* parse_u64() - all of @s as a decimal or 0x number; false if it is none or too large. */
bool parse_u64(const char *s, uint64_t *value);

/*
 * format() - into @buf of @size bytes, cut off and zero-terminated. Knows %s %c %%, and
 * %d %u %x with l for 64 bits, a width, and 0 or - before the width.
 */
size_t format(char *buf, size_t size, const char *fmt, va_list args);

/* sort_u64() - ascending, for small arrays. */
void sort_u64(uint64_t *values, size_t nr);

/* mul_div() - @a * @b / @c without overflow in between; ~0 if the result has no room. */
uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c);

typedef struct {
	uint32_t held;
} spinlock_t;

static inline void spin_lock(spinlock_t *lock)
{
	while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE))
		asm volatile("pause" : : : "memory");
}

static inline void spin_unlock(spinlock_t *lock)
{
	__atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}

#endif /* DEMO_LIB_H */
