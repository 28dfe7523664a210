// SPDX-License-Identifier: Apache-2.0
/*
 * From a request to the handler of its resource, and from the outcome to a response.
 *
 * A path has one or two words. What Firecracker's API has and husk does not is in the table too, so
 * that a client hears that it is known and not supported.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "vmm/api/state.h"

#define WORD_MAX  64u
#define WORDS_MAX 3u

struct route {
    enum api_method method;
    const char *words[WORDS_MAX]; /* "*": any word, the id; NULL: no word */
    enum api_counter counter;
    api_handler handle; /* NULL: not supported */
    const char *what;   /* what is not supported */
};

static int prometheus_get(struct api *api, struct api_call *call, struct api_fault *fault)
{
    call->text = metrics_text(api);
    return call->text ? 0 : api_fault_set(fault, "out of memory");
}

#define ROUTE(verb, first, second, count, handler)                                \
    {                                                                             \
        .method = API_##verb, .words = {first, second}, .counter = COUNT_##count, \
        .handle = handler                                                         \
    }
#define ABSENT(verb, first, second, count, name)                                               \
    {                                                                                          \
        .method = API_##verb, .words = {first, second}, .counter = COUNT_##count, .what = name \
    }
#define HINTING(verb, third)                                          \
    {                                                                 \
        .method = API_##verb, .words = {"balloon", "hinting", third}, \
        .what = "the balloon device is not implemented"               \
    }

#define NO_BALLOON  "the balloon device is not implemented"
#define NO_PMEM     "persistent memory devices are not implemented"
#define NO_HOTPLUG  "memory hot-plug is not implemented"
#define NO_MMDS     "the metadata service is not implemented"
#define NO_SNAPSHOT "snapshots are not implemented"

static const struct route routes[] = {
    ROUTE(GET, NULL, NULL, INSTANCE_INFO, instance_get),
    ROUTE(GET, "version", NULL, VMM_VERSION, version_get),
    ROUTE(PATCH, "vm", NULL, NONE, vm_patch),
    ROUTE(GET, "vm", "config", NONE, vm_config_get),
    ROUTE(PUT, "actions", NULL, ACTIONS, action_put),
    ROUTE(GET, "machine-config", NULL, MACHINE_CFG, machine_get),
    ROUTE(PUT, "machine-config", NULL, MACHINE_CFG, machine_put),
    ROUTE(PATCH, "machine-config", NULL, MACHINE_CFG, machine_patch),
    ROUTE(PUT, "cpu-config", NULL, CPU_CFG, cpu_put),
    ROUTE(PUT, "boot-source", NULL, BOOT_SOURCE, boot_put),
    ROUTE(PUT, "drives", "*", DRIVE, drive_put),
    ROUTE(PATCH, "drives", "*", DRIVE, drive_patch),
    ROUTE(DELETE, "drives", "*", NONE, drive_delete),
    ROUTE(PUT, "network-interfaces", "*", NETWORK, net_put),
    ROUTE(PATCH, "network-interfaces", "*", NETWORK, net_patch),
    ROUTE(DELETE, "network-interfaces", "*", NONE, net_delete),
    ROUTE(PUT, "vfio", "*", NONE, vfio_put),
    ROUTE(DELETE, "vfio", "*", NONE, vfio_delete),
    ROUTE(PUT, "vsock", NULL, VSOCK, vsock_put),
    ROUTE(PUT, "entropy", NULL, NONE, entropy_put),
    ROUTE(PUT, "serial", NULL, SERIAL, serial_put),
    ROUTE(PUT, "logger", NULL, LOGGER, logger_put),
    ROUTE(PUT, "metrics", NULL, METRICS, metrics_put),
    ABSENT(GET, "balloon", NULL, NONE, NO_BALLOON),
    ABSENT(PUT, "balloon", NULL, NONE, NO_BALLOON),
    ABSENT(PATCH, "balloon", NULL, NONE, NO_BALLOON),
    ABSENT(GET, "balloon", "statistics", NONE, NO_BALLOON),
    ABSENT(PATCH, "balloon", "statistics", NONE, NO_BALLOON),
    HINTING(GET, "status"),
    HINTING(PATCH, "start"),
    HINTING(PATCH, "stop"),
    ABSENT(PUT, "pmem", "*", PMEM, NO_PMEM),
    ABSENT(PATCH, "pmem", "*", PMEM, NO_PMEM),
    ABSENT(DELETE, "pmem", "*", NONE, NO_PMEM),
    ABSENT(GET, "hotplug", "memory", HOTPLUG_MEMORY, NO_HOTPLUG),
    ABSENT(PUT, "hotplug", "memory", HOTPLUG_MEMORY, NO_HOTPLUG),
    ABSENT(PATCH, "hotplug", "memory", HOTPLUG_MEMORY, NO_HOTPLUG),
    ABSENT(GET, "mmds", NULL, MMDS, NO_MMDS),
    ABSENT(PUT, "mmds", NULL, MMDS, NO_MMDS),
    ABSENT(PATCH, "mmds", NULL, MMDS, NO_MMDS),
    ABSENT(PUT, "mmds", "config", MMDS, NO_MMDS),
    ABSENT(PUT, "snapshot", "create", NONE, NO_SNAPSHOT),
    ABSENT(PUT, "snapshot", "load", NONE, NO_SNAPSHOT),
};

/* The one route that depends on what the client accepts: husk's own. */
static const struct route prometheus_route = ROUTE(GET, "metrics", NULL, NONE, prometheus_get);

static const char *const method_names[API_METHODS] = {"GET", "PUT", "PATCH", "DELETE"};

uint32_t router_counters(enum api_method method)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(routes); i++) {
        if (routes[i].method == method && routes[i].counter != COUNT_NONE)
            bits |= UINT32_C(1) << routes[i].counter;
    }
    return bits;
}

struct path {
    char words[WORDS_MAX][WORD_MAX + 2]; /* a word that is too long keeps one byte more */
    unsigned count;
};

/* Cut a path into words. False when it has more than any route. */
static bool split_path(const char *path, struct path *out)
{
    /* The absolute form, with a host that means nothing here. */
    if (!strncasecmp(path, "http://", 7)) {
        path = strchr(path + 7, '/');
        if (!path)
            path = "/";
    }
    out->count = 0;
    while (*path == '/')
        path++;
    while (*path) {
        size_t len = strcspn(path, "/"), kept = min_u64(len, WORD_MAX + 1);

        if (out->count == WORDS_MAX)
            return false;
        memcpy(out->words[out->count], path, kept);
        out->words[out->count++][kept] = '\0';
        path += len;
        if (*path == '/')
            path++;
    }
    return true;
}

static bool matches(const struct route *route, enum api_method method, const struct path *path)
{
    unsigned i;

    if (route->method != method)
        return false;
    for (i = 0; i < WORDS_MAX && route->words[i]; i++) {
        /* "/drives" has an empty id. */
        if (!strcmp(route->words[i], "*") && i >= path->count)
            return true;
        if (i >= path->count ||
            (strcmp(route->words[i], "*") != 0 && strcmp(route->words[i], path->words[i]) != 0))
            return false;
    }
    return i >= path->count;
}

static bool accepts_text(const char *accept)
{
    return accept && (strstr(accept, "text/plain") || strstr(accept, "application/openmetrics"));
}

static const struct route *find_route(const struct api_request *request, const struct path *path)
{
    for (unsigned i = 0; i < ARRAY_SIZE(routes); i++) {
        if (matches(&routes[i], request->method, path))
            return &routes[i];
    }
    if (accepts_text(request->accept) && matches(&prometheus_route, request->method, path))
        return &prometheus_route;
    return NULL;
}

/* What holds whatever the path is. */
static int check_body(const struct api_request *request, struct api_fault *fault)
{
    static const char *const empty[API_METHODS] = {
        [API_PUT] = "Empty PUT request.", [API_PATCH] = "Empty PATCH request."};

    if (request->body_len && request->method == API_GET)
        return api_fault_set(fault, "GET request cannot have a body.");
    if (request->body_len && request->method == API_DELETE)
        return api_fault_set(fault, "DELETE request cannot have a body.");
    if (!request->body_len && empty[request->method])
        return api_fault_set(fault, "%s", empty[request->method]);
    return 0;
}

static int call_handler(struct api *api, const struct route *route,
                        const struct api_request *request, struct api_call *call,
                        struct api_fault *fault)
{
    json_t *body = NULL;
    int ret;

    if (request->body_len) {
        body = json_parse(request->body, request->body_len, fault);
        if (!body)
            return api_fault_prefix(fault, BODY_FAULT);
    }
    call->body = body;
    ret = route->handle(api, call, fault);
    call->body = NULL;
    json_decref(body);
    return ret;
}

static int execute(struct api *api, const struct route *route, const struct path *path,
                   const struct api_request *request, struct api_call *call,
                   struct api_fault *fault)
{
    if (!route->handle)
        return api_fault_set(fault, "The requested operation is not supported: %s.", route->what);
    if (route->words[1] && !strcmp(route->words[1], "*")) {
        call->id = path->count > 1 ? path->words[1] : "";
        if (check_device_id(call->id, fault))
            return -EINVAL;
    }
    return call_handler(api, route, request, call, fault);
}

static int dispatch(struct api *api, const struct api_request *request, struct api_call *call,
                    struct path *path, struct api_fault *fault)
{
    bool known_form = split_path(request->path, path);
    const struct route *route = known_form ? find_route(request, path) : NULL;
    struct request_counts *counts;
    int ret = 0;

    /* Hinting starts without a body, and is not supported with one either. */
    if (!route || route->handle)
        ret = check_body(request, fault);
    if (ret)
        return ret;
    if (!route)
        return api_fault_set(fault, "Invalid request method and/or path: %s %.128s.",
                             method_names[request->method],
                             request->path + strspn(request->path, "/"));
    ret = execute(api, route, path, request, call, fault);
    counts = &api->metrics.requests[request->method][route->counter];
    counts->count++;
    counts->fails += ret != 0;
    return ret;
}

void api_refuse(struct api *api, const char *text, struct api_response *response)
{
    json_t *body = json_pack("{s:s}", "fault_message", text);

    memset(response, 0, sizeof(*response));
    response->status = 400;
    response->content_type = "application/json";
    response->body = body ? json_dumps(body, JSON_COMPACT) : NULL;
    response->body_len = response->body ? strlen(response->body) : 0;
    json_decref(body);
    log_print(&api->log, HUSK_LOG_ERROR,
              "Received Error. Status code: 400 Bad Request. Message: %s", text);
}

static void log_request(struct api *api, const struct api_request *request)
{
    if (request->body_len && strcmp(request->path, "/cpu-config") != 0)
        log_print(&api->log, HUSK_LOG_INFO,
                  "The API server received a %s request on \"%.128s\" with body %.*s.",
                  method_names[request->method], request->path,
                  (int)min_u64(request->body_len, 512), request->body);
    else
        log_print(&api->log, HUSK_LOG_INFO, "The API server received a %s request on \"%.128s\".",
                  method_names[request->method], request->path);
}

/* A handler's success. False without memory. */
static bool fill_success(struct api *api, struct api_call *call, struct api_response *response)
{
    memset(response, 0, sizeof(*response));
    response->deprecated = call->deprecated;
    response->status = call->result || call->text ? 200 : 204;
    response->content_type = call->text ? "text/plain; version=0.0.4" : "application/json";
    response->body = call->text;
    call->text = NULL;
    if (call->result) {
        response->body = json_dumps(call->result, JSON_COMPACT);
        if (!response->body)
            return false;
    }
    response->body_len = response->body ? strlen(response->body) : 0;
    log_print(&api->log, HUSK_LOG_INFO, "The request was executed successfully. Status code: %s.",
              response->status == 200 ? "200 OK" : "204 No Content");
    return true;
}

void api_handle(struct api *api, const struct api_request *request, struct api_response *response)
{
    struct api_fault fault = {0};
    struct api_call call = {0};
    struct path path;
    int ret;

    log_request(api, request);
    ret = dispatch(api, request, &call, &path, &fault);
    if (call.deprecated) {
        api->metrics.deprecated_calls++;
        log_print(&api->log, HUSK_LOG_WARN, "%s %s: a field of the request is deprecated.",
                  method_names[request->method], request->path);
    }
    if (ret || !fill_success(api, &call, response))
        api_refuse(api, ret ? fault.text : "out of memory", response);
    json_decref(call.result);
    free(call.text);
}
