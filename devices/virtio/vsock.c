// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-vsock: the device and its queues. What happens on a connection is in vsock_connection.c;
 * vsock_internal.h shows how they fit.
 *
 * Specification: virtio 1.2, 5.10 (socket device).
 *
 * Queue 0 (rx) takes packets for the guest, queue 1 (tx) its packets, queue 2 (event) would tell
 * that the guest was moved, which does not happen: its buffers are left where they are.
 *
 * A packet that no connection expects is answered by RST; one that claims another sender than the
 * guest is dropped, for the answer would go astray. Payload goes between guest buffers and sockets
 * without a copy, unless a host program is slow.
 *
 * Threads: reset runs on a vCPU thread, all else on the I/O thread.
 */
#include "devices/virtio/vsock_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_ids.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/event_loop.h"

#define RX_QUEUE            0
#define TX_QUEUE            1
#define QUEUE_COUNT         3
#define RX_PACKETS_PER_TURN 128u
#define TX_PACKETS_PER_TURN VIRTQUEUE_MAX_SIZE /* a whole ring */
#define CONFIG_BYTES        8u                 /* guest_cid (5.10.4) */
#define F_STREAM            0                  /* VIRTIO_VSOCK_F_STREAM (5.10.3) */

enum {
    HDR_SRC_CID = 0,
    HDR_DST_CID = 8,
    HDR_SRC_PORT = 16,
    HDR_DST_PORT = 20,
    HDR_LEN = 24,
    HDR_TYPE = 28,
    HDR_OP = 30,
    HDR_FLAGS = 32,
    HDR_BUF_ALLOC = 36,
    HDR_FWD_CNT = 40,
};

static struct virtio_vsock *vsock_of(struct virtio_device *device)
{
    return container_of(device, struct virtio_vsock, device);
}

/* ---- connections as a whole ---- */

static void free_list(struct vsock_bucket *list)
{
    struct vsock_connection *connection, *next;

    for (connection = LIST_FIRST(list); connection; connection = next) {
        next = LIST_NEXT(connection, in_bucket);
        vsock_connection_free(connection);
    }
}

/* Every connection with the guest; orphans have none any more. I/O thread. */
static void close_all(struct virtio_vsock *vsock)
{
    for (unsigned i = 0; i < VSOCK_BUCKETS; i++)
        free_list(&vsock->buckets[i]);
    free_list(&vsock->doomed);
    vsock->reply_count = 0;
    vsock->tx_stalled = false;
}

static void update_list(struct vsock_bucket *list)
{
    struct vsock_connection *connection, *next;

    for (connection = LIST_FIRST(list); connection; connection = next) {
        next = LIST_NEXT(connection, in_bucket); /* an update may free it */
        vsock_connection_update(connection);
    }
}

static void update_all(struct virtio_vsock *vsock)
{
    for (unsigned i = 0; i < VSOCK_BUCKETS; i++)
        update_list(&vsock->buckets[i]);
    update_list(&vsock->orphans);
}

static void driver_failed(struct virtio_vsock *vsock, const char *why)
{
    virtio_device_failed(&vsock->device, "%s", why);
    close_all(vsock);
}

/* ---- packets of the guest's ---- */

static struct vsock_header parse_header(const uint8_t *bytes)
{
    return (struct vsock_header){
        .src_cid = get_le64(bytes + HDR_SRC_CID),
        .dst_cid = get_le64(bytes + HDR_DST_CID),
        .src_port = get_le32(bytes + HDR_SRC_PORT),
        .dst_port = get_le32(bytes + HDR_DST_PORT),
        .len = get_le32(bytes + HDR_LEN),
        .type = get_le16(bytes + HDR_TYPE),
        .op = get_le16(bytes + HDR_OP),
        .flags = get_le32(bytes + HDR_FLAGS),
        .buf_alloc = get_le32(bytes + HDR_BUF_ALLOC),
        .fwd_cnt = get_le32(bytes + HDR_FWD_CNT),
    };
}

/* RST for a packet without a connection, unless it is one itself (5.10.6.4.2). There is room: the
 * transmit queue is not read without. */
static void refuse(struct virtio_vsock *vsock, const struct vsock_header *header)
{
    unsigned slot = (vsock->reply_first + vsock->reply_count) % VSOCK_REPLIES_MAX;

    if (header->op == VIRTIO_VSOCK_OP_RST)
        return;
    vsock->replies[slot] = (struct vsock_reply){
        .src_cid = header->dst_cid,
        .src_port = header->dst_port,
        .dst_port = header->src_port,
        .type = header->type,
    };
    vsock->reply_count++;
}

static void receive_packet(struct virtio_vsock *vsock, const struct virtq_chain *chain)
{
    struct virtio_device *device = &vsock->device;
    struct vsock_connection *connection;
    struct vsock_header header;
    uint8_t bytes[VSOCK_HEADER_BYTES];
    int entries;

    if (iov_to_buf(chain->iov, chain->readable_count, 0, bytes, sizeof(bytes)) != sizeof(bytes)) {
        log_limited(device->log, &device->log_limit, LOG_LEVEL_WARN, device->ops->name,
                    "a packet without a whole header was dropped");
        return;
    }
    header = parse_header(bytes);
    if (header.src_cid != vsock->guest_cid) {
        log_limited(device->log, &device->log_limit, LOG_LEVEL_WARN, device->ops->name,
                    "a packet from CID %llu, which is not the guest's, was dropped",
                    (unsigned long long)header.src_cid);
        return;
    }
    if (header.dst_cid != VSOCK_HOST_CID || header.type != VIRTIO_VSOCK_TYPE_STREAM) {
        refuse(vsock, &header);
        return;
    }
    connection = vsock_connection_find(vsock, header.src_port, header.dst_port);
    if (!connection) {
        if (header.op != VIRTIO_VSOCK_OP_REQUEST || !vsock_connection_accept(vsock, &header))
            refuse(vsock, &header);
        return;
    }
    /* Only what the chain holds, and more than the whole of our buffer is never right. */
    if (header.len > VSOCK_BUFFER_BYTES ||
        header.len > chain->readable_bytes - VSOCK_HEADER_BYTES) {
        log_limited(device->log, &device->log_limit, LOG_LEVEL_WARN, device->ops->name,
                    "port %u to %u: connection reset: a packet of %u bytes in a chain of %llu",
                    header.src_port, header.dst_port, header.len,
                    (unsigned long long)chain->readable_bytes);
        vsock_connection_abort(connection);
        return;
    }
    entries = iov_slice(chain->iov, chain->readable_count, VSOCK_HEADER_BYTES, header.len,
                        vsock->tx_payload, ARRAY_SIZE(vsock->tx_payload));
    vsock_connection_receive(connection, &header, vsock->tx_payload, (unsigned)entries);
}

/* A bounded number of packets. True when there may be more. */
static bool run_tx(struct virtio_vsock *vsock)
{
    struct virtqueue *queue = &vsock->device.queues[TX_QUEUE];
    unsigned budget = TX_PACKETS_PER_TURN;

    while (budget > 0) {
        int ret;

        vsock->tx_stalled = vsock->reply_count == VSOCK_REPLIES_MAX;
        if (vsock->tx_stalled)
            break; /* until the driver has taken an answer */
        ret = virtqueue_pop(queue, &vsock->tx_chain);
        if (ret < 0) {
            driver_failed(vsock, "the driver broke the transmit queue");
            return false;
        }
        if (ret == 0) {
            if (virtqueue_enable_notify(queue))
                continue;
            break;
        }
        receive_packet(vsock, &vsock->tx_chain);
        virtqueue_push(queue, vsock->tx_chain.head, 0);
        budget--;
    }
    virtio_device_signal_queue(&vsock->device, TX_QUEUE);
    return budget == 0;
}

/* ---- packets for the guest ---- */

static void write_header(const struct vsock_header *header, const struct virtq_chain *chain)
{
    uint8_t bytes[VSOCK_HEADER_BYTES];

    put_le64(bytes + HDR_SRC_CID, header->src_cid);
    put_le64(bytes + HDR_DST_CID, header->dst_cid);
    put_le32(bytes + HDR_SRC_PORT, header->src_port);
    put_le32(bytes + HDR_DST_PORT, header->dst_port);
    put_le32(bytes + HDR_LEN, header->len);
    put_le16(bytes + HDR_TYPE, header->type);
    put_le16(bytes + HDR_OP, header->op);
    put_le32(bytes + HDR_FLAGS, header->flags);
    put_le32(bytes + HDR_BUF_ALLOC, header->buf_alloc);
    put_le32(bytes + HDR_FWD_CNT, header->fwd_cnt);
    iov_from_buf(chain->iov + chain->readable_count, chain->writable_count, 0, bytes,
                 sizeof(bytes));
}

static struct vsock_header take_reply(struct virtio_vsock *vsock)
{
    const struct vsock_reply *reply = &vsock->replies[vsock->reply_first];

    vsock->reply_first = (vsock->reply_first + 1) % VSOCK_REPLIES_MAX;
    vsock->reply_count--;
    return (struct vsock_header){
        .src_cid = reply->src_cid,
        .dst_cid = vsock->guest_cid,
        .src_port = reply->src_port,
        .dst_port = reply->dst_port,
        .type = reply->type,
        .op = VIRTIO_VSOCK_OP_RST,
    };
}

/* One packet into the chain, or the chain back into the queue. */
static void send_packet(struct virtio_vsock *vsock, struct virtqueue *queue,
                        const struct virtq_chain *chain)
{
    struct vsock_header header;

    if (vsock->reply_count > 0) {
        header = take_reply(vsock);
    } else if (vsock_connection_fill(TAILQ_FIRST(&vsock->ready), &header, chain)) {
        virtqueue_unpop(queue);
        return;
    }
    write_header(&header, chain);
    virtqueue_push(queue, chain->head, VSOCK_HEADER_BYTES + header.len);
}

/* A bounded number of packets, as long as there are some and buffers for them. True when there may
 * be more of both. */
static bool run_rx(struct virtio_vsock *vsock)
{
    struct virtqueue *queue = &vsock->device.queues[RX_QUEUE];
    struct virtq_chain *chain = &vsock->rx_chain;
    unsigned budget = RX_PACKETS_PER_TURN;

    while (budget > 0 && (vsock->reply_count > 0 || !TAILQ_EMPTY(&vsock->ready))) {
        int ret = virtqueue_pop(queue, chain);

        if (ret == 0) {
            /* Nothing is watched that would come again by itself: the driver has to kick. */
            if (virtqueue_enable_notify(queue))
                continue;
            break;
        }
        if (ret < 0 || chain->writable_bytes <= VSOCK_HEADER_BYTES) {
            driver_failed(vsock, ret < 0 ? "the driver broke the receive queue"
                                         : "a receive buffer without room for payload");
            return false;
        }
        virtqueue_disable_notify(queue);
        send_packet(vsock, queue, chain);
        budget--;
    }
    virtio_device_signal_queue(&vsock->device, RX_QUEUE);
    return budget == 0;
}

/* Lock held, I/O thread: one turn in both directions. */
static void run(struct virtio_vsock *vsock)
{
    bool more;

    free_list(&vsock->doomed);
    more = run_tx(vsock);
    if (vsock->device.active)
        more |= run_rx(vsock);
    if (vsock->tx_stalled && vsock->reply_count < VSOCK_REPLIES_MAX)
        more = true;
    if (more && vsock->device.active)
        event_timer_arm(vsock->again, 0);
}

/* ---- events ---- */

static bool is_running(const struct virtio_vsock *vsock)
{
    return vsock->device.active && !vsock->device.paused;
}

static void on_again(void *arg)
{
    struct virtio_vsock *vsock = arg;

    virtio_device_lock(&vsock->device);
    free_list(&vsock->doomed);
    if (is_running(vsock))
        run(vsock);
    virtio_device_unlock(&vsock->device);
}

void vsock_stream_ready(void *arg, uint32_t events)
{
    struct vsock_connection *connection = arg;
    struct virtio_vsock *vsock = connection->vsock;
    struct virtio_device *device = &vsock->device;

    virtio_device_lock(device);
    if (device->paused) {
        /* The event was fetched before; it comes again. */
    } else if (device->active || connection->state == VSOCK_ORPHAN) {
        vsock_connection_ready(connection, events);
        if (device->active)
            run(vsock);
    } else {
        close_all(vsock); /* the core found the driver at fault meanwhile */
    }
    virtio_device_unlock(device);
}

/* Without a driver nobody listens in the guest: the program finds that out at once. */
static bool incoming(void *arg, struct vsock_stream *stream, uint32_t guest_port)
{
    struct virtio_vsock *vsock = arg;
    bool taken;

    virtio_device_lock(&vsock->device);
    taken = is_running(vsock) && vsock_connection_request(vsock, stream, guest_port);
    if (taken)
        run(vsock);
    virtio_device_unlock(&vsock->device);
    return taken;
}

static const struct vsock_frontend_ops frontend_ops = {.incoming = incoming};

/* ---- operations of the core ---- */

static int vsock_activate(struct virtio_device *device)
{
    return 0;
}

/* On a vCPU thread, which must not free what the loop may be looking at. */
static void vsock_reset(struct virtio_device *device)
{
    struct virtio_vsock *vsock = vsock_of(device);
    struct vsock_connection *connection;

    for (unsigned i = 0; i < VSOCK_BUCKETS; i++) {
        while ((connection = LIST_FIRST(&vsock->buckets[i])))
            vsock_connection_doom(connection);
    }
    vsock->reply_count = 0;
    vsock->tx_stalled = false;
    event_timer_arm(vsock->again, 0);
}

static void vsock_notify(struct virtio_device *device, unsigned queue)
{
    run(vsock_of(device));
}

static void vsock_config_read(struct virtio_device *device, uint32_t offset, void *data,
                              unsigned size)
{
    uint8_t config[CONFIG_BYTES];

    put_le64(config, vsock_of(device)->guest_cid);
    memcpy(data, config + offset, size);
}

/* What the guest has sent goes out: it may be its last words, whose kick came too late. */
static void vsock_pause(struct virtio_device *device)
{
    struct virtio_vsock *vsock = vsock_of(device);

    if (device->active)
        run_tx(vsock);
    vsock_unix_pause(vsock->backend);
    update_all(vsock);
}

/* The core goes on to kick every queue: what is ready is sent then. */
static void vsock_resume(struct virtio_device *device)
{
    struct virtio_vsock *vsock = vsock_of(device);

    vsock_unix_resume(vsock->backend);
    update_all(vsock);
}

static void vsock_destroy(struct virtio_device *device)
{
    struct virtio_vsock *vsock = vsock_of(device);

    close_all(vsock);
    free_list(&vsock->orphans);
    vsock_unix_destroy(vsock->backend);
    event_timer_remove(vsock->again);
    free(vsock);
}

static const struct virtio_device_ops vsock_ops = {
    .name = "virtio-vsock",
    .activate = vsock_activate,
    .reset = vsock_reset,
    .notify = vsock_notify,
    .config_read = vsock_config_read,
    .pause = vsock_pause,
    .resume = vsock_resume,
    .destroy = vsock_destroy,
};

/* ---- creation ---- */

static struct virtio_vsock *allocate(uint32_t guest_cid)
{
    struct virtio_vsock *vsock = calloc(1, sizeof(*vsock));

    if (!vsock)
        return NULL;
    vsock->guest_cid = guest_cid;
    TAILQ_INIT(&vsock->ready);
    LIST_INIT(&vsock->orphans);
    LIST_INIT(&vsock->doomed);
    for (unsigned i = 0; i < VSOCK_BUCKETS; i++)
        LIST_INIT(&vsock->buckets[i]);
    return vsock;
}

int virtio_vsock_create(const struct device_env *env, const struct virtio_vsock_config *config,
                        struct virtio_device **out)
{
    static const uint16_t sizes[QUEUE_COUNT] = {VIRTQUEUE_MAX_SIZE, VIRTQUEUE_MAX_SIZE,
                                                VIRTQUEUE_MAX_SIZE};
    struct virtio_vsock *vsock = allocate(config->guest_cid);
    int ret;

    if (!vsock)
        return -ENOMEM;
    ret = virtio_device_init(&vsock->device, &vsock_ops, VIRTIO_ID_VSOCK, 1ull << F_STREAM, sizes,
                             QUEUE_COUNT, CONFIG_BYTES, env);
    if (ret) {
        free(vsock);
        return ret;
    }
    ret = event_loop_add_timer(env->loop, on_again, vsock, &vsock->again);
    if (!ret)
        ret = vsock_unix_create(env->loop, config->listen_fd, config->connect_prefix, &frontend_ops,
                                vsock, &vsock->backend);
    if (ret) {
        virtio_device_destroy(&vsock->device);
        return ret;
    }
    *out = &vsock->device;
    return 0;
}

void virtio_vsock_read_stats(struct virtio_device *device, struct virtio_vsock_stats *out)
{
    struct virtio_vsock *vsock = vsock_of(device);

    *out = (struct virtio_vsock_stats){
        .tx_bytes = atomic_load_explicit(&vsock->tx_bytes, memory_order_relaxed),
        .rx_bytes = atomic_load_explicit(&vsock->rx_bytes, memory_order_relaxed),
        .connections = atomic_load_explicit(&vsock->open_connections, memory_order_relaxed),
    };
}
