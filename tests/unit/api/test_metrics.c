// SPDX-License-Identifier: Apache-2.0
/* Metrics and log: what lines say, and what happens when nobody takes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "api_fixture.h"

struct fixture {
    struct api *api;
    char directory[32], path[64];
    int fifo; /* the reader's end, which does not read by itself */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->api = fixture_api();
    snprintf(f->directory, sizeof(f->directory), "/tmp/husk-metrics-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof(f->path), "%s/fifo", f->directory);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    f->fifo = open(f->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    assert_true(f->fifo >= 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    api_destroy(f->api);
    close(f->fifo);
    unlink(f->path);
    rmdir(f->directory);
    free(f);
    return 0;
}

static void configure(struct fixture *f, const char *resource, const char *name, const char *more)
{
    char body[256];

    snprintf(body, sizeof(body), "{\"%s\":\"%s\"%s}", name, f->path, more);
    done(f->api, API_PUT, resource, body);
}

/* What is in the FIFO, as text. */
static char *take(struct fixture *f)
{
    char *text = calloc(1, 1 << 20);
    size_t len = 0;
    ssize_t n;

    while ((n = read(f->fifo, text + len, (1 << 20) - 1 - len)) > 0)
        len += (size_t)n;
    return text;
}

static json_t *take_line(struct fixture *f)
{
    char *text = take(f);
    json_t *line = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);

    assert_non_null(line);
    free(text);
    return line;
}

static json_int_t value(const json_t *line, const char *group, const char *name)
{
    const json_t *number = json_object_get(json_object_get(line, group), name);

    if (!json_is_integer(number))
        fail_msg("no %s.%s", group, name);
    return json_integer_value(number);
}

static void test_counts_since_the_line_before(void **state)
{
    struct fixture *f = *state;
    json_t *line;

    configure(f, "/metrics", "metrics_path", ",\"emit_id\":true,\"properties\":{\"zone\":\"b\"}");
    request(f->api, API_GET, "/machine-config", NULL, NULL);
    request(f->api, API_GET, "/machine-config", NULL, NULL);
    request(f->api, API_PUT, "/drives/x", "{}", NULL);
    assert_int_equal(metrics_write(f->api), 0);
    line = take_line(f);
    assert_true(json_integer_value(json_object_get(line, "utc_timestamp_ms")) > 0);
    assert_string_equal(json_string_value(json_object_get(line, "id")), "test");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(line, "properties"), "zone")), "b");
    assert_int_equal(value(line, "get_api_requests", "machine_cfg_count"), 2);
    assert_int_equal(value(line, "put_api_requests", "drive_count"), 1);
    assert_int_equal(value(line, "put_api_requests", "drive_fails"), 1);
    assert_int_equal(value(line, "put_api_requests", "metrics_fails"), 0);
    assert_int_equal(value(line, "vcpu", "exit_io_in"), 0);
    json_decref(line);

    request(f->api, API_GET, "/machine-config", NULL, NULL);
    assert_int_equal(metrics_write(f->api), 0);
    line = take_line(f);
    assert_int_equal(value(line, "get_api_requests", "machine_cfg_count"), 1);
    assert_int_equal(value(line, "put_api_requests", "drive_count"), 0);
    json_decref(line);
}

static void test_only_one_file(void **state)
{
    struct fixture *f = *state;

    refused(f->api, API_PUT, "/metrics", "{\"metrics_path\":\"/no/such/place\"}", "/no/such/place");
    refused(f->api, API_PUT, "/metrics", "{\"metrics_path\":\"/tmp\",\"properties\":[]}",
            "properties");
    configure(f, "/metrics", "metrics_path", "");
    refused(f->api, API_PUT, "/metrics", "{\"metrics_path\":\"/dev/null\"}", "not allowed");
}

static void test_lines_stay_whole(void **state)
{
    struct fixture *f = *state;
    unsigned written = 0, lines = 0;
    char *text;

    configure(f, "/metrics", "metrics_path", "");
    for (unsigned i = 0; i < 200; i++)
        written += metrics_write(f->api) == 0;
    assert_true(written > 0 && written < 200);
    assert_int_equal(f->api->metrics.missed_metrics, 200 - written);
    text = take(f);
    assert_int_equal(metrics_write(f->api), 0);
    {
        char *rest = take(f), *all = malloc(strlen(text) + strlen(rest) + 1);

        strcpy(all, text);
        strcat(all, rest);
        for (char *at = all, *end; (end = strchr(at, '\n')); at = end + 1, lines++) {
            json_t *line = json_loadb(at, (size_t)(end - at), 0, NULL);

            assert_non_null(line);
            json_decref(line);
        }
        free(all);
        free(rest);
    }
    assert_int_equal(lines, written + 1);
    free(text);
}

static void test_log(void **state)
{
    struct fixture *f = *state;
    char *text;

    configure(f, "/logger", "log_path",
              ",\"level\":\"info\",\"show_level\":true,\"show_log_origin\":true");
    free(take(f));
    log_vm_line(&f->api->log, HUSK_LOG_DEBUG, "virtio-blk: not shown");
    log_vm_line(&f->api->log, HUSK_LOG_WARN, "virtio-blk: shown");
    log_print(&f->api->log, HUSK_LOG_ERROR, "bad\n%s", "\x1b[2J");
    text = take(f);
    assert_null(strstr(text, "not shown"));
    assert_non_null(strstr(text, " [test:vmm:WARN:virtio-blk] virtio-blk: shown\n"));
    assert_non_null(strstr(text, " [test:api:ERROR:api] bad??[2J\n"));
    free(text);
}

static void test_log_module_and_off(void **state)
{
    struct fixture *f = *state;
    char *text;

    configure(f, "/logger", "log_path", ",\"module\":\"virtio\"");
    free(take(f));
    log_vm_line(&f->api->log, HUSK_LOG_WARN, "virtio-net: in");
    log_vm_line(&f->api->log, HUSK_LOG_WARN, "uart: out");
    text = take(f);
    assert_non_null(strstr(text, "virtio-net: in"));
    assert_null(strstr(text, "uart: out"));
    free(text);
    configure(f, "/logger", "log_path", ",\"module\":\"\",\"level\":\"Off\"");
    free(take(f));
    log_vm_line(&f->api->log, HUSK_LOG_ERROR, "uart: out");
    text = take(f);
    assert_string_equal(text, "");
    free(text);
}

static void test_log_that_is_full(void **state)
{
    struct fixture *f = *state;

    configure(f, "/logger", "log_path", "");
    for (unsigned i = 0; i < 10000; i++)
        log_vm_line(&f->api->log, HUSK_LOG_WARN, "uart: a line that nobody reads");
    assert_true(atomic_load(&f->api->log.missed) > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_counts_since_the_line_before),
        TEST(test_only_one_file),
        TEST(test_lines_stay_whole),
        TEST(test_log),
        TEST(test_log_module_and_off),
        TEST(test_log_that_is_full),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
