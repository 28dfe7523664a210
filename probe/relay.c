// SPDX-License-Identifier: Apache-2.0
/*
 * See relay.h. OpenSSL reads and writes the guest's connection itself; a turn of the loop moves
 * what can be moved in both directions, and when there was nothing, the process waits.
 *
 * References: RFC 8446 (TLS 1.3), RFC 5246 (TLS 1.2), RFC 7301 (ALPN).
 */
#include "probe/relay.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

/* What is on its way in one direction: bytes[from] to before bytes[to]. */
struct flow {
    char bytes[4096];
    size_t from, to;
};

struct relay {
    SSL *ssl;
    int plain, guest;
    struct flow up, down; /* to the guest, and from it */
    bool shaken;          /* the handshake is done */
    bool wants_write;     /* TLS waits until it can write to the guest's connection */
    bool over;
    enum probe_end end; /* when over */
};

static const unsigned char http_1_1[] = "\x08http/1.1";

static int set_up(SSL_CTX *context)
{
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    /* A key that is too small for secrets will do where nobody is asked who he is. */
    SSL_CTX_set_security_level(context, 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* The last of these returns 0 for success. */
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                   SSL_CTX_set_alpn_protos(context, http_1_1, sizeof(http_1_1) - 1) == 0
               ? 0
               : -EINVAL;
}

SSL *relay_prepare(const char *name)
{
    SSL_CTX *context = NULL;
    SSL *ssl = NULL;

    /* No file of the host's decides what is spoken here. */
    if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1)
        context = SSL_CTX_new(TLS_client_method());
    if (context && set_up(context) == 0)
        ssl = SSL_new(context);
    SSL_CTX_free(context); /* the SSL has a reference */
    if (ssl && *name && SSL_set_tlsext_host_name(ssl, name) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    if (ssl)
        SSL_set_connect_state(ssl);
    return ssl;
}

static void finish(struct relay *relay, enum probe_end end)
{
    relay->over = true;
    relay->end = end;
}

/* What SSL_read() and the like could not do: a reason to wait, or the end. */
static void take_error(struct relay *relay, int ret)
{
    switch (SSL_get_error(relay->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        break;
    case SSL_ERROR_WANT_WRITE:
        relay->wants_write = true;
        break;
    case SSL_ERROR_SSL:
        finish(relay, relay->shaken ? PROBE_END_GARBAGE : PROBE_END_HANDSHAKE);
        break;
    default: /* it was closed, with a last message or without */
        finish(relay, relay->shaken ? PROBE_END_WELL : PROBE_END_CUT);
        break;
    }
}

/* ---- the steps of a turn. Each says whether something has moved. ---- */

static bool shake_hands(struct relay *relay)
{
    int ret;

    if (relay->shaken)
        return false;
    ERR_clear_error();
    ret = SSL_do_handshake(relay->ssl);
    relay->shaken = ret == 1;
    if (!relay->shaken)
        take_error(relay, ret);
    return relay->shaken;
}

static bool read_guest(struct relay *relay)
{
    struct flow *down = &relay->down;
    int len;

    if (down->to || !relay->shaken)
        return false;
    ERR_clear_error();
    len = SSL_read(relay->ssl, down->bytes, sizeof(down->bytes));
    if (len > 0)
        down->to = (size_t)len;
    else
        take_error(relay, len);
    return len > 0;
}

static bool write_plain(struct relay *relay)
{
    struct flow *down = &relay->down;
    ssize_t len;

    if (!down->to)
        return false;
    len = write(relay->plain, down->bytes + down->from, down->to - down->from);
    if (len < 0 && errno != EAGAIN && errno != EINTR)
        finish(relay, PROBE_END_WELL);
    if (len <= 0)
        return false;
    down->from += (size_t)len;
    if (down->from == down->to)
        down->from = down->to = 0;
    return true;
}

static bool read_plain(struct relay *relay)
{
    struct flow *up = &relay->up;
    ssize_t len;

    if (up->to)
        return false;
    len = read(relay->plain, up->bytes, sizeof(up->bytes));
    if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
        finish(relay, PROBE_END_WELL);
    if (len > 0)
        up->to = (size_t)len;
    return len > 0;
}

static bool write_guest(struct relay *relay)
{
    struct flow *up = &relay->up;
    int len;

    if (!up->to || !relay->shaken)
        return false;
    ERR_clear_error();
    len = SSL_write(relay->ssl, up->bytes + up->from, (int)(up->to - up->from));
    if (len <= 0) {
        take_error(relay, len);
        return false;
    }
    up->from += (size_t)len;
    if (up->from == up->to)
        up->from = up->to = 0;
    return true;
}

static void wait_for_more(const struct relay *relay)
{
    struct pollfd ready[] = {{.fd = relay->plain}, {.fd = relay->guest}};

    /* Its end is seen also when nothing is wanted of it. */
    ready[0].events = (short)((relay->up.to ? 0 : POLLIN) | (relay->down.to ? POLLOUT : 0));
    ready[1].events = (short)((relay->down.to ? 0 : POLLIN) | (relay->wants_write ? POLLOUT : 0));
    if (!ready[1].events)
        ready[1].fd = -1; /* or an end that cannot be read yet would keep us awake */
    (void)poll(ready, 2, -1);
}

enum probe_end relay_run(SSL *ssl, int plain_fd, int guest_fd)
{
    struct relay relay = {.ssl = ssl, .plain = plain_fd, .guest = guest_fd};

    if (SSL_set_fd(ssl, guest_fd) != 1)
        return PROBE_END_JAIL;
    while (!relay.over) {
        bool moved;

        relay.wants_write = false;
        moved = write_plain(&relay);
        if (!relay.over)
            moved |= read_plain(&relay);
        if (!relay.over)
            moved |= shake_hands(&relay);
        if (!relay.over)
            moved |= write_guest(&relay);
        if (!relay.over)
            moved |= read_guest(&relay);
        if (!moved && !relay.over)
            wait_for_more(&relay);
    }
    return relay.end;
}
