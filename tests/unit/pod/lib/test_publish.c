// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/lib/publish.h"

/* The ports of both containers after publishing, as text; the caller's. */
static char *published(const char *text)
{
    json_t *pod = json_loads(
        "{\"spec\": {\"containers\": [{\"name\": \"a\"}, {\"name\": \"b\", \"ports\": ["
        "{\"containerPort\": 80, \"protocol\": \"TCP\"}, {\"containerPort\": 53, \"protocol\": "
        "\"UDP\", \"hostPort\": 53}]}]}}",
        0, NULL);
    json_t *containers = json_object_get(json_object_get(pod, "spec"), "containers"), *both;
    char *result;

    assert_int_equal(publish_port(pod, text, NULL), 0);
    both = json_pack("[O*, O]", json_object_get(json_array_get(containers, 0), "ports"),
                     json_object_get(json_array_get(containers, 1), "ports"));
    result = json_dumps(both, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(both);
    json_decref(pod);
    return result;
}

static void test_places(void **state)
{
#define DNS  "{\"containerPort\":53,\"hostPort\":53,\"protocol\":\"UDP\"}"
#define HTTP "{\"containerPort\":80,\"protocol\":\"TCP\"}"
    static const struct {
        const char *text, *ports;
    } cases[] = {
        /* the container that declares it */
        {"8080:80", "[[{\"containerPort\":80,\"hostPort\":8080,\"protocol\":\"TCP\"}," DNS "]]"},
        {"127.0.0.1:8080:80/tcp", "[[{\"containerPort\":80,\"hostIP\":\"127.0.0.1\",\"hostPort\":"
                                  "8080,\"protocol\":\"TCP\"}," DNS "]]"},
        {"[::1]:8080:80", "[[{\"containerPort\":80,\"hostIP\":\"::1\",\"hostPort\":8080,"
                          "\"protocol\":\"TCP\"}," DNS "]]"},
        /* one that is published already, once more */
        {"5353:53/udp", "[[" HTTP "," DNS ",{\"containerPort\":53,\"hostPort\":5353,\"protocol\":"
                        "\"UDP\"}]]"},
        /* nobody declares it: the first */
        {"9000:9001",
         "[[{\"containerPort\":9001,\"hostPort\":9000,\"protocol\":\"TCP\"}],[" HTTP "," DNS "]]"},
        {"8080:80/sctp",
         "[[{\"containerPort\":80,\"hostPort\":8080,\"protocol\":\"SCTP\"}],[" HTTP "," DNS "]]"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        char *ports = published(cases[i].text);

        assert_string_equal(ports, cases[i].ports);
        free(ports);
    }
}

static void test_refusals(void **state)
{
    static const char *const wrong[] = {
        "",         "80",          "80:",       ":80",        "0:80",          "65536:80",
        "80:0",     "80:80/",      "80:80/TCP", "80:80/icmp", "localhost:8:8", "1.2.3:8:8",
        "[::1:8:8", "[::1]8:8",    "[]:8:8",    "-1:80",      "80:80:80:80",   "0x50:80",
        "1.2.3.4:", "1.2.3.4:8080"};

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        json_t *pod = json_loads("{\"spec\": {\"containers\": [{}]}}", 0, NULL);
        json_t *before = json_deep_copy(pod);
        struct husk_error err = {0};

        assert_int_equal(publish_port(pod, wrong[i], &err), -EINVAL);
        assert_string_equal(err.where, wrong[i]);
        assert_true(json_equal(pod, before));
        json_decref(before);
        json_decref(pod);
    }
}

/* A manifest that is applied again keeps what was published. */
static void test_again(void **state)
{
    const char text[] = "{\"spec\": {\"containers\": [{\"name\": \"a\"}]}}";
    json_t *before = json_loads(text, 0, NULL), *pod = json_loads(text, 0, NULL), *out;

    assert_int_equal(publish_again(before, pod, &out, NULL), 0);
    assert_ptr_equal(out, pod);
    json_decref(out);
    assert_int_equal(publish_port(before, "8080:80", NULL), 0);
    assert_int_equal(publish_port(before, "127.0.0.1:53:53/udp", NULL), 0);
    assert_int_equal(publish_again(before, pod, &out, NULL), 0);
    assert_true(json_equal(out, before));
    assert_false(json_equal(pod, before));
    json_decref(out);
    json_decref(pod);
    json_decref(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
