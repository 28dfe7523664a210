// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "cli/node/answer.h"

static const char application_json[] = "application/json";

/* Kubernetes' words for them (metav1.StatusReason). */
static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {400, "BadRequest"},
    {404, "NotFound"},
    {405, "MethodNotAllowed"},
    {409, "Conflict"},
    {410, "Expired"},
    {413, "RequestEntityTooLarge"},
    {422, "Invalid"},
    {426, "UpgradeRequired"},
    {429, "TooManyRequests"},
    {500, "InternalError"},
    {503, "ServiceUnavailable"},
    {504, "Timeout"},
};

static const char *reason_of(int status)
{
    for (unsigned i = 0; i < ARRAY_SIZE(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Unknown";
}

int answer_status(int code)
{
    switch (code) {
    case ENOENT:
        return 404;
    case EINVAL:
        return 422;
    case E2BIG:
        return 413;
    case EEXIST:
    case EBUSY:
    case EALREADY:
    case ESRCH:
    case ECANCELED:
        return 409;
    case ECONNREFUSED:
    case ECONNRESET:
        return 503;
    case ETIMEDOUT:
        return 504;
    default:
        return 500;
    }
}

void answer_text(struct http_response *response, char *text, const char *content_type)
{
    *response = (struct http_response)HTTP_RESPONSE_INIT;
    response->status = text ? 200 : 500;
    response->content_type = content_type;
    response->body = text;
    response->body_len = text ? strlen(text) : 0;
}

void answer_json(struct http_response *response, int status, char *text)
{
    answer_text(response, text, application_json);
    if (text)
        response->status = status;
}

static json_t *details_of(const char *pod)
{
    return json_pack("{s:s, s:s}", "kind", "pods", "name", pod);
}

char *status_object(int status, const char *pod, const char *message)
{
    bool failed = status >= 400;
    json_t *object = json_pack("{s:s, s:s, s:{}, s:s}", "kind", "Status", "apiVersion", "v1",
                               "metadata", "status", failed ? "Failure" : "Success");
    char *text;

    if (failed || *message)
        json_object_set_new(object, "message", json_string(message));
    if (failed)
        json_object_set_new(object, "reason", json_string(reason_of(status)));
    if (pod && *pod)
        json_object_set_new(object, "details", details_of(pod));
    json_object_set_new(object, "code", json_integer(status));
    text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}

/* k8s.io/apimachinery: a Status whose causes have the exit code is how remote commands end. */
char *status_of_exit(int exit_status)
{
    char number[16], message[64];
    json_t *object;
    char *text;

    if (!exit_status)
        return status_object(200, NULL, "");
    snprintf(number, sizeof(number), "%d", exit_status);
    snprintf(message, sizeof(message), "command terminated with exit code %d", exit_status);
    object =
        json_pack("{s:s, s:s, s:{}, s:s, s:s, s:s, s:{s:[{s:s, s:s}]}}", "kind", "Status",
                  "apiVersion", "v1", "metadata", "status", "Failure", "message", message, "reason",
                  "NonZeroExitCode", "details", "causes", "reason", "ExitCode", "message", number);
    text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}

void answer_failure(struct http_response *response, int status, const char *pod,
                    const char *message)
{
    answer_json(response, status, status_object(status, pod, message));
}

void answer_success(struct http_response *response, const char *pod, const char *message)
{
    answer_json(response, 200, status_object(200, pod, message));
}

void answer_error(struct http_response *response, const char *pod, const struct husk_error *err)
{
    char text[640];

    answer_failure(response, answer_status(err->code), pod, error_format(err, text, sizeof(text)));
}
