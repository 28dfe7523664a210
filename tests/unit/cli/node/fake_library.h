// SPDX-License-Identifier: Apache-2.0
/*
 * A library of pods in memory, in the place of libhusk-pod, for the tests of husk-node. Its
 * manifests are lines:
 *
 *     pod NAME SPEC        SPEC is a word; "fixed…" cannot be changed in place
 *     object NAME VALUE
 *
 * and anything else cannot be read. One test, one struct fake; what happened is in fake.calls.
 */
#ifndef HUSK_TESTS_CLI_NODE_FAKE_LIBRARY_H
#define HUSK_TESTS_CLI_NODE_FAKE_LIBRARY_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "husk/pod.h"

#define FAKE_MAX 32

struct fake_pod {
    char name[64], spec[64], notes[3][256];
    char phase[16], reason[32];
    unsigned uid;
    bool is_there, started, stopping;
};

static struct fake {
    pthread_mutex_t lock;
    struct fake_pod pods[FAKE_MAX];
    unsigned uids;
    bool leaves_network;        /* what is removed by force leaves some of its network */
    bool slow_stop;             /* what is stopped ends only when the test says so */
    int fail_create, fail_list; /* positive errno */
    char calls[4096];           /* "create web;start web;" */
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct husk_manifest {
    struct fake_pod pods[FAKE_MAX];
    unsigned count;
    char objects[FAKE_MAX][64];
    unsigned object_count;
};

static const char *const fake_keys[3] = {"kubernetes.io/config.source", "kubernetes.io/config.hash",
                                         "node.husk/manifest"};

static void fake_reset(void)
{
    memset(fake.pods, 0, sizeof(fake.pods));
    fake.uids = 0;
    fake.leaves_network = false;
    fake.slow_stop = false;
    fake.fail_create = fake.fail_list = 0;
    fake.calls[0] = '\0';
}

/* Who watches the pods sees each change. */
static int fake_watch_fd = -1;

static void fake_note(const char *call, const char *name)
{
    size_t len = strlen(fake.calls);

    snprintf(fake.calls + len, sizeof(fake.calls) - len, "%s %s;", call, name);
    if (fake_watch_fd >= 0)
        eventfd_signal(fake_watch_fd);
}

static struct fake_pod *fake_find(const char *name)
{
    for (unsigned i = 0; i < FAKE_MAX; i++) {
        if (fake.pods[i].is_there && !strcmp(fake.pods[i].name, name))
            return &fake.pods[i];
    }
    return NULL;
}

/* ---- manifests ---- */

int husk_manifest_read(const char *name, const void *bytes, size_t len,
                       const struct husk_manifest_options *options, struct husk_manifest **out,
                       struct husk_error *err)
{
    struct husk_manifest *manifest = calloc(1, sizeof(*manifest));
    char text[4096], *rest = NULL;

    snprintf(text, sizeof(text), "%.*s", (int)len, (const char *)bytes);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        struct fake_pod *pod = &manifest->pods[manifest->count];

        if (sscanf(line, "pod %63s %63s", pod->name, pod->spec) == 2) {
            manifest->count++;
        } else if (!strncmp(line, "object ", 7)) {
            snprintf(manifest->objects[manifest->object_count++], 64, "%s", line + 7);
        } else {
            free(manifest);
            return error_set(err, EINVAL, name, "is no manifest", NULL);
        }
    }
    *out = manifest;
    return 0;
}

int husk_manifest_join(struct husk_manifest *manifest, struct husk_manifest *other,
                       struct husk_error *err)
{
    for (unsigned i = 0; i < other->object_count; i++) {
        size_t len = strcspn(other->objects[i], " ");

        for (unsigned j = 0; j < manifest->object_count; j++) {
            if (!strncmp(manifest->objects[j], other->objects[i], len + 1))
                return error_set(err, EEXIST, other->objects[i], "is there twice", NULL);
        }
    }
    for (unsigned i = 0; i < other->object_count; i++)
        memcpy(manifest->objects[manifest->object_count++], other->objects[i], 64);
    other->object_count = 0;
    return 0;
}

unsigned husk_manifest_pods(const struct husk_manifest *manifest)
{
    return manifest->count;
}

const char *husk_manifest_pod_name(const struct husk_manifest *manifest, unsigned index)
{
    return manifest->pods[index].name;
}

char *husk_manifest_pod_json(const struct husk_manifest *manifest, unsigned index)
{
    return strdup(manifest->pods[index].spec);
}

int husk_manifest_pod_objects_json(const struct husk_manifest *manifest, unsigned index,
                                   char **json, struct husk_error *err)
{
    *json = calloc(1, FAKE_MAX * 65);
    for (unsigned i = 0; i < manifest->object_count; i++)
        strcat(strcat(*json, manifest->objects[i]), ";");
    return 0;
}

int husk_manifest_annotate(struct husk_manifest *manifest, unsigned index, const char *key,
                           const char *value, struct husk_error *err)
{
    for (unsigned i = 0; i < 3; i++) {
        if (!strcmp(fake_keys[i], key))
            snprintf(manifest->pods[index].notes[i], 256, "%s", value);
    }
    return 0;
}

void husk_manifest_free(struct husk_manifest *manifest)
{
    free(manifest);
}

/* ---- pods ---- */

int husk_pods_open(const struct husk_pods_options *options, struct husk_pods **out,
                   struct husk_error *err)
{
    *out = (struct husk_pods *)&fake;
    return 0;
}

void husk_pods_close(struct husk_pods *pods)
{
}

void husk_pod_text_free(char *text)
{
    free(text);
}

static void fake_print(FILE *out, const struct fake_pod *pod)
{
    fprintf(out, "{\"metadata\":{\"name\":\"%s\",\"uid\":\"u%u\",\"annotations\":{", pod->name,
            pod->uid);
    for (unsigned i = 0; i < 3; i++)
        fprintf(out, "%s\"%s\":\"%s\"", i ? "," : "", fake_keys[i], pod->notes[i]);
    fprintf(out, "}%s},\"spec\":{\"restartPolicy\":\"Always\"},\"status\":{\"phase\":\"%s\",",
            pod->stopping ? ",\"deletionTimestamp\":\"now\"" : "", pod->phase);
    fprintf(out, "\"reason\":\"%s\"%s}}", pod->reason, pod->started ? ",\"startTime\":\"x\"" : "");
}

int husk_pods_list(struct husk_pods *pods, const char *selector, char **json,
                   struct husk_error *err)
{
    FILE *out;
    size_t len;
    bool first = true;

    if (selector && strchr(selector, '!'))
        return error_set(err, EINVAL, selector, "is no selector", NULL);
    pthread_mutex_lock(&fake.lock);
    if (fake.fail_list) {
        pthread_mutex_unlock(&fake.lock);
        return error_set(err, fake.fail_list, "", "cannot list", NULL);
    }
    out = open_memstream(json, &len);
    fputs("{\"items\":[", out);
    for (unsigned i = 0; i < FAKE_MAX; i++) {
        if (!fake.pods[i].is_there)
            continue;
        fputs(first ? "" : ",", out);
        fake_print(out, &fake.pods[i]);
        first = false;
    }
    fputs("]}", out);
    fclose(out);
    pthread_mutex_unlock(&fake.lock);
    return 0;
}

int husk_pod_get(struct husk_pods *pods, const char *name, char **json, struct husk_error *err)
{
    struct fake_pod *pod;
    size_t len;
    FILE *out;

    pthread_mutex_lock(&fake.lock);
    pod = fake_find(name);
    if (pod) {
        out = open_memstream(json, &len);
        fake_print(out, pod);
        fclose(out);
    }
    pthread_mutex_unlock(&fake.lock);
    return pod ? 0 : error_set(err, ENOENT, name, "there is no such pod", NULL);
}

int husk_pod_create(struct husk_pods *pods, const struct husk_manifest *manifest, unsigned index,
                    const struct husk_pod_create_options *options, struct husk_error *err)
{
    const struct fake_pod *from = &manifest->pods[index];
    int code = EEXIST;

    pthread_mutex_lock(&fake.lock);
    fake_note("create", from->name);
    for (unsigned i = 0; !fake_find(from->name) && i < FAKE_MAX; i++) {
        struct fake_pod *pod = &fake.pods[i];

        if (pod->is_there)
            continue;
        code = fake.fail_create;
        if (code)
            break;
        *pod = *from;
        pod->is_there = true;
        pod->uid = ++fake.uids;
        strcpy(pod->phase, "Pending");
        break;
    }
    pthread_mutex_unlock(&fake.lock);
    return code ? error_set(err, code, from->name, "cannot create the pod", NULL) : 0;
}

int husk_pod_start(struct husk_pods *pods, const char *name,
                   const struct husk_pod_start_options *options, struct husk_error *err)
{
    struct fake_pod *pod;

    pthread_mutex_lock(&fake.lock);
    fake_note("start", name);
    pod = fake_find(name);
    if (pod) {
        strcpy(pod->phase, "Running");
        pod->reason[0] = '\0';
        pod->started = true;
        pod->stopping = false;
    }
    pthread_mutex_unlock(&fake.lock);
    return pod ? 0 : error_set(err, ENOENT, name, "there is no such pod", NULL);
}

int husk_pod_apply(struct husk_pods *pods, const struct husk_manifest *manifest, unsigned index,
                   char **changed, struct husk_error *err)
{
    const struct fake_pod *from = &manifest->pods[index];
    struct fake_pod *pod;
    bool fixed;

    pthread_mutex_lock(&fake.lock);
    fake_note("apply", from->name);
    pod = fake_find(from->name);
    fixed = pod && strcmp(pod->spec, from->spec) != 0 && !strncmp(from->spec, "fixed", 5);
    if (pod && !fixed) {
        strcpy(pod->spec, from->spec);
        memcpy(pod->notes, from->notes, sizeof(pod->notes));
        *changed = strdup("[]");
    }
    pthread_mutex_unlock(&fake.lock);
    if (!pod)
        return error_set(err, ENOENT, from->name, "there is no such pod", NULL);
    return fixed ? error_set(err, EEXIST, "spec", "cannot be changed", NULL) : 0;
}

int husk_pod_stop(struct husk_pods *pods, const char *name, int64_t grace_seconds,
                  struct husk_error *err)
{
    struct fake_pod *pod;

    pthread_mutex_lock(&fake.lock);
    fake_note("stop", name);
    pod = fake_find(name);
    if (pod && !fake.slow_stop)
        strcpy(pod->phase, "Succeeded");
    pthread_mutex_unlock(&fake.lock);
    return pod ? 0 : error_set(err, ENOENT, name, "there is no such pod", NULL);
}

int husk_pod_remove(struct husk_pods *pods, const char *name, bool force, struct husk_error *err)
{
    struct fake_pod *pod;
    bool busy;

    pthread_mutex_lock(&fake.lock);
    pod = fake_find(name);
    busy = pod && !force && !strcmp(pod->phase, "Running");
    if (pod && !busy) {
        fake_note("remove", name);
        pod->is_there = false;
    }
    pthread_mutex_unlock(&fake.lock);
    if (!pod)
        return error_set(err, ENOENT, name, "there is no such pod", NULL);
    return busy ? error_set(err, EBUSY, name, "the pod runs", NULL) : 0;
}

int husk_pod_remove_by_force(struct husk_pods *pods, const char *name, char **left,
                             struct husk_error *err)
{
    *left = fake.leaves_network ? strdup("some of its network is left") : NULL;
    return husk_pod_remove(pods, name, true, err);
}

#endif
