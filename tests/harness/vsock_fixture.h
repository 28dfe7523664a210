// SPDX-License-Identifier: Apache-2.0
/*
 * A virtio-vsock device with a driver that writes packets by hand, and host programs at its unix
 * sockets in a temporary directory. A failure of the surroundings aborts the test program.
 */
#ifndef HUSK_TESTS_HARNESS_VSOCK_FIXTURE_H
#define HUSK_TESTS_HARNESS_VSOCK_FIXTURE_H

#include "devices/virtio/vsock_internal.h"
#include "tests/harness/ring_driver.h"

#define VSOCK_FIXTURE_CID  52u
#define VSOCK_FIXTURE_RING 64u
#define VSOCK_RX           0
#define VSOCK_TX           1

struct vsock_fixture {
    struct virtio_surroundings s;
    struct virtio_device *device;
    struct ring_driver rings[3];
    uint16_t next_tx, next_rx;
    uint32_t rx_bytes; /* size of receive buffers */
    char directory[64];
    char path[80]; /* of the socket that host programs connect to */
};

/* A packet as one side sends it. vsock_packet() fills in a connection's usual values. */
struct vsock_packet {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port, len;
    uint16_t type, op;
    uint32_t flags, buf_alloc, fwd_cnt;
    uint32_t used_bytes; /* received: what the device says that it wrote */
    uint8_t data[65536];
};

void vsock_fixture_init(struct vsock_fixture *f);
void vsock_fixture_release(struct vsock_fixture *f);

/* A driver takes over, with `buffers` receive buffers. */
void vsock_fixture_start(struct vsock_fixture *f, unsigned buffers);
void vsock_fixture_add_buffers(struct vsock_fixture *f, unsigned count);

/* From the guest's port to the host's, with plenty of credit. */
struct vsock_packet *vsock_packet(uint16_t op, uint32_t guest_port, uint32_t host_port);

/* Put a packet into the transmit queue, its header and payload in one buffer, or without a kick. */
void vsock_fixture_put(struct vsock_fixture *f, const struct vsock_packet *packet);
void vsock_fixture_send(struct vsock_fixture *f, const struct vsock_packet *packet);
void vsock_fixture_send_op(struct vsock_fixture *f, uint16_t op, uint32_t guest_port,
                           uint32_t host_port);
void vsock_fixture_send_data(struct vsock_fixture *f, uint32_t guest_port, uint32_t host_port,
                             const void *data, uint32_t len);

/* The next packet for the guest; its buffer goes back to the device. False: there is none. */
bool vsock_fixture_receive(struct vsock_fixture *f, struct vsock_packet *out);

/* Host programs: their sockets are non-blocking. */
int vsock_fixture_listen(struct vsock_fixture *f, uint32_t port);
int vsock_fixture_connect(struct vsock_fixture *f);

#endif
