// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests, fuzzing - a fuzzer without libFuzzer, to be built with any compiler: runs the
 * inputs of a packed corpus (pack), or files. Prints TAP; a fuzzer that finds something
 * aborts, and the harness sees the plan broken.
 *
 * usage: replay CORPUS | replay FILE...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

/* Only libFuzzer mutates; the mutators refer to it all the same. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
	(void)data;
	(void)max_size;
	return size;
}

static int digit(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

/*
 * A line of a packed corpus: two hexadecimal digits a byte, and "." for a byte 0, "*n;" for
 * n more of them. Returns the bytes.
 */
static size_t unpack(const char *line, uint8_t *to, size_t room)
{
	size_t size = 0;

	while (*line && *line != '\n' && size < room) {
		if (*line == '.') {
			to[size++] = 0;
			line++;
		} else if (*line == '*') {
			char *end;
			unsigned long n = strtoul(line + 1, &end, 10);

			while (n-- && size < room)
				to[size++] = 0;
			line = end + 1;
		} else {
			to[size++] = (uint8_t)(digit(line[0]) << 4 | digit(line[1]));
			line += 2;
		}
	}
	return size;
}

static unsigned int corpus(FILE *file)
{
	static char line[1 << 18];
	static uint8_t bytes[1 << 17];
	unsigned int nr = 0;

	while (fgets(line, sizeof(line), file)) {
		size_t size;
		uint8_t *copy;

		if (line[0] == '#')
			continue;
		size = unpack(line, bytes, sizeof(bytes));
		copy = malloc(size ? size : 1);
		if (!copy)
			abort();
		memcpy(copy, bytes, size);
		LLVMFuzzerTestOneInput(copy, size);
		free(copy);
		nr++;
	}
	return nr;
}

static void one_file(FILE *file)
{
	static uint8_t bytes[1 << 17];
	size_t size = fread(bytes, 1, sizeof(bytes), file);

	LLVMFuzzerTestOneInput(bytes, size);
}

int main(int argc, char **argv)
{
	unsigned int nr = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: replay CORPUS | replay FILE...\n");
		return 2;
	}
	printf("1..1\n");
	for (int i = 1; i < argc; i++) {
		size_t length = strlen(argv[i]);
		FILE *file = fopen(argv[i], "re");

		if (!file) {
			perror(argv[i]);
			return 2;
		}
		if (length > 7 && !strcmp(argv[i] + length - 7, ".corpus")) {
			nr += corpus(file);
		} else {
			one_file(file);
			nr++;
		}
		fclose(file);
	}
	printf("%s 1 - %u inputs\n", nr ? "ok" : "not ok", nr);
	return !nr;
}
