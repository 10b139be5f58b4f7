// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the agent's reading of documents and lists, with random damage, under ASan.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <agent/agent.h>
#include <agent/wish.h>

static const char good[] =
	"{\"schema\":1,\"backend\":\"vmm\",\"name\":\"demo\",\"pid\":1,\"vcpus\":2,"
	"\"registered\":2,\"features\":31,\"counters\":{\"calls\":10,\"batches\":9,\"partial\":1,"
	"\"failed\":0,\"entries\":20,\"ptes\":5120,\"flush_range\":3,\"flush_all\":4,\"exits\":null},"
	"\"batch_entries\":[1,2,3,4,5,6,7,8,9,10,11,12]}";

static void documents(void **state)
{
	struct agent_vm vm;

	(void)state;
	assert_true(agent_parse_vmm(good, strlen(good), &vm));
	assert_string_equal(vm.name, "demo");
	assert_int_equal(vm.value[COUNTER_PTES], 5120);
	assert_int_equal(vm.value[COUNTER_FLUSHES], 7);
	assert_false(agent_knows(&vm, COUNTER_EXITS));
	assert_true(vm.has_hist);
	assert_int_equal(vm.hist[11], 12);
	assert_false(agent_parse_vmm("{}", 2, &vm));
	assert_false(agent_parse_vmm("", 0, &vm));
}

/* Each byte cut off, each byte changed: what is read is checked by ASan, names by us. */
static void damage(void **state)
{
	char text[sizeof(good)];
	struct agent_vm vm;

	(void)state;
	for (size_t bytes = 0; bytes + 1 < sizeof(good) - 1; bytes++)
		assert_false(agent_parse_vmm(good, bytes, &vm));
	srand(1);
	for (unsigned int round = 0; round < 20000; round++) {
		memcpy(text, good, sizeof(good));
		for (unsigned int i = 0; i <= round % 3; i++)
			text[(size_t)rand() % (sizeof(good) - 1)] = (char)rand();
		if (!agent_parse_vmm(text, sizeof(good) - 1, &vm))
			continue;
		assert_true(strlen(vm.name) < sizeof(vm.name));
		for (const char *c = vm.name; *c; c++)
			assert_true(*c >= ' ' && *c <= '~');
	}
}

static void lists(void **state)
{
	struct agent_list list = { 0 };
	struct agent_vm vm = { .fd = -1 };

	(void)state;
	for (unsigned int i = 0; i < AGENT_MAX_VMS; i++) {
		vm.pid = (pid_t)i;
		assert_true(agent_list_add(&list, &vm));
	}
	assert_false(list.more);
	assert_false(agent_list_add(&list, &vm));
	assert_true(list.more);
	assert_int_equal(list.vms[AGENT_MAX_VMS - 1].pid, AGENT_MAX_VMS - 1);
	agent_list_free(&list);
}

static void differences(void **state)
{
	struct agent_vm before = { .name = "x" }, now = { .name = "x" }, since;

	(void)state;
	agent_set(&before, COUNTER_CALLS, 100);
	agent_set(&before, COUNTER_PTES, 100);
	agent_set(&now, COUNTER_CALLS, 150);
	agent_set(&now, COUNTER_PTES, 30); /* another VM, with the same process id */
	since = agent_since(&now, &before);
	assert_int_equal(since.value[COUNTER_CALLS], 50);
	assert_int_equal(since.value[COUNTER_PTES], 30);
}

static void figures(void **state)
{
	struct agent_vm vm = { 0 };

	(void)state;
	assert_true(isnan(agent_figures(&vm).calls_saved));
	assert_true(isnan(agent_figures(&vm).ptes_per_call));
	agent_set(&vm, COUNTER_CALLS, 10);
	agent_set(&vm, COUNTER_PTES, 5120);
	agent_set(&vm, COUNTER_FLUSHES, 5);
	assert_true(agent_figures(&vm).calls_saved == 5115);
	assert_true(agent_figures(&vm).ptes_per_call == 512);
	/* Calls for nothing: that more was spent is not hidden. */
	agent_set(&vm, COUNTER_CALLS, 10000);
	assert_true(agent_figures(&vm).calls_saved == -4875);
}

/* Each counter of the estimate has its sign, and none of them may be missing. */
static void exits_saved(void **state)
{
	static const struct {
		enum counter counter;
		int sign;
	} terms[] = {
		{ COUNTER_ENTRIES, 1 },	     { COUNTER_FLUSHES, 1 }, { COUNTER_SPTES_INSTALLED, 1 },
		{ COUNTER_DIRTY_AROUND, 1 }, { COUNTER_CALLS, -1 },  { COUNTER_DENIED, -1 },
	};
	struct agent_vm vm = { 0 };
	int sum = 0;

	(void)state;
	for (unsigned int i = 0; i < sizeof(terms) / sizeof(terms[0]); i++) {
		assert_true(isnan(agent_figures(&vm).exits_saved));
		agent_set(&vm, terms[i].counter, 1U << i);
		sum += terms[i].sign * (1 << i);
	}
	assert_true(agent_figures(&vm).exits_saved == sum);
}

static enum wish wish(const char *xml)
{
	return wish_parse(xml, strlen(xml)).wish;
}

/* A limit of an element that says nothing else; LIMIT_UNSET: it is refused, as a whole. */
static uint32_t limit(enum limit limit, const char *text)
{
	struct want want;
	char xml[160];

	snprintf(xml, sizeof(xml), "<pvbatch %s='%s'/>", agent_limits[limit].attribute, text);
	want = wish_parse(xml, strlen(xml));
	assert_true(want.wish == WISH_NONE || want.wish == WISH_BAD);
	assert_int_equal(want.limit[!limit], LIMIT_UNSET);
	assert_int_equal(want.wish == WISH_BAD, want.limit[limit] == LIMIT_UNSET);
	return want.limit[limit];
}

static void limits(void **state)
{
	static const char *const junk[] = { "",
					    "-1",
					    "+1",
					    "1 ",
					    " 1",
					    "01",
					    "00",
					    "1.5",
					    "0x10",
					    "1e3",
					    "10000001",
					    "x",
					    "1;1",
					    "2147483648",
					    "4294967295",
					    "4294967296",
					    "18446744073709551617",
					    "99999999999999999999999999999" };
	struct want want;

	(void)state;
	assert_int_equal(limit(LIMIT_MAX_BATCH, "0"), 0);
	assert_int_equal(limit(LIMIT_MAX_BATCH, "1"), 1);
	assert_int_equal(limit(LIMIT_MAX_BATCH, "2046"), 2046);
	assert_int_equal(limit(LIMIT_MAX_BATCH, "2047"), LIMIT_UNSET);
	assert_int_equal(limit(LIMIT_RATE, "0"), 0);
	assert_int_equal(limit(LIMIT_RATE, "99"), LIMIT_UNSET);
	assert_int_equal(limit(LIMIT_RATE, "100"), 100);
	assert_int_equal(limit(LIMIT_RATE, "10000000"), 10000000);
	for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
		assert_int_equal(limit(LIMIT_MAX_BATCH, junk[i]), LIMIT_UNSET);
		assert_int_equal(limit(LIMIT_RATE, junk[i]), LIMIT_UNSET);
	}
	want = wish_parse("<pvbatch rate-limit='500' enabled='no' max-batch='64'/>", 55);
	assert_int_equal(want.wish, WISH_OFF);
	assert_int_equal(want.limit[LIMIT_MAX_BATCH], 64);
	assert_int_equal(want.limit[LIMIT_RATE], 500);
	/* One that is wrong spoils all. */
	want = wish_parse("<pvbatch max-batch='64' enabled='no' rate-limit='5'/>", 53);
	assert_int_equal(want.wish, WISH_BAD);
	assert_int_equal(want.limit[LIMIT_MAX_BATCH], LIMIT_UNSET);
	assert_int_equal(wish("<pvbatch max-batch='64' max-batch='64'/>"), WISH_BAD);
	assert_int_equal(wish("<pvbatch max_batch='64'/>"), WISH_BAD);
}

#define NS "urn:pvbatch:domain:1"

static void wishes(void **state)
{
	char text[] = "<p:pvbatch xmlns:p='" NS "' enabled='yes'/>", spoilt[sizeof(text)];
	char *large;

	(void)state;
	assert_int_equal(wish(text), WISH_ON);
	assert_int_equal(wish("<pvbatch xmlns='" NS "' enabled='no'></pvbatch>"), WISH_OFF);
	assert_int_equal(wish("<pvbatch enabled='no'>\n</pvbatch>"), WISH_OFF);
	assert_int_equal(wish("<pvbatch xmlns='urn:other' enabled='no'/>"), WISH_BAD);
	assert_int_equal(wish("<pvbatch/>"), WISH_BAD);
	assert_int_equal(wish("<pvbatch enabled='1'/>"), WISH_BAD);
	assert_int_equal(wish("<pvbatch enabled='no' enabled='yes'/>"), WISH_BAD);
	assert_int_equal(wish("<pvbatch enabled='no' rate='1'/>"), WISH_BAD);
	assert_int_equal(wish("<pvbatch enabled='no'><x/></pvbatch>"), WISH_BAD);
	assert_int_equal(wish("<pvbatch enabled='no'>x</pvbatch>"), WISH_BAD);
	assert_int_equal(wish("<!DOCTYPE a [<!ENTITY b 'no'>]><pvbatch enabled='&b;'/>"), WISH_BAD);
	assert_int_equal(wish("<!DOCTYPE pvbatch><pvbatch enabled='no'/>"), WISH_BAD);
	assert_int_equal(wish("<pvbatch enabled='no'/><pvbatch enabled='no'/>"), WISH_BAD);
	assert_int_equal(wish(""), WISH_BAD);
	large = calloc(1, WISH_BYTES_MAX + 64);
	assert_non_null(large);
	memset(large, ' ', WISH_BYTES_MAX + 1);
	memcpy(large, "<pvbatch enabled='no'>", 22);
	snprintf(large + WISH_BYTES_MAX - 12, 64, "</pvbatch>  ");
	assert_int_equal(wish_parse(large, WISH_BYTES_MAX).wish, WISH_OFF);
	assert_int_equal(wish_parse(large, WISH_BYTES_MAX + 1).wish, WISH_BAD);
	free(large);
	srand(1);
	for (unsigned int round = 0; round < 20000; round++) {
		memcpy(spoilt, text, sizeof(text));
		spoilt[(size_t)rand() % (sizeof(text) - 1)] = (char)rand();
		wish_parse(spoilt, (size_t)rand() % sizeof(text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents), cmocka_unit_test(damage),
		cmocka_unit_test(lists),     cmocka_unit_test(differences),
		cmocka_unit_test(figures),   cmocka_unit_test(exits_saved),
		cmocka_unit_test(wishes),    cmocka_unit_test(limits),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
