// SPDX-License-Identifier: Apache-2.0
/* That the archive holds modules unpacked, and their list. */
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
#include <unistd.h>

#include "pod/machine/module_archive.h"

static char tree[64];

static int set_up(void **state)
{
    strcpy(tree, "/tmp/husk-modules-XXXXXX");
    return mkdtemp(tree) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", tree);
    return system(command);
}

static void writes_them_uncompressed(void **state)
{
    const struct module_list list = {.paths = {"k/low-one.ko", "k/top.ko.xz"}, .count = 2};
    struct husk_error err;
    char path[128], command[400];
    int fd;

    if (system("command -v cpio >/dev/null && command -v xz >/dev/null"))
        skip();
    snprintf(command, sizeof(command),
             "cd %s && mkdir k && printf '\\001low' >k/low-one.ko && printf top | xz >k/top.ko.xz",
             tree);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof(path), "%s/out", tree);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(module_archive_write(tree, &list, fd, &err), 0);
    close(fd);
    snprintf(command, sizeof(command),
             "cd %s && cpio -idm --quiet <out && test \"$(cat modules/top.ko)\" = top && "
             "test \"$(cat modules/low_one.ko)\" = \"$(cat k/low-one.ko)\" && "
             "test \"$(cat modules.list)\" = \"$(printf '/modules/low_one.ko\\n/modules/top.ko')\"",
             tree);
    assert_int_equal(system(command), 0);
    assert_int_equal(module_archive_write(tree, &list, -1, &err), -EIO);
    snprintf(path, sizeof(path), "%s/k/top.ko.xz", tree);
    assert_int_equal(unlink(path), 0);
    fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_int_equal(module_archive_write(tree, &list, fd, &err), -EIO);
    assert_string_equal(err.where, path);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_them_uncompressed, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
