// SPDX-License-Identifier: Apache-2.0
/* What the verbs of `husk pod` share: see pods.h. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/error.h"
#include "cli/pods/pods.h"

struct husk_pods *pods_open_all(void)
{
    struct husk_pods_options options = HUSK_PODS_OPTIONS_INIT;
    struct husk_pods *pods = NULL;
    struct husk_error err = {0};

    options.program = secure_getenv("HUSK_SUPERVISOR");
    if (!options.program)
        options.program = "/proc/self/exe";
    if (!husk_pods_open(&options, &pods, &err) && !husk_pods_tidy(pods, &err))
        return pods;
    cli_error(&err);
    husk_pods_close(pods);
    return NULL;
}

/* The library's text as an object. */
static int parse(char *text, json_t **out, struct husk_error *err)
{
    *out = json_loads(text, 0, NULL);
    husk_pod_text_free(text);
    return *out ? 0 : error_set(err, ENOMEM, "", "cannot read the pods", NULL);
}

int pods_get(struct husk_pods *pods, const char *name, json_t **out, struct husk_error *err)
{
    char *text;
    int ret = husk_pod_get(pods, name, &text, err);

    return ret ? ret : parse(text, out, err);
}

int pods_list(struct husk_pods *pods, const char *selector, json_t **out, struct husk_error *err)
{
    char *text;
    int ret = husk_pods_list(pods, selector, &text, err);

    return ret ? ret : parse(text, out, err);
}

int pods_remove_by_force(struct husk_pods *pods, const char *name, struct husk_error *err)
{
    char *left = NULL;
    int ret = husk_pod_remove_by_force(pods, name, &left, err);

    if (left)
        cli_message("%s: %s", name, left);
    husk_pod_text_free(left);
    return ret;
}

const char *pods_default_container(const json_t *pod)
{
    const json_t *notes = json_object_get(json_object_get(pod, "metadata"), "annotations");
    const json_t *first =
        json_array_get(json_object_get(json_object_get(pod, "spec"), "containers"), 0);
    const char *name =
        json_string_value(json_object_get(notes, "kubectl.kubernetes.io/default-container"));

    return name ? name : json_string_value(json_object_get(first, "name"));
}

int pods_each(struct husk_pods *pods, const json_t *names,
              int (*act)(struct husk_pods *pods, const char *name, void *arg,
                         struct husk_error *err),
              void *arg)
{
    int status = STATUS_OK;
    json_t *name;
    size_t i;

    json_array_foreach((json_t *)names, i, name)
    {
        struct husk_error err = {0};

        if (act(pods, json_string_value(name), arg, &err)) {
            cli_error(&err);
            status = STATUS_MONITOR_ERROR;
        }
    }
    return status;
}

bool pods_await(struct husk_pods *pods, int fd, int timeout_ms)
{
    struct pollfd polls[] = {{.fd = husk_pods_watch_fd(pods), .events = POLLIN},
                             {.fd = fd, .events = POLLIN}};

    (void)poll(polls, 2, timeout_ms);
    husk_pods_watch_clear(pods);
    return polls[1].revents != 0;
}

int pods_open_signals(void)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -1;
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        cli_message("cannot receive signals: %s", error_text(errno));
    return fd;
}

/* ---- manifests ---- */

static void warn(void *arg, const char *line)
{
    cli_message("%s", line);
}

static int read_one(const char *file, bool lenient, struct husk_manifest **all,
                    struct husk_error *err)
{
    struct husk_manifest_options options = HUSK_MANIFEST_OPTIONS_INIT;
    struct husk_manifest *one = NULL;
    int ret;

    options.lenient = lenient;
    options.warn = warn;
    ret = husk_manifest_read_file(file, &options, &one, err);
    if (ret || !*all) {
        *all = ret ? *all : one;
        return ret;
    }
    ret = husk_manifest_join(*all, one, err);
    husk_manifest_free(one);
    return ret;
}

struct husk_manifest *pods_load(char **files, unsigned count, const struct pod_list *more,
                                bool lenient)
{
    struct husk_manifest *all = NULL;
    struct husk_error err = {0};
    int ret = 0;

    for (unsigned i = 0; !ret && i < count; i++)
        ret = read_one(files[i], lenient, &all, &err);
    for (unsigned i = 0; !ret && i < more->count; i++)
        ret = read_one(more->items[i], lenient, &all, &err);
    if (!ret)
        return all;
    cli_error(&err);
    husk_manifest_free(all);
    return NULL;
}
