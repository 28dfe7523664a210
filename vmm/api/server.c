// SPDX-License-Identifier: Apache-2.0
/* The API behind the HTTP server: its methods, and its words for what is wrong before it is asked.
 * One thread; every request is answered before the next. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "http/server.h"
#include "vmm/api/api.h"

struct api_server {
    struct api *api;
    struct http_server *http;
};

static bool method_of(const char *name, enum api_method *out)
{
    static const char *const names[API_METHODS] = {"GET", "PUT", "PATCH", "DELETE"};

    for (unsigned i = 0; i < API_METHODS; i++) {
        if (!strcmp(names[i], name)) {
            *out = (enum api_method)i;
            return true;
        }
    }
    return false;
}

static void translate(const struct api_response *from, struct http_response *to)
{
    *to = (struct http_response){
        .status = from->status,
        .content_type = from->content_type,
        .body = from->body,
        .body_len = from->body_len,
        .deprecated = from->deprecated,
        .stream_fd = -1,
    };
}

static void handle(void *arg, struct http_exchange *exchange, const struct http_request *from)
{
    struct api_server *server = arg;
    struct api_request request = {
        .path = from->path, .accept = from->accept, .body = from->body, .body_len = from->body_len};
    struct api_response response;
    struct http_response out;

    if (method_of(from->method, &request.method)) {
        api_handle(server->api, &request, &response);
    } else {
        char text[256];
        struct husk_error err = {0};

        error_set(&err, EINVAL, "", "Invalid request method and/or path", "%.16s %.128s.",
                  from->method, from->path + strspn(from->path, "/"));
        api_refuse(server->api, error_format(&err, text, sizeof(text)), &response);
    }
    translate(&response, &out);
    http_answer(exchange, &out);
}

static void refuse_size(void *arg, uint64_t bytes, size_t max_bytes, struct http_response *out)
{
    struct api_server *server = arg;
    struct api_response response;
    struct husk_error err = {0};
    char text[256];

    error_set(&err, EFBIG, "", "Request payload is too large",
              "%llu bytes, larger than the limit of %zu allowed by server.",
              (unsigned long long)bytes, max_bytes);
    api_refuse(server->api, error_format(&err, text, sizeof(text)), &response);
    translate(&response, out);
}

int api_server_create(struct api *api, int listen_fd, size_t payload_max_bytes,
                      struct api_server **out, struct husk_error *err)
{
    static const char cannot_serve[] = "cannot serve the API";
    struct api_server *server = calloc(1, sizeof(*server));
    struct http_handler handler = {.arg = server, .handle = handle, .refuse_size = refuse_size};
    struct http_options options = {.body_max_bytes = payload_max_bytes};
    int ret;

    if (!server)
        return error_set(err, ENOMEM, "", cannot_serve, NULL);
    server->api = api;
    ret = http_server_create(&handler, &options, listen_fd, &server->http);
    if (ret) {
        free(server);
        return error_set(err, -ret, "", cannot_serve, NULL);
    }
    *out = server;
    return 0;
}

void api_server_destroy(struct api_server *server)
{
    if (!server)
        return;
    http_server_destroy(server->http);
    free(server);
}

int api_server_fd(const struct api_server *server)
{
    return http_server_fd(server->http);
}

int api_server_timeout_ms(struct api_server *server)
{
    return http_server_timeout_ms(server->http);
}

void api_server_run(struct api_server *server)
{
    http_server_run(server->http);
}
