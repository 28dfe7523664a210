// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-net between its own files: net.c (device, control queue), net_rx.c and net_tx.c (the data
 * path in this process), net_vhost.c (the data path in the kernel).
 *
 * One `struct net_pair` is a receive queue, a transmit queue and the tap descriptor behind them.
 * Either both of its directions run here, or both run in vhost-net.
 *
 * Threads: everything is guarded by the device's lock. net_rx_run() and net_tx_run() are called on
 * the I/O thread only; their cost per call is bounded, so that one guest's traffic cannot keep the
 * other devices of the loop waiting.
 */
#ifndef HUSK_DEVICES_VIRTIO_NET_INTERNAL_H
#define HUSK_DEVICES_VIRTIO_NET_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/* Its struct virtio_net_config is the device's configuration space, ours what it is made of. */
#define virtio_net_config virtio_net_config_space
#include <linux/virtio_net.h>
#undef virtio_net_config

#include "base/checked.h"
#include "base/counter.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/token_bucket.h"
#include "devices/backend/vhost.h"
#include "devices/virtio/devices.h"
#include "devices/virtio/virtio.h"

#define NET_MAX_PAIRS  16u
#define NET_QUEUE_SIZE VIRTQUEUE_MAX_SIZE

/* struct virtio_net_hdr (5.1.6) as virtio 1.x lays it out, always with num_buffers. */
#define NET_HEADER_BYTES 12u
enum {
    NET_HDR_FLAGS = 0,
    NET_HDR_GSO_TYPE = 1,
    NET_HDR_HDR_LEN = 2,
    NET_HDR_GSO_SIZE = 4,
    NET_HDR_CSUM_START = 6,
    NET_HDR_CSUM_OFFSET = 8,
    NET_HDR_NUM_BUFFERS = 10,
};

/* Ethernet header with one VLAN tag, and the largest IP packet behind it. */
#define NET_MIN_FRAME_BYTES  14u
#define NET_LINK_BYTES       18u
#define NET_MAX_PACKET_BYTES (NET_HEADER_BYTES + NET_LINK_BYTES + 65535u)

/* The host side, replaced in tests. All return 0 or -errno. */
struct net_host_ops {
    int (*set_header_size)(int tap_fd, int size);
    int (*set_offload)(int tap_fd, unsigned offload);
    int (*set_queue_enabled)(int tap_fd, int enabled);
    vhost_ioctl_fn vhost_ioctl;
};

/*
 * Bytes and packets per second of one direction, shared by all pairs. A packet is charged after it
 * went through and the next one waits until it is paid: sizes need not be known beforehand.
 */
struct net_limit {
    struct token_bucket bytes, packets;
    uint64_t owed_bytes, owed_packets;
};

/* One direction, all pairs. Written with the device's lock held. */
struct net_counters {
    struct counter packets, bytes, dropped, throttled;
};

enum net_rx_state {
    NET_RX_READING,   /* the tap is watched */
    NET_RX_STARVED,   /* no buffers: waits for the driver's kick */
    NET_RX_THROTTLED, /* over the limit: waits for the timer */
    NET_RX_BACKOFF,   /* the tap failed: waits for the timer, then tries again */
};

enum net_tx_state {
    NET_TX_READY,   /* waits for a kick */
    NET_TX_BLOCKED, /* the tap is full: waits until it is writable */
    NET_TX_WAITING, /* over the limit, or more work than one turn: waits for the timer */
};

#define NET_RX_IOV_MAX 1024u /* IOV_MAX of Linux */

struct net_rx {
    enum net_rx_state state;
    struct event_timer *timer;

    /* Chains taken from the ring ahead of packets, oldest first, with their iovecs end to end. */
    struct net_rx_chain {
        uint16_t head;
        uint16_t iov_count;
        uint64_t bytes;
    } ready[VIRTQUEUE_MAX_SIZE];
    unsigned ready_first, ready_count;
    unsigned iov_first, iov_count;
    uint64_t ready_bytes;
    struct iovec iov[NET_RX_IOV_MAX];

    /* The packet being delivered: the chains it fills, the bytes of each. */
    uint16_t heads[VIRTQUEUE_MAX_SIZE];
    uint32_t written[VIRTQUEUE_MAX_SIZE];
    unsigned filled;
    uint32_t packet_bytes;
    /* Its tail that found no room in the chains at hand: spill[spill_done, spill_bytes). */
    uint32_t spill_bytes, spill_done;
    uint8_t *spill;

    struct virtq_chain chain;
};

struct net_tx {
    enum net_tx_state state;
    struct event_timer *timer;
    struct virtq_chain chain;
    struct iovec out[VIRTQUEUE_MAX_SIZE + 1];
};

struct net_vhost_ring {
    int call_fd;
    struct event_source *call_source;
};

/* The kernel's data path of one pair. Ring 0 receives, ring 1 transmits. */
struct net_vhost {
    struct vhost vhost; /* fd owned */
    struct net_vhost_ring ring[2];
    int error_fd;
    struct event_source *error_source;
    bool kicks_taken;
    bool started;
};

struct virtio_net;

struct net_pair {
    struct virtio_net *net;
    unsigned index;
    int tap_fd;                      /* owned */
    bool enabled;                    /* among the pairs that the driver asked for (5.1.6.5.5) */
    struct event_source *tap_source; /* own data path */
    struct net_rx rx;
    struct net_tx tx;
    struct net_vhost *vhost; /* or NULL: own data path */
};

struct virtio_net {
    struct virtio_device device; /* first: what the core sees */
    struct event_loop *loop;
    const struct net_host_ops *host;
    uint8_t mac[6];
    uint16_t mtu;
    bool running; /* activated, neither reset nor failed since */
    bool held;    /* paused */
    struct net_limit rx_limit, tx_limit;
    struct net_counters rx_count, tx_count;
    unsigned pair_count;
    struct net_pair *pairs;
};

static inline struct virtio_net *net_of(struct virtio_device *device)
{
    return container_of(device, struct virtio_net, device);
}

static inline unsigned net_rx_queue(const struct net_pair *pair)
{
    return 2 * pair->index;
}

static inline unsigned net_tx_queue(const struct net_pair *pair)
{
    return 2 * pair->index + 1;
}

/* virtio_net_create() with another host behind it; `host` outlives the device. */
int net_create(const struct device_env *env, const struct virtio_net_config *config,
               const struct net_host_ops *host, struct virtio_device **out);

/* ---- net.c ---- */

/* How callbacks of the loop begin: take the device's lock and see whether it still runs. */
void net_pair_lock(struct net_pair *pair);

/* Whether the pair moves packets now. */
bool net_pair_live(const struct net_pair *pair);

/* Make the events watched on the tap fit the states of both directions. */
void net_pair_watch(struct net_pair *pair);

/* ---- net_limit.c ---- */

/* New limits with a full burst; NULL: unchanged. What is owed stays owed. */
void net_limit_set(struct net_limit *limit, const struct rate_limit *bytes,
                   const struct rate_limit *packets);
/* Whether what went through is paid; else *wait_ns is when to ask again. */
bool net_limit_ready(struct net_limit *limit, uint64_t *wait_ns);
/* A packet of so many bytes, without the virtio header, went through: count and charge it. */
void net_limit_packet(struct net_limit *limit, struct net_counters *counters, uint32_t bytes);

/* ---- net_rx.c and net_tx.c: one direction of a pair ---- */

int net_rx_init(struct net_pair *pair);
void net_rx_release(struct net_pair *pair);
/* Forget every chain and packet. */
void net_rx_reset(struct net_pair *pair);
/* The driver made buffers available. */
void net_rx_kick(struct net_pair *pair);
/* The limit may have changed: whoever waits for it asks again. */
void net_rx_limit_changed(struct net_pair *pair);
/* Move packets from the tap to the ring: at most a turn's worth. `broken`: epoll saw an error. */
void net_rx_run(struct net_pair *pair, bool broken);

int net_tx_init(struct net_pair *pair);
void net_tx_release(struct net_pair *pair);
void net_tx_reset(struct net_pair *pair);
void net_tx_limit_changed(struct net_pair *pair);
/* Move packets from the ring to the tap, unless something is waited for: at most a turn's worth. */
void net_tx_run(struct net_pair *pair);

/* ---- net_vhost.c ---- */

/* Takes vhost_fd on success. The kernel's features are in *features. Returns 0 or -errno. */
int net_vhost_init(struct net_pair *pair, int vhost_fd, uint64_t *features);
void net_vhost_release(struct net_pair *pair);
/* Hand both rings to the kernel / take them back, the indexes kept in the queues. */
int net_vhost_start(struct net_pair *pair);
void net_vhost_stop(struct net_pair *pair);
/* As stop, and the kicks go to the transport again. */
void net_vhost_reset(struct net_pair *pair);

#endif
