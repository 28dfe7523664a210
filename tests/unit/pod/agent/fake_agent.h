// SPDX-License-Identifier: Apache-2.0
/*
 * An agent for tests, on the same thread as what it tests: says whatever it is told to. Each
 * connection that is asked for is one end of a socket pair; the test has the other.
 */
#ifndef HUSK_TESTS_UNIT_POD_AGENT_FAKE_AGENT_H
#define HUSK_TESTS_UNIT_POD_AGENT_FAKE_AGENT_H

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/event_loop.h"
#include "base/io.h"
#include "pod/agent/connector.h"

#define PATIENCE_NS 20000000000ull
#define WELCOME     "{\"husk\": {\"major\": 1, \"minor\": 0}, \"agent\": \"0.1.0\", \"booted\": true}"

struct fake_agent {
    struct event_loop *loop;
    struct agent_connector connector;
    int end;         /* of the newest connection; -1: none */
    int refusals;    /* attempts that are still to fail */
    int refuse_with; /* -errno */
    unsigned attempts;
};

static inline int fake_connect(void *arg, struct husk_error *err)
{
    struct fake_agent *fake = arg;
    int ends[2];

    fake->attempts++;
    if (fake->refusals > 0) {
        fake->refusals--;
        return error_set(err, -fake->refuse_with, "fake", "is not there", NULL);
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    close_fd(&fake->end);
    fake->end = ends[0];
    return ends[1];
}

static inline void fake_start(struct fake_agent *fake)
{
    *fake = (struct fake_agent){.end = -1, .refuse_with = -ECONNREFUSED};
    fake->connector = (struct agent_connector){.connect = fake_connect, .arg = fake};
    assert_int_equal(event_loop_create(&fake->loop), 0);
}

static inline void fake_stop(struct fake_agent *fake)
{
    close_fd(&fake->end);
    event_loop_destroy(fake->loop);
}

/* Turns the loop until the condition holds; fails when it does not in time. */
#define fake_until(fake, condition)                                  \
    do {                                                             \
        uint64_t patience_ends_ns = monotonic_ns() + PATIENCE_NS;    \
                                                                     \
        while (!(condition)) {                                       \
            assert_true(event_loop_run_once((fake)->loop, 50) >= 0); \
            if (monotonic_ns() > patience_ends_ns)                   \
                fail_msg("this never became true: %s", #condition);  \
        }                                                            \
    } while (0)

/* Everything that is ready now. */
static inline void fake_settle(struct fake_agent *fake)
{
    for (int i = 0; i < 1000 && event_loop_run_once(fake->loop, 0) > 0; i++)
        ;
}

static inline void fake_write(struct fake_agent *fake, const void *bytes, size_t len)
{
    const char *at = bytes;
    uint64_t patience_ends_ns = monotonic_ns() + PATIENCE_NS;

    while (len > 0) {
        ssize_t sent = send(fake->end, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_true(monotonic_ns() < patience_ends_ns);
            assert_true(event_loop_run_once(fake->loop, 10) >= 0);
            continue;
        }
        at += sent;
        len -= (size_t)sent;
    }
}

static inline void fake_say(struct fake_agent *fake, const char *json)
{
    uint8_t header[4];

    put_le32(header, (uint32_t)strlen(json));
    fake_write(fake, header, sizeof(header));
    fake_write(fake, json, strlen(json));
}

static inline void fake_read(struct fake_agent *fake, void *to, size_t len)
{
    char *at = to;
    uint64_t patience_ends_ns = monotonic_ns() + PATIENCE_NS;

    while (len > 0) {
        ssize_t got = fake->end < 0 ? -1 : recv(fake->end, at, len, MSG_DONTWAIT);

        if (got <= 0) {
            assert_int_not_equal(got, 0);
            assert_true(monotonic_ns() < patience_ends_ns);
            assert_true(event_loop_run_once(fake->loop, 10) >= 0);
            continue;
        }
        at += got;
        len -= (size_t)got;
    }
}

/* The next frame of the host's; the caller's. */
static inline json_t *fake_hear(struct fake_agent *fake)
{
    uint8_t header[4];
    char *body;
    json_t *message;

    fake_read(fake, header, sizeof(header));
    assert_in_range(get_le32(header), 2, 1u << 20);
    body = test_malloc(get_le32(header));
    fake_read(fake, body, get_le32(header));
    message = json_loadb(body, get_le32(header), JSON_REJECT_DUPLICATES, NULL);
    test_free(body);
    assert_non_null(message);
    return message;
}

/* Whether the host has ended the connection. */
static inline int fake_is_closed(const struct fake_agent *fake)
{
    char byte[512];
    ssize_t got;

    do {
        got = recv(fake->end, byte, sizeof(byte), MSG_DONTWAIT);
    } while (got > 0);
    return got == 0 || (errno != EAGAIN && errno != EINTR);
}

#endif
