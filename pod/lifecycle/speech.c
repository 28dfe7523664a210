// SPDX-License-Identifier: Apache-2.0
#include "pod/lifecycle/speech.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

bool speech_is_tls(const json_t *http)
{
    const char *scheme = json_string_value(json_object_get(http, "scheme"));

    return scheme && !strcmp(scheme, "HTTPS");
}

static bool is_address(const char *host)
{
    struct in6_addr address;

    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

void speech_tls(const char *host, struct probe_request *out)
{
    *out = (struct probe_request){.speech = PROBE_TLS};
    if (!is_address(host))
        snprintf(out->name, sizeof(out->name), "%s", host);
}

const char *speech_failure(int end)
{
    switch (end) {
    case PROBE_END_REQUEST:
        return "husk-probe is not of this version";
    case PROBE_END_JAIL:
        return "husk-probe cannot be confined, or lacks memory";
    case PROBE_END_HANDSHAKE:
        return "what answers speaks no TLS, or none that is spoken here";
    case PROBE_END_CUT:
        return "the connection ended in the TLS handshake";
    case PROBE_END_GARBAGE:
        return "what answers breaks the rules of TLS";
    default:
        return NULL;
    }
}
