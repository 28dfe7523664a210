// SPDX-License-Identifier: Apache-2.0
/*
 * The answer to a GET, read in pieces (RFC 9112). What answers is hostile: everything has a limit,
 * and of the body nothing is kept. Pure; zeroed is a fresh one.
 */
#ifndef HUSK_POD_LIFECYCLE_HTTP_ANSWER_H
#define HUSK_POD_LIFECYCLE_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pod/lifecycle/http.h"

#define HTTP_HEAD_MAX    65536u /* bytes of a head; those of 1xx answers before it have their own */
#define HTTP_BODY_MAX    10240u /* as kubelets read */
#define HTTP_INTERIM_MAX 5u     /* answers of 1xx before the one that counts */

enum http_part {
    HTTP_STATUS_LINE,
    HTTP_FIELDS,
    HTTP_BODY,       /* `left` bytes of it, or until the connection ends */
    HTTP_CHUNK_SIZE, /* RFC 9112, 7.1 */
    HTTP_CHUNK,
    HTTP_CHUNK_END,
    HTTP_TRAILERS,
    HTTP_COMPLETE,
};

struct http_answer {
    enum http_part part;
    int status;                   /* 100 to 599, once the part is beyond the status line */
    char location[HTTP_PATH_MAX]; /* of the Location field; "": none that has room */
    /* The reader's own. */
    char line[HTTP_PATH_MAX + 16]; /* the one that is being read; what has no room is dropped */
    size_t line_len, head_bytes, body_bytes;
    unsigned interim;
    bool chunked, has_length;
    uint64_t left;
};

/* Takes bytes. 0: more are wanted; 1: it is complete, or as much has been read as is read; -EPROTO:
 * it is no HTTP, or too large. */
int http_answer_feed(struct http_answer *answer, const char *bytes, size_t len);

/* The connection has ended. 0: so has the answer; -EPROTO: it is cut short. */
int http_answer_end(const struct http_answer *answer);

#endif
