// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "cli/node/options.h"

static int parse(struct node_options *out, struct husk_error *err, const char *words)
{
    static char text[256];
    char *argv[16] = {"husk-node"}, *rest = NULL;
    int argc = 1;

    snprintf(text, sizeof(text), "%s", words);
    for (char *at = strtok_r(text, " ", &rest); at; at = strtok_r(NULL, " ", &rest))
        argv[argc++] = at;
    return node_options_parse(argc, argv, out, err);
}

static void takes(void **state)
{
    struct node_options options;

    assert_int_equal(parse(&options, NULL, "--manifests /m --listen=/s --network none"), 0);
    assert_string_equal(options.manifests, "/m");
    assert_string_equal(options.listen, "/s");
    assert_string_equal(options.network, "none");
    assert_int_equal(options.resync_ns, 20000000000);
    assert_int_equal(options.backoff.first_ns, 10000000000);
    assert_int_equal(options.backoff.max_ns, 300000000000);
    assert_int_equal(parse(&options, NULL, "--manifests /m --resync 5 --back-off 50,70"), 0);
    assert_int_equal(options.resync_ns, 5000000000);
    assert_int_equal(options.backoff.first_ns, 50000000);
    assert_int_equal(options.backoff.max_ns, 70000000);
    assert_int_equal(parse(&options, NULL, "--manifests /m --back-off 400000"), 0);
    assert_int_equal(options.backoff.max_ns, 400000000000);
    assert_int_equal(parse(&options, NULL, "--help"), 0);
    assert_true(options.help);
}

static void refuses(void **state)
{
    static const char *const wrong[][2] = {
        {"", "--manifests"},
        {"--manifests", "--manifests"},
        {"--manifests=", "--manifests"},
        {"--manifests /m --resync 0", "--resync"},
        {"--manifests /m --back-off 0", "--back-off"},
        {"--manifests /m --back-off 9,8", "--back-off"},
        {"--manifests /m --back-off 1,2,3", "--back-off"},
        {"--manifests /m --nonsense 1", "--nonsense"},
        {"--manifests /m extra", "extra"},
        {"-m /m", "-m"},
    };

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct node_options options;
        struct husk_error err = {0};

        if (parse(&options, &err, wrong[i][0]) != -EINVAL)
            fail_msg("%s was taken", wrong[i][0]);
        assert_string_equal(err.where, wrong[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(takes), cmocka_unit_test(refuses)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
