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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "husk/husk.h"
#include "tests/harness/tiny_guest.h"

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

/* A VM whose process misbehaves in this way once it is started. */
static struct husk_vm *new_vm(const char *how)
{
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
    assert_non_null(options.vmm_path);
    drive.fd = tiny_guest_fd(nothing, sizeof(nothing));
    if (husk_vm_new(&options, &vm, &err) || husk_vm_add_drive(vm, &drive, &err) ||
        husk_vm_build(vm, &err))
        fail_msg("%s", error_format(&err, text, sizeof(text)));
    close(options.kernel_fd);
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
    static const char *const ways[] = {"event-flood-0", "event-flood-1", "event-flood-2"};

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_answers), cmocka_unit_test(test_bad_event),
        cmocka_unit_test(test_event_flood), cmocka_unit_test(test_end_with_held_sockets),
        cmocka_unit_test(test_log_flood),   cmocka_unit_test(test_too_much_for_a_message),
    };

    if (!tiny_guest_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
