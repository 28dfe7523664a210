// SPDX-License-Identifier: Apache-2.0
/*
 * husk pod apply: what the manifests say becomes so. A pod that is not there is made and started;
 * one that differs is changed in place where that can be done; pods of a Deployment that are too
 * many are removed. Each pod is tried whatever becomes of the others.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/pods/making.h"

struct apply {
    struct making_options options;
    bool force;
    struct making making;
};

#define AT(member) offsetof(struct apply, member)

static const struct pod_option options[] = {
    {'f', "filename", true, pod_add_text, AT(options.files)},
    {0, "network", true, pod_set_text, AT(options.network)},
    {0, "guest-kernel", true, pod_set_text, AT(options.kernel)},
    {0, "lenient", false, pod_set_flag, AT(options.lenient)},
    {0, "dry-run", false, pod_set_flag, AT(options.dry_run)},
    {0, "force", false, pod_set_flag, AT(force)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax syntax = {
    .command = "pod apply",
    .help =
        "husk pod apply [OPTION...] FILE...\n"
        "\n"
        "Make it so as the manifests say (- is standard input), and print what was done: create\n"
        "and start pods that are not there, change others in place where that can be done, and\n"
        "remove pods of a Deployment beyond its replicas.\n"
        "\n"
        "  -f, --filename FILE    one more file\n"
        "      --force            replace pods of which something cannot be changed in place\n"
        "      --network, --guest-kernel\n"
        "                         of pods that are created, as for `husk pod run`\n"
        "      --lenient          warn of fields that are not known or supported, and go "
        "on\n"
        "      --dry-run          check the manifests, and do nothing\n" STATUSES_TEXT,
    .wants = "the files of manifests",
    .most = UINT16_MAX,
    .options = options,
};

static int create(struct apply *apply, unsigned index, const char *done, struct husk_error *err)
{
    const char *name = husk_manifest_pod_name(apply->making.manifest, index);
    int ret = making_create(&apply->making, index, err);

    if (!ret) {
        ret = making_start(&apply->making, name, err);
        if (ret)
            husk_pod_remove(apply->making.pods, name, true, NULL);
    }
    if (!ret)
        printf("pod/%s %s\n", name, done);
    return ret;
}

/* What differs and cannot be changed: what to do is said, or done. */
static int replace(struct apply *apply, unsigned index, struct husk_error *err)
{
    const char *name = husk_manifest_pod_name(apply->making.manifest, index);
    int ret;

    if (!apply->force) {
        struct husk_error why = *err;

        return error_set(err, EEXIST, name, "cannot be changed so while it runs",
                         "%s; stop it first, or replace it with --force", why.where);
    }
    ret = pods_remove_by_force(apply->making.pods, name, err);
    return ret ? ret : create(apply, index, "replaced", err);
}

/* "pod/NAME configured (FIELD, FIELD)" */
static int print_changes(const char *name, const char *text)
{
    json_t *fields = json_loads(text, 0, NULL), *field;
    size_t i;

    if (!fields)
        return -ENOMEM;
    printf("pod/%s %s", name, json_array_size(fields) ? "configured (" : "unchanged");
    json_array_foreach(fields, i, field)
    {
        printf("%s%s", i ? ", " : "", json_string_value(field));
    }
    puts(json_array_size(fields) ? ")" : "");
    json_decref(fields);
    return 0;
}

static int apply_one(struct apply *apply, unsigned index, struct husk_error *err)
{
    struct making *making = &apply->making;
    const char *name = husk_manifest_pod_name(making->manifest, index);
    char *changed = NULL;
    int ret = husk_pod_apply(making->pods, making->manifest, index, &changed, err);

    if (ret == -ENOENT && !strcmp(err->where, name))
        return create(apply, index, "created", err);
    if (ret == -EEXIST)
        return replace(apply, index, err);
    if (!ret && print_changes(name, changed))
        ret = error_set(err, ENOMEM, name, "what was changed cannot be said", NULL);
    husk_pod_text_free(changed);
    return ret;
}

/* ---- Deployments ---- */

static bool is_wanted(const struct husk_manifest *manifest, const char *name)
{
    for (unsigned i = 0; i < husk_manifest_pods(manifest); i++) {
        if (!strcmp(husk_manifest_pod_name(manifest, i), name))
            return true;
    }
    return false;
}

/* Whether the manifests have the Deployment that the pod is of. */
static bool is_owned(const struct husk_manifest *manifest, const json_t *pod)
{
    const json_t *metadata = json_object_get(pod, "metadata");
    const json_t *owner = json_array_get(json_object_get(metadata, "ownerReferences"), 0);
    const char *kind = json_string_value(json_object_get(owner, "kind"));
    const char *name = json_string_value(json_object_get(owner, "name"));
    const char *space = json_string_value(json_object_get(metadata, "namespace"));
    bool spaced = space && strcmp(space, "default") != 0;
    bool owned = false;
    char *full;

    if (!kind || !name || strcmp(kind, "Deployment") != 0 ||
        asprintf(&full, "%s%s%s", spaced ? space : "", spaced ? "/" : "", name) < 0)
        return false;
    for (unsigned i = 0; i < husk_manifest_deployments(manifest); i++)
        owned |= !strcmp(husk_manifest_deployment_name(manifest, i), full);
    free(full);
    return owned;
}

static int scale_down(struct apply *apply, const json_t *pod, struct husk_error *err)
{
    const struct making *making = &apply->making;
    char *name = pods_name_of(pod);
    int ret = 0;

    if (!name)
        return error_set(err, ENOMEM, "", "cannot look at the pods", NULL);
    if (is_owned(making->manifest, pod) && !is_wanted(making->manifest, name)) {
        ret = husk_pod_stop(making->pods, name, -1, err);
        if (!ret && json_object_get(json_object_get(pod, "status"), "startTime"))
            ret = husk_pod_wait(making->pods, name, HUSK_POD_ENDED, -1, err);
        if (!ret)
            ret = pods_remove_by_force(making->pods, name, err);
        if (!ret || ret == -ENOENT)
            printf("pod/%s removed\n", name);
    }
    free(name);
    return ret == -ENOENT ? 0 : ret;
}

static int scale_all_down(struct apply *apply)
{
    struct husk_error err = {0};
    json_t *list = NULL, *pod;
    int status = STATUS_OK;
    size_t i;

    if (!husk_manifest_deployments(apply->making.manifest))
        return STATUS_OK;
    if (pods_list(apply->making.pods, NULL, &list, &err)) {
        cli_error(&err);
        return STATUS_MONITOR_ERROR;
    }
    json_array_foreach(json_object_get(list, "items"), i, pod)
    {
        if (scale_down(apply, pod, &err)) {
            cli_error(&err);
            status = STATUS_MONITOR_ERROR;
        }
    }
    json_decref(list);
    return status;
}

static int apply_all(struct apply *apply, char **files, unsigned count)
{
    int down, status = making_begin(&apply->making, &syntax, &apply->options, files, count);

    if (status)
        return status;
    for (unsigned i = 0; i < husk_manifest_pods(apply->making.manifest); i++) {
        struct husk_error err = {0};

        if (apply_one(apply, i, &err)) {
            cli_error(&err);
            status = STATUS_MONITOR_ERROR;
        }
        fflush(stdout);
    }
    down = scale_all_down(apply);
    return status ? status : down;
}

int verb_apply(int argc, char **argv)
{
    struct apply apply = {.making = {.signals = -1}};
    char **words;
    unsigned count;
    int status = pod_options_parse(&syntax, &apply, argc, argv, &words, &count);

    if (!status && apply.options.dry_run)
        status = making_check(&syntax, &apply.options, words, count);
    else if (!status)
        status = apply_all(&apply, words, count);
    making_end(&apply.making);
    pod_list_release(&apply.options.files);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}
