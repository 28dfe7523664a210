// SPDX-License-Identifier: Apache-2.0
/*
 * A driver whose every step comes out of fuzz input: ring contents, kicks, turns of the loop,
 * restarts, pauses. It works on any virtio device in virtio_surroundings.
 */
#ifndef HUSK_TESTS_HARNESS_HOSTILE_DRIVER_H
#define HUSK_TESTS_HARNESS_HOSTILE_DRIVER_H

#include <stddef.h>

#include "tests/harness/ring_driver.h"

/* Bytes to take decisions from. Past the end everything is 0. */
struct fuzz_input {
    const uint8_t *data;
    size_t left;
};

/* The next `bytes` (at most 8) as a little-endian number. */
uint64_t fuzz_take(struct fuzz_input *in, unsigned bytes);
/* Fill buf, at most `len` bytes, with what the input has; returns how many. */
size_t fuzz_take_bytes(struct fuzz_input *in, void *buf, size_t len);

#define HOSTILE_MAX_QUEUES 5u
#define HOSTILE_STEPS      8u /* values of hostile_step()'s `kind` */

struct hostile_driver {
    struct virtio_surroundings *s;
    struct virtio_device *device;
    unsigned queues;
    struct ring_driver rings[HOSTILE_MAX_QUEUES];
};

/* `device` is connected to s already; its driver starts with rings of 16. */
void hostile_init(struct hostile_driver *h, struct virtio_surroundings *s,
                  struct virtio_device *device, uint64_t features);

/* One step of kind 0..HOSTILE_STEPS - 1, its details from the input. */
void hostile_step(struct hostile_driver *h, unsigned kind, struct fuzz_input *in);

/* Write one descriptor of a table of `entries` at `table`; mostly sane, sometimes anything. */
void hostile_descriptor(const struct guest_memory *memory, uint64_t table, unsigned entries,
                        struct fuzz_input *in);

/* Another driver takes over: reset, then rings of 16 and nothing but VERSION_1. Aborts when the
 * device does not start. */
void hostile_hand_over(struct hostile_driver *h);

#endif
