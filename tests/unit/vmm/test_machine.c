// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/machine.c, machine_build.c, machine_devices.c, vcpu.c and husk.c together, through the public
 * interface: the life of machines whose guests are a few instructions. Needs /dev/kvm; without it
 * every test here is skipped.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "husk/husk.h"
#include "tests/harness/tiny_guest.h"

#define GUEST(name, ...) static const uint8_t name[] = {__VA_ARGS__}

GUEST(exit_42, GUEST_OUT(0xf4, 42), GUEST_HALT);
GUEST(mark_then_exit_7, GUEST_OUT(0xf5, 1), GUEST_OUT(0xf5, 1), GUEST_OUT(0xf4, 7), GUEST_HALT);
GUEST(mark_then_spin, GUEST_OUT(0xf5, 1), GUEST_SPIN);
GUEST(mark_for_ever, GUEST_OUT(0xf5, 1), 0xeb, 0xfa);
GUEST(halt, GUEST_HALT);
GUEST(spin, GUEST_SPIN);
GUEST(triple_fault, GUEST_UD2);
GUEST(acpi_reset, GUEST_OUT_DX(0x602, 0x42), GUEST_HALT);
GUEST(acpi_power_off, GUEST_OUT_DX(0x600, 0x20 | 5 << 2), GUEST_HALT);
GUEST(keyboard_reset, GUEST_OUT(0x64, 0xfe), GUEST_HALT);
GUEST(panic, GUEST_OUT_DX(0x505, 1), GUEST_HALT);
/* Nobody is at 0xe0000000: reads all-ones, so %eax + 43 is 42. */
GUEST(read_nothing, 0xa1, 0, 0, 0, 0xe0, 0x83, 0xc0, 43, 0xe6, 0xf4, GUEST_HALT);
/* mov $msg, %esi; mov $5, %ecx; mov $0x3f8, %dx; rep outsb; out $0, $0xf4; msg: "husk\n" */
GUEST(say_husk, 0xbe, 0x15, 0x00, 0x10, 0x00, 0xb9, 5, 0, 0, 0, 0x66, 0xba, 0xf8, 0x03, 0xf3, 0x6e,
      GUEST_OUT(0xf4, 0), 0xf4, 'h', 'u', 's', 'k', '\n');

/* Of the VMs that the tests make; each group of tests sets it. */
static enum husk_mode mode;

#define NEW_VM(code) new_vm((code), sizeof(code), 1)

/* Counts that a failed build must leave as they were. */
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

static unsigned fd_count(void)
{
    return entries("/proc/self/fd");
}

static unsigned thread_count(void)
{
    return entries("/proc/self/task");
}

static struct husk_vm_options options_for(int kernel_fd)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;

    options.kernel_fd = kernel_fd;
    options.memory_bytes = 16 << 20;
    options.mode = mode;
    return options;
}

static void fail_with(const struct husk_error *err)
{
    char text[640];

    fail_msg("%s", error_format(err, text, sizeof(text)));
}

static struct husk_vm *new_vm(const uint8_t *code, size_t len, unsigned vcpus)
{
    int kernel_fd = tiny_guest_fd(code, len);
    struct husk_vm_options options = options_for(kernel_fd);
    struct husk_error err;
    struct husk_vm *vm;

    options.vcpus = vcpus;
    if (husk_vm_new(&options, &vm, &err) || husk_vm_build(vm, &err))
        fail_with(&err);
    close(kernel_fd);
    return vm;
}

static void start(struct husk_vm *vm)
{
    struct husk_error err;

    if (husk_vm_start(vm, &err))
        fail_with(&err);
}

static struct husk_event wait_for(struct husk_vm *vm, enum husk_event_type type)
{
    struct husk_event event = {0};

    do {
        assert_int_equal(husk_vm_wait_event(vm, 60000, &event), 1);
    } while (event.type != type);
    return event;
}

/* Run to the end; the VM is gone afterwards. */
static struct husk_event run_to_end(struct husk_vm *vm)
{
    struct husk_event event;

    start(vm);
    event = wait_for(vm, HUSK_EVENT_STOPPED);
    assert_int_equal(husk_vm_state(vm), HUSK_STATE_STOPPED);
    assert_int_equal(husk_vm_next_event(vm, &event), 0);
    husk_vm_free(vm);
    return event;
}

static void test_guest_exit(void **state)
{
    unsigned fds = fd_count(), threads = thread_count();
    struct husk_event event = run_to_end(NEW_VM(exit_42));

    assert_int_equal(event.reason, HUSK_STOP_GUEST_EXIT);
    assert_int_equal(event.guest_status, 42);
    assert_int_equal(fd_count(), fds);
    assert_int_equal(thread_count(), threads);
}

static void test_stop_reasons(void **state)
{
    static const struct {
        const uint8_t *code;
        size_t len;
        enum husk_stop_reason reason;
    } cases[] = {
        {triple_fault, sizeof(triple_fault), HUSK_STOP_TRIPLE_FAULT},
        {acpi_reset, sizeof(acpi_reset), HUSK_STOP_RESET},
        {acpi_power_off, sizeof(acpi_power_off), HUSK_STOP_POWER_OFF},
        {keyboard_reset, sizeof(keyboard_reset), HUSK_STOP_RESET},
        {panic, sizeof(panic), HUSK_STOP_PANIC},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct husk_event event = run_to_end(new_vm(cases[i].code, cases[i].len, 1));

        assert_string_equal(husk_stop_reason_name(event.reason),
                            husk_stop_reason_name(cases[i].reason));
    }
}

static void test_unclaimed_reads_ones(void **state)
{
    assert_int_equal(run_to_end(NEW_VM(read_nothing)).guest_status, 42);
}

/* mov $0xe0000000, %eax; jmp *%eax: nobody can run instructions from a device. */
GUEST(jump_nowhere, 0xb8, 0, 0, 0, 0xe0, 0xff, 0xe0);

static void test_monitor_error(void **state)
{
    struct husk_event event = run_to_end(NEW_VM(jump_nowhere));

    assert_int_equal(event.reason, HUSK_STOP_MONITOR_ERROR);
    assert_string_equal(event.error.where, "vcpu 0");
    assert_non_null(strstr(event.error.why, "rip 0xe0000000"));
}

/* READY once, however often the guest says it, and STOPPED last. */
static void test_ready(void **state)
{
    struct husk_vm *vm = NEW_VM(mark_then_exit_7);
    struct husk_moment moments[16];
    struct husk_event event;
    unsigned count, init = 0;

    start(vm);
    assert_int_equal(husk_vm_wait_event(vm, 60000, &event), 1);
    assert_int_equal(event.type, HUSK_EVENT_READY);
    event = wait_for(vm, HUSK_EVENT_STOPPED);
    assert_int_equal(event.guest_status, 7);
    count = husk_vm_timeline(vm, moments, ARRAY_SIZE(moments));
    for (unsigned i = 0; i < count; i++) {
        assert_true(i == 0 || moments[i].at_ns >= moments[i - 1].at_ns);
        init += !strcmp(moments[i].name, "init");
    }
    assert_int_equal(init, 1);
    husk_vm_free(vm);
}

/* A guest cannot keep the host program busy with events. */
static void test_ready_comes_once(void **state)
{
    struct husk_vm *vm = NEW_VM(mark_for_ever);
    struct husk_event event;

    start(vm);
    assert_int_equal(husk_vm_wait_event(vm, 60000, &event), 1);
    assert_int_equal(event.type, HUSK_EVENT_READY);
    assert_int_equal(husk_vm_wait_event(vm, 20, &event), 0);
    husk_vm_free(vm);
}

static void test_info(void **state)
{
    struct husk_vm *vm = NEW_VM(halt);
    struct husk_vm_info info = {.size = sizeof(info)};

    assert_int_equal(husk_vm_info(vm, &info), 0);
    assert_string_equal(info.kernel_format, "ELF (PVH)");
    assert_false(info.kernel_is_linux);
    assert_string_equal(info.command_line, husk_default_command_line(HUSK_CONSOLE_SERIAL));
    husk_vm_free(vm);
}

/* A built machine that never ran is released, too. */
static void test_free_unstarted(void **state)
{
    unsigned fds = fd_count();
    struct husk_vm *vm = NEW_VM(exit_42);
    struct husk_error err = {0};

    assert_int_equal(husk_vm_state(vm), HUSK_STATE_CREATED);
    assert_int_equal(husk_vm_stop(vm, &err), -EINVAL);
    assert_string_equal(err.why, "the VM is not started");
    assert_int_equal(husk_vm_pause(vm, NULL), -EINVAL);
    assert_int_equal(husk_vm_resume(vm, NULL), -EINVAL);
    assert_int_equal(husk_vm_power_button(vm, NULL), -EINVAL);
    husk_vm_free(vm);
    assert_int_equal(fd_count(), fds);
}

static void test_stop_spinning(void **state)
{
    struct husk_vm *vm = NEW_VM(spin);
    struct husk_event event;

    start(vm);
    assert_int_equal(husk_vm_start(vm, NULL), -EINVAL);
    assert_int_equal(husk_vm_stop(vm, NULL), 0);
    event = wait_for(vm, HUSK_EVENT_STOPPED);
    assert_int_equal(event.reason, HUSK_STOP_HOST_REQUEST);
    assert_int_equal(husk_vm_stop(vm, NULL), -EINVAL);
    assert_int_equal(husk_vm_pause(vm, NULL), -EINVAL);
    husk_vm_free(vm);
}

/* Freed while it runs, with vCPUs that wait for a start that never comes. */
static void test_free_running(void **state)
{
    unsigned threads = thread_count();
    struct husk_vm *vm = new_vm(halt, sizeof(halt), 4);

    start(vm);
    husk_vm_free(vm);
    assert_int_equal(thread_count(), threads);
}

static void pause_and_resume(const uint8_t *code, size_t len, unsigned vcpus)
{
    struct husk_vm *vm = new_vm(code, len, vcpus);
    struct husk_event event;

    start(vm);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(husk_vm_pause(vm, NULL), 0);
        assert_int_equal(husk_vm_state(vm), HUSK_STATE_PAUSED);
        assert_int_equal(husk_vm_pause(vm, NULL), -EINVAL);
        assert_int_equal(husk_vm_resume(vm, NULL), 0);
        assert_int_equal(husk_vm_state(vm), HUSK_STATE_RUNNING);
        assert_int_equal(husk_vm_resume(vm, NULL), -EINVAL);
    }
    /* Nobody read events: the newest of each type wait, and older ones may. */
    for (unsigned extra = 0; mode == HUSK_MODE_JAILED && extra < 2 * 99; extra++) {
        assert_int_equal(husk_vm_next_event(vm, &event), 1);
        assert_int_equal(event.type, extra % 2 ? HUSK_EVENT_RESUMED : HUSK_EVENT_PAUSED);
    }
    assert_int_equal(husk_vm_next_event(vm, &event), 1);
    assert_int_equal(event.type, HUSK_EVENT_PAUSED);
    assert_int_equal(husk_vm_next_event(vm, &event), 1);
    assert_int_equal(event.type, HUSK_EVENT_RESUMED);
    assert_int_equal(husk_vm_next_event(vm, &event), 0);
    assert_int_equal(husk_vm_pause(vm, NULL), 0);
    assert_int_equal(husk_vm_stop(vm, NULL), 0);
    event = wait_for(vm, HUSK_EVENT_STOPPED);
    assert_int_equal(event.reason, HUSK_STOP_HOST_REQUEST);
    husk_vm_free(vm);
}

static void test_pause_spinning(void **state)
{
    pause_and_resume(spin, sizeof(spin), 1);
}

static void test_pause_halted(void **state)
{
    pause_and_resume(halt, sizeof(halt), 4);
}

/* A guest that leaves all the time: the pause meets it in every place. */
GUEST(busy_then_loop, 0xe4, 0x64, 0xeb, 0xfc); /* in $0x64, %al; jmp */

static void test_pause_busy(void **state)
{
    pause_and_resume(busy_then_loop, sizeof(busy_then_loop), 2);
}

static void *stop_vm(void *arg)
{
    husk_vm_stop(arg, NULL);
    return NULL;
}

/* Stop and pause at once: the VM ends, and neither call hangs. */
static void test_stop_against_pause(void **state)
{
    for (unsigned i = 0; i < 20; i++) {
        struct husk_vm *vm = new_vm(mark_then_spin, sizeof(mark_then_spin), 2);
        pthread_t thread;

        start(vm);
        wait_for(vm, HUSK_EVENT_READY);
        assert_int_equal(pthread_create(&thread, NULL, stop_vm, vm), 0);
        if (husk_vm_pause(vm, NULL) == 0)
            husk_vm_resume(vm, NULL);
        pthread_join(thread, NULL);
        assert_int_equal(wait_for(vm, HUSK_EVENT_STOPPED).reason, HUSK_STOP_HOST_REQUEST);
        husk_vm_free(vm);
    }
}

static void test_many_in_one_process(void **state)
{
    enum { COUNT = 50 };
    unsigned fds = fd_count(), threads = thread_count();
    struct husk_vm *vms[COUNT];

    for (unsigned i = 0; i < COUNT; i++) {
        vms[i] = NEW_VM(exit_42);
        start(vms[i]);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        struct husk_event event = wait_for(vms[i], HUSK_EVENT_STOPPED);

        assert_int_equal(event.reason, HUSK_STOP_GUEST_EXIT);
        assert_int_equal(event.guest_status, 42);
    }
    for (unsigned i = 0; i < COUNT; i++)
        husk_vm_free(vms[i]);
    assert_int_equal(fd_count(), fds);
    assert_int_equal(thread_count(), threads);
}

/* The last words are written out although the guest ended at once. */
static void test_console_output(void **state)
{
    int kernel_fd = tiny_guest_fd(say_husk, sizeof(say_husk));
    struct husk_vm_options options = options_for(kernel_fd);
    struct husk_vm *vm;
    char text[16] = "";
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    options.console_out_fd = ends[1];
    assert_int_equal(husk_vm_new(&options, &vm, NULL), 0);
    assert_int_equal(husk_vm_build(vm, NULL), 0);
    assert_int_equal(run_to_end(vm).reason, HUSK_STOP_GUEST_EXIT);
    close(ends[1]);
    assert_int_equal(read(ends[0], text, sizeof(text)), 5);
    assert_string_equal(text, "husk\n");
    close(ends[0]);
    close(kernel_fd);
}

static void refuse_signal(int signal_number)
{
    abort();
}

/* A host program's own use of the signal that kicks vCPUs is not disturbed, nor does it disturb. */
static void test_host_signals(void **state)
{
    struct sigaction before, during = {.sa_handler = refuse_signal}, after;

    assert_int_equal(sigaction(SIGRTMAX, &during, &before), 0);
    pause_and_resume(spin, sizeof(spin), 2);
    assert_int_equal(sigaction(SIGRTMAX, &before, &after), 0);
    assert_ptr_equal(after.sa_handler, refuse_signal);

    during.sa_handler = SIG_IGN;
    assert_int_equal(sigaction(SIGRTMAX, &during, &before), 0);
    pause_and_resume(spin, sizeof(spin), 2);
    sigaction(SIGRTMAX, &before, NULL);
}

/* ---- starts that fail ---- */

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Address space in use. */
static uint64_t mapped_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return (uint64_t)pages * 4096;
}

/* No address space for the stacks of all threads: the start fails whole, and may be repeated. */
static void test_failing_start(void **state)
{
#ifdef SANITIZED
    skip(); /* a sanitizer needs address space of its own */
#endif
    struct husk_vm *vm = new_vm(exit_42, sizeof(exit_42), 16);
    unsigned threads = thread_count(), failures = 0;
    struct rlimit before, limited;
    struct husk_error err = {0};
    int ret;

    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    for (uint64_t spare = 0;; spare += 10 << 20) {
        limited = before;
        limited.rlim_cur = mapped_bytes() + spare;
        assert_int_equal(setrlimit(RLIMIT_AS, &limited), 0);
        ret = husk_vm_start(vm, &err);
        setrlimit(RLIMIT_AS, &before);
        if (ret == 0)
            break;
        assert_int_equal(ret, -EAGAIN);
        assert_string_equal(err.what, "cannot start the VM's threads");
        assert_int_equal(husk_vm_state(vm), HUSK_STATE_CREATED);
        assert_int_equal(thread_count(), threads);
        failures++;
    }
    assert_true(failures > 0);
    assert_int_equal(wait_for(vm, HUSK_EVENT_STOPPED).guest_status, 42);
    husk_vm_free(vm);
}

/* ---- builds that fail ---- */

static char *make_disk(void)
{
    char *path = strdup("/tmp/husk-test-XXXXXX");
    int fd = mkostemp(path, O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    close(fd);
    return path;
}

struct build_case {
    const char *where, *why; /* parts of the expected error; NULL: any */
    void (*change)(struct husk_vm_options *options);
    const char *drive; /* a second drive */
    const char *tap;
    bool twice; /* the first drive again, this time to be written */
};

static void kernel_missing(struct husk_vm_options *options)
{
    options->kernel_fd = -1;
    options->kernel_path = "/nonexistent/vmlinux";
}

static void kernel_directory(struct husk_vm_options *options)
{
    options->kernel_fd = -1;
    options->kernel_path = "/tmp";
}

static void kernel_device(struct husk_vm_options *options)
{
    options->kernel_fd = -1;
    options->kernel_path = "/dev/null";
}

static void initrd_missing(struct husk_vm_options *options)
{
    options->initrd_path = "/nonexistent/initrd";
}

static void initrd_directory(struct husk_vm_options *options)
{
    options->initrd_path = "/tmp";
}

static void too_many_vcpus(struct husk_vm_options *options)
{
    options->vcpus = 4096;
}

static void no_room(struct husk_vm_options *options)
{
    options->memory_bytes = 1 << 20;
}

static void nothing(struct husk_vm_options *options)
{
}

static void build_badly(const struct build_case *test, const char *disk)
{
    int kernel_fd = tiny_guest_fd(exit_42, sizeof(exit_42));
    struct husk_vm_options options = options_for(kernel_fd);
    struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
    struct husk_net_options net = HUSK_NET_OPTIONS_INIT;
    struct husk_error err = {0};
    struct husk_vm *vm;

    test->change(&options);
    assert_int_equal(husk_vm_new(&options, &vm, NULL), 0);
    drive.path = disk;
    drive.read_only = 1;
    assert_int_equal(husk_vm_add_drive(vm, &drive, NULL), 0);
    drive.read_only = 0;
    if (test->twice)
        assert_int_equal(husk_vm_add_drive(vm, &drive, NULL), 0);
    drive.path = test->drive;
    drive.read_only = 1;
    if (test->drive)
        assert_int_equal(husk_vm_add_drive(vm, &drive, NULL), 0);
    net.tap_name = test->tap;
    if (test->tap)
        assert_int_equal(husk_vm_add_net(vm, &net, NULL), 0);
    assert_true(husk_vm_build(vm, &err) < 0);
    assert_true(err.code > 0);
    assert_true(err.what[0] != '\0');
    if (test->where && !strstr(err.where, test->where))
        fail_with(&err);
    if (test->why && !strstr(err.why, test->why))
        fail_with(&err);
    assert_true(husk_vm_build(vm, NULL) < 0);
    assert_true(husk_vm_start(vm, NULL) < 0);
    husk_vm_free(vm);
    close(kernel_fd);
}

static void test_failing_builds(void **state)
{
    static const struct build_case cases[] = {
        {"/nonexistent/vmlinux", "No such file", kernel_missing, NULL, NULL, false},
        {"/tmp", "Is a directory", kernel_directory, NULL, NULL, false},
        {"/dev/null", "not a regular file", kernel_device, NULL, NULL, false},
        {"/nonexistent/initrd", "No such file", initrd_missing, NULL, NULL, false},
        {"/tmp", "Is a directory", initrd_directory, NULL, NULL, false},
        {"vcpus", "at most", too_many_vcpus, NULL, NULL, false},
        {NULL, NULL, no_room, NULL, NULL, false},
        {"/nonexistent/disk", NULL, nothing, "/nonexistent/disk", NULL, false},
        {"husknone", NULL, nothing, NULL, "husknone", false},
        {NULL, "given twice", nothing, NULL, NULL, true},
    };
    char *disk = make_disk();
    unsigned fds = fd_count(), threads = thread_count();

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        build_badly(&cases[i], disk);
        assert_int_equal(fd_count(), fds);
        assert_int_equal(thread_count(), threads);
    }
    unlink(disk);
    free(disk);
}

/* Fail at the Nth descriptor, for every N until the build succeeds: nothing may remain. */
static void test_descriptor_exhaustion(void **state)
{
    char *disk = make_disk();
    int kernel_fd = tiny_guest_fd(exit_42, sizeof(exit_42));
    unsigned fds = fd_count(), threads = thread_count(), failures = 0;
    struct rlimit before, limited;
    bool built = false;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (unsigned spare = 0; !built && spare < 100; spare++) {
        struct husk_vm_options options = options_for(kernel_fd);
        struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
        struct husk_error err = {0};
        struct husk_vm *vm;

        drive.path = disk;
        drive.engine = spare % 2 ? HUSK_BLOCK_ENGINE_THREADS : HUSK_BLOCK_ENGINE_AUTO;
        options.vcpus = 2;
        assert_int_equal(husk_vm_new(&options, &vm, NULL), 0);
        assert_int_equal(husk_vm_add_drive(vm, &drive, NULL), 0);
        limited = before;
        limited.rlim_cur = (rlim_t)kernel_fd + 1 + spare;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limited), 0);
        built = husk_vm_build(vm, &err) == 0;
        setrlimit(RLIMIT_NOFILE, &before);
        if (!built) {
            assert_true(err.what[0] != '\0');
            failures++;
        }
        husk_vm_free(vm);
        assert_int_equal(fd_count(), fds);
        assert_int_equal(thread_count(), threads);
    }
    assert_true(built);
    assert_true(failures > 10);
    close(kernel_fd);
    unlink(disk);
    free(disk);
}

static void test_version(void **state)
{
    char text[32];

    snprintf(text, sizeof(text), "%d.%d.%d", HUSK_VERSION_MAJOR, HUSK_VERSION_MINOR,
             HUSK_VERSION_PATCH);
    assert_string_equal(husk_version(), text);
}

/* ---- jailed mode only ---- */

static int process_of(struct husk_vm *vm)
{
    struct husk_vm_info info = {.size = sizeof(info)};

    assert_int_equal(husk_vm_info(vm, &info), 0);
    return info.pid;
}

/* Its process killed, a VM has stopped by a monitor error; every call says so, and none hangs. */
static void test_process_is_gone(void **state)
{
    unsigned fds = fd_count();
    struct husk_vm *vm = NEW_VM(mark_then_spin);
    struct husk_error err = {0};
    struct husk_event event;
    struct pollfd events;

    start(vm);
    wait_for(vm, HUSK_EVENT_READY);
    assert_int_equal(kill(process_of(vm), SIGKILL), 0);
    event = wait_for(vm, HUSK_EVENT_STOPPED);
    assert_int_equal(event.reason, HUSK_STOP_MONITOR_ERROR);
    assert_non_null(strstr(event.error.why, "signal 9"));
    assert_int_equal(husk_vm_state(vm), HUSK_STATE_STOPPED);
    assert_int_equal(husk_vm_pause(vm, &err), -EPIPE);
    assert_string_equal(err.what, "cannot pause the VM");
    assert_non_null(strstr(err.why, "signal 9"));
    assert_int_equal(husk_vm_stop(vm, NULL), -EPIPE);
    assert_int_equal(husk_vm_next_event(vm, &event), 0);
    events = (struct pollfd){.fd = husk_vm_event_fd(vm), .events = POLLIN};
    assert_int_equal(poll(&events, 1, 0), 0);
    husk_vm_free(vm);
    assert_int_equal(fd_count(), fds);
}

static void test_no_such_program(void **state)
{
    unsigned fds = fd_count();
    int kernel_fd = tiny_guest_fd(exit_42, sizeof(exit_42));
    struct husk_vm_options options = options_for(kernel_fd);
    struct husk_error err = {0};
    struct husk_vm *vm;

    options.vmm_path = "/nonexistent/husk-vmm";
    assert_int_equal(husk_vm_new(&options, &vm, NULL), 0);
    assert_int_equal(husk_vm_build(vm, &err), -ENOENT);
    assert_string_equal(err.where, "/nonexistent/husk-vmm");
    husk_vm_free(vm);
    close(kernel_fd);
    assert_int_equal(fd_count(), fds);
}

/* A host program that waits for whatever child takes nothing that the library cannot do without. */
static void test_child_is_waited_for(void **state)
{
    struct husk_vm *vm = NEW_VM(mark_then_spin);
    int pid = process_of(vm);

    start(vm);
    wait_for(vm, HUSK_EVENT_READY);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(-1, NULL, 0), pid);
    assert_int_equal(wait_for(vm, HUSK_EVENT_STOPPED).reason, HUSK_STOP_MONITOR_ERROR);
    husk_vm_free(vm);
}

/* The path of the program is the caller's, relative to his directory if he likes. */
static void test_relative_program(void **state)
{
    char here[PATH_MAX], *program = realpath(getenv("HUSK_VMM"), NULL);
    int kernel_fd = tiny_guest_fd(exit_42, sizeof(exit_42));
    struct husk_vm_options options = options_for(kernel_fd);
    struct husk_vm *vm;

    assert_non_null(program);
    assert_non_null(getcwd(here, sizeof(here)));
    options.vmm_path = basename(program);
    assert_int_equal(husk_vm_new(&options, &vm, NULL), 0);
    assert_int_equal(chdir(dirname(program)), 0);
    assert_int_equal(husk_vm_build(vm, NULL), 0);
    assert_int_equal(chdir(here), 0);
    assert_int_equal(run_to_end(vm).guest_status, 42);
    close(kernel_fd);
    free(program);
}

/* Its own signals end a jailed VM as from the host. */
static void test_process_takes_signals(void **state)
{
    struct husk_vm *vm = NEW_VM(mark_then_spin);

    start(vm);
    wait_for(vm, HUSK_EVENT_READY);
    assert_int_equal(kill(process_of(vm), SIGTERM), 0);
    assert_int_equal(wait_for(vm, HUSK_EVENT_STOPPED).reason, HUSK_STOP_HOST_REQUEST);
    husk_vm_free(vm);
}

/* What a process makes once (a sanitizer's own thread, say) is there before anything is counted. */
static int set_mode(enum husk_mode new_mode)
{
    mode = new_mode;
    run_to_end(NEW_VM(exit_42));
    return 0;
}

static int in_process(void **state)
{
    return set_mode(HUSK_MODE_IN_PROCESS);
}

static int jailed(void **state)
{
    return set_mode(HUSK_MODE_JAILED);
}

#define IN_BOTH_MODES                                                                          \
    cmocka_unit_test(test_guest_exit), cmocka_unit_test(test_stop_reasons),                    \
        cmocka_unit_test(test_unclaimed_reads_ones), cmocka_unit_test(test_ready),             \
        cmocka_unit_test(test_ready_comes_once), cmocka_unit_test(test_info),                  \
        cmocka_unit_test(test_free_unstarted), cmocka_unit_test(test_stop_spinning),           \
        cmocka_unit_test(test_free_running), cmocka_unit_test(test_pause_spinning),            \
        cmocka_unit_test(test_pause_halted), cmocka_unit_test(test_pause_busy),                \
        cmocka_unit_test(test_stop_against_pause), cmocka_unit_test(test_many_in_one_process), \
        cmocka_unit_test(test_console_output), cmocka_unit_test(test_host_signals),            \
        cmocka_unit_test(test_failing_builds), cmocka_unit_test(test_descriptor_exhaustion),   \
        cmocka_unit_test(test_monitor_error)

int main(void)
{
    const struct CMUnitTest in_process_tests[] = {
        IN_BOTH_MODES,
        cmocka_unit_test(test_failing_start),
        cmocka_unit_test(test_version),
    };
    const struct CMUnitTest jailed_tests[] = {
        IN_BOTH_MODES,
        cmocka_unit_test(test_process_is_gone),
        cmocka_unit_test(test_no_such_program),
        cmocka_unit_test(test_relative_program),
        cmocka_unit_test(test_child_is_waited_for),
        cmocka_unit_test(test_process_takes_signals),
    };
    int failed;

    if (!tiny_guest_can_run())
        return 77;
    failed = cmocka_run_group_tests(in_process_tests, in_process, NULL);
#ifdef THREAD_SANITIZER
    /* Its runtime does not survive the way a process is started, on borrowed memory. */
    fprintf(stderr, "skipped: jailed VMs: the thread sanitizer cannot start processes so\n");
    return failed;
#endif
    return failed + cmocka_run_group_tests(jailed_tests, jailed, NULL);
}
