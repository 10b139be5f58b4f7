/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stage: protocol - the types every other stage shares.
 *
 * Guest addresses are bitwise types, so that sparse (make lint) refuses to mix
 * them with host pointers, page numbers or each other without a visible cast.
 */
#ifndef PVBATCH_TYPES_H
#define PVBATCH_TYPES_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/build_bug.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

#ifdef __CHECKER__
#define __pvb_bitwise __attribute__((bitwise))
#define __pvb_force __attribute__((force))
#else
#define __pvb_bitwise
#define __pvb_force
#endif

/* Guest-physical address in bytes. Only a backend's map callback turns it into a pointer. */
typedef uint64_t __pvb_bitwise pvb_gpa_t;
/* Guest-virtual address in bytes, as the guest's own page tables translate it. */
typedef uint64_t __pvb_bitwise pvb_gva_t;

static inline pvb_gpa_t pvb_gpa(uint64_t raw)
{
	return (__pvb_force pvb_gpa_t)raw;
}

static inline uint64_t pvb_gpa_raw(pvb_gpa_t gpa)
{
	return (__pvb_force uint64_t)gpa;
}

static inline pvb_gva_t pvb_gva(uint64_t raw)
{
	return (__pvb_force pvb_gva_t)raw;
}

static inline uint64_t pvb_gva_raw(pvb_gva_t gva)
{
	return (__pvb_force uint64_t)gva;
}

#endif /* PVBATCH_TYPES_H */
