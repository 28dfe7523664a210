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

#include "cli/node/route.h"

static void finds(void **state)
{
    static const struct {
        const char *method, *path;
        int status;
        enum verb verb;
        const char *pod;
    } cases[] = {
        {"GET", "/healthz", 0, VERB_HEALTH, ""},
        {"GET", "/pods", 0, VERB_LIST, ""},
        {"POST", "/pods", 0, VERB_APPLY, ""},
        {"GET", "/pods/web", 0, VERB_GET, "web"},
        {"DELETE", "/pods/web-0.x", 0, VERB_DELETE, "web-0.x"},
        {"POST", "/pods/web/exec", 0, VERB_EXEC, "web"},
        {"GET", "/pods/web/log", 0, VERB_LOG, "web"},
        {"POST", "/pods/web/log", 405, VERB_LOG, NULL},
        {"PUT", "/pods", 405, VERB_APPLY, NULL},
        {"GET", "/", 404, 0, NULL},
        {"GET", "", 404, 0, NULL},
        {"GET", "/pods/", 404, 0, NULL},
        {"GET", "/pods//log", 404, 0, NULL},
        {"GET", "/pods/web/", 404, 0, NULL},
        {"GET", "/pods/web/log/x", 404, 0, NULL},
        {"GET", "/pods/Web", 404, 0, NULL},
        {"GET", "/pods/..", 404, 0, NULL},
        {"GET", "/pods/a%2fb", 404, 0, NULL},
        {"GET", "/pods/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 404, 0,
         NULL},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct route route;
        int status = route_find(cases[i].method, cases[i].path, &route);

        if (status != cases[i].status)
            fail_msg("%s %s: %d", cases[i].method, cases[i].path, status);
        if (status)
            continue;
        assert_int_equal(route.verb, cases[i].verb);
        assert_string_equal(route.pod, cases[i].pod);
    }
    assert_string_equal(route_methods("/pods"), "GET, POST");
    assert_string_equal(route_methods("/pods/x"), "GET, DELETE");
    assert_string_equal(route_methods("/pods/x/exec"), "POST");
    assert_string_equal(route_methods("/pods/x/log"), "GET");
}

static void takes_parameters(void **state)
{
    struct parameters parameters;

    parameters_init(&parameters);
    assert_int_equal(parameters_add(&parameters, VERB_LOG, "follow", "true", NULL), 0);
    assert_int_equal(parameters_add(&parameters, VERB_LOG, "tailLines", "0", NULL), 0);
    assert_int_equal(parameters_add(&parameters, VERB_LOG, "sinceSeconds", "60", NULL), 0);
    assert_int_equal(parameters_add(&parameters, VERB_LOG, "container", "main", NULL), 0);
    assert_true(parameters.follow && parameters.has_tail && parameters.tail_lines == 0);
    assert_int_equal(parameters.since_seconds, 60);
    assert_string_equal(parameters.container, "main");
    parameters_free(&parameters);
    assert_int_equal(parameters_add(&parameters, VERB_EXEC, "command", "sh", NULL), 0);
    assert_int_equal(parameters_add(&parameters, VERB_EXEC, "command", "", NULL), 0);
    assert_int_equal(parameters_add(&parameters, VERB_EXEC, "tty", "", NULL), 0);
    assert_true(parameters.tty && parameters.command_words == 2 && !parameters.command[2]);
    parameters_free(&parameters);
}

static void refuses_parameters(void **state)
{
    static const struct {
        enum verb verb;
        const char *name, *value;
    } cases[] = {
        {VERB_LIST, "follow", "true"},
        {VERB_LOG, "follow", "yes"},
        {VERB_LOG, "tailLines", "-1"},
        {VERB_LOG, "tailLines", "1x"},
        {VERB_LOG, "container", ""},
        {VERB_PORT_FORWARD, "port", "0"},
        {VERB_PORT_FORWARD, "port", "65536"},
        {VERB_STOP, "gracePeriodSeconds", "1000000001"},
        {VERB_LOG, "command", "sh"},
        {VERB_GET, "nonsense", "1"},
        {VERB_GET, "", ""},
    };
    struct parameters parameters;
    struct husk_error err;

    parameters_init(&parameters);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (parameters_add(&parameters, cases[i].verb, cases[i].name, cases[i].value, &err) !=
            -EINVAL)
            fail_msg("%s=%s was taken", cases[i].name, cases[i].value);
        assert_string_equal(err.where, cases[i].name);
    }
    assert_int_equal(parameters_add(&parameters, VERB_LOG, "container", "a", NULL), 0);
    assert_int_equal(parameters_add(&parameters, VERB_LOG, "container", "b", &err), -EINVAL);
    for (unsigned i = 0; i < COMMAND_WORDS_MAX; i++)
        assert_int_equal(parameters_add(&parameters, VERB_EXEC, "command", "x", NULL), 0);
    assert_int_equal(parameters_add(&parameters, VERB_EXEC, "command", "x", &err), -EINVAL);
    parameters_free(&parameters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds),
        cmocka_unit_test(takes_parameters),
        cmocka_unit_test(refuses_parameters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
