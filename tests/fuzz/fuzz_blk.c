// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-blk against a hostile driver. The input is a list of steps: requests that are cut into
 * descriptors in odd ways, bytes written over rings and headers, kicks, a disk that is slow or
 * fails, resets and pauses, another file, size or limits. The disk must keep its size, a read-only
 * one its content, and afterwards a well-behaved driver must find a working device.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "tests/harness/blk_fixture.h"
#include "tests/harness/fake_block.h"

#define MAX_STEPS   256u
#define DISK_BYTES  65536u
#define DEPTH       8u
#define WAIT_MS     0u /* for nothing: see live_step() */
#define READ_ONLY   1u
#define VERSION_1   (1ull << 32)
#define INDIRECT    0x300000u /* where indirect tables go */
#define RANDOM_AREA 0x400000u /* where data goes that nobody looks at */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t left;
};

static uint64_t take(struct input *in, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes && in->left > 0; i++, in->data++, in->left--)
        value |= (uint64_t)*in->data << (8 * i);
    return value;
}

/* A plain request, with a type, a sector and a length of the input's choice. */
static void post(struct blk_fixture *f, struct input *in)
{
    static const uint32_t types[] = {BLK_T_IN,     BLK_T_OUT,     BLK_T_FLUSH,
                                     BLK_T_GET_ID, BLK_T_DISCARD, BLK_T_WRITE_ZEROES};
    unsigned queue = (unsigned)take(in, 1) % FIXTURE_QUEUES;
    unsigned type = (unsigned)take(in, 1);
    uint64_t sector = take(in, 1) & 1 ? take(in, 8) : take(in, 1);
    uint32_t len = (uint32_t)take(in, 1) * 512;

    if (type % 8 < 6)
        type = types[type % 8];
    if (type == BLK_T_DISCARD || type == BLK_T_WRITE_ZEROES) {
        uint8_t *segment = blk_fixture_at(f, FIXTURE_DATA, BLK_SEGMENT_BYTES);

        put_le64(segment, sector);
        put_le32(segment + BLK_SEGMENT_COUNT, (uint32_t)take(in, 2));
        put_le32(segment + BLK_SEGMENT_FLAGS, (uint32_t)take(in, 1));
        len = BLK_SEGMENT_BYTES;
    }
    blk_fixture_post(f, queue, type, sector, FIXTURE_DATA, len);
}

/* Turn the chain of a slot into an indirect one whose table is what the input says. */
static void make_indirect(struct blk_fixture *f, struct input *in)
{
    unsigned queue = (unsigned)take(in, 1) % FIXTURE_QUEUES;
    unsigned slot = (unsigned)take(in, 1) % FIXTURE_SLOTS, count = 1 + (unsigned)take(in, 1) % 16;
    uint8_t *desc = blk_fixture_at(f, FIXTURE_RINGS(queue) + slot * 48, 16);

    put_le64(desc, INDIRECT);
    put_le32(desc + 8, count * 16);
    put_le16(desc + 12, 4);
    for (unsigned i = 0; i < count; i++) {
        uint8_t *entry = blk_fixture_at(f, INDIRECT + i * 16, 16);
        unsigned kind = (unsigned)take(in, 1);

        put_le64(entry, kind & 1   ? RANDOM_AREA + take(in, 2)
                        : kind & 8 ? take(in, 8)
                                   : FIXTURE_HEADERS(queue) + slot * 32);
        put_le32(entry + 8, (uint32_t)take(in, kind & 2 ? 1 : 2));
        put_le16(entry + 12, (uint16_t)((kind & 4 ? 2 : 0) | (i + 1 < count ? 1 : 0)));
        put_le16(entry + 14, (uint16_t)(i + 1));
    }
}

/* Bytes anywhere in the rings, the headers or the indirect table. */
static void scribble(struct blk_fixture *f, struct input *in)
{
    uint64_t area = take(in, 1) & 1 ? INDIRECT : FIXTURE_RINGS(take(in, 1) % FIXTURE_QUEUES);
    uint8_t *bytes = blk_fixture_at(f, area + take(in, 2) % 0xf000, 32);
    unsigned count = 1 + (unsigned)take(in, 1) % 32;

    for (unsigned i = 0; i < count; i++)
        bytes[i] = (uint8_t)take(in, 1);
}

static void disk_step(struct blk_fixture *f, struct input *in)
{
    static const int results[] = {0, 0, -EIO, -EOPNOTSUPP, -ENOSPC};
    unsigned what = (unsigned)take(in, 1);

    if (what & 1 && fake_block_held(f->backend))
        fake_block_finish(f->backend, what % fake_block_held(f->backend));
    else if (what & 2)
        fake_block_hold(f->backend, what & 4);
    else
        fake_block_fail(f->backend, results[what / 4 % 5]);
    event_loop_run_once(f->loop, 0);
}

/* A disk of the fuzzer's size, full of one byte. */
static struct block_backend *new_disk(void)
{
    struct block_backend *backend = fake_block_create(DISK_BYTES, DEPTH);
    uint8_t content[DISK_BYTES];

    memset(content, 0xa5, sizeof(content));
    if (pwrite(fake_block_fd(backend), content, sizeof(content), 0) != (ssize_t)sizeof(content))
        abort();
    return backend;
}

/* What the host changes while the driver does what it wants. */
static void live_step(struct blk_fixture *f, struct input *in)
{
    struct rate_limit limit = {.per_second = take(in, 1) << 10};
    unsigned what = (unsigned)take(in, 1);
    struct block_backend *backend;

    if (what & 1)
        virtio_blk_set_limits(f->device, what & 2 ? &limit : NULL, what & 4 ? &limit : NULL);
    if (what & 8)
        virtio_blk_resize(f->device, DISK_BYTES >> (what >> 6));
    /* With requests in flight it would wait for a thread that finishes them. */
    if (what & 16 && block_backend_in_flight(f->backend) == 0) {
        backend = new_disk();
        if (virtio_blk_replace(f->device, backend, DISK_BYTES, WAIT_MS))
            abort();
        f->backend = backend;
    }
}

static void step(struct blk_fixture *f, struct input *in)
{
    unsigned what;

    switch (take(in, 1) % 8) {
    case 0:
        blk_fixture_start_with(f, (take(in, 5) & f->device->offered) | VERSION_1,
                               (uint16_t)(1u << (unsigned)(take(in, 1) % 9)));
        break;
    case 1:
    case 2:
        post(f, in);
        break;
    case 3:
        make_indirect(f, in);
        break;
    case 4:
        scribble(f, in);
        break;
    case 5:
        blk_fixture_kick(f, (unsigned)take(in, 1) % (FIXTURE_QUEUES + 1));
        break;
    case 6:
        disk_step(f, in);
        break;
    default:
        what = (unsigned)take(in, 1);
        if (what & 2)
            live_step(f, in);
        else if (what & 1)
            virtio_device_pause(f->device);
        else
            virtio_device_resume(f->device);
        break;
    }
}

static void check_disk(struct blk_fixture *f, bool read_only)
{
    static uint8_t content[DISK_BYTES];
    int fd = fake_block_fd(f->backend);
    struct stat st;

    if (fstat(fd, &st) || st.st_size != (off_t)DISK_BYTES)
        abort();
    if (!read_only)
        return;
    if (pread(fd, content, DISK_BYTES, 0) != (ssize_t)DISK_BYTES)
        abort();
    for (unsigned i = 0; i < DISK_BYTES; i++) {
        if (content[i] != 0xa5)
            abort();
    }
}

/* What a later driver needs: every sector of the disk. */
static void check_works(struct blk_fixture *f)
{
    const struct rate_limit unlimited = {0};
    uint32_t len;

    virtio_device_resume(f->device);
    fake_block_hold(f->backend, false);
    fake_block_fail(f->backend, 0);
    virtio_blk_set_limits(f->device, &unlimited, &unlimited);
    virtio_blk_resize(f->device, DISK_BYTES);
    blk_fixture_start(f, 0);
    for (unsigned i = 0; i < 4; i++)
        blk_fixture_post(f, 1, BLK_T_IN, i * 32, FIXTURE_DATA, 16384);
    blk_fixture_kick(f, 1);
    for (unsigned i = 0; blk_fixture_used_count(f, 1) < 4; i++) {
        if (i > 100)
            abort();
        event_loop_run_once(f->loop, 100);
    }
    for (unsigned i = 0; i < 4; i++) {
        blk_fixture_used_entry(f, 1, i, &len);
        if (len != 16385 || blk_fixture_status(f, 1, i) != BLK_S_OK)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct virtio_blk_config config = blk_fixture_config();
    struct input in = {data, size};
    struct blk_fixture f;

    blk_fixture_init(&f);
    config.size_bytes = DISK_BYTES;
    config.read_only = take(&in, 1) & READ_ONLY;
    blk_fixture_create(&f, new_disk(), config);
    blk_fixture_start_with(&f, (take(&in, 5) & f.device->offered) | VERSION_1, 256);
    for (unsigned i = 0; i < MAX_STEPS && in.left > 0; i++)
        step(&f, &in);
    check_works(&f);
    check_disk(&f, config.read_only);
    blk_fixture_release(&f);
    return 0;
}
