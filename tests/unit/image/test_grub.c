// SPDX-License-Identifier: Apache-2.0
/* image/grub.c: which entry of a grub.cfg, and what is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "image/grub.h"

static struct image_choice choice;

static bool parse(const char *variables, const char *text)
{
    struct environment *env = calloc(1, sizeof(*env));
    bool found;

    assert_non_null(env);
    environment_read(env, variables);
    memset(&choice, 0, sizeof(choice));
    found = grub_parse(text, env, &choice);
    free(env);
    return found;
}

#define TWO                                                                                   \
    "menuentry 'One' --id one {\n linux /k1 a=1\n initrd /i1\n}\n"                            \
    "submenu 'More' --id more {\n"                                                            \
    " menuentry \"Two\" $menuentry_id_option 'two' { linux16 /k2 a=2; initrd16 /i2 /i3\n }\n" \
    " menuentry Three { linux /k3\n }\n}\n"                                                   \
    "menuentry 'Last' {\n linuxefi /k4\n initrdefi /i4\n}\n"

static void expect(const char *variables, const char *text, const char *kernel)
{
    assert_true(parse(variables, text));
    assert_string_equal(choice.linux_path, kernel);
}

static void test_which_entry(void **state)
{
    expect("", TWO, "/k1");
    expect("", "set default=0\n" TWO, "/k1");
    expect("", "set default=1>0\n" TWO, "/k2");
    expect("", "set default=\"1>1\"\n" TWO, "/k3");
    expect("", "set default=2\n" TWO, "/k4");
    expect("", "set default=two\n" TWO, "/k2");
    expect("", "set default='more>two'\n" TWO, "/k2");
    expect("", "set default=Last\n" TWO, "/k4");
    expect("", "set default=gone\n" TWO, "/k1");
    expect("saved_entry=two\n", "set default=\"${saved_entry}\"\n" TWO, "/k2");
    /* The branch that is not taken sets it to nothing. */
    expect("", "set default=two\nset default=\"${next_entry}\"\n" TWO, "/k2");
}

static void test_options(void **state)
{
    assert_true(
        parse("opts=x  y\n",
              "set more=\"a b\"\n"
              "menuentry x {\n"
              "  linux ($root)/boot/k root=UUID=1 $opts ${none} \"q=1  $opts\" 's'\\$t # not this\n"
              "  initrd (hd0,gpt1)/boot/i \\\n   /boot/j $more\n}\n"));
    assert_string_equal(choice.linux_path, "/boot/k");
    assert_string_equal(choice.options, "root=UUID=1 x y \"q=1  x  y\" s$t");
    assert_int_equal(choice.initrd_count, 4);
    assert_string_equal(choice.initrds[0], "/boot/i");
    assert_string_equal(choice.initrds[1], "/boot/j");
    assert_string_equal(choice.initrds[2], "a");
    assert_string_equal(choice.initrds[3], "b");
}

/* Ubuntu: with the initrd unless that failed before. */
static void test_branches(void **state)
{
    expect("",
           "menuentry 'Ubuntu' {\n"
           " if [ \"${initrdfail}\" = 1 ]; then\n  linux /k-no\n"
           " else\n  linux /k-yes root=LABEL=x\n  initrd /i\n fi\n initrdfail\n}\n",
           "/k-yes");
    assert_int_equal(choice.initrd_count, 1);
    expect("", "menuentry x {\n linux /only\n}\n", "/only");
    assert_int_equal(choice.initrd_count, 0);
}

static void test_no_entry(void **state)
{
    assert_false(parse("", ""));
    assert_false(parse("", "configfile /boot/grub/grub.cfg\nlinux /k\n"));
    assert_false(parse("", "menuentry x {\n echo hello\n}\n"));
    assert_false(parse("", "menuentry x {\n linux\n}\n"));
    assert_false(parse("", "}}}}{{{{ menuentry { { {\n"));
    assert_false(parse("", "menuentry 'never ends"));
    /* An entry that nobody closes is none. */
    assert_false(parse("", "menuentry x {\n linux /k\n"));
}

static void test_too_long(void **state)
{
    size_t size = 20000;
    char *text = malloc(size);

    assert_non_null(text);
    memset(text, 'x', size - 1);
    text[size - 1] = '\0';
    memcpy(text, "menuentry a {\n linux /k ", 24);
    memcpy(text + size - 4, "\n}\n", 3);
    assert_false(parse("", text));
    for (size_t i = 0; i + 2 < size; i += 2)
        memcpy(text + i, "{\n", 2);
    assert_false(parse("", text));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_entry), cmocka_unit_test(test_options),
        cmocka_unit_test(test_branches),    cmocka_unit_test(test_no_entry),
        cmocka_unit_test(test_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
