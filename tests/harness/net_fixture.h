// SPDX-License-Identifier: Apache-2.0
/*
 * A virtio-net device under test: guest memory, an event loop, a driver that plays rings and
 * registers by hand, a host made of socket pairs that keep packet borders as a tap does, and a
 * simulated vhost. Used by the unit tests and the fuzzer of virtio-net.
 */
#ifndef HUSK_TESTS_HARNESS_NET_FIXTURE_H
#define HUSK_TESTS_HARNESS_NET_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/vhost.h>

#include "devices/virtio/net_internal.h"

#define NET_FIXTURE_PAIRS  4u
#define NET_FIXTURE_QUEUES (2 * NET_FIXTURE_PAIRS + 1)
#define NET_FIXTURE_MEMORY (16u << 20)

struct net_fixture_ring {
    uint16_t size;
    uint16_t next_desc, next_avail, next_used;
};

struct net_fixture_buffer {
    uint64_t gpa;
    uint32_t len;
    bool writable;
};

struct net_fixture {
    struct guest_memory *memory;
    struct event_loop *loop;
    struct device_env env;
    struct virtio_net_config config;
    struct virtio_device *device;
    int tap[NET_FIXTURE_PAIRS];  /* the device's ends */
    int wire[NET_FIXTURE_PAIRS]; /* ours */
    int vhost[NET_FIXTURE_PAIRS];
    struct net_fixture_ring ring[NET_FIXTURE_QUEUES];
    uint64_t next_buffer; /* bump allocator of guest memory */

    unsigned config_interrupts;
    unsigned interrupts[NET_FIXTURE_QUEUES];
    int kick_fd[NET_FIXTURE_QUEUES];
    bool kick_taken[NET_FIXTURE_QUEUES];
};

/* What the simulated host saw and shall answer; cleared by net_fixture_init(). One at a time. */
struct net_fixture_host {
    unsigned offload;
    int offload_result;
    int queue_result;
    unsigned queue_calls;
    unsigned vhost_calls;
    unsigned vhost_fail_at; /* 1 for the first call, 0 for never */
    uint64_t vhost_features, vhost_accepted;
    int vhost_backend[2]; /* by ring, last set */
    struct vhost_vring_file vhost_call[2], vhost_kick[2], vhost_error[2];
    unsigned vhost_base[2];
    uint32_t vhost_regions;
};
extern struct net_fixture_host net_fixture_host;
extern const struct net_host_ops net_fixture_host_ops;

/* Memory, loop, sockets; the caller may then change f->config before net_fixture_create(). */
void net_fixture_init(struct net_fixture *f, unsigned pairs, bool vhost);
int net_fixture_create(struct net_fixture *f);
void net_fixture_release(struct net_fixture *f);

/* The driver's part of 3.1.1, with rings of `queue_size` for every queue, up to DRIVER_OK. */
void net_fixture_start(struct net_fixture *f, uint64_t features, uint16_t queue_size);

/* Zeroed guest memory. */
uint64_t net_fixture_alloc(struct net_fixture *f, uint32_t len);
void *net_fixture_at(struct net_fixture *f, uint64_t gpa, uint32_t len);

/* Make a chain available; returns its head. */
uint16_t net_fixture_add(struct net_fixture *f, unsigned queue,
                         const struct net_fixture_buffer *buffers, unsigned count);
/* The same with one new buffer each. */
uint16_t net_fixture_add_receive(struct net_fixture *f, unsigned queue, uint32_t len);
uint16_t net_fixture_add_send(struct net_fixture *f, unsigned queue, const void *data,
                              uint32_t len);
/* Address of the buffer at the head of a chain. */
uint64_t net_fixture_buffer_of(struct net_fixture *f, unsigned queue, uint16_t head);
/* The next used chain, if any. */
bool net_fixture_used(struct net_fixture *f, unsigned queue, uint16_t *head, uint32_t *len);
/* Whether the device asks to be kicked. */
bool net_fixture_wants_kick(struct net_fixture *f, unsigned queue);
void net_fixture_kick(struct net_fixture *f, unsigned queue);

/* Run the loop until nothing is ready; fails the test when it never ends. */
void net_fixture_settle(struct net_fixture *f);

bool net_fixture_needs_reset(struct net_fixture *f);

#endif
