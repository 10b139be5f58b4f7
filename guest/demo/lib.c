// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - strings, numbers, formatting.
 */
#include "lib.h"

/* String instructions: one fetched instruction where the guest is emulated. */
void *memset(void *dst, int value, size_t bytes)
{
	void *to = dst;

	asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
	return dst;
}

void *memcpy(void *dst, const void *src, size_t bytes)
{
	void *to = dst;

	asm volatile("rep movsb" : "+D"(to), "+S"(src), "+c"(bytes) : : "memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t bytes)
{
	uint8_t *to = dst;
	const uint8_t *from = src;

	if (to <= from || to >= from + bytes)
		return memcpy(dst, src, bytes);
	while (bytes--)
		to[bytes] = from[bytes];
	return dst;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const uint8_t *x = a, *y = b;

	for (; bytes; bytes--, x++, y++) {
		if (*x != *y)
			return *x < *y ? -1 : 1;
	}
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

bool streq(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

bool parse_u64(const char *s, uint64_t *value)
{
	unsigned int base = 10;
	uint64_t sum = 0;

	if (s[0] == '0' && s[1] == 'x') {
		base = 16;
		s += 2;
	}
	if (!*s)
		return false;
	for (; *s; s++) {
		unsigned int digit;

		if (*s >= '0' && *s <= '9')
			digit = *s - '0';
		else if (*s >= 'a' && *s <= 'f')
			digit = *s - 'a' + 10;
		else
			return false;
		if (digit >= base || __builtin_mul_overflow(sum, base, &sum) ||
		    __builtin_add_overflow(sum, digit, &sum))
			return false;
	}
	*value = sum;
	return true;
}

struct out {
	char *buf;
	size_t size;
	size_t used;
};

static void put(struct out *out, char c)
{
	if (out->used + 1 < out->size)
		out->buf[out->used++] = c;
}

static void put_padded(struct out *out, const char *s, size_t len, size_t width, bool left,
		       char fill)
{
	size_t pad = width > len ? width - len : 0;
	size_t i;

	for (i = 0; !left && i < pad; i++)
		put(out, fill);
	for (i = 0; i < len; i++)
		put(out, s[i]);
	for (i = 0; left && i < pad; i++)
		put(out, ' ');
}

static size_t digits(char *end, uint64_t value, unsigned int base)
{
	size_t len = 0;

	do {
		*--end = "0123456789abcdef"[value % base];
		value /= base;
		len++;
	} while (value);
	return len;
}

size_t format(char *buf, size_t size, const char *fmt, va_list args)
{
	struct out out = { buf, size, 0 };

	for (; *fmt; fmt++) {
		char text[24], fill = ' ';
		bool left = false, wide = false;
		size_t width = 0, len;

		if (*fmt != '%') {
			put(&out, *fmt);
			continue;
		}
		fmt++;
		if (*fmt == '-') {
			left = true;
			fmt++;
		} else if (*fmt == '0') {
			fill = '0';
			fmt++;
		}
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + (*fmt - '0');
		for (; *fmt == 'l'; fmt++)
			wide = true;
		if (*fmt == 's') {
			const char *s = va_arg(args, const char *);

			put_padded(&out, s, strlen(s), width, left, ' ');
		} else if (*fmt == 'c') {
			put(&out, (char)va_arg(args, int));
		} else if (*fmt == 'd') {
			int64_t v = wide ? va_arg(args, int64_t) : va_arg(args, int32_t);

			len = digits(text + sizeof(text), v < 0 ? -(uint64_t)v : (uint64_t)v, 10);
			if (v < 0)
				text[sizeof(text) - ++len] = '-';
			put_padded(&out, text + sizeof(text) - len, len, width, left, ' ');
		} else if (*fmt == 'u' || *fmt == 'x') {
			uint64_t v = wide ? va_arg(args, uint64_t) : va_arg(args, uint32_t);

			len = digits(text + sizeof(text), v, *fmt == 'u' ? 10 : 16);
			put_padded(&out, text + sizeof(text) - len, len, width, left, fill);
		} else {
			put(&out, *fmt);
		}
	}
	out.buf[out.used] = 0;
	return out.used;
}

void sort_u64(uint64_t *values, size_t nr)
{
	for (size_t i = 1; i < nr; i++) {
		uint64_t v = values[i];
		size_t j = i;

		for (; j > 0 && values[j - 1] > v; j--)
			values[j] = values[j - 1];
		values[j] = v;
	}
}

uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t low, high;

	asm("mul %3" : "=a"(low), "=d"(high) : "a"(a), "r"(b) : "cc");
	if (!c || high >= c)
		return ~0ULL;
	asm("div %2" : "+a"(low), "+d"(high) : "r"(c) : "cc");
	return low;
}
