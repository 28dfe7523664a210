// SPDX-License-Identifier: Apache-2.0
#include "pod/lifecycle/speech.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

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

void speech_grpc(const char *service, const char *address, uint16_t port, struct probe_request *out)
{
    bool v6 = strchr(address, ':') != NULL;

    *out = (struct probe_request){.speech = PROBE_GRPC};
    snprintf(out->name, sizeof(out->name), "%s", service);
    snprintf(out->authority, sizeof(out->authority), v6 ? "[%s]:%u" : "%s:%u", address, port);
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
    case PROBE_END_NO_HTTP2:
        return "what answers speaks no HTTP/2, or breaks its rules";
    case PROBE_END_NO_GRPC:
        return "the answer is none of gRPC";
    case PROBE_END_TOO_MUCH:
        return "what answers says too much";
    case PROBE_END_RESET:
        return "the call ended without an answer";
    case PROBE_END_SILENT:
        return "the connection ended without an answer";
    default:
        return NULL;
    }
}

static const char *const statuses[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};

/* grpc/statuscodes.md of the documentation of gRPC. */
static const char *const codes[] = {
    "OK",       "Canceled",        "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",   "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",      "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated",
};

#define CODE_UNIMPLEMENTED 12

bool speech_is_serving(int end, char *out, size_t size)
{
    const char *why = speech_failure(end);
    int status = end - PROBE_END_HEALTH, code = end - PROBE_END_CODE;

    *out = '\0';
    if (end == PROBE_END_WELL)
        return true;
    if (why)
        snprintf(out, size, "%s", why);
    else if (status >= 0 && (size_t)status < ARRAY_SIZE(statuses))
        snprintf(out, size, "service unhealthy (responded with \"%s\")", statuses[status]);
    else if (code == CODE_UNIMPLEMENTED)
        snprintf(out, size,
                 "this server does not implement the grpc health protocol "
                 "(grpc.health.v1.Health)");
    else if (code > 0 && (size_t)code < ARRAY_SIZE(codes))
        snprintf(out, size, "health rpc probe failed: %s", codes[code]);
    else
        snprintf(out, size, "husk-probe was ended");
    return false;
}
