// SPDX-License-Identifier: Apache-2.0
/* What paths of this host are as a pod's hostPath. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pod/plan/plan.h"

static char top[] = "/tmp/husk-host-path-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[64];

    snprintf(path, sizeof(path), "%s/%s", top, name);
    return path;
}

static int look(const char *path, const char *type, struct plan_host_path *out,
                struct husk_error *err)
{
    return plan_host_path(NULL, path, type, "spec.volumes[0].hostPath.path", out, err);
}

static void write_file(const char *name, const char *text, off_t size)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    if (size)
        assert_int_equal(ftruncate(fd, size), 0);
    close(fd);
}

static int set_up(void **state)
{
    return mkdtemp(top) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[96];

    snprintf(command, sizeof(command), "rm -rf %s", top);
    return system(command);
}

static void copies_a_file(void **state)
{
    struct plan_host_path *out = calloc(1, sizeof(*out));
    struct stat info;

    write_file("file", "some text", 0);
    assert_int_equal(chmod(path_of("file"), 0751), 0);
    assert_int_equal(stat(path_of("file"), &info), 0);
    assert_int_equal(look(path_of("file"), NULL, out, NULL), 0);
    assert_int_equal(out->kind, PLAN_HOST_FILE);
    assert_int_equal(out->len, 9);
    assert_memory_equal(out->bytes, "some text", 9);
    assert_int_equal(out->mode, 0751);
    assert_int_equal(out->uid, info.st_uid);
    assert_int_equal(out->gid, info.st_gid);
    free(out->bytes);
    free(out);
}

static void takes_an_image_for_a_disk(void **state)
{
    struct plan_host_path *out = calloc(1, sizeof(*out));
    struct stat looked_at, held;
    char command[160], moved[64];

    write_file("disk", "", 4 << 20);
    snprintf(command, sizeof(command), "PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 %s",
             path_of("disk"));
    assert_int_equal(system(command), 0);
    assert_int_equal(symlink("disk", path_of("link")), 0);
    assert_int_equal(look(path_of("link"), "", out, NULL), 0);
    assert_int_equal(out->kind, PLAN_HOST_DISK);
    assert_string_equal(out->path, path_of("disk"));
    assert_string_equal(out->fstype, "ext4");
    assert_false(out->readonly);
    assert_null(out->bytes);
    /* It is what was looked at, also when another is there now. */
    assert_int_equal(stat(path_of("disk"), &looked_at), 0);
    snprintf(moved, sizeof(moved), "%s", path_of("moved"));
    assert_int_equal(rename(path_of("disk"), moved), 0);
    write_file("disk", "another", 0);
    assert_true(out->held);
    assert_int_equal(fstat(out->fd, &held), 0);
    assert_int_equal(held.st_ino, looked_at.st_ino);
    close(out->fd);
    assert_int_equal(rename(moved, path_of("disk")), 0);
    /* Who says that it is a file has it as one. */
    assert_int_equal(look(path_of("link"), "File", out, NULL), 0);
    assert_int_equal(out->kind, PLAN_HOST_FILE);
    free(out->bytes);
    free(out);
}

static void refuse(const char *path, const char *type, int code, const char *why)
{
    struct plan_host_path *out = calloc(1, sizeof(*out));
    struct husk_error err = {.code = 0};

    assert_int_equal(look(path, type, out, &err), -code);
    assert_string_equal(err.where, "spec.volumes[0].hostPath.path");
    assert_non_null(strstr(err.why, why));
    assert_null(out->bytes);
    free(out);
}

static void refuses_what_cannot_be(void **state)
{
    write_file("long", "", (off_t)PLAN_HOST_FILE_MAX + 1);
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    refuse(top, NULL, ENOTSUP, "is a directory");
    refuse(path_of("pipe"), NULL, ENOTSUP, "neither a file nor a block device");
    refuse("/dev/null", NULL, ENOTSUP, "neither a file nor a block device");
    refuse(path_of("none"), NULL, ENOENT, "No such file");
    refuse(path_of("long"), NULL, EFBIG, "too long to be copied");
    refuse(path_of("long"), "BlockDevice", EINVAL, "no block device");
}

/* Opening does something to many a device: one that is refused must not have been opened. */
static void does_not_open_what_it_refuses(void **state)
{
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    char event[4096];

    assert_int_equal(mkfifo(path_of("other"), 0600), 0);
    write_file("plain", "text", 0);
    assert_true(inotify_add_watch(watch, path_of("other"), IN_OPEN) >= 0);
    refuse(path_of("other"), NULL, ENOTSUP, "neither a file nor a block device");
    assert_int_equal(read(watch, event, sizeof(event)), -1);
    assert_true(inotify_add_watch(watch, path_of("plain"), IN_OPEN) >= 0);
    refuse(path_of("plain"), "BlockDevice", EINVAL, "no block device");
    assert_int_equal(read(watch, event, sizeof(event)), -1);
    close(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_a_file),
        cmocka_unit_test(takes_an_image_for_a_disk),
        cmocka_unit_test(refuses_what_cannot_be),
        cmocka_unit_test(does_not_open_what_it_refuses),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
