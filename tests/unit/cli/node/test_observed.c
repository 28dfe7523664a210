// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/node/observed.h"

static const char list[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"PodList\",\"items\":["
    "{\"metadata\":{\"name\":\"web\",\"namespace\":\"default\",\"uid\":\"u1\",\"annotations\":{"
    "\"kubernetes.io/config.source\":\"file\",\"kubernetes.io/config.hash\":\"abc\","
    "\"node.husk/manifest\":\"/etc/m/web.yaml\"}},\"spec\":{\"restartPolicy\":\"OnFailure\"},"
    "\"status\":{\"phase\":\"Running\",\"startTime\":\"2026-11-29T00:00:00Z\","
    "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],"
    "\"containerStatuses\":[{\"restartCount\":2,\"state\":{\"running\":{}}},"
    "{\"restartCount\":1,\"state\":{\"waiting\":{}}}]}},"
    "{\"metadata\":{\"name\":\"other\",\"namespace\":\"prod\",\"annotations\":{"
    "\"kubernetes.io/config.source\":\"file\",\"node.husk/manifest\":\"/etc/m2/x.yaml\"}},"
    "\"status\":{\"phase\":\"Failed\",\"reason\":\"SupervisorLost\"}},"
    "{\"metadata\":{\"name\":\"deep\",\"deletionTimestamp\":\"x\",\"annotations\":{"
    "\"kubernetes.io/config.source\":\"file\",\"node.husk/manifest\":\"/etc/m/sub/x.yaml\"}}},"
    "{\"metadata\":{\"name\":\"api\",\"annotations\":{\"kubernetes.io/config.source\":\"api\","
    "\"node.husk/manifest\":\"/etc/m/web.yaml\"}}}]}";

static void reads_a_list(void **state)
{
    struct observed observed;
    const struct observed_pod *pod;

    assert_int_equal(observed_parse(list, "/etc/m", &observed, NULL), 0);
    assert_int_equal(observed.count, 4);
    pod = observed_find(&observed, "web");
    assert_non_null(pod);
    assert_string_equal(pod->file, "web.yaml");
    assert_string_equal(pod->hash, "abc");
    assert_string_equal(pod->uid, "u1");
    assert_int_equal(pod->phase, PHASE_RUNNING);
    assert_int_equal(pod->restart, RESTART_ON_FAILURE);
    assert_true(pod->started && pod->ready && !pod->stopping);
    assert_int_equal(pod->containers_running, 1);
    assert_int_equal(pod->restarts, 3);
    pod = observed_find(&observed, "prod/other");
    assert_non_null(pod);
    assert_null(pod->file);
    assert_string_equal(pod->reason, "SupervisorLost");
    assert_int_equal(pod->restart, RESTART_ALWAYS);
    pod = observed_find(&observed, "deep");
    assert_null(pod->file);
    assert_true(pod->stopping && !pod->started);
    assert_null(observed_find(&observed, "api")->file);
    assert_null(observed_find(&observed, "none"));
    observed_free(&observed);
}

static void refuses_what_is_no_list(void **state)
{
    static const char *const wrong[] = {"",
                                        "[]",
                                        "{}",
                                        "{\"items\":{}}",
                                        "{\"items\":[{}]}",
                                        "{\"items\":[1]}",
                                        "{\"items\":[{\"metadata\":{}}]}"};

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct observed observed;

        if (observed_parse(wrong[i], "/etc/m", &observed, NULL) >= 0)
            fail_msg("%s was read", wrong[i]);
        assert_int_equal(observed.count, 0);
    }
}

static void an_empty_list(void **state)
{
    struct observed observed;

    assert_int_equal(observed_parse("{\"items\":[]}", "/etc/m", &observed, NULL), 0);
    assert_null(observed_find(&observed, "web"));
    observed_free(&observed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_list),
        cmocka_unit_test(refuses_what_is_no_list),
        cmocka_unit_test(an_empty_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
