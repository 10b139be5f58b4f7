// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the guest that tests KVM's handler, run as "look": what an administrator
 * sets and sees in the VM's directory in debugfs. Limits strike and nothing is lost; counters
 * and the histogram are what was submitted; meanwhile tests/kvm/look-in-host records.
 */
#include "guest.h"

#define VA(i) (TEST_VA + (i)*PAGE)
/* By pvbatch_max_batch: the guest is ready for a recorder; the host has one. */
#define READY "3\n"
#define GO "5\n"
#define PATIENCE 6000 /* readings of it, 10 ms each */
#define RATE_CALLS 25

static struct pvb_host_stats before, now;

static void stats(struct pvb_host_stats *at)
{
	call(PVB_CALL_STATS, (uint64_t)at, sizeof(*at));
}

/* set_all() - a batch of @nr entries, one PTE each: entry i maps page @from + i. */
static int64_t set_all(unsigned int nr, unsigned int from, uint64_t flags)
{
	struct pvb_batch_hdr *hdr = batch_begin(0);

	for (unsigned int i = 0; i < nr; i++)
		batch_add(hdr, PVB_OP_SET, &leaf[i % DATA_PAGES], 1)->new =
			data_pte((from + i) % DATA_PAGES, flags);
	hdr->flush = PVB_FLUSH_ALL;
	return batch_submit(hdr);
}

/* all_set() - is each page that set_all() has mapped the one that is read? */
static bool all_set(unsigned int from, bool writable)
{
	bool good = true;

	for (unsigned int i = 0; i < DATA_PAGES; i++) {
		uint64_t value = 0;

		good &= probe_read(VA(i), &value) == NO_FAULT &&
			value == DATA_MARK + (from + i) % DATA_PAGES;
		good &= (probe_write(VA(i) + 8, i) == NO_FAULT) == writable;
	}
	return good;
}

static void test_nonsense(void)
{
	static const struct {
		const char *file, *text;
	} wrong[] = {
		{ "pvbatch_max_batch", "-1" },
		{ "pvbatch_max_batch", "2047" },
		{ "pvbatch_max_batch", "x" },
		{ "pvbatch_max_batch", "5 5" },
		{ "pvbatch_max_batch", "4294967297" },
		{ "pvbatch_max_batch", "" },
		{ "pvbatch_rate", "99" },
		{ "pvbatch_rate", "10000001" },
		{ "pvbatch_rate", "1e3" },
		{ "pvbatch_rate", "18446744073709551617" },
		{ "pvbatch_trace", "nonsense" },
		{ "pvbatch_trace", "trace entries please" },
	};
	bool good = true;

	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		int error = write_file(wrong[i].file, wrong[i].text);

		/* Nothing written is nothing refused. */
		if (wrong[i].text[0] ? error == 22 : error == 22 || !error)
			continue;
		good = false;
		print("# ");
		print(wrong[i].file);
		print(" takes ");
		print(wrong[i].text);
		print("\n");
	}
	good &= !read_file("pvbatch_max_batch") && same_text(mail.text, "0\n");
	good &= !read_file("pvbatch_rate") && same_text(mail.text, "0\n");
	check(good, "nonsense is refused, and changes nothing");
}

/* wait_for_host() - until it has set the limit. From then on submissions are recorded. */
static bool wait_for_host(void)
{
	for (unsigned int i = 0; i < PATIENCE; i++) {
		if (!read_file("pvbatch_max_batch") && same_text(mail.text, GO))
			return true;
	}
	return false;
}

static void test_max_batch(void)
{
	uint64_t limited;
	bool good;

	ask(DISTURB_COUNTERS);
	limited = mail.counters[9];
	stats(&before);
	good = !set_all(DATA_PAGES, 7, RO) && all_set(7, false);
	stats(&now);
	good &= now.calls - before.calls == 13 && now.partial - before.partial == 12 &&
		now.batches - before.batches == 1 && now.entries - before.entries == DATA_PAGES &&
		now.applied - before.applied == DATA_PAGES && !(now.refused - before.refused) &&
		now.flush_all - before.flush_all == 1;
	ask(DISTURB_COUNTERS);
	check(good && mail.counters[9] - limited == 12,
	      "64 entries, five a call: 13 calls, and all are applied");

	stats(&before);
	good = !set_all(5, 0, RW) && !name_run(leaf, TABLE_ENTRIES, PVB_FLUSH_ALL);
	stats(&now);
	check(good && now.calls - before.calls == 2, "what is within the limit is not cut");

	good = !write_file("pvbatch_max_batch", "1") && !set_all(DATA_PAGES, 9, RW) &&
	       all_set(9, true);
	stats(&before);
	check(good && before.calls - now.calls == DATA_PAGES, "one entry a call");
	good = !write_file("pvbatch_max_batch", "0\n") && !set_all(DATA_PAGES, 11, RW);
	stats(&now);
	check(good && all_set(11, true) && now.calls - before.calls == 1, "no limit again");
}

/* take_hist() - the lines of pvbatch_hist: "1 N", "2 N", ... */
static bool take_hist(uint64_t hist[PVB_HIST_BUCKETS])
{
	const char *at = mail.text;

	if (read_file("pvbatch_hist"))
		return false;
	for (unsigned int b = 0; b < PVB_HIST_BUCKETS; b++) {
		uint64_t size = 0;

		hist[b] = 0;
		for (; *at >= '0' && *at <= '9'; at++)
			size = 10 * size + (uint64_t)(*at - '0');
		if (size != 1ULL << b || *at++ != ' ')
			return false;
		for (; *at >= '0' && *at <= '9'; at++)
			hist[b] = 10 * hist[b] + (uint64_t)(*at - '0');
		if (*at++ != '\n')
			return false;
	}
	return true;
}

static void test_hist(void)
{
	static const unsigned int sizes[] = { 0, 1, 2, 3, 4, 7, 8, 63, 64, 127, 128, 200 };
	uint64_t was[PVB_HIST_BUCKETS], is[PVB_HIST_BUCKETS], want[PVB_HIST_BUCKETS] = { 0 };
	uint64_t sum = 0;
	bool good = take_hist(was);

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		good &= !set_all(sizes[i], 0, RW);
		want[pvb_hist_bucket(sizes[i])]++;
	}
	good &= take_hist(is);
	stats(&now);
	for (unsigned int b = 0; b < PVB_HIST_BUCKETS; b++) {
		good &= is[b] - was[b] == want[b] && is[b] == now.hist[b];
		sum += is[b];
	}
	check(good, "each batch is in its bucket");
	check(sum == now.calls - now.partial - now.failed,
	      "the histogram sums to the calls that finished a batch");
}

/* So many calls take at least so long; that they may take longer is no error. */
static void test_rate(void)
{
	uint64_t begin, delayed;
	bool good = !write_file("pvbatch_rate", "100");

	ask(DISTURB_COUNTERS);
	begin = mail.now;
	delayed = mail.counters[10];
	stats(&before); /* a call, too */
	for (unsigned int i = 0; i < RATE_CALLS; i++)
		good &= !set_all(DATA_PAGES, i, i % 2 ? RO : RW);
	good &= all_set(RATE_CALLS - 1, true);
	ask(DISTURB_COUNTERS);
	/* A few at the beginning may be on credit, one may have been cut short by a signal. */
	check(good && mail.now - begin > (RATE_CALLS - 4) * 10000000ULL &&
		      mail.counters[10] - delayed > 0,
	      "100 calls a second: late, and right");
	good = !write_file("pvbatch_rate", "0");
	stats(&now);
	check(good && now.calls - before.calls == RATE_CALLS && now.failed == before.failed,
	      "each call is served once");
}

static void test_time(void)
{
	uint64_t ns;

	ask(DISTURB_COUNTERS);
	ns = mail.counters[11];
	set_all(DATA_PAGES, 0, RW);
	ask(DISTURB_COUNTERS);
	check(ns && mail.counters[11] > ns, "time in the handler is counted");
}

/* Answers of all kinds into the trace: a conflict, refusals, a failure. */
static void submit_oddities(void)
{
	struct pvb_batch_hdr *hdr = batch_begin(0);
	struct pvb_entry *entry;

	entry = batch_add(hdr, PVB_OP_COMMIT, leaf, 32);
	entry->old = data_pte(0, RW);
	entry->new = data_pte(0, RO);
	set_pte(&leaf[9], 0);
	batch_add(hdr, PVB_OP_SET, (uint64_t *)DISTURB_MMIO, 1);
	batch_add(hdr, 77, leaf, 1);
	batch_add(hdr, PVB_OP_SET, (uint64_t *)buffers[0], 1);
	batch_add(hdr, PVB_OP_CHANGED, leaf, 32);
	entry = batch_add(hdr, PVB_OP_MASK, leaf, 8);
	entry->old = PVB_PTE_A | PVB_PTE_D;
	entry->flags = PVB_ENT_RESULT;
	entry->result = 512;
	hdr->flush = PVB_FLUSH_ALL;
	batch_submit(hdr);
	hdr = batch_begin(0);
	hdr->nr = ~0U;
	batch_submit(hdr);
}

static void test_denied(void)
{
	uint64_t denied;
	bool good;

	ask(DISTURB_COUNTERS);
	denied = mail.counters[8];
	good = !write_file("pvbatch", "off") && call(PVB_CALL_NOP, 0, 0) == -PVB_EPERM &&
	       call(PVB_CALL_SUBMIT, 0, 0) == -PVB_EPERM && !write_file("pvbatch", "on");
	ask(DISTURB_COUNTERS);
	check(good && mail.counters[8] - denied == 2,
	      "calls while it is off are counted as denied");
}

void test_look(void)
{
	uint64_t first;

	check(!negotiate(PVB_F_ALL) && !call(PVB_CALL_REGISTER, (uint64_t)buffers[0], BUFFER_BYTES),
	      "negotiation and registration");
	space_load();
	if (ask(DISTURB_COUNTERS) == DISTURB_NOBODY) {
		skip("limits", "the VMM runs without tests/kvm/disturb.c");
		return;
	}
	test_nonsense();
	stats(&now);
	first = now.calls;
	if (write_file("pvbatch_max_batch", READY) || !wait_for_host()) {
		check(false, "the host sets a limit");
		return;
	}
	test_max_batch();
	test_hist();
	test_rate();
	test_time();
	submit_oddities();
	stats(&now);
	print("# submitted ");
	print_number(now.calls - first);
	print("\n");
	test_denied();
}

/* A KVM host with nested paging: there is nothing to win, and the feature is not offered. */
void test_nested_paging(void)
{
	check(call(PVB_CALL_NOP, 0, 0) == 0, "NOP");
	check(negotiate(PVB_F_ALL) == -PVB_EOPNOTSUPP, "nested paging: nothing is offered");
	check(negotiate(0) == -PVB_EOPNOTSUPP, "not even nothing");
	check(call(PVB_CALL_REGISTER, (uint64_t)buffers[0], BUFFER_BYTES) == -PVB_EPERM,
	      "no registration");
	check(call(PVB_CALL_SUBMIT, 0, 0) == -PVB_ENXIO, "no submission");
}
