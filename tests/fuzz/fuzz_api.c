// SPDX-License-Identifier: Apache-2.0
/*
 * The control socket's requests, without the socket: the input is a list of them, each
 * "VERB path\nbody" and a NUL byte. Afterwards the API must still answer, in JSON, and its
 * configuration must be one that it takes itself.
 *
 * No VM is started, and no file is opened for writing a log or metrics to: such requests are left
 * out.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "vmm/api/state.h"

#define MAX_REQUESTS 32u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct api *new_api(void)
{
    struct api_options options = {.console_in_fd = -1, .console_out_fd = -1};
    struct api *api;

    if (api_create(&options, &api, NULL))
        abort();
    api->log.max_level = LOG_CHOICE_OFF;
    return api;
}

static bool contains(const uint8_t *data, size_t size, const char *text)
{
    return memmem(data, size, text, strlen(text)) != NULL;
}

/* An escape could hide what is looked for. */
static bool is_left_out(const uint8_t *data, size_t size)
{
    if (contains(data, size, "logger") || contains(data, size, "metrics"))
        return contains(data, size, "_path") || contains(data, size, "\\");
    if (contains(data, size, "actions"))
        return contains(data, size, "InstanceStart") || contains(data, size, "\\");
    return false;
}

static void check_json(const char *body, size_t len)
{
    json_t *value = json_loadb(body, len, 0, NULL);

    if (!json_is_object(value))
        abort();
    json_decref(value);
}

static char *execute(struct api *api, const struct api_request *request)
{
    struct api_response response;

    api_handle(api, request, &response);
    if (response.status == 204 ? response.body != NULL : response.body == NULL)
        abort();
    if (response.body && strncmp(response.content_type, "text/plain", 10) != 0)
        check_json(response.body, response.body_len);
    return response.body;
}

static void one_request(struct api *api, const uint8_t *data, size_t size)
{
    static const char *const verbs[API_METHODS] = {"GET ", "PUT ", "PATCH ", "DELETE "};
    const uint8_t *end = memchr(data, '\n', size);
    size_t line = end ? (size_t)(end - data) : size;
    struct api_request request = {.accept = "text/plain"};
    char path[256];

    if (is_left_out(data, size))
        return;
    for (unsigned i = 0; i < API_METHODS; i++) {
        size_t len = strlen(verbs[i]);

        if (line < len || memcmp(data, verbs[i], len) != 0)
            continue;
        request.method = (enum api_method)i;
        data += len;
        size -= len;
        line -= len;
        break;
    }
    line = min_u64(line, sizeof(path) - 1);
    memcpy(path, data, line);
    path[line] = '\0';
    request.path = path;
    if (end) {
        request.body = (const char *)end + 1;
        request.body_len = (size_t)(data + size - (end + 1));
    }
    free(execute(api, &request));
}

/* What GET /vm/config says, given to a new API, must be said by that one too. */
static void check_round_trip(struct api *api)
{
    const struct api_request get = {.method = API_GET, .path = "/vm/config"};
    char *config = execute(api, &get);
    struct api *other = new_api();
    struct api_fault fault;
    json_t *sections = json_loads(config, 0, NULL);

    /* Its files may have gone, and without a kernel it is none. */
    if (api->boot.given && config_apply(other, sections, &fault) == 0) {
        char *again = execute(other, &get);

        if (strcmp(config, again) != 0)
            abort();
        free(again);
    }
    json_decref(sections);
    free(config);
    api_destroy(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct api *api = new_api();

    for (unsigned i = 0; i < MAX_REQUESTS && size > 0; i++) {
        const uint8_t *end = memchr(data, '\0', size);
        size_t len = end ? (size_t)(end - data) : size;

        one_request(api, data, len);
        data += len;
        size -= len;
        if (size > 0) {
            data++;
            size--;
        }
    }
    check_round_trip(api);
    api_destroy(api);
    return 0;
}
