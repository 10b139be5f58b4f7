/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: tests, fuzzing - what a fuzzer is: two functions with libFuzzer's names, a mutator
 * that knows the input's structure among them, and generators of values that matter.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
/* libFuzzer's own mutations, for the parts that have no structure. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* mutate.c: a generator that starts from the mutator's seed. */
void random_seed(uint64_t seed);
uint64_t random64(void);
uint32_t random_below(uint32_t n);

/* A number that may matter: 0, all ones, one bit, near the other's edge. */
uint64_t random_value(void);
/* A page-table entry that makes sense, or nearly. */
uint64_t random_pte(void);
/* The address of an entry in one of the world's tables, or of something else. */
uint64_t random_pte_gpa(void);

struct pvb_entry;
/* An entry of a batch, mostly good. */
void random_entry(struct pvb_entry *entry);
/* One field of it changed. */
void spoil_entry(struct pvb_entry *entry);

/*
 * mutate_records() - insert, remove, copy, exchange or change records of @each bytes behind
 * the first @head bytes. @make fills in a new record, @change changes one. Returns the new size.
 */
size_t mutate_records(uint8_t *data, size_t size, size_t max_size, size_t head, size_t each,
		      void (*make)(uint8_t *record), void (*change)(uint8_t *record));

#endif /* FUZZ_FUZZ_H */
