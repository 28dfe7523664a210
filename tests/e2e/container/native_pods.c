// SPDX-License-Identifier: Apache-2.0
/* Pods for tests: see native_pods.h. */
#include "tests/e2e/container/native_pods.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/control/client.h"
#include "pod/pods/pods.h"

static int complain(const struct husk_error *error)
{
    char text[512];

    fprintf(stderr, "husk-native: %s\n", error_format(error, text, sizeof(text)));
    return 1;
}

static int read_record(const char *file, struct pod_record *out, struct husk_error *err)
{
    char *bytes;
    size_t len;
    int ret = read_file_at(AT_FDCWD, file, POD_RECORD_MAX, &bytes, &len);

    if (ret)
        return error_set(err, -ret, file, "cannot be read", NULL);
    ret = pod_record_decode(bytes, len, file, out, err);
    free(bytes);
    return ret;
}

static int create(struct entry_store *store, const char *file, struct husk_error *err)
{
    struct pod_record record;
    int ret = read_record(file, &record, err);

    if (ret == 0) {
        ret = pod_create(store, &record, NULL, err);
        pod_record_clear(&record);
    }
    return ret;
}

static int start(struct entry_store *store, struct entry *pod, bool remove, struct husk_error *err)
{
    struct control_client *client = NULL;
    int ret = pod_start(store, pod, remove, NULL, err);

    if (ret >= 0)
        ret = control_client_open(ret, &client, err);
    control_client_close(client);
    return ret;
}

static int show(struct entry *pod, struct husk_error *err)
{
    struct pod_state state;
    json_t *json;
    int ret = pod_load_state(pod, &state, err);

    if (ret)
        return ret;
    json = pod_state_encode(&state);
    json_object_set_new(json, "alive", json_boolean(entry_alive(pod)));
    json_dumpf(json, stdout, JSON_COMPACT);
    json_decref(json);
    pod_state_clear(&state);
    return 0;
}

static int prepare(struct entry *pod, const char *file, struct husk_error *err)
{
    struct pod_record record;
    char name[POD_APPLY_BYTES];
    int ret = read_record(file, &record, err);

    if (ret)
        return ret;
    ret = pod_apply_prepare(pod, &record, name, err);
    if (ret == 0)
        puts(name);
    pod_record_clear(&record);
    return ret;
}

static int on_one(struct entry_store *store, int argc, char *const argv[], struct husk_error *err)
{
    const char *verb = argv[1] + strlen("pod-");
    struct entry *pod = NULL;
    int ret = entry_find(store, argv[3], &pod, err);

    if (ret)
        return ret;
    if (!strcmp(verb, "start"))
        ret = start(store, pod, argc == 5, err);
    else if (!strcmp(verb, "state"))
        ret = show(pod, err);
    else if (!strcmp(verb, "remove"))
        ret = pod_remove(store, pod, NULL, err);
    else if (!strcmp(verb, "apply") && argc == 5)
        ret = prepare(pod, argv[4], err);
    else
        ret = error_set(err, EINVAL, argv[1], "is no verb", NULL);
    entry_close(pod);
    return ret;
}

int native_pods(int argc, char *const argv[])
{
    struct entry_store *store = NULL;
    struct husk_error error;
    int ret = pod_store_open(argv[2], true, &store, &error);

    if (ret == 0 && !strcmp(argv[1], "pod-tidy"))
        ret = pod_store_tidy(store, &error);
    else if (ret == 0 && argc < 4)
        ret = error_set(&error, EINVAL, argv[1], "is no verb", NULL);
    else if (ret == 0 && !strcmp(argv[1], "pod-create"))
        ret = create(store, argv[3], &error);
    else if (ret == 0)
        ret = on_one(store, argc, argv, &error);
    entry_store_close(store);
    return ret ? complain(&error) : 0;
}
