// SPDX-License-Identifier: Apache-2.0
/* image/bls.c: entries, their order, loader.conf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "image/bls.h"

static struct bls_entry entry, other;
static struct environment env;

static void parse(struct bls_entry *to, const char *name, const char *text)
{
    bls_parse(name, text, &env, to);
}

static void test_fields(void **state)
{
    environment_read(&env, "kernelopts=x=y z\n");
    parse(&entry, "machine-6.1.conf",
          "# a comment\ntitle  Some Linux\nversion\t6.1\nlinux   /vmlinuz\r\ninitrd /a /b\n"
          "  initrd /c  \noptions root=/dev/vda1\noptions ro $kernelopts\nunknown thing\nempty\n");
    assert_true(entry.usable);
    assert_string_equal(entry.id, "machine-6.1");
    assert_string_equal(entry.version, "6.1");
    assert_string_equal(entry.choice.linux_path, "/vmlinuz");
    assert_int_equal(entry.choice.initrd_count, 3);
    assert_string_equal(entry.choice.initrds[1], "/b");
    assert_string_equal(entry.choice.initrds[2], "/c");
    assert_string_equal(entry.choice.options, "root=/dev/vda1 ro x=y z");
}

static void test_unusable(void **state)
{
    char *text = malloc(8192);

    parse(&entry, "a.conf", "title none\n");
    assert_false(entry.usable);
    parse(&entry, "a.conf", "architecture aa64\nlinux /v\n");
    assert_false(entry.usable);
    parse(&entry, "a.conf", "linux /v\narchitecture x64\n");
    assert_true(entry.usable);
    parse(&entry, "a.conf", "linux /v\ninitrd 1 2 3 4 5 6 7 8\n");
    assert_true(entry.usable);
    parse(&entry, "a.conf", "linux /v\ninitrd 1 2 3 4 5 6 7 8 9\n");
    assert_false(entry.usable);
    /* Half a command line is none. */
    assert_non_null(text);
    memset(text, 'x', 8191);
    memcpy(text, "linux /v\noptions ", 17);
    text[8191] = '\0';
    parse(&entry, "a.conf", text);
    assert_false(entry.usable);
    free(text);
}

static void test_boot_counter(void **state)
{
    parse(&entry, "a+3.conf", "linux /v\n");
    assert_string_equal(entry.id, "a");
    assert_false(entry.exhausted);
    parse(&entry, "a+0-3.conf", "linux /v\n");
    assert_string_equal(entry.id, "a");
    assert_true(entry.exhausted);
    parse(&entry, "a+b.conf", "linux /v\n");
    assert_string_equal(entry.id, "a+b");
}

static int order(const char *one, const char *one_text, const char *two, const char *two_text)
{
    parse(&entry, one, one_text);
    parse(&other, two, two_text);
    assert_int_equal(bls_compare(&entry, &other) < 0, bls_compare(&other, &entry) > 0);
    return bls_compare(&entry, &other);
}

static void test_order(void **state)
{
    assert_true(order("a-6.10.conf", "linux /v\n", "a-6.9.conf", "linux /v\n") < 0);
    assert_true(order("a.conf", "linux /v\nsort-key x\n", "b.conf", "linux /v\n") < 0);
    assert_true(order("b.conf", "linux /v\nsort-key a\nversion 1\n", "a.conf",
                      "linux /v\nsort-key b\nversion 2\n") < 0);
    assert_true(order("a.conf", "linux /v\nsort-key a\nversion 2\n", "b.conf",
                      "linux /v\nsort-key a\nversion 1\n") < 0);
    assert_true(order("a-1.conf", "linux /v\n", "a-2+0.conf", "linux /v\n") < 0);
}

static void test_loader_default(void **state)
{
    char out[8];

    assert_true(bls_loader_default("timeout 3\ndefault  arch-* \n", out, sizeof(out)));
    assert_string_equal(out, "arch-*");
    assert_true(bls_loader_default("defaults x\n", out, sizeof(out)));
    assert_string_equal(out, "");
    assert_false(bls_loader_default("default much-too-long", out, sizeof(out)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),         cmocka_unit_test(test_unusable),
        cmocka_unit_test(test_boot_counter),   cmocka_unit_test(test_order),
        cmocka_unit_test(test_loader_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
