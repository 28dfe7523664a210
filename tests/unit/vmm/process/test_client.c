// SPDX-License-Identifier: Apache-2.0
/*
 * The library against a process that lies, floods, or says nothing: each call ends, with an error;
 * the VM counts as stopped; nothing is left over, and nothing strange reaches the log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "husk/husk.h"
#include "tests/harness/tiny_guest.h"
#include "vmm/process/protocol.h"

#define SOCKET_PATH "test-client-vsock"

static const uint8_t nothing[] = {GUEST_HALT};

static unsigned fd_count(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static struct {
    unsigned lines;
    char last[64];
} seen;

static void on_log(void *arg, enum husk_log_level level, const char *line)
{
    seen.lines++;
    snprintf(seen.last, sizeof(seen.last), "%s", line);
}

static void on_console(void *arg, const void *bytes, size_t len)
{
}

/* A VM whose process misbehaves in this way; not built. */
static struct husk_vm *prepare_vm(const char *how, int *kernel_fd)
{
    struct husk_vsock_options vsock = HUSK_VSOCK_OPTIONS_INIT;
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
    struct husk_error err = {0};
    struct husk_vm *vm;
    char text[600];

    options.kernel_fd = tiny_guest_fd(nothing, sizeof(nothing));
    options.memory_bytes = 16 << 20;
    options.id = how;
    options.vmm_path = getenv("HUSK_HOSTILE_VMM");
    options.log = on_log;
    options.console_write = on_console;
    assert_non_null(options.vmm_path);
    drive.fd = tiny_guest_fd(nothing, sizeof(nothing));
    *kernel_fd = options.kernel_fd;
    vsock.guest_cid = 3;
    vsock.path = SOCKET_PATH;
    if (husk_vm_new(&options, &vm, &err) || husk_vm_add_drive(vm, &drive, &err) ||
        husk_vm_set_vsock(vm, &vsock, &err))
        fail_msg("%s", error_format(&err, text, sizeof(text)));
    return vm;
}

/* Its process misbehaves once it is started. */
static struct husk_vm *new_vm(const char *how)
{
    int kernel_fd;
    struct husk_vm *vm = prepare_vm(how, &kernel_fd);
    struct husk_error err;
    char text[600];

    if (husk_vm_build(vm, &err))
        fail_msg("%s", error_format(&err, text, sizeof(text)));
    close(kernel_fd);
    return vm;
}

static void check_stopped(struct husk_vm *vm, const struct husk_event *last)
{
    struct husk_event event = {0};

    if (last)
        event = *last;
    while (event.type != HUSK_EVENT_STOPPED)
        assert_int_equal(husk_vm_wait_event(vm, 30000, &event), 1);
    assert_int_equal(event.reason, HUSK_STOP_MONITOR_ERROR);
    assert_int_equal(husk_vm_state(vm), HUSK_STATE_STOPPED);
    assert_int_equal(husk_vm_pause(vm, NULL), -EPIPE);
    assert_int_equal(husk_vm_next_event(vm, &event), 0);
}

static void test_bad_answers(void **state)
{
    static const char *const ways[] = {"garbage",     "huge",       "success-and-more",
                                       "positive",    "half-error", "descriptor",
                                       "descriptors", "exit",       "silent"};

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        unsigned fds = fd_count();
        struct husk_vm *vm = new_vm(ways[i]);
        struct husk_error err = {0};

        assert_int_equal(husk_vm_start(vm, &err), strcmp(ways[i], "silent") ? -EPIPE : -ETIMEDOUT);
        assert_string_equal(err.what, "cannot start the VM");
        check_stopped(vm, NULL);
        husk_vm_free(vm);
        assert_int_equal(fd_count(), fds);
    }
}

static void test_bad_event(void **state)
{
    struct husk_vm *vm = new_vm("event");

    assert_int_equal(husk_vm_start(vm, NULL), 0);
    check_stopped(vm, NULL);
    husk_vm_free(vm);
}

struct slow_call {
    struct husk_vm *vm;
    atomic_int result; /* 1 until it returns */
};

static void *start_slowly(void *arg)
{
    struct slow_call *call = arg;

    atomic_store(&call->result, husk_vm_start(call->vm, NULL));
    return NULL;
}

/* Typing does not wait for a request that the process does not answer. */
static void test_input_meanwhile(void **state)
{
    struct slow_call call = {.vm = new_vm("silent"), .result = 1};
    struct husk_vm_info info = {.size = sizeof(info)};
    struct husk_event event;
    pthread_t thread;

    assert_int_equal(husk_vm_console_input(call.vm, "x", 1), 1);
    assert_int_equal(pthread_create(&thread, NULL, start_slowly, &call), 0);
    usleep(100000); /* usually enough for the request to be on its way */
    assert_int_equal(husk_vm_console_input(call.vm, "x", 1), 1);
    assert_int_equal(husk_vm_next_event(call.vm, &event), 0);
    assert_int_equal(atomic_load(&call.result), 1);
    assert_int_equal(husk_vm_info(call.vm, &info), 0);
    kill(info.pid, SIGKILL);
    pthread_join(thread, NULL);
    assert_int_equal(call.result, -EPIPE);
    check_stopped(call.vm, NULL);
    assert_int_equal(husk_vm_console_input(call.vm, "x", 1), -EPIPE);
    husk_vm_free(call.vm);
}

/* The end of the process is known also while somebody has its end of the sockets. */
static void test_end_with_held_sockets(void **state)
{
    struct husk_vm *vm = new_vm("held");
    struct pollfd poll_fd = {.fd = husk_vm_event_fd(vm), .events = POLLIN};
    struct husk_event event;

    assert_int_equal(husk_vm_start(vm, NULL), 0);
    assert_int_equal(husk_vm_wait_event(vm, 30000, &event), 1);
    assert_string_equal(event.error.why, "the VM's process is gone: it ended with status 9");
    check_stopped(vm, &event);
    assert_int_equal(poll(&poll_fd, 1, 0), 0);
    husk_vm_free(vm);
}

/* Nor does fetching all events that there are go on for ever. */
static void test_event_flood(void **state)
{
    static const char *const ways[] = {"event-flood-0", "event-flood-1", "event-flood-2",
                                       "event-flood-4"};

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct husk_vm *vm = new_vm(ways[i]);
        struct husk_event event = {0};
        unsigned count = 0;

        assert_int_equal(husk_vm_start(vm, NULL), 0);
        do {
            assert_int_equal(husk_vm_wait_event(vm, 30000, &event), 1);
            assert_true(++count < 3);
        } while (event.type != HUSK_EVENT_STOPPED);
        check_stopped(vm, &event);
        husk_vm_free(vm);
    }
}

/* Whoever asks for events is not kept for ever, and his terminal is not played with. */
static void test_log_flood(void **state)
{
    struct husk_vm *vm = new_vm("log-flood");
    struct husk_vm_info info = {.size = sizeof(info)};
    struct husk_event event;

    assert_int_equal(husk_vm_start(vm, NULL), 0);
    while (seen.lines == 0)
        assert_int_equal(husk_vm_next_event(vm, &event), 0);
    assert_string_equal(seen.last, "?[m");
    assert_int_equal(husk_vm_next_event(vm, &event), 0);
    assert_int_equal(husk_vm_info(vm, &info), 0);
    assert_string_equal(info.kernel_format, "fake");
    kill(info.pid, SIGKILL);
    check_stopped(vm, NULL);
    husk_vm_free(vm);
}

/* What does not fit is refused, and the descriptor is still the caller's. */
static void test_too_much_for_a_message(void **state)
{
    static char path[60000];
    struct husk_drive_update update = HUSK_DRIVE_UPDATE_INIT;
    struct husk_vm *vm = new_vm("proper");

    memset(path, 'x', sizeof(path) - 1);
    update.path = path;
    update.fd = tiny_guest_fd(nothing, sizeof(nothing));
    assert_int_equal(husk_vm_update_drive(vm, "drive1", &update, NULL), -E2BIG);
    assert_true(fcntl(update.fd, F_GETFD) >= 0);
    update.path = NULL;
    assert_int_equal(husk_vm_update_drive(vm, "drive1", &update, NULL), 0);
    assert_true(fcntl(update.fd, F_GETFD) < 0); /* the VM's by now */
    husk_vm_free(vm);
}

static int do_start(struct husk_vm *vm)
{
    return husk_vm_start(vm, NULL);
}

static int do_pause(struct husk_vm *vm)
{
    return husk_vm_pause(vm, NULL);
}

static int do_resume(struct husk_vm *vm)
{
    return husk_vm_resume(vm, NULL);
}

static int do_power_button(struct husk_vm *vm)
{
    return husk_vm_power_button(vm, NULL);
}

static int do_ctrl_alt_del(struct husk_vm *vm)
{
    return husk_vm_ctrl_alt_del(vm, NULL);
}

static int do_stop(struct husk_vm *vm)
{
    return husk_vm_stop(vm, NULL);
}

static int do_shutdown(struct husk_vm *vm)
{
    return husk_vm_shutdown(vm, 1000, NULL);
}

static int do_state(struct husk_vm *vm)
{
    return husk_vm_state(vm) == HUSK_STATE_STOPPED ? -EPIPE : 0;
}

static int do_console_size(struct husk_vm *vm)
{
    husk_vm_console_resize(vm, 80, 25);
    return -EPIPE;
}

static int do_update_drive(struct husk_vm *vm)
{
    struct husk_drive_update update = HUSK_DRIVE_UPDATE_INIT;
    int ret;

    update.fd = tiny_guest_fd(nothing, sizeof(nothing));
    ret = husk_vm_update_drive(vm, "drive1", &update, NULL);
    assert_int_equal(close(update.fd), 0); /* the caller's still */
    return ret;
}

static int do_update_net(struct husk_vm *vm)
{
    const struct husk_net_update update = HUSK_NET_UPDATE_INIT;

    return husk_vm_update_net(vm, "net1", &update, NULL);
}

static int do_stats(struct husk_vm *vm)
{
    struct husk_vm_stats stats = {.size = sizeof(stats)};

    return husk_vm_stats(vm, &stats, NULL);
}

static int do_drive_stats(struct husk_vm *vm)
{
    struct husk_drive_stats stats = {.size = sizeof(stats)};

    return husk_vm_drive_stats(vm, "drive1", &stats, NULL);
}

static int do_net_stats(struct husk_vm *vm)
{
    struct husk_net_stats stats = {.size = sizeof(stats)};

    return husk_vm_net_stats(vm, "net1", &stats, NULL);
}

static int do_timeline(struct husk_vm *vm)
{
    struct husk_moment moments[4];

    return husk_vm_timeline(vm, moments, 4) == 0 ? -EPIPE : 0;
}

static int do_free(struct husk_vm *vm)
{
    return -EPIPE;
}

/* The requests to a VM that is built. */
static const struct {
    enum protocol_kind kind;
    int (*run)(struct husk_vm *vm);
} calls[] = {
    {PROTOCOL_START, do_start},
    {PROTOCOL_PAUSE, do_pause},
    {PROTOCOL_RESUME, do_resume},
    {PROTOCOL_POWER_BUTTON, do_power_button},
    {PROTOCOL_CTRL_ALT_DEL, do_ctrl_alt_del},
    {PROTOCOL_STOP, do_stop},
    {PROTOCOL_SHUTDOWN, do_shutdown},
    {PROTOCOL_STATE, do_state},
    {PROTOCOL_CONSOLE_SIZE, do_console_size},
    {PROTOCOL_UPDATE_DRIVE, do_update_drive},
    {PROTOCOL_UPDATE_NET, do_update_net},
    {PROTOCOL_STATS, do_stats},
    {PROTOCOL_DRIVE_STATS, do_drive_stats},
    {PROTOCOL_NET_STATS, do_net_stats},
    {PROTOCOL_TIMELINE, do_timeline},
    {PROTOCOL_FREE, do_free},
};

/* Nothing of the VM is left over. */
static void free_and_count(struct husk_vm *vm, unsigned fds)
{
    husk_vm_free(vm);
    assert_int_equal(fd_count(), fds);
    assert_int_equal(access(SOCKET_PATH, F_OK), -1);
}

static void test_death_while_building(void **state)
{
    static const enum protocol_kind kinds[] = {PROTOCOL_HELLO, PROTOCOL_VM, PROTOCOL_DRIVE,
                                               PROTOCOL_VSOCK, PROTOCOL_BUILD};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        unsigned fds = fd_count();
        struct husk_error err = {0};
        struct husk_vm *vm;
        int kernel_fd;
        char how[16];

        snprintf(how, sizeof(how), "die-%d", kinds[i]);
        vm = prepare_vm(how, &kernel_fd);
        assert_int_equal(husk_vm_build(vm, &err), -EPIPE);
        assert_string_equal(err.why, "the VM's process is gone: it ended with status 9");
        close(kernel_fd);
        free_and_count(vm, fds);
    }
}

/* In place of the answer, and before the request. */
static void test_death_at_every_call(void **state)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        for (unsigned killed = 0; killed < 2; killed++) {
            unsigned fds = fd_count();
            struct husk_vm_info info = {.size = sizeof(info)};
            struct husk_vm *vm;
            char how[16];

            snprintf(how, sizeof(how), "die-%d", calls[i].kind);
            vm = new_vm(how);
            if (calls[i].kind != PROTOCOL_START)
                assert_int_equal(husk_vm_start(vm, NULL), 0);
            assert_int_equal(husk_vm_info(vm, &info), 0);
            if (killed)
                kill(info.pid, SIGKILL);
            assert_int_equal(calls[i].run(vm), -EPIPE);
            if (killed || calls[i].kind != PROTOCOL_FREE)
                check_stopped(vm, NULL);
            free_and_count(vm, fds);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_bad_event),
        cmocka_unit_test(test_event_flood),
        cmocka_unit_test(test_end_with_held_sockets),
        cmocka_unit_test(test_input_meanwhile),
        cmocka_unit_test(test_log_flood),
        cmocka_unit_test(test_too_much_for_a_message),
        cmocka_unit_test(test_death_while_building),
        cmocka_unit_test(test_death_at_every_call),
    };

    if (!tiny_guest_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
