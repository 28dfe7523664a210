// SPDX-License-Identifier: Apache-2.0
/* The dispatcher and both engines: every test of the table runs once per engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "devices/backend/block.h"

#define DISK_BYTES (1024u * 1024)
#define DEPTH      16u

struct fixture {
    enum block_engine engine;
    struct block_backend *backend;
    int fd; /* a second descriptor of the same file */
};

struct request {
    struct block_request io;
    struct iovec iov;
    unsigned delivered;
    int result;
};

static void request_done(struct block_request *io, int result)
{
    struct request *request = container_of(io, struct request, io);

    request->delivered++;
    request->result = result;
}

static int setup(void **state, enum block_engine engine)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char path[] = "/tmp/husk-block-XXXXXX";
    struct husk_error err;
    int fd = mkstemp(path);

    f->engine = engine;
    if (fd < 0 || ftruncate(fd, DISK_BYTES))
        return -1;
    unlink(path);
    f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    *state = f;
    if (block_backend_create(fd, engine, DEPTH, &f->backend, &err) == 0)
        return 0;
    close(fd);
    if (engine != BLOCK_ENGINE_URING)
        return -1;
    print_message("io_uring is not available here (%s): its tests are skipped\n", err.why);
    return 0;
}

static int setup_threads(void **state)
{
    return setup(state, BLOCK_ENGINE_THREADS);
}

static int setup_uring(void **state)
{
    return setup(state, BLOCK_ENGINE_URING);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    block_backend_destroy(f->backend);
    close(f->fd);
    free(f);
    return 0;
}

static struct fixture *fixture(void **state)
{
    struct fixture *f = *state;

    if (!f->backend)
        skip();
    return f;
}

static void prepare(struct request *request, enum block_op op, uint64_t offset, void *data,
                    uint64_t len)
{
    *request = (struct request){.iov = {data, len}};
    request->io = (struct block_request){.op = op,
                                         .offset_bytes = offset,
                                         .len_bytes = len,
                                         .iov = data ? &request->iov : NULL,
                                         .iov_count = data ? 1 : 0,
                                         .done = request_done};
}

/* As a device does it: kick, wait for the event descriptor, reap. */
static int run(struct fixture *f, struct request *request)
{
    assert_int_equal(block_backend_submit(f->backend, &request->io), 0);
    block_backend_kick(f->backend);
    while (!request->delivered) {
        struct pollfd wait = {.fd = block_backend_event_fd(f->backend), .events = POLLIN};

        int ready = poll(&wait, 1, 10000);

        assert_true(ready == 1 || (ready < 0 && errno == EINTR));
        block_backend_reap(f->backend);
    }
    assert_int_equal(request->delivered, 1);
    return request->result;
}

static void test_write_flush_read(void **state)
{
    struct fixture *f = fixture(state);
    uint8_t out[4096], in[4096], file[4096];
    struct request request;

    for (unsigned i = 0; i < sizeof(out); i++)
        out[i] = (uint8_t)(i * 7);
    prepare(&request, BLOCK_WRITE, 8192, out, sizeof(out));
    assert_int_equal(run(f, &request), 0);
    assert_int_equal(pread(f->fd, file, sizeof(file), 8192), sizeof(file));
    assert_memory_equal(file, out, sizeof(out));
    prepare(&request, BLOCK_FLUSH, 0, NULL, 0);
    assert_int_equal(run(f, &request), 0);
    prepare(&request, BLOCK_READ, 8192, in, sizeof(in));
    assert_int_equal(run(f, &request), 0);
    assert_memory_equal(in, out, sizeof(out));

    prepare(&request, BLOCK_WRITE, 0, out, sizeof(out));
    request.io.stable = true;
    assert_int_equal(run(f, &request), 0);
}

static void test_discard_and_zeroes(void **state)
{
    struct fixture *f = fixture(state);
    uint8_t data[16384], zero[4096] = {0};
    struct request request;

    memset(data, 0xcc, sizeof(data));
    assert_int_equal(pwrite(f->fd, data, sizeof(data), 0), sizeof(data));
    prepare(&request, BLOCK_WRITE_ZEROES, 4096, NULL, 4096);
    assert_int_equal(run(f, &request), 0);
    prepare(&request, BLOCK_WRITE_ZEROES, 8192, NULL, 4096);
    request.io.may_unmap = true;
    assert_int_equal(run(f, &request), 0);
    if (block_backend_can_discard(f->backend)) {
        prepare(&request, BLOCK_DISCARD, 12288, NULL, 4096);
        assert_int_equal(run(f, &request), 0);
    }
    assert_int_equal(pread(f->fd, data, sizeof(data), 0), sizeof(data));
    assert_memory_equal(data + 4096, zero, sizeof(zero));
    assert_memory_equal(data + 8192, zero, sizeof(zero));
    assert_int_equal(data[4095], 0xcc);
}

static void test_depth_is_a_limit(void **state)
{
    struct fixture *f = fixture(state);
    static uint8_t data[DEPTH + 1][4096];
    struct request requests[DEPTH + 1];

    for (unsigned i = 0; i <= DEPTH; i++) {
        prepare(&requests[i], BLOCK_READ, i * 4096, data[i], sizeof(data[i]));
        assert_int_equal(block_backend_submit(f->backend, &requests[i].io), i < DEPTH ? 0 : -EBUSY);
    }
    assert_int_equal(block_backend_in_flight(f->backend), DEPTH);
    block_backend_reap(f->backend); /* not kicked: nothing started */
    assert_int_equal(block_backend_in_flight(f->backend), DEPTH);
    block_backend_drain(f->backend);
    assert_int_equal(block_backend_in_flight(f->backend), 0);
    for (unsigned i = 0; i < DEPTH; i++) {
        assert_int_equal(requests[i].delivered, 1);
        assert_int_equal(requests[i].result, 0);
    }
    assert_int_equal(block_backend_submit(f->backend, &requests[DEPTH].io), 0);
    block_backend_drain(f->backend);
    assert_int_equal(requests[DEPTH].delivered, 1);
}

static void test_truncated_file_is_an_error(void **state)
{
    struct fixture *f = fixture(state);
    uint8_t data[4096];
    struct request request;

    assert_int_equal(ftruncate(f->fd, 6000), 0);
    prepare(&request, BLOCK_READ, 4096, data, sizeof(data)); /* ends in the middle */
    assert_int_equal(run(f, &request), -EIO);
    prepare(&request, BLOCK_READ, 65536, data, sizeof(data)); /* wholly behind the end */
    assert_int_equal(run(f, &request), -EIO);
}

static void test_error_after_a_partial_write(void **state)
{
    struct fixture *f = fixture(state);
    uint8_t data[8192], back[8192];
    struct request request;
    struct rlimit old, limit;

    memset(data, 0x77, sizeof(data));
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = DISK_BYTES + 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    prepare(&request, BLOCK_WRITE, DISK_BYTES, data, sizeof(data));
    int rc = run(f, &request);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(rc, -EFBIG);
    /* the first half arrived once, in its place */
    assert_int_equal(pread(f->fd, back, sizeof(back), DISK_BYTES), 4096);
    assert_memory_equal(back, data, 4096);
}

static void test_more_buffers_than_one_call_takes(void **state)
{
    struct fixture *f = fixture(state);
    enum { COUNT = 2048 };
    static uint8_t data[COUNT * 64];
    static struct iovec iov[COUNT];
    struct request request;

    for (unsigned i = 0; i < COUNT; i++)
        iov[i] = (struct iovec){&data[i * 64], 64};
    memset(data, 0x3c, sizeof(data));
    prepare(&request, BLOCK_WRITE, 0, data, sizeof(data));
    request.io.iov = iov;
    request.io.iov_count = COUNT;
    assert_int_equal(run(f, &request), 0);
    memset(data, 0, sizeof(data));
    assert_int_equal(pread(f->fd, data, sizeof(data), 0), sizeof(data));
    for (unsigned i = 0; i < sizeof(data); i++)
        assert_int_equal(data[i], 0x3c);
}

static void test_bad_buffer_is_reported(void **state)
{
    struct fixture *f = fixture(state);
    struct request request;

    prepare(&request, BLOCK_READ, 0, (void *)16, 4096);
    assert_int_equal(run(f, &request), -EFAULT);
}

struct chain {
    struct request request;
    struct fixture *f;
    unsigned left;
};

static void submit_next(struct block_request *io, int result)
{
    struct chain *chain = container_of(io, struct chain, request.io);

    assert_int_equal(result, 0);
    if (chain->left-- == 0)
        return;
    assert_int_equal(block_backend_submit(chain->f->backend, io), 0);
    block_backend_kick(chain->f->backend);
}

static void test_callback_may_submit(void **state)
{
    struct fixture *f = fixture(state);
    uint8_t data[512];
    struct chain chain = {.f = f, .left = 100};

    prepare(&chain.request, BLOCK_READ, 0, data, sizeof(data));
    chain.request.io.done = submit_next;
    assert_int_equal(block_backend_submit(f->backend, &chain.request.io), 0);
    block_backend_drain(f->backend);
    assert_int_equal(chain.left, (unsigned)-1);
}

static void test_many_requests(void **state)
{
    struct fixture *f = fixture(state);
    static uint8_t data[DEPTH][512], expected[512];
    struct request requests[DEPTH];

    for (unsigned round = 0; round < 64; round++) {
        for (unsigned i = 0; i < DEPTH; i++) {
            unsigned sector = round * DEPTH + i;

            memset(data[i], (int)(sector % 255) + 1, 512);
            prepare(&requests[i], BLOCK_WRITE, sector * 512, data[i], 512);
            assert_int_equal(block_backend_submit(f->backend, &requests[i].io), 0);
            if (i % 3 == 0)
                block_backend_kick(f->backend);
        }
        block_backend_drain(f->backend);
        for (unsigned i = 0; i < DEPTH; i++)
            assert_true(requests[i].delivered == 1 && requests[i].result == 0);
    }
    for (unsigned sector = 0; sector < 64 * DEPTH; sector++) {
        memset(expected, (int)(sector % 255) + 1, 512);
        assert_int_equal(pread(f->fd, data[0], 512, sector * 512), 512);
        assert_memory_equal(data[0], expected, 512);
    }
}

static unsigned count_open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void test_destroy_drains_and_closes(void **state)
{
    struct fixture *f = fixture(state);
    unsigned before = count_open_descriptors();
    struct request requests[2];
    struct block_backend *backend;
    struct husk_error err;
    uint8_t data[2][4096];
    int fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);

    assert_int_equal(block_backend_create(fd, f->engine, 2, &backend, &err), 0);
    for (unsigned i = 0; i < 2; i++) {
        prepare(&requests[i], BLOCK_READ, 0, data[i], 4096);
        assert_int_equal(block_backend_submit(backend, &requests[i].io), 0);
    }
    block_backend_destroy(backend);
    assert_int_equal(requests[0].delivered, 1);
    assert_int_equal(requests[1].delivered, 1);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(count_open_descriptors(), before);
}

static void test_engine_names(void **state)
{
    struct fixture *f = fixture(state);

    assert_string_equal(block_backend_engine_name(f->backend),
                        f->engine == BLOCK_ENGINE_URING ? "io_uring" : "threads");
}

static void test_automatic_engine(void **state)
{
    char path[] = "/tmp/husk-block-XXXXXX";
    int fd = mkstemp(path);
    struct block_backend *backend;
    struct husk_error err;

    unlink(path);
    assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
    assert_int_equal(block_backend_create(fd, BLOCK_ENGINE_AUTO, DEPTH, &backend, &err), 0);
    block_backend_destroy(backend);
    block_backend_destroy(NULL);
}

/* Without descriptors to spare, creation fails, says so, and leaves the caller's fd open. */
static void test_creation_without_descriptors(void **state)
{
    static const enum block_engine engines[] = {BLOCK_ENGINE_AUTO, BLOCK_ENGINE_URING,
                                                BLOCK_ENGINE_THREADS};
    int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
    unsigned before = count_open_descriptors();
    struct block_backend *backend;
    struct rlimit old, limit;
    struct husk_error err;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(engines); i++) {
        limit = old;
        limit.rlim_cur = (rlim_t)fd + 1;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        int rc = block_backend_create(fd, engines[i], DEPTH, &backend, &err);
        setrlimit(RLIMIT_NOFILE, &old);
        assert_true(rc < 0);
        assert_int_equal(err.code, -rc);
        assert_true(fcntl(fd, F_GETFD) >= 0);
        assert_int_equal(count_open_descriptors(), before);
    }
    close(fd);
}

/* From now on this process gets EPERM for one system call. */
static void forbid(unsigned number)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        _exit(10);
}

/* Run a check, which returns 0 when content, in a child that it may cripple. */
static void in_a_child(struct fixture *f, int (*check)(struct fixture *f))
{
    int status = -1;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(check(f));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int check_refused_ring(struct fixture *f)
{
    struct block_backend *backend;
    struct husk_error err;
    int fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);

    forbid(__NR_io_uring_setup);
    if (block_backend_create(fd, BLOCK_ENGINE_URING, DEPTH, &backend, &err) != -EPERM ||
        !strstr(err.why, "not permitted") || fcntl(fd, F_GETFD) < 0)
        return 1;
    if (block_backend_create(fd, BLOCK_ENGINE_AUTO, DEPTH, &backend, &err))
        return 2;
    return strcmp(block_backend_engine_name(backend), "threads") ? 3 : 0;
}

static void test_host_without_io_uring(void **state)
{
    in_a_child(fixture(state), check_refused_ring);
}

/* A sandbox that closes later: requests that the ring does not take any more are served all the
 * same, and so are those that come after. */
static int check_closed_ring(struct fixture *f)
{
    static uint8_t data[DEPTH][512];
    struct request requests[DEPTH];
    struct block_backend *backend;
    struct husk_error err;

    if (block_backend_create(fcntl(f->fd, F_DUPFD_CLOEXEC, 0), BLOCK_ENGINE_URING, DEPTH, &backend,
                             &err))
        return 1;
    forbid(__NR_io_uring_enter);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < DEPTH; i++) {
            prepare(&requests[i], i % 2 ? BLOCK_WRITE : BLOCK_READ, i * 512, data[i], 512);
            if (block_backend_submit(backend, &requests[i].io))
                return 2;
        }
        block_backend_drain(backend);
        for (unsigned i = 0; i < DEPTH; i++) {
            if (requests[i].delivered != 1 || requests[i].result)
                return 3;
        }
    }
    block_backend_destroy(backend);
    return 0;
}

static void test_ring_that_stops_taking_requests(void **state)
{
    in_a_child(fixture(state), check_closed_ring);
}

#define WITH_BOTH_ENGINES(test)                                     \
    cmocka_unit_test_setup_teardown(test, setup_threads, teardown), \
    {                                                               \
#test " (io_uring)", test, setup_uring, teardown, NULL      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BOTH_ENGINES(test_write_flush_read),
        WITH_BOTH_ENGINES(test_discard_and_zeroes),
        WITH_BOTH_ENGINES(test_depth_is_a_limit),
        WITH_BOTH_ENGINES(test_truncated_file_is_an_error),
        WITH_BOTH_ENGINES(test_error_after_a_partial_write),
        WITH_BOTH_ENGINES(test_more_buffers_than_one_call_takes),
        WITH_BOTH_ENGINES(test_bad_buffer_is_reported),
        WITH_BOTH_ENGINES(test_callback_may_submit),
        WITH_BOTH_ENGINES(test_many_requests),
        WITH_BOTH_ENGINES(test_destroy_drains_and_closes),
        WITH_BOTH_ENGINES(test_engine_names),
        cmocka_unit_test_setup_teardown(test_host_without_io_uring, setup_threads, teardown),
        cmocka_unit_test_setup_teardown(test_ring_that_stops_taking_requests, setup_uring,
                                        teardown),
        cmocka_unit_test(test_automatic_engine),
        cmocka_unit_test(test_creation_without_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
