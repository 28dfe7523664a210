// SPDX-License-Identifier: Apache-2.0
/* An API without a socket, and requests to it in one line. */
#ifndef HUSK_TESTS_UNIT_API_API_FIXTURE_H
#define HUSK_TESTS_UNIT_API_API_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/api/api.h"
#include "vmm/api/device_kind.h"

static inline struct api *fixture_api(void)
{
    struct api_options options = {.id = "test", .console_in_fd = -1, .console_out_fd = -1};
    struct api *api = NULL;

    assert_int_equal(api_create(&options, &api, NULL), 0);
    api->log.max_level = LOG_CHOICE_OFF;
    return api;
}

/* The status; *text (may be NULL) is the body or "", to be freed. */
static inline int request(struct api *api, enum api_method method, const char *path,
                          const char *body, char **text)
{
    struct api_request request = {
        .method = method, .path = path, .body = body, .body_len = body ? strlen(body) : 0};
    struct api_response response;

    api_handle(api, &request, &response);
    if (text)
        *text = response.body ? response.body : strdup("");
    else
        free(response.body);
    return response.status;
}

/* A refusal whose body has these words in it. */
static inline void refused(struct api *api, enum api_method method, const char *path,
                           const char *body, const char *words)
{
    char *text;
    int status = request(api, method, path, body, &text);

    if (status != 400 || !strstr(text, words))
        fail_msg("%s %s: %d %s, without \"%s\"", path, body ? body : "", status, text, words);
    free(text);
}

static inline void done(struct api *api, enum api_method method, const char *path, const char *body)
{
    char *text;
    int status = request(api, method, path, body, &text);

    if (status != 204 || *text)
        fail_msg("%s %s: %d %s", path, body ? body : "", status, text);
    free(text);
}

#define REFUSED(verb, path, body, words) refused(api, API_##verb, path, body, words)
#define DONE(verb, path, body)           done(api, API_##verb, path, body)

#endif
