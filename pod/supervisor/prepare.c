// SPDX-License-Identifier: Apache-2.0
/*
 * What is asked of the agent before the program can start, one request after the other: the pod,
 * volumes, files, the container itself, and then connections to its streams. See supervisor.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pod/supervisor/supervisor.h"

/* A guest may still be looking for its disks. */
#define DISK_AGAIN_NS  (20 * MS_NS)
#define DISK_TRIES_MAX 500u

#define STREAM_TIMEOUT_MS 30000u

struct stream_dial {
    struct supervisor *s;
    enum hub_stream stream;
    struct agent_dial *dial;
};

struct prepare {
    json_t *requests; /* {"method", "params"} */
    size_t next;
    unsigned tries; /* of this request */
    struct event_timer *again;
    struct stream_dial dials[HUB_STREAMS];
    unsigned dialing;
};

static void ask_next(struct supervisor *s);

/* ---- streams ---- */

static void on_stream(void *arg, int fd, const struct agent_hello *hello,
                      const struct husk_error *error)
{
    struct stream_dial *dial = arg;
    struct supervisor *s = dial->s;

    (void)hello;
    dial->dial = NULL;
    s->prepare->dialing--;
    if (error) {
        life_fail(s, error, STATUS_HUSK);
        return;
    }
    hub_connect(s->hub, dial->stream, fd);
    if (s->prepare->dialing == 0)
        life_prepared(s);
}

static int dial_stream(struct supervisor *s, enum hub_stream stream)
{
    struct stream_dial *dial = &s->prepare->dials[stream];
    int ret;

    dial->s = s;
    dial->stream = stream;
    ret =
        agent_stream_open(s->loop, s->ops->connector(s->machine), s->record.name, "init",
                          hub_stream_name(stream), STREAM_TIMEOUT_MS, on_stream, dial, &dial->dial);
    if (ret == 0)
        s->prepare->dialing++;
    return ret;
}

static void dial_streams(struct supervisor *s)
{
    struct husk_error error;
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < HUB_STREAMS; i++) {
        if (hub_has(s->hub, i))
            ret = dial_stream(s, i);
    }
    if (ret) {
        error_set(&error, -ret, s->record.name, "has streams that cannot be reached", NULL);
        life_fail(s, &error, STATUS_HUSK);
    }
}

/* ---- requests ---- */

static void on_again(void *arg)
{
    ask_next(arg);
}

static void on_answer(void *arg, const json_t *result, const struct husk_error *error)
{
    struct supervisor *s = arg;
    struct prepare *prepare = s->prepare;
    const json_t *request = json_array_get(prepare->requests, prepare->next);

    (void)result;
    if (s->phase != PHASE_PREPARING)
        return;
    if (error && error->code == ENOENT && prepare->tries++ < DISK_TRIES_MAX &&
        json_object_get(json_object_get(request, "params"), "disk")) {
        event_timer_arm(prepare->again, DISK_AGAIN_NS);
        return;
    }
    if (error) {
        life_fail(s, error, STATUS_HUSK);
        return;
    }
    prepare->tries = 0;
    prepare->next++;
    ask_next(s);
}

static void ask_next(struct supervisor *s)
{
    struct prepare *prepare = s->prepare;
    const json_t *request = json_array_get(prepare->requests, prepare->next);
    struct husk_error error;

    if (s->phase != PHASE_PREPARING)
        return;
    if (!request)
        dial_streams(s);
    else if (agent_client_call(s->agent, json_string_value(json_object_get(request, "method")),
                               json_incref(json_object_get(request, "params")),
                               AGENT_CLIENT_TIMEOUT_MS, on_answer, s, &error))
        life_fail(s, &error, STATUS_HUSK);
}

/* Steals params; NULL is no memory. */
static int add(struct prepare *prepare, const char *method, json_t *params)
{
    return params && json_array_append_new(
                         prepare->requests,
                         json_pack("{s:s, s:o}", "method", method, "params", params)) == 0
               ? 0
               : -ENOMEM;
}

static int add_volumes(struct prepare *prepare, const struct spec *spec)
{
    int ret = 0;

    /* Disks are in the machine's plan: it knows their serial numbers. Files are copied into the
     * root. */
    for (unsigned i = 0; ret == 0 && i < spec->volume_count; i++) {
        if (spec->volumes[i].kind == SPEC_VOLUME_DIRECTORY ||
            spec->volumes[i].kind == SPEC_VOLUME_ANONYMOUS)
            ret = add(
                prepare, "volume.add",
                json_pack("{s:s, s:s}", "volume", spec->volumes[i].name, "directory", "scratch"));
    }
    return ret;
}

static int add_files(struct prepare *prepare, const struct spec *spec)
{
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < SPEC_FILES; i++) {
        if (spec->files[i].text)
            ret = add(
                prepare, "file.write",
                json_pack("{s:s, s:s}", "file", spec->files[i].name, "data", spec->files[i].text));
    }
    return ret;
}

/* Whether something is copied in before the start. */
static bool has_copies(const struct spec *spec)
{
    for (unsigned i = 0; i < spec->volume_count; i++) {
        if (spec->volumes[i].kind == SPEC_VOLUME_DIRECTORY ||
            spec->volumes[i].kind == SPEC_VOLUME_FILE)
            return true;
    }
    return false;
}

static int add_create(struct supervisor *s)
{
    json_t *params =
        json_pack("{s:s, s:O, s:b}", "container", s->record.name, "config", s->spec.config, "stdin",
                  (int)(s->record.stdin_mode != CONTAINER_STDIN_NONE));
    json_t *fill = json_array();
    int ret = params && fill ? 0 : -ENOMEM;

    if (ret == 0 && s->plan.rootfs)
        ret = json_object_set(params, "rootfs", json_array_get(s->plan.rootfs, 0));
    if (ret == 0 && s->spec.user[0])
        ret = json_object_set_new(params, "user", json_string(s->spec.user));
    for (unsigned i = 0; ret == 0 && i < s->spec.volume_count; i++) {
        if (s->spec.volumes[i].fill)
            ret = json_array_append_new(fill, json_string(s->spec.volumes[i].name));
    }
    if (ret == 0 && json_array_size(fill))
        ret = json_object_set(params, "fill", fill);
    json_decref(fill);
    if (ret == 0 && s->spec.init)
        ret = json_object_set_new(params, "init", json_true());
    if (ret == 0 && has_copies(&s->spec))
        ret = json_object_set_new(params, "seal", json_true());
    if (ret) {
        json_decref(params);
        return -ENOMEM;
    }
    return add(s->prepare, "create", params);
}

static int add_all(struct supervisor *s)
{
    struct prepare *prepare = s->prepare;
    int ret = 0;

    if (s->spec.pod)
        ret = add(prepare, "pod.set", json_incref(s->spec.pod));
    if (ret == 0 && s->plan.requests && json_array_extend(prepare->requests, s->plan.requests))
        ret = -ENOMEM;
    if (ret == 0)
        ret = add_volumes(prepare, &s->spec);
    if (ret == 0)
        ret = add_files(prepare, &s->spec);
    return ret ? ret : add_create(s);
}

int prepare_begin(struct supervisor *s)
{
    int ret;

    s->prepare = calloc(1, sizeof(*s->prepare));
    if (!s->prepare)
        return -ENOMEM;
    s->mounted = true;
    s->prepare->requests = json_array();
    ret = event_loop_add_timer(s->loop, on_again, s, &s->prepare->again);
    if (ret == 0)
        ret = s->prepare->requests ? add_all(s) : -ENOMEM;
    if (ret == 0)
        ask_next(s);
    return ret;
}

void prepare_destroy(struct supervisor *s)
{
    if (!s->prepare)
        return;
    for (unsigned i = 0; i < HUB_STREAMS; i++)
        agent_dial_cancel(s->prepare->dials[i].dial);
    event_timer_remove(s->prepare->again);
    json_decref(s->prepare->requests);
    free(s->prepare);
    s->prepare = NULL;
}
