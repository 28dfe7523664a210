// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-vsock between its own files: vsock.c (device, queues) and vsock_connection.c (one
 * connection: its states, its credit, its next packet).
 *
 *     guest ── tx queue ──▶ vsock.c ── vsock_connection_receive() ──▶ stream ──▶ host program
 *     guest ◀── rx queue ── vsock.c ◀── vsock_connection_fill() ◀──── stream ◀── host program
 *
 * Nothing waits in queues of unknown length: a connection owes at most one packet of each kind
 * (`pending`), payload is read from the host when there is a receive buffer and credit for it, and
 * answers to packets of no connection wait in a short ring; when that is full, the transmit queue
 * is not read until the driver has taken some (5.10.6.1 allows both sides to).
 *
 * Threads: everything is guarded by the device's lock. Connections are made and freed on the I/O
 * thread; a reset, which comes on a vCPU's, only marks them (VSOCK_DOOMED).
 */
#ifndef HUSK_DEVICES_VIRTIO_VSOCK_INTERNAL_H
#define HUSK_DEVICES_VIRTIO_VSOCK_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

/* Its struct virtio_vsock_config is the device's configuration space, ours what it is made of. */
#define virtio_vsock_config virtio_vsock_config_space
#include <linux/virtio_vsock.h>
#undef virtio_vsock_config

#include "devices/backend/vsock_unix.h"
#include "devices/virtio/devices.h"
#include "devices/virtio/virtio.h"

#define VSOCK_HOST_CID        2u
#define VSOCK_HEADER_BYTES    44u
#define VSOCK_BUFFER_BYTES    VSOCK_STREAM_BUFFER_BYTES /* our buf_alloc */
#define VSOCK_PAYLOAD_MAX     65536u                    /* of one packet to the guest */
#define VSOCK_CONNECTIONS_MAX 1024u
#define VSOCK_BUCKETS         256u
#define VSOCK_REPLIES_MAX     64u
#define VSOCK_SHUTDOWN_BOTH   (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

/* struct virtio_vsock_hdr (5.10.6) in host byte order: copied out of guest memory once. */
struct vsock_header {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port;
    uint32_t len; /* bytes of payload behind the header */
    uint16_t type, op;
    uint32_t flags;
    uint32_t buf_alloc, fwd_cnt;
};

enum vsock_state {
    VSOCK_REQUESTED, /* a host program waits for the guest's answer */
    VSOCK_OPEN,
    VSOCK_REFUSED, /* no stream any more; one RST is owed to the guest */
    VSOCK_ORPHAN,  /* the guest has finished; the host program still takes what it sent */
    VSOCK_DOOMED,  /* the device was reset: to be freed by the I/O thread */
};

/* What a connection owes the guest besides payload. */
enum vsock_pending {
    VSOCK_OWES_REQUEST = 1 << 0,
    VSOCK_OWES_RESPONSE = 1 << 1,
    VSOCK_OWES_RST = 1 << 2,
    VSOCK_OWES_CREDIT_REQUEST = 1 << 3,
    VSOCK_OWES_CREDIT_UPDATE = 1 << 4,
    VSOCK_OWES_SHUTDOWN = 1 << 5,
};

struct virtio_vsock;

struct vsock_connection {
    LIST_ENTRY(vsock_connection) in_bucket; /* or in `orphans` or `doomed` */
    TAILQ_ENTRY(vsock_connection) in_ready; /* while `queued` */
    struct virtio_vsock *vsock;
    struct vsock_stream *stream; /* NULL when REFUSED */
    enum vsock_state state;
    uint32_t guest_port, host_port;
    unsigned pending; /* enum vsock_pending */
    bool queued;      /* has a packet for the guest, as far as is known */
    bool readable;    /* the stream was ready for reading when last seen */
    bool input_ended; /* the host sends nothing more, or the guest wants nothing more */
    bool output_shut; /* SHUT_WR was passed on to the host program */
    bool credit_asked;
    unsigned guest_shutdown; /* VIRTIO_VSOCK_SHUTDOWN_*: what the guest does no more */
    unsigned told_shutdown;  /* what we said that the host does no more */

    /* 5.10.6.3, all modulo 2^32. To the guest: payload sent, and what the guest last said of its
     * buffer. From the guest: the fwd_cnt that it last heard of us. */
    uint32_t sent, peer_buf_alloc, peer_fwd_cnt;
    uint32_t told_fwd_cnt;
};

LIST_HEAD(vsock_bucket, vsock_connection);

/* The answer to a packet that belongs to no connection: a RST with these fields. */
struct vsock_reply {
    uint64_t src_cid;
    uint32_t src_port, dst_port;
    uint16_t type;
};

struct virtio_vsock {
    struct virtio_device device; /* first */
    struct vsock_unix *backend;
    struct event_timer *again; /* there is more to do than one turn does, or connections to free */
    uint32_t guest_cid;
    uint32_t next_host_port;

    struct vsock_bucket buckets[VSOCK_BUCKETS];
    struct vsock_bucket orphans, doomed;
    unsigned connection_count; /* all of them, orphans and doomed ones included */
    TAILQ_HEAD(vsock_ready, vsock_connection) ready; /* those with packets for the guest, in turn */

    struct vsock_reply replies[VSOCK_REPLIES_MAX];
    unsigned reply_first, reply_count;
    bool tx_stalled; /* the transmit queue waits for room in `replies` */

    _Atomic uint64_t tx_bytes, rx_bytes;
    _Atomic uint32_t open_connections;

    /* Scratch of the I/O thread. */
    struct virtq_chain tx_chain, rx_chain;
    struct iovec tx_payload[VIRTQUEUE_MAX_SIZE], rx_payload[VIRTQUEUE_MAX_SIZE];
};

/* ---- vsock_connection.c ---- */

struct vsock_connection *vsock_connection_find(struct virtio_vsock *vsock, uint32_t guest_port,
                                               uint32_t host_port);

/* The guest asks for a port of the host: a new connection, or false when it is to be refused. */
bool vsock_connection_accept(struct virtio_vsock *vsock, const struct vsock_header *header);

/* A host program asks for a port of the guest. The stream becomes the connection's; false when
 * there is no room. */
bool vsock_connection_request(struct virtio_vsock *vsock, struct vsock_stream *stream,
                              uint32_t guest_port);

/* A packet of the guest's for this connection, which may be freed by it. */
void vsock_connection_receive(struct vsock_connection *connection,
                              const struct vsock_header *header, const struct iovec *payload,
                              unsigned count);

/*
 * The next packet for the guest: its header in *header, header->len bytes of payload in the chain's
 * writable part behind the room for a header. 0, or -EAGAIN when there is none after all. In either
 * case the connection has moved to the end of the ready list, left it, or been freed.
 */
int vsock_connection_fill(struct vsock_connection *connection, struct vsock_header *header,
                          const struct virtq_chain *chain);

/* Tell the host program that it is over, and the guest by a RST. */
void vsock_connection_abort(struct vsock_connection *connection);

/* Decide anew what to wait for, after a pause for instance. May free the connection. */
void vsock_connection_update(struct vsock_connection *connection);

/* Stop listening to it and leave it to the I/O thread to free. Any thread. */
void vsock_connection_doom(struct vsock_connection *connection);
void vsock_connection_free(struct vsock_connection *connection);

/* The stream has become ready. */
void vsock_connection_ready(struct vsock_connection *connection, uint32_t events);

/* ---- vsock.c ---- */

/* Owner's function of every connection's stream: takes the lock. I/O thread. */
void vsock_stream_ready(void *connection, uint32_t events);

#endif
