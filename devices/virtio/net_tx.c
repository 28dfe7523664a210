// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-net, transmitting without vhost: from the driver's buffers straight to the tap.
 *
 * Specification: virtio 1.2, 5.1.6.2 (packet transmission).
 *
 * The header is copied out of guest memory, checked against what was negotiated and rebuilt; the
 * frame goes from guest memory to the tap in the same writev(). A packet that breaks the rules is
 * dropped: the driver gets its buffers back, nothing else happens. The kernel's tun driver checks
 * the rest (offsets against the frame's real headers) and refuses with EINVAL, with the same end.
 *
 * A tap takes a packet whole or not at all. One that it cannot take now is given back to the ring
 * and read again from there when the tap is writable.
 *
 * Threads: see net_internal.h.
 */
#include "devices/virtio/net_internal.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"

static struct virtqueue *tx_queue(struct net_pair *pair)
{
    return &pair->net->device.queues[net_tx_queue(pair)];
}

static void tx_timer_fired(void *arg)
{
    struct net_pair *pair = arg;
    struct virtio_device *device = &pair->net->device;

    net_pair_lock(pair);
    if (pair->tx.state == NET_TX_WAITING) {
        pair->tx.state = NET_TX_READY;
        net_tx_run(pair);
    }
    virtio_device_unlock(device);
}

int net_tx_init(struct net_pair *pair)
{
    return event_loop_add_timer(pair->net->loop, tx_timer_fired, pair, &pair->tx.timer);
}

void net_tx_release(struct net_pair *pair)
{
    event_timer_remove(pair->tx.timer);
}

void net_tx_reset(struct net_pair *pair)
{
    event_timer_disarm(pair->tx.timer);
    pair->tx.state = NET_TX_READY;
}

static void wait_for_timer(struct net_pair *pair, uint64_t delay_ns)
{
    pair->tx.state = NET_TX_WAITING;
    event_timer_arm(pair->tx.timer, delay_ns);
}

void net_tx_limit_changed(struct net_pair *pair)
{
    if (pair->tx.state == NET_TX_WAITING)
        event_timer_arm(pair->tx.timer, 0);
}

/* Whether the driver negotiated this kind of segmentation. */
static bool gso_allowed(const struct virtio_device *device, uint8_t gso_type)
{
    if ((gso_type & VIRTIO_NET_HDR_GSO_ECN) &&
        !virtio_device_has_feature(device, VIRTIO_NET_F_HOST_ECN))
        return false;
    switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_TCPV4:
        return virtio_device_has_feature(device, VIRTIO_NET_F_HOST_TSO4);
    case VIRTIO_NET_HDR_GSO_TCPV6:
        return virtio_device_has_feature(device, VIRTIO_NET_F_HOST_TSO6);
    default:
        return false;
    }
}

/*
 * Check the driver's header against 5.1.6.2.1 and the length of the frame behind it, and write the
 * one the tap shall see: fields that carry no meaning are zero there.
 */
static bool rebuild_header(const struct virtio_device *device, const uint8_t *in,
                           uint64_t frame_bytes, uint8_t *out)
{
    /* 5.1.6.2.2: unknown flags are ignored. */
    uint8_t flags = in[NET_HDR_FLAGS] & VIRTIO_NET_HDR_F_NEEDS_CSUM;
    uint8_t gso_type = in[NET_HDR_GSO_TYPE];

    memset(out, 0, NET_HEADER_BYTES);
    if (flags) {
        uint16_t start = get_le16(in + NET_HDR_CSUM_START);
        uint16_t offset = get_le16(in + NET_HDR_CSUM_OFFSET);

        if (!virtio_device_has_feature(device, VIRTIO_NET_F_CSUM) ||
            (uint64_t)start + offset + 2 > frame_bytes)
            return false;
        out[NET_HDR_FLAGS] = flags;
        put_le16(out + NET_HDR_CSUM_START, start);
        put_le16(out + NET_HDR_CSUM_OFFSET, offset);
    }
    if (gso_type != VIRTIO_NET_HDR_GSO_NONE) {
        uint16_t gso_size = get_le16(in + NET_HDR_GSO_SIZE);
        uint16_t hdr_len = get_le16(in + NET_HDR_HDR_LEN);

        /* Segments need a checksum each, hence NEEDS_CSUM. */
        if (!flags || gso_size == 0 || !gso_allowed(device, gso_type))
            return false;
        out[NET_HDR_GSO_TYPE] = gso_type;
        put_le16(out + NET_HDR_GSO_SIZE, gso_size);
        /* 5.1.6.2.2: only a hint, which may be wrong. */
        put_le16(out + NET_HDR_HDR_LEN, (uint16_t)min_u64(hdr_len, frame_bytes));
    }
    return true;
}

static void note_dropped(struct net_pair *pair, const char *why)
{
    struct virtio_device *device = &pair->net->device;

    counter_add(&pair->net->tx_count.dropped, 1);
    log_limited(device->log, &device->log_limit, LOG_LEVEL_WARN, device->ops->name,
                "transmit queue %u: dropped a packet of %llu bytes: %s", pair->index,
                (unsigned long long)pair->tx.chain.readable_bytes, why);
}

/* Send the packet in tx->chain, or drop it. Returns 0 when done with it, -EAGAIN to try later. */
static int send_packet(struct net_pair *pair)
{
    struct net_tx *tx = &pair->tx;
    const struct virtq_chain *chain = &tx->chain;
    uint8_t guest_header[NET_HEADER_BYTES], header[NET_HEADER_BYTES];
    uint64_t frame_bytes;
    ssize_t sent;
    int count;

    if (chain->readable_bytes < NET_HEADER_BYTES + NET_MIN_FRAME_BYTES ||
        chain->readable_bytes > NET_MAX_PACKET_BYTES) {
        note_dropped(pair, "impossible length");
        return 0;
    }
    frame_bytes = chain->readable_bytes - NET_HEADER_BYTES;
    iov_to_buf(chain->iov, chain->readable_count, 0, guest_header, sizeof(guest_header));
    if (!rebuild_header(&pair->net->device, guest_header, frame_bytes, header)) {
        note_dropped(pair, "its header asks for what was not negotiated or cannot be");
        return 0;
    }
    tx->out[0] = (struct iovec){.iov_base = header, .iov_len = sizeof(header)};
    count = iov_slice(chain->iov, chain->readable_count, NET_HEADER_BYTES, frame_bytes, tx->out + 1,
                      VIRTQUEUE_MAX_SIZE);
    if (count < 0) {
        note_dropped(pair, "too many pieces");
        return 0;
    }
    do {
        sent = writev(pair->tap_fd, tx->out, count + 1);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        if (errno == EAGAIN)
            return -EAGAIN;
        /* A header the kernel does not like, or an interface that is down: as a cable would. */
        note_dropped(pair, error_text(errno));
        return 0;
    }
    net_limit_packet(&pair->net->tx_limit, &pair->net->tx_count, (uint32_t)frame_bytes);
    return 0;
}

/* One step: 1: go on, 0: wait for what tx->state says, negative: the device failed. */
static int transmit(struct net_pair *pair)
{
    struct virtqueue *queue = tx_queue(pair);
    uint64_t wait_ns;
    int ret;

    if (!net_limit_ready(&pair->net->tx_limit, &wait_ns)) {
        counter_add(&pair->net->tx_count.throttled, 1);
        wait_for_timer(pair, wait_ns);
        return 0;
    }
    ret = virtqueue_pop(queue, &pair->tx.chain);
    if (ret < 0) {
        virtio_device_failed(&pair->net->device, "transmit queue %u: malformed descriptor chain",
                             pair->index);
        return ret;
    }
    if (ret == 0) {
        if (!virtqueue_enable_notify(queue))
            return 0;
        virtqueue_disable_notify(queue);
        return 1;
    }
    if (send_packet(pair) == -EAGAIN) {
        virtqueue_unpop(queue);
        pair->tx.state = NET_TX_BLOCKED;
        return 0;
    }
    virtqueue_push(queue, pair->tx.chain.head, 0);
    return 1;
}

void net_tx_run(struct net_pair *pair)
{
    int ret = 1;

    if (net_pair_live(pair) && pair->tx.state == NET_TX_READY) {
        virtqueue_disable_notify(tx_queue(pair));
        for (unsigned i = 0; i < tx_queue(pair)->size && ret > 0; i++)
            ret = transmit(pair);
        if (ret > 0)
            wait_for_timer(pair, 0); /* more to do, but others first */
        if (ret >= 0)
            virtio_device_signal_queue(&pair->net->device, net_tx_queue(pair));
        else
            pair->net->running = false;
    }
    net_pair_watch(pair);
}
