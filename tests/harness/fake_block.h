// SPDX-License-Identifier: Apache-2.0
/*
 * A block backend for tests: requests are executed on a memfd, at once and on the caller's thread,
 * or, while held back, one by one when the test says so. Failures abort the test program.
 */
#ifndef HUSK_TESTS_HARNESS_FAKE_BLOCK_H
#define HUSK_TESTS_HARNESS_FAKE_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/backend/block.h"

struct block_backend *fake_block_create(uint64_t size_bytes, unsigned depth);

/* The disk's content, to look at and to fill. Owned by the backend. */
int fake_block_fd(struct block_backend *backend);

/* From now on requests wait for fake_block_finish() (or a drain) / are executed when kicked. */
void fake_block_hold(struct block_backend *backend, bool hold);

/* How many are held back. */
unsigned fake_block_held(struct block_backend *backend);

/* Held request number `index` in order of arrival. */
const struct block_request *fake_block_request(struct block_backend *backend, unsigned index);

/* Execute held request number `index` in order of arrival, and signal it. */
void fake_block_finish(struct block_backend *backend, unsigned index);

/* What requests end with from now on, instead of being executed; 0 executes them again. */
void fake_block_fail(struct block_backend *backend, int result);

#endif
