// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/node/metrics.h"

static void formats(void **state)
{
    static struct metrics metrics;
    struct observed_pod pods[] = {
        {.name = "prod/db", .phase = PHASE_FAILED, .restarts = 4},
        {.name = "web",
         .file = "a.yaml",
         .phase = PHASE_RUNNING,
         .ready = true,
         .containers_running = 2},
    };
    struct observed observed = {.pods = pods, .count = 2};
    struct pod_usage usage = {.name = "web"};
    static const char *const lines[] = {
        "husk_node_pods{phase=\"Running\"} 1\n",
        "husk_node_pods{phase=\"Pending\"} 0\n",
        "husk_node_pods_kept 1\n",
        "husk_node_containers_running 2\n",
        "husk_pod_ready{namespace=\"default\",pod=\"web\"} 1\n",
        "husk_pod_container_restarts_total{namespace=\"prod\",pod=\"db\"} 4\n",
        "husk_pod_memory_resident_bytes{namespace=\"default\",pod=\"web\"} 1048576\n",
        "husk_pod_cpu_seconds_total{namespace=\"default\",pod=\"web\"} 1.500000000\n",
        "husk_node_reconcile_duration_seconds_bucket{le=\"0.001\"} 1\n",
        "husk_node_reconcile_duration_seconds_bucket{le=\"60\"} 2\n",
        "husk_node_reconcile_duration_seconds_bucket{le=\"+Inf\"} 3\n",
        "husk_node_reconcile_duration_seconds_count 3\n",
        "husk_node_operation_errors_total{operation=\"create\"} 1\n",
        "husk_node_operations_total{operation=\"create\"} 2\n",
        "husk_node_http_requests_total{code=\"4xx\"} 1\n",
    };
    char *text;

    assert_true(usage_parse(
        "{\"machine\":{\"memory_resident_bytes\":1048576,\"cpu_ns\":1500000000}}", &usage));
    metrics_round(&metrics, 1000000);
    metrics_round(&metrics, 59000000000);
    metrics_round(&metrics, 61000000000);
    metrics_count(&metrics, OPERATION_CREATE, false);
    metrics_count(&metrics, OPERATION_CREATE, true);
    metrics_request(&metrics, 404);
    metrics_request(&metrics, 9999);
    text = metrics_format(&metrics, &observed, &usage, 1);
    assert_non_null(text);
    for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        if (!strstr(text, lines[i]))
            fail_msg("no %sin %s", lines[i], text);
    }
    free(text);
}

/* The text format's rules: HELP and TYPE once and before the samples, samples of one name together,
 * counters end in _total, a newline at the end. */
static void keeps_the_rules(void **state)
{
    static struct metrics metrics;
    struct observed observed = {0};
    char *text = metrics_format(&metrics, &observed, NULL, 0), *line, *rest = NULL;
    char seen[4096] = "", current[128] = "", type[32] = "";

    assert_non_null(text);
    assert_int_equal(text[strlen(text) - 1], '\n');
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char name[128], key[160];

        if (sscanf(line, "# HELP %127s", name) == 1) {
            snprintf(key, sizeof(key), "|%s|", name);
            assert_null(strstr(seen, key));
            strncat(seen, key, sizeof(seen) - strlen(seen) - 1);
            snprintf(current, sizeof(current), "%s", name);
        } else if (sscanf(line, "# TYPE %127s %31s", name, type) == 2) {
            assert_string_equal(name, current);
            if (!strcmp(type, "counter"))
                assert_string_equal(name + strlen(name) - 6, "_total");
        } else {
            assert_int_equal(strncmp(line, current, strlen(current)), 0);
            if (strcmp(type, "histogram") != 0)
                assert_non_null(strchr("{ ", line[strlen(current)]));
        }
    }
    free(text);
}

static void refuses_other_usage(void **state)
{
    static const char *const wrong[] = {
        "",
        "{}",
        "{\"machine\":{}}",
        "{\"machine\":{\"memory_resident_bytes\":1}}",
        "{\"machine\":{\"memory_resident_bytes\":-1,\"cpu_ns\":1}}",
        "{\"machine\":{\"memory_resident_bytes\":\"1\",\"cpu_ns\":1}}"};

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct pod_usage usage;

        assert_false(usage_parse(wrong[i], &usage));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(formats), cmocka_unit_test(keeps_the_rules),
                                       cmocka_unit_test(refuses_other_usage)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
