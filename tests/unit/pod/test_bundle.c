// SPDX-License-Identifier: Apache-2.0
/* Files by name out of archives and directories: which are found, and that no link leads out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pod/image/bundle.h"

struct fixture {
    char directory[64], store_path[80], archive_path[80];
    struct image_store *store;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->directory, "/tmp/husk-bundle-XXXXXX");
    if (!mkdtemp(f->directory))
        return -1;
    snprintf(f->store_path, sizeof(f->store_path), "%s/store", f->directory);
    snprintf(f->archive_path, sizeof(f->archive_path), "%s/archive", f->directory);
    *state = f;
    return image_store_open(f->store_path, true, &f->store, NULL);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    int ret;

    image_store_close(f->store);
    snprintf(command, sizeof(command), "rm -rf %s", f->directory);
    ret = system(command);
    free(f);
    return ret;
}

struct member {
    const char *name, *contents, *symlink, *hardlink;
};

static void write_archive(const struct fixture *f, const struct member *members, unsigned count)
{
    struct archive *archive = archive_write_new();

    archive_write_set_format_pax(archive);
    assert_int_equal(archive_write_open_filename(archive, f->archive_path), ARCHIVE_OK);
    for (unsigned i = 0; i < count; i++) {
        struct archive_entry *entry = archive_entry_new();
        size_t len = members[i].contents ? strlen(members[i].contents) : 0;

        archive_entry_set_pathname(entry, members[i].name);
        archive_entry_set_mode(entry, members[i].symlink ? S_IFLNK | 0777 : S_IFREG | 0644);
        archive_entry_set_size(entry, (la_int64_t)len);
        if (members[i].symlink)
            archive_entry_set_symlink(entry, members[i].symlink);
        if (members[i].hardlink)
            archive_entry_set_hardlink(entry, members[i].hardlink);
        assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
        if (len)
            assert_int_equal(archive_write_data(archive, members[i].contents, len), (ssize_t)len);
        archive_entry_free(entry);
    }
    archive_write_close(archive);
    archive_write_free(archive);
}

static void check(const struct bundle *bundle, const char *name, const char *contents)
{
    char *bytes;
    size_t len;
    int ret = bundle_read(bundle, name, &bytes, &len, NULL);

    if (!contents) {
        assert_int_equal(ret, -ENOENT);
        return;
    }
    if (ret)
        fail_msg("%s: not found", name);
    assert_int_equal(len, strlen(contents));
    assert_string_equal(bytes, contents);
    free(bytes);
}

static void test_members_of_archives(void **state)
{
    static const struct member members[] = {
        {"./index.json", "one", NULL, NULL},  {"a//b/./c", "two", NULL, NULL},
        {"/abs", "three", NULL, NULL},        {"again", "old", NULL, NULL},
        {"again", "new", NULL, NULL},         {"a/link", NULL, "b/c", NULL},
        {"a/up", NULL, "../abs", NULL},       {"a/hard", NULL, NULL, "a/b/c"},
        {"chain", NULL, "a/link", NULL},      {"out", NULL, "../../etc/passwd", NULL},
        {"etc", NULL, "/etc/passwd", NULL},   {"loop", NULL, "loop", NULL},
        {"etc/passwd", "inside", NULL, NULL},
    };
    struct fixture *f = *state;
    struct bundle *bundle;

    write_archive(f, members, sizeof(members) / sizeof(members[0]));
    assert_int_equal(bundle_open(f->archive_path, f->store, &bundle, NULL), 0);
    assert_string_equal(bundle_name(bundle), f->archive_path);
    check(bundle, "index.json", "one");
    check(bundle, "./index.json", "one");
    check(bundle, "a/b/c", "two");
    check(bundle, "abs", "three");
    check(bundle, "again", "new");
    check(bundle, "a/link", "two");
    check(bundle, "a/up", "three");
    check(bundle, "a/hard", "two");
    check(bundle, "chain", "two");
    check(bundle, "loop", NULL);
    check(bundle, "nothing", NULL);
    check(bundle, "..", NULL);
    check(bundle, "", NULL);
    /* Out of the archive there is nothing: such links end at its top. */
    check(bundle, "out", "inside");
    bundle_close(bundle);
}

static void test_files_of_directories(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct husk_error err = {0};
    struct bundle *bundle;
    char *bytes;
    size_t len;
    int fd;

    snprintf(path, sizeof(path), "%s/file", f->directory);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "text", 4), 4);
    close(fd);
    snprintf(path, sizeof(path), "%s/inner", f->directory);
    assert_int_equal(symlink("file", path), 0);
    snprintf(path, sizeof(path), "%s/outer", f->directory);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof(path), "%s/pipe", f->directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(bundle_open(f->directory, f->store, &bundle, NULL), 0);
    check(bundle, "file", "text");
    check(bundle, "inner", "text");
    check(bundle, "nothing", NULL);
    assert_int_equal(bundle_read(bundle, "outer", &bytes, &len, &err), -EXDEV);
    assert_int_equal(bundle_read(bundle, "../../etc/passwd", &bytes, &len, &err), -EXDEV);
    assert_int_equal(bundle_read(bundle, "pipe", &bytes, &len, &err), -EINVAL);
    assert_int_equal(bundle_read(bundle, "store", &bytes, &len, &err), -EINVAL);
    bundle_close(bundle);
}

static void test_damaged_archives(void **state)
{
    static const struct member members[] = {{"x", "some contents", NULL, NULL}};
    struct fixture *f = *state;
    struct bundle *bundle;

    write_archive(f, members, 1);
    assert_int_equal(truncate(f->archive_path, 520), 0);
    assert_int_equal(bundle_open(f->archive_path, f->store, &bundle, NULL), -EINVAL);
    assert_int_equal(truncate(f->archive_path, 100), 0);
    assert_int_equal(bundle_open(f->archive_path, f->store, &bundle, NULL), -EINVAL);
    assert_int_equal(bundle_open("/nowhere", f->store, &bundle, NULL), -ENOENT);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_members_of_archives),
        WITH_STORE(test_files_of_directories),
        WITH_STORE(test_damaged_archives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
