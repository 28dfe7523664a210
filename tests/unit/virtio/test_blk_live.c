// SPDX-License-Identifier: Apache-2.0
/*
 * devices/virtio/blk_live.c: another file behind a disk whose requests are in flight, another size,
 * other limits, and the counters. The I/O thread is a thread of the test's where it matters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/event_loop.h"
#include "base/io.h"
#include "tests/harness/blk_fixture.h"
#include "tests/harness/fake_block.h"

#define DEPTH       16u
#define WAIT_MS     60000u
#define OTHER_BYTES (2u * FIXTURE_DISK_BYTES)

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

/* A disk that is full of one byte. */
static struct block_backend *disk_of(char byte, uint64_t size_bytes)
{
    struct block_backend *backend = fake_block_create(size_bytes, DEPTH);
    char *text = malloc(size_bytes);

    memset(text, byte, size_bytes);
    assert_int_equal(pwrite(fake_block_fd(backend), text, size_bytes, 0), size_bytes);
    free(text);
    return backend;
}

static void create_limited(struct blk_fixture *f, struct virtio_blk_config config)
{
    blk_fixture_create(f, disk_of('a', FIXTURE_DISK_BYTES), config);
    blk_fixture_start(f, 0);
    f->config_interrupts = 0;
}

static void create(struct blk_fixture *f)
{
    create_limited(f, blk_fixture_config());
}

static uint64_t capacity(struct blk_fixture *f)
{
    uint8_t bytes[8];

    virtio_device_config_read(f->device, BLK_CONFIG_CAPACITY, bytes, 8);
    return get_le64(bytes);
}

/* The first byte of a sector, '!' when reading failed. Between the calls the loop is the test's. */
static char read_sector(struct blk_fixture *f, uint64_t sector)
{
    unsigned number = blk_fixture_post(f, 0, BLK_T_IN, sector, FIXTURE_DATA, 512);

    blk_fixture_kick(f, 0);
    while (blk_fixture_used_count(f, 0) <= number)
        assert_true(event_loop_run_once(f->loop, 10000) >= 0);
    return blk_fixture_status(f, 0, number) == BLK_S_OK ? (char)*blk_fixture_at(f, FIXTURE_DATA, 1)
                                                        : '!';
}

/* ---- replacing ---- */

static void the_driver_sees_another_disk(void **state)
{
    struct blk_fixture *f = *state;
    uint32_t generation;

    create(f);
    generation = virtio_device_config_generation(f->device);
    assert_int_equal(read_sector(f, 0), 'a');
    assert_int_equal(virtio_blk_replace(f->device, disk_of('b', OTHER_BYTES), OTHER_BYTES, WAIT_MS),
                     0);
    assert_int_equal(f->config_interrupts, 1);
    assert_int_not_equal(virtio_device_config_generation(f->device), generation);
    assert_int_equal(capacity(f), OTHER_BYTES / 512);
    assert_int_equal(read_sector(f, 0), 'b');
    assert_int_equal(read_sector(f, OTHER_BYTES / 512 - 1), 'b');
    assert_int_equal(read_sector(f, OTHER_BYTES / 512), '!');
    /* And a smaller one again. */
    assert_int_equal(virtio_blk_replace(f->device, disk_of('c', 512), 512, WAIT_MS), 0);
    assert_int_equal(read_sector(f, 0), 'c');
    assert_int_equal(read_sector(f, 1), '!');
}

/* Before DRIVER_OK, and while nobody negotiates: no interrupt, but the new disk. */
static void it_works_before_the_driver(void **state)
{
    struct blk_fixture *f = *state;

    blk_fixture_create(f, disk_of('a', FIXTURE_DISK_BYTES), blk_fixture_config());
    assert_int_equal(virtio_blk_replace(f->device, disk_of('b', OTHER_BYTES), OTHER_BYTES, WAIT_MS),
                     0);
    assert_int_equal(f->config_interrupts, 0);
    blk_fixture_start(f, 0);
    assert_int_equal(capacity(f), OTHER_BYTES / 512);
    assert_int_equal(read_sector(f, 0), 'b');
}

static void it_works_while_paused(void **state)
{
    struct blk_fixture *f = *state;
    unsigned number;

    create(f);
    virtio_device_pause(f->device);
    number = blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_kick(f, 0);
    assert_int_equal(virtio_blk_replace(f->device, disk_of('b', OTHER_BYTES), OTHER_BYTES, WAIT_MS),
                     0);
    assert_int_equal(f->config_interrupts, 1);
    assert_int_equal(blk_fixture_used_count(f, 0), 0);
    virtio_device_resume(f->device);
    assert_int_equal(blk_fixture_used_count(f, 0), number + 1);
    assert_int_equal(*blk_fixture_at(f, FIXTURE_DATA, 1), 'b');
}

/* What cannot serve is refused, and stays the caller's. */
static void a_bad_replacement_changes_nothing(void **state)
{
    struct blk_fixture *f = *state;
    struct block_backend *shallow = fake_block_create(FIXTURE_DISK_BYTES, DEPTH - 1);
    struct block_backend *tiny = fake_block_create(512, DEPTH);

    create(f);
    assert_int_equal(virtio_blk_replace(f->device, shallow, FIXTURE_DISK_BYTES, WAIT_MS), -EINVAL);
    assert_int_equal(virtio_blk_replace(f->device, tiny, 511, WAIT_MS), -EINVAL);
    assert_int_equal(f->config_interrupts, 0);
    assert_int_equal(read_sector(f, 0), 'a');
    block_backend_destroy(shallow);
    block_backend_destroy(tiny);
}

/* ---- with an I/O thread ---- */

static void *run_loop(void *arg)
{
    event_loop_run(((struct blk_fixture *)arg)->loop);
    return NULL;
}

static pthread_t start_io(struct blk_fixture *f)
{
    pthread_t thread;

    event_loop_expect_run(f->loop, true);
    assert_int_equal(pthread_create(&thread, NULL, run_loop, f), 0);
    return thread;
}

static void stop_io(struct blk_fixture *f, pthread_t thread)
{
    event_loop_stop(f->loop);
    pthread_join(thread, NULL);
}

static void kick_on_io(void *arg)
{
    blk_fixture_kick(arg, 0);
}

struct replacing {
    struct blk_fixture *f;
    atomic_bool done;
    int result;
};

static void *replace(void *arg)
{
    struct replacing *replacing = arg;

    replacing->result =
        virtio_blk_replace(replacing->f->device, disk_of('b', OTHER_BYTES), OTHER_BYTES, WAIT_MS);
    atomic_store(&replacing->done, true);
    return NULL;
}

static bool is_held(struct blk_fixture *f)
{
    bool held;

    virtio_device_lock(f->device);
    held = to_blk(f->device)->held;
    virtio_device_unlock(f->device);
    return held;
}

/*
 * Requests in flight finish on the old disk; the call waits for them; what comes meanwhile waits in
 * the ring, and goes to the new one.
 */
static void requests_in_flight_finish_on_the_old_disk(void **state)
{
    struct blk_fixture *f = *state;
    struct replacing replacing = {.f = f};
    struct block_backend *old;
    pthread_t io, caller;

    create(f);
    old = f->backend;
    io = start_io(f);
    virtio_device_lock(f->device);
    fake_block_hold(old, true);
    virtio_device_unlock(f->device);
    blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA + 512, 512);
    event_loop_call(f->loop, kick_on_io, f);
    assert_int_equal(fake_block_held(old), 2);

    assert_int_equal(pthread_create(&caller, NULL, replace, &replacing), 0);
    while (!is_held(f))
        usleep(1000);
    blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA + 1024, 512);
    event_loop_call(f->loop, kick_on_io, f);
    virtio_device_lock(f->device);
    assert_int_equal(fake_block_held(old), 2);
    fake_block_finish(old, 0);
    virtio_device_unlock(f->device);
    usleep(20000);
    assert_false(atomic_load(&replacing.done)); /* one is still out */
    virtio_device_lock(f->device);
    fake_block_finish(old, 0);
    virtio_device_unlock(f->device);
    pthread_join(caller, NULL);
    assert_int_equal(replacing.result, 0);
    stop_io(f, io);

    assert_int_equal(blk_fixture_used_count(f, 0), 3);
    assert_int_equal(*blk_fixture_at(f, FIXTURE_DATA, 1), 'a');
    assert_int_equal(*blk_fixture_at(f, FIXTURE_DATA + 512, 1), 'a');
    assert_int_equal(*blk_fixture_at(f, FIXTURE_DATA + 1024, 1), 'b');
    assert_int_equal(capacity(f), OTHER_BYTES / 512);
}

/* A reset by the driver, which waits for what is in flight itself, lets the replacement go on. */
static void a_reset_meanwhile(void **state)
{
    struct blk_fixture *f = *state;
    struct replacing replacing = {.f = f};
    pthread_t io, caller;

    create(f);
    io = start_io(f);
    virtio_device_lock(f->device);
    fake_block_hold(f->backend, true);
    virtio_device_unlock(f->device);
    blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    event_loop_call(f->loop, kick_on_io, f);
    assert_int_equal(pthread_create(&caller, NULL, replace, &replacing), 0);
    while (!is_held(f))
        usleep(1000);
    virtio_device_set_status(f->device, 0);
    pthread_join(caller, NULL);
    stop_io(f, io);
    assert_int_equal(replacing.result, 0);
    assert_int_equal(blk_fixture_used_count(f, 0), 0);
    blk_fixture_start(f, 0);
    assert_int_equal(read_sector(f, 0), 'b');
}

/* A disk that does not answer in time stays what it was, and goes on with what waits. */
static void a_disk_that_hangs_is_not_replaced(void **state)
{
    struct blk_fixture *f = *state;
    struct block_backend *other = disk_of('b', OTHER_BYTES);
    unsigned first;

    create(f);
    fake_block_hold(f->backend, true);
    first = blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_kick(f, 0);
    assert_int_equal(virtio_blk_replace(f->device, other, OTHER_BYTES, 10), -ETIMEDOUT);
    assert_int_equal(capacity(f), FIXTURE_DISK_BYTES / 512);
    assert_int_equal(f->config_interrupts, 0);
    fake_block_hold(f->backend, false);
    fake_block_finish(f->backend, 0);
    assert_int_equal(read_sector(f, 1), 'a');
    assert_int_equal(blk_fixture_status(f, 0, first), BLK_S_OK);
    assert_int_equal(virtio_blk_replace(f->device, other, OTHER_BYTES, 0), 0);
    assert_int_equal(read_sector(f, 1), 'b');
}

/* The driver never stops asking, and the disk is replaced again and again: every request is
 * answered once, from one of the disks. */
static void a_busy_disk_is_replaced(void **state)
{
    enum { ROUNDS = 200, BATCH = 8 };
    struct blk_fixture *f = *state;
    pthread_t io;
    unsigned posted = 0;

    create(f);
    io = start_io(f);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t give_up_ns = monotonic_ns() + 20000000000ull;

        for (unsigned i = 0; i < BATCH; i++, posted++)
            blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA + i * 512, 512);
        virtio_device_kick(f->device, 0);
        assert_int_equal(virtio_blk_replace(f->device,
                                            disk_of(round % 2 ? 'a' : 'b', FIXTURE_DISK_BYTES),
                                            FIXTURE_DISK_BYTES, WAIT_MS),
                         0);
        for (;;) {
            unsigned used;

            virtio_device_lock(f->device);
            used = blk_fixture_used_count(f, 0);
            virtio_device_unlock(f->device);
            if (used == (posted & 0xffff))
                break;
            assert_true(monotonic_ns() < give_up_ns);
            usleep(100);
        }
        for (unsigned i = 0; i < BATCH; i++)
            assert_in_range(*blk_fixture_at(f, FIXTURE_DATA + i * 512, 1), 'a', 'b');
    }
    stop_io(f, io);
}

static unsigned entries(const char *path)
{
    DIR *dir = opendir(path);
    unsigned count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void replace_by_file(struct blk_fixture *f, enum block_engine engine)
{
    char path[] = "/tmp/husk-test-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    struct block_backend *backend;

    unlink(path);
    assert_int_equal(ftruncate(fd, FIXTURE_DISK_BYTES), 0);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    assert_int_equal(block_backend_create(fd, engine, DEPTH, &backend, NULL), 0);
    assert_int_equal(virtio_blk_replace(f->device, backend, FIXTURE_DISK_BYTES, WAIT_MS), 0);
    assert_true(virtio_blk_is_file(f->device, fd));
    assert_int_equal(read_sector(f, 0), 'x');
}

/* With real files: no descriptor and no thread of an old engine stays. */
static void no_engine_stays_behind(void **state)
{
    struct blk_fixture *f = *state;
    unsigned fds, threads;

    create(f);
    replace_by_file(f, BLOCK_ENGINE_THREADS);
    fds = entries("/proc/self/fd");
    threads = entries("/proc/self/task");
    for (unsigned round = 0; round < 3; round++) {
        replace_by_file(f, BLOCK_ENGINE_AUTO);
        replace_by_file(f, BLOCK_ENGINE_THREADS);
    }
    assert_int_equal(entries("/proc/self/fd"), fds);
    assert_int_equal(entries("/proc/self/task"), threads);
}

/* ---- size ---- */

static void a_file_that_grew(void **state)
{
    struct blk_fixture *f = *state;

    create(f);
    assert_int_equal(ftruncate(fake_block_fd(f->backend), OTHER_BYTES), 0);
    assert_int_equal(read_sector(f, FIXTURE_DISK_BYTES / 512), '!');
    assert_int_equal(virtio_blk_resize(f->device, OTHER_BYTES), 0);
    assert_int_equal(f->config_interrupts, 1);
    assert_int_equal(capacity(f), OTHER_BYTES / 512);
    assert_int_equal(read_sector(f, FIXTURE_DISK_BYTES / 512), 0);
    /* The same size again is no news. */
    assert_int_equal(virtio_blk_resize(f->device, OTHER_BYTES + 511), 0);
    assert_int_equal(f->config_interrupts, 1);
    assert_int_equal(virtio_blk_resize(f->device, 511), -EINVAL);
    assert_int_equal(capacity(f), OTHER_BYTES / 512);
}

static void files_are_told_apart(void **state)
{
    struct blk_fixture *f = *state;
    struct block_backend *other = fake_block_create(512, DEPTH);

    create(f);
    assert_true(virtio_blk_is_file(f->device, fake_block_fd(f->backend)));
    assert_false(virtio_blk_is_file(f->device, fake_block_fd(other)));
    assert_false(virtio_blk_is_file(f->device, -1));
    block_backend_destroy(other);
}

/* ---- limits ---- */

static const struct rate_limit unlimited = {0};

/* One operation at once, the next after 1000 s: until the limit is lifted. */
static void a_limit_is_lifted(void **state)
{
    struct blk_fixture *f = *state;
    struct virtio_blk_config config = blk_fixture_config();
    struct virtio_blk_stats stats;

    config.operations = (struct rate_limit){.per_second = 1, .burst = 1};
    config.bandwidth = (struct rate_limit){.per_second = 1, .burst = 512};
    create_limited(f, config);
    for (unsigned i = 0; i < 3; i++)
        blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_kick(f, 0);
    assert_int_equal(blk_fixture_used_count(f, 0), 1);
    virtio_blk_set_limits(f->device, &unlimited, NULL);
    while (event_loop_run_once(f->loop, 20) > 0)
        ;
    assert_int_equal(blk_fixture_used_count(f, 0), 1); /* the bandwidth still holds */
    virtio_blk_set_limits(f->device, NULL, &unlimited);
    while (blk_fixture_used_count(f, 0) < 3)
        assert_true(event_loop_run_once(f->loop, 10000) > 0);
    virtio_blk_read_stats(f->device, &stats);
    assert_in_range(stats.throttled, 2, 10);
    assert_int_equal(stats.read_requests, 3);
}

static void a_limit_is_set(void **state)
{
    const struct rate_limit limit = {.per_second = 1, .burst = 2};
    struct blk_fixture *f = *state;

    create(f);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(read_sector(f, 0), 'a');
    virtio_blk_set_limits(f->device, &limit, NULL);
    for (unsigned i = 0; i < 4; i++)
        blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 512);
    blk_fixture_kick(f, 0);
    assert_int_equal(blk_fixture_used_count(f, 0), 6);
}

/* ---- statistics ---- */

static void requests_are_counted(void **state)
{
    struct blk_fixture *f = *state;
    struct virtio_blk_stats stats;

    create(f);
    blk_fixture_post(f, 0, BLK_T_IN, 0, FIXTURE_DATA, 1024);
    blk_fixture_post(f, 0, BLK_T_IN, FIXTURE_DISK_BYTES, FIXTURE_DATA, 512); /* outside */
    blk_fixture_post(f, 0, BLK_T_OUT, 0, FIXTURE_DATA, 4096);
    blk_fixture_post(f, 0, BLK_T_FLUSH, 0, 0, 0);
    blk_fixture_post(f, 0, BLK_T_GET_ID, 0, FIXTURE_DATA, 20);
    blk_fixture_post(f, 0, 99, 0, 0, 0);
    blk_fixture_kick(f, 0);
    while (blk_fixture_used_count(f, 0) < 6)
        assert_true(event_loop_run_once(f->loop, 10000) > 0);
    fake_block_fail(f->backend, -EIO);
    assert_int_equal(read_sector(f, 0), '!');
    virtio_blk_read_stats(f->device, &stats);
    assert_int_equal(stats.read_requests, 3);
    assert_int_equal(stats.read_bytes, 1024);
    assert_int_equal(stats.write_requests, 1);
    assert_int_equal(stats.write_bytes, 4096);
    assert_int_equal(stats.flush_requests, 1);
    assert_int_equal(stats.other_requests, 2);
    assert_int_equal(stats.failed_requests, 3);
    assert_int_equal(stats.throttled, 0);
    /* Another disk goes on counting. */
    assert_int_equal(virtio_blk_replace(f->device, disk_of('b', OTHER_BYTES), OTHER_BYTES, WAIT_MS),
                     0);
    assert_int_equal(read_sector(f, 0), 'b');
    virtio_blk_read_stats(f->device, &stats);
    assert_int_equal(stats.read_requests, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_driver_sees_another_disk),
        TEST(it_works_before_the_driver),
        TEST(it_works_while_paused),
        TEST(a_bad_replacement_changes_nothing),
        TEST(requests_in_flight_finish_on_the_old_disk),
        TEST(a_reset_meanwhile),
        TEST(a_disk_that_hangs_is_not_replaced),
        TEST(a_busy_disk_is_replaced),
        TEST(no_engine_stays_behind),
        TEST(a_file_that_grew),
        TEST(files_are_told_apart),
        TEST(a_limit_is_lifted),
        TEST(a_limit_is_set),
        TEST(requests_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
