// SPDX-License-Identifier: Apache-2.0
/* husk-probe as it is built, on sockets of the test's. */
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
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pod/pods/speaker.h"

#define PATIENCE_S 60

static struct {
    int guest, plain;
    struct speaker *speaker;
} t;

static void begin(uint32_t speech)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    const struct probe_request request = {.speech = speech, .name = "localhost"};
    struct husk_error error;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    t.guest = ends[0];
    assert_int_equal(speaker_start(&request, ends[1], &t.plain, &t.speaker, &error), 0);
    assert_int_equal(fcntl(ends[1], F_GETFD), -1); /* it was taken */
    setsockopt(t.plain, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(t.guest, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

/* No child of ours is left. */
static int end(void)
{
    int status = speaker_end(t.speaker);

    close(t.plain);
    close(t.guest);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    return status;
}

static void it_says_what_it_met(void **state)
{
    char bytes[5];

    begin(PROBE_TLS);
    assert_int_equal(recv(t.guest, bytes, sizeof(bytes), MSG_WAITALL), sizeof(bytes));
    assert_memory_equal(bytes, "\x16\x03\x01", 3); /* its hello */
    assert_int_equal(write(t.guest, "220 ready\r\n", 11), 11);
    assert_int_equal(read(t.plain, bytes, 1), 0);
    assert_int_equal(end(), PROBE_END_HANDSHAKE);
    begin(PROBE_TLS);
    shutdown(t.guest, SHUT_RDWR);
    assert_int_equal(read(t.plain, bytes, 1), 0);
    assert_int_equal(end(), PROBE_END_CUT);
    begin(PROBE_GRPC);
    assert_int_equal(recv(t.guest, bytes, sizeof(bytes), MSG_WAITALL), sizeof(bytes));
    assert_memory_equal(bytes, "PRI *", 5);
    assert_int_equal(write(t.guest, "HTTP/1.1 400 \r\n", 15), 15);
    assert_int_equal(read(t.plain, bytes, 1), 0);
    assert_int_equal(end(), PROBE_END_NO_HTTP2);
    begin(77);
    assert_int_equal(read(t.plain, bytes, 1), 0);
    assert_int_equal(end(), PROBE_END_REQUEST);
}

static void it_ends_when_it_is_told_to(void **state)
{
    begin(PROBE_TLS);
    assert_int_equal(end(), -1);
}

static void one_that_is_not_there_is_an_error(void **state)
{
    const struct probe_request request = {.speech = PROBE_TLS};
    struct husk_error error = {0};
    char *program = strdup(getenv("HUSK_PROBE"));
    struct speaker *speaker = NULL;
    int ends[2], plain = -1;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    setenv("HUSK_PROBE", "/nowhere/husk-probe", 1);
    assert_int_equal(speaker_start(&request, ends[1], &plain, &speaker, &error), -ENOENT);
    setenv("HUSK_PROBE", program, 1);
    free(program);
    assert_string_equal(error.where, "/nowhere/husk-probe");
    assert_int_equal(fcntl(ends[1], F_GETFD), -1);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_it_met),
        cmocka_unit_test(it_ends_when_it_is_told_to),
        cmocka_unit_test(one_that_is_not_there_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
