// SPDX-License-Identifier: Apache-2.0
/* What a filter says of calls that are newer than it: put on in a child, which makes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/agent/node.h"
#include "guest/agent/seccomp.h"

/* The error of the call under the profile; 0 for none. */
static int try_call(const char *profile, long number)
{
    json_t *config = json_pack("{s:o}", "seccomp", json_loads(profile, 0, NULL));
    struct node root = node_root(config, "linux");
    struct sock_fprog program = {.len = 0};
    unsigned flags = 0;
    int status = 0;
    pid_t child;

    assert_int_equal(seccomp_parse(&root, &program, &flags, NULL), 0);
    child = fork();
    if (child == 0) {
        long ret;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || seccomp_apply(&program, flags, NULL))
            _exit(255);
        ret = syscall(number, -1, -1, -1);
        /* Sanitizers do more in _exit() than this filter lets them. */
        syscall(SYS_exit_group, ret < 0 ? errno : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    free(program.filter);
    json_decref(config);
    return WEXITSTATUS(status);
}

#define DENY_BUT(names)                                                                      \
    "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,\"syscalls\":[{\"names\":[" \
    "\"exit\",\"exit_group\"" names "],\"action\":\"SCMP_ACT_ALLOW\"}]}"

/* As long as it names close_range(), what came before is known, and forbidden. */
static void test_denied(void **state)
{
    assert_int_equal(try_call(DENY_BUT(",\"close_range\""), SYS_pidfd_open), EPERM);
    assert_int_equal(try_call(DENY_BUT(",\"close_range\""), SYS_mkdirat), EPERM);
    assert_int_equal(try_call(DENY_BUT(",\"close_range\""), 452), ENOSYS);
    assert_int_equal(try_call(DENY_BUT(",\"close_range\""), 9999), ENOSYS);
    assert_int_equal(try_call(DENY_BUT(""), SYS_pidfd_open), ENOSYS);
}

/* A rule that says what happens anyway names a call, too; a name that nobody knows does not. */
static void test_named(void **state)
{
    static const char profile[] =
        "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,\"syscalls\":["
        "{\"names\":[\"exit\",\"exit_group\"],\"action\":\"SCMP_ACT_ALLOW\"},"
        "{\"names\":[\"close_range\",\"from_the_future\"],\"action\":\"SCMP_ACT_ERRNO\"}]}";

    assert_int_equal(try_call(profile, SYS_close_range), EPERM);
    assert_int_equal(try_call(profile, SYS_pidfd_open), EPERM);
    assert_int_equal(try_call(profile, 9999), ENOSYS);
}

/* What allows everything else has nothing to say of newer ones: the kernel answers. */
static void test_allowed(void **state)
{
    static const char profile[] =
        "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["
        "{\"names\":[\"mkdirat\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":99}]}";

    assert_int_equal(try_call(profile, SYS_mkdirat), EADDRNOTAVAIL);
    assert_int_equal(try_call(profile, SYS_pidfd_open), EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_denied),
        cmocka_unit_test(test_named),
        cmocka_unit_test(test_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
