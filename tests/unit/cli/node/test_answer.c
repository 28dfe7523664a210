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

#include "base/error.h"
#include "cli/node/answer.h"

static void says_what_failed(void **state)
{
    struct http_response response;
    struct husk_error err = {0};

    error_set(&err, ENOENT, "web", "cannot find the pod", NULL);
    answer_error(&response, "web", &err);
    assert_int_equal(response.status, 404);
    assert_non_null(strstr(response.body, "\"reason\":\"NotFound\""));
    assert_non_null(strstr(response.body, "\"code\":404"));
    assert_non_null(strstr(response.body, "\"details\":{\"kind\":\"pods\",\"name\":\"web\"}"));
    assert_non_null(strstr(response.body, "cannot find the pod"));
    assert_int_equal(response.body_len, strlen(response.body));
    free(response.body);
    assert_int_equal(answer_status(EEXIST), 409);
    assert_int_equal(answer_status(EINVAL), 422);
    assert_int_equal(answer_status(EIO), 500);
    answer_json(&response, 200, NULL);
    assert_int_equal(response.status, 500);
}

static void says_how_a_command_ended(void **state)
{
    char *text = status_of_exit(0);

    assert_non_null(strstr(text, "\"status\":\"Success\""));
    free(text);
    text = status_of_exit(7);
    assert_non_null(strstr(text, "\"reason\":\"NonZeroExitCode\""));
    assert_non_null(strstr(text, "{\"reason\":\"ExitCode\",\"message\":\"7\"}"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(says_what_failed),
                                       cmocka_unit_test(says_how_a_command_ended)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
