// SPDX-License-Identifier: Apache-2.0
/* The whole loop but its thread: files in a real directory, pods in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>
#include <unistd.h>

#include <sys/stat.h>

#include "cli/node/reconcile.h"
#include "fake_library.h"

#define S 1000000000ull

struct fixture {
    char directory[64];
    struct source *source;
    struct events *events;
    struct metrics metrics;
    struct node_library library;
    struct node_pods pods;
    struct reconciler *reconciler;
    uint64_t now_ns;
};

/* A new agent, which knows nothing. */
static void begin(struct fixture *f)
{
    struct reconciler_options options = {
        .pods = &f->pods,
        .metrics = &f->metrics,
        .backoff = {10 * S, 40 * S, 600 * S},
        .directory = f->directory,
        .node = "host",
    };

    assert_int_equal(source_create(f->directory, &f->source), 0);
    f->events = events_create(-1, "host", 0);
    options.source = f->source;
    options.events = f->events;
    f->reconciler = reconciler_create(&options);
    assert_non_null(f->reconciler);
}

static void end(struct fixture *f)
{
    reconciler_destroy(f->reconciler);
    source_destroy(f->source);
    events_destroy(f->events);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    fake_reset();
    strcpy(f->directory, "/tmp/husk-node-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    node_pods_library(&f->library, &f->pods);
    f->now_ns = S;
    begin(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];

    end(f);
    snprintf(command, sizeof(command), "rm -r %s", f->directory);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void put(struct fixture *f, const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", f->directory, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void drop(struct fixture *f, const char *name)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", f->directory, name);
    assert_int_equal(unlink(path), 0);
}

/* One round, and what was asked of the library in it. */
static void expect(struct fixture *f, const char *calls)
{
    fake.calls[0] = '\0';
    reconciler_round(f->reconciler, f->now_ns);
    assert_string_equal(fake.calls, calls);
}

/* One that must be there. */
static struct fake_pod *there(const char *name)
{
    struct fake_pod *pod = fake_find(name);

    if (!pod)
        abort();
    return pod;
}

/* Whether the events say so. */
static bool has_event(struct fixture *f, const char *text)
{
    char *list;
    bool found;

    assert_int_equal(events_list(f->events, 0, &list), 0);
    found = strstr(list, text);
    free(list);
    return found;
}

static void keeps_files_and_pods_the_same(void **state)
{
    struct fixture *f = *state;

    expect(f, "");
    put(f, "a.yaml", "pod web 1\npod db 1\n");
    expect(f, "create web;start web;create db;start db;");
    expect(f, "");
    put(f, "a.yaml", "pod web 2\npod db 1\n");
    expect(f, "apply web;");
    expect(f, "");
    put(f, "a.yaml", "pod web 2\n");
    expect(f, "stop db;");
    expect(f, "remove db;");
    expect(f, "");
    drop(f, "a.yaml");
    expect(f, "stop web;");
    expect(f, "remove web;");
    assert_true(has_event(f, "\"reason\":\"Created\""));
    assert_true(has_event(f, "\"reason\":\"Changed\""));
    assert_true(has_event(f, "\"reason\":\"Stopping\""));
    assert_true(has_event(f, "\"reason\":\"Removed\""));
}

static void replaces_what_cannot_be_changed(void **state)
{
    struct fixture *f = *state;

    put(f, "a.yaml", "pod web 1\n");
    expect(f, "create web;start web;");
    fake.slow_stop = true;
    put(f, "a.yaml", "pod web fixed2\n");
    expect(f, "apply web;stop web;");
    expect(f, ""); /* it is asked once */
    strcpy(there("web")->phase, "Succeeded");
    fake.calls[0] = '\0';
    assert_int_equal(reconciler_round(f->reconciler, f->now_ns), 0); /* again, at once */
    assert_string_equal(fake.calls, "remove web;");
    expect(f, "create web;start web;");
    assert_true(has_event(f, "\"reason\":\"Replacing\""));
}

static void finds_its_pods_again(void **state)
{
    struct fixture *f = *state;

    put(f, "a.yaml", "pod web 1\npod db 1\n");
    expect(f, "create web;start web;create db;start db;");
    end(f);
    begin(f);
    expect(f, "");
    end(f);
    put(f, "a.yaml", "pod web 2\n");
    begin(f);
    expect(f, "apply web;stop db;");
    expect(f, "remove db;");
}

static void an_agent_killed_between_two_steps(void **state)
{
    struct fixture *f = *state;
    struct fake_pod *pod;

    put(f, "a.yaml", "pod web 1\n");
    expect(f, "create web;start web;");
    pod = there("web");
    strcpy(pod->phase, "Pending");
    pod->started = false;
    end(f);
    begin(f);
    expect(f, "start web;");
}

static void a_broken_file_keeps_its_pods(void **state)
{
    struct fixture *f = *state;
    char *status;

    put(f, "a.yaml", "pod web 1\n");
    put(f, "b.yaml", "pod db 1\n");
    expect(f, "create web;start web;create db;start db;");
    put(f, "a.yaml", "nonsense\n");
    expect(f, "");
    assert_true(has_event(f, "\"reason\":\"FailedRead\""));
    status = reconciler_status(f->reconciler);
    assert_non_null(strstr(status, "a.yaml: is no manifest"));
    free(status);
    put(f, "a.yaml", "");
    expect(f, "");
    assert_true(has_event(f, "it is empty"));
    /* A lost one of it is started again, by an agent that never saw the good file, too. */
    end(f);
    begin(f);
    strcpy(there("web")->phase, "Failed");
    strcpy(there("web")->reason, "SupervisorLost");
    expect(f, "start web;");
    put(f, "a.yaml", "pod web 3\n");
    expect(f, "apply web;");
}

static void never_touches_others(void **state)
{
    struct fixture *f = *state;
    struct husk_manifest *manifest;

    husk_manifest_read("x", "pod web 9\n", 10, NULL, &manifest, NULL);
    husk_pod_create(NULL, manifest, 0, NULL, NULL);
    husk_manifest_free(manifest);
    put(f, "a.yaml", "pod web 1\n");
    expect(f, "");
    assert_true(has_event(f, "\"reason\":\"NameInUse\""));
    drop(f, "a.yaml");
    expect(f, "");
    assert_non_null(fake_find("web"));
}

static void renamed_files_change_nothing_that_runs(void **state)
{
    struct fixture *f = *state;
    char from[128], to[128];

    put(f, "a.yaml", "pod web 1\n");
    expect(f, "create web;start web;");
    snprintf(from, sizeof(from), "%s/a.yaml", f->directory);
    snprintf(to, sizeof(to), "%s/b.yaml", f->directory);
    assert_int_equal(rename(from, to), 0);
    expect(f, "apply web;");
    expect(f, "");
    assert_int_equal(there("web")->uid, 1);
}

static void restarts_with_back_off(void **state)
{
    struct fixture *f = *state;
    static const unsigned waits_s[] = {10, 20, 40, 40};

    put(f, "a.yaml", "pod web 1\n");
    expect(f, "create web;start web;");
    strcpy(there("web")->phase, "Failed");
    expect(f, "start web;");
    for (unsigned i = 0; i < sizeof(waits_s) / sizeof(*waits_s); i++) {
        strcpy(there("web")->phase, "Failed");
        expect(f, "");
        f->now_ns += waits_s[i] * S - 1;
        expect(f, "");
        f->now_ns += 1;
        expect(f, "start web;");
    }
    assert_true(has_event(f, "\"reason\":\"BackOff\""));
}

static void tries_to_create_again(void **state)
{
    struct fixture *f = *state;
    uint64_t newest;

    fake.fail_create = ENOENT;
    put(f, "a.yaml", "pod web 1\n");
    expect(f, "create web;");
    newest = events_newest(f->events);
    expect(f, "");
    f->now_ns += 10 * S;
    expect(f, "create web;");
    assert_int_equal(events_newest(f->events), newest); /* what is no news is not said again */
    fake.fail_create = 0;
    put(f, "a.yaml", "pod web 2\n");
    expect(f, "create web;start web;");
}

static void objects_beside(void **state)
{
    struct fixture *f = *state;

    put(f, "a.yaml", "pod web 1\n");
    put(f, "maps.yaml", "object settings 1\n");
    expect(f, "create web;start web;");
    put(f, "maps.yaml", "object settings 2\n");
    expect(f, "apply web;");
    put(f, "more.yaml", "object settings 3\n"); /* the later one is broken */
    expect(f, "");
    assert_true(has_event(f, "more.yaml"));
    put(f, "a.yaml", "pod web 1\nobject settings 9\n");
    expect(f, "");
    assert_true(has_event(f, "is there twice"));
}

static void ignores_what_editors_leave(void **state)
{
    struct fixture *f = *state;

    put(f, ".a.yaml", "pod web 1\n");
    put(f, "a.yaml~", "pod web 1\n");
    put(f, ".a.yaml.swp", "pod web 1\n");
    put(f, "#a.yaml#", "pod web 1\n");
    put(f, "a.yaml.tmp", "pod web 1\n");
    put(f, "4913", "pod web 1\n");
    expect(f, "");
    assert_int_equal(source_wanted(f->source)->file_count, 0);
}

static void a_directory_that_goes_keeps_all(void **state)
{
    struct fixture *f = *state;
    char away[128], why[256];

    put(f, "a.yaml", "pod web 1\n");
    expect(f, "create web;start web;");
    assert_true(reconciler_is_well(f->reconciler, why, sizeof(why)));
    snprintf(away, sizeof(away), "%s.away", f->directory);
    assert_int_equal(rename(f->directory, away), 0);
    expect(f, "");
    assert_false(reconciler_is_well(f->reconciler, why, sizeof(why)));
    assert_non_null(strstr(why, f->directory));
    assert_int_equal(rename(away, f->directory), 0);
    expect(f, "");
    assert_true(reconciler_is_well(f->reconciler, why, sizeof(why)));
}

static void a_list_that_fails_does_nothing(void **state)
{
    struct fixture *f = *state;
    char why[256];

    fake.fail_list = EIO;
    put(f, "a.yaml", "pod web 1\n");
    expect(f, "");
    assert_false(reconciler_is_well(f->reconciler, why, sizeof(why)));
    fake.fail_list = 0;
    expect(f, "create web;start web;");
}

static void files_that_are_none(void **state)
{
    struct fixture *f = *state;
    char path[128];

    snprintf(path, sizeof(path), "%s/d.yaml", f->directory);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/p.yaml", f->directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(path, sizeof(path), "%s/l.yaml", f->directory);
    assert_int_equal(symlink("nowhere", path), 0);
    put(f, "a.yaml", "pod web 1\n");
    expect(f, "create web;start web;");
    assert_int_equal(f->metrics.files_broken, 3);
    assert_true(has_event(f, "it is no regular file"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keeps_files_and_pods_the_same),
        TEST(replaces_what_cannot_be_changed),
        TEST(finds_its_pods_again),
        TEST(an_agent_killed_between_two_steps),
        TEST(a_broken_file_keeps_its_pods),
        TEST(never_touches_others),
        TEST(renamed_files_change_nothing_that_runs),
        TEST(restarts_with_back_off),
        TEST(tries_to_create_again),
        TEST(objects_beside),
        TEST(ignores_what_editors_leave),
        TEST(a_directory_that_goes_keeps_all),
        TEST(a_list_that_fails_does_nothing),
        TEST(files_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
