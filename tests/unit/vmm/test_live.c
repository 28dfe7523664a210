// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/husk_live.c, machine_live.c, machine_reopen.c and machine_stats.c together, through the
 * public interface: what can be changed, asked and typed while a VM lives. The guests are a few
 * instructions; what a guest sees of it is in tests/e2e/test_live.c. Needs /dev/kvm.
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
#include <linux/if_tun.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "husk/husk.h"
#include "tests/harness/tiny_guest.h"

#define GUEST(name, ...) static const uint8_t name[] = {__VA_ARGS__}
#define MIB              (1u << 20)

GUEST(spin, GUEST_SPIN);
GUEST(mark_then_exit, GUEST_OUT(0xf5, 1), GUEST_OUT(0xf4, 3), GUEST_HALT);
GUEST(read_port_for_ever, 0xe4, 0x64, 0xeb, 0xfc); /* in $0x64, %al; jmp */
/* mov $0x603, %dx; poll: in %dx, %al; test %al, %al; jz poll; power off */
GUEST(heeds_power_button, 0x66, 0xba, 0x03, 0x06, 0xec, 0x84, 0xc0, 0x74, 0xfb,
      GUEST_OUT_DX(0x600, 0x20 | 5 << 2), GUEST_HALT);
/* mov $msg, %esi; mov $5, %ecx; mov $0x3f8, %dx; rep outsb; out $0, $0xf4; msg: "husk\n" */
GUEST(say_husk, 0xbe, 0x15, 0x00, 0x10, 0x00, 0xb9, 5, 0, 0, 0, 0x66, 0xba, 0xf8, 0x03, 0xf3, 0x6e,
      GUEST_OUT(0xf4, 0), 0xf4, 'h', 'u', 's', 'k', '\n');
/*
 * Sends back what comes on COM1, which it polls:
 * poll: mov $0x3fd, %dx; in %dx, %al; test $1, %al; jz poll; mov $0x3f8, %dx; in %dx, %al;
 *       out %al, %dx; cmp $'q', %al; jne poll; out $0, $0xf4
 */
GUEST(echo, 0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf7, 0x66, 0xba, 0xf8, 0x03, 0xec,
      0xee, 0x3c, 'q', 0x75, 0xed, GUEST_OUT(0xf4, 0), GUEST_HALT);

static enum husk_mode mode;
static bool confined; /* the VM's threads are under their filters */

static void fail_with(const struct husk_error *err)
{
    char text[640];

    fail_msg("%s", error_format(err, text, sizeof(text)));
}

#define MUST(call)            \
    do {                      \
        if (call)             \
            fail_with(&err_); \
    } while (0)

static struct husk_error err_;

/* ---- disks ---- */

static char *make_disk(uint64_t bytes)
{
    char *path = strdup("/tmp/husk-test-XXXXXX");
    int fd = mkostemp(path, O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    close(fd);
    return path;
}

static void drop_disk(char *path)
{
    unlink(path);
    free(path);
}

/* Whether nobody holds the lock of a writable disk. */
static bool is_free(const char *path)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool got;

    assert_true(fd >= 0);
    got = fcntl(fd, F_OFD_SETLK, &lock) == 0;
    close(fd);
    return got;
}

/* ---- machines ---- */

static struct husk_vm *new_vm_with(const uint8_t *code, size_t len, const char *disk,
                                   struct husk_vm_options options)
{
    int kernel_fd = tiny_guest_fd(code, len);
    struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
    struct husk_vm *vm;

    options.mode = mode;
    options.confine_threads = confined;
    options.kernel_fd = kernel_fd;
    options.memory_bytes = 16 * MIB;
    MUST(husk_vm_new(&options, &vm, &err_));
    drive.path = disk;
    if (disk)
        MUST(husk_vm_add_drive(vm, &drive, &err_));
    MUST(husk_vm_build(vm, &err_));
    close(kernel_fd);
    return vm;
}

static struct husk_vm *new_vm(const uint8_t *code, size_t len, const char *disk)
{
    return new_vm_with(code, len, disk, (struct husk_vm_options)HUSK_VM_OPTIONS_INIT);
}

#define NEW_VM(code, disk) new_vm((code), sizeof(code), (disk))

static struct husk_vm *start_vm(const uint8_t *code, size_t len, const char *disk)
{
    struct husk_vm *vm = new_vm(code, len, disk);

    MUST(husk_vm_start(vm, &err_));
    return vm;
}

#define START_VM(code, disk) start_vm((code), sizeof(code), (disk))

static struct husk_event wait_for_end(struct husk_vm *vm)
{
    struct husk_event event = {0};

    do {
        assert_int_equal(husk_vm_wait_event(vm, 60000, &event), 1);
    } while (event.type != HUSK_EVENT_STOPPED);
    return event;
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

/* ---- drives ---- */

static int replace(struct husk_vm *vm, const char *path, struct husk_error *err)
{
    struct husk_drive_update update = HUSK_DRIVE_UPDATE_INIT;

    update.path = path;
    return husk_vm_update_drive(vm, "drive1", &update, err);
}

/* In every state; the old file is given up, the new one is held. */
static void a_drive_gets_another_file(void **state)
{
    char *first = make_disk(MIB), *second = make_disk(2 * MIB);
    struct husk_vm *vm = NEW_VM(spin, first);

    assert_false(is_free(first));
    MUST(replace(vm, second, &err_));
    assert_true(is_free(first));
    assert_false(is_free(second));
    MUST(husk_vm_start(vm, &err_));
    MUST(replace(vm, first, &err_));
    assert_true(is_free(second));
    MUST(husk_vm_pause(vm, &err_));
    MUST(replace(vm, second, &err_));
    assert_false(is_free(second));
    MUST(husk_vm_resume(vm, &err_));
    MUST(husk_vm_stop(vm, &err_));
    wait_for_end(vm);
    assert_int_equal(replace(vm, first, &err_), -EINVAL);
    assert_non_null(strstr(err_.why, "stopped"));
    husk_vm_free(vm);
    assert_true(is_free(first));
    assert_true(is_free(second));
    drop_disk(first);
    drop_disk(second);
}

/* The same path: its lock is ours already. */
static void a_file_that_grew_is_given_again(void **state)
{
    char *disk = make_disk(MIB);
    struct husk_vm *vm = START_VM(spin, disk);

    MUST(replace(vm, disk, &err_));
    assert_int_equal(truncate(disk, 4 * MIB), 0);
    MUST(replace(vm, disk, &err_));
    assert_false(is_free(disk));
    assert_int_equal(truncate(disk, 0), 0);
    assert_int_equal(replace(vm, disk, &err_), -EINVAL);
    assert_string_equal(err_.where, disk);
    assert_non_null(strstr(err_.why, "empty"));
    husk_vm_free(vm);
    drop_disk(disk);
}

static void failing_updates_change_nothing(void **state)
{
    const struct husk_rate burst_only = {.burst = 5};
    char *disk = make_disk(MIB), *others = make_disk(MIB), *empty = make_disk(0);
    struct husk_vm *other = NEW_VM(spin, others);
    struct husk_vm *vm = START_VM(spin, disk);
    struct husk_drive_update update = HUSK_DRIVE_UPDATE_INIT;
    unsigned fds = entries("/proc/self/fd");

    assert_int_equal(replace(vm, others, &err_), -EBUSY);
    assert_string_equal(err_.where, others);
    assert_non_null(strstr(err_.why, "in use by another virtual machine"));
    assert_int_equal(replace(vm, "/nonexistent", &err_), -ENOENT);
    assert_string_equal(err_.where, "/nonexistent");
    assert_int_equal(replace(vm, "/tmp", &err_), -EISDIR);
    assert_int_equal(replace(vm, "", &err_), -EINVAL);
    assert_int_equal(replace(vm, empty, &err_), -EINVAL);
    update.path = "/nonexistent";
    assert_int_equal(husk_vm_update_drive(vm, "other", &update, &err_), -ENOENT);
    assert_string_equal(err_.where, "other");
    assert_int_equal(husk_vm_update_drive(vm, NULL, &update, &err_), -ENOENT);
    /* A file that could be had, with a limit that cannot. */
    update.path = empty;
    assert_int_equal(truncate(empty, MIB), 0);
    update.bandwidth = &burst_only;
    assert_int_equal(husk_vm_update_drive(vm, "drive1", &update, &err_), -EINVAL);
    assert_string_equal(err_.where, "drive1: bandwidth");
    assert_true(is_free(empty));
    assert_false(is_free(disk));
    update.size = 0;
    assert_int_equal(husk_vm_update_drive(vm, "drive1", &update, &err_), -EINVAL);
    assert_int_equal(entries("/proc/self/fd"), fds);
    husk_vm_free(vm);
    husk_vm_free(other);
    drop_disk(disk);
    drop_disk(others);
    drop_disk(empty);
}

/* The VM's on success, the caller's on failure. */
static void a_descriptor_is_given(void **state)
{
    char *first = make_disk(MIB), *second = make_disk(MIB);
    struct husk_vm *vm = START_VM(spin, first);
    struct husk_drive_update update = HUSK_DRIVE_UPDATE_INIT;

    update.fd = open(second, O_RDONLY | O_CLOEXEC);
    assert_int_equal(husk_vm_update_drive(vm, "drive1", &update, &err_), -EBADF);
    assert_non_null(strstr(err_.why, "not open for writing"));
    assert_true(fcntl(update.fd, F_GETFD) >= 0);
    close(update.fd);
    update.fd = open(second, O_RDWR | O_CLOEXEC);
    MUST(husk_vm_update_drive(vm, "drive1", &update, &err_));
    assert_int_equal(fcntl(update.fd, F_GETFD), -1);
    assert_true(is_free(first));
    assert_false(is_free(second));
    /* The same file, through another open file: nothing is exchanged. */
    update.fd = open(second, O_RDWR | O_CLOEXEC);
    MUST(husk_vm_update_drive(vm, "drive1", &update, &err_));
    assert_int_equal(fcntl(update.fd, F_GETFD), -1);
    assert_false(is_free(second));
    husk_vm_free(vm);
    assert_true(is_free(second));
    drop_disk(first);
    drop_disk(second);
}

/* Out of descriptors at every place: an error, and the old disk stays. */
static void no_descriptors_are_left(void **state)
{
    char *first = make_disk(MIB), *second = make_disk(MIB);
    struct husk_vm *vm = START_VM(spin, first);
    struct rlimit before, limited;
    unsigned failures = 0;
    int next = dup(0), ret = -1;

    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (int spare = 0; ret && spare < 200; spare++) {
        limited = before;
        limited.rlim_cur = (rlim_t)(next + spare);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limited), 0);
        ret = replace(vm, second, &err_);
        setrlimit(RLIMIT_NOFILE, &before);
        if (ret) {
            failures++;
            assert_true(err_.what[0] != '\0');
            assert_true(is_free(second));
            assert_false(is_free(first));
        }
    }
    assert_int_equal(ret, 0);
    assert_true(failures > 0);
    assert_true(is_free(first));
    husk_vm_free(vm);
    drop_disk(first);
    drop_disk(second);
}

static void before_and_after_the_build(void **state)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
    struct husk_drive_update update = HUSK_DRIVE_UPDATE_INIT;
    struct husk_net_update net = HUSK_NET_UPDATE_INIT;
    struct husk_vm_stats stats = {.size = sizeof(stats)};
    char *disk = make_disk(MIB);
    struct husk_vm *vm;

    options.mode = mode;
    options.confine_threads = confined;
    options.kernel_path = "/nonexistent";
    drive.path = disk;
    MUST(husk_vm_new(&options, &vm, &err_));
    MUST(husk_vm_add_drive(vm, &drive, &err_));
    assert_int_equal(husk_vm_update_drive(vm, "drive1", &update, &err_), -EINVAL);
    assert_int_equal(husk_vm_update_net(vm, "net1", &net, &err_), -EINVAL);
    assert_int_equal(husk_vm_stats(vm, &stats, &err_), -EINVAL);
    assert_int_equal(husk_vm_shutdown(vm, 1, &err_), -EINVAL);
    assert_int_equal(husk_vm_console_input(vm, "x", 1), -EINVAL);
    assert_int_equal(husk_vm_remove_drive(vm, "drive2", &err_), -ENOENT);
    MUST(husk_vm_remove_drive(vm, "drive1", &err_));
    assert_int_equal(husk_vm_remove_drive(vm, "drive1", &err_), -ENOENT);
    husk_vm_free(vm);

    vm = NEW_VM(spin, disk);
    assert_int_equal(husk_vm_remove_drive(vm, "drive1", &err_), -EOPNOTSUPP);
    assert_int_equal(husk_vm_remove_net(vm, "net1", &err_), -EOPNOTSUPP);
    assert_int_equal(husk_vm_add_drive(vm, &drive, &err_), -EOPNOTSUPP);
    MUST(husk_vm_update_drive(vm, "drive1", &update, &err_)); /* nothing to change */
    assert_int_equal(husk_vm_update_net(vm, "net1", &net, &err_), -ENOENT);
    assert_int_equal(husk_vm_shutdown(vm, 1, &err_), -EINVAL); /* not started */
    husk_vm_free(vm);
    drop_disk(disk);
}

/* ---- network devices ---- */

/* A tap in a network namespace that nobody else sees, -1 where this host has none to give. */
static int open_tap(void)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), tap = -1;

    if (unshare(CLONE_NEWNET) == 0) {
        tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
        if (tap >= 0 && ioctl(tap, TUNSETIFF, &request) < 0) {
            close(tap);
            tap = -1;
        }
        assert_int_equal(setns(home, CLONE_NEWNET), 0);
    }
    if (tap < 0)
        fprintf(stderr, "skipped: network devices: cannot make a tap: %s\n", strerror(errno));
    close(home);
    return tap;
}

static struct husk_vm *new_vm_with_net(int tap, enum husk_vhost vhost)
{
    int kernel_fd = tiny_guest_fd(spin, sizeof(spin));
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct husk_net_options net = HUSK_NET_OPTIONS_INIT;
    struct husk_vm *vm;

    options.mode = mode;
    options.confine_threads = confined;
    options.kernel_fd = kernel_fd;
    options.memory_bytes = 16 * MIB;
    net.tap_fds = &tap;
    net.vhost = vhost;
    net.id = "outside";
    MUST(husk_vm_new(&options, &vm, &err_));
    MUST(husk_vm_add_net(vm, &net, &err_));
    MUST(husk_vm_build(vm, &err_));
    close(kernel_fd);
    return vm;
}

static void a_network_device_is_limited(void **state)
{
    const struct husk_rate rate = {.per_second = 1000, .burst = 10}, burst_only = {.burst = 1};
    struct husk_net_update update = HUSK_NET_UPDATE_INIT;
    struct husk_net_stats stats = {.size = sizeof(stats), .rx_packets = 5};
    int tap = open_tap();
    struct husk_vm *vm;

    if (tap < 0)
        skip();
    vm = new_vm_with_net(tap, HUSK_VHOST_OFF);
    update.rx_bandwidth = &rate;
    update.tx_operations = &rate;
    MUST(husk_vm_update_net(vm, "outside", &update, &err_));
    MUST(husk_vm_start(vm, &err_));
    MUST(husk_vm_update_net(vm, "outside", &update, &err_));
    update.rx_operations = &burst_only;
    assert_int_equal(husk_vm_update_net(vm, "outside", &update, &err_), -EINVAL);
    assert_string_equal(err_.where, "outside: receive operations");
    assert_int_equal(husk_vm_update_net(vm, "net1", &update, &err_), -ENOENT);
    MUST(husk_vm_net_stats(vm, "outside", &stats, &err_));
    assert_int_equal(stats.rx_packets, 0);
    MUST(husk_vm_stop(vm, &err_));
    wait_for_end(vm);
    update.rx_operations = NULL;
    assert_int_equal(husk_vm_update_net(vm, "outside", &update, &err_), -EINVAL);
    husk_vm_free(vm);
}

static void the_kernel_s_data_path_is_not(void **state)
{
    const struct husk_rate rate = {.per_second = 1000}, unlimited = {0};
    struct husk_net_update update = HUSK_NET_UPDATE_INIT;
    struct husk_vm *vm;
    int tap;

    if (access("/dev/vhost-net", R_OK | W_OK)) {
        fprintf(stderr, "skipped: vhost: /dev/vhost-net: %s\n", strerror(errno));
        skip();
    }
    tap = open_tap();
    if (tap < 0)
        skip();
    vm = new_vm_with_net(tap, HUSK_VHOST_ON);
    update.tx_bandwidth = &unlimited;
    MUST(husk_vm_update_net(vm, "outside", &update, &err_));
    update.rx_operations = &rate;
    assert_int_equal(husk_vm_update_net(vm, "outside", &update, &err_), -EOPNOTSUPP);
    assert_non_null(strstr(err_.why, "vhost"));
    husk_vm_free(vm);
}

/* ---- statistics ---- */

static struct husk_vm_stats stats_of(struct husk_vm *vm)
{
    struct husk_vm_stats stats = {.size = sizeof(stats)};

    MUST(husk_vm_stats(vm, &stats, &err_));
    return stats;
}

static void exits_are_counted(void **state)
{
    struct husk_vm *vm = NEW_VM(mark_then_exit, NULL);
    struct husk_vm_stats stats = stats_of(vm);

    assert_int_equal(stats.vcpu_exits, 0);
    assert_int_equal(stats.port_writes, 0);
    MUST(husk_vm_start(vm, &err_));
    wait_for_end(vm);
    stats = stats_of(vm);
    assert_int_equal(stats.port_writes, 2);
    assert_int_equal(stats.port_reads, 0);
    assert_int_equal(stats.mmio_reads + stats.mmio_writes, 0);
    assert_true(stats.vcpu_exits >= 2);
    assert_true(stats.vcpu_cpu_ns > 0); /* the thread has ended */
    assert_true(stats.io_cpu_ns > 0);
    assert_in_range(stats.memory_resident_bytes, 4096, 16 * MIB);
    husk_vm_free(vm);
}

static void counters_grow_while_it_runs(void **state)
{
    struct husk_vm *vm = START_VM(read_port_for_ever, NULL);
    struct husk_vm_stats before = stats_of(vm), after;

    do {
        after = stats_of(vm);
    } while (after.port_reads == before.port_reads || after.vcpu_cpu_ns == before.vcpu_cpu_ns);
    assert_true(after.port_reads > before.port_reads);
    assert_true(after.vcpu_exits >= after.port_reads);
    MUST(husk_vm_pause(vm, &err_));
    before = stats_of(vm);
    after = stats_of(vm);
    assert_int_equal(before.vcpu_exits, after.vcpu_exits);
    husk_vm_free(vm);
}

static void stats_of_other_releases(void **state)
{
    struct husk_vm *vm = NEW_VM(spin, NULL);
    struct husk_vm_stats stats;

    memset(&stats, 0x5a, sizeof(stats));
    stats.size = offsetof(struct husk_vm_stats, port_reads);
    MUST(husk_vm_stats(vm, &stats, &err_));
    assert_int_equal(stats.size, offsetof(struct husk_vm_stats, port_reads));
    assert_int_equal(stats.vcpu_exits, 0);
    assert_int_equal(stats.port_reads, 0x5a5a5a5a5a5a5a5a);
    stats.size = 4;
    assert_int_equal(husk_vm_stats(vm, &stats, &err_), -EINVAL);
    husk_vm_free(vm);
}

static void stats_by_id(void **state)
{
    char *disk = make_disk(MIB);
    struct husk_vm *vm = NEW_VM(spin, disk);
    struct husk_drive_stats drive = {.size = sizeof(drive), .read_bytes = 7};
    struct husk_net_stats net = {.size = sizeof(net)};

    MUST(husk_vm_drive_stats(vm, "drive1", &drive, &err_));
    assert_int_equal(drive.read_bytes, 0);
    assert_int_equal(husk_vm_drive_stats(vm, "drive2", &drive, &err_), -ENOENT);
    assert_int_equal(husk_vm_net_stats(vm, "net1", &net, &err_), -ENOENT);
    assert_string_equal(err_.where, "net1");
    husk_vm_free(vm);
    drop_disk(disk);
}

/* ---- shutdown ---- */

static void a_guest_that_heeds_the_button(void **state)
{
    struct husk_vm *vm = START_VM(heeds_power_button, NULL);

    MUST(husk_vm_shutdown(vm, 3600 * 1000, &err_));
    assert_int_equal(wait_for_end(vm).reason, HUSK_STOP_POWER_OFF);
    assert_int_equal(husk_vm_shutdown(vm, 1, &err_), -EINVAL);
    husk_vm_free(vm);
}

static void a_guest_that_does_not(void **state)
{
    struct husk_vm *vm = START_VM(spin, NULL);
    struct husk_event event;

    MUST(husk_vm_shutdown(vm, 20, &err_));
    assert_int_equal(wait_for_end(vm).reason, HUSK_STOP_HOST_REQUEST);
    assert_int_equal(husk_vm_next_event(vm, &event), 0);
    husk_vm_free(vm);
}

static void without_grace(void **state)
{
    struct husk_vm *vm = START_VM(heeds_power_button, NULL);

    MUST(husk_vm_shutdown(vm, 0, &err_));
    assert_int_equal(wait_for_end(vm).reason, HUSK_STOP_HOST_REQUEST);
    husk_vm_free(vm);
}

static void the_deadline_moves(void **state)
{
    struct husk_vm *vm = START_VM(spin, NULL);
    struct husk_event event;

    MUST(husk_vm_shutdown(vm, 3600 * 1000, &err_));
    assert_int_equal(husk_vm_wait_event(vm, 50, &event), 0);
    MUST(husk_vm_shutdown(vm, 20, &err_));
    assert_int_equal(wait_for_end(vm).reason, HUSK_STOP_HOST_REQUEST);
    husk_vm_free(vm);
}

static void the_deadline_holds_for_a_paused_vm(void **state)
{
    struct husk_vm *vm = START_VM(heeds_power_button, NULL);

    MUST(husk_vm_pause(vm, &err_));
    MUST(husk_vm_shutdown(vm, 20, &err_));
    assert_int_equal(wait_for_end(vm).reason, HUSK_STOP_HOST_REQUEST);
    husk_vm_free(vm);
}

/* Freed with a deadline to come. */
static void a_deadline_that_nobody_waits_for(void **state)
{
    struct husk_vm *vm = START_VM(spin, NULL);

    MUST(husk_vm_shutdown(vm, 3600 * 1000, &err_));
    husk_vm_free(vm);
}

/* ---- console by callback ---- */

struct heard {
    pthread_mutex_t lock;
    char text[64];
    size_t len;
};

static void hear(void *arg, const void *bytes, size_t len)
{
    struct heard *heard = arg;

    pthread_mutex_lock(&heard->lock);
    len = min_u64(len, sizeof(heard->text) - 1 - heard->len);
    memcpy(heard->text + heard->len, bytes, len);
    heard->len += len;
    pthread_mutex_unlock(&heard->lock);
}

static struct husk_vm_options options_hearing(struct heard *heard)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;

    options.console_write = hear;
    options.console_arg = heard;
    return options;
}

static void last_words_are_heard(void **state)
{
    unsigned threads = entries("/proc/self/task"), fds = entries("/proc/self/fd");
    struct heard heard = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct husk_vm *vm = new_vm_with(say_husk, sizeof(say_husk), NULL, options_hearing(&heard));

    MUST(husk_vm_start(vm, &err_));
    wait_for_end(vm);
    assert_int_equal(husk_vm_console_input(vm, "x", 1), -EPIPE);
    assert_int_equal(stats_of(vm).console_tx_bytes, 5);
    husk_vm_free(vm);
    assert_string_equal(heard.text, "husk\n");
    assert_int_equal(entries("/proc/self/task"), threads);
    assert_int_equal(entries("/proc/self/fd"), fds);
}

static void what_is_typed_is_echoed(void **state)
{
    static const char text[] = "to be or not to be, q";
    struct heard heard = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct husk_vm *vm = new_vm_with(echo, sizeof(echo), NULL, options_hearing(&heard));

    assert_int_equal(husk_vm_console_input(vm, text, 2), 2); /* waits for the guest */
    MUST(husk_vm_start(vm, &err_));
    assert_int_equal(husk_vm_console_input(vm, text + 2, sizeof(text) - 3), sizeof(text) - 3);
    assert_int_equal(wait_for_end(vm).reason, HUSK_STOP_GUEST_EXIT);
    assert_int_equal(stats_of(vm).console_rx_bytes, sizeof(text) - 1);
    husk_vm_free(vm);
    assert_string_equal(heard.text, text);
}

/* A VM that was never started, or never built. */
static void nothing_to_be_heard(void **state)
{
    struct heard heard = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct husk_vm_options options = options_hearing(&heard);
    struct husk_vm *vm = new_vm_with(echo, sizeof(echo), NULL, options);

    husk_vm_free(vm);
    options.mode = mode;
    options.confine_threads = confined;
    options.kernel_path = "/nonexistent";
    MUST(husk_vm_new(&options, &vm, &err_));
    assert_int_equal(husk_vm_build(vm, &err_), -ENOENT);
    husk_vm_free(vm);
    options.console_out_fd = 1;
    assert_int_equal(husk_vm_new(&options, &vm, &err_), -EINVAL);
    assert_string_equal(err_.where, "console");
    assert_int_equal(heard.len, 0);
}

/* ---- all at once ---- */

struct crowd {
    struct husk_vm *vm;
    char *disks[2];
    atomic_bool over;
};

static void *change_disks(void *arg)
{
    struct crowd *crowd = arg;
    const struct husk_rate rate = {.per_second = 1000};
    struct husk_drive_update update = HUSK_DRIVE_UPDATE_INIT;

    for (unsigned i = 0; !atomic_load(&crowd->over); i++) {
        update.path = crowd->disks[i % 2];
        update.operations = i % 3 ? &rate : NULL;
        /* Another caller's update may have the file just now. */
        husk_vm_update_drive(crowd->vm, "drive1", &update, NULL);
    }
    return NULL;
}

static void *ask(void *arg)
{
    struct crowd *crowd = arg;
    struct husk_vm_stats stats = {.size = sizeof(stats)};
    struct husk_drive_stats drive = {.size = sizeof(drive)};

    while (!atomic_load(&crowd->over)) {
        husk_vm_stats(crowd->vm, &stats, NULL);
        husk_vm_drive_stats(crowd->vm, "drive1", &drive, NULL);
    }
    return NULL;
}

/* Updates and questions from several threads, while the machine is started, paused and ended. */
static void calls_from_many_threads(void **state)
{
    static void *(*const runs[])(void *) = {change_disks, change_disks, ask};
    struct crowd crowd = {.disks = {make_disk(MIB), make_disk(2 * MIB)}};
    pthread_t threads[ARRAY_SIZE(runs)];

    crowd.vm = NEW_VM(read_port_for_ever, crowd.disks[0]);
    for (unsigned i = 0; i < ARRAY_SIZE(runs); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, runs[i], &crowd), 0);
    MUST(husk_vm_start(crowd.vm, &err_));
    for (unsigned i = 0; i < 30; i++) {
        MUST(husk_vm_pause(crowd.vm, &err_));
        MUST(husk_vm_resume(crowd.vm, &err_));
    }
    MUST(husk_vm_shutdown(crowd.vm, 10, &err_));
    assert_int_equal(wait_for_end(crowd.vm).reason, HUSK_STOP_HOST_REQUEST);
    atomic_store(&crowd.over, true);
    for (unsigned i = 0; i < ARRAY_SIZE(runs); i++)
        pthread_join(threads[i], NULL);
    husk_vm_free(crowd.vm);
    drop_disk(crowd.disks[0]);
    drop_disk(crowd.disks[1]);
}

/* What a process makes once is there before anything counts. */
static int set_mode(enum husk_mode new_mode)
{
    mode = new_mode;
    husk_vm_free(NEW_VM(spin, NULL));
    return 0;
}

static int in_process(void **state)
{
    return set_mode(HUSK_MODE_IN_PROCESS);
}

static int in_process_confined(void **state)
{
    confined = true;
    return set_mode(HUSK_MODE_IN_PROCESS);
}

__attribute__((unused)) static int jailed(void **state)
{
    confined = false;
    return set_mode(HUSK_MODE_JAILED);
}

/* Its runtime does not survive the way a process is started, on borrowed memory. */
#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif

static int run_jailed(const struct CMUnitTest *tests, size_t count)
{
#ifdef THREAD_SANITIZER
    fprintf(stderr, "skipped: jailed VMs: the thread sanitizer cannot start processes so\n");
    return 0;
#else
    return _cmocka_run_group_tests("jailed", tests, count, jailed, NULL);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drive_gets_another_file),
        cmocka_unit_test(a_file_that_grew_is_given_again),
        cmocka_unit_test(failing_updates_change_nothing),
        cmocka_unit_test(a_descriptor_is_given),
        cmocka_unit_test(no_descriptors_are_left),
        cmocka_unit_test(before_and_after_the_build),
        cmocka_unit_test(a_network_device_is_limited),
        cmocka_unit_test(the_kernel_s_data_path_is_not),
        cmocka_unit_test(exits_are_counted),
        cmocka_unit_test(counters_grow_while_it_runs),
        cmocka_unit_test(stats_of_other_releases),
        cmocka_unit_test(stats_by_id),
        cmocka_unit_test(a_guest_that_heeds_the_button),
        cmocka_unit_test(a_guest_that_does_not),
        cmocka_unit_test(without_grace),
        cmocka_unit_test(the_deadline_moves),
        cmocka_unit_test(the_deadline_holds_for_a_paused_vm),
        cmocka_unit_test(a_deadline_that_nobody_waits_for),
        cmocka_unit_test(last_words_are_heard),
        cmocka_unit_test(what_is_typed_is_echoed),
        cmocka_unit_test(nothing_to_be_heard),
        cmocka_unit_test(calls_from_many_threads),
    };
    int failed;

    if (!tiny_guest_can_run())
        return 77;
    failed = cmocka_run_group_tests(tests, in_process, NULL);
    failed += cmocka_run_group_tests(tests, in_process_confined, NULL);
    return failed + run_jailed(tests, ARRAY_SIZE(tests));
}
