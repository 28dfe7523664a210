// SPDX-License-Identifier: Apache-2.0
/* The verbs that look at pods, and change them. A pod that a manifest keeps is changed by changing
 * the manifest only: whatever else was done to it, the next round would undo. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/node/observed.h"
#include "cli/node/visit.h"

#define END_PATIENCE_MS 60000 /* behind a pod's own grace */
#define GRACE_MS        30000 /* Kubernetes' default */

/* The library's text as an answer. */
static void answer_library(struct visit *visit, int status, char *text)
{
    struct http_response response;

    answer_json(&response, status, strdup(text));
    husk_pod_text_free(text);
    visit_answer(visit, &response);
}

static void answer_pod(struct visit *visit, const char *name, int status)
{
    struct husk_error err = {0};
    char *text;

    if (husk_pod_get(visit->pods, name, &text, &err))
        visit_error(visit, &err);
    else
        answer_library(visit, status, text);
}

/* Whether a manifest keeps the pod; then `file` is its name. 0, or -errno with err: there is no
 * such pod. */
static int find_keeper(struct visit *visit, const char *name, char file[256],
                       struct husk_error *err)
{
    struct observed observed = {0};
    char *text, *list;
    int ret = husk_pod_get(visit->pods, name, &text, err);

    file[0] = '\0';
    if (ret)
        return ret;
    if (asprintf(&list, "{\"items\":[%s]}", text) < 0)
        ret = error_set(err, ENOMEM, name, "cannot look at the pod", NULL);
    husk_pod_text_free(text);
    if (ret)
        return ret;
    ret = observed_parse(list, visit->options->directory, &observed, err);
    if (!ret && observed.pods[0].file)
        snprintf(file, 256, "%s", observed.pods[0].file);
    observed_free(&observed);
    free(list);
    return ret;
}

/* Whether it may be changed over HTTP; else that is the answer. */
static bool may_change(struct visit *visit)
{
    struct husk_error err = {0};
    char file[256], text[512];

    if (find_keeper(visit, visit->name, file, &err)) {
        visit_error(visit, &err);
        return false;
    }
    if (!*file)
        return true;
    snprintf(text, sizeof(text), "the pod is kept as %s describes it: change that file", file);
    visit_refuse(visit, 409, text);
    return false;
}

void visit_list(struct visit *visit)
{
    struct husk_error err = {0};
    char *text;

    if (husk_pods_list(visit->pods, visit->parameters.label_selector, &text, &err))
        visit_error(visit, &err);
    else
        answer_library(visit, 200, text);
}

void visit_get(struct visit *visit)
{
    answer_pod(visit, visit->name, 200);
}

void visit_stats(struct visit *visit)
{
    struct husk_error err = {0};
    char *text;

    if (husk_pod_stats(visit->pods, visit->name, &text, &err))
        visit_error(visit, &err);
    else
        answer_library(visit, 200, text);
}

void visit_start(struct visit *visit)
{
    struct husk_error err = {0};

    if (!may_change(visit))
        return;
    if (husk_pod_start(visit->pods, visit->name, NULL, &err))
        visit_error(visit, &err);
    else
        answer_pod(visit, visit->name, 202);
}

void visit_stop(struct visit *visit)
{
    struct husk_error err = {0};

    if (!may_change(visit))
        return;
    if (husk_pod_stop(visit->pods, visit->name, visit->parameters.grace_seconds, &err))
        visit_error(visit, &err);
    else
        answer_pod(visit, visit->name, 202);
}

/* Gently, unless the grace is 0. */
static int end_and_remove(struct visit *visit, char **left, struct husk_error *err)
{
    int64_t grace_s = visit->parameters.grace_seconds;
    int ret = grace_s == 0 ? husk_pod_remove_by_force(visit->pods, visit->name, left, err)
                           : husk_pod_remove(visit->pods, visit->name, false, err);

    if (ret != -EBUSY)
        return ret;
    ret = husk_pod_stop(visit->pods, visit->name, grace_s, err);
    if (!ret)
        ret = husk_pod_wait(visit->pods, visit->name, HUSK_POD_ENDED,
                            (grace_s < 0 ? GRACE_MS : grace_s * 1000) + END_PATIENCE_MS, err);
    return ret ? ret : husk_pod_remove(visit->pods, visit->name, false, err);
}

void visit_delete(struct visit *visit)
{
    struct http_response response;
    struct husk_error err = {0};
    char *left = NULL;

    if (!may_change(visit))
        return;
    if (end_and_remove(visit, &left, &err)) {
        visit_error(visit, &err);
        return;
    }
    answer_success(&response, visit->name, left ? left : "");
    husk_pod_text_free(left);
    visit_answer(visit, &response);
}

/* ---- manifests ---- */

/* Made and started, or nothing. */
static int create(struct visit *visit, const struct husk_manifest *manifest, unsigned index,
                  const char *name, struct husk_error *err)
{
    struct husk_pod_create_options options = *visit->options->create;
    int ret;

    if (visit->parameters.network)
        options.network = visit->parameters.network;
    ret = husk_pod_create(visit->pods, manifest, index, &options, err);
    if (ret)
        return ret;
    ret = husk_pod_start(visit->pods, name, NULL, err);
    if (ret)
        husk_pod_remove(visit->pods, name, true, NULL);
    return ret;
}

static int apply_one(struct visit *visit, const struct husk_manifest *manifest, unsigned index,
                     struct husk_error *err)
{
    const char *name = husk_manifest_pod_name(manifest, index);
    char file[256], *changed = NULL;
    int ret = find_keeper(visit, name, file, err);

    if (ret == -ENOENT)
        return create(visit, manifest, index, name, err);
    if (ret)
        return ret;
    if (*file)
        return error_set(err, EEXIST, name, "cannot change the pod",
                         "it is kept as %s describes it: change that file", file);
    ret = husk_pod_apply(visit->pods, manifest, index, &changed, err);
    husk_pod_text_free(changed);
    return ret;
}

/* Those before it stay as they are now; the answer says which. */
static void refuse_apply(struct visit *visit, const struct husk_manifest *manifest, unsigned index,
                         const struct husk_error *err)
{
    struct http_response response;
    char why[640], *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out) {
        visit_error(visit, err);
        return;
    }
    fputs(error_format(err, why, sizeof(why)), out);
    for (unsigned i = 0; i < index; i++)
        fprintf(out, "%s%s",
                i ? ", " : "; applied before it: ", husk_manifest_pod_name(manifest, i));
    if (fclose(out)) {
        free(text);
        visit_error(visit, err);
        return;
    }
    answer_failure(&response, answer_status(err->code), husk_manifest_pod_name(manifest, index),
                   text);
    free(text);
    visit_answer(visit, &response);
}

static void answer_applied(struct visit *visit, const struct husk_manifest *manifest)
{
    struct http_response response;
    struct husk_error err = {0};
    char *text = NULL, *pod;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out) {
        visit_refuse(visit, 500, error_text(ENOMEM));
        return;
    }
    fputs("{\"apiVersion\":\"v1\",\"kind\":\"PodList\",\"metadata\":{},\"items\":[", out);
    for (unsigned i = 0; i < husk_manifest_pods(manifest); i++) {
        if (husk_pod_get(visit->pods, husk_manifest_pod_name(manifest, i), &pod, &err))
            break; /* it has been removed meanwhile */
        fprintf(out, "%s%s", i ? "," : "", pod);
        husk_pod_text_free(pod);
    }
    fputs("]}", out);
    if (fclose(out) || err.code) {
        free(text);
        error_set(err.code ? NULL : &err, ENOMEM, "", "cannot list the pods", NULL);
        visit_error(visit, &err);
        return;
    }
    answer_json(&response, 200, text);
    visit_answer(visit, &response);
}

void visit_apply(struct visit *visit)
{
    struct husk_manifest_options options = HUSK_MANIFEST_OPTIONS_INIT;
    struct husk_manifest *manifest = NULL;
    struct husk_error err = {0};
    unsigned index = 0, count;

    options.lenient = visit->parameters.lenient;
    if (husk_manifest_read("body", visit->body ? visit->body : "", visit->body_len, &options,
                           &manifest, &err)) {
        visit_error(visit, &err);
        return;
    }
    count = husk_manifest_pods(manifest);
    while (index < count && !apply_one(visit, manifest, index, &err))
        index++;
    if (!count)
        visit_refuse(visit, 422, "body: there is no pod in it");
    else if (index < count)
        refuse_apply(visit, manifest, index, &err);
    else
        answer_applied(visit, manifest);
    husk_manifest_free(manifest);
}

/* ---- metrics ---- */

/* Pods that do not run have no usage; those that do not answer have none, either. */
static size_t ask_usage(struct visit *visit, const struct observed *observed,
                        struct pod_usage *usage)
{
    size_t count = 0;

    for (size_t i = 0; i < observed->count; i++) {
        const char *name = observed->pods[i].name;
        char *text;

        if (observed->pods[i].phase != PHASE_RUNNING ||
            husk_pod_stats(visit->pods, name, &text, NULL))
            continue;
        usage[count].name = name;
        if (usage_parse(text, &usage[count]))
            count++;
        husk_pod_text_free(text);
    }
    return count;
}

void visit_metrics(struct visit *visit)
{
    struct observed observed = {0};
    struct http_response response;
    struct husk_error err = {0};
    struct pod_usage *usage = NULL;
    char *list = NULL;
    int ret = husk_pods_list(visit->pods, NULL, &list, &err);

    if (!ret)
        ret = observed_parse(list, visit->options->directory, &observed, &err);
    if (!ret) {
        usage = calloc(observed.count + 1, sizeof(*usage));
        if (!usage)
            error_set(&err, ENOMEM, "", "cannot ask the pods", NULL);
    }
    if (ret || !usage) {
        visit_error(visit, &err);
    } else {
        answer_text(&response,
                    metrics_format(visit->options->metrics, &observed, usage,
                                   ask_usage(visit, &observed, usage)),
                    "text/plain; version=0.0.4; charset=utf-8");
        visit_answer(visit, &response);
    }
    husk_pod_text_free(list);
    observed_free(&observed);
    free(usage);
}
