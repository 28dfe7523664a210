// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/pod/archive.h"

/* A directory with "target" in it, and an archive that is being made. */
struct fixture {
    char top[32], target[64];
    int fd;
    struct archive *out;
};

static void set_up(struct fixture *f)
{
    snprintf(f->top, sizeof(f->top), "/tmp/husk-unpack-XXXXXX");
    assert_non_null(mkdtemp(f->top));
    snprintf(f->target, sizeof(f->target), "%s/target", f->top);
    assert_int_equal(mkdir(f->target, 0755), 0);
    f->fd = memfd_create("archive", MFD_CLOEXEC);
    f->out = archive_write_new();
    archive_write_set_format_pax_restricted(f->out);
    assert_int_equal(archive_write_open_fd(f->out, f->fd), ARCHIVE_OK);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    return remove(path);
}

static void tear_down(struct fixture *f)
{
    close(f->fd);
    nftw(f->top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void add(struct fixture *f, const char *name, mode_t mode, const char *text)
{
    struct archive_entry *entry = archive_entry_new();

    archive_entry_set_pathname(entry, name);
    archive_entry_set_mode(entry, mode);
    if (S_ISLNK(mode))
        archive_entry_set_symlink(entry, text);
    else if (S_ISREG(mode))
        archive_entry_set_size(entry, (la_int64_t)strlen(text));
    assert_int_equal(archive_write_header(f->out, entry), ARCHIVE_OK);
    if (S_ISREG(mode))
        assert_int_equal(archive_write_data(f->out, text, strlen(text)), strlen(text));
    archive_entry_free(entry);
}

static int unpack(struct fixture *f, const char *name)
{
    struct husk_error err = {0};
    int ret;

    assert_int_equal(archive_write_free(f->out), ARCHIVE_OK);
    lseek(f->fd, 0, SEEK_SET);
    ret = archive_unpack(f->fd, f->target, name, &err);
    assert_true(!ret == !err.code);
    return ret;
}

/* The mode of a file below the top; 0 when it is not there. */
static mode_t mode_of(const struct fixture *f, const char *name)
{
    char path[128];
    struct stat st;

    snprintf(path, sizeof(path), "%s/%s", f->top, name);
    return lstat(path, &st) == 0 ? st.st_mode : 0;
}

static void test_renames_and_takes_rights_away(void **state)
{
    struct fixture f;

    set_up(&f);
    add(&f, "dir", S_IFDIR | 0755, NULL);
    add(&f, "dir/file", S_IFREG | 06755, "text");
    add(&f, "dir/link", S_IFLNK | 0777, "/etc/passwd");
    assert_int_equal(unpack(&f, "other"), 0);
    assert_int_equal(mode_of(&f, "target/other/file"), S_IFREG | 0755);
    assert_true(S_ISLNK(mode_of(&f, "target/other/link")));
    assert_int_equal(mode_of(&f, "target/dir"), 0);
    tear_down(&f);
}

static void test_names_that_do_not_belong(void **state)
{
    static const char *const names[] = {"other", "/dir/x", "dirx/y", "../dir", "dir/../../escape"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct fixture f;

        set_up(&f);
        add(&f, "dir", S_IFDIR | 0755, NULL);
        add(&f, names[i], S_IFREG | 0644, "text");
        assert_true(unpack(&f, "dir") < 0);
        assert_int_equal(mode_of(&f, "other"), 0);
        assert_int_equal(mode_of(&f, "escape"), 0);
        assert_int_equal(mode_of(&f, "target/other"), 0);
        tear_down(&f);
    }
}

static void test_not_through_a_link(void **state)
{
    struct fixture f;
    char outside[64];

    set_up(&f);
    snprintf(outside, sizeof(outside), "%s/outside", f.top);
    assert_int_equal(mkdir(outside, 0755), 0);
    add(&f, "dir", S_IFDIR | 0755, NULL);
    add(&f, "dir/way", S_IFLNK | 0777, outside);
    add(&f, "dir/way/file", S_IFREG | 0644, "text");
    unpack(&f, "dir");
    assert_int_equal(mode_of(&f, "outside/file"), 0);
    tear_down(&f);
}

/* Links of the user's own on the way to the target are followed, and stay. */
static void test_links_to_the_target(void **state)
{
    struct fixture f;
    char link[64];

    set_up(&f);
    snprintf(link, sizeof(link), "%s/way", f.top);
    assert_int_equal(symlink("target", link), 0);
    snprintf(f.target, sizeof(f.target), "%s", link);
    add(&f, "file", S_IFREG | 0644, "text");
    assert_int_equal(unpack(&f, "file"), 0);
    assert_true(S_ISLNK(mode_of(&f, "way")));
    assert_int_equal(mode_of(&f, "target/file"), S_IFREG | 0644);
    tear_down(&f);
}

static void test_devices_are_left_out(void **state)
{
    struct fixture f;

    set_up(&f);
    add(&f, "dir", S_IFDIR | 0755, NULL);
    add(&f, "dir/device", S_IFCHR | 0666, NULL);
    add(&f, "dir/file", S_IFREG | 0644, "text");
    assert_int_equal(unpack(&f, "dir"), 0);
    assert_int_equal(mode_of(&f, "target/dir/device"), 0);
    assert_int_equal(mode_of(&f, "target/dir/file"), S_IFREG | 0644);
    tear_down(&f);
}

static void test_what_is_no_archive(void **state)
{
    struct fixture f;
    struct husk_error err;
    bool directory;

    set_up(&f);
    assert_true(unpack(&f, "dir") < 0); /* nothing in it */
    assert_int_equal(ftruncate(f.fd, 0), 0);
    assert_int_equal(pwrite(f.fd, "garbage that is no header", 25, 0), 25);
    lseek(f.fd, 0, SEEK_SET);
    assert_true(archive_unpack(f.fd, f.target, "dir", &err) < 0);
    lseek(f.fd, 0, SEEK_SET);
    assert_true(archive_first_is_directory(f.fd, &directory) < 0);
    tear_down(&f);
}

/* What is packed here comes back, under another name. */
static void test_there_and_back(void **state)
{
    struct fixture f;
    struct husk_error err;
    char source[64], path[96];
    bool directory = false;
    int fd;

    set_up(&f);
    assert_int_equal(archive_write_free(f.out), ARCHIVE_OK);
    snprintf(source, sizeof(source), "%s/source", f.top);
    assert_int_equal(mkdir(source, 0750), 0);
    snprintf(path, sizeof(path), "%s/file", source);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    assert_int_equal(write(fd, "text", 4), 4);
    close(fd);
    assert_int_equal(ftruncate(f.fd, 0), 0);
    lseek(f.fd, 0, SEEK_SET);
    assert_int_equal(archive_pack(f.fd, source, "name", &err), 0);
    lseek(f.fd, 0, SEEK_SET);
    assert_int_equal(archive_first_is_directory(f.fd, &directory), 0);
    assert_true(directory);
    lseek(f.fd, 0, SEEK_SET);
    assert_int_equal(archive_unpack(f.fd, f.target, "back", &err), 0);
    assert_int_equal(mode_of(&f, "target/back"), S_IFDIR | 0750);
    assert_int_equal(mode_of(&f, "target/back/file"), S_IFREG | 0640);
    assert_true(archive_pack(f.fd, "/no/such", NULL, &err) < 0);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renames_and_takes_rights_away),
        cmocka_unit_test(test_names_that_do_not_belong),
        cmocka_unit_test(test_not_through_a_link),
        cmocka_unit_test(test_links_to_the_target),
        cmocka_unit_test(test_devices_are_left_out),
        cmocka_unit_test(test_what_is_no_archive),
        cmocka_unit_test(test_there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
