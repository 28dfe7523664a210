// SPDX-License-Identifier: Apache-2.0
/* What becomes of the sources of --volume: disks by what is in them, everything else by its kind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "pod/spec/volumes.h"

static char directory[] = "/tmp/husk-probe-XXXXXX";

static int make_directory(void **state)
{
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    return rmdir(directory);
}

/* A file of 64 MiB in the directory, made by the command with its name behind it. Needs no root. */
static bool make_image(const char *command, char *path, size_t size)
{
    char line[512];
    int fd;

    snprintf(path, size, "%s/image", directory);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 64 << 20), 0);
    close(fd);
    snprintf(line, sizeof(line), "%s %s >/dev/null 2>&1", command, path);
    return system(line) == 0; // NOLINT(cert-env33-c): the test's own line
}

static void probe(const char *path, char *fstype, bool *readonly)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    *readonly = false;
    assert_int_equal(volumes_probe(fd, fstype, readonly), 0);
    close(fd);
}

static void test_file_systems(void **state)
{
    static const struct {
        const char *command, *fstype;
    } lines[] = {
        {"mkfs.ext4 -q", "ext4"},
        {"mkfs.ext2 -q", "ext4"},
        {"mkfs.vfat", "vfat"},
    };
    char path[64], fstype[32];
    unsigned done = 0;
    bool readonly;

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        if (make_image(lines[i].command, path, sizeof(path))) {
            probe(path, fstype, &readonly);
            assert_string_equal(fstype, lines[i].fstype);
            assert_false(readonly);
            done++;
        } else {
            print_message("skipped: %s: the command is not there\n", lines[i].command);
        }
        unlink(path);
    }
    if (!done)
        skip();
}

/* One that nothing can be written to is read-only, whatever was asked for. */
static void test_readonly(void **state)
{
    char path[64], command[128], fstype[32];
    bool readonly;

    snprintf(command, sizeof(command), "mkdir -p %s/tree; mkfs.erofs %s/image %s/tree #", directory,
             directory, directory);
    if (!make_image(command, path, sizeof(path))) {
        print_message("skipped: mkfs.erofs is not there\n");
        snprintf(command, sizeof(command), "%s/tree", directory);
        rmdir(command);
        unlink(path);
        skip();
    }
    probe(path, fstype, &readonly);
    assert_string_equal(fstype, "erofs");
    assert_true(readonly);
    unlink(path);
    snprintf(command, sizeof(command), "%s/tree", directory);
    rmdir(command);
}

/* Partitions, swap space, nothing: no file system, and no error. */
static void test_others(void **state)
{
    static const char *const commands[] = {"true", "mkswap", "printf 'label: gpt\\n,,\\n' | sfdisk",
                                           "truncate -s 0", "truncate -s 100"};
    char path[64], fstype[32];
    bool readonly;

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (make_image(commands[i], path, sizeof(path))) {
            probe(path, fstype, &readonly);
            assert_string_equal(fstype, "");
            assert_false(readonly);
        } else {
            print_message("skipped: %s: the command is not there\n", commands[i]);
        }
        unlink(path);
    }
}

static void test_sources(void **state)
{
    char path[64], option[2][128];
    const char *words[2] = {option[0], option[1]};
    const struct spec_options options = {.volumes = {words, 2}};
    struct image_config image;
    struct spec spec = {.volume_count = 0};

    memset(&image, 0, sizeof(image));
    if (!make_image("mkfs.ext4 -q", path, sizeof(path))) {
        unlink(path);
        print_message("skipped: mkfs.ext4 is not there\n");
        skip();
    }
    snprintf(option[0], sizeof(option[0]), "%s:/disk:ro", path);
    snprintf(option[1], sizeof(option[1]), "%s:/a/directory", directory);
    assert_int_equal(volumes_parse(&image, &options, &spec, NULL), 0);
    assert_int_equal(spec.volume_count, 2);
    assert_int_equal(spec.volumes[0].kind, SPEC_VOLUME_DISK);
    assert_string_equal(spec.volumes[0].fstype, "ext4");
    assert_string_equal(spec.volumes[0].source, path);
    assert_true(spec.volumes[0].readonly);
    assert_int_equal(spec.volumes[1].kind, SPEC_VOLUME_DIRECTORY);
    assert_string_equal(spec.volumes[1].name, "volume-1");
    volumes_free(&spec);
    unlink(path);
}

/* One that guests do not mount is neither a disk nor silently a file. */
static void test_not_mounted(void **state)
{
    char path[64], option[128];
    const char *words[1] = {option};
    const struct spec_options options = {.volumes = {words, 1}};
    struct husk_error err = {.code = 0};
    struct image_config image;
    struct spec spec = {.volume_count = 0};

    memset(&image, 0, sizeof(image));
    if (!make_image("mkfs.vfat", path, sizeof(path))) {
        unlink(path);
        print_message("skipped: mkfs.vfat is not there\n");
        skip();
    }
    snprintf(option, sizeof(option), "%s:/disk", path);
    assert_int_equal(volumes_parse(&image, &options, &spec, &err), -ENOTSUP);
    assert_non_null(strstr(err.why, "holds vfat"));
    volumes_free(&spec);
    unlink(path);
}

static void test_clean_path(void **state)
{
    static const struct {
        const char *path, *clean;
    } lines[] = {
        {"/", "/"},
        {"//", "/"},
        {"/a", "/a"},
        {"/a/", "/a"},
        {"//a//b", "/a/b"},
        {"/./a/./b/.", "/a/b"},
        {"/a/../b", "/b"},
        {"/..", "/"},
        {"/../../a", "/a"},
        {"/a/b/..", "/a"},
        {"/a..b", "/a..b"},
        {"/...", "/..."},
        {"/.hidden", "/.hidden"},
    };
    char out[SPEC_PATH_SIZE], *text = malloc(SPEC_PATH_SIZE + 1);

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        assert_int_equal(volumes_clean_path(lines[i].path, out), 0);
        assert_string_equal(out, lines[i].clean);
    }
    assert_true(volumes_clean_path("a", out) < 0);
    assert_true(volumes_clean_path("", out) < 0);
    assert_non_null(text);
    memset(text, 'a', SPEC_PATH_SIZE);
    text[0] = '/';
    text[SPEC_PATH_SIZE] = '\0';
    assert_true(volumes_clean_path(text, out) < 0);
    text[SPEC_PATH_SIZE - 1] = '\0';
    assert_int_equal(volumes_clean_path(text, out), 0);
    assert_string_equal(out, text);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_systems), cmocka_unit_test(test_readonly),
        cmocka_unit_test(test_others),       cmocka_unit_test(test_sources),
        cmocka_unit_test(test_not_mounted),  cmocka_unit_test(test_clean_path),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
