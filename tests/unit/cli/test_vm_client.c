// SPDX-License-Identifier: Apache-2.0
/* Answers of an API socket, whole, in pieces, and of all wrong kinds; and a peer that misbehaves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/checked.h"
#include "cli/vm_client.h"

static int parse(const char *text, bool ended, struct vm_answer *answer)
{
    return vm_answer_parse(text, strlen(text), ended, answer);
}

static void test_whole_answers(void **state)
{
    struct vm_answer answer;

    assert_int_equal(parse("HTTP/1.1 204 No Content\r\nA: b\r\n\r\n", false, &answer), 1);
    assert_int_equal(answer.status, 204);
    assert_int_equal(answer.body_len, 0);
    assert_int_equal(parse("HTTP/1.0 400 \r\ncontent-length:\t 2 \r\n\r\n{}x", false, &answer), 1);
    assert_int_equal(answer.status, 400);
    assert_int_equal(answer.body_len, 2);
    assert_memory_equal(answer.body, "{}", 2);
    /* Without a length the body is what comes until the end. */
    assert_int_equal(parse("HTTP/1.1 200 OK\r\nA: b\r\n\r\n[1", false, &answer), 0);
    assert_int_equal(parse("HTTP/1.1 200 OK\r\nA: b\r\n\r\n[1]", true, &answer), 1);
    assert_int_equal(answer.body_len, 3);
}

static void test_in_pieces(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345";
    struct vm_answer answer;

    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        assert_int_equal(vm_answer_parse(text, len, false, &answer), 0);
        assert_int_equal(vm_answer_parse(text, len, true, &answer), -EPROTO);
    }
    assert_int_equal(vm_answer_parse(text, sizeof(text) - 1, false, &answer), 1);
}

static void test_no_answers(void **state)
{
    static const char *const bad[] = {
        "SSH-2.0-OpenSSH\r\n\r\n",
        "\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/1.1  20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };
    struct vm_answer answer;
    char *huge = malloc(VM_ANSWER_MAX);

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        if (parse(bad[i], true, &answer) != -EPROTO)
            fail_msg("%s", bad[i]);
    }
    assert_int_equal(vm_answer_parse("HTTP/1.1 200 \0\r\n\r\n", 18, true, &answer), -EPROTO);
    /* Neither a head nor a body without an end is waited for. */
    memset(huge, 'a', VM_ANSWER_MAX);
    memcpy(huge, "HTTP/1.1 200 OK\r\n", 17);
    assert_int_equal(vm_answer_parse(huge, VM_ANSWER_MAX - 1, false, &answer), 0);
    assert_int_equal(vm_answer_parse(huge, VM_ANSWER_MAX, false, &answer), -EPROTO);
    memcpy(huge + 17, "\r\n", 2);
    memcpy(huge + 15, "\r\n\r\n", 4);
    assert_int_equal(vm_answer_parse(huge, VM_ANSWER_MAX, false, &answer), -EPROTO);
    free(huge);
}

struct peer {
    char directory[32], path[64];
    int listener;
    const char *answer;
    unsigned late_us; /* after the socket is there it is listened on */
    char request[4096];
    pthread_t thread;
};

static void *answer_once(void *arg)
{
    struct peer *peer = arg;
    ssize_t n;
    int fd;

    usleep(peer->late_us);
    listen(peer->listener, 1);
    fd = accept(peer->listener, NULL, NULL);
    n = recv(fd, peer->request, sizeof(peer->request) - 1, 0);
    peer->request[n > 0 ? n : 0] = '\0';
    if (send(fd, peer->answer, strlen(peer->answer), MSG_NOSIGNAL) < 0)
        peer->request[0] = '\0';
    close(fd);
    return NULL;
}

/* The result of a request to a peer that answers so. */
static int request(struct peer *peer, const char *answer, const json_t *body, json_t **result,
                   struct vm_socket *vm)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct husk_error err = {0};
    int ret;

    snprintf(peer->directory, sizeof(peer->directory), "/tmp/husk-vm-XXXXXX");
    assert_non_null(mkdtemp(peer->directory));
    snprintf(peer->path, sizeof(peer->path), "%s/s", peer->directory);
    strcpy(address.sun_path, peer->path);
    peer->answer = answer;
    peer->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    if (!peer->late_us)
        assert_int_equal(listen(peer->listener, 1), 0);
    assert_int_equal(pthread_create(&peer->thread, NULL, answer_once, peer), 0);
    *vm = (struct vm_socket){.path = peer->path};
    ret = vm_request(vm, "PUT", "/x", body, result, &err);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    unlink(peer->path);
    rmdir(peer->directory);
    if (ret && ret != -ECANCELED)
        assert_string_equal(err.where, peer->path);
    return ret;
}

static void test_requests(void **state)
{
    static struct peer peer;
    json_t *body = json_pack("{s:i}", "a", 1), *result;
    struct vm_socket vm;

    assert_int_equal(request(&peer, "HTTP/1.1 204 No Content\r\n\r\n", body, &result, &vm), 0);
    assert_null(result);
    assert_non_null(strstr(peer.request, "PUT /x HTTP/1.1\r\n"));
    assert_non_null(strstr(peer.request, "Content-Length: 7\r\n"));
    assert_non_null(strstr(peer.request, "\r\n\r\n{\"a\":1}"));
    assert_int_equal(request(&peer, "HTTP/1.1 200 OK\r\n\r\n{\"b\":2}", NULL, &result, &vm), 0);
    assert_int_equal(json_integer_value(json_object_get(result, "b")), 2);
    json_decref(result);
    assert_int_equal(request(&peer,
                             "HTTP/1.1 400 Bad Request\r\n\r\n"
                             "{\"fault_message\":\"a\\nb\\u001b\"}",
                             body, &result, &vm),
                     -ECANCELED);
    assert_string_equal(vm.refusal, "a?b?");
    assert_int_equal(request(&peer, "HTTP/1.1 500 Oh\r\n\r\nbroken", body, &result, &vm), -EPROTO);
    assert_int_equal(request(&peer, "HTTP/1.1 200 OK\r\n\r\n{", body, &result, &vm), -EPROTO);
    assert_int_equal(request(&peer, "220 mail ready\r\n", body, &result, &vm), -EPROTO);
    assert_int_equal(request(&peer, "", body, &result, &vm), -EPROTO);
    json_decref(body);
}

static void test_early(void **state)
{
    struct peer peer = {.late_us = 20000};
    struct vm_socket vm;
    json_t *result;

    assert_int_equal(request(&peer, "HTTP/1.1 204 No Content\r\n\r\n", NULL, &result, &vm), 0);
}

static void test_no_socket(void **state)
{
    struct vm_socket vm = {.path = "/no/such/socket"};
    struct husk_error err = {0};
    char path[200];
    json_t *result;

    assert_int_equal(vm_request(&vm, "GET", "/", NULL, &result, &err), -ENOENT);
    assert_string_equal(err.where, "/no/such/socket");
    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    vm.path = path;
    assert_int_equal(vm_request(&vm, "GET", "/", NULL, &result, &err), -ENAMETOOLONG);
    vm.path = "";
    assert_int_equal(vm_request(&vm, "GET", "/", NULL, &result, &err), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_answers), cmocka_unit_test(test_in_pieces),
        cmocka_unit_test(test_no_answers),    cmocka_unit_test(test_requests),
        cmocka_unit_test(test_early),         cmocka_unit_test(test_no_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
