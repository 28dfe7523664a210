// SPDX-License-Identifier: Apache-2.0
/* What a program that speaks for a probe or a hook is asked for, and what its end means: words for
 * probe/protocol.h. Pure. */
#ifndef HUSK_POD_LIFECYCLE_SPEECH_H
#define HUSK_POD_LIFECYCLE_SPEECH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/protocol.h"

/* Whether an httpGet wants TLS. */
bool speech_is_tls(const json_t *http);

/* TLS with `host`, whose name is told when it is one: addresses are none (RFC 6066, section 3). */
void speech_tls(const char *host, struct probe_request *out);

/* The health of a service, "" for the whole server, at an address in numbers. */
void speech_grpc(const char *service, const char *address, uint16_t port,
                 struct probe_request *out);

/* Why there is no answer, from enum probe_end; NULL when the end does not say. */
const char *speech_failure(int end);

/* Whether a service is serving, from enum probe_end or -1; `out` says why not, and is never without
 * an end. */
bool speech_is_serving(int end, char *out, size_t size);

#endif
