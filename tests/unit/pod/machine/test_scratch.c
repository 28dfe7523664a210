// SPDX-License-Identifier: Apache-2.0
/* The scratch disk: its file system is sound to e2fsck, its size what was asked for, its file
 * small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pod/machine/scratch.h"

struct fixture {
    char path[64];
    int dir;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->path, "/tmp/husk-scratch-XXXXXX");
    if (!mkdtemp(f->path))
        return -1;
    f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = f;
    return f->dir < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    int ret;

    close(f->dir);
    snprintf(command, sizeof(command), "rm -rf %s", f->path);
    ret = system(command);
    free(f);
    return ret;
}

/* A command of the shell with $f for the file; without its output, those of e2fsprogs on its path.
 */
static bool run(const char *file, const char *command)
{
    char line[512];

    snprintf(line, sizeof(line), "PATH=$PATH:/sbin:/usr/sbin; f=%s; { %s; } >/dev/null 2>&1", file,
             command);
    return system(line) == 0;
}

static void makes_sound_file_systems(void **state)
{
    static const uint64_t sizes[] = {16, 17, 127, 128, 129, 1024, 16384, 1 << 20};
    struct fixture *f = *state;
    struct husk_error err;
    char path[128];

    if (!run("", "command -v e2fsck"))
        skip();
    snprintf(path, sizeof(path), "%s/" SCRATCH_FILE, f->path);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct stat info;
        int fd = scratch_open(f->dir, (sizes[i] << 20) + 1234, &err);

        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &info), 0);
        assert_int_equal(info.st_size, sizes[i] << 20); /* whole blocks */
        assert_true((uint64_t)info.st_blocks * 512 < (128u << 10) + (sizes[i] << 10));
        assert_true(run(path, "e2fsck -fn $f"));
        close(fd);
        assert_int_equal(unlink(path), 0);
    }
}

/* What the guest would otherwise do in the background, and what it could not replay. */
static void leaves_the_guest_nothing_to_do(void **state)
{
    struct fixture *f = *state;
    int fd = scratch_open(f->dir, 256 << 20, NULL);
    char path[128];

    assert_true(fd >= 0);
    close(fd);
    snprintf(path, sizeof(path), "%s/" SCRATCH_FILE, f->path);
    if (!run("", "command -v dumpe2fs"))
        skip();
    assert_true(run(path, "dumpe2fs $f | grep '^Group [0-9]' | "
                          "awk '!/ITABLE_ZEROED/ {bad = 1} END {exit bad || !NR}'"));
    assert_false(run(path, "dumpe2fs -h $f | grep 'features:.*has_journal'"));
}

static void keeps_what_is_there(void **state)
{
    struct fixture *f = *state;
    int fd = scratch_open(f->dir, 16 << 20, NULL);
    char byte = 0;

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, 100), 1);
    close(fd);
    fd = scratch_open(f->dir, 32 << 20, NULL);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, 100), 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(lseek(fd, 0, SEEK_END), 16 << 20);
    close(fd);
}

static void does_not_follow_links(void **state)
{
    struct fixture *f = *state;
    struct husk_error err;

    assert_int_equal(symlinkat("/etc/passwd", f->dir, SCRATCH_FILE), 0);
    assert_int_equal(scratch_open(f->dir, 16 << 20, &err), -ELOOP);
    assert_string_equal(err.where, SCRATCH_FILE);
}

/* Nothing is left of one that could not be made. */
static void leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    struct husk_error err;

    assert_int_equal(scratch_open(f->dir, 4096, &err), -EIO); /* too small for a file system */
    assert_string_equal(err.where, SCRATCH_FILE);
    assert_int_equal(faccessat(f->dir, SCRATCH_FILE, F_OK, 0), -1);
    assert_int_equal(faccessat(f->dir, SCRATCH_FILE ".new", F_OK, 0), -1);
    assert_int_equal(scratch_open(-1, 16 << 20, &err), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_sound_file_systems, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leaves_the_guest_nothing_to_do, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_what_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(does_not_follow_links, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leaves_nothing_behind, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
