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
#include <jansson.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/node/events.h"

#define BEFORE UINT64_C(1700000000000000)

static void add(struct events *events, const char *name, const char *message)
{
    events_add(events, &(struct event){.warning = true,
                                       .kind = "Pod",
                                       .name = name,
                                       .uid = "u1",
                                       .reason = "FailedCreate",
                                       .message = message});
}

static json_t *list(struct events *events, uint64_t after)
{
    char *text;
    json_t *root;

    assert_int_equal(events_list(events, after, &text), 0);
    root = json_loads(text, 0, NULL);
    assert_non_null(root);
    free(text);
    return root;
}

static void lists_and_prints(void **state)
{
    int fds[2];
    struct events *events;
    char line[2048];
    ssize_t n;
    json_t *root, *item, *printed;

    assert_int_equal(pipe(fds), 0);
    events = events_create(fds[1], "host", 0);
    add(events, "prod/web", "why\nnot \"so\"");
    root = list(events, 0);
    item = json_array_get(json_object_get(root, "items"), 0);
    assert_string_equal(json_string_value(json_object_get(item, "message")), "why\nnot \"so\"");
    assert_string_equal(json_string_value(json_object_get(item, "type")), "Warning");
    item = json_object_get(item, "involvedObject");
    assert_string_equal(json_string_value(json_object_get(item, "namespace")), "prod");
    assert_string_equal(json_string_value(json_object_get(item, "name")), "web");
    json_decref(root);
    n = read(fds[0], line, sizeof(line) - 1);
    assert_true(n > 0);
    line[n] = '\0';
    assert_int_equal(strcspn(line, "\n"), n - 1);
    printed = json_loads(line, 0, NULL);
    assert_non_null(printed);
    json_decref(printed);
    events_destroy(events);
    close(fds[0]);
    close(fds[1]);
}

static void keeps_the_newest(void **state)
{
    struct events *events = events_create(-1, "host", BEFORE);
    uint64_t after = 0;
    char text[32], *line;
    json_t *root;
    unsigned count = 0;

    for (unsigned i = 1; i <= EVENTS_KEPT + 5; i++) {
        snprintf(text, sizeof(text), "number %u", i);
        add(events, "web", text);
    }
    root = list(events, 0);
    assert_int_equal(json_array_size(json_object_get(root, "items")), EVENTS_KEPT);
    json_decref(root);
    root = list(events, BEFORE + EVENTS_KEPT + 3);
    assert_int_equal(json_array_size(json_object_get(root, "items")), 2);
    json_decref(root);
    assert_int_equal(events_next(events, &after, &line), 0);
    assert_non_null(strstr(line, "\"number 6\""));
    do
        count++;
    while (free(line), events_next(events, &after, &line) == 0);
    assert_int_equal(count, EVENTS_KEPT);
    assert_int_equal(after, events_newest(events));
    assert_int_equal(events_next(events, &after, &line), -EAGAIN);
    events_destroy(events);
}

/* Nobody is left to believe that nothing has happened. */
static void tells_what_is_gone(void **state)
{
    struct events *events = events_create(-1, "host", BEFORE);
    static const uint64_t strange[] = {1, BEFORE - 1, BEFORE + 1, UINT64_MAX};
    uint64_t after = BEFORE;
    char *text;

    for (unsigned i = 0; i < sizeof(strange) / sizeof(*strange); i++) {
        assert_int_equal(events_check(events, strange[i]), -ESTALE);
        assert_int_equal(events_list(events, strange[i], &text), -ESTALE);
        assert_null(text);
    }
    assert_int_equal(events_check(events, 0), 0);
    assert_int_equal(events_next(events, &after, &text), -EAGAIN);
    for (unsigned i = 0; i < EVENTS_KEPT; i++)
        add(events, "web", "x");
    assert_int_equal(events_check(events, BEFORE), 0);
    add(events, "web", "one more");
    assert_int_equal(events_check(events, BEFORE), -ESTALE);
    assert_int_equal(events_check(events, BEFORE + 1), 0);
    assert_int_equal(events_next(events, &after, &text), -ESTALE);
    assert_null(text);
    events_destroy(events);
}

static void tells_followers(void **state)
{
    struct events *events = events_create(-1, "host", BEFORE);
    int fd = eventfd_open();

    assert_true(events_follow(events, fd));
    add(events, "web", "x");
    assert_true(eventfd_drain(fd));
    events_unfollow(events, fd);
    add(events, "web", "y");
    assert_false(eventfd_drain(fd));
    for (unsigned i = 0; i < EVENTS_FOLLOWERS; i++)
        assert_true(events_follow(events, fd));
    assert_false(events_follow(events, fd));
    close(fd);
    events_destroy(events);
}

static void a_text_that_is_none_is_no_event(void **state)
{
    struct events *events = events_create(-1, "host", BEFORE);

    add(events, "web", "\xff\xfe");
    assert_int_equal(events_newest(events), BEFORE);
    events_destroy(events);
}

static void tells_the_time(void **state)
{
    char text[TIME_BYTES];

    time_text(1795903200123456789, text);
    assert_string_equal(text, "2026-11-28T22:00:00.123456Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lists_and_prints),
                                       cmocka_unit_test(keeps_the_newest),
                                       cmocka_unit_test(tells_what_is_gone),
                                       cmocka_unit_test(tells_followers),
                                       cmocka_unit_test(a_text_that_is_none_is_no_event),
                                       cmocka_unit_test(tells_the_time)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
