// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-vsock, one connection: see vsock_internal.h for how it fits.
 *
 * Specification: virtio 1.2, 5.10.6 (device operation), 5.10.6.3 (buffer space), 5.10.6.5 (stream
 * sockets).
 *
 *     host asks ──▶ REQUESTED ──RESPONSE──▶ OPEN ◀── guest asks and a host program listens
 *                       │                    │ │
 *                       └───────────┬────────┘ └── RST after SHUTDOWN, bytes unsent ──▶ ORPHAN
 *                     violation, end│ or reset of the host side
 *                                   ▼
 *                                REFUSED ── RST sent ──▶ freed          (a RST of the guest's
 * frees)
 *
 * The two directions of an OPEN connection end one by one. The host's end of file is passed on as
 * SHUTDOWN(SEND), a host program that takes nothing any more as SHUTDOWN(RCV); the guest's
 * SHUTDOWN(SEND) becomes SHUT_WR once everything before it was delivered. When the guest has shut
 * down both, and everything was delivered, it is answered by RST, as 5.10.6.5 wants it.
 *
 * Invariants:
 *  1. The guest never has more than VSOCK_BUFFER_BYTES under way: what it sends beyond is a
 *     violation, and what is under way is what the stream's buffer holds.
 *  2. The host is read only with credit of the guest's and a receive buffer in hand.
 *  3. A connection is in the ready list when it owes a packet or its stream is known to be readable
 *     while the guest can take payload; then the stream is not watched for input, so that neither a
 *     full ring nor missing credit makes the loop spin.
 */
#include "devices/virtio/vsock_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/checked.h"
#include "base/error.h"

/* Ports of the host's end of connections that host programs asked for: above what they listen on.
 */
#define FIRST_HOST_PORT   0x40000000u
#define LAST_HOST_PORT    0x7fffffffu
/* The guest hears of room again when it has become this much more than it knows. */
#define CREDIT_STEP_BYTES (VSOCK_BUFFER_BYTES / 4)

/* ---- the table ---- */

/* A guest that picks its ports so that all fall together makes itself slow: the table is small. */
static struct vsock_bucket *bucket_of(struct virtio_vsock *vsock, uint32_t guest_port,
                                      uint32_t host_port)
{
    uint32_t mixed = (guest_port * 31u ^ host_port) * 0x9e3779b1u;

    return &vsock->buckets[(mixed >> 16) % VSOCK_BUCKETS];
}

struct vsock_connection *vsock_connection_find(struct virtio_vsock *vsock, uint32_t guest_port,
                                               uint32_t host_port)
{
    struct vsock_connection *connection = LIST_FIRST(bucket_of(vsock, guest_port, host_port));

    while (connection &&
           (connection->guest_port != guest_port || connection->host_port != host_port))
        connection = LIST_NEXT(connection, in_bucket);
    return connection;
}

static void count(struct virtio_vsock *vsock, int change)
{
    vsock->connection_count += (unsigned)change;
    atomic_store_explicit(&vsock->open_connections, vsock->connection_count, memory_order_relaxed);
}

/* NULL when there are too many, or no memory. */
static struct vsock_connection *create(struct virtio_vsock *vsock, struct vsock_stream *stream,
                                       uint32_t guest_port, uint32_t host_port)
{
    struct vsock_connection *connection;

    if (vsock->connection_count >= VSOCK_CONNECTIONS_MAX)
        return NULL;
    connection = calloc(1, sizeof(*connection));
    if (!connection)
        return NULL;
    connection->vsock = vsock;
    connection->stream = stream;
    connection->guest_port = guest_port;
    connection->host_port = host_port;
    LIST_INSERT_HEAD(bucket_of(vsock, guest_port, host_port), connection, in_bucket);
    count(vsock, 1);
    vsock_stream_set_owner(stream, vsock_stream_ready, connection);
    return connection;
}

static void set_queued(struct vsock_connection *connection, bool queued)
{
    struct virtio_vsock *vsock = connection->vsock;

    if (connection->queued == queued)
        return;
    connection->queued = queued;
    if (queued)
        TAILQ_INSERT_TAIL(&vsock->ready, connection, in_ready);
    else
        TAILQ_REMOVE(&vsock->ready, connection, in_ready);
}

void vsock_connection_free(struct vsock_connection *connection)
{
    set_queued(connection, false);
    LIST_REMOVE(connection, in_bucket);
    vsock_stream_close(connection->stream);
    count(connection->vsock, -1);
    free(connection);
}

/* To another list than its bucket: packets do not find it any more. */
static void move_to(struct vsock_connection *connection, struct vsock_bucket *list,
                    enum vsock_state state)
{
    set_queued(connection, false);
    LIST_REMOVE(connection, in_bucket);
    LIST_INSERT_HEAD(list, connection, in_bucket);
    connection->state = state;
}

void vsock_connection_doom(struct vsock_connection *connection)
{
    move_to(connection, &connection->vsock->doomed, VSOCK_DOOMED);
    if (connection->stream)
        vsock_stream_watch(connection->stream, 0);
}

void vsock_connection_abort(struct vsock_connection *connection)
{
    vsock_stream_close(connection->stream);
    connection->stream = NULL;
    connection->state = VSOCK_REFUSED;
    connection->pending = VSOCK_OWES_RST;
    set_queued(connection, true);
}

/* ---- what to wait for ---- */

/* 5.10.6.3: how many bytes of payload the guest's buffer takes. A guest that lies about its
 * counters gets nothing rather than too much. */
static uint32_t peer_credit(const struct vsock_connection *connection)
{
    uint32_t under_way = connection->sent - connection->peer_fwd_cnt;

    return under_way < connection->peer_buf_alloc ? connection->peer_buf_alloc - under_way : 0;
}

static bool wants_input(const struct vsock_connection *connection)
{
    return !connection->input_ended && peer_credit(connection) > 0;
}

/* What an open connection has to tell the guest by now. */
static void note_debts(struct vsock_connection *connection)
{
    unsigned ended = 0;

    if (connection->input_ended)
        ended |= VIRTIO_VSOCK_SHUTDOWN_SEND;
    if (vsock_stream_is_deaf(connection->stream))
        ended |= VIRTIO_VSOCK_SHUTDOWN_RCV;
    /* What the host program said before it went comes first, if it can come at all. */
    if ((ended & ~connection->told_shutdown) && !(wants_input(connection) && connection->readable))
        connection->pending |= VSOCK_OWES_SHUTDOWN;
    if (vsock_stream_delivered(connection->stream) - connection->told_fwd_cnt >= CREDIT_STEP_BYTES)
        connection->pending |= VSOCK_OWES_CREDIT_UPDATE;
    if (peer_credit(connection) > 0) {
        connection->credit_asked = false;
    } else if (!connection->input_ended && !connection->credit_asked) {
        connection->credit_asked = true;
        connection->pending |= VSOCK_OWES_CREDIT_REQUEST;
    }
}

static void update_open(struct vsock_connection *connection)
{
    struct vsock_stream *stream = connection->stream;
    uint32_t events = vsock_stream_is_deaf(stream) ? 0 : EPOLLERR;

    if (vsock_stream_buffered(stream) > 0) {
        events |= EPOLLOUT;
    } else if (connection->guest_shutdown == VSOCK_SHUTDOWN_BOTH) {
        vsock_connection_abort(connection);
        return;
    } else if ((connection->guest_shutdown & VIRTIO_VSOCK_SHUTDOWN_SEND) &&
               !connection->output_shut) {
        vsock_stream_shutdown(stream, SHUT_WR);
        connection->output_shut = true;
    }
    note_debts(connection);
    if (wants_input(connection) && !connection->readable)
        events |= EPOLLIN;
    set_queued(connection,
               connection->pending || (wants_input(connection) && connection->readable));
    vsock_stream_watch(stream, connection->vsock->device.paused ? 0 : events);
}

void vsock_connection_update(struct vsock_connection *connection)
{
    bool paused = connection->vsock->device.paused;

    switch (connection->state) {
    case VSOCK_REQUESTED:
        set_queued(connection, connection->pending != 0);
        vsock_stream_watch(connection->stream, paused ? 0 : EPOLLERR);
        break;
    case VSOCK_OPEN:
        update_open(connection);
        break;
    case VSOCK_ORPHAN:
        if (vsock_stream_buffered(connection->stream) == 0)
            vsock_connection_free(connection);
        else
            vsock_stream_watch(connection->stream, paused ? 0 : EPOLLOUT);
        break;
    case VSOCK_REFUSED:
    case VSOCK_DOOMED:
        break;
    }
}

void vsock_connection_ready(struct vsock_connection *connection, uint32_t events)
{
    bool host_gone = events & (EPOLLHUP | EPOLLERR);

    switch (connection->state) {
    case VSOCK_REQUESTED:
        if (!host_gone)
            return;
        /* A request that the guest has not seen needs no end. */
        if (connection->pending & VSOCK_OWES_REQUEST)
            vsock_connection_free(connection);
        else
            vsock_connection_abort(connection);
        return;
    case VSOCK_OPEN:
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            connection->readable = true; /* what it wrote before it went is still there */
        break;
    case VSOCK_ORPHAN:
        break;
    case VSOCK_REFUSED:
    case VSOCK_DOOMED:
        return;
    }
    vsock_stream_flush(connection->stream);
    if (host_gone)
        vsock_stream_set_deaf(connection->stream);
    vsock_connection_update(connection);
}

/* ---- beginnings ---- */

static void learn_credit(struct vsock_connection *connection, const struct vsock_header *header)
{
    connection->peer_buf_alloc = header->buf_alloc;
    connection->peer_fwd_cnt = header->fwd_cnt;
}

/* That nobody listens is the guest's business; that somebody cannot be reached is the user's. */
static void log_unreachable(struct virtio_vsock *vsock, uint32_t port, int error)
{
    enum log_level level =
        error == -ENOENT || error == -ECONNREFUSED ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN;

    log_limited(vsock->device.log, &vsock->device.log_limit, level, vsock->device.ops->name,
                "the guest cannot be connected to host port %u: %s", port, strerrordesc_np(-error));
}

bool vsock_connection_accept(struct virtio_vsock *vsock, const struct vsock_header *header)
{
    struct vsock_connection *connection;
    struct vsock_stream *stream;
    int ret;

    if (vsock->connection_count >= VSOCK_CONNECTIONS_MAX)
        return false;
    ret = vsock_unix_connect(vsock->backend, header->dst_port, &stream);
    if (ret) {
        log_unreachable(vsock, header->dst_port, ret);
        return false;
    }
    connection = create(vsock, stream, header->src_port, header->dst_port);
    if (!connection) {
        vsock_stream_close(stream);
        return false;
    }
    connection->state = VSOCK_OPEN;
    connection->pending = VSOCK_OWES_RESPONSE;
    learn_credit(connection, header);
    vsock_connection_update(connection);
    return true;
}

/* Ends: there are fewer connections than ports. */
static uint32_t choose_host_port(struct virtio_vsock *vsock, uint32_t guest_port)
{
    uint32_t port;

    do {
        port = vsock->next_host_port < FIRST_HOST_PORT ? FIRST_HOST_PORT : vsock->next_host_port;
        vsock->next_host_port = port == LAST_HOST_PORT ? FIRST_HOST_PORT : port + 1;
    } while (vsock_connection_find(vsock, guest_port, port));
    return port;
}

bool vsock_connection_request(struct virtio_vsock *vsock, struct vsock_stream *stream,
                              uint32_t guest_port)
{
    struct vsock_connection *connection =
        create(vsock, stream, guest_port, choose_host_port(vsock, guest_port));

    if (!connection)
        return false;
    connection->state = VSOCK_REQUESTED;
    connection->pending = VSOCK_OWES_REQUEST;
    vsock_connection_update(connection);
    return true;
}

/* ---- packets of the guest's ---- */

/* The guest took the host program's request. */
static void open_requested(struct vsock_connection *connection)
{
    if (vsock_unix_answer(connection->stream, connection->host_port)) {
        vsock_connection_abort(connection);
        return;
    }
    connection->state = VSOCK_OPEN;
    vsock_connection_update(connection);
}

static void reset_by_guest(struct vsock_connection *connection)
{
    bool finished = connection->state == VSOCK_OPEN &&
                    (connection->guest_shutdown & VIRTIO_VSOCK_SHUTDOWN_SEND);

    /* A guest does not wait for ever for a slow host program to take the last bytes; what it had
     * sent in good order arrives none the less. */
    if (finished && vsock_stream_buffered(connection->stream) > 0) {
        move_to(connection, &connection->vsock->orphans, VSOCK_ORPHAN);
        vsock_connection_update(connection);
        return;
    }
    vsock_connection_free(connection);
}

static void shut_down_by_guest(struct vsock_connection *connection, uint32_t flags)
{
    connection->guest_shutdown |= flags & VSOCK_SHUTDOWN_BOTH;
    if ((connection->guest_shutdown & VIRTIO_VSOCK_SHUTDOWN_RCV) && !connection->input_ended) {
        connection->input_ended = true;
        connection->told_shutdown |= VIRTIO_VSOCK_SHUTDOWN_SEND; /* it does not care */
        vsock_stream_shutdown(connection->stream, SHUT_RD);
    }
    vsock_connection_update(connection);
}

static void write_payload(struct vsock_connection *connection, const struct vsock_header *header,
                          const struct iovec *payload, unsigned count)
{
    struct virtio_vsock *vsock = connection->vsock;
    int ret = 0;

    if (connection->guest_shutdown & VIRTIO_VSOCK_SHUTDOWN_SEND)
        ret = -EPIPE;
    if (!ret)
        ret = vsock_stream_write(connection->stream, payload, count);
    if (ret) {
        log_limited(vsock->device.log, &vsock->device.log_limit, LOG_LEVEL_WARN,
                    vsock->device.ops->name,
                    "port %u to %u: %u bytes dropped, connection reset: %s", connection->guest_port,
                    connection->host_port, header->len,
                    ret == -EPIPE     ? "sent after the end"
                    : ret == -ENOBUFS ? "more than there was credit for"
                                      : error_text(-ret));
        vsock_connection_abort(connection);
        return;
    }
    atomic_fetch_add_explicit(&vsock->tx_bytes, header->len, memory_order_relaxed);
    vsock_connection_update(connection);
}

static void receive_open(struct vsock_connection *connection, const struct vsock_header *header,
                         const struct iovec *payload, unsigned count)
{
    switch (header->op) {
    case VIRTIO_VSOCK_OP_RW:
        write_payload(connection, header, payload, count);
        break;
    case VIRTIO_VSOCK_OP_SHUTDOWN:
        shut_down_by_guest(connection, header->flags);
        break;
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
        connection->pending |= VSOCK_OWES_CREDIT_UPDATE;
        vsock_connection_update(connection);
        break;
    case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
        vsock_connection_update(connection);
        break;
    default:
        vsock_connection_abort(connection); /* REQUEST and RESPONSE had their time */
        break;
    }
}

void vsock_connection_receive(struct vsock_connection *connection,
                              const struct vsock_header *header, const struct iovec *payload,
                              unsigned count)
{
    if (header->op == VIRTIO_VSOCK_OP_RST) {
        reset_by_guest(connection);
        return;
    }
    learn_credit(connection, header);
    if (connection->state == VSOCK_OPEN) {
        receive_open(connection, header, payload, count);
    } else if (connection->state == VSOCK_REQUESTED) {
        if (header->op == VIRTIO_VSOCK_OP_RESPONSE && !(connection->pending & VSOCK_OWES_REQUEST))
            open_requested(connection);
        else
            vsock_connection_abort(connection);
    }
    /* Otherwise a RST is on its way already. */
}

/* ---- packets for the guest ---- */

/* What is owed, most urgent first; 0 (no operation) when nothing is. */
static uint16_t take_debt(struct vsock_connection *connection)
{
    static const struct {
        unsigned debt;
        uint16_t op;
    } order[] = {
        {VSOCK_OWES_REQUEST, VIRTIO_VSOCK_OP_REQUEST},
        {VSOCK_OWES_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE},
        {VSOCK_OWES_RST, VIRTIO_VSOCK_OP_RST},
        {VSOCK_OWES_CREDIT_REQUEST, VIRTIO_VSOCK_OP_CREDIT_REQUEST},
        {VSOCK_OWES_CREDIT_UPDATE, VIRTIO_VSOCK_OP_CREDIT_UPDATE},
        {VSOCK_OWES_SHUTDOWN, VIRTIO_VSOCK_OP_SHUTDOWN},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
        if (connection->pending & order[i].debt) {
            connection->pending &= ~order[i].debt;
            return order[i].op;
        }
    }
    return VIRTIO_VSOCK_OP_INVALID;
}

/* Bytes read from the host into the chain, or -EAGAIN: then the connection has been seen to. */
static int read_payload(struct vsock_connection *connection, const struct virtq_chain *chain)
{
    struct virtio_vsock *vsock = connection->vsock;
    uint64_t room = min_u64(chain->writable_bytes - VSOCK_HEADER_BYTES,
                            min_u64(peer_credit(connection), VSOCK_PAYLOAD_MAX));
    int entries =
        iov_slice(chain->iov + chain->readable_count, chain->writable_count, VSOCK_HEADER_BYTES,
                  room, vsock->rx_payload, ARRAY_SIZE(vsock->rx_payload));
    ssize_t n = vsock_stream_read(connection->stream, vsock->rx_payload, (unsigned)entries);

    if (n > 0) {
        /* Less than there was room for: the rest, if any, is announced again. But behind the last
         * words of a program that has gone is the end. */
        connection->readable = (uint64_t)n == room || vsock_stream_is_deaf(connection->stream);
        connection->sent += (uint32_t)n;
        atomic_fetch_add_explicit(&vsock->rx_bytes, (uint64_t)n, memory_order_relaxed);
        return (int)n;
    }
    if (n < 0 && n != -EAGAIN) {
        vsock_connection_abort(connection);
        return -EAGAIN;
    }
    connection->readable = false;
    connection->input_ended = n == 0;
    vsock_connection_update(connection);
    return -EAGAIN;
}

int vsock_connection_fill(struct vsock_connection *connection, struct vsock_header *header,
                          const struct virtq_chain *chain)
{
    uint16_t op = take_debt(connection);
    int len = 0;

    set_queued(connection, false); /* to come back at the end of the list */
    if (op == VIRTIO_VSOCK_OP_INVALID) {
        len = read_payload(connection, chain);
        if (len < 0)
            return len;
        op = VIRTIO_VSOCK_OP_RW;
    }
    *header = (struct vsock_header){
        .src_cid = VSOCK_HOST_CID,
        .dst_cid = connection->vsock->guest_cid,
        .src_port = connection->host_port,
        .dst_port = connection->guest_port,
        .len = (uint32_t)len,
        .type = VIRTIO_VSOCK_TYPE_STREAM,
        .op = op,
    };
    if (op == VIRTIO_VSOCK_OP_RST) {
        vsock_connection_free(connection);
        return 0;
    }
    /* Every packet brings the guest up to date about our buffer (5.10.6.3). */
    header->buf_alloc = VSOCK_BUFFER_BYTES;
    header->fwd_cnt = connection->told_fwd_cnt = vsock_stream_delivered(connection->stream);
    if (op == VIRTIO_VSOCK_OP_SHUTDOWN) {
        if (connection->input_ended)
            header->flags |= VIRTIO_VSOCK_SHUTDOWN_SEND;
        if (vsock_stream_is_deaf(connection->stream))
            header->flags |= VIRTIO_VSOCK_SHUTDOWN_RCV;
        connection->told_shutdown = header->flags;
    }
    vsock_connection_update(connection);
    return 0;
}
