// SPDX-License-Identifier: Apache-2.0
/* Users by name: what each form of NAME:GROUP becomes, and files that are not what they should be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "guest/agent/passwd.h"

static const char passwd_file[] = "root:x:0:0:root:/root:/bin/sh\n"
                                  "\n"
                                  ":x:9:9::/nameless:\n"
                                  "worded:x:ten:1::/:\n"
                                  "negative:x:-1:1::/:\n"
                                  "wide:x:2147483648:1::/:\n"
                                  "groupless:x:12:::/:\n"
                                  "bin:x:2:3:a:relative\n"
                                  "1000:x:5:5::/named-by-number:\n"
                                  "anna:x:1000:100:Anna:/home/anna:/bin/sh\n"
                                  "anna:x:1:1::/second:\n"
                                  "last:x:7:8::/last:/bin/sh:more:and:more";
static const char group_file[] = "root:x:0:\n"
                                 "users:x:100:anna\n"
                                 "wheel:x:10:root,anna\n"
                                 "near:x:11:annab,nanna,ann,,\n"
                                 "bad:x:y:anna\n"
                                 "twice:x:10:anna\n"
                                 "1000:x:55:\n"
                                 "audio:x:29:anna:behind";

static int find(const char *wanted, struct passwd_user *out, struct husk_error *err)
{
    char *passwd = strdup(passwd_file), *group = strdup(group_file);
    int ret;

    assert_non_null(passwd);
    assert_non_null(group);
    *out = (struct passwd_user){.uid = 0, .gid = 42};
    ret = passwd_find(wanted, passwd, group, out, err);
    free(passwd);
    free(group);
    return ret;
}

static void test_found(void **state)
{
    static const struct {
        const char *wanted;
        uid_t uid;
        gid_t gid;
        size_t group_count;
        const char *home;
    } cases[] = {
        {"anna", 1000, 100, 2, "/home/anna"},
        {"anna:", 1000, 100, 2, "/home/anna"},
        {"1000", 1000, 100, 2, "/home/anna"}, /* the id, not the name */
        {"01000", 1000, 100, 2, "/home/anna"},
        {"anna:wheel", 1000, 10, 0, "/home/anna"},
        {"anna:1000", 1000, 1000, 0, "/home/anna"},
        {"root", 0, 0, 1, "/root"},
        {"", 0, 0, 1, "/root"},
        {":", 0, 0, 1, "/root"},
        {":audio", 0, 29, 0, "/root"},
        {"77", 77, 42, 0, "/"},
        {"77:", 77, 42, 0, "/"},
        {"77:88", 77, 88, 0, "/"},
        {"12", 12, 42, 0, "/"}, /* its line has no group */
        {"9", 9, 42, 0, "/"},
        {"bin", 2, 3, 0, "/"},
        {"last", 7, 8, 0, "/last"},
        {"2147483647:2147483647", INT32_MAX, INT32_MAX, 0, "/"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct passwd_user user;
        struct husk_error err = {.code = 0};

        if (find(cases[i].wanted, &user, &err))
            fail_msg("%s: %s: %s", cases[i].wanted, err.what, err.why);
        if (user.uid != cases[i].uid || user.gid != cases[i].gid ||
            user.group_count != cases[i].group_count || strcmp(user.home, cases[i].home) != 0)
            fail_msg("%s: %u:%u, %zu groups, %s", cases[i].wanted, user.uid, user.gid,
                     user.group_count, user.home);
    }
    (void)state;
}

static void test_groups(void **state)
{
    struct passwd_user user;
    struct husk_error err;

    assert_int_equal(find("anna", &user, &err), 0);
    assert_int_equal(user.group_count, 2); /* neither the primary one nor any twice */
    assert_int_equal(user.groups[0], 10);
    assert_int_equal(user.groups[1], 29); /* whose line has a field too many */
    assert_int_equal(find("root", &user, &err), 0);
    assert_int_equal(user.groups[0], 10);
    (void)state;
}

static void test_refused(void **state)
{
    static const struct {
        const char *wanted;
        int ret;
    } cases[] = {
        {"nobody", -ENOENT},
        {"Anna", -ENOENT},
        {"worded", -ENOENT},
        {"wide", -ENOENT},
        {"groupless", -ENOENT},
        {"-1", -ENOENT},
        {"0x0", -ENOENT},
        {" 0", -ENOENT},
        {"anna:nobody", -ENOENT},
        {"anna:bad", -ENOENT},
        {"anna:wheel:", -ENOENT},
        {"2147483648", -ERANGE},
        {"anna:4294967296", -ERANGE},
        {"99999999999999999999", -ERANGE},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct passwd_user user;
        struct husk_error err = {.code = 0};
        int ret = find(cases[i].wanted, &user, &err);

        if (ret != cases[i].ret || strcmp(err.where, "user") != 0)
            fail_msg("%s: %d (%s)", cases[i].wanted, ret, err.what);
    }
    (void)state;
}

static void test_limits(void **state)
{
    char wanted[PASSWD_USER_MAX + 2], passwd[] = "a:x:1:1::/:\n ", none[] = "";
    char *group = malloc(64 * (OCI_GROUPS_MAX + 2)), *copy;
    struct passwd_user user = {.uid = 0};
    struct husk_error err;
    size_t len = 0;

    memset(wanted, '1', sizeof(wanted) - 1);
    wanted[sizeof(wanted) - 1] = '\0';
    assert_int_equal(passwd_find(wanted, none, none, &user, &err), -ENAMETOOLONG);
    assert_non_null(group);
    for (int i = 0; i <= OCI_GROUPS_MAX; i++)
        len += (size_t)sprintf(group + len, "g%d:x:%d:a\n", i, 100 + i);
    copy = strdup(group);
    assert_non_null(copy);
    assert_int_equal(passwd_find("a", passwd, group, &user, &err), -E2BIG);
    strcpy(passwd, "a:x:1:100::/:");
    assert_int_equal(passwd_find("a", passwd, copy, &user, &err), 0);
    assert_int_equal(user.group_count, OCI_GROUPS_MAX);
    free(group);
    free(copy);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
