// SPDX-License-Identifier: Apache-2.0
/*
 * A drive that is exchanged under a guest that reads it all the time (tests/guests/swap.c), and
 * what is counted meanwhile, through the library.
 *
 *   test_live GUESTS    the directory of the guests
 *
 * Needs /dev/kvm; exits with 77 where there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "husk/husk.h"
#include "tests/harness/tiny_guest.h"

#define SKIPPED 77
#define SECTOR  512u

static char kernel[PATH_MAX];
static enum husk_mode mode;
static bool confined;
static struct husk_error err;

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

/* A disk full of one letter. */
static char *make_disk(char letter, unsigned sectors)
{
    char *path = strdup("/tmp/husk-test-XXXXXX");
    int fd = mkostemp(path, O_CLOEXEC);
    char sector[SECTOR];

    assert_true(fd >= 0);
    memset(sector, letter, sizeof(sector));
    for (unsigned i = 0; i < sectors; i++)
        assert_int_equal(write(fd, sector, sizeof(sector)), sizeof(sector));
    close(fd);
    return path;
}

static char letter_at(const char *path, unsigned sector)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char letter = '!';

    assert_int_equal(pread(fd, &letter, 1, (off_t)sector * SECTOR), 1);
    close(fd);
    return letter;
}

struct swap {
    unsigned before, after; /* sectors */
    enum husk_block_engine engine;
    bool paused; /* exchanged while the guest stands still */
};

static struct husk_vm *build(const struct swap *swap, const char *disk, int console_fd)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
    char words[64];
    struct husk_vm *vm;

    snprintf(words, sizeof(words), "before=%u after=%u", swap->before, swap->after);
    options.mode = mode;
    options.confine_threads = confined;
    options.kernel_path = kernel;
    options.command_line = words;
    options.memory_bytes = 16 << 20;
    options.console_out_fd = console_fd;
    drive.path = disk;
    drive.engine = swap->engine;
    MUST(husk_vm_new(&options, &vm, &err));
    MUST(husk_vm_add_drive(vm, &drive, &err));
    MUST(husk_vm_build(vm, &err));
    return vm;
}

static void exchange(struct husk_vm *vm, const struct swap *swap, const char *path)
{
    struct husk_drive_update update = HUSK_DRIVE_UPDATE_INIT;

    update.path = path;
    if (swap->paused)
        MUST(husk_vm_pause(vm, &err));
    MUST(husk_vm_update_drive(vm, "drive1", &update, &err));
    if (swap->paused)
        MUST(husk_vm_resume(vm, &err));
}

/* The guest must have found all as it should be. */
static void expect_content(struct husk_vm *vm, int console_fd)
{
    struct husk_event event = {0};
    char text[16384];
    ssize_t len;

    do {
        assert_int_equal(husk_vm_wait_event(vm, 120000, &event), 1);
    } while (event.type != HUSK_EVENT_STOPPED);
    len = pread(console_fd, text, sizeof(text) - 1, 0);
    text[len < 0 ? 0 : len] = '\0';
    if (event.reason != HUSK_STOP_GUEST_EXIT || event.guest_status || !strstr(text, "ok: flush"))
        fail_msg("%s, status %u: %s\n%s", husk_stop_reason_name(event.reason), event.guest_status,
                 event.error.why, text);
}

static void run(const struct swap *swap)
{
    char *old = make_disk('a', swap->before), *new = make_disk('b', swap->after);
    int console_fd = memfd_create("console", MFD_CLOEXEC);
    struct husk_vm *vm = build(swap, old, console_fd);
    struct husk_drive_stats drive = {.size = sizeof(drive)};
    struct husk_vm_stats stats = {.size = sizeof(stats)};
    struct husk_event event;

    MUST(husk_vm_start(vm, &err));
    assert_int_equal(husk_vm_wait_event(vm, 60000, &event), 1);
    assert_int_equal(event.type, HUSK_EVENT_READY);
    do {
        MUST(husk_vm_drive_stats(vm, "drive1", &drive, &err));
    } while (drive.read_requests < 16);
    exchange(vm, swap, new);
    expect_content(vm, console_fd);
    MUST(husk_vm_drive_stats(vm, "drive1", &drive, &err));
    assert_true(drive.read_requests >= swap->after + 1);
    assert_int_equal(drive.read_bytes, (drive.read_requests - 1) * SECTOR);
    assert_int_equal(drive.failed_requests, 1); /* behind the end */
    assert_int_equal(drive.write_bytes, SECTOR);
    assert_int_equal(drive.flush_requests, 1);
    MUST(husk_vm_stats(vm, &stats, &err));
    assert_true(stats.mmio_reads > 0 && stats.mmio_writes > 0 && stats.port_writes > 0);
    assert_true(stats.console_tx_bytes > 0);
    husk_vm_free(vm);
    close(console_fd);
    assert_int_equal(letter_at(old, 1), 'a');
    assert_int_equal(letter_at(new, 0), 'b');
    assert_int_equal(letter_at(new, 1), 'z');
    unlink(old);
    unlink(new);
    free(old);
    free(new);
}

static void to_a_larger_disk(void **state)
{
    run(&(struct swap){.before = 64, .after = 96});
}

static void to_a_smaller_disk(void **state)
{
    run(&(struct swap){.before = 64, .after = 8});
}

static void with_disk_threads(void **state)
{
    run(&(struct swap){.before = 64, .after = 96, .engine = HUSK_BLOCK_ENGINE_THREADS});
}

/* In jail the second file is served by threads. */
static void with_rings(void **state)
{
    struct io_uring_params params = {0};
    int fd = (int)syscall(SYS_io_uring_setup, 1, &params);

    if (fd < 0) {
        fprintf(stderr, "skipped: disks by io_uring: %s\n", strerror(errno));
        skip();
    }
    close(fd);
    run(&(struct swap){.before = 64, .after = 96, .engine = HUSK_BLOCK_ENGINE_URING});
}

static void while_it_is_paused(void **state)
{
    run(&(struct swap){.before = 64, .after = 96, .paused = true});
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
        cmocka_unit_test(to_a_larger_disk),   cmocka_unit_test(to_a_smaller_disk),
        cmocka_unit_test(with_disk_threads),  cmocka_unit_test(with_rings),
        cmocka_unit_test(while_it_is_paused),
    };
    int failed;

    if (argc != 2) {
        fprintf(stderr, "usage: %s GUESTS\n", argv[0]);
        return 2;
    }
    if (!tiny_guest_can_run())
        return SKIPPED;
    snprintf(kernel, sizeof(kernel), "%s/swap.elf", argv[1]);
    failed = cmocka_run_group_tests(tests, in_process, NULL);
    failed += cmocka_run_group_tests(tests, in_process_confined, NULL);
    return failed + cmocka_run_group_tests(tests, jailed, NULL);
}
