// SPDX-License-Identifier: Apache-2.0
/* Pods of manifests: see making.h. */
#include "cli/pods/making.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "cli/pods/status.h"

#define LOOK_MS 1000 /* how often a pod is looked at even when nothing seems to change */

static int load(struct husk_manifest **out, const struct pod_syntax *syntax,
                const struct making_options *options, char **files, unsigned count)
{
    if (!count && !options->files.count)
        return pod_usage(syntax, "wants the files of manifests, or - for standard input");
    *out = pods_load(files, count, &options->files, options->lenient);
    if (!*out)
        return STATUS_MONITOR_ERROR;
    if (options->publish.count && husk_manifest_pods(*out) != 1)
        return pod_usage(syntax, "--publish: wants manifests of one pod, not of %u",
                         husk_manifest_pods(*out));
    return 0;
}

static struct husk_pod_create_options create_options(const struct making_options *wants)
{
    struct husk_pod_create_options options = HUSK_POD_CREATE_OPTIONS_INIT;

    options.network = wants->network;
    options.kernel = wants->kernel;
    options.publish = wants->publish.items;
    options.publish_count = wants->publish.count;
    return options;
}

/* Also that each can be made: before an image is pulled for one that cannot. */
static int load_and_check(struct husk_manifest **out, const struct pod_syntax *syntax,
                          const struct making_options *options, char **files, unsigned count)
{
    const struct husk_pod_create_options create = create_options(options);
    int status = load(out, syntax, options, files, count);
    struct husk_error err = {0};

    for (unsigned i = 0; !status && i < husk_manifest_pods(*out); i++) {
        if (husk_pod_check(*out, i, &create, &err)) {
            cli_error(&err);
            status = STATUS_MONITOR_ERROR;
        }
    }
    return status;
}

int making_begin(struct making *out, const struct pod_syntax *syntax,
                 const struct making_options *options, char **files, unsigned count)
{
    int status;

    *out = (struct making){.options = options, .signals = -1};
    status = load_and_check(&out->manifest, syntax, options, files, count);
    if (status)
        return status;
    out->names = json_array();
    out->pods = pods_open_all();
    return out->pods && out->names ? 0 : STATUS_MONITOR_ERROR;
}

int making_check(const struct pod_syntax *syntax, const struct making_options *options,
                 char **files, unsigned count)
{
    struct husk_manifest *manifest = NULL;
    int status = load_and_check(&manifest, syntax, options, files, count);

    for (unsigned i = 0; !status && i < husk_manifest_pods(manifest); i++)
        printf("pod/%s valid (dry run)\n", husk_manifest_pod_name(manifest, i));
    husk_manifest_free(manifest);
    return status;
}

void making_end(struct making *making)
{
    close_fd(&making->signals);
    husk_pods_close(making->pods);
    husk_manifest_free(making->manifest);
    json_decref(making->names);
}

int making_create(struct making *making, unsigned index, struct husk_error *err)
{
    const struct husk_pod_create_options options = create_options(making->options);
    const char *name = husk_manifest_pod_name(making->manifest, index);
    int ret = husk_pod_create(making->pods, making->manifest, index, &options, err);

    if (!ret && json_array_append_new(making->names, json_string(name)))
        ret = error_set(err, ENOMEM, name, "cannot be made", NULL);
    return ret;
}

int making_start(struct making *making, const char *name, struct husk_error *err)
{
    struct husk_pod_start_options options = HUSK_POD_START_OPTIONS_INIT;

    options.remove = making->options->remove;
    return husk_pod_start(making->pods, name, &options, err);
}

/* Whether any of its containers has been started. */
static bool has_run(struct husk_pods *pods, const char *name)
{
    char why[PROGRESS_BYTES];
    json_t *pod = NULL;
    bool ran = false;

    if (!pods_get(pods, name, &pod, NULL))
        pod_progress(pod, why, &ran);
    json_decref(pod);
    return ran;
}

void making_undo(struct making *making, bool ran)
{
    json_t *name;
    size_t i;

    json_array_foreach(making->names, i, name)
    {
        const char *text = json_string_value(name);
        struct husk_error err = {0};

        if (!ran && has_run(making->pods, text))
            continue;
        if (pods_remove_by_force(making->pods, text, &err) && err.code != ENOENT)
            cli_error(&err);
    }
}

/* ---- waiting ---- */

static bool take_signal(struct making *making)
{
    struct signalfd_siginfo info;

    if (read(making->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        making->interrupted = (int)info.ssi_signo;
    return making->interrupted != 0;
}

/* What it waits for, once, for people who look on. */
static void tell(const struct making *making, const char *name, const char *why,
                 char told[PROGRESS_BYTES])
{
    if (making->options->quiet || !isatty(STDERR_FILENO) || !why[0] || !strcmp(why, told))
        return;
    memcpy(told, why, PROGRESS_BYTES);
    cli_message("%s: %s", name, why);
}

int making_await_up(struct making *making, const char *name)
{
    char why[PROGRESS_BYTES], told[PROGRESS_BYTES] = "";

    for (;;) {
        enum pod_progress progress;
        struct husk_error err = {0};
        json_t *pod = NULL;
        bool ran;

        if (pods_get(making->pods, name, &pod, &err)) {
            if (making->options->remove && err.code == ENOENT)
                return 0; /* it has ended, and removed itself */
            cli_error(&err);
            return STATUS_MONITOR_ERROR;
        }
        progress = pod_progress(pod, why, &ran);
        json_decref(pod);
        if (progress == POD_UP)
            return 0;
        if (progress != POD_COMING) {
            cli_message("%s: does not come up: %s", name, why[0] ? why : "it does not say why");
            return STATUS_MONITOR_ERROR;
        }
        tell(making, name, why, told);
        if (pods_await(making->pods, making->signals, LOOK_MS) && take_signal(making))
            return 128 + making->interrupted;
    }
}
