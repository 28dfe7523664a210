// SPDX-License-Identifier: Apache-2.0
/* Which kernel is taken, and which modules belong to it. Also husk_find_kernel(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "husk/husk.h"
#include "pod/machine/kernel.h"

static char top[64];

static const char *below_top(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", top, name);
    return path;
}

static void make_directory(const char *name)
{
    char command[300];

    snprintf(command, sizeof(command), "mkdir -p %s/%s", top, name);
    assert_int_equal(system(command), 0);
}

static void write_file(const char *name, const void *bytes, size_t len)
{
    FILE *file = fopen(below_top(name), "we");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* A bzImage as far as its version goes. */
static void write_bzimage(const char *name, const char *release)
{
    uint8_t bytes[0x500] = {0};

    put_le32(bytes + 0x202, 0x53726448);
    put_le16(bytes + 0x20e, 0x300 - 0x200);
    snprintf((char *)bytes + 0x300, 0x200, "%s (builder@host) #1 SMP", release);
    write_file(name, bytes, sizeof(bytes));
}

static int set_up(void **state)
{
    strcpy(top, "/tmp/husk-kernel-XXXXXX");
    if (!mkdtemp(top))
        return -1;
    unsetenv("HUSK_KERNEL");
    return setenv("XDG_CACHE_HOME", top, 1);
}

static int tear_down(void **state)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", top);
    return system(command);
}

static void searches_in_order(void **state)
{
    struct guest_kernel kernel;
    struct husk_error err;
    char path[256];

    if (access(HUSK_TEST_DATA_DIR "/husk/vmlinux", F_OK) == 0)
        skip(); /* of an installed husk */
    assert_int_equal(guest_kernel_choose(NULL, &kernel, &err), -ENOENT);
    assert_int_equal(husk_find_kernel(path, sizeof(path), &err), -ENOENT);

    make_directory("husk/kernels/debian-cloud");
    write_bzimage("husk/kernels/debian-cloud/vmlinuz", "6.0.0-none");
    assert_int_equal(guest_kernel_choose("", &kernel, &err), 0);
    assert_string_equal(kernel.path, below_top("husk/kernels/debian-cloud/vmlinuz"));
    assert_int_equal(husk_find_kernel(path, sizeof(path), &err), -ENOENT); /* it has no initrd */

    make_directory("husk/kernels/guest");
    write_file("husk/kernels/guest/vmlinux", "\177ELF", 4);
    assert_int_equal(guest_kernel_choose(NULL, &kernel, &err), 0);
    assert_string_equal(kernel.path, below_top("husk/kernels/guest/vmlinux"));
    assert_string_equal(kernel.modules, "");
    assert_int_equal(husk_find_kernel(path, sizeof(path), &err), 0);
    assert_int_equal(husk_find_kernel(path, 10, &err), -ENOENT);

    write_file("given", "\177ELF", 4);
    setenv("HUSK_KERNEL", below_top("given"), 1);
    assert_int_equal(guest_kernel_choose(NULL, &kernel, &err), 0);
    assert_string_equal(kernel.path, below_top("given"));
    setenv("HUSK_KERNEL", "/nowhere/vmlinux", 1);
    assert_int_equal(guest_kernel_choose(NULL, &kernel, &err), -ENOENT);
    assert_string_equal(err.where, "/nowhere/vmlinux");

    write_file("named", "\177ELF", 4);
    assert_int_equal(guest_kernel_choose(below_top("named"), &kernel, &err), 0);
    assert_string_equal(kernel.path, below_top("named"));
    assert_int_equal(guest_kernel_choose("/nowhere/x", &kernel, &err), -ENOENT);
    assert_string_equal(err.where, "/nowhere/x");
}

static void finds_modules_beside_the_kernel(void **state)
{
    struct guest_kernel kernel;

    make_directory("k/modules/lib/modules/6.1.0-9_x+deb~1");
    write_bzimage("k/vmlinuz", "6.1.0-9_x+deb~1");
    assert_int_equal(guest_kernel_choose(below_top("k/vmlinuz"), &kernel, NULL), 0);
    assert_string_equal(kernel.modules, ""); /* no modules.dep yet */
    write_file("k/modules/lib/modules/6.1.0-9_x+deb~1/modules.dep", "", 0);
    assert_int_equal(guest_kernel_choose(below_top("k/vmlinuz"), &kernel, NULL), 0);
    assert_string_equal(kernel.modules, below_top("k/modules/lib/modules/6.1.0-9_x+deb~1"));
    /* Through a link, as the cache has it. */
    assert_int_equal(symlink("k/vmlinuz", below_top("link")), 0);
    assert_int_equal(guest_kernel_choose(below_top("link"), &kernel, NULL), 0);
    assert_string_equal(kernel.modules, below_top("k/modules/lib/modules/6.1.0-9_x+deb~1"));
}

/* What a kernel's file says of itself leads nowhere else. */
static void believes_no_strange_release(void **state)
{
    static const char *const releases[] = {"../../../../../etc", ".", "..", "a/b", "", " "};
    struct guest_kernel kernel;
    uint8_t cut[0x210] = {0};

    make_directory("k/modules/lib/modules");
    write_file("k/modules/lib/modules/modules.dep", "", 0);
    write_file("k/modules/modules.dep", "", 0);
    for (unsigned i = 0; i < sizeof(releases) / sizeof(releases[0]); i++) {
        write_bzimage("k/vmlinuz", releases[i]);
        assert_int_equal(guest_kernel_choose(below_top("k/vmlinuz"), &kernel, NULL), 0);
        assert_string_equal(kernel.modules, "");
    }
    put_le32(cut + 0x202, 0x53726448);
    put_le16(cut + 0x20e, 0xffff); /* behind the end */
    write_file("k/vmlinuz", cut, sizeof(cut));
    assert_int_equal(guest_kernel_choose(below_top("k/vmlinuz"), &kernel, NULL), 0);
    assert_string_equal(kernel.modules, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(searches_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finds_modules_beside_the_kernel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(believes_no_strange_release, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
