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
#include "tests/harness/blk_fixture.h"
#include "tests/harness/fake_block.h"

static int setup(void **state)
{
    struct blk_fixture *f = calloc(1, sizeof(*f));

    blk_fixture_init(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    blk_fixture_release(*state);
    free(*state);
    return 0;
}

/* One round of the loop that does something. (Waiting may be interrupted by a ring's upkeep.) */
static void run_loop(struct blk_fixture *f)
{
    uint64_t give_up_ns = monotonic_ns() + 10000000000ull;
    int called = 0;

    while (called == 0 && monotonic_ns() < give_up_ns)
        called = event_loop_run_once(f->loop, 1000);
    assert_true(called > 0);
}

static void run_until_used(struct blk_fixture *f, unsigned queue, unsigned count)
{
    while (blk_fixture_used_count(f, queue) < count)
        run_loop(f);
}

/* One request from kick to answer. */
static uint8_t request(struct blk_fixture *f, uint32_t type, uint64_t sector, uint32_t len,
                       uint32_t *used_len)
{
    unsigned number = blk_fixture_post(f, 0, type, sector, FIXTURE_DATA, len);
    uint32_t written;

    blk_fixture_kick(f, 0);
    run_until_used(f, 0, number + 1);
    assert_int_equal(blk_fixture_used_entry(f, 0, number, &written), number % FIXTURE_SLOTS);
    if (used_len)
        *used_len = written;
    return blk_fixture_status(f, 0, number);
}

static void create(struct blk_fixture *f)
{
    blk_fixture_create(f, fake_block_create(FIXTURE_DISK_BYTES, 16), blk_fixture_config());
    blk_fixture_start(f, 0);
}

/* ---- tests ---- */

static uint32_t config32(struct blk_fixture *f, uint32_t offset)
{
    uint8_t bytes[4];

    virtio_device_config_read(f->device, offset, bytes, 4);
    return get_le32(bytes);
}

static void test_identity(void **state)
{
    struct blk_fixture *f = *state;
    const uint32_t writable = 1u << BLK_F_FLUSH | 1u << BLK_F_DISCARD | 1u << BLK_F_WRITE_ZEROES;
    struct virtio_blk_config config = blk_fixture_config();

    blk_fixture_create(f, fake_block_create(FIXTURE_DISK_BYTES, 16), config);
    assert_int_equal(f->device->id, 2);
    assert_int_equal(f->device->queue_count, FIXTURE_QUEUES);
    assert_int_equal(virtio_device_offered(f->device, 0) & 0xffff,
                     writable | 1u << BLK_F_SEG_MAX | 1u << BLK_F_BLK_SIZE | 1u << BLK_F_MQ);
    assert_int_equal(config32(f, BLK_CONFIG_CAPACITY), FIXTURE_DISK_BYTES / 512);
    assert_int_equal(config32(f, BLK_CONFIG_CAPACITY + 4), 0);
    assert_int_equal(config32(f, BLK_CONFIG_SEG_MAX), 254);
    assert_int_equal(config32(f, BLK_CONFIG_BLK_SIZE), 512);
    assert_int_equal(config32(f, 32) >> 16, FIXTURE_QUEUES);
    assert_int_equal(config32(f, BLK_CONFIG_MAX_DISCARD_SEG), 1);
    assert_int_equal(config32(f, BLK_CONFIG_MAX_ZERO_SECTORS), BLK_MAX_ZERO_SECTORS);
    virtio_device_destroy(f->device);

    config.read_only = true;
    config.queues = 1;
    config.size_bytes = 1000; /* a sector and a part of one */
    blk_fixture_create(f, fake_block_create(1000, 16), config);
    assert_int_equal(virtio_device_offered(f->device, 0) & 0xffff,
                     1u << BLK_F_SEG_MAX | 1u << BLK_F_BLK_SIZE | 1u << BLK_F_RO);
    assert_int_equal(config32(f, BLK_CONFIG_CAPACITY), 1);
    assert_int_equal(config32(f, BLK_CONFIG_MAX_DISCARD_SECTORS), 0);
    assert_int_equal(config32(f, BLK_CONFIG_MAX_ZERO_SECTORS), 0);
}

static void test_bad_configuration(void **state)
{
    struct blk_fixture *f = *state;
    const struct device_env env = {.memory = f->memory, .loop = f->loop};
    struct virtio_blk_config config = blk_fixture_config();

    config.backend = fake_block_create(FIXTURE_DISK_BYTES, 16);
    config.queues = 0;
    assert_int_equal(virtio_blk_create(&env, &config, &f->device), -EINVAL);
    config.queues = 17;
    assert_int_equal(virtio_blk_create(&env, &config, &f->device), -EINVAL);
    config.queues = 1;
    config.size_bytes = 511;
    assert_int_equal(virtio_blk_create(&env, &config, &f->device), -EINVAL);
    block_backend_destroy(config.backend); /* still ours */
}

static void write_then_read(struct blk_fixture *f)
{
    uint8_t *data = blk_fixture_at(f, FIXTURE_DATA, 8192);
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
    struct blk_fixture *f = *state;
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
    struct blk_fixture *f = *state;
    char path[] = "/tmp/husk-blk-XXXXXX";
    int fd = mkstemp(path);
    struct block_backend *backend;
    struct husk_error err;

    unlink(path);
    assert_int_equal(ftruncate(fd, FIXTURE_DISK_BYTES), 0);
    if (block_backend_create(fd, engine, 128, &backend, &err)) {
        close(fd);
        print_message("skipped: %s\n", err.why);
        skip();
    }
    blk_fixture_create(f, backend, blk_fixture_config());
    blk_fixture_start(f, 0);
    write_then_read(f);

    /* a full ring, and requests of all kinds in flight at once */
    for (unsigned i = 0; i < FIXTURE_SLOTS - 4; i++)
        blk_fixture_post(f, 0, i % 3 ? BLK_T_IN : BLK_T_OUT, i * 8, FIXTURE_DATA + i * 4096, 4096);
    blk_fixture_kick(f, 0);
    run_until_used(f, 0, FIXTURE_SLOTS);
    for (unsigned i = 4; i < FIXTURE_SLOTS; i++)
        assert_int_equal(blk_fixture_status(f, 0, i), BLK_S_OK);
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
    struct blk_fixture *f = *state;
    static const char id[20] = "disk-0";
    uint8_t *data = blk_fixture_at(f, FIXTURE_DATA, 4096), sectors[1536];
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
    assert_int_equal(request(f, BLK_T_OUT, FIXTURE_DISK_BYTES / 512, 512, &len), BLK_S_IOERR);
    assert_int_equal(len, 1);

    /* what was not negotiated is not served */
    blk_fixture_start(f, 1u << BLK_F_DISCARD | 1u << BLK_F_WRITE_ZEROES);
    assert_int_equal(request(f, BLK_T_DISCARD, 0, 16, NULL), BLK_S_UNSUPP);
    assert_int_equal(request(f, BLK_T_WRITE_ZEROES, 0, 16, NULL), BLK_S_UNSUPP);
}

static void test_backend_errors(void **state)
{
    struct blk_fixture *f = *state;
    uint32_t len;

    create(f);
    fake_block_fail(f->backend, -ENOSPC);
    assert_int_equal(request(f, BLK_T_OUT, 0, 512, &len), BLK_S_IOERR);
    assert_int_equal(request(f, BLK_T_IN, 0, 512, &len), BLK_S_IOERR);
    assert_int_equal(len, 1);
    assert_int_equal(request(f, BLK_T_FLUSH, 0, 0, &len), BLK_S_IOERR);
    fake_block_fail(f->backend, -EOPNOTSUPP);
    put_le64(blk_fixture_at(f, FIXTURE_DATA, 16), 0);
    put_le64(blk_fixture_at(f, FIXTURE_DATA + 8, 8), 1);
    assert_int_equal(request(f, BLK_T_DISCARD, 0, 16, &len), BLK_S_UNSUPP);
    fake_block_fail(f->backend, 0);
    assert_int_equal(request(f, BLK_T_IN, 0, 512, &len), BLK_S_OK);
}

static void test_request_without_a_place_for_the_answer(void **state)
{
    struct blk_fixture *f = *state;

    create(f);
    blk_fixture_post(f, 0, BLK_T_OUT, 0, FIXTURE_DATA, 512);
    blk_fixture_put_descriptor(f, 0, 1, FIXTURE_DATA, 512, false, true); /* ends here */
    blk_fixture_kick(f, 0);
    assert_true(virtio_device_status(f->device) & VIRTIO_CONFIG_S_NEEDS_RESET);
    assert_int_equal(f->config_interrupts, 1);
    assert_int_equal(blk_fixture_used_count(f, 0), 0);
    blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_kick(f, 0);
    assert_int_equal(blk_fixture_used_count(f, 0), 0);

    blk_fixture_start(f, 0); /* a reset repairs it */
    assert_int_equal(request(f, BLK_T_IN, 0, 512, NULL), BLK_S_OK);
}

/* A failure while others are in flight: they end without an answer. */
static void test_failure_with_requests_in_flight(void **state)
{
    struct blk_fixture *f = *state;
    unsigned good;

    create(f);
    fake_block_hold(f->backend, true);
    good = blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_put_descriptor(f, 0, 3, FIXTURE_HEADERS(0), 8, false, false); /* half a header */
    blk_fixture_kick(f, 0);
    assert_true(virtio_device_status(f->device) & VIRTIO_CONFIG_S_NEEDS_RESET);
    if (fake_block_held(f->backend))
        fake_block_finish(f->backend, 0);
    event_loop_run_once(f->loop, 0);
    assert_int_equal(blk_fixture_used_count(f, 0), 0);
    assert_int_equal(blk_fixture_status(f, 0, good), 0xee);
    blk_fixture_start(f, 0);
    fake_block_hold(f->backend, false);
    assert_int_equal(request(f, BLK_T_IN, 0, 512, NULL), BLK_S_OK);
}

static void test_slow_disk_does_not_block_the_kick(void **state)
{
    struct blk_fixture *f = *state;
    uint32_t len;

    create(f);
    fake_block_hold(f->backend, true);
    for (unsigned i = 0; i < 3; i++)
        blk_fixture_post(f, 0, BLK_T_IN, i, FIXTURE_DATA + i * 512, 512);
    blk_fixture_kick(f, 0); /* returns */
    assert_int_equal(fake_block_held(f->backend), 3);
    assert_int_equal(blk_fixture_used_count(f, 0), 0);

    fake_block_finish(f->backend, 1); /* in any order */
    run_until_used(f, 0, 1);
    assert_int_equal(blk_fixture_used_entry(f, 0, 0, &len), 1);
    assert_int_equal(blk_fixture_status(f, 0, 1), BLK_S_OK);
    assert_int_equal(blk_fixture_status(f, 0, 0), 0xee);
    assert_int_equal(f->interrupts[0], 1);
    fake_block_finish(f->backend, 1);
    fake_block_finish(f->backend, 0);
    run_until_used(f, 0, 3);
    assert_int_equal(blk_fixture_used_entry(f, 0, 1, &len), 2);
    assert_int_equal(blk_fixture_used_entry(f, 0, 2, &len), 0);
    assert_int_equal(f->interrupts[0], 2); /* one for both */
}

static void test_more_requests_than_the_backend_takes(void **state)
{
    struct blk_fixture *f = *state;

    blk_fixture_create(f, fake_block_create(FIXTURE_DISK_BYTES, 4), blk_fixture_config());
    blk_fixture_start(f, 0);
    fake_block_hold(f->backend, true);
    for (unsigned i = 0; i < 10; i++) {
        blk_fixture_post(f, 0, BLK_T_IN, i, FIXTURE_DATA, 512);
        blk_fixture_post(f, 1, BLK_T_IN, i, FIXTURE_DATA, 512);
    }
    blk_fixture_kick(f, 0);
    blk_fixture_kick(f, 1);
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
    struct blk_fixture *f = *state;

    blk_fixture_create(f, fake_block_create(FIXTURE_DISK_BYTES, 64), blk_fixture_config());
    blk_fixture_start(f, 0);
    for (unsigned i = 0; i < 32; i++)
        blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, FIXTURE_DISK_BYTES);
    blk_fixture_kick(f, 0);
    assert_in_range(blk_fixture_used_count(f, 0), 1, 8);
    run_until_used(f, 0, 32);
}

static void test_reset_with_requests_in_flight(void **state)
{
    struct blk_fixture *f = *state;
    unsigned number;

    create(f);
    fake_block_hold(f->backend, true);
    number = blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_post(f, 0, BLK_T_OUT, 0, FIXTURE_DATA, 512);
    blk_fixture_kick(f, 0);
    assert_int_equal(fake_block_held(f->backend), 2);
    virtio_device_set_status(f->device, 0);
    assert_int_equal(block_backend_in_flight(f->backend), 0);
    assert_int_equal(blk_fixture_status(f, 0, number), 0xee);
    assert_int_equal(blk_fixture_used_count(f, 0), 0);
    assert_int_equal(f->interrupts[0], 0);
    memset(blk_fixture_at(f, FIXTURE_DATA, 512), 0x11, 512);
    event_loop_run_once(f->loop, 0);
    assert_int_equal(blk_fixture_at(f, FIXTURE_DATA, 512)[0], 0x11);
    assert_int_equal(blk_fixture_used_count(f, 0), 0);

    fake_block_hold(f->backend, false);
    blk_fixture_start(f, 0);
    write_then_read(f);
}

static void test_reset_while_waiting_for_a_slot(void **state)
{
    struct blk_fixture *f = *state;

    blk_fixture_create(f, fake_block_create(FIXTURE_DISK_BYTES, 2), blk_fixture_config());
    blk_fixture_start(f, 0);
    fake_block_hold(f->backend, true);
    for (unsigned i = 0; i < 10; i++)
        blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_kick(f, 0);
    virtio_device_set_status(f->device, 0);
    assert_int_equal(fake_block_held(f->backend), 0);
    event_loop_run_once(f->loop, 0);
    assert_int_equal(fake_block_held(f->backend), 0);
    fake_block_hold(f->backend, false);
    blk_fixture_start(f, 0);
    assert_int_equal(request(f, BLK_T_IN, 0, 512, NULL), BLK_S_OK);
}

static void test_pause_settles_and_resume_goes_on(void **state)
{
    struct blk_fixture *f = *state;

    create(f);
    fake_block_hold(f->backend, true);
    blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_kick(f, 0);
    virtio_device_pause(f->device);
    assert_int_equal(blk_fixture_used_count(f, 0), 1); /* finished and answered */
    assert_int_equal(f->interrupts[0], 1);
    assert_int_equal(block_backend_in_flight(f->backend), 0);

    blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_kick(f, 0);
    event_loop_run_once(f->loop, 0);
    assert_int_equal(fake_block_held(f->backend), 0);
    fake_block_hold(f->backend, false);
    virtio_device_resume(f->device);
    run_until_used(f, 0, 2);
}

static void test_pause_while_waiting_for_a_slot(void **state)
{
    struct blk_fixture *f = *state;

    blk_fixture_create(f, fake_block_create(FIXTURE_DISK_BYTES, 2), blk_fixture_config());
    blk_fixture_start(f, 0);
    fake_block_hold(f->backend, true);
    for (unsigned i = 0; i < 5; i++)
        blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_kick(f, 0);
    virtio_device_pause(f->device);
    assert_int_equal(blk_fixture_used_count(f, 0), 2);
    event_loop_run_once(f->loop, 0);
    assert_int_equal(blk_fixture_used_count(f, 0), 2);
    fake_block_hold(f->backend, false);
    virtio_device_resume(f->device);
    run_until_used(f, 0, 5);
}

static void test_operations_limit(void **state)
{
    struct blk_fixture *f = *state;
    struct virtio_blk_config config = blk_fixture_config();

    config.operations = (struct rate_limit){.per_second = 200, .burst = 2};
    blk_fixture_create(f, fake_block_create(FIXTURE_DISK_BYTES, 16), config);
    blk_fixture_start(f, 0);
    for (unsigned i = 0; i < 6; i++) {
        blk_fixture_post(f, 0, BLK_T_GET_ID, 0, FIXTURE_DATA,
                         20); /* answered without the backend: counted too */
        blk_fixture_post(f, 1, BLK_T_IN, 0, FIXTURE_DATA, 512);
    }
    blk_fixture_kick(f, 0);
    blk_fixture_kick(f, 1);
    assert_true(blk_fixture_used_count(f, 0) + blk_fixture_used_count(f, 1) < 12);
    run_until_used(f, 0, 6);
    run_until_used(f, 1, 6);
}

static void test_bandwidth_limit(void **state)
{
    struct blk_fixture *f = *state;
    struct virtio_blk_config config = blk_fixture_config();

    config.bandwidth = (struct rate_limit){.per_second = 1 << 20, .burst = 4096};
    blk_fixture_create(f, fake_block_create(FIXTURE_DISK_BYTES, 16), config);
    blk_fixture_start(f, 0);
    fake_block_hold(f->backend, true);
    blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA,
                     65536); /* longer than the burst: passes, in debt */
    for (unsigned i = 0; i < 3; i++)
        blk_fixture_post(f, 0, BLK_T_OUT, i * 8, FIXTURE_DATA, 4096);
    blk_fixture_post(f, 0, BLK_T_GET_ID, 0, FIXTURE_DATA + 65536,
                     20); /* free, but behind the others */
    blk_fixture_kick(f, 0);
    assert_int_equal(fake_block_held(f->backend), 1);
    assert_int_equal(blk_fixture_used_count(f, 0), 0);
    fake_block_hold(f->backend, false);
    fake_block_finish(f->backend, 0);
    run_until_used(f, 0, 5);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(blk_fixture_status(f, 0, i), BLK_S_OK);
}

static void test_reset_while_throttled(void **state)
{
    struct blk_fixture *f = *state;
    struct virtio_blk_config config = blk_fixture_config();

    config.operations = (struct rate_limit){.per_second = 1, .burst = 1};
    blk_fixture_create(f, fake_block_create(FIXTURE_DISK_BYTES, 16), config);
    blk_fixture_start(f, 0);
    blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_kick(f, 0);
    run_until_used(f, 0, 1);
    virtio_device_set_status(f->device, 0);
    event_loop_run_once(f->loop, 0);
    assert_int_equal(blk_fixture_used_count(f, 0), 1);
}

/* 5.2.6.2: without FLUSH, a completed write is a stable write. */
static void test_write_through(void **state)
{
    struct blk_fixture *f = *state;

    create(f);
    fake_block_hold(f->backend, true);
    blk_fixture_post(f, 0, BLK_T_OUT, 0, FIXTURE_DATA, 512);
    blk_fixture_kick(f, 0);
    assert_false(fake_block_request(f->backend, 0)->stable);
    blk_fixture_start(f, 1u << BLK_F_FLUSH);
    blk_fixture_post(f, 0, BLK_T_OUT, 0, FIXTURE_DATA, 512);
    blk_fixture_kick(f, 0);
    assert_true(fake_block_request(f->backend, 0)->stable);
}

static void test_destroy_with_requests_in_flight(void **state)
{
    struct blk_fixture *f = *state;

    create(f);
    fake_block_hold(f->backend, true);
    blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_kick(f, 0);
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
