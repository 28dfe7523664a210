// SPDX-License-Identifier: Apache-2.0
/* See vsock_fixture.h. */
#include "tests/harness/vsock_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/io.h"
#include "devices/backend/vsock_listen.h"

#define RX_BUFFERS 0x100000u
#define TX_BUFFERS 0x200000u
#define RX_STEP    0x2000u
#define TX_STEP    0x11000u
#define TX_SLOTS   16u

static void need(bool condition, const char *what)
{
    if (!condition) {
        perror(what);
        abort();
    }
}

void vsock_fixture_init(struct vsock_fixture *f)
{
    struct virtio_vsock_config config = {.guest_cid = VSOCK_FIXTURE_CID};
    uint64_t device, inode;

    memset(f, 0, sizeof(*f));
    f->rx_bytes = 4096;
    surroundings_init(&f->s, NULL);
    strcpy(f->directory, "/tmp/husk-vsock-XXXXXX");
    need(mkdtemp(f->directory) != NULL, "mkdtemp");
    snprintf(f->path, sizeof(f->path), "%s/v", f->directory);
    config.listen_fd = vsock_listen(f->path, &device, &inode, NULL);
    config.connect_prefix = f->path;
    need(config.listen_fd >= 0, "vsock_listen");
    need(virtio_vsock_create(&f->s.env, &config, &f->device) == 0, "virtio_vsock_create");
    surroundings_connect(&f->s, f->device);
}

void vsock_fixture_release(struct vsock_fixture *f)
{
    struct dirent *entry;
    DIR *directory;

    virtio_device_destroy(f->device);
    surroundings_release(&f->s);
    directory = opendir(f->directory);
    need(directory != NULL, "opendir");
    while ((entry = readdir(directory)))
        unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
    need(rmdir(f->directory) == 0, "rmdir");
}

void vsock_fixture_start(struct vsock_fixture *f, unsigned buffers)
{
    driver_start(f->device, 0, f->rings, 3, VSOCK_FIXTURE_RING);
    f->next_rx = f->next_tx = 0;
    vsock_fixture_add_buffers(f, buffers);
    surroundings_settle(&f->s);
}

void vsock_fixture_add_buffers(struct vsock_fixture *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint16_t slot = f->next_rx++ % VSOCK_FIXTURE_RING;

        ring_add(&f->rings[VSOCK_RX], slot, RX_BUFFERS + slot * RX_STEP, f->rx_bytes,
                 VRING_DESC_F_WRITE);
    }
    virtio_device_kick(f->device, VSOCK_RX);
}

struct vsock_packet *vsock_packet(uint16_t op, uint32_t guest_port, uint32_t host_port)
{
    static struct vsock_packet packet;

    memset(&packet, 0, offsetof(struct vsock_packet, data));
    packet.src_cid = VSOCK_FIXTURE_CID;
    packet.dst_cid = VSOCK_HOST_CID;
    packet.src_port = guest_port;
    packet.dst_port = host_port;
    packet.type = VIRTIO_VSOCK_TYPE_STREAM;
    packet.op = op;
    packet.buf_alloc = 1u << 30;
    return &packet;
}

void vsock_fixture_put(struct vsock_fixture *f, const struct vsock_packet *packet)
{
    uint16_t slot = f->next_tx++ % TX_SLOTS;
    uint64_t address = TX_BUFFERS + slot * TX_STEP;
    uint8_t *at = guest_bytes(f->s.memory, address, TX_STEP);

    put_le64(at, packet->src_cid);
    put_le64(at + 8, packet->dst_cid);
    put_le32(at + 16, packet->src_port);
    put_le32(at + 20, packet->dst_port);
    put_le32(at + 24, packet->len);
    put_le16(at + 28, packet->type);
    put_le16(at + 30, packet->op);
    put_le32(at + 32, packet->flags);
    put_le32(at + 36, packet->buf_alloc);
    put_le32(at + 40, packet->fwd_cnt);
    memcpy(at + VSOCK_HEADER_BYTES, packet->data, packet->len);
    ring_add(&f->rings[VSOCK_TX], slot, address, VSOCK_HEADER_BYTES + packet->len, 0);
}

void vsock_fixture_send(struct vsock_fixture *f, const struct vsock_packet *packet)
{
    vsock_fixture_put(f, packet);
    virtio_device_kick(f->device, VSOCK_TX);
    surroundings_settle(&f->s);
}

void vsock_fixture_send_op(struct vsock_fixture *f, uint16_t op, uint32_t guest_port,
                           uint32_t host_port)
{
    vsock_fixture_send(f, vsock_packet(op, guest_port, host_port));
}

void vsock_fixture_send_data(struct vsock_fixture *f, uint32_t guest_port, uint32_t host_port,
                             const void *data, uint32_t len)
{
    struct vsock_packet *packet = vsock_packet(VIRTIO_VSOCK_OP_RW, guest_port, host_port);

    packet->len = len;
    memcpy(packet->data, data, len);
    vsock_fixture_send(f, packet);
}

bool vsock_fixture_receive(struct vsock_fixture *f, struct vsock_packet *out)
{
    const uint8_t *at;
    uint32_t slot, len;

    surroundings_settle(&f->s);
    if (!ring_used(&f->rings[VSOCK_RX], &slot, &len))
        return false;
    at = guest_bytes(f->s.memory, RX_BUFFERS + slot * RX_STEP, RX_STEP);
    *out = (struct vsock_packet){
        .src_cid = get_le64(at),
        .dst_cid = get_le64(at + 8),
        .src_port = get_le32(at + 16),
        .dst_port = get_le32(at + 20),
        .len = get_le32(at + 24),
        .type = get_le16(at + 28),
        .op = get_le16(at + 30),
        .flags = get_le32(at + 32),
        .buf_alloc = get_le32(at + 36),
        .fwd_cnt = get_le32(at + 40),
        .used_bytes = len,
    };
    if (out->len <= RX_STEP - VSOCK_HEADER_BYTES)
        memcpy(out->data, at + VSOCK_HEADER_BYTES, out->len);
    vsock_fixture_add_buffers(f, 1);
    return true;
}

static int new_socket(const char *path, struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    need(fd >= 0, "socket");
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
    return fd;
}

int vsock_fixture_listen(struct vsock_fixture *f, uint32_t port)
{
    struct sockaddr_un address;
    char path[100];
    int fd;

    snprintf(path, sizeof(path), "%s_%u", f->path, port);
    fd = new_socket(path, &address);
    need(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
    need(listen(fd, 4096) == 0, "listen");
    return fd;
}

int vsock_fixture_connect(struct vsock_fixture *f)
{
    struct sockaddr_un address;
    int fd = new_socket(f->path, &address);

    need(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "connect");
    return fd;
}
