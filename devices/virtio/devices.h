// SPDX-License-Identifier: Apache-2.0
/*
 * The virtio devices. Each create function takes validated configuration, returns 0 with *out owned
 * by the caller (who hands it to a transport), or -errno.
 */
#ifndef HUSK_DEVICES_VIRTIO_DEVICES_H
#define HUSK_DEVICES_VIRTIO_DEVICES_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/device.h"
#include "devices/virtio/virtio.h"

struct block_backend;
struct console_backend;

/* A limit in units per second; per_second 0 is unlimited. */
struct rate_limit {
    uint64_t per_second;
    uint64_t burst; /* 0: one second's worth */
};

struct virtio_blk_config {
    struct block_backend *backend; /* becomes the device's on success */
    uint64_t size_bytes;           /* rounded down to sectors */
    bool read_only;
    bool can_discard; /* the backend's file supports punching holes */
    unsigned queues;  /* 1..16 */
    char serial[20];  /* VIRTIO_BLK_T_GET_ID, not necessarily terminated */
    struct rate_limit operations, bandwidth;
};
int virtio_blk_create(const struct device_env *env, const struct virtio_blk_config *config,
                      struct virtio_device **out);

struct virtio_net_config {
    const int *tap_fds;   /* one per queue pair, from tap_open(); become the device's on success */
    unsigned queue_pairs; /* 1..16 */
    uint8_t mac[6];
    uint16_t mtu; /* 0: VIRTIO_NET_F_MTU is not offered */
    int *
        vhost_fds; /* one open /dev/vhost-net per pair (owned on success), or NULL: own data path */
    struct rate_limit rx_bandwidth, tx_bandwidth, rx_operations, tx_operations;
};
int virtio_net_create(const struct device_env *env, const struct virtio_net_config *config,
                      struct virtio_device **out);

/* Entropy from getrandom(). */
int virtio_rng_create(const struct device_env *env, struct virtio_device **out);

/* One port, no multiport; VIRTIO_CONSOLE_F_SIZE. The backend outlives the device. */
int virtio_console_create(const struct device_env *env, struct console_backend *console,
                          uint16_t columns, uint16_t rows, struct virtio_device **out);
/* A new size: changes the configuration and tells the driver. Any thread. */
void virtio_console_resize(struct virtio_device *console, uint16_t columns, uint16_t rows);

#endif
