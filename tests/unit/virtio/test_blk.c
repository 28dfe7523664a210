// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/event_loop.h"
#include "base/io.h"
#include "devices/virtio/blk_internal.h"
#include "devices/virtio/devices.h"
#include "tests/harness/fake_block.h"

#define DISK_BYTES   (1024u * 1024)
#define MEMORY_BYTES (16u * 1024 * 1024)
#define QUEUES       2u
#define SLOTS        80u /* requests per queue, of three descriptors each */

/* Where the driver keeps things, per queue. */
#define RINGS(queue)   (0x10000u * ((queue) + 1))
#define HEADERS(queue) (RINGS(queue) + 0x8000u)
#define DATA           0x100000u

struct fixture {
    struct event_loop *loop;
    struct guest_memory *memory;
    struct block_backend *backend; /* the device's */
    struct virtio_device *device;
    unsigned interrupts[QUEUES];
    unsigned config_interrupts;
    uint16_t posted[QUEUES]; /* requests so far; number n is in slot n % SLOTS */
};

static void interrupt_queue(void *transport, unsigned queue)
{
    ((struct fixture *)transport)->interrupts[queue]++;
}

static void interrupt_config(void *transport)
{
    ((struct fixture *)transport)->config_interrupts++;
}

static int take_kick(void *transport, unsigned queue, bool taken)
{
    return -EOPNOTSUPP;
}

static const struct virtio_transport_ops transport_ops = {
    .interrupt_queue = interrupt_queue,
    .interrupt_config = interrupt_config,
    .take_kick = take_kick,
};

static uint8_t *at(struct fixture *f, uint64_t address, uint64_t len)
{
    uint8_t *p = guest_memory_at(f->memory, gpa(address), len);

    assert_non_null(p);
    return p;
}

static int setup(void **state)
{
    const struct guest_region_spec region = {gpa(0), MEMORY_BYTES};
    struct fixture *f = calloc(1, sizeof(*f));

    *state = f;
    return event_loop_create(&f->loop) ||
           guest_memory_create(&region, 1, GUEST_MEMORY_PRIVATE, &f->memory, NULL);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    virtio_device_destroy(f->device);
    event_loop_destroy(f->loop);
    guest_memory_destroy(f->memory);
    free(f);
    return 0;
}

static struct virtio_blk_config default_config(void)
{
    return (struct virtio_blk_config){
        .size_bytes = DISK_BYTES, .can_discard = true, .queues = QUEUES, .serial = "disk-0"};
}

static void create_with(struct fixture *f, struct block_backend *backend,
                        struct virtio_blk_config config)
{
    const struct device_env env = {.memory = f->memory, .loop = f->loop};

    f->backend = backend;
    config.backend = backend;
    assert_int_equal(virtio_blk_create(&env, &config, &f->device), 0);
    virtio_device_set_transport(f->device, &transport_ops, f);
}

/* ---- the driver ---- */

static void set_ring(struct fixture *f, unsigned queue, enum virtio_ring_part part,
                     uint32_t address)
{
    virtio_device_set_ring(f->device, queue, part, false, address);
    virtio_device_set_ring(f->device, queue, part, true, 0);
}

/* Reset, negotiate everything that is offered but `without`, start. */
static void start_driver(struct fixture *f, uint64_t without)
{
    uint64_t accepted;

    virtio_device_set_status(f->device, 0);
    virtio_device_set_status(f->device, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    virtio_device_set_status(f->device, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    without |= 1ull << 29; /* RING_EVENT_IDX: an interrupt for each batch is easier to count */
    accepted = (virtio_device_offered(f->device, 0) | (uint64_t)virtio_device_offered(f->device, 1)
                                                          << 32) &
               ~without;
    virtio_device_accept(f->device, 0, (uint32_t)accepted);
    virtio_device_accept(f->device, 1, (uint32_t)(accepted >> 32));
    virtio_device_set_status(f->device, 11); /* and FEATURES_OK */
    for (unsigned i = 0; i < f->device->queue_count; i++) {
        memset(at(f, RINGS(i), 0x8000), 0, 0x8000);
        f->posted[i] = 0;
        virtio_device_set_queue_size(f->device, i, 256);
        set_ring(f, i, VIRTIO_RING_DESC, RINGS(i));
        set_ring(f, i, VIRTIO_RING_AVAIL, RINGS(i) + 0x1000);
        set_ring(f, i, VIRTIO_RING_USED, RINGS(i) + 0x2000);
        virtio_device_set_queue_ready(f->device, i, true);
    }
    virtio_device_set_status(f->device, 15); /* and DRIVER_OK */
    assert_int_equal(virtio_device_status(f->device), 15);
}

static void put_descriptor(struct fixture *f, unsigned queue, unsigned index, uint64_t address,
                           uint32_t len, bool writable, bool last)
{
    uint8_t *desc = at(f, RINGS(queue) + index * 16, 16);

    put_le64(desc, address);
    put_le32(desc + 8, len);
    put_le16(desc + 12, (uint16_t)((last ? 0 : 1) | (writable ? 2 : 0)));
    put_le16(desc + 14, (uint16_t)(index + 1));
}

/* Make a request available: header, data (if any), status. Returns its number. */
static unsigned post(struct fixture *f, unsigned queue, uint32_t type, uint64_t sector,
                     uint32_t data, uint32_t len)
{
    unsigned number = f->posted[queue]++, slot = number % SLOTS, first = slot * 3, next = first;
    uint8_t *header = at(f, HEADERS(queue) + slot * 32, 32);
    uint8_t *avail = at(f, RINGS(queue) + 0x1000, 4 + 256 * 2);
    bool to_guest = type == BLK_T_IN || type == BLK_T_GET_ID;

    put_le32(header, type);
    put_le64(header + 8, sector);
    header[16] = 0xee;
    put_descriptor(f, queue, next++, HEADERS(queue) + slot * 32, 16, false, false);
    if (len)
        put_descriptor(f, queue, next++, data, len, to_guest, false);
    put_descriptor(f, queue, next, HEADERS(queue) + slot * 32 + 16, 1, true, true);
    put_le16(avail + 4 + (number % 256) * 2, (uint16_t)first);
    put_le16(avail + 2, (uint16_t)(number + 1));
    return number;
}

static uint8_t status_of(struct fixture *f, unsigned queue, unsigned number)
{
    return at(f, HEADERS(queue) + number % SLOTS * 32, 32)[16];
}

static unsigned used_count(struct fixture *f, unsigned queue)
{
    return get_le16(at(f, RINGS(queue) + 0x2002, 2));
}

/* The number of the request that used entry `index` returns; *len as reported. */
static unsigned used_entry(struct fixture *f, unsigned queue, unsigned index, uint32_t *len)
{
    const uint8_t *entry = at(f, RINGS(queue) + 0x2004 + index % 256 * 8, 8);

    *len = get_le32(entry + 4);
    return get_le32(entry) / 3;
}

static void kick(struct fixture *f, unsigned queue)
{
    virtio_device_kick(f->device, queue);
}

/* One round of the loop that does something. (Waiting may be interrupted by a ring's upkeep.) */
static void run_loop(struct fixture *f)
{
    uint64_t give_up_ns = monotonic_ns() + 10000000000ull;
    int called = 0;

    while (called == 0 && monotonic_ns() < give_up_ns)
        called = event_loop_run_once(f->loop, 1000);
    assert_true(called > 0);
}

static void run_until_used(struct fixture *f, unsigned queue, unsigned count)
{
    while (used_count(f, queue) < count)
        run_loop(f);
}

/* One request from kick to answer. */
static uint8_t request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len,
                       uint32_t *used_len)
{
    unsigned number = post(f, 0, type, sector, DATA, len);
    uint32_t written;

    kick(f, 0);
    run_until_used(f, 0, number + 1);
    assert_int_equal(used_entry(f, 0, number, &written), number % SLOTS);
    if (used_len)
        *used_len = written;
    return status_of(f, 0, number);
}

static void create(struct fixture *f)
{
    create_with(f, fake_block_create(DISK_BYTES, 16), default_config());
    start_driver(f, 0);
}

/* ---- tests ---- */

static uint32_t config32(struct fixture *f, uint32_t offset)
{
    uint8_t bytes[4];

    virtio_device_config_read(f->device, offset, bytes, 4);
    return get_le32(bytes);
}

static void test_identity(void **state)
{
    struct fixture *f = *state;
    const uint32_t writable = 1u << BLK_F_FLUSH | 1u << BLK_F_DISCARD | 1u << BLK_F_WRITE_ZEROES;
    struct virtio_blk_config config = default_config();

    create_with(f, fake_block_create(DISK_BYTES, 16), config);
    assert_int_equal(f->device->id, 2);
    assert_int_equal(f->device->queue_count, QUEUES);
    assert_int_equal(virtio_device_offered(f->device, 0) & 0xffff,
                     writable | 1u << BLK_F_SEG_MAX | 1u << BLK_F_BLK_SIZE | 1u << BLK_F_MQ);
    assert_int_equal(config32(f, BLK_CONFIG_CAPACITY), DISK_BYTES / 512);
    assert_int_equal(config32(f, BLK_CONFIG_CAPACITY + 4), 0);
    assert_int_equal(config32(f, BLK_CONFIG_SEG_MAX), 254);
    assert_int_equal(config32(f, BLK_CONFIG_BLK_SIZE), 512);
    assert_int_equal(config32(f, 32) >> 16, QUEUES);
    assert_int_equal(config32(f, BLK_CONFIG_MAX_DISCARD_SEG), 1);
    assert_int_equal(config32(f, BLK_CONFIG_MAX_ZERO_SECTORS), BLK_MAX_ZERO_SECTORS);
    virtio_device_destroy(f->device);

    config.read_only = true;
    config.queues = 1;
    config.size_bytes = 1000; /* a sector and a part of one */
    create_with(f, fake_block_create(1000, 16), config);
    assert_int_equal(virtio_device_offered(f->device, 0) & 0xffff,
                     1u << BLK_F_SEG_MAX | 1u << BLK_F_BLK_SIZE | 1u << BLK_F_RO);
    assert_int_equal(config32(f, BLK_CONFIG_CAPACITY), 1);
    assert_int_equal(config32(f, BLK_CONFIG_MAX_DISCARD_SECTORS), 0);
    assert_int_equal(config32(f, BLK_CONFIG_MAX_ZERO_SECTORS), 0);
}

static void test_bad_configuration(void **state)
{
    struct fixture *f = *state;
    const struct device_env env = {.memory = f->memory, .loop = f->loop};
    struct virtio_blk_config config = default_config();

    config.backend = fake_block_create(DISK_BYTES, 16);
    config.queues = 0;
    assert_int_equal(virtio_blk_create(&env, &config, &f->device), -EINVAL);
    config.queues = 17;
    assert_int_equal(virtio_blk_create(&env, &config, &f->device), -EINVAL);
    config.queues = 1;
    config.size_bytes = 511;
    assert_int_equal(virtio_blk_create(&env, &config, &f->device), -EINVAL);
    block_backend_destroy(config.backend); /* still ours */
}

static void write_then_read(struct fixture *f)
{
    uint8_t *data = at(f, DATA, 8192);
    uint8_t pattern[8192];
    uint32_t len;

    for (unsigned i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i * 13 + i / 256);
    memcpy(data, pattern, sizeof(pattern));
    assert_int_equal(request(f, BLK_T_OUT, 24, 8192, &len), BLK_S_OK);
    assert_int_equal(len, 1);
    memset(data, 0, sizeof(pattern));
    assert_int_equal(request(f, BLK_T_FLUSH, 0, 0, &len), BLK_S_OK);
    assert_int_equal(len, 1);
    assert_int_equal(request(f, BLK_T_IN, 24, 8192, &len), BLK_S_OK);
    assert_int_equal(len, 8193);
    assert_memory_equal(data, pattern, sizeof(pattern));
    assert_int_equal(request(f, BLK_T_IN, 23, 1024, &len), BLK_S_OK);
    assert_int_equal(data[511], 0);
    assert_memory_equal(data + 512, pattern, 512);
}

static void test_write_flush_read(void **state)
{
    struct fixture *f = *state;
    uint8_t sector[512];

    create(f);
    write_then_read(f);
    assert_int_equal(pread(fake_block_fd(f->backend), sector, 512, 24 * 512), 512);
    assert_int_equal(sector[1], 13);
    assert_int_equal(f->interrupts[0], 4);
    assert_int_equal(f->interrupts[1], 0);
}

static void serve_from_engine(void **state, enum block_engine engine)
{
    struct fixture *f = *state;
    char path[] = "/tmp/husk-blk-XXXXXX";
    int fd = mkstemp(path);
    struct block_backend *backend;
    struct husk_error err;

    unlink(path);
    assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
    if (block_backend_create(fd, engine, BLOCK_DEFAULT_DEPTH, &backend, &err)) {
        close(fd);
        print_message("skipped: %s\n", err.why);
        skip();
    }
    create_with(f, backend, default_config());
    start_driver(f, 0);
    write_then_read(f);

    /* a full ring, and requests of all kinds in flight at once */
    for (unsigned i = 0; i < SLOTS - 4; i++)
        post(f, 0, i % 3 ? BLK_T_IN : BLK_T_OUT, i * 8, DATA + i * 4096, 4096);
    kick(f, 0);
    run_until_used(f, 0, SLOTS);
    for (unsigned i = 4; i < SLOTS; i++)
        assert_int_equal(status_of(f, 0, i), BLK_S_OK);
}

static void test_on_threads(void **state)
{
    serve_from_engine(state, BLOCK_ENGINE_THREADS);
}

static void test_on_uring(void **state)
{
    serve_from_engine(state, BLOCK_ENGINE_URING);
}

static void test_other_requests(void **state)
{
    struct fixture *f = *state;
    static const char id[20] = "disk-0";
    uint8_t *data = at(f, DATA, 4096), sectors[1536];
    uint32_t len;

    create(f);
    memset(data, 0xff, 4096);
    assert_int_equal(request(f, BLK_T_GET_ID, 0, 20, &len), BLK_S_OK);
    assert_int_equal(len, 21);
    assert_memory_equal(data, id, 20);

    memset(sectors, 0xff, sizeof(sectors));
    assert_int_equal(pwrite(fake_block_fd(f->backend), sectors, sizeof(sectors), 0),
                     sizeof(sectors));
    put_le64(data, 1);
    put_le32(data + 8, 1);
    put_le32(data + 12, BLK_SEGMENT_F_UNMAP);
    assert_int_equal(request(f, BLK_T_WRITE_ZEROES, 0, 16, &len), BLK_S_OK);
    assert_int_equal(len, 1);
    assert_int_equal(pread(fake_block_fd(f->backend), sectors, sizeof(sectors), 0),
                     sizeof(sectors));
    assert_int_equal(sectors[511], 0xff);
    assert_int_equal(sectors[512], 0);
    assert_int_equal(sectors[1023], 0);
    assert_int_equal(sectors[1024], 0xff);
    put_le32(data + 12, 0);
    assert_int_equal(request(f, BLK_T_DISCARD, 0, 16, &len), BLK_S_OK);
    assert_int_equal(request(f, 77, 0, 512, &len), BLK_S_UNSUPP);
    assert_int_equal(len, 1);
    assert_int_equal(request(f, BLK_T_OUT, DISK_BYTES / 512, 512, &len), BLK_S_IOERR);
    assert_int_equal(len, 1);

    /* what was not negotiated is not served */
    start_driver(f, 1u << BLK_F_DISCARD | 1u << BLK_F_WRITE_ZEROES);
    assert_int_equal(request(f, BLK_T_DISCARD, 0, 16, NULL), BLK_S_UNSUPP);
    assert_int_equal(request(f, BLK_T_WRITE_ZEROES, 0, 16, NULL), BLK_S_UNSUPP);
}

static void test_backend_errors(void **state)
{
    struct fixture *f = *state;
    uint32_t len;

    create(f);
    fake_block_fail(f->backend, -ENOSPC);
    assert_int_equal(request(f, BLK_T_OUT, 0, 512, &len), BLK_S_IOERR);
    assert_int_equal(request(f, BLK_T_IN, 0, 512, &len), BLK_S_IOERR);
    assert_int_equal(len, 1);
    assert_int_equal(request(f, BLK_T_FLUSH, 0, 0, &len), BLK_S_IOERR);
    fake_block_fail(f->backend, -EOPNOTSUPP);
    put_le64(at(f, DATA, 16), 0);
    put_le64(at(f, DATA + 8, 8), 1);
    assert_int_equal(request(f, BLK_T_DISCARD, 0, 16, &len), BLK_S_UNSUPP);
    fake_block_fail(f->backend, 0);
    assert_int_equal(request(f, BLK_T_IN, 0, 512, &len), BLK_S_OK);
}

static void test_request_without_a_place_for_the_answer(void **state)
{
    struct fixture *f = *state;

    create(f);
    post(f, 0, BLK_T_OUT, 0, DATA, 512);
    put_descriptor(f, 0, 1, DATA, 512, false, true); /* ends here */
    kick(f, 0);
    assert_true(virtio_device_status(f->device) & VIRTIO_CONFIG_S_NEEDS_RESET);
    assert_int_equal(f->config_interrupts, 1);
    assert_int_equal(used_count(f, 0), 0);
    post(f, 0, BLK_T_IN, 0, DATA, 512);
    kick(f, 0);
    assert_int_equal(used_count(f, 0), 0);

    start_driver(f, 0); /* a reset repairs it */
    assert_int_equal(request(f, BLK_T_IN, 0, 512, NULL), BLK_S_OK);
}

/* A failure while others are in flight: they end without an answer. */
static void test_failure_with_requests_in_flight(void **state)
{
    struct fixture *f = *state;
    unsigned good;

    create(f);
    fake_block_hold(f->backend, true);
    good = post(f, 0, BLK_T_IN, 0, DATA, 512);
    post(f, 0, BLK_T_IN, 0, DATA, 512);
    put_descriptor(f, 0, 3, HEADERS(0), 8, false, false); /* half a header */
    kick(f, 0);
    assert_true(virtio_device_status(f->device) & VIRTIO_CONFIG_S_NEEDS_RESET);
    if (fake_block_held(f->backend))
        fake_block_finish(f->backend, 0);
    event_loop_run_once(f->loop, 0);
    assert_int_equal(used_count(f, 0), 0);
    assert_int_equal(status_of(f, 0, good), 0xee);
    start_driver(f, 0);
    fake_block_hold(f->backend, false);
    assert_int_equal(request(f, BLK_T_IN, 0, 512, NULL), BLK_S_OK);
}

static void test_slow_disk_does_not_block_the_kick(void **state)
{
    struct fixture *f = *state;
    uint32_t len;

    create(f);
    fake_block_hold(f->backend, true);
    for (unsigned i = 0; i < 3; i++)
        post(f, 0, BLK_T_IN, i, DATA + i * 512, 512);
    kick(f, 0); /* returns */
    assert_int_equal(fake_block_held(f->backend), 3);
    assert_int_equal(used_count(f, 0), 0);

    fake_block_finish(f->backend, 1); /* in any order */
    run_until_used(f, 0, 1);
    assert_int_equal(used_entry(f, 0, 0, &len), 1);
    assert_int_equal(status_of(f, 0, 1), BLK_S_OK);
    assert_int_equal(status_of(f, 0, 0), 0xee);
    assert_int_equal(f->interrupts[0], 1);
    fake_block_finish(f->backend, 1);
    fake_block_finish(f->backend, 0);
    run_until_used(f, 0, 3);
    assert_int_equal(used_entry(f, 0, 1, &len), 2);
    assert_int_equal(used_entry(f, 0, 2, &len), 0);
    assert_int_equal(f->interrupts[0], 2); /* one for both */
}

static void test_more_requests_than_the_backend_takes(void **state)
{
    struct fixture *f = *state;

    create_with(f, fake_block_create(DISK_BYTES, 4), default_config());
    start_driver(f, 0);
    fake_block_hold(f->backend, true);
    for (unsigned i = 0; i < 10; i++) {
        post(f, 0, BLK_T_IN, i, DATA, 512);
        post(f, 1, BLK_T_IN, i, DATA, 512);
    }
    kick(f, 0);
    kick(f, 1);
    assert_int_equal(fake_block_held(f->backend), 4);
    for (unsigned i = 0; i < 16; i++) {
        fake_block_finish(f->backend, 0);
        run_loop(f);
        assert_int_equal(fake_block_held(f->backend), 4); /* the next one moved up */
    }
    for (unsigned i = 0; i < 4; i++)
        fake_block_finish(f->backend, 0);
    run_until_used(f, 0, 10);
    run_until_used(f, 1, 10);
}

/* Far more bytes than one turn takes: the rest follows by itself. */
static void test_a_turn_is_bounded(void **state)
{
    struct fixture *f = *state;

    create_with(f, fake_block_create(DISK_BYTES, 64), default_config());
    start_driver(f, 0);
    for (unsigned i = 0; i < 32; i++)
        post(f, 0, BLK_T_IN, 0, DATA, DISK_BYTES);
    kick(f, 0);
    assert_in_range(used_count(f, 0), 1, 8);
    run_until_used(f, 0, 32);
}

static void test_reset_with_requests_in_flight(void **state)
{
    struct fixture *f = *state;
    unsigned number;

    create(f);
    fake_block_hold(f->backend, true);
    number = post(f, 0, BLK_T_IN, 0, DATA, 512);
    post(f, 0, BLK_T_OUT, 0, DATA, 512);
    kick(f, 0);
    assert_int_equal(fake_block_held(f->backend), 2);
    virtio_device_set_status(f->device, 0);
    assert_int_equal(block_backend_in_flight(f->backend), 0);
    assert_int_equal(status_of(f, 0, number), 0xee);
    assert_int_equal(used_count(f, 0), 0);
    assert_int_equal(f->interrupts[0], 0);
    memset(at(f, DATA, 512), 0x11, 512);
    event_loop_run_once(f->loop, 0);
    assert_int_equal(at(f, DATA, 512)[0], 0x11);
    assert_int_equal(used_count(f, 0), 0);

    fake_block_hold(f->backend, false);
    start_driver(f, 0);
    write_then_read(f);
}

static void test_reset_while_waiting_for_a_slot(void **state)
{
    struct fixture *f = *state;

    create_with(f, fake_block_create(DISK_BYTES, 2), default_config());
    start_driver(f, 0);
    fake_block_hold(f->backend, true);
    for (unsigned i = 0; i < 10; i++)
        post(f, 0, BLK_T_IN, 0, DATA, 512);
    kick(f, 0);
    virtio_device_set_status(f->device, 0);
    assert_int_equal(fake_block_held(f->backend), 0);
    event_loop_run_once(f->loop, 0);
    assert_int_equal(fake_block_held(f->backend), 0);
    fake_block_hold(f->backend, false);
    start_driver(f, 0);
    assert_int_equal(request(f, BLK_T_IN, 0, 512, NULL), BLK_S_OK);
}

static void test_pause_settles_and_resume_goes_on(void **state)
{
    struct fixture *f = *state;

    create(f);
    fake_block_hold(f->backend, true);
    post(f, 0, BLK_T_IN, 0, DATA, 512);
    kick(f, 0);
    virtio_device_pause(f->device);
    assert_int_equal(used_count(f, 0), 1); /* finished and answered */
    assert_int_equal(f->interrupts[0], 1);
    assert_int_equal(block_backend_in_flight(f->backend), 0);

    post(f, 0, BLK_T_IN, 0, DATA, 512);
    kick(f, 0);
    event_loop_run_once(f->loop, 0);
    assert_int_equal(fake_block_held(f->backend), 0);
    fake_block_hold(f->backend, false);
    virtio_device_resume(f->device);
    run_until_used(f, 0, 2);
}

static void test_pause_while_waiting_for_a_slot(void **state)
{
    struct fixture *f = *state;

    create_with(f, fake_block_create(DISK_BYTES, 2), default_config());
    start_driver(f, 0);
    fake_block_hold(f->backend, true);
    for (unsigned i = 0; i < 5; i++)
        post(f, 0, BLK_T_IN, 0, DATA, 512);
    kick(f, 0);
    virtio_device_pause(f->device);
    assert_int_equal(used_count(f, 0), 2);
    event_loop_run_once(f->loop, 0);
    assert_int_equal(used_count(f, 0), 2);
    fake_block_hold(f->backend, false);
    virtio_device_resume(f->device);
    run_until_used(f, 0, 5);
}

static void test_operations_limit(void **state)
{
    struct fixture *f = *state;
    struct virtio_blk_config config = default_config();

    config.operations = (struct rate_limit){.per_second = 200, .burst = 2};
    create_with(f, fake_block_create(DISK_BYTES, 16), config);
    start_driver(f, 0);
    for (unsigned i = 0; i < 6; i++) {
        post(f, 0, BLK_T_GET_ID, 0, DATA, 20); /* answered without the backend: counted too */
        post(f, 1, BLK_T_IN, 0, DATA, 512);
    }
    kick(f, 0);
    kick(f, 1);
    assert_true(used_count(f, 0) + used_count(f, 1) < 12);
    run_until_used(f, 0, 6);
    run_until_used(f, 1, 6);
}

static void test_bandwidth_limit(void **state)
{
    struct fixture *f = *state;
    struct virtio_blk_config config = default_config();

    config.bandwidth = (struct rate_limit){.per_second = 1 << 20, .burst = 4096};
    create_with(f, fake_block_create(DISK_BYTES, 16), config);
    start_driver(f, 0);
    fake_block_hold(f->backend, true);
    post(f, 0, BLK_T_IN, 0, DATA, 65536); /* longer than the burst: passes, in debt */
    for (unsigned i = 0; i < 3; i++)
        post(f, 0, BLK_T_OUT, i * 8, DATA, 4096);
    post(f, 0, BLK_T_GET_ID, 0, DATA + 65536, 20); /* free, but behind the others */
    kick(f, 0);
    assert_int_equal(fake_block_held(f->backend), 1);
    assert_int_equal(used_count(f, 0), 0);
    fake_block_hold(f->backend, false);
    fake_block_finish(f->backend, 0);
    run_until_used(f, 0, 5);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(status_of(f, 0, i), BLK_S_OK);
}

static void test_reset_while_throttled(void **state)
{
    struct fixture *f = *state;
    struct virtio_blk_config config = default_config();

    config.operations = (struct rate_limit){.per_second = 1, .burst = 1};
    create_with(f, fake_block_create(DISK_BYTES, 16), config);
    start_driver(f, 0);
    post(f, 0, BLK_T_IN, 0, DATA, 512);
    post(f, 0, BLK_T_IN, 0, DATA, 512);
    kick(f, 0);
    run_until_used(f, 0, 1);
    virtio_device_set_status(f->device, 0);
    event_loop_run_once(f->loop, 0);
    assert_int_equal(used_count(f, 0), 1);
}

/* 5.2.6.2: without FLUSH, a completed write is a stable write. */
static void test_write_through(void **state)
{
    struct fixture *f = *state;

    create(f);
    fake_block_hold(f->backend, true);
    post(f, 0, BLK_T_OUT, 0, DATA, 512);
    kick(f, 0);
    assert_false(fake_block_request(f->backend, 0)->stable);
    start_driver(f, 1u << BLK_F_FLUSH);
    post(f, 0, BLK_T_OUT, 0, DATA, 512);
    kick(f, 0);
    assert_true(fake_block_request(f->backend, 0)->stable);
}

static void test_destroy_with_requests_in_flight(void **state)
{
    struct fixture *f = *state;

    create(f);
    fake_block_hold(f->backend, true);
    post(f, 0, BLK_T_IN, 0, DATA, 512);
    kick(f, 0);
    assert_int_equal(fake_block_held(f->backend), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_identity),
        TEST(test_bad_configuration),
        TEST(test_write_flush_read),
        TEST(test_on_threads),
        TEST(test_on_uring),
        TEST(test_other_requests),
        TEST(test_backend_errors),
        TEST(test_request_without_a_place_for_the_answer),
        TEST(test_failure_with_requests_in_flight),
        TEST(test_slow_disk_does_not_block_the_kick),
        TEST(test_more_requests_than_the_backend_takes),
        TEST(test_a_turn_is_bounded),
        TEST(test_reset_with_requests_in_flight),
        TEST(test_reset_while_waiting_for_a_slot),
        TEST(test_pause_settles_and_resume_goes_on),
        TEST(test_pause_while_waiting_for_a_slot),
        TEST(test_operations_limit),
        TEST(test_bandwidth_limit),
        TEST(test_reset_while_throttled),
        TEST(test_write_through),
        TEST(test_destroy_with_requests_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
