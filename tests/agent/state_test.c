// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the file in which the agent keeps what VMs had before: written and read, cut,
 * damaged, and made by somebody who means harm; under ASan.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <agent/daemon.h>

static char directory[] = "/tmp/pvbatch-state.XXXXXX", path[64], other[64];
static char said[1024];
static struct held_list list, back;

/* The daemon's, for state.c. */
void daemon_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/state", directory);
	snprintf(other, sizeof(other), "%s/other", directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	unlink(other);
	return rmdir(directory);
}

/* This process, with two VMs, the second with all that can be set. */
static void fill(void)
{
	memset(&list, 0, sizeof(list));
	list.nr = 2;
	for (int i = 0; i < 2; i++) {
		list.held[i].pid = getpid();
		list.held[i].fd = 10 + i;
		list.held[i].start = state_start(getpid());
		list.held[i].settings = 1U << SETTING_SWITCH;
		list.held[i].before[SETTING_SWITCH] = 1;
	}
	for (unsigned int s = 0; s < NR_SETTINGS; s++) {
		list.held[1].settings |= 1U << s;
		list.held[1].before[s] = s;
		list.held[1].ours[s] = s ? 1000 + s : 0;
	}
	list.held[1].before[SETTING_SWITCH] = 1;
}

static size_t contents(char *text, size_t bytes)
{
	FILE *file = fopen(path, "r");
	size_t got;

	assert_non_null(file);
	got = fread(text, 1, bytes - 1, file);
	fclose(file);
	text[got] = 0;
	return got;
}

static void put(const char *text, size_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, bytes), bytes);
	close(fd);
}

static bool load(void)
{
	memset(&back, 0x55, sizeof(back));
	said[0] = 0;
	return state_load(path, &back);
}

static void refused(const char *why)
{
	assert_false(load());
	assert_int_equal(back.nr, 0);
	if (!strstr(said, path) || !strstr(said, why))
		fail_msg("'%s' does not say '%s'", said, why);
}

static void round_trip(void **state)
{
	struct stat stat_buf;

	(void)state;
	unlink(path);
	assert_true(load()); /* none is no mistake */
	assert_int_equal(back.nr, 0);
	fill();
	assert_int_equal(state_save(path, &list), 0);
	assert_int_equal(state_save(path, &list), 0); /* over itself */
	assert_int_equal(stat(path, &stat_buf), 0);
	assert_int_equal(stat_buf.st_mode & 0777, 0600);
	assert_true(load());
	assert_int_equal(back.nr, 2);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(back.held[i].pid, getpid());
		assert_int_equal(back.held[i].fd, list.held[i].fd);
		assert_int_equal(back.held[i].settings, list.held[i].settings);
		for (unsigned int s = 0; s < NR_SETTINGS; s++)
			if (back.held[i].settings & 1U << s) {
				assert_int_equal(back.held[i].before[s], list.held[i].before[s]);
				assert_int_equal(back.held[i].ours[s], list.held[i].ours[s]);
			}
	}
	list.nr = 0;
	assert_int_equal(state_save(path, &list), 0);
	assert_int_not_equal(access(path, F_OK), 0);
}

/* Another process with the number of one that was there; another boot. */
static void others(void **state)
{
	char text[4096], *boot;

	(void)state;
	fill();
	list.held[0].start++;
	assert_int_equal(state_save(path, &list), 0);
	assert_true(load());
	assert_int_equal(back.nr, 1);
	assert_int_equal(back.held[0].fd, 11);
	contents(text, sizeof(text));
	boot = strstr(text, "\"boot\": \"");
	assert_non_null(boot);
	boot[9] = boot[9] == '0' ? '1' : '0';
	put(text, strlen(text));
	assert_true(load());
	assert_int_equal(back.nr, 0);
}

/* Cut anywhere, one byte changed anywhere: refused or possible, never anything else. */
static void damage(void **state)
{
	char text[4096], spoilt[4096];
	size_t bytes;

	(void)state;
	fill();
	assert_int_equal(state_save(path, &list), 0);
	bytes = contents(text, sizeof(text));
	for (size_t cut = 0; cut + 2 < bytes; cut++) {
		put(text, cut);
		refused("no JSON");
	}
	srand(1);
	for (unsigned int round = 0; round < 3000; round++) {
		memcpy(spoilt, text, bytes);
		spoilt[(size_t)rand() % bytes] = (char)rand();
		put(spoilt, bytes);
		if (!load())
			continue;
		assert_true(back.nr <= 2);
		for (unsigned int i = 0; i < back.nr; i++)
			for (unsigned int s = 0; s < NR_SETTINGS; s++)
				if (back.held[i].settings & 1U << s)
					assert_true(state_good(s, back.held[i].before[s]) &&
						    state_good(s, back.held[i].ours[s]));
	}
}

/* document() - with @vms between the brackets */
static void document(const char *vms)
{
	char text[4096];

	snprintf(text, sizeof(text), "{\"schema\": 1, \"boot\": \"x\", \"vms\": [%s]}", vms);
	put(text, strlen(text));
}

static void hostile(void **state)
{
	static const char *const wrong[] = {
		"1",
		"{}",
		"{\"pid\": 1, \"fd\": 2, \"start\": 3}",
		"{\"pid\": 1, \"fd\": 2, \"enabled\": [1, 0]}",
		"{\"pid\": 0, \"fd\": 2, \"start\": 3, \"enabled\": [1, 0]}",
		"{\"pid\": -1, \"fd\": 2, \"start\": 3, \"enabled\": [1, 0]}",
		"{\"pid\": 4294967297, \"fd\": 2, \"start\": 3, \"enabled\": [1, 0]}",
		"{\"pid\": 1, \"fd\": -2, \"start\": 3, \"enabled\": [1, 0]}",
		"{\"pid\": \"../1\", \"fd\": 2, \"start\": 3, \"enabled\": [1, 0]}",
		"{\"pid\": 1.5, \"fd\": 2, \"start\": 3, \"enabled\": [1, 0]}",
		"{\"pid\": 1, \"fd\": 2, \"start\": 3, \"enabled\": [2, 0]}",
		"{\"pid\": 1, \"fd\": 2, \"start\": 3, \"enabled\": [1, -1]}",
		"{\"pid\": 1, \"fd\": 2, \"start\": 3, \"enabled\": [1]}",
		"{\"pid\": 1, \"fd\": 2, \"start\": 3, \"enabled\": [1, 0, 1]}",
		"{\"pid\": 1, \"fd\": 2, \"start\": 3, \"enabled\": 1}",
		"{\"pid\": 1, \"fd\": 2, \"start\": 3, \"max-batch\": [0, 4294967295]}",
		"{\"pid\": 1, \"fd\": 2, \"start\": 3, \"../../x\": [0, 1]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		document(wrong[i]);
		refused("does not write");
	}
	document("{\"pid\": 1, \"fd\": 2, \"start\": 3, \"enabled\": [1, 0]},"
		 "{\"pid\": 1, \"fd\": 2, \"start\": 3, \"enabled\": [1, 0]}");
	refused("not in order");
	put("[]", 2);
	refused("version");
	put("{\"schema\": 2, \"boot\": \"x\", \"vms\": []}", 37);
	refused("version");
	put("{\"schema\": 1, \"schema\": 1, \"boot\": \"x\", \"vms\": []}", 50);
	refused("no JSON");
	document("");
	assert_true(load());
}

/* What is no file of ours. */
static void no_file(void **state)
{
	(void)state;
	document("");
	chmod(path, 0620);
	refused("others may write");
	chmod(path, 0600);
	assert_int_equal(truncate(path, 64L << 20), 0);
	refused("too large");
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	refused("symbolic links");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused("no regular file");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	refused("no regular file");
	fill();
	assert_true(state_save(path, &list) < 0);
	rmdir(path);
	/* A name that leads elsewhere is not followed by who writes, either. */
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(state_save(path, &list), 0);
	assert_int_not_equal(access(other, F_OK), 0);
	assert_true(load());
	assert_int_equal(back.nr, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip), cmocka_unit_test(others),	 cmocka_unit_test(damage),
		cmocka_unit_test(hostile),    cmocka_unit_test(no_file),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
