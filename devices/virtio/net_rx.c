// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-net, receiving without vhost: from the tap straight into the driver's buffers.
 *
 * Specification: virtio 1.2, 5.1.6.3 (setting up receive buffers) and 5.1.6.4 (processing of
 * incoming packets).
 *
 * The tap delivers a packet, its header in front, with one readv() into chains that were taken from
 * the ring beforehand: as many as a packet of the largest negotiated kind needs, when there are so
 * many. They stay at hand for the next packet. Behind them stands a spill buffer of our own, large
 * enough for any packet, so a packet is never cut and never read twice: what did not fit into the
 * chains at hand is copied into further ones, now or after the driver's next refill.
 *
 * Invariants:
 *  1. ready_bytes, iov_count and ready_count describe the same chains, oldest first, and
 *     iov_count < NET_RX_IOV_MAX: one place is left for the spill buffer.
 *  2. While a packet is being delivered (filled > 0 between turns), its chains are the oldest
 *     ready ones, all of them, then those taken for the spilled tail.
 *  3. Every chain taken is returned, forgotten by a reset, or ready: none is lost with a packet.
 *  4. The tap is watched in NET_RX_READING only; NET_RX_STARVED always has the driver's
 *     notification enabled. So neither a full ring nor a full tap can freeze or spin.
 *
 * Threads: see net_internal.h.
 */
#include "devices/virtio/net_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"

#define RX_PACKETS_PER_TURN 64u
#define RX_BACKOFF_NS       1000000000ull
#define SPILL_BYTES         (NET_MAX_PACKET_BYTES + 1) /* one more tells an oversized packet */

static struct virtqueue *rx_queue(struct net_pair *pair)
{
    return &pair->net->device.queues[net_rx_queue(pair)];
}

static bool is_mergeable(const struct net_pair *pair)
{
    return virtio_device_has_feature(&pair->net->device, VIRTIO_NET_F_MRG_RXBUF);
}

static void rx_timer_fired(void *arg)
{
    struct net_pair *pair = arg;
    struct virtio_device *device = &pair->net->device;

    net_pair_lock(pair);
    if (pair->rx.state == NET_RX_THROTTLED || pair->rx.state == NET_RX_BACKOFF) {
        pair->rx.state = NET_RX_READING;
        net_rx_run(pair, false);
    }
    virtio_device_unlock(device);
}

int net_rx_init(struct net_pair *pair)
{
    pair->rx.spill = malloc(SPILL_BYTES);
    if (!pair->rx.spill)
        return -ENOMEM;
    return event_loop_add_timer(pair->net->loop, rx_timer_fired, pair, &pair->rx.timer);
}

void net_rx_release(struct net_pair *pair)
{
    event_timer_remove(pair->rx.timer);
    free(pair->rx.spill);
}

static void forget_packet(struct net_rx *rx)
{
    rx->filled = 0;
    rx->packet_bytes = 0;
    rx->spill_bytes = 0;
    rx->spill_done = 0;
}

void net_rx_reset(struct net_pair *pair)
{
    struct net_rx *rx = &pair->rx;

    event_timer_disarm(rx->timer);
    rx->state = NET_RX_READING;
    rx->ready_first = 0;
    rx->ready_count = 0;
    rx->iov_first = 0;
    rx->iov_count = 0;
    rx->ready_bytes = 0;
    forget_packet(rx);
}

static void wait_for(struct net_pair *pair, enum net_rx_state state, uint64_t delay_ns)
{
    pair->rx.state = state;
    event_timer_arm(pair->rx.timer, delay_ns);
}

void net_rx_limit_changed(struct net_pair *pair)
{
    if (pair->rx.state == NET_RX_THROTTLED)
        event_timer_arm(pair->rx.timer, 0);
}

/* ---- chains at hand ---- */

/* How much to have ready: what one packet can need, given what the driver can take. */
static uint64_t wanted_bytes(const struct net_pair *pair)
{
    const struct virtio_device *device = &pair->net->device;

    if (virtio_device_has_feature(device, VIRTIO_NET_F_GUEST_TSO4) ||
        virtio_device_has_feature(device, VIRTIO_NET_F_GUEST_TSO6))
        return NET_MAX_PACKET_BYTES;
    return NET_HEADER_BYTES + NET_LINK_BYTES + (pair->net->mtu ? pair->net->mtu : 1500u);
}

/* Take one chain from the ring into rx->chain: 1, 0 when there is none, -EPROTO (device failed). */
static int take_chain(struct net_pair *pair)
{
    struct virtio_device *device = &pair->net->device;
    int ret = virtqueue_pop(rx_queue(pair), &pair->rx.chain);

    if (ret == 0)
        return 0;
    if (ret < 0) {
        virtio_device_failed(device, "receive queue %u: malformed descriptor chain", pair->index);
        return ret;
    }
    /* 5.1.6.3.1: each buffer holds at least the header. */
    if (pair->rx.chain.writable_bytes < NET_HEADER_BYTES) {
        virtio_device_failed(device, "receive queue %u: buffer smaller than a header", pair->index);
        return -EPROTO;
    }
    return 1;
}

static void make_ready(struct net_rx *rx)
{
    const struct virtq_chain *chain = &rx->chain;

    if (rx->ready_first + rx->ready_count == ARRAY_SIZE(rx->ready)) {
        memmove(rx->ready, rx->ready + rx->ready_first, rx->ready_count * sizeof(rx->ready[0]));
        rx->ready_first = 0;
    }
    if (rx->iov_first + rx->iov_count + chain->writable_count >= NET_RX_IOV_MAX) {
        memmove(rx->iov, rx->iov + rx->iov_first, rx->iov_count * sizeof(rx->iov[0]));
        rx->iov_first = 0;
    }
    memcpy(rx->iov + rx->iov_first + rx->iov_count, chain->iov + chain->readable_count,
           chain->writable_count * sizeof(rx->iov[0]));
    rx->iov_count += chain->writable_count;
    rx->ready[rx->ready_first + rx->ready_count++] = (struct net_rx_chain){
        .head = chain->head,
        .iov_count = chain->writable_count,
        .bytes = chain->writable_bytes,
    };
    rx->ready_bytes += chain->writable_bytes;
}

/* The oldest `count` chains are the driver's again. */
static void consume_ready(struct net_rx *rx, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct net_rx_chain *chain = &rx->ready[rx->ready_first];

        rx->ready_bytes -= chain->bytes;
        rx->iov_first += chain->iov_count;
        rx->iov_count -= chain->iov_count;
        rx->ready_first++;
        rx->ready_count--;
    }
    if (rx->ready_count == 0) {
        rx->ready_first = 0;
        rx->iov_first = 0;
    }
}

/* Have chains ready: 1 when there is at least one, 0 when not, -EPROTO (device failed). */
static int gather(struct net_pair *pair)
{
    struct net_rx *rx = &pair->rx;
    uint64_t wanted = wanted_bytes(pair);
    unsigned max_chains = is_mergeable(pair) ? VIRTQUEUE_MAX_SIZE : 1;

    while (rx->ready_bytes < wanted && rx->ready_count < max_chains &&
           rx->iov_count + VIRTQUEUE_MAX_SIZE < NET_RX_IOV_MAX) {
        int ret = take_chain(pair);

        if (ret < 0)
            return ret;
        if (ret == 0)
            break;
        make_ready(rx);
    }
    return rx->ready_count > 0;
}

/* No buffers: 1 when the driver added some just now, else 0 and its next kick wakes us. */
static int starve(struct net_pair *pair)
{
    if (virtqueue_enable_notify(rx_queue(pair))) {
        virtqueue_disable_notify(rx_queue(pair));
        return 1;
    }
    pair->rx.state = NET_RX_STARVED;
    return 0;
}

/* ---- one packet ---- */

static void finish_packet(struct net_pair *pair)
{
    struct net_rx *rx = &pair->rx;
    uint8_t num_buffers[2];

    /* 5.1.6.4.1: the number of merged buffers, 1 without VIRTIO_NET_F_MRG_RXBUF. */
    put_le16(num_buffers, (uint16_t)rx->filled);
    iov_from_buf(rx->iov + rx->iov_first, rx->ready[rx->ready_first].iov_count, NET_HDR_NUM_BUFFERS,
                 num_buffers, sizeof(num_buffers));
    virtqueue_push_many(rx_queue(pair), rx->heads, rx->written, rx->filled);
    consume_ready(rx, (unsigned)min_u64(rx->filled, rx->ready_count));
    net_limit_packet(&pair->net->rx_limit, &pair->net->rx_count,
                     rx->packet_bytes - NET_HEADER_BYTES);
    forget_packet(rx);
}

/* The whole ring is too small for the packet: its buffers go back empty. */
static void drop_spilled(struct net_pair *pair)
{
    struct virtio_device *device = &pair->net->device;
    struct net_rx *rx = &pair->rx;

    log_limited(device->log, &device->log_limit, LOG_LEVEL_WARN, device->ops->name,
                "receive queue %u: dropped a packet of %u bytes, all %u buffers are too small",
                pair->index, rx->packet_bytes, rx->filled);
    counter_add(&pair->net->rx_count.dropped, 1);
    memset(rx->written, 0, rx->filled * sizeof(rx->written[0]));
    virtqueue_push_many(rx_queue(pair), rx->heads, rx->written, rx->filled);
    consume_ready(rx, rx->ready_count);
    forget_packet(rx);
}

/* Copy the tail of the packet into further chains. 1: go on, 0: wait, negative: device failed. */
static int deliver_spill(struct net_pair *pair)
{
    struct net_rx *rx = &pair->rx;

    while (rx->spill_done < rx->spill_bytes) {
        size_t copied;
        int ret;

        if (rx->filled == rx_queue(pair)->size) {
            drop_spilled(pair);
            return 1;
        }
        ret = take_chain(pair);
        if (ret < 0)
            return ret;
        if (ret == 0)
            return starve(pair);
        copied = iov_from_buf(rx->chain.iov + rx->chain.readable_count, rx->chain.writable_count, 0,
                              rx->spill + rx->spill_done, rx->spill_bytes - rx->spill_done);
        rx->heads[rx->filled] = rx->chain.head;
        rx->written[rx->filled++] = (uint32_t)copied;
        rx->spill_done += (uint32_t)copied;
    }
    finish_packet(pair);
    return 1;
}

/*
 * 5.1.4.1: with VIRTIO_NET_F_MTU no packet above the MTU is passed, unless it is one to be
 * segmented. The type is read back from guest memory; a driver that changes it fools itself.
 */
static bool exceeds_mtu(const struct net_pair *pair, uint32_t bytes)
{
    const struct net_rx *rx = &pair->rx;
    uint8_t gso_type = 0;

    if (!virtio_device_has_feature(&pair->net->device, VIRTIO_NET_F_MTU) ||
        bytes <= NET_HEADER_BYTES + NET_LINK_BYTES + (uint32_t)pair->net->mtu)
        return false;
    iov_to_buf(rx->iov + rx->iov_first, rx->iov_count, NET_HDR_GSO_TYPE, &gso_type, 1);
    return (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_NONE;
}

/* `bytes` lie in the ready chains and, as far as they go beyond, in the spill buffer. */
static int deliver(struct net_pair *pair, uint32_t bytes)
{
    struct virtio_device *device = &pair->net->device;
    struct net_rx *rx = &pair->rx;
    uint32_t left = bytes;

    if (bytes < NET_HEADER_BYTES + NET_MIN_FRAME_BYTES || bytes > NET_MAX_PACKET_BYTES ||
        exceeds_mtu(pair, bytes) || (!is_mergeable(pair) && bytes > rx->ready_bytes)) {
        log_limited(device->log, &device->log_limit, LOG_LEVEL_WARN, device->ops->name,
                    "receive queue %u: dropped a packet of %u bytes that does not fit the buffer "
                    "or the MTU",
                    pair->index, bytes);
        counter_add(&pair->net->rx_count.dropped, 1);
        return 1; /* the ready chains serve the next one */
    }
    rx->packet_bytes = bytes;
    for (unsigned i = 0; i < rx->ready_count && left > 0; i++) {
        const struct net_rx_chain *chain = &rx->ready[rx->ready_first + i];
        uint32_t part = (uint32_t)min_u64(left, chain->bytes);

        rx->heads[rx->filled] = chain->head;
        rx->written[rx->filled++] = part;
        left -= part;
    }
    rx->spill_bytes = left;
    rx->spill_done = 0;
    return deliver_spill(pair);
}

/* Read and deliver one packet. 1: go on, 0: nothing now, negative: device failed. */
static int receive(struct net_pair *pair)
{
    struct virtio_device *device = &pair->net->device;
    struct net_rx *rx = &pair->rx;
    struct iovec *iov;
    ssize_t bytes;
    int ret = gather(pair);

    if (ret < 0)
        return ret;
    if (ret == 0)
        return starve(pair);

    iov = rx->iov + rx->iov_first;
    iov[rx->iov_count] = (struct iovec){.iov_base = rx->spill, .iov_len = SPILL_BYTES};
    do {
        bytes = readv(pair->tap_fd, iov, (int)rx->iov_count + 1);
    } while (bytes < 0 && errno == EINTR);
    if (bytes > 0)
        return deliver(pair, (uint32_t)min_u64((uint64_t)bytes, UINT32_MAX));
    if (bytes < 0 && errno == EAGAIN)
        return 0;

    /* The interface is down or gone (EIO, EBADFD), or the peer of a socket is. It may come back. */
    log_limited(device->log, &device->log_limit, LOG_LEVEL_WARN, device->ops->name,
                "cannot receive from the tap: %s", bytes < 0 ? error_text(errno) : "end of file");
    wait_for(pair, NET_RX_BACKOFF, RX_BACKOFF_NS);
    return 0;
}

/* ---- turns ---- */

void net_rx_run(struct net_pair *pair, bool broken)
{
    struct net_rx *rx = &pair->rx;
    bool progress = false;
    int ret = 1;

    if (net_pair_live(pair)) {
        for (unsigned i = 0; i < RX_PACKETS_PER_TURN && rx->state == NET_RX_READING; i++) {
            uint64_t wait_ns;

            if (!net_limit_ready(&pair->net->rx_limit, &wait_ns)) {
                counter_add(&pair->net->rx_count.throttled, 1);
                wait_for(pair, NET_RX_THROTTLED, wait_ns);
                break;
            }
            ret = rx->filled ? deliver_spill(pair) : receive(pair);
            if (ret <= 0)
                break;
            progress = true;
        }
        /* An error that reading does not show would wake us for ever. */
        if (broken && !progress && ret == 0 && rx->state == NET_RX_READING)
            wait_for(pair, NET_RX_BACKOFF, RX_BACKOFF_NS);
        if (ret >= 0)
            virtio_device_signal_queue(&pair->net->device, net_rx_queue(pair));
        else
            pair->net->running = false;
    }
    net_pair_watch(pair);
}

void net_rx_kick(struct net_pair *pair)
{
    if (pair->rx.state != NET_RX_STARVED || !net_pair_live(pair))
        return;
    pair->rx.state = NET_RX_READING;
    virtqueue_disable_notify(rx_queue(pair));
    net_rx_run(pair, false);
}
