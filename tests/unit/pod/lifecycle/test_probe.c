// SPDX-License-Identifier: Apache-2.0
/* Actions and the probes that repeat them, with a host that answers what the test wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "pod/lifecycle/probe.h"

#define TURNS_MAX 2000u

static struct {
    struct event_loop *loop;
    struct action_host host;
    struct action *asked; /* of the host, and not answered */
    unsigned execs, connects, cancels;
    unsigned speaks, hushes;
    int speak_error, speaker_end, spoken_fd;
    struct probe_request request;
    char address[64];
    uint16_t port;
    char command[64];
    unsigned done;
    enum action_result result;
    char text[ACTION_TEXT_BYTES];
    json_t *json;
} t;

static struct {
    unsigned results, successes, unhealthy, warned;
    char text[ACTION_TEXT_BYTES + 32];
} told;

static int exec(void *arg, struct action *action, const json_t *command)
{
    t.execs++;
    t.asked = action;
    snprintf(t.command, sizeof(t.command), "%s", json_string_value(json_array_get(command, 0)));
    return 0;
}

static int connect_to(void *arg, struct action *action, const char *address, uint16_t port)
{
    t.connects++;
    t.asked = action;
    snprintf(t.address, sizeof(t.address), "%s", address);
    t.port = port;
    return 0;
}

static void cancel(void *arg, struct action *action)
{
    t.cancels++;
    assert_ptr_equal(action, t.asked);
    t.asked = NULL;
}

/* TLS that changes nothing: the bytes are those of the connection. */
static int speak(void *arg, const struct probe_request *request, int fd, int *plain_fd,
                 struct speaker **speaker, struct husk_error *err)
{
    t.speaks++;
    t.request = *request;
    if (t.speak_error) {
        close(fd);
        return error_set(err, -t.speak_error, "husk-probe", "cannot start", NULL);
    }
    *plain_fd = fd;
    t.spoken_fd = fd;
    *speaker = (struct speaker *)&t;
    return 0;
}

static int hush(void *arg, struct speaker *speaker)
{
    t.hushes++;
    assert_ptr_equal(speaker, &t);
    return t.speaker_end;
}

static void on_done(void *arg, enum action_result result, const char *text)
{
    t.done++;
    t.result = result;
    snprintf(t.text, sizeof(t.text), "%s", text);
}

static int setup(void **state)
{
    memset(&t, 0, sizeof(t));
    memset(&told, 0, sizeof(told));
    t.host = (struct action_host){
        .exec = exec, .connect = connect_to, .cancel = cancel, .speak = speak, .hush = hush};
    if (event_loop_create(&t.loop))
        return -1;
    t.host.loop = t.loop;
    return 0;
}

static int teardown(void **state)
{
    event_loop_destroy(t.loop);
    json_decref(t.json);
    return 0;
}

static const json_t *parse(const char *text)
{
    json_decref(t.json);
    t.json = json_loads(text, 0, NULL);
    assert_non_null(t.json);
    return t.json;
}

static struct action *begin(const char *handler, uint64_t timeout_ns)
{
    const json_t *both = parse(handler);
    const struct action_options options = {
        .handler = json_object_get(both, "handler"),
        .container = json_object_get(both, "container"),
        .address = "10.0.0.7",
        .timeout_ns = timeout_ns,
        .done = on_done,
    };
    struct action *action = NULL;

    assert_int_equal(action_start(&t.host, &options, &action), 0);
    assert_int_equal(t.done, 0);
    return action;
}

static void wait_until(const unsigned *count, unsigned wanted)
{
    for (unsigned i = 0; *count < wanted && i < TURNS_MAX; i++)
        event_loop_run_once(t.loop, 10);
    assert_int_equal(*count, wanted);
}

static void answer(int exit_code)
{
    struct action *action = t.asked;

    assert_non_null(action);
    t.asked = NULL;
    action_executed(action, exit_code, NULL);
}

static void a_command_tells_by_its_status(void **state)
{
    begin("{\"handler\": {\"exec\": {\"command\": [\"true\"]}}}", 0);
    assert_string_equal(t.command, "true");
    answer(0);
    assert_int_equal(t.result, ACTION_SUCCEEDED);
    t.done = 0;
    begin("{\"handler\": {\"exec\": {\"command\": [\"false\"]}}}", 0);
    answer(3);
    assert_int_equal(t.result, ACTION_FAILED);
    assert_string_equal(t.text, "command exited with 3");
    assert_int_equal(t.cancels, 0);
}

static void a_late_command_is_ended(void **state)
{
    begin("{\"handler\": {\"exec\": {\"command\": [\"sleep\"]}}}", 1000000);
    wait_until(&t.done, 1);
    assert_int_equal(t.result, ACTION_FAILED);
    assert_int_equal(t.cancels, 1);
}

static void ports_have_names(void **state)
{
    const struct action_options none = {.handler = parse("{\"tcpSocket\": {\"port\": \"web\"}}"),
                                        .address = "::1",
                                        .done = on_done};
    struct action *action;

    assert_int_equal(action_start(&t.host, &none, &action), -EINVAL);
    action = begin("{\"handler\": {\"tcpSocket\": {\"port\": \"web\"}}, \"container\": {\"ports\": "
                   "[{\"name\": \"web\", \"containerPort\": 8080}]}}",
                   0);
    assert_string_equal(t.address, "10.0.0.7");
    assert_int_equal(t.port, 8080);
    t.asked = NULL;
    action_connected(action, -ECONNREFUSED);
    assert_int_equal(t.result, ACTION_FAILED);
    assert_string_equal(t.text, "tcpSocket: Connection refused");
}

/* One end for the action, and what it wrote in `got`. */
static void hand_over(const char *reply, char got[512])
{
    int ends[2];
    ssize_t len = 0;
    struct action *action = t.asked;

    assert_non_null(action);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    t.asked = NULL;
    action_connected(action, ends[0]);
    for (unsigned i = 0; len <= 0 && i < TURNS_MAX; i++) {
        event_loop_run_once(t.loop, 1);
        len = read(ends[1], got, 511);
    }
    assert_true(len > 0);
    got[len] = '\0';
    assert_int_equal(write(ends[1], reply, strlen(reply)), strlen(reply));
    shutdown(ends[1], SHUT_WR);
    for (unsigned i = 0; !t.done && !t.asked && !told.results && i < TURNS_MAX; i++)
        event_loop_run_once(t.loop, 10);
    close(ends[1]);
}

static void serve(const char *handler, const char *reply, char got[512])
{
    t.done = 0;
    begin(handler, 0);
    hand_over(reply, got);
    assert_int_equal(t.done, 1);
}

static const char get_up[] =
    "{\"handler\": {\"httpGet\": {\"path\": \"/up\", \"port\": 80, \"host\": \"localhost\", "
    "\"httpHeaders\": [{\"name\": \"Host\", \"value\": \"web\"}]}}}";

static void http_tells_by_its_status(void **state)
{
    char got[512];

    serve(get_up, "HTTP/1.1 302 Found\r\n\r\n", got);
    assert_string_equal(t.address, "127.0.0.1");
    assert_memory_equal(got, "GET /up HTTP/1.1\r\nHost: web\r\n", 29);
    assert_int_equal(t.result, ACTION_WARNED);
    assert_string_equal(t.text, "Probe terminated redirects");
    serve(get_up, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody", got);
    assert_int_equal(t.result, ACTION_SUCCEEDED);
    serve(get_up, "HTTP/1.1 500 Oh\r\n\r\n", got);
    assert_int_equal(t.result, ACTION_FAILED);
    assert_string_equal(t.text, "HTTP probe failed with statuscode: 500");
    serve(get_up, "hello\r\n", got);
    assert_int_equal(t.result, ACTION_FAILED);
    serve(get_up, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", got);
    assert_int_equal(t.result, ACTION_FAILED);
    serve(get_up, "HTTP/1.1 2", got);
    assert_string_equal(t.text, "httpGet: the answer is no HTTP, or is cut short");
    serve(get_up, "", got);
    assert_string_equal(t.text, "httpGet: the connection ended without an answer");
}

static const char get_secret[] =
    "{\"handler\": {\"httpGet\": {\"path\": \"/up\", \"port\": 443, \"scheme\": \"HTTPS\"}}}";

static void https_has_a_speaker_for_each_connection(void **state)
{
    char got[512];

    t.speaker_end = -1;
    serve(get_secret, "HTTP/1.1 200 OK\r\n\r\n", got);
    assert_memory_equal(got, "GET /up HTTP/1.1\r\nHost: 10.0.0.7:443\r\n", 38);
    assert_true(t.speaks == 1 && t.hushes == 1 && t.result == ACTION_SUCCEEDED);
    assert_int_equal(t.request.speech, PROBE_TLS);
    assert_string_equal(t.request.name, "");
    t.done = 0;
    begin(get_secret, 0);
    hand_over("HTTP/1.1 302 There\r\nLocation: http://10.0.0.7:81/\r\n\r\n", got);
    assert_true(t.speaks == 2 && t.hushes == 2);
    hand_over("HTTP/1.1 302 There\r\nLocation: https://10.0.0.7/\r\n\r\n", got);
    assert_true(t.speaks == 2 && t.port == 443);
    hand_over("HTTP/1.1 200 OK\r\n\r\n", got);
    assert_true(t.speaks == 3 && t.hushes == 3 && t.result == ACTION_SUCCEEDED);
}

static void what_a_speaker_met_is_told(void **state)
{
    char got[512];

    t.speaker_end = PROBE_END_CUT;
    serve(get_secret, "", got);
    assert_int_equal(t.result, ACTION_FAILED);
    assert_string_equal(t.text, "httpGet: the connection ended in the TLS handshake");
    t.speaker_end = PROBE_END_WELL;
    serve(get_secret, "", got);
    assert_string_equal(t.text, "httpGet: the connection ended without an answer");
    assert_int_equal(t.hushes, 2);
}

static void a_late_speaker_is_ended(void **state)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    begin(get_secret, 1000000);
    action_connected(t.asked, ends[0]);
    wait_until(&t.done, 1);
    assert_true(t.hushes == 1 && t.result == ACTION_FAILED && t.cancels == 0);
    close(ends[1]);
}

static void without_a_speaker_nothing_is_known(void **state)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    t.speak_error = -ENOENT;
    begin(get_secret, 0);
    action_connected(t.asked, ends[0]);
    assert_true(t.done == 1 && t.result == ACTION_UNKNOWN && t.hushes == 0);
    assert_string_equal(t.text, "husk-probe: cannot start: No such file or directory");
    close(ends[1]);
}

/* The speaker's end closes the other side of the connection, which is the same here. */
static void ask_for_health(const char *handler, int speaker_end)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    t.done = 0;
    t.speaker_end = speaker_end;
    begin(handler, 0);
    action_connected(t.asked, ends[0]);
    assert_int_equal(t.done, 0);
    close(ends[1]);
    wait_until(&t.done, 1);
    assert_int_equal(fcntl(t.spoken_fd, F_GETFD), -1);
}

static void grpc_is_what_its_speaker_says(void **state)
{
    ask_for_health("{\"handler\": {\"grpc\": {\"port\": 5000, \"service\": \"web\"}}}",
                   PROBE_END_WELL);
    assert_true(t.result == ACTION_SUCCEEDED && t.port == 5000 && t.hushes == 1);
    assert_int_equal(t.request.speech, PROBE_GRPC);
    assert_string_equal(t.request.name, "web");
    assert_string_equal(t.request.authority, "10.0.0.7:5000");
    ask_for_health("{\"handler\": {\"grpc\": {\"port\": 5000}}}", PROBE_END_HEALTH + 2);
    assert_int_equal(t.result, ACTION_FAILED);
    assert_string_equal(t.request.name, "");
    assert_string_equal(t.text, "grpc: service unhealthy (responded with \"NOT_SERVING\")");
    ask_for_health("{\"handler\": {\"grpc\": {\"port\": 5000}}}", -1);
    assert_string_equal(t.text, "grpc: husk-probe was ended");
    assert_int_equal(t.hushes, 3);
    t.done = 0;
    begin("{\"handler\": {\"grpc\": {\"port\": 5000}}}", 0);
    action_connected(t.asked, -ECONNREFUSED);
    assert_string_equal(t.text, "grpc: Connection refused");
}

static void redirects_are_followed_on_the_same_host(void **state)
{
    char got[512];

    begin(get_up, 0);
    hand_over("HTTP/1.1 307 There\r\nLocation: next?a\r\n\r\n", got);
    assert_int_equal(t.connects, 2);
    assert_int_equal(t.port, 80);
    hand_over("HTTP/1.1 302 There\r\nLocation: http://localhost:81/last\r\n\r\n", got);
    assert_memory_equal(got, "GET /next?a HTTP/1.1\r\nHost: web\r\n", 33);
    assert_int_equal(t.port, 81);
    hand_over("HTTP/1.1 200 OK\r\n\r\n", got);
    assert_memory_equal(got, "GET /last HTTP/1.1\r\nHost: localhost:81\r\n", 40);
    assert_int_equal(t.done, 1);
    assert_int_equal(t.result, ACTION_SUCCEEDED);
}

static void redirects_to_elsewhere_are_a_warning(void **state)
{
    char got[512];

    serve(get_up, "HTTP/1.1 301 There\r\nLocation: http://10.9.9.9/\r\n\r\n", got);
    assert_int_equal(t.result, ACTION_WARNED);
    serve(get_up, "HTTP/1.1 301 There\r\nLocation: file:///x\r\n\r\n", got);
    assert_int_equal(t.result, ACTION_FAILED);
    assert_int_equal(t.connects, 2);
}

static void redirects_have_an_end(void **state)
{
    char got[512];
    unsigned turns = 0;

    begin(get_up, 0);
    for (; !t.done && turns < 20; turns++)
        hand_over("HTTP/1.1 302 There\r\nLocation: /up\r\n\r\n", got);
    assert_int_equal(turns, 10);
    assert_int_equal(t.result, ACTION_FAILED);
    assert_string_equal(t.text, "httpGet: stopped after 10 redirects");
}

static void sleep_succeeds_at_its_end(void **state)
{
    begin("{\"handler\": {\"sleep\": {\"seconds\": 0}}}", 0);
    wait_until(&t.done, 1);
    assert_int_equal(t.result, ACTION_SUCCEEDED);
}

static void a_cancelled_action_says_nothing(void **state)
{
    action_cancel(begin("{\"handler\": {\"exec\": {\"command\": [\"x\"]}}}", 0));
    action_cancel(NULL);
    assert_int_equal(t.cancels, 1);
    assert_int_equal(t.done, 0);
}

/* The Pod object may be replaced while an action is under way. */
static void an_action_keeps_its_handler(void **state)
{
    char got[512];

    begin("{\"handler\": {\"sleep\": {\"seconds\": 0}}}", 0);
    parse("{}");
    wait_until(&t.done, 1);
    assert_int_equal(t.result, ACTION_SUCCEEDED);
    t.done = 0;
    serve("{\"handler\": {\"httpGet\": {\"path\": \"/kept\", \"port\": 80}}}",
          "HTTP/1.1 200 OK\r\n\r\n", got);
    assert_memory_equal(got, "GET /kept HTTP/1.1\r\n", 20);
    assert_int_equal(t.result, ACTION_SUCCEEDED);
}

/* ---- probes ---- */

static void on_result(void *arg, struct probe *probe, bool success)
{
    told.results++;
    told.successes += success;
}

static void on_unhealthy(void *arg, struct probe *probe, const char *text)
{
    told.unhealthy++;
    snprintf(told.text, sizeof(told.text), "%s", text);
}

static void on_warned(void *arg, struct probe *probe, const char *text)
{
    told.warned++;
    snprintf(told.text, sizeof(told.text), "%s", text);
}

static struct probe *begin_probe(enum probe_kind kind, const char *text)
{
    static const struct probe_callbacks callbacks = {
        .result = on_result, .unhealthy = on_unhealthy, .warned = on_warned};
    struct probe *probe = NULL;

    memset(&told, 0, sizeof(told));
    assert_int_equal(probe_start(&t.host, kind, parse(text), NULL, "127.0.0.1", &callbacks, &probe),
                     0);
    return probe;
}

/* periodSeconds is 0 here, which no manifest can have: the next run comes at once. */
#define FAST "{\"exec\": {\"command\": [\"x\"]}, \"successThreshold\": 2, \"failureThreshold\": 3}"

static void say(unsigned run, int exit_code)
{
    wait_until(&t.execs, run);
    answer(exit_code);
}

static void results_count_at_their_thresholds(void **state)
{
    struct probe *probe = begin_probe(PROBE_READINESS, FAST);

    say(1, 0);
    assert_int_equal(told.results, 0);
    say(2, 1);
    say(3, 0);
    assert_int_equal(told.results, 0);
    say(4, 0);
    assert_true(told.results == 1 && told.successes == 1);
    say(5, 0);
    assert_int_equal(told.results, 1);
    for (unsigned run = 6; run < 8; run++)
        say(run, 1);
    assert_int_equal(told.results, 1);
    say(8, 1);
    assert_true(told.results == 2 && told.successes == 1);
    assert_int_equal(told.unhealthy, 4);
    assert_string_equal(told.text, "Readiness probe failed: command exited with 1");
    probe_destroy(probe);
}

static void a_warning_is_told_and_succeeds(void **state)
{
    struct probe *probe =
        begin_probe(PROBE_READINESS, "{\"httpGet\": {\"port\": 80}, \"successThreshold\": 1, "
                                     "\"failureThreshold\": 1, \"periodSeconds\": 1000}");
    char got[512];

    wait_until(&t.connects, 1);
    hand_over("HTTP/1.1 302 There\r\nLocation: http://10.9.9.9/\r\n\r\n", got);
    wait_until(&told.results, 1);
    assert_true(told.successes == 1 && told.warned == 1 && told.unhealthy == 0);
    assert_string_equal(told.text, "Readiness probe warning: Probe terminated redirects");
    probe_destroy(probe);
}

/* Whoever was told has something to do about it, and may not have done it yet. */
static void a_failed_liveness_probe_goes_on_failing(void **state)
{
    struct probe *probe = begin_probe(PROBE_LIVENESS, FAST);

    for (unsigned run = 1; run <= 4; run++)
        say(run, 1);
    assert_int_equal(told.results, 2);
    probe_destroy(probe);
}

static void a_probe_keeps_its_description(void **state)
{
    struct probe *probe = begin_probe(PROBE_READINESS, FAST);

    parse("{}");
    say(1, 0);
    say(2, 0);
    assert_true(told.results == 1 && told.successes == 1);
    assert_string_equal(t.command, "x");
    probe_destroy(probe);
}

static void an_address_has_a_length(void **state)
{
    static const struct probe_callbacks callbacks = {
        .result = on_result, .unhealthy = on_unhealthy, .warned = on_warned};
    char address[65];
    struct probe *probe;

    memset(address, '1', 64);
    address[64] = '\0';
    assert_int_equal(
        probe_start(&t.host, PROBE_STARTUP, parse(FAST), NULL, address, &callbacks, &probe),
        -EINVAL);
}

static void a_destroyed_probe_ends_its_command(void **state)
{
    struct probe *probe = begin_probe(PROBE_STARTUP, FAST);

    wait_until(&t.execs, 1);
    probe_destroy(probe);
    probe_destroy(NULL);
    assert_int_equal(t.cancels, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_command_tells_by_its_status),
        TEST(a_late_command_is_ended),
        TEST(ports_have_names),
        TEST(http_tells_by_its_status),
        TEST(https_has_a_speaker_for_each_connection),
        TEST(what_a_speaker_met_is_told),
        TEST(a_late_speaker_is_ended),
        TEST(without_a_speaker_nothing_is_known),
        TEST(grpc_is_what_its_speaker_says),
        TEST(redirects_are_followed_on_the_same_host),
        TEST(redirects_to_elsewhere_are_a_warning),
        TEST(redirects_have_an_end),
        TEST(a_warning_is_told_and_succeeds),
        TEST(sleep_succeeds_at_its_end),
        TEST(a_cancelled_action_says_nothing),
        TEST(an_action_keeps_its_handler),
        TEST(results_count_at_their_thresholds),
        TEST(a_failed_liveness_probe_goes_on_failing),
        TEST(a_probe_keeps_its_description),
        TEST(an_address_has_a_length),
        TEST(a_destroyed_probe_ends_its_command),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
