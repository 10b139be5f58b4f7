// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: tests - the VMM's test guest: law 4, with a vCPU that keeps its translation hot.
 *
 * vCPU 1 does nothing but use one page. vCPU 0 has the host change that page's entry with
 * a flush, and when the call returns lets vCPU 1 use the page once more: a translation that
 * has survived shows the old page, or writes without setting Dirty.
 */
#include "guest.h"

#define WINDOW (32ULL << 20) /* mapped through our own table */

static uint64_t window[PVB_PTES_PER_TABLE] __attribute__((aligned(4096)));
static uint8_t pages[2][PVB_PAGE_SIZE] __attribute__((aligned(4096)));
static uint32_t ready, go, done;

static void wait_for(const uint32_t *word, uint32_t value)
{
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) < value)
		relax();
}

static uint64_t entry_for(unsigned int page)
{
	return (uintptr_t)pages[page] | PVB_PTE_P | PVB_PTE_W | PVB_PTE_A | PVB_PTE_D;
}

static void user_of_the_page(uint32_t rounds)
{
	volatile uint8_t *at = (uint8_t *)WINDOW;

	wait_for(&ready, 1);
	for (uint32_t round = 1; round <= rounds; round++) {
		/* Hot: reads and writes through the translation that is about to go. */
		while (__atomic_load_n(&go, __ATOMIC_ACQUIRE) < round) {
			(void)at[0];
			at[1] = 0;
		}
		check(at[0] == (round & 1), "after the answer the new page is seen");
		at[1] = 1;
		__atomic_store_n(&done, round, __ATOMIC_RELEASE);
	}
}

void run_flush(uint32_t index, uint32_t rounds)
{
	struct pvb_batch_hdr *hdr;
	struct pvb_entry entry = { .pte_gpa = (uintptr_t)window, .op = PVB_OP_SET, .nr = 1 };

	if (index == 1) {
		user_of_the_page(rounds);
		return;
	}
	if (index)
		return; /* halted with interrupts off: a flush must not wait for it */
	hdr = batch_setup(0, true);
	pages[0][0] = 0;
	pages[1][0] = 1;
	window[0] = entry_for(0);
	*(volatile uint64_t *)(BOOT_PD + (WINDOW >> 21) * 8) = (uintptr_t)window | PVB_PTE_P |
							       PVB_PTE_W;
	__asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
	__atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
	for (uint32_t round = 1; round <= rounds; round++) {
		/* The other page, clean: vCPU 1's next write has to set Dirty again. */
		entry.new = entry_for(round & 1) & ~PVB_PTE_D;
		check(pvb_answer_status(batch_one(hdr, &entry, PVB_FLUSH_ALL)) == PVB_ST_OK, "set");
		__atomic_store_n(&go, round, __ATOMIC_RELEASE);
		wait_for(&done, round);
		check(__atomic_load_n(&window[0], __ATOMIC_RELAXED) & PVB_PTE_D,
		      "a write after the answer sets Dirty");
	}
	say("flushed\n");
	leave(0);
}

/* All vCPUs flush all others, as fast as they can: none may wait for another for ever. */
void run_cross(uint32_t index, uint32_t nr_cpus, uint32_t rounds)
{
	struct pvb_batch_hdr *hdr;

	if (index)
		wait_for(&ready, 1);
	hdr = batch_setup(index, !index);
	__atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
	for (uint32_t round = 0; round < rounds; round++)
		batch_one(hdr, NULL, PVB_FLUSH_ALL);
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
	if (index)
		return;
	wait_for(&done, nr_cpus);
	say("crossed\n");
	leave(0);
}
