// SPDX-License-Identifier: Apache-2.0
/*
 * GET over HTTP and HTTPS with libcurl, for registries: retries, redirects, limits. One object is
 * used by one thread at a time.
 *
 * Authorization is sent to the host, port and scheme of the URL that was asked for, and to nobody
 * that it redirects to. A redirect from HTTPS never leads to HTTP.
 */
#ifndef HUSK_POD_IMAGE_HTTP_H
#define HUSK_POD_IMAGE_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "husk/error.h"

#define HTTP_URL_BYTES    4096u
#define HTTP_HEADER_BYTES 1024u
#define HTTP_TRIES        5u /* of one request */

struct http_options {
    const char *ca_file;     /* certificates to trust instead of the system's, or NULL */
    const atomic_bool *stop; /* true: give up with -ECANCELED; or NULL */
};

struct http_request {
    const char *url;           /* http:// or https:// */
    const char *accept;        /* or NULL */
    const char *authorization; /* the header's value, or NULL; never shown */
    /* Where to go on from: asked for as a range. If the server begins at 0 again, so is told. */
    uint64_t from;
    /* Bytes of the body of a 200 (at 0) or a 206 (at `from`), in order; -errno ends the request.
     * After a broken connection the request goes on where it was, or, told by at == 0, begins
     * anew. */
    int (*body)(void *arg, uint64_t at, const void *bytes, size_t len);
    void *arg;
};

struct http_response {
    long status;
    char type[128];                       /* Content-Type */
    char digest[128];                     /* Docker-Content-Digest */
    char authenticate[HTTP_HEADER_BYTES]; /* the WWW-Authenticate that is understood, or "" */
    char complaint[160];                  /* what a registry says is wrong, printable; or "" */
};

/* Before any thread uses HTTP, once in a process. 0 or -ENOMEM. */
int http_init(void);

struct http;

/* NULL when memory is short. The options are copied; what they point to is not. */
struct http *http_new(const struct http_options *options);
void http_free(struct http *http);

/*
 * 0 when there is a final answer of whatever status; the body went to request->body only when the
 * status is 200 or 206. Else -errno with err filled; `where` is the URL's host: a URL may hold
 * secrets. -ECONNREFUSED, -EHOSTUNREACH and others: no connection; -ECANCELED; -EPROTO: TLS, or
 * not HTTP; -ELOOP: too many redirects; -EIO: broken again and again; or what body returned.
 */
int http_get(struct http *http, const struct http_request *request, struct http_response *response,
             struct husk_error *err);

/* host[:port] of a URL, for errors. */
void http_host(const char *url, char *out, size_t size);

#endif
