/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mutations of JSON texts that know what a condition is. Bytes changed at random hardly ever leave a
 * JSON text whole, and never reach the code generator; parts exchanged, repeated, wrapped and
 * regenerated do.
 */
#ifndef FUZZ_MUTATE_H
#define FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

struct json_object;

/* What libFuzzer calls and offers: its own mutations of bytes. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2,
				 size_t size2, uint8_t *out, size_t max_out_size,
				 unsigned int seed);

#endif
