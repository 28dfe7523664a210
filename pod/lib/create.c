// SPDX-License-Identifier: Apache-2.0
/* A pod's record, made of a manifest. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "pod/lib/publish.h"
#include "pod/lib/pods.h"
#include "pod/network/network.h"

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int pods_check_index(const struct husk_manifest *manifest, unsigned index, struct husk_error *err)
{
    if (index < husk_manifest_pods(manifest))
        return 0;
    return error_set(err, EINVAL, "index", "is not of the manifest", "it has %u pods",
                     husk_manifest_pods(manifest));
}

/* The Pod object, with what is to be published; ours alone then. */
static int fill_pod(const json_t *pod, const struct husk_pod_create_options *wants,
                    struct pod_record *record, struct husk_error *err)
{
    int ret = 0;

    record->pod = wants->publish_count ? json_deep_copy(pod) : json_incref((json_t *)pod);
    if (!record->pod)
        return error_set(err, ENOMEM, "", "cannot describe the pod", NULL);
    for (unsigned i = 0; !ret && i < wants->publish_count; i++)
        ret = publish_port(record->pod, wants->publish[i], err);
    /* Each is right by itself; together they may want one port twice. */
    return ret || !wants->publish_count ? ret : manifest_check_pod(record->pod, "publish", err);
}

static int fill_options(const struct husk_pod_create_options *wants, struct pod_record *record,
                        struct husk_error *err)
{
    int ret = 0;

    if (!wants->network) {
        ret = pod_network_default_mode(record->network, sizeof(record->network), err);
    } else {
        ret = pod_network_check_mode(wants->network, err);
        if (!ret && snprintf(record->network, sizeof(record->network), "%s", wants->network) >=
                        (int)sizeof(record->network))
            ret = error_set(err, ENAMETOOLONG, wants->network, "is no network", NULL);
    }
    if (!ret && wants->kernel && !realpath(wants->kernel, record->kernel))
        ret = error_set(err, errno, wants->kernel, "cannot be used as the machine's kernel", NULL);
    return ret;
}

static int fill(const struct husk_manifest *manifest, unsigned index,
                const struct husk_pod_create_options *wants, struct pod_record *record,
                struct husk_error *err)
{
    const json_t *pod = manifest_pod(manifest, index);
    const char *name = husk_manifest_pod_name(manifest, index);
    int ret = pods_key(name, record->key, err);

    if (!ret) {
        ret = pod_uid_new(record->uid);
        if (ret)
            error_set(err, -ret, "", "cannot get random numbers for a uid", NULL);
    }
    record->created_ns = now_ns();
    if (!ret)
        ret = manifest_objects(manifest, index, &record->objects, err);
    if (!ret)
        ret = fill_pod(pod, wants, record, err);
    return ret ? ret : fill_options(wants, record, err);
}

/* Records it in `pods`; with NULL only looks whether that could be. */
static int make(struct husk_pods *pods, const struct husk_manifest *manifest, unsigned index,
                const struct husk_pod_create_options *options, struct husk_error *err)
{
    struct husk_pod_create_options wants;
    struct pod_record *record;
    int ret = pods_take_options(&wants, sizeof(wants), options, err);

    if (!ret)
        ret = pods_check_index(manifest, index, err);
    if (ret)
        return ret;
    record = calloc(1, sizeof(*record));
    if (!record)
        return error_set(err, ENOMEM, "", "cannot describe the pod", NULL);
    ret = fill(manifest, index, &wants, record, err);
    if (!ret && pods) {
        memcpy(record->store, pods->images, sizeof(record->store));
        ret = pod_create(pods->store, record, NULL, err);
    }
    pod_record_clear(record);
    free(record);
    return ret;
}

int husk_pod_check(const struct husk_manifest *manifest, unsigned index,
                   const struct husk_pod_create_options *options, struct husk_error *err)
{
    return make(NULL, manifest, index, options, err);
}

int husk_pod_create(struct husk_pods *pods, const struct husk_manifest *manifest, unsigned index,
                    const struct husk_pod_create_options *options, struct husk_error *err)
{
    return make(pods, manifest, index, options, err);
}
