// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP of probes and hooks: one GET, and where an answer sends on to. See http_answer.h for
 * what comes back.
 */
#ifndef HUSK_POD_LIFECYCLE_HTTP_H
#define HUSK_POD_LIFECYCLE_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_PATH_MAX 2048u /* bytes of a path, with its query and its end */

/* What a request is for. */
struct http_target {
    bool tls;
    char host[64]; /* an address, or a name; "fd00::1" without brackets */
    uint16_t port;
    char path[HTTP_PATH_MAX]; /* begins with '/' */
};

/*
 * The request for a target, with the headers of an httpGet: the target's host and port are its
 * Host, unless own_host and one of the headers is. The caller's text, NULL without memory or when
 * something has a control character in it.
 */
char *http_request(const json_t *headers, const struct http_target *target, bool own_host);

/* Sets the path: "/" for nothing, and with a '/' in front. -ENAMETOOLONG. */
int http_set_path(struct http_target *target, const char *path);

/*
 * Where a Location leads to from *target (RFC 3986, section 5.2), without its fragment. Sets *named
 * when it names a host of its own. -EINVAL: it is no http or https reference; -EXDEV: it leads to
 * another host, and *target is as before.
 */
int http_follow(struct http_target *target, const char *location, bool *named);

#endif
