// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - law 4 from user space: make every vCPU drop the guest's translations.
 *
 * No KVM ioctl says "flush the guest's TLB". One does it on the way: KVM_CLEAR_DIRTY_LOG
 * clears bits of a memory slot's dirty bitmap and, if any bit was set, ends in
 * kvm_flush_remote_tlbs(): a flush request for every vCPU, an interrupt to those in guest
 * mode, and a wait until these have left it. A vCPU that is outside serves the request
 * before it enters again, a halted one when it wakes. The flush is INVEPT on Intel, a
 * fresh ASID on AMD: combined mappings, all address spaces, global ones included.
 *
 * So this file keeps a slot that holds no RAM, with all its dirty bits set from the
 * start, and spends one bit a flush. Nothing of the guest's RAM is dirty-logged or
 * write-protected. When the bits are used up, switching the slot's logging off and on
 * sets them again. docs/vmm.md has the reasoning and the alternatives.
 *
 * KVM is free to change how that ioctl flushes (on Hyper-V it flushes the slot's own
 * addresses only, which is not enough), so setup counts: the VM's remote_tlb_flush_requests
 * statistic must move with each flush, else the flush is not offered to the guest.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <vmm/internal.h>

#define FLUSH_SLOT 1U
#define FLUSH_PAGES 32768U
#define FLUSH_BYTES ((uint64_t)FLUSH_PAGES << PVB_PAGE_SHIFT)
/* Above the largest RAM and below the APIC pages; a guest that goes there is ended. */
#define FLUSH_GPA 0xd0000000ULL

static int set_slot(struct flusher *flusher, uint32_t flags, uint64_t bytes)
{
	struct kvm_userspace_memory_region region = {
		.slot = FLUSH_SLOT,
		.flags = flags,
		.guest_phys_addr = FLUSH_GPA,
		.memory_size = bytes,
		.userspace_addr = (uintptr_t)flusher->backing,
	};

	return ioctl(flusher->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

/* Set all bits again: the bitmap is allocated, all ones, when logging is switched on. */
static int refill(struct flusher *flusher)
{
	int rc = set_slot(flusher, 0, FLUSH_BYTES);

	if (!rc)
		rc = set_slot(flusher, KVM_MEM_LOG_DIRTY_PAGES, FLUSH_BYTES);
	if (!rc)
		flusher->next = 0;
	return rc;
}

static int flush_locked(struct flusher *flusher)
{
	uint64_t bit;
	struct kvm_clear_dirty_log log = { .slot = FLUSH_SLOT };
	int rc;

	if (flusher->next == FLUSH_PAGES) {
		rc = refill(flusher);
		if (rc)
			return rc;
	}
	bit = 1ULL << (flusher->next % 64);
	log.first_page = flusher->next & ~63U;
	log.num_pages = 64;
	log.dirty_bitmap = &bit;
	flusher->next++;
	return ioctl(flusher->vm_fd, KVM_CLEAR_DIRTY_LOG, &log) ? -errno : 0;
}

int flush_guest(struct flusher *flusher)
{
	unsigned long seen;
	int rc = 0;

	if (!flusher->works)
		return -EOPNOTSUPP;
	/*
	 * A flush that begins after this load covers us, whoever asked for it, and once we
	 * hold the lock it is over. One that had begun before may have passed us by.
	 */
	seen = atomic_load(&flusher->begun);
	pthread_mutex_lock(&flusher->lock);
	if (atomic_load(&flusher->begun) == seen) {
		atomic_fetch_add(&flusher->begun, 1);
		rc = flush_locked(flusher);
	}
	pthread_mutex_unlock(&flusher->lock);
	return rc;
}

int flush_setup(struct flusher *flusher, int vm_fd, struct vmm_error *error)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args = { KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET },
	};
	struct kvm_stat requests;
	uint64_t before;
	int rc;

	pthread_mutex_init(&flusher->lock, NULL);
	atomic_init(&flusher->begun, 0);
	flusher->vm_fd = vm_fd;
	flusher->works = false;
	flusher->next = 0;
	/* Never to be read: a guest that touches the slot gets no memory of ours. */
	flusher->backing = mmap(NULL, FLUSH_BYTES, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (flusher->backing == MAP_FAILED) {
		flusher->backing = NULL;
		return vmm_error_set(error, VMM_FAULT_HOST, errno, "no address space: %s",
				     strerror(errno));
	}
	if (ioctl(vm_fd, KVM_ENABLE_CAP, &cap) ||
	    set_slot(flusher, KVM_MEM_LOG_DIRTY_PAGES, FLUSH_BYTES))
		return 0;
	if (kvm_stat_open(&requests, vm_fd, "remote_tlb_flush_requests"))
		return 0;
	before = kvm_stat_read(&requests);
	rc = flush_locked(flusher);
	flusher->works = !rc && kvm_stat_read(&requests) == before + 1;
	if (flusher->works) {
		/* The refill is part of the promise too. */
		flusher->next = FLUSH_PAGES;
		before = kvm_stat_read(&requests);
		flusher->works = !flush_locked(flusher) && kvm_stat_read(&requests) > before;
	}
	kvm_stat_close(&requests);
	return 0;
}

void flush_teardown(struct flusher *flusher)
{
	if (!flusher->backing)
		return;
	munmap(flusher->backing, FLUSH_BYTES);
	flusher->backing = NULL;
	pthread_mutex_destroy(&flusher->lock);
}
