// SPDX-License-Identifier: Apache-2.0
/* Which modules are taken from a tree, in which order, and which one drives a device. */
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

#include "pod/machine/modules.h"

static char tree[64];

static void write_file(const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", tree, name);
    file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    strcpy(tree, "/tmp/husk-modules-XXXXXX");
    if (!mkdtemp(tree))
        return -1;
    write_file("modules.builtin", "kernel/fs/ext4/ext4.ko\nkernel/drivers/virtio/virtio.ko\n");
    write_file("modules.dep", "k/top.ko: k/middle-one.ko k/low.ko\n"
                              "k/middle-one.ko: k/low.ko\n"
                              "k/low.ko:\n"
                              "k/other.ko: k/low.ko\n");
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", tree);
    return system(command);
}

static void lists_each_behind_what_it_needs(void **state)
{
    static const char *const names[] = {"middle_one", "ext4", "top", "other", "virtio", NULL};
    static const char *const order[] = {"k/low.ko", "k/middle-one.ko", "k/top.ko", "k/other.ko"};
    struct module_list list;

    assert_int_equal(module_list_read(tree, names, &list, NULL), 0);
    assert_int_equal(list.count, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_string_equal(list.paths[i], order[i]);
    module_list_clear(&list);
    assert_int_equal(list.count, 0);
}

/* Of an alias of several the one for every processor; what does not exist is not missed. */
static void lists_what_is_wanted_before(void **state)
{
    static const char *const names[] = {"top", NULL};
    static const char *const order[] = {"k/low.ko", "k/sum_generic.ko", "k/middle-one.ko",
                                        "k/other.ko", "k/top.ko"};
    struct module_list list;

    write_file("modules.dep", "k/top.ko: k/middle-one.ko k/low.ko\n"
                              "k/middle-one.ko: k/low.ko\n"
                              "k/low.ko:\n"
                              "k/other.ko: k/low.ko\n"
                              "kernel/arch/x86/sum-fast.ko:\n"
                              "k/sum_generic.ko:\n");
    write_file("modules.alias", "alias sum sum_fast\nalias sum sum_generic\n");
    write_file("modules.softdep", "# comment\nsoftdep\nsoftdep middle_one pre: sum nosuch\n"
                                  "softdep top pre: other post: nosuch low\n"
                                  "softdep top sum\n");
    assert_int_equal(module_list_read(tree, names, &list, NULL), 0);
    assert_int_equal(list.count, 5);
    for (unsigned i = 0; i < 5; i++)
        assert_string_equal(list.paths[i], order[i]);
    module_list_clear(&list);
    /* In a circle, too, each is there once. */
    write_file("modules.softdep", "softdep middle_one pre: sum\nsoftdep sum_generic pre: top\n");
    assert_int_equal(module_list_read(tree, names, &list, NULL), 0);
    assert_int_equal(list.count, 4);
    module_list_clear(&list);
}

static void finds_the_driver_of_a_device(void **state)
{
    static const char modalias[] = "pci:v00008086d000010CAsv00001AF4sd00001100bc02sc00i00";
    char name[MODULE_NAME_BYTES] = "";
    struct husk_error err;

    assert_int_equal(module_for_device(tree, modalias, name, &err), -ENOENT);
    assert_non_null(strstr(err.where, "modules.alias"));
    write_file("modules.alias", "# Aliases extracted from modules themselves.\n\nalias\nalias x\n"
                                "alias pci:v00008086d00001520sv*sd*bc*sc*i* other\n"
                                "alias pci:v00008086d000010CAsv*sd*bc*sc*i* my-driver\n");
    assert_int_equal(module_for_device(tree, modalias, name, &err), 0);
    assert_string_equal(name, "my_driver");
    write_file("modules.alias", "alias pci:v00008086d00001520sv*sd*bc*sc*i* other\n");
    assert_int_equal(module_for_device(tree, modalias, name, &err), -ENOENT);
    assert_string_equal(err.where, tree);
    assert_non_null(strstr(err.why, modalias));
    write_file("modules.builtin.modinfo", "a.alias=x");
    assert_int_equal(module_for_device(tree, modalias, name, &err), -ENOENT);
    write_file("modules.builtin.modinfo", "a.alias=pci:v00008086d*");
    assert_int_equal(module_for_device(tree, modalias, name, &err), 0);
    assert_string_equal(name, "");
}

static void names_what_is_missing(void **state)
{
    static const char *const names[] = {"low", "lo", NULL};
    static const char *const none[] = {NULL};
    struct husk_error err;
    struct module_list list;
    char path[128];

    assert_int_equal(module_list_read(tree, names, &list, &err), -ENOENT);
    assert_string_equal(err.where, tree);
    assert_string_equal(err.why, "it has no module lo");
    assert_int_equal(list.count, 0);
    snprintf(path, sizeof(path), "%s/modules.builtin", tree);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(module_list_read(tree, none, &list, &err), -ENOENT);
    assert_string_equal(err.where, path);
}

/* A tree is bounded, whatever it says. */
static void takes_no_more_than_it_may(void **state)
{
    static const char *const names[] = {"big", NULL};
    struct husk_error err;
    struct module_list list;
    char text[4096] = "k/big.ko:";
    size_t len = strlen(text);

    for (unsigned i = 0; i <= MODULES_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, " k/m%u.ko", i);
    write_file("modules.dep", text);
    assert_int_equal(module_list_read(tree, names, &list, &err), -E2BIG);
    assert_int_equal(list.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lists_each_behind_what_it_needs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_what_is_wanted_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finds_the_driver_of_a_device, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_what_is_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_no_more_than_it_may, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
