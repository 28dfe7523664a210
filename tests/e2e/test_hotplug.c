// SPDX-License-Identifier: Apache-2.0
/*
 * Drives and network devices that come and go while a guest runs (tests/guests/hotplug.c), through
 * the library: in process, in process under the filters, and jailed.
 *
 *   test_hotplug GUESTS    the directory of the guests
 *
 * Needs /dev/kvm; exits with 77 where there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "husk/husk.h"
#include "tests/harness/tiny_guest.h"

#define SKIPPED 77
#define SECTOR  512u
#define SECTORS 64u
#define WAIT_MS 60000

static char kernel[PATH_MAX];
static enum husk_mode mode;
static bool confined;
static struct husk_error err;
static int console_fd;

#define MUST(call)     \
    do {               \
        if (call)      \
            say_why(); \
    } while (0)

static void say_why(void)
{
    char text[640];

    fail_msg("%s", error_format(&err, text, sizeof(text)));
}

/* ---- disks ---- */

static char *make_disk(char letter)
{
    char *path = strdup("/tmp/husk-test-XXXXXX");
    int fd = mkostemp(path, O_CLOEXEC);
    char sector[SECTOR];

    assert_true(fd >= 0);
    memset(sector, letter, sizeof(sector));
    for (unsigned i = 0; i < SECTORS; i++)
        assert_int_equal(write(fd, sector, sizeof(sector)), sizeof(sector));
    close(fd);
    return path;
}

static void drop_disk(char *path)
{
    unlink(path);
    free(path);
}

static char letter_at(const char *path, unsigned sector)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char letter = '!';

    assert_int_equal(pread(fd, &letter, 1, (off_t)sector * SECTOR), 1);
    close(fd);
    return letter;
}

/* Whether nobody holds the lock of a writable disk. */
static bool is_free(const char *path)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool got = fcntl(fd, F_OFD_SETLK, &lock) == 0;

    close(fd);
    return got;
}

/* ---- machines ---- */

static struct husk_vm *new_vm(const char *words, enum husk_transport transport)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct husk_vm *vm;

    console_fd = memfd_create("console", MFD_CLOEXEC);
    options.mode = mode;
    options.confine_threads = confined;
    options.kernel_path = kernel;
    options.command_line = words;
    options.memory_bytes = 16 << 20;
    options.console_out_fd = console_fd;
    options.transport = transport;
    MUST(husk_vm_new(&options, &vm, &err));
    return vm;
}

static struct husk_vm *build(const char *words)
{
    struct husk_vm *vm = new_vm(words, HUSK_TRANSPORT_PCI);

    MUST(husk_vm_build(vm, &err));
    return vm;
}

/* All that the guest said. */
static const char *console_text(void)
{
    static char text[65536];
    ssize_t len = pread(console_fd, text, sizeof(text) - 1, 0);

    text[len < 0 ? 0 : len] = '\0';
    return text;
}

static bool said(const char *words)
{
    return strstr(console_text(), words) != NULL;
}

static struct husk_event next(struct husk_vm *vm)
{
    struct husk_event event = {0};

    if (husk_vm_wait_event(vm, WAIT_MS, &event) != 1)
        fail_msg("no event; the guest said:\n%s", console_text());
    return event;
}

static void start(struct husk_vm *vm)
{
    MUST(husk_vm_start(vm, &err));
    assert_int_equal(next(vm).type, HUSK_EVENT_READY);
}

static void wait_until_said(const char *words)
{
    for (unsigned i = 0; i < WAIT_MS / 10; i++) {
        if (said(words))
            return;
        usleep(10000);
    }
    fail_msg("the guest never said \"%s\"", words);
}

static void expect_removal(struct husk_vm *vm, enum husk_device_kind kind, const char *id)
{
    struct husk_event event = next(vm);

    if (event.type == HUSK_EVENT_STOPPED)
        fail_msg("%s %u\n%s", husk_stop_reason_name(event.reason), event.guest_status,
                 console_text());
    assert_int_equal(event.type, HUSK_EVENT_DEVICE_REMOVED);
    assert_int_equal(event.device.kind, kind);
    assert_string_equal(event.device.id, id);
}

static void expect_end(struct husk_vm *vm)
{
    struct husk_event event = next(vm);

    if (event.type != HUSK_EVENT_STOPPED || event.reason != HUSK_STOP_GUEST_EXIT ||
        event.guest_status || said("FAIL"))
        fail_msg("type %u, %s, status %u\n%s", event.type, husk_stop_reason_name(event.reason),
                 event.guest_status, console_text());
    husk_vm_free(vm);
    close(console_fd);
}

static int add_drive(struct husk_vm *vm, const char *id, const char *path)
{
    struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;

    drive.id = id;
    drive.path = path;
    return husk_vm_add_drive(vm, &drive, &err);
}

/* ---- tests ---- */

static void a_drive_comes_and_goes(void **state)
{
    char *disk = make_disk('a');
    struct husk_drive_stats stats = {.size = sizeof(stats)};
    struct husk_drive_update update = HUSK_DRIVE_UPDATE_INIT;
    const struct husk_rate rate = {.per_second = 1000};
    struct husk_vm *vm = build("rounds=1");

    start(vm);
    MUST(add_drive(vm, "data", disk));
    wait_until_said("disk 2 holds a"); /* the entropy device is 1 */
    assert_false(is_free(disk));
    assert_int_equal(add_drive(vm, "data", disk), -EEXIST);
    assert_int_equal(add_drive(vm, "more", disk), -EBUSY);
    update.operations = &rate;
    MUST(husk_vm_update_drive(vm, "data", &update, &err));
    do {
        MUST(husk_vm_drive_stats(vm, "data", &stats, &err));
    } while (stats.write_bytes < SECTOR);
    assert_int_equal(husk_vm_remove_drive(vm, "other", &err), -ENOENT);
    assert_int_equal(husk_vm_remove_net(vm, "data", &err), -ENOENT);
    MUST(husk_vm_remove_drive(vm, "data", &err));
    expect_removal(vm, HUSK_DEVICE_DRIVE, "data");
    assert_true(is_free(disk));
    assert_int_equal(husk_vm_drive_stats(vm, "data", &stats, &err), -ENOENT);
    expect_end(vm);
    assert_int_equal(letter_at(disk, 1), 'z');
    drop_disk(disk);
}

/* Those that are there when the guest starts go as well, and keep no one's place. */
static void drives_from_the_start_go(void **state)
{
    char *first = make_disk('a'), *second = make_disk('b'), *third = make_disk('c');
    struct husk_drive_stats stats = {.size = sizeof(stats)};
    struct husk_vm *vm = new_vm("rounds=3", HUSK_TRANSPORT_PCI);

    MUST(add_drive(vm, "first", first));
    MUST(add_drive(vm, "second", second));
    MUST(husk_vm_build(vm, &err));
    start(vm);
    MUST(husk_vm_remove_drive(vm, "first", &err));
    expect_removal(vm, HUSK_DEVICE_DRIVE, "first");
    MUST(husk_vm_drive_stats(vm, "second", &stats, &err));
    MUST(add_drive(vm, "first", third)); /* the id is free, and so is the slot */
    wait_until_said("disk 1 holds c");
    MUST(husk_vm_remove_drive(vm, "second", &err));
    expect_removal(vm, HUSK_DEVICE_DRIVE, "second");
    assert_false(is_free(third));
    MUST(husk_vm_remove_drive(vm, "first", &err));
    expect_removal(vm, HUSK_DEVICE_DRIVE, "first");
    expect_end(vm);
    drop_disk(first);
    drop_disk(second);
    drop_disk(third);
}

static void a_guest_that_does_not_hear(void **state)
{
    char *disk = make_disk('a');
    struct husk_vm *vm = build("rounds=1 deaf=1");
    struct husk_event event;

    start(vm);
    MUST(add_drive(vm, NULL, disk));
    wait_until_said("disk 2 holds a");
    MUST(husk_vm_remove_drive(vm, "drive1", &err));
    wait_until_said("deaf to 2");
    assert_int_equal(husk_vm_next_event(vm, &event), 0);
    assert_false(is_free(disk));
    MUST(husk_vm_remove_drive(vm, "drive1", &err)); /* once more */
    expect_removal(vm, HUSK_DEVICE_DRIVE, "drive1");
    expect_end(vm);
    drop_disk(disk);
}

static void ejected_unasked(void **state)
{
    char *disk = make_disk('a');
    struct husk_vm *vm = build("rounds=1 early=1");

    start(vm);
    MUST(add_drive(vm, "data", disk));
    expect_removal(vm, HUSK_DEVICE_DRIVE, "data");
    assert_true(is_free(disk));
    expect_end(vm);
    drop_disk(disk);
}

static void ejected_at_work(void **state)
{
    char *disk = make_disk('a');
    struct husk_vm *vm = build("rounds=1 running=1");

    start(vm);
    MUST(add_drive(vm, "data", disk));
    wait_until_said("disk 2 holds a");
    MUST(husk_vm_remove_drive(vm, "data", &err));
    expect_removal(vm, HUSK_DEVICE_DRIVE, "data");
    expect_end(vm);
    drop_disk(disk);
}

static void a_hostile_guest(void **state)
{
    char *disk = make_disk('a');
    struct husk_vm *vm = new_vm("rounds=1 hostile=1", HUSK_TRANSPORT_PCI);
    struct husk_event event;
    bool removed = false;

    MUST(add_drive(vm, "data", disk));
    MUST(husk_vm_build(vm, &err));
    MUST(husk_vm_start(vm, &err));
    for (unsigned i = 0; i < 2; i++) {
        event = next(vm);
        assert_true(event.type == HUSK_EVENT_READY || event.type == HUSK_EVENT_DEVICE_REMOVED);
        removed |= event.type == HUSK_EVENT_DEVICE_REMOVED;
    }
    assert_true(removed);
    MUST(add_drive(vm, "data", disk));
    wait_until_said("disk 1 holds a");
    MUST(husk_vm_remove_drive(vm, "data", &err));
    expect_removal(vm, HUSK_DEVICE_DRIVE, "data");
    expect_end(vm);
    drop_disk(disk);
}

static void while_it_is_paused(void **state)
{
    char *disk = make_disk('a');
    struct husk_vm *vm = build("rounds=1");
    struct husk_event event;

    start(vm);
    MUST(husk_vm_pause(vm, &err));
    assert_int_equal(next(vm).type, HUSK_EVENT_PAUSED);
    MUST(add_drive(vm, "data", disk));
    MUST(husk_vm_remove_drive(vm, "data", &err));
    assert_int_equal(husk_vm_wait_event(vm, 100, &event), 0);
    MUST(husk_vm_resume(vm, &err));
    assert_int_equal(next(vm).type, HUSK_EVENT_RESUMED);
    expect_removal(vm, HUSK_DEVICE_DRIVE, "data");
    expect_end(vm);
    drop_disk(disk);
}

/* There is no guest to ask, or to tell. */
static void before_the_start(void **state)
{
    char *one = make_disk('a'), *other = make_disk('b');
    struct husk_vm *vm = build("rounds=1");

    MUST(add_drive(vm, "data", one));
    MUST(husk_vm_remove_drive(vm, "data", &err));
    expect_removal(vm, HUSK_DEVICE_DRIVE, "data");
    assert_true(is_free(one));
    MUST(add_drive(vm, "data", other));
    start(vm);
    MUST(husk_vm_remove_drive(vm, "data", &err));
    expect_removal(vm, HUSK_DEVICE_DRIVE, "data");
    expect_end(vm);
    drop_disk(one);
    drop_disk(other);
}

static void refused(void **state)
{
    char *disk = make_disk('a');
    struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
    struct husk_vm *vm = new_vm("rounds=1", HUSK_TRANSPORT_MMIO);
    char id[16];
    int ret;

    MUST(husk_vm_build(vm, &err));
    assert_int_equal(add_drive(vm, "data", disk), -EOPNOTSUPP);
    assert_non_null(strstr(err.why, "transport pci"));
    assert_int_equal(husk_vm_remove_drive(vm, "data", &err), -EOPNOTSUPP);
    husk_vm_free(vm);
    close(console_fd);

    vm = build("rounds=40");
    start(vm);
    assert_int_equal(add_drive(vm, "data", "/nonexistent"), -ENOENT);
    assert_int_equal(add_drive(vm, "da ta", disk), -EINVAL);
    drive.fd = open(disk, O_RDONLY | O_CLOEXEC); /* not for writing: it stays the caller's */
    assert_int_equal(husk_vm_add_drive(vm, &drive, &err), -EBADF);
    assert_int_equal(close(drive.fd), 0);
    drive.fd = -1;
    drive.path = disk;
    drive.read_only = 1;
    for (unsigned i = 0;; i++) {
        snprintf(id, sizeof(id), "d%u", i);
        drive.id = id;
        ret = husk_vm_add_drive(vm, &drive, &err);
        if (ret)
            break;
        assert_true(i < 40);
    }
    assert_int_equal(ret, -ENOSPC);
    husk_vm_free(vm);
    close(console_fd);
    drop_disk(disk);
}

static void after_the_end(void **state)
{
    char *disk = make_disk('a');
    struct husk_vm *vm = build("rounds=2");

    start(vm);
    MUST(add_drive(vm, "data", disk));
    wait_until_said("disk 2 holds a");
    MUST(husk_vm_stop(vm, &err));
    assert_int_equal(next(vm).type, HUSK_EVENT_STOPPED);
    assert_int_equal(husk_vm_remove_drive(vm, "data", &err), -EINVAL);
    drop_disk(disk);
    disk = make_disk('b');
    assert_int_equal(add_drive(vm, "late", disk), -EINVAL);
    husk_vm_free(vm);
    close(console_fd);
    drop_disk(disk);
}

/* ---- nothing is left behind ---- */

static unsigned count_files(struct husk_vm *vm)
{
    struct husk_vm_info info = {.size = sizeof(info)};
    char path[64];
    unsigned count = 0;
    DIR *directory;

    MUST(husk_vm_info(vm, &info));
    snprintf(path, sizeof(path), "/proc/%d/fd", info.pid);
    directory = opendir(path);
    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

#define CYCLES 40u

static void many_cycles(void **state)
{
    char *disk = make_disk('a');
    unsigned files = 0;
    char words[32];
    struct husk_vm *vm;

    snprintf(words, sizeof(words), "rounds=%u", CYCLES);
    vm = build(words);
    start(vm);
    for (unsigned i = 0; i < CYCLES; i++) {
        MUST(add_drive(vm, NULL, disk));
        if (i == 2)
            files = count_files(vm);
        if (i == CYCLES - 1)
            assert_true(count_files(vm) <= files);
        MUST(husk_vm_remove_drive(vm, "drive1", &err));
        expect_removal(vm, HUSK_DEVICE_DRIVE, "drive1");
    }
    expect_end(vm);
    drop_disk(disk);
}

/* ---- network devices ---- */

/* Descriptors of a tap that needs no name on the host: in a network namespace of its own. */
static int open_tap(void)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int fd = -1;

    if (home < 0 || unshare(CLONE_NEWNET) < 0)
        goto out;
    fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) < 0) {
        close(fd);
        fd = -1;
    }
    assert_int_equal(setns(home, CLONE_NEWNET), 0);
out:
    if (home >= 0)
        close(home);
    return fd;
}

static void a_net_comes_and_goes(void **state)
{
    struct husk_net_options net = HUSK_NET_OPTIONS_INIT;
    struct husk_net_stats stats = {.size = sizeof(stats)};
    int tap = open_tap();
    struct husk_vm *vm;

    if (tap < 0) {
        fprintf(stderr, "skipped: network: no tap can be made here: %s\n", strerror(errno));
        skip();
    }
    vm = build("rounds=1");
    start(vm);
    net.id = "eth1";
    net.tap_fds = &tap;
    net.vhost = HUSK_VHOST_OFF;
    MUST(husk_vm_add_net(vm, &net, &err));
    assert_int_equal(fcntl(tap, F_GETFD), -1); /* it is the VM's */
    wait_until_said("net 2");
    MUST(husk_vm_net_stats(vm, "eth1", &stats, &err));
    MUST(husk_vm_remove_net(vm, "eth1", &err));
    expect_removal(vm, HUSK_DEVICE_NET, "eth1");
    assert_int_equal(husk_vm_net_stats(vm, "eth1", &stats, &err), -ENOENT);
    expect_end(vm);
}

static int in_process(void **state)
{
    mode = HUSK_MODE_IN_PROCESS;
    return 0;
}

static int in_process_confined(void **state)
{
    confined = true;
    return 0;
}

static int jailed(void **state)
{
    confined = false;
    mode = HUSK_MODE_JAILED;
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drive_comes_and_goes),
        cmocka_unit_test(drives_from_the_start_go),
        cmocka_unit_test(a_guest_that_does_not_hear),
        cmocka_unit_test(ejected_unasked),
        cmocka_unit_test(ejected_at_work),
        cmocka_unit_test(a_hostile_guest),
        cmocka_unit_test(while_it_is_paused),
        cmocka_unit_test(before_the_start),
        cmocka_unit_test(refused),
        cmocka_unit_test(after_the_end),
        cmocka_unit_test(many_cycles),
        cmocka_unit_test(a_net_comes_and_goes),
    };
    int failed;

    if (argc != 2) {
        fprintf(stderr, "usage: %s GUESTS\n", argv[0]);
        return 2;
    }
    if (!tiny_guest_can_run())
        return SKIPPED;
    snprintf(kernel, sizeof(kernel), "%s/hotplug.elf", argv[1]);
    failed = cmocka_run_group_tests(tests, in_process, NULL);
    failed += cmocka_run_group_tests(tests, in_process_confined, NULL);
    return failed + cmocka_run_group_tests(tests, jailed, NULL);
}
