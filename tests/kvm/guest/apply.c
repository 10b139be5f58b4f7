// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the guest that tests KVM's handler: setup calls; entries changed by the
 * guest and named (guest-apply), entries changed by the host (host-apply), each while the
 * table is in use, so that a shadow entry that was not brought up to date shows.
 */
#include "guest.h"

#define VA(i) (TEST_VA + (i)*PAGE)

static uint64_t mark_at(uint64_t va)
{
	uint64_t value = 0;

	return probe_read(va, &value) == NO_FAULT ? value : NO_FAULT;
}

void test_setup(void)
{
	check(vmmcall(PVB_HC_BASE + PVB_NR_CALLS, 0, 0) == -PVB_ENOSYS,
	      "a call behind the last is unknown");
	check(call(PVB_CALL_NOP, 0, 0) == 0, "NOP");
	check(vmmcall_at_cpl3(PVB_HC_BASE + PVB_CALL_NOP) == -PVB_EPERM, "CPL 3 is refused");
	check(call(PVB_CALL_REGISTER, (uint64_t)buffers[0], BUFFER_BYTES) == -PVB_EPERM,
	      "no registration before a negotiation");
	check(call(PVB_CALL_SUBMIT, 0, 0) == -PVB_ENXIO, "no submission before a registration");
	check(negotiate(PVB_F_ALL) == 0, "negotiation");
	check(call(PVB_CALL_REGISTER, (uint64_t)buffers[0], BUFFER_BYTES) == 0, "registration");
	check(negotiate(PVB_F_ALL) == -PVB_EBUSY, "no negotiation while registered");
}

/*
 * What KVM hands back to the guest without a walk (kvm_pvb_guest_fault()), each twice: the
 * second fault of a page goes the long way, and has to look the same.
 */
static void test_user_faults(void)
{
	const uint64_t flags = RW | PVB_PTE_U;
	bool good = true;

	for (unsigned int i = 0; i < 4; i++)
		set_pte(&leaf[i], data_pte(i, flags));
	good &= user_read(VA(0)) == NO_FAULT && user_write(VA(1)) == NO_FAULT &&
		user_exec(VA(2) + 8) == NO_FAULT;
	check(good, "CPL 3: a page can be read, written, executed");
	for (unsigned int i = 0; i < 4; i++)
		set_pte(&leaf[i], 0);
	check(name_run(&leaf[0], 4, PVB_FLUSH_ALL) == 0, "P cleared and named");
	for (unsigned int pass = 0; pass < 2; pass++) {
		user_cr2 = 0;
		check(user_read(VA(0) + 24) == 4 && user_cr2 == VA(0) + 24,
		      "CPL 3: a read faults, and says so");
		check(user_write(VA(1) + 32) == 6 && user_cr2 == VA(1) + 48,
		      "CPL 3: a write faults, and says so");
		check(user_exec(VA(2) + 8) == 0x14 && user_cr2 == VA(2) + 8,
		      "CPL 3: a fetch faults, and says so");
	}
	for (unsigned int i = 0; i < 4; i++)
		set_pte(&leaf[i], data_pte(i, flags));
	good = user_read(VA(0)) == NO_FAULT && user_write(VA(1)) == NO_FAULT &&
	       user_exec(VA(2) + 8) == NO_FAULT && user_write(VA(3)) == NO_FAULT;
	check(good, "CPL 3: pages that are back can be used");
	/* What the supervisor alone may touch is there, so it is no fault of a missing page. */
	set_pte(&leaf[0], data_pte(0, RW));
	name_run(&leaf[0], 1, PVB_FLUSH_ALL);
	check(user_read(VA(0)) == 5, "CPL 3: the supervisor's page faults, and is present");
	space_load();
}

static void test_permissions(void)
{
	uint64_t ignored;

	mark_at(VA(0));
	probe_write(VA(0) + 8, 1);
	set_pte(&leaf[0], data_pte(0, RO));
	check(name_run(&leaf[0], 1, PVB_FLUSH_RANGE) == -PVB_EINVAL,
	      "a range flush without a range is refused");
	check(name_run(&leaf[0], 1, PVB_FLUSH_ALL) == 0 && probe_write(VA(0) + 8, 2) == 3,
	      "W cleared and named: a write faults");
	check(mark_at(VA(0)) == DATA_MARK, "and a read does not");
	set_pte(&leaf[0], data_pte(0, RW));
	check(name_run(&leaf[0], 1, PVB_FLUSH_ALL) == 0 && probe_write(VA(0) + 8, 2) == NO_FAULT,
	      "W set and named: a write works");

	mark_at(VA(1));
	set_pte(&leaf[1], data_pte(1, RO));
	name_run(&leaf[1], 1, PVB_FLUSH_ALL);
	set_pte(&leaf[1], data_pte(1, RW));
	check(probe_write(VA(1) + 8, 2) == NO_FAULT, "W set and not named: a write works");

	set_pte(&leaf[2], data_pte(2, RW));
	check(probe_exec(VA(2) + 8) == NO_FAULT, "a page is executable");
	set_pte(&leaf[2], data_pte(2, RW) | PVB_PTE_NX);
	name_run(&leaf[2], 1, PVB_FLUSH_ALL);
	check(probe_exec(VA(2) + 8) == 0x11, "NX set and named: a fetch faults");
	set_pte(&leaf[2], data_pte(2, RW));
	name_run(&leaf[2], 1, PVB_FLUSH_ALL);
	check(probe_exec(VA(2) + 8) == NO_FAULT, "NX cleared and named: a fetch works");

	mark_at(VA(3));
	set_pte(&leaf[3], 0);
	name_run(&leaf[3], 1, PVB_FLUSH_ALL);
	check(probe_read(VA(3), &ignored) == 0, "P cleared and named: a read faults");
	set_pte(&leaf[3], data_pte(3, RW));
	check(mark_at(VA(3)) == DATA_MARK + 3, "P set and not named: a read works");
}

/* A run: every entry another page, another permission, or as it was. */
static void test_run(void)
{
	bool good = true;

	for (unsigned int i = 0; i < DATA_PAGES; i++)
		good &= mark_at(VA(i)) == DATA_MARK + i && probe_write(VA(i) + 16, i) == NO_FAULT;
	for (unsigned int i = 0; i < DATA_PAGES; i++)
		set_pte(&leaf[i], i % 4 == 0 ? data_pte(DATA_PAGES - 1 - i, RW) :
				  i % 4 == 1 ? data_pte(i, RO) :
				  i % 4 == 2 ? 0 :
					       data_pte(i, RW));
	good &= name_run(leaf, DATA_PAGES, PVB_FLUSH_ALL) == 0;
	for (unsigned int i = 0; i < DATA_PAGES; i++) {
		uint64_t want = i % 4 == 0 ? DATA_MARK + DATA_PAGES - 1 - i :
				i % 4 == 2 ? NO_FAULT :
					     DATA_MARK + i;

		good &= mark_at(VA(i)) == want;
		good &= (probe_write(VA(i) + 16, i) == NO_FAULT) == (i % 4 == 0 || i % 4 == 3);
	}
	check(good, "a run of 64 entries, four kinds of change");
}

/* What the guest reads of A and D, when it has cleared them and said so. */
static void test_accessed_dirty(void)
{
	space_load();
	mark_at(VA(5));
	probe_write(VA(5) + 8, 1);
	set_pte(&leaf[5], data_pte(5, PVB_PTE_P | PVB_PTE_W | PVB_PTE_A));
	name_run(&leaf[5], 1, PVB_FLUSH_ALL);
	mark_at(VA(5));
	check(!(get_pte(&leaf[5]) & PVB_PTE_D), "D cleared and named stays clear over a read");
	probe_write(VA(5) + 8, 2);
	check(get_pte(&leaf[5]) & PVB_PTE_D, "and a write sets it");
	set_pte(&leaf[5], data_pte(5, PVB_PTE_P | PVB_PTE_W));
	name_run(&leaf[5], 1, PVB_FLUSH_ALL);
	check(!(get_pte(&leaf[5]) & PVB_PTE_AD), "A cleared and named stays clear");
	mark_at(VA(5));
	check((get_pte(&leaf[5]) & PVB_PTE_AD) == PVB_PTE_A, "and a read sets it");
}

/* All data pages mapped writable and clean, and the host told so. */
static void clean_all(void)
{
	for (unsigned int i = 0; i < DATA_PAGES; i++)
		set_pte(&leaf[i], data_pte(i, RW & ~PVB_PTE_D));
	name_run(leaf, DATA_PAGES, PVB_FLUSH_ALL);
}

/* written_up_to() - is D set of pages 0..@last, and of at most @extra behind it? */
static bool written_up_to(unsigned int last, unsigned int extra)
{
	for (unsigned int i = 0; i < DATA_PAGES; i++) {
		bool dirty = get_pte(&leaf[i]) & PVB_PTE_D;

		if (i <= last ? !dirty : dirty && i > last + extra)
			return false;
	}
	return true;
}

/*
 * First writes to clean pages, in a row. @consent: the guest has negotiated
 * PVB_F_DIRTY_AROUND; then as many may be dirty too early as were written before.
 */
static void test_streak(bool consent)
{
	bool good = true;

	space_load();
	for (unsigned int i = 0; i < DATA_PAGES; i++)
		mark_at(VA(i));
	clean_all();
	for (unsigned int i = 0; i < DATA_PAGES; i++) {
		good &= probe_write(VA(i) + 8, i) == NO_FAULT;
		good &= written_up_to(i, consent ? i : 0);
	}
	check(good, consent ? "a streak of first writes: few pages are dirty too early" :
			      "without consent no page is dirty that was not written");

	clean_all();
	good = true;
	for (unsigned int i = DATA_PAGES; i-- > 0;) {
		good &= probe_write(VA(i) + 8, i) == NO_FAULT;
		for (unsigned int j = 0; j < DATA_PAGES; j++)
			good &= !(get_pte(&leaf[j]) & PVB_PTE_D) == (j < i);
	}
	check(good, "descending writes are no streak");

	/* Every third is read-only, not accessed, or not present. */
	clean_all();
	good = true;
	for (unsigned int i = 2; i < DATA_PAGES; i += 3)
		set_pte(&leaf[i], i % 2 ? data_pte(i, PVB_PTE_P | PVB_PTE_A) :
				  i % 4 ? data_pte(i, PVB_PTE_P | PVB_PTE_W) :
					  0);
	name_run(leaf, DATA_PAGES, PVB_FLUSH_ALL);
	for (unsigned int i = 0; i < DATA_PAGES; i++)
		good &= i % 3 == 2 || probe_write(VA(i) + 8, i) == NO_FAULT;
	for (unsigned int i = 2; i < DATA_PAGES; i += 3)
		good &= !(get_pte(&leaf[i]) & PVB_PTE_D);
	check(good, "D is not set where W or A is clear");
}

/* test_consent() - the same with the relaxation negotiated. */
void test_consent(void)
{
	test_streak(false);
	check(call(PVB_CALL_REGISTER, 0, 0) == 0 &&
		      negotiate(PVB_F_ALL | PVB_F_DIRTY_AROUND) == 0 &&
		      call(PVB_CALL_REGISTER, (uint64_t)buffers[0], BUFFER_BYTES) == 0,
	      "negotiation anew, with PVB_F_DIRTY_AROUND");
	test_streak(true);
}

/* One table at two addresses, and seen from another address space. */
static void test_aliases(void)
{
	uint64_t here = read_cr3();

	space_load();
	mark_at(VA(6));
	mark_at(ALIAS_VA + 6 * PAGE);
	set_pte(&leaf[6], data_pte(7, RW));
	name_run(&leaf[6], 1, PVB_FLUSH_ALL);
	check(mark_at(VA(6)) == DATA_MARK + 7 && mark_at(ALIAS_VA + 6 * PAGE) == DATA_MARK + 7,
	      "one name is enough for both addresses of a table");

	write_cr3((uint64_t)other_root);
	set_pte(&leaf[6], data_pte(8, RW));
	name_run(&leaf[6], 1, PVB_FLUSH_ALL);
	write_cr3(here);
	check(mark_at(VA(6)) == DATA_MARK + 8, "named while another address space is loaded");
}

void test_guest_apply(void)
{
	space_load();
	test_permissions();
	test_user_faults();
	space_load();
	test_run();
	test_accessed_dirty();
	test_aliases();
}

/* MOV to CR3 in encodings that KVM has to tell apart where the CPU does not help. */
#define LOAD_CR3(reg, insn, value) \
	__asm__ volatile("mov %0, %%" reg "\n\t" insn ::"g"((uint64_t)(value)) : reg, "memory")

static void test_cr3_loads(void)
{
	uint64_t here = read_cr3();
	bool good = mark_at(VA(9)) == DATA_MARK + 9;

	LOAD_CR3("r9", "mov %%r9, %%cr3", other_root);
	good &= mark_at(VA(9)) == NO_FAULT && read_cr3() == (uint64_t)other_root;
	LOAD_CR3("rdi", "mov %%rdi, %%cr3", here);
	good &= mark_at(VA(9)) == DATA_MARK + 9;
	LOAD_CR3("r15", ".byte 0x49, 0x0f, 0x22, 0xdf", other_root); /* REX.W */
	good &= mark_at(VA(9)) == NO_FAULT;
	LOAD_CR3("rax", ".byte 0x0f, 0x22, 0x18", here); /* a mode that is ignored */
	good &= mark_at(VA(9)) == DATA_MARK + 9;
	LOAD_CR3("rcx", ".byte 0x66, 0x0f, 0x22, 0xd9", other_root); /* the emulator's */
	good &= mark_at(VA(9)) == NO_FAULT;
	LOAD_CR3("r8", "mov %%r8, %%cr3", here);
	check(good && mark_at(VA(9)) == DATA_MARK + 9, "CR3 loads in all encodings");
}

/* What docs/linux.md says the host does without being told a name. */
void test_contract(void)
{
	static uint64_t spare[TABLE_ENTRIES] __attribute__((aligned(4096)));
	struct pvb_batch_hdr *hdr;

	space_load();
	test_cr3_loads();
	mark_at(VA(10));
	set_pte(&leaf[10], data_pte(11, RW));
	hdr = batch_begin(0);
	hdr->flush = PVB_FLUSH_ALL;
	check(batch_submit(hdr) == 0 && mark_at(VA(10)) == DATA_MARK + 11,
	      "a flush of all that names nothing synchronises everything");

	set_pte(&leaf[10], data_pte(12, RW));
	invlpg(VA(10));
	check(mark_at(VA(10)) == DATA_MARK + 12, "INVLPG synchronises its entry");

	set_pte(&leaf[10], data_pte(13, RW));
	flush_all();
	check(mark_at(VA(10)) == DATA_MARK + 13, "toggling CR4.PGE synchronises everything");

	/* A table that is changed while nothing refers to it, then linked. */
	for (unsigned int i = 0; i < TABLE_ENTRIES; i++)
		set_pte(&spare[i], data_pte(14, RW));
	set_pte(&pmd[3], (uint64_t)spare | PVB_PTE_P | PVB_PTE_W | PVB_PTE_A);
	mark_at(TEST_VA + (3UL << 21));
	set_pte(&pmd[3], 0);
	write_cr3(read_cr3());
	set_pte(&spare[0], data_pte(15, RW));
	set_pte(&pmd[3], (uint64_t)spare | PVB_PTE_P | PVB_PTE_W | PVB_PTE_A);
	check(mark_at(TEST_VA + (3UL << 21)) == DATA_MARK + 15,
	      "a table is synchronised when it is linked");
	set_pte(&pmd[3], 0);
	write_cr3(read_cr3());

	/* Names of what is no leaf table, or no table at all. */
	check(name_run(pmd, TABLE_ENTRIES, PVB_FLUSH_ALL) == 0 && mark_at(VA(10)) == DATA_MARK + 13,
	      "naming entries of an upper table does no harm");
	check(name_run(data[0], TABLE_ENTRIES, PVB_FLUSH_ALL) == 0,
	      "nor of a page that is no table");
}

/* A commit by the host into the table in use: guest's entry and translation together. */
void test_host_apply(void)
{
	struct pvb_batch_hdr *hdr;
	struct pvb_entry *entry;
	bool good = true;

	space_load();
	for (unsigned int i = 0; i < DATA_PAGES; i++)
		good &= mark_at(VA(i)) == DATA_MARK + i;
	hdr = batch_begin(0);
	for (unsigned int i = 0; i < DATA_PAGES; i++) {
		entry = batch_add(hdr, PVB_OP_COMMIT, &leaf[i], 1);
		entry->old = data_pte(i, RW);
		entry->new = data_pte(i, RO);
	}
	hdr->flush = PVB_FLUSH_ALL;
	good &= batch_submit(hdr) == 0 && hdr->applied == DATA_PAGES;
	for (unsigned int i = 0; i < DATA_PAGES; i++)
		good &= get_pte(&leaf[i]) == data_pte(i, RO) && probe_write(VA(i), 0) == 3;
	check(good, "64 commits that take W away");

	hdr = batch_begin(0);
	entry = batch_add(hdr, PVB_OP_MASK, &leaf[0], DATA_PAGES);
	entry->old = PVB_PTE_D;
	entry->new = PVB_PTE_W;
	entry->flags = PVB_ENT_RESULT;
	entry->result = 512;
	hdr->flush = PVB_FLUSH_ALL;
	good = batch_submit(hdr) == 0 && pvb_answer_status(entry->answer) == PVB_ST_OK;
	good &= ((uint64_t *)buffers[0])[513] == ~0ULL; /* all were dirty */
	for (unsigned int i = 0; i < DATA_PAGES; i++) {
		good &= probe_write(VA(i) + 8, 7) == NO_FAULT;
		good &= get_pte(&leaf[i]) == data_pte(i, RW);
	}
	check(good, "a mask over a run: D is reported, cleared, and set again by a write");

	hdr = batch_begin(0);
	entry = batch_add(hdr, PVB_OP_SET, &leaf[0], 8);
	entry->new = data_pte(16, RW);
	hdr->flush = PVB_FLUSH_ALL;
	good = batch_submit(hdr) == 0;
	for (unsigned int i = 0; i < 8; i++)
		good &= mark_at(VA(i)) == DATA_MARK + 16 + i;
	check(good, "a run set to other pages");

	hdr = batch_begin(0);
	entry = batch_add(hdr, PVB_OP_COMMIT, &leaf[20], 1);
	entry->old = data_pte(21, RW);
	entry->new = data_pte(20, RO);
	good = batch_submit(hdr) == 0 && hdr->conflicts == 1 &&
	       pvb_answer_status(entry->answer) == PVB_ST_CONFLICT;
	check(good && get_pte(&leaf[20]) == data_pte(20, RW), "a conflict is left as it is");

	hdr = batch_begin(0);
	entry = batch_add(hdr, PVB_OP_SET, (uint64_t *)(buffers[0] + PAGE), 1);
	check(batch_submit(hdr) == 0 && pvb_answer_status(entry->answer) == PVB_ST_DENIED,
	      "a registered buffer is no table");

	/* Upper tables are shadowed exactly: a change by the host is one like any other. */
	hdr = batch_begin(0);
	batch_add(hdr, PVB_OP_SET, &pmd[1], 1);
	hdr->flush = PVB_FLUSH_ALL;
	check(batch_submit(hdr) == 0 && mark_at(ALIAS_VA + 30 * PAGE) == NO_FAULT,
	      "a table unlinked by the host");
	hdr = batch_begin(0);
	entry = batch_add(hdr, PVB_OP_SET, &pmd[1], 1);
	entry->new = pmd[0];
	check(batch_submit(hdr) == 0 && mark_at(ALIAS_VA + 30 * PAGE) == DATA_MARK + 30,
	      "and linked again");
}

/* Without the promise everything is synchronised as it was before there was one. */
void test_withdraw(void)
{
	space_load();
	mark_at(VA(40));
	check(call(PVB_CALL_REGISTER, 0, 0) == 0, "unregistration");
	set_pte(&leaf[40], data_pte(41, RW));
	write_cr3(read_cr3());
	check(mark_at(VA(40)) == DATA_MARK + 41, "a CR3 load synchronises again");
	set_pte(&leaf[40], data_pte(42, RW));
	write_cr3(read_cr3());
	check(mark_at(VA(40)) == DATA_MARK + 42, "and again");
	check(call(PVB_CALL_SUBMIT, 0, 0) == -PVB_ENXIO, "no submission after unregistration");
}
