/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests, the oracle - the laws stated a second time, as tables of single bits.
 *
 * Deliberately shares nothing with merge.h, pte-x86.h and the engine but the names of
 * operations and statuses: an error would have to be made twice, in two ways.
 */
#ifndef MODEL_ORACLE_H
#define MODEL_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#include <pvbatch/abi.h>

/* What must become of one PTE. */
struct oracle {
	enum pvb_status status; /* PVB_ST_OK, or why it stays as it is */
	uint64_t pte; /* afterwards */
	bool young; /* of what was replaced; false if nothing was */
	bool dirty;
	bool carried_a; /* hardware's bit survived a commit */
	bool carried_d;
};

/*
 * oracle_pte() - PTE @index of the run that @entry describes, which is @cur at the moment
 * of the exchange.
 */
struct oracle oracle_pte(const struct pvb_entry *entry, uint32_t index, uint64_t cur);

/* oracle_advance() - PTE @index of a template: the 40-bit frame number counts on, alone. */
uint64_t oracle_advance(uint64_t pte, uint32_t index);

/* oracle_name() - @pte in words: "P W - A D - - 9 NX pfn=0x1234". A static buffer of four. */
const char *oracle_name(uint64_t pte);
const char *oracle_status(enum pvb_status status);

#endif /* MODEL_ORACLE_H */
