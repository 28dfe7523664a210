// SPDX-License-Identifier: Apache-2.0
#include "cli/node/api.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "base/thread.h"
#include "cli/node/visit.h"

struct api {
    struct api_options options;
    int stop_fd, done_fd;
    unsigned visits;
    pthread_mutex_t lock;
    struct visit *done; /* to be joined */
};

struct api *api_create(const struct api_options *options)
{
    struct api *api = calloc(1, sizeof(*api));

    if (!api)
        return NULL;
    api->options = *options;
    pthread_mutex_init(&api->lock, NULL);
    api->stop_fd = eventfd_open();
    api->done_fd = eventfd_open();
    if (api->stop_fd < 0 || api->done_fd < 0) {
        api_destroy(api);
        return NULL;
    }
    return api;
}

void api_destroy(struct api *api)
{
    if (!api)
        return;
    close_fd(&api->stop_fd);
    close_fd(&api->done_fd);
    pthread_mutex_destroy(&api->lock);
    free(api);
}

int api_fd(const struct api *api)
{
    return api->done_fd;
}

unsigned api_visits(const struct api *api)
{
    return api->visits;
}

void api_stop(struct api *api)
{
    eventfd_signal(api->stop_fd); /* nobody drains it */
}

static void answer(struct api *api, struct http_exchange *exchange,
                   const struct http_response *response)
{
    metrics_request(api->options.metrics, response->status);
    http_answer(exchange, response);
}

/* ---- what is in memory ---- */

static void answer_health(struct api *api, struct http_response *response)
{
    int64_t silent_ns = realtime_ns() - api->options.metrics->finished_ns;
    char why[640];

    if (!reconciler_is_well(api->options.reconciler, why, sizeof(why)))
        answer_failure(response, 503, NULL, *why ? why : "the first round is not done yet");
    else if (silent_ns > (int64_t)api->options.well_ns)
        answer_failure(response, 503, NULL, "the reconcile loop is stuck in a round");
    else
        answer_text(response, strdup("ok\n"), "text/plain");
}

static void answer_round(struct api *api, struct http_response *response)
{
    char *text = reconciler_status(api->options.reconciler);

    if (text)
        answer_json(response, 200, text);
    else
        answer_failure(response, 503, NULL, "the first round is not done yet");
}

static char *version_text(void)
{
    char *text;

    return asprintf(&text, "{\"version\":\"%s\"}", HUSK_VERSION) < 0 ? NULL : text;
}

static void answer_events(struct http_response *response, struct events *events, uint64_t after)
{
    char *text;

    if (events_list(events, after, &text) == -ESTALE)
        answer_failure(response, 410, NULL, events_gone);
    else
        answer_json(response, 200, text);
}

/* False when it takes a visit. */
static bool answer_at_once(struct api *api, const struct route *route,
                           const struct parameters *parameters, struct http_response *response)
{
    switch (route->verb) {
    case VERB_HEALTH:
        answer_health(api, response);
        return true;
    case VERB_VERSION:
        answer_json(response, 200, version_text());
        return true;
    case VERB_STATUS:
        answer_round(api, response);
        return true;
    case VERB_EVENTS:
        if (!parameters->follow)
            answer_events(response, api->options.events, parameters->after);
        return !parameters->follow;
    default:
        return false;
    }
}

/* ---- visits ---- */

void visit_answer(struct visit *visit, const struct http_response *response)
{
    struct http_exchange *exchange = visit->exchange;

    visit->exchange = NULL;
    answer(visit->api, exchange, response);
}

void visit_refuse(struct visit *visit, int status, const char *message)
{
    struct http_response response;

    answer_failure(&response, status, visit->name, message);
    visit_answer(visit, &response);
}

void visit_error(struct visit *visit, const struct husk_error *err)
{
    struct http_response response;

    answer_error(&response, visit->name, err);
    visit_answer(visit, &response);
}

static void free_visit(struct visit *visit)
{
    if (!visit)
        return;
    husk_pods_close(visit->pods);
    parameters_free(&visit->parameters);
    free(visit->name);
    free(visit);
}

static void (*const verbs[VERBS])(struct visit *visit) = {
    [VERB_LIST] = visit_list,
    [VERB_APPLY] = visit_apply,
    [VERB_GET] = visit_get,
    [VERB_DELETE] = visit_delete,
    [VERB_START] = visit_start,
    [VERB_STOP] = visit_stop,
    [VERB_STATS] = visit_stats,
    [VERB_METRICS] = visit_metrics,
    [VERB_LOG] = visit_log,
    [VERB_EVENTS] = visit_events,
    [VERB_EXEC] = visit_exec,
    [VERB_ATTACH] = visit_exec,
    [VERB_PORT_FORWARD] = visit_port_forward,
};

static void *run_visit(void *arg)
{
    struct visit *visit = arg;
    struct api *api = visit->api;
    struct husk_error err = {0};

    if (husk_pods_open(api->options.pods, &visit->pods, &err))
        visit_error(visit, &err);
    else
        verbs[visit->route.verb](visit);
    pthread_mutex_lock(&api->lock);
    visit->next = api->done;
    api->done = visit;
    pthread_mutex_unlock(&api->lock);
    eventfd_signal(api->done_fd);
    return NULL;
}

void api_collect(struct api *api)
{
    struct visit *visit;

    eventfd_drain(api->done_fd);
    pthread_mutex_lock(&api->lock);
    visit = api->done;
    api->done = NULL;
    pthread_mutex_unlock(&api->lock);
    while (visit) {
        struct visit *next = visit->next;

        pthread_join(visit->thread, NULL);
        free_visit(visit);
        api->visits--;
        visit = next;
    }
}

static char *full_name(const struct route *route, const struct parameters *parameters)
{
    char *name;

    if (!*route->pod || !parameters->space || !strcmp(parameters->space, "default"))
        return strdup(route->pod);
    return asprintf(&name, "%s/%s", parameters->space, route->pod) < 0 ? NULL : name;
}

/* Takes the parameters. 0 or -errno. */
static int begin_visit(struct api *api, struct http_exchange *exchange,
                       const struct http_request *request, const struct route *route,
                       struct parameters *parameters)
{
    struct visit *visit = calloc(1, sizeof(*visit));
    int ret;

    if (!visit)
        return -ENOMEM;
    visit->api = api;
    visit->options = &api->options;
    visit->stop_fd = api->stop_fd;
    visit->exchange = exchange;
    visit->route = *route;
    visit->parameters = *parameters;
    parameters_init(parameters);
    visit->body = request->body;
    visit->body_len = request->body_len;
    visit->wants_upgrade = request->upgrade;
    visit->name = full_name(route, &visit->parameters);
    ret = visit->name ? 0 : -ENOMEM;
    if (!ret)
        ret = thread_start(&visit->thread, "husk-visit", 0, run_visit, visit);
    if (ret)
        free_visit(visit);
    else
        api->visits++;
    return ret;
}

/* ---- requests ---- */

struct reading {
    struct parameters parameters;
    enum verb verb;
    struct husk_error err;
};

static bool take_parameter(void *arg, const char *name, const char *value)
{
    struct reading *reading = arg;

    return !parameters_add(&reading->parameters, reading->verb, name, value, &reading->err);
}

static void refuse_route(int status, const struct http_request *request,
                         struct http_response *response)
{
    char text[256];

    if (status == 405)
        snprintf(text, sizeof(text), "%.16s: this path takes %s", request->method,
                 route_methods(request->path));
    else
        snprintf(text, sizeof(text), "%.128s: there is no such path", request->path);
    make_printable(text);
    answer_failure(response, status, NULL, text);
}

/* What it cannot do now is the answer; else it is done, or a visit. */
static bool refuse(struct api *api, struct http_exchange *exchange,
                   const struct http_request *request, struct route *route, struct reading *reading,
                   struct http_response *response)
{
    int status = route_find(request->method, request->path, route);

    if (status) {
        refuse_route(status, request, response);
        return true;
    }
    reading->verb = route->verb;
    if (!http_parameters(exchange, take_parameter, reading)) {
        if (!reading->err.code)
            error_set(&reading->err, EINVAL, "", "a parameter is not encoded as it should be", "%s",
                      "");
        answer_error(response, route->pod, &reading->err);
        response->status = reading->err.code == ENOMEM ? 500 : 400;
        return true;
    }
    if (answer_at_once(api, route, &reading->parameters, response))
        return true;
    if (api->visits < API_VISITS_MAX)
        return false;
    answer_failure(response, 429, route->pod, "too many requests are being served");
    return true;
}

static void handle(void *arg, struct http_exchange *exchange, const struct http_request *request)
{
    struct api *api = arg;
    struct reading reading = {0};
    struct http_response response;
    struct route route;
    int ret;

    parameters_init(&reading.parameters);
    if (refuse(api, exchange, request, &route, &reading, &response)) {
        answer(api, exchange, &response);
    } else {
        ret = begin_visit(api, exchange, request, &route, &reading.parameters);
        if (ret) {
            answer_failure(&response, 500, route.pod, error_text(-ret));
            answer(api, exchange, &response);
        }
    }
    parameters_free(&reading.parameters);
}

static void refuse_size(void *arg, uint64_t bytes, size_t max_bytes, struct http_response *response)
{
    struct api *api = arg;
    char text[128];

    snprintf(text, sizeof(text), "the body has %llu bytes, and may have %zu",
             (unsigned long long)bytes, max_bytes);
    answer_failure(response, 413, NULL, text);
    metrics_request(api->options.metrics, 413);
}

void api_handler(struct api *api, struct http_handler *out)
{
    *out = (struct http_handler){.arg = api, .handle = handle, .refuse_size = refuse_size};
}
