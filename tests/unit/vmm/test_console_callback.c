// SPDX-License-Identifier: Apache-2.0
/* vmm/console_callback.c: output comes to the callback whole and in order, all of it before the
 * end; input never waits. The VM is played by the test. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "vmm/console_callback.h"

struct receiver {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t bytes, sum; /* the sum depends on the order */
    size_t largest;
    bool hold; /* the callback does not return */
};

static void receive(void *arg, const void *bytes, size_t len)
{
    struct receiver *receiver = arg;

    pthread_mutex_lock(&receiver->lock);
    for (size_t i = 0; i < len; i++)
        receiver->sum = receiver->sum * 31 + ((const uint8_t *)bytes)[i];
    receiver->bytes += len;
    if (len > receiver->largest)
        receiver->largest = len;
    pthread_cond_broadcast(&receiver->changed);
    while (receiver->hold)
        pthread_cond_wait(&receiver->changed, &receiver->lock);
    pthread_mutex_unlock(&receiver->lock);
}

static int setup(void **state)
{
    struct receiver *receiver = calloc(1, sizeof(*receiver));

    pthread_mutex_init(&receiver->lock, NULL);
    pthread_cond_init(&receiver->changed, NULL);
    *state = receiver;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void set_hold(struct receiver *receiver, bool hold)
{
    pthread_mutex_lock(&receiver->lock);
    receiver->hold = hold;
    pthread_cond_broadcast(&receiver->changed);
    pthread_mutex_unlock(&receiver->lock);
}

static struct console_callback *create(struct receiver *receiver)
{
    struct console_callback *console;

    assert_int_equal(console_callback_create(receive, receiver, &console), 0);
    return console;
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

/* More than the sockets hold: the callback keeps up, and gets the rest during the destruction. */
static void all_output_is_delivered(void **state)
{
    enum { TOTAL = 3 << 20 };
    struct receiver *receiver = *state;
    struct console_callback *console = create(receiver);
    uint8_t *text = malloc(TOTAL);
    uint64_t sum = 0;

    for (unsigned i = 0; i < TOTAL; i++) {
        text[i] = (uint8_t)(i * 7 + i / 1000);
        sum = sum * 31 + text[i];
    }
    assert_int_equal(write_full(console_callback_fd(console), text, TOTAL), 0);
    console_callback_destroy(console);
    assert_int_equal(receiver->bytes, TOTAL);
    assert_true(receiver->sum == sum);
    assert_in_range(receiver->largest, 1, 65536);
    free(text);
}

/* The VM finds a full socket, no call blocks, and nothing is lost once the callback returns. */
static void a_slow_callback_makes_the_vm_wait(void **state)
{
    struct receiver *receiver = *state;
    struct console_callback *console = create(receiver);
    uint8_t chunk[4096] = {0};
    uint64_t sent = 0;
    ssize_t n;

    set_hold(receiver, true);
    do {
        n = send(console_callback_fd(console), chunk, sizeof(chunk), MSG_DONTWAIT);
        sent += n > 0 ? (uint64_t)n : 0;
    } while (n > 0);
    assert_int_equal(errno, EAGAIN);
    set_hold(receiver, false);
    console_callback_destroy(console);
    assert_int_equal(receiver->bytes, sent);
}

static void input_reaches_the_vm(void **state)
{
    struct console_callback *console = create(*state);
    char text[8] = "";

    assert_int_equal(console_callback_input(console, "", 0), 0);
    assert_int_equal(console_callback_input(console, "husk", 4), 4);
    assert_int_equal(recv(console_callback_fd(console), text, sizeof(text), 0), 4);
    assert_string_equal(text, "husk");
    console_callback_destroy(console);
}

static void input_is_bounded(void **state)
{
    struct console_callback *console = create(*state);
    static uint8_t chunk[100000];
    uint64_t given = 0, read = 0;
    ssize_t n;

    while ((n = console_callback_input(console, chunk, sizeof(chunk))) > 0) {
        given += (uint64_t)n;
        assert_true(given < 64u << 20);
    }
    assert_int_equal(n, 0);
    while ((n = recv(console_callback_fd(console), chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
        read += (uint64_t)n;
    assert_int_equal(read, given);
    assert_true(console_callback_input(console, "x", 1) == 1);
    console_callback_destroy(console);
}

/* The end of the VM's process closes its descriptors, and ours is a copy. */
static void input_after_the_vm_fails(void **state)
{
    struct console_callback *console = create(*state);

    shutdown(console_callback_fd(console), SHUT_RDWR);
    assert_int_equal(console_callback_input(console, "x", 1), -EPIPE);
    console_callback_destroy(console);
}

/* A child of the program that knows nothing of us does not keep us waiting. */
static void a_forked_child_is_not_waited_for(void **state)
{
    struct receiver *receiver = *state;
    struct console_callback *console = create(receiver);
    int ends[2];
    pid_t child;
    char byte;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) < 0); /* until the parent says so */
    }
    assert_int_equal(write_full(console_callback_fd(console), "bye", 3), 0);
    console_callback_destroy(console);
    assert_int_equal(receiver->bytes, 3);
    close(ends[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(ends[0]);
}

static void nothing_is_left(void **state)
{
    unsigned fds = entries("/proc/self/fd"), threads = entries("/proc/self/task");
    struct console_callback *console = create(*state);

    assert_int_equal(fcntl(console_callback_fd(console), F_GETFD), FD_CLOEXEC);
    assert_int_equal(entries("/proc/self/fd"), fds + 2);
    console_callback_destroy(console);
    console_callback_destroy(NULL);
    assert_int_equal(entries("/proc/self/fd"), fds);
    assert_int_equal(entries("/proc/self/task"), threads);
}

static void a_failing_creation_leaves_nothing(void **state)
{
    unsigned fds = entries("/proc/self/fd");
    struct console_callback *console;
    struct rlimit before, limited;
    int next = dup(0);

    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (int spare = 0; spare < 2; spare++) {
        limited = before;
        limited.rlim_cur = (rlim_t)(next + spare);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limited), 0);
        assert_int_equal(console_callback_create(receive, *state, &console), -EMFILE);
        setrlimit(RLIMIT_NOFILE, &before);
    }
    assert_int_equal(entries("/proc/self/fd"), fds);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_output_is_delivered),  TEST(a_slow_callback_makes_the_vm_wait),
        TEST(input_reaches_the_vm),     TEST(input_is_bounded),
        TEST(input_after_the_vm_fails), TEST(a_forked_child_is_not_waited_for),
        TEST(nothing_is_left),          TEST(a_failing_creation_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
