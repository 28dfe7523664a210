// SPDX-License-Identifier: Apache-2.0
/* One request and its answer on a connection that stands. On the loop's thread. */
#ifndef HUSK_POD_LIFECYCLE_FETCH_H
#define HUSK_POD_LIFECYCLE_FETCH_H

#include "base/event_loop.h"
#include "pod/lifecycle/http_answer.h"

struct fetch;

/* ret: 0, or -errno: -EPROTO for what is no HTTP, -ENODATA for a connection that ended without a
 * byte. The answer lives until the fetch is destroyed, which may be here. */
typedef void (*fetch_fn)(void *arg, int ret, const struct http_answer *answer);

/* fd is a stream socket; it and the request (of malloc) are taken in any case. Callbacks come from
 * the loop. 0 or -errno. */
int fetch_start(struct event_loop *loop, int fd, char *request, fetch_fn done, void *arg,
                struct fetch **out);
/* Closes the connection; no callback comes any more. Takes NULL. */
void fetch_destroy(struct fetch *fetch);

#endif
