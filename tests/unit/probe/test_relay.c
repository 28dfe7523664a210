// SPDX-License-Identifier: Apache-2.0
/* TLS between two sockets, with a server of OpenSSL's on the other side, and with what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "probe/relay.h"

#define PATIENCE_S 60
#define LONG_BYTES 300000u

static struct {
    SSL_CTX *context; /* of the server */
    int plain[2], guest[2];
    pthread_t thread;
    SSL *ssl; /* of the relay */
    enum probe_end end;
    char name[64]; /* as the server was told */
} t;

static int on_name(SSL *ssl, int *alert, void *arg)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    snprintf(t.name, sizeof(t.name), "%s", name ? name : "");
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *make_server(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();

    assert_true(context && key && certificate);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -7200);
    X509_gmtime_adj(X509_getm_notAfter(certificate), -3600); /* kubelets do not mind */
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
    SSL_CTX_set_tlsext_servername_callback(context, on_name);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

static void *run(void *arg)
{
    t.end = relay_run(t.ssl, t.plain[1], t.guest[1]);
    shutdown(t.plain[1], SHUT_RDWR);
    shutdown(t.guest[1], SHUT_RDWR);
    return NULL;
}

static void make_pair(int pair[2])
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

/* The relay runs on a thread of its own; the test has the far ends. */
static void begin(const char *name)
{
    make_pair(t.plain);
    make_pair(t.guest);
    t.name[0] = '\0';
    t.ssl = relay_prepare(name);
    assert_non_null(t.ssl);
    assert_int_equal(pthread_create(&t.thread, NULL, run, NULL), 0);
}

static enum probe_end end(void)
{
    assert_int_equal(pthread_join(t.thread, NULL), 0);
    SSL_free(t.ssl);
    for (unsigned i = 0; i < 2; i++) {
        close(t.plain[i]);
        close(t.guest[i]);
    }
    return t.end;
}

static SSL *accept_tls(void)
{
    SSL *server = SSL_new(t.context);

    assert_non_null(server);
    assert_int_equal(SSL_set_fd(server, t.guest[0]), 1);
    assert_int_equal(SSL_accept(server), 1);
    return server;
}

static void read_whole(int fd, char *out, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = read(fd, out + got, len - got);

        assert_true(n > 0);
        got += (size_t)n;
    }
}

static void bytes_go_both_ways(void **state)
{
    char text[16] = "";
    SSL *server;

    begin("localhost");
    assert_int_equal(write(t.plain[0], "question", 8), 8);
    server = accept_tls();
    assert_string_equal(t.name, "localhost");
    assert_int_equal(SSL_read(server, text, 8), 8);
    assert_string_equal(text, "question");
    assert_int_equal(SSL_write(server, "answer", 6), 6);
    SSL_shutdown(server);
    memset(text, 0, sizeof(text));
    read_whole(t.plain[0], text, 6);
    assert_string_equal(text, "answer");
    assert_int_equal(read(t.plain[0], text, 1), 0);
    assert_int_equal(end(), PROBE_END_WELL);
    SSL_free(server);
}

static void an_old_server_is_spoken_with(void **state)
{
    SSL *server;

    begin("");
    SSL_CTX_set_max_proto_version(t.context, TLS1_2_VERSION);
    server = accept_tls();
    SSL_CTX_set_max_proto_version(t.context, 0);
    assert_string_equal(t.name, "");
    assert_string_equal(SSL_get_version(server), "TLSv1.2");
    shutdown(t.plain[0], SHUT_RDWR);
    assert_int_equal(end(), PROBE_END_WELL);
    SSL_free(server);
}

static void *write_long(void *arg)
{
    static const char bytes[1024] = "x";

    for (unsigned left = LONG_BYTES; left > 0;) {
        unsigned len = left < sizeof(bytes) ? left : (unsigned)sizeof(bytes);

        if (write(t.plain[0], bytes, len) != (ssize_t)len)
            return NULL;
        left -= len;
    }
    return arg;
}

/* More than all buffers hold, at the same time in both directions. */
static void long_texts_are_no_deadlock(void **state)
{
    static char bytes[LONG_BYTES];
    pthread_t writer;
    unsigned got = 0;
    void *done;
    SSL *server;

    begin("");
    server = accept_tls();
    assert_int_equal(pthread_create(&writer, NULL, write_long, &t), 0);
    while (got < LONG_BYTES) {
        int len = SSL_read(server, bytes, sizeof(bytes));

        assert_true(len > 0);
        got += (unsigned)len;
        assert_int_equal(SSL_write(server, bytes, 1), 1);
    }
    assert_int_equal(pthread_join(writer, &done), 0);
    assert_ptr_equal(done, &t);
    for (unsigned sent = 0; sent < LONG_BYTES / 10; sent += 3000)
        assert_int_equal(SSL_write(server, bytes, 3000), 3000);
    shutdown(t.guest[0], SHUT_WR); /* without a word */
    while (read(t.plain[0], bytes, sizeof(bytes)) > 0)
        continue;
    assert_int_equal(end(), PROBE_END_WELL);
    SSL_free(server);
}

static enum probe_end answer_with(const void *bytes, size_t len)
{
    begin("");
    assert_int_equal(write(t.guest[0], bytes, len), len);
    shutdown(t.guest[0], SHUT_WR);
    return end();
}

static void what_is_no_tls_is_told_apart(void **state)
{
    static const char record[] = "\x16\x03\x03\x40";
    static const char alert[] = "\x15\x03\x03\x00\x02\x02\x28"; /* handshake_failure */
    static const char zeros[64];

    assert_int_equal(answer_with("HTTP/1.1 400 Bad Request\r\n\r\n", 28), PROBE_END_HANDSHAKE);
    assert_int_equal(answer_with(zeros, sizeof(zeros)), PROBE_END_HANDSHAKE);
    assert_int_equal(answer_with(alert, sizeof(alert) - 1), PROBE_END_HANDSHAKE);
    assert_int_equal(answer_with(record, sizeof(record) - 1), PROBE_END_CUT);
    assert_int_equal(answer_with("", 0), PROBE_END_CUT);
}

static void what_follows_may_be_garbage(void **state)
{
    static const char garbage[] = "\x17\x03\x03\x00\x10"
                                  "sixteen bytes...";
    SSL *server;

    begin("");
    server = accept_tls();
    assert_int_equal(write(t.guest[0], garbage, sizeof(garbage) - 1), sizeof(garbage) - 1);
    assert_int_equal(end(), PROBE_END_GARBAGE);
    SSL_free(server);
}

/* The supervisor has lost interest, while the guest says nothing. */
static void it_ends_with_the_supervisor(void **state)
{
    begin("");
    shutdown(t.plain[0], SHUT_RDWR);
    assert_int_equal(end(), PROBE_END_WELL);
}

static int set_up(void **state)
{
    t.context = make_server();
    return 0;
}

static int tear_down(void **state)
{
    SSL_CTX_free(t.context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways),
        cmocka_unit_test(an_old_server_is_spoken_with),
        cmocka_unit_test(long_texts_are_no_deadlock),
        cmocka_unit_test(what_is_no_tls_is_told_apart),
        cmocka_unit_test(what_follows_may_be_garbage),
        cmocka_unit_test(it_ends_with_the_supervisor),
    };

    signal(SIGPIPE, SIG_IGN); /* as main.c does */
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
