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

/*
 * Put another backend, of at least the same depth, in place of the present one, and tell the driver
 * of the new size. Requests that were started finish on the old one, which is destroyed; those that
 * wait in the rings go to the new one. Read-only or not stays as it was, as do the features.
 *
 * Called on a thread that is not the loop's, while no other such call on the device is made; waits
 * for the requests, wait_ms at most. Works before the start, and while the device is paused.
 * Returns 0, with the backend the device's, or -errno and nothing changed: -ETIMEDOUT, -EINVAL (too
 * small, or of too little depth), -ENOMEM and the like.
 */
int virtio_blk_replace(struct virtio_device *blk, struct block_backend *backend,
                       uint64_t size_bytes, unsigned wait_ms);
/* The file behind the disk has grown or shrunk. Any thread. -EINVAL for less than a sector. */
int virtio_blk_resize(struct virtio_device *blk, uint64_t size_bytes);
/* Whether fd is open on the file, or device, that is the disk now. Any thread. */
bool virtio_blk_is_file(struct virtio_device *blk, int fd);
/* New limits in place of the present ones, with a full burst; NULL: unchanged. Any thread. */
void virtio_blk_set_limits(struct virtio_device *blk, const struct rate_limit *operations,
                           const struct rate_limit *bandwidth);

/* Answered since the creation. A request counts once, among the failed as well if it was one. */
struct virtio_blk_stats {
    uint64_t read_requests, write_requests, flush_requests, other_requests;
    uint64_t read_bytes, write_bytes; /* of those that succeeded */
    uint64_t failed_requests;
    uint64_t throttled; /* how often a limit made a queue wait */
};
/* Any thread; does not wait for the device. */
void virtio_blk_read_stats(struct virtio_device *blk, struct virtio_blk_stats *out);

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

/* New limits in place of the present ones, with a full burst; NULL: unchanged. */
struct virtio_net_limits {
    const struct rate_limit *rx_bandwidth, *tx_bandwidth, *rx_operations, *tx_operations;
};
/* Any thread. -EOPNOTSUPP when the packets go through vhost and a limit is one. */
int virtio_net_set_limits(struct virtio_device *net, const struct virtio_net_limits *limits);

/* Since the creation, of all queue pairs; bytes without the virtio header. Packets that go through
 * vhost are not seen. */
struct virtio_net_stats {
    uint64_t rx_packets, rx_bytes, rx_dropped, rx_throttled;
    uint64_t tx_packets, tx_bytes, tx_dropped, tx_throttled;
};
/* Any thread; does not wait for the device. */
void virtio_net_read_stats(struct virtio_device *net, struct virtio_net_stats *out);

/* Entropy from getrandom(), at most so many bytes per second. */
int virtio_rng_create(const struct device_env *env, const struct rate_limit *rate,
                      struct virtio_device **out);
/* Bytes given to the driver so far. Any thread. */
uint64_t virtio_rng_bytes(struct virtio_device *rng);

/* A balloon whose driver gives back pages that are free (balloon.c). */
int virtio_balloon_create(const struct device_env *env, struct virtio_device **out);
/* Bytes of guest memory that were dropped so far, each time they were. Any thread. */
uint64_t virtio_balloon_dropped(struct virtio_device *balloon);

/* One port, no multiport; VIRTIO_CONSOLE_F_SIZE. The backend outlives the device. */
int virtio_console_create(const struct device_env *env, struct console_backend *console,
                          uint16_t columns, uint16_t rows, struct virtio_device **out);
/* A new size: changes the configuration and tells the driver. Any thread. */
void virtio_console_resize(struct virtio_device *console, uint16_t columns, uint16_t rows);

/* A socket device whose host side are unix sockets (devices/backend/vsock_unix.h). */
struct virtio_vsock_config {
    uint32_t guest_cid;         /* 3..4294967294 */
    int listen_fd;              /* bound and listening; becomes the device's on success */
    const char *connect_prefix; /* the guest's connections to port N go to "PREFIX_N"; copied */
};
int virtio_vsock_create(const struct device_env *env, const struct virtio_vsock_config *config,
                        struct virtio_device **out);

/* Counted since creation, but for connections. Any thread. */
struct virtio_vsock_stats {
    uint64_t tx_bytes, rx_bytes; /* payload from and to the guest */
    uint32_t connections;        /* open now */
};
void virtio_vsock_read_stats(struct virtio_device *vsock, struct virtio_vsock_stats *out);

#endif
