// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the VMM's test guest: command line "WORD [NUMBER]".
 */
#include "guest.h"

void guest_main(const struct pvb_boot_info *boot, uint32_t index);

void say(const char *text)
{
	uint64_t bytes = 0;

	while (text[bytes])
		bytes++;
	__asm__ volatile("rep outsb" : "+S"(text), "+c"(bytes) : "d"(PVB_PORT_CONSOLE) : "memory");
}

void leave(uint32_t code)
{
	for (;;)
		outl(PVB_PORT_EXIT, code);
}

void check(bool ok, const char *what)
{
	if (ok)
		return;
	say("failed: ");
	say(what);
	say("\n");
	leave(1);
}

void *memset(void *dst, int value, size_t bytes)
{
	void *at = dst;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(value) : "memory");
	return dst;
}

void *memcpy(void *dst, const void *src, size_t bytes)
{
	void *at = dst;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(src), "+c"(bytes) : : "memory");
	return dst;
}

static bool word_is(const char *text, const char *word)
{
	while (*word && *text == *word) {
		text++;
		word++;
	}
	return !*word && (!*text || *text == ' ');
}

static uint32_t number(const char *text, uint32_t otherwise)
{
	uint32_t value = 0;

	while (*text && *text != ' ')
		text++;
	if (!*text)
		return otherwise;
	for (text++; *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (uint32_t)(*text - '0');
	return value;
}

/* Each vCPU reports once; vCPU 0 leaves when all have. */
static void run_hello(uint32_t index, const struct pvb_boot_info *boot)
{
	static uint32_t here;

	if (index) {
		__atomic_fetch_add(&here, 1, __ATOMIC_SEQ_CST);
		return;
	}
	while (__atomic_load_n(&here, __ATOMIC_SEQ_CST) + 1 < boot->nr_cpus)
		relax();
	say("hello\n");
	outb(PVB_PORT_CONSOLE, '!');
	outb(PVB_PORT_CONSOLE, '\n');
	leave(number(boot->cmdline, 0));
}

/* More than the console's ring holds, in a pattern that shows what is missing. */
static void run_flood(uint32_t lines)
{
	static char line[] = "0000000 abcdefghijklmnopqrstuvwxyz\n";

	for (uint32_t i = 0; i < lines; i++) {
		uint32_t rest = i;

		for (unsigned int digit = 7; digit--; rest /= 10)
			line[digit] = (char)('0' + rest % 10);
		say(line);
	}
	leave(0);
}

static void run_record(uint32_t calls)
{
	static struct pvb_record record;

	memcpy(record.workload, "record", 7);
	record.ptes = 7;
	record.hypercalls = 7;
	record.ps_per_pte_min = 1000;
	record.ps_per_pte_median = 1500;
	record.ps_per_pte_max = 123456;
	outl(PVB_PORT_MARK, 0);
	for (uint32_t i = 0; i < calls; i++)
		ring(PVB_CALL_NOP, 0, 0);
	outl(PVB_PORT_RECORD, (uint32_t)(uintptr_t)&record);
	check(record.exits == calls, "the record counts the exits between mark and record");
	check(record.kvm_exits == ~0ULL || record.kvm_exits >= calls,
	      "KVM counts at least as many exits");
	leave(0);
}

/* Map 2 MiB at @gpa over what the boot tables have in the last place, and write there. */
static void run_hole(uint64_t gpa)
{
	volatile uint64_t *pde = (uint64_t *)(BOOT_PD + 511 * 8);
	volatile uint8_t *at = (uint8_t *)(511ULL << 21);

	*pde = gpa | PVB_PTE_P | PVB_PTE_W | PVB_PTE_PAT; /* PAT's bit is "large" in a PDE */
	__asm__ volatile("invlpg (%0)" : : "r"(at) : "memory");
	*at = 1;
	leave(0);
}

static void run_spin(void)
{
	say("spinning\n");
	for (;;)
		relax();
}

static void run_triple(void)
{
	__asm__ volatile("ud2"); /* there is no IDT */
}

static void run_touch(const struct pvb_boot_info *boot, uint64_t mib)
{
	for (uint64_t at = boot->free_start; at < mib << 20; at += PVB_PAGE_SIZE)
		*(volatile uint8_t *)at = 1;
	leave(0);
}

void guest_main(const struct pvb_boot_info *boot, uint32_t index)
{
	const char *word = boot->cmdline;

	if (boot->magic != PVB_BOOT_MAGIC)
		leave(2);
	if (word_is(word, "hello"))
		run_hello(index, boot);
	else if (word_is(word, "flush"))
		run_flush(index, number(word, 100));
	else if (word_is(word, "cross"))
		run_cross(index, boot->nr_cpus, number(word, 100));
	else if (word_is(word, "halt") || index)
		return;
	else if (word_is(word, "spin"))
		run_spin();
	else if (word_is(word, "flood"))
		run_flood(number(word, 1000));
	else if (word_is(word, "record"))
		run_record(number(word, 10));
	else if (word_is(word, "doorbell"))
		run_doorbell();
	else if (word_is(word, "user"))
		run_user();
	else if (word_is(word, "hole"))
		run_hole((uint64_t)number(word, 0) << 20);
	else if (word_is(word, "touch"))
		run_touch(boot, number(word, 0));
	else if (word_is(word, "triple"))
		run_triple();
	else
		leave(3);
}
