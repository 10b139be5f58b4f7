// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: demo guest - TLB shootdown by the guest's own means, which is what batches are
 * compared with and fall back to.
 */
#include "cpu.h"
#include "lib.h"
#include "smp.h"

/* Above this, reloading CR3 costs less than INVLPG for each page. */
#define INVLPG_MAX 32

static struct {
	spinlock_t lock;
	enum pvb_flush type;
	uint64_t va;
	uint32_t pages;
	uint32_t acks;
} shootdown;

static void flush_here(enum pvb_flush type, uint64_t va, uint32_t pages)
{
	/* No global translations are in use, so CR3 drops everything. */
	if (type == PVB_FLUSH_ALL || pages > INVLPG_MAX) {
		write_cr3(read_cr3());
		return;
	}
	for (; pages; pages--, va += PVB_PAGE_SIZE)
		invlpg(va);
}

void smp_flush(enum pvb_flush type, uint32_t flags, pvb_gva_t va, uint32_t pages)
{
	if (type == PVB_FLUSH_NONE)
		return;
	flush_here(type, pvb_gva_raw(va), pages);
	if (flags & PVB_FLUSH_LOCAL || nr_cpus == 1)
		return;

	spin_lock(&shootdown.lock);
	shootdown.type = type;
	shootdown.va = pvb_gva_raw(va);
	shootdown.pages = pages;
	__atomic_store_n(&shootdown.acks, 0, __ATOMIC_RELEASE);
	apic_ipi(ICR_ALL_BUT_SELF | VEC_FLUSH);
	while (__atomic_load_n(&shootdown.acks, __ATOMIC_ACQUIRE) + 1 < nr_cpus)
		cpu_relax();
	spin_unlock(&shootdown.lock);
}

void smp_flush_irq(void)
{
	flush_here(shootdown.type, shootdown.va, shootdown.pages);
	__atomic_fetch_add(&shootdown.acks, 1, __ATOMIC_RELEASE);
}
