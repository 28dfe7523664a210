// SPDX-License-Identifier: Apache-2.0
/* The directory of pods as a program sees it, and what the library's calls share: see pods.h. */
#include "pod/lib/pods.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/beside.h"
#include "base/checked.h"
#include "base/error.h"

#define PROGRAM           "husk-pod"
#define OPTIONS_MAX_BYTES 65536u /* of any release to come */
#define DEFAULT_CONTAINER "kubectl.kubernetes.io/default-container"

int pods_take_options(void *out, size_t size, const void *options, struct husk_error *err)
{
    size_t given = 0;

    memset(out, 0, size);
    if (!options)
        return 0;
    memcpy(&given, options, sizeof(given));
    /* A size out of all proportion is no size: nobody initialised the struct. */
    if (given < sizeof(given) || given > OPTIONS_MAX_BYTES)
        return error_set(err, EINVAL, "options", "do not say their size",
                         "initialise them with the _INIT macro");
    for (size_t i = size; i < given; i++) {
        if (((const uint8_t *)options)[i])
            return error_set(err, E2BIG, "options", "are those of a newer release",
                             "this is husk " HUSK_VERSION);
    }
    memcpy(out, options, min_u64(given, size));
    return 0;
}

static int copy_path(char out[PATH_MAX], const char *path, const char *what, struct husk_error *err)
{
    if (snprintf(out, PATH_MAX, "%s", path) >= PATH_MAX)
        return error_set(err, ENAMETOOLONG, path, what, NULL);
    return 0;
}

/* What runs as a supervisor: the one that was given, or of the environment; else the one beside
 * this program; else the installed one. */
static int find_program(struct husk_pods *pods, const char *given, struct husk_error *err)
{
    if (!given)
        given = secure_getenv("HUSK_POD");
    if (given)
        return copy_path(pods->program, given, "cannot be the supervisor's program", err);
    if (!find_beside(PROGRAM, X_OK, pods->program, sizeof(pods->program)))
        snprintf(pods->program, sizeof(pods->program), "%s/%s", HUSK_LIBEXEC_DIR, PROGRAM);
    return 0;
}

static int open_store(struct husk_pods *pods, const char *directory, struct husk_error *err)
{
    char path[PATH_MAX];
    int ret = 0;

    if (!directory) {
        ret = pod_store_default(path, sizeof(path), err);
        directory = path;
    }
    return ret ? ret : pod_store_open(directory, true, &pods->store, err);
}

int husk_pods_open(const struct husk_pods_options *options, struct husk_pods **out,
                   struct husk_error *err)
{
    struct husk_pods_options wants;
    struct husk_pods *pods;
    int ret = pods_take_options(&wants, sizeof(wants), options, err);

    if (ret)
        return ret;
    pods = calloc(1, sizeof(*pods));
    if (!pods)
        return error_set(err, ENOMEM, "", "cannot open the directory of pods", NULL);
    if (wants.images && !realpath(wants.images, pods->images))
        ret = error_set(err, errno, wants.images, "cannot be used as the store of images", NULL);
    if (!ret)
        ret = find_program(pods, wants.program, err);
    if (!ret)
        ret = open_store(pods, wants.directory, err);
    if (ret) {
        husk_pods_close(pods);
        return ret;
    }
    *out = pods;
    return 0;
}

void husk_pods_close(struct husk_pods *pods)
{
    if (!pods)
        return;
    pods_watch_close(pods->watch);
    entry_store_close(pods->store);
    free(pods);
}

int husk_pods_tidy(struct husk_pods *pods, struct husk_error *err)
{
    return pod_store_tidy(pods->store, err);
}

int husk_pods_watch_fd(struct husk_pods *pods)
{
    if (!pods->watch && pods_watch_open(pods->store, &pods->watch))
        pods->watch = NULL;
    return pods->watch ? pods_watch_descriptor(pods->watch) : -1;
}

void husk_pods_watch_clear(struct husk_pods *pods)
{
    if (pods->watch)
        pods_watch_renew(pods->watch, pods->store);
}

void husk_pod_text_free(char *text)
{
    free(text);
}

int pods_text(json_t *value, char **out, struct husk_error *err)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

    json_decref(value);
    if (!text)
        return error_set(err, ENOMEM, "", "cannot describe it", NULL);
    *out = text;
    return 0;
}

/* ---- finding ---- */

int pods_key(const char *name, char key[POD_KEY_BYTES], struct husk_error *err)
{
    const char *slash = strchr(name, '/');
    char space[MANIFEST_NAME_MAX + 1] = "";

    if (slash && (size_t)(slash - name) < sizeof(space))
        memcpy(space, name, (size_t)(slash - name));
    if ((slash && !space[0]) || pod_key_make(space, slash ? slash + 1 : name, key) ||
        !pod_key_valid(key))
        return error_set(err, EINVAL, name, "is no name of a pod",
                         "wants NAME or NAMESPACE/NAME, of lower-case letters, digits and '-'");
    return 0;
}

int pods_find(struct husk_pods *pods, const char *name, struct entry **out, struct husk_error *err)
{
    char key[POD_KEY_BYTES];
    int ret = pods_key(name, key, err);

    if (!ret)
        ret = entry_find(pods->store, key, out, err);
    /* Its own name for it, not that of its directory. */
    return ret == -ENOENT ? error_set(err, ENOENT, name, "is no pod", "`husk pod ps -A` lists all")
                          : ret;
}

static int no_container(const json_t *pod, const char *name, const char *given,
                        struct husk_error *err)
{
    static const char *const lists[] = {"initContainers", "containers"};
    char all[128] = "";

    for (unsigned k = 0; k < ARRAY_SIZE(lists); k++) {
        json_t *one;
        size_t i;

        json_array_foreach(json_object_get(json_object_get(pod, "spec"), lists[k]), i, one)
        {
            size_t len = strlen(all);

            snprintf(all + len, sizeof(all) - len, "%s%s", len ? ", " : "",
                     json_string_value(json_object_get(one, "name")));
        }
    }
    return error_set(err, ENOENT, given, "is no container of the pod", "%s has %s", name, all);
}

static bool has_container(const json_t *list, const char *name)
{
    json_t *one;
    size_t i;

    json_array_foreach((json_t *)list, i, one)
    {
        if (!strcmp(json_string_value(json_object_get(one, "name")), name))
            return true;
    }
    return false;
}

int pods_container(const json_t *pod, const char *name, const char *given,
                   char out[POD_CONTAINER_BYTES], struct husk_error *err)
{
    const json_t *spec = json_object_get(pod, "spec");
    const json_t *containers = json_object_get(spec, "containers");
    const json_t *notes = json_object_get(json_object_get(pod, "metadata"), "annotations");
    const char *wanted = given;

    if (!wanted)
        wanted = json_string_value(json_object_get(notes, DEFAULT_CONTAINER));
    if (!wanted || (!given && !has_container(containers, wanted)))
        wanted = json_string_value(json_object_get(json_array_get(containers, 0), "name"));
    if (!has_container(containers, wanted) &&
        !has_container(json_object_get(spec, "initContainers"), wanted))
        return no_container(pod, name, wanted, err);
    snprintf(out, POD_CONTAINER_BYTES, "%s", wanted);
    return 0;
}

int pods_container_of(const struct entry *pod, const char *name, const char *given,
                      char out[POD_CONTAINER_BYTES], struct husk_error *err)
{
    struct pod_record record = {.uid = ""};
    int ret = pod_load_record(pod, &record, err);

    if (!ret)
        ret = pods_container(record.pod, name, given, out, err);
    pod_record_clear(&record);
    return ret;
}

/* ---- asking ---- */

int pods_connect(const struct entry *pod, const char *name, struct control_client **out,
                 struct husk_error *err)
{
    int fd = entry_connect(pod, err);

    if (fd == -ECONNREFUSED)
        return error_set(err, ESRCH, name, "does not run", "it has ended, or was never started");
    return fd < 0 ? fd : control_client_open(fd, out, err);
}

int pods_ask(struct husk_pods *pods, const char *name, const char *method, json_t *params,
             json_t **result, struct husk_error *err)
{
    struct control_message answer = {.body = NULL};
    struct control_client *client = NULL;
    struct entry *pod = NULL;
    int ret = pods_find(pods, name, &pod, err);

    if (!ret)
        ret = pods_connect(pod, name, &client, err);
    if (ret)
        json_decref(params);
    else
        ret = control_client_call(client, method, params, &answer, err);
    if (!ret && result)
        *result = json_incref(answer.body);
    control_message_clear(&answer);
    control_client_close(client);
    entry_close(pod);
    return ret;
}

int pods_exit_status(const json_t *exit, int *status, struct husk_error *err)
{
    const json_t *number = json_object_get(exit, "status");
    json_int_t value = json_integer_value(number);

    if (!json_is_integer(number) || value < 0 || value > UINT8_MAX)
        return error_set(err, EPROTO, "the pod's supervisor", "cannot be understood",
                         "it does not say how the process ended");
    *status = (int)value;
    return 0;
}
