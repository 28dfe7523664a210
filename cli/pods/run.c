// SPDX-License-Identifier: Apache-2.0
/*
 * husk pod run and create: pods of manifests, all of them or none.
 *
 * In the foreground, images are got first, so that what is wrong with them is known before anything
 * is made; then all pods are recorded, started, and waited for. What has been made until an error
 * is removed; pods of which something has run stay, for their logs.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/pods/follow.h"
#include "cli/pods/making.h"
#include "cli/pods/status.h"

struct run {
    struct making_options options;
    bool detach, attach, wait;
    int64_t timeout_s; /* -1: none */
};

#define AT(member) offsetof(struct run, member)

/* Those of both. */
#define MAKING_OPTIONS                                               \
    {'f', "filename", true, pod_add_text, AT(options.files)},        \
        {0, "network", true, pod_set_text, AT(options.network)},     \
        {'p', "publish", true, pod_add_text, AT(options.publish)},   \
        {0, "guest-kernel", true, pod_set_text, AT(options.kernel)}, \
        {0, "lenient", false, pod_set_flag, AT(options.lenient)},    \
    {                                                                \
        0, "dry-run", false, pod_set_flag, AT(options.dry_run)       \
    }

static const struct pod_option run_options[] = {
    MAKING_OPTIONS,
    {'a', "attach", false, pod_set_flag, AT(attach)},
    {'d', "detach", false, pod_set_flag, AT(detach)},
    {0, "wait", false, pod_set_flag, AT(wait)},
    {0, "timeout", true, pod_set_seconds, AT(timeout_s)},
    {0, "rm", false, pod_set_flag, AT(options.remove)},
    {'q', "quiet", false, pod_set_flag, AT(options.quiet)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_option create_options[] = {
    MAKING_OPTIONS,
    {0, NULL, false, NULL, 0},
};

#define MAKING_HELP                                                                        \
    "  -f, --filename FILE    one more file\n"                                             \
    "      --network none|bridge|cni:NAME|vf:PF\n"                                         \
    "                         default: the host's first CNI configuration, else bridge\n"  \
    "  -p, --publish [ADDRESS:]HOST:CONTAINER[/tcp|udp|sctp]\n"                            \
    "                         a port of the host leads to one of the pod\n"                \
    "      --guest-kernel FILE\n"                                                          \
    "      --lenient          warn of fields that are not known or supported, and go on\n" \
    "      --dry-run          check the manifests, and do nothing\n"

static const struct pod_syntax run_syntax = {
    .command = "pod run",
    .help =
        "husk pod run [OPTION...] FILE...\n"
        "\n"
        "Create the pods of Kubernetes manifests (- is standard input), start them, wait until\n"
        "their containers have been started, and print their names. When one does not come up,\n"
        "all that was made is removed, but for pods of which a container has run.\n"
        "\n"
        "  -a, --attach           then show what they write until they end; Ctrl-C stops them\n"
        "      --wait             wait until they are ready\n"
        "      --timeout TIME     for at most that long\n"
        "  -d, --detach           wait for nothing: what fails is tried again\n"
        "      --rm               pods remove themselves when they have ended\n"
        "  -q, --quiet            no progress\n" MAKING_HELP "\n"
        "Exit status: 0 they run; with -a that of the first pod's first container that failed;\n"
        "119 usage error; 124 not ready in time; 125 failure.\n",
    .wants = "the files of manifests",
    .most = UINT16_MAX,
    .options = run_options,
};

static const struct pod_syntax create_syntax = {
    .command = "pod create",
    .help =
        "husk pod create [OPTION...] FILE...\n"
        "\n"
        "Record the pods of Kubernetes manifests (- is standard input), all of them or none, and\n"
        "print their names. `husk pod start` starts them.\n"
        "\n" MAKING_HELP STATUSES_TEXT,
    .wants = "the files of manifests",
    .most = UINT16_MAX,
    .options = create_options,
};

static int create_all(struct making *making)
{
    struct husk_error err = {0};
    int ret = 0;

    if (!husk_manifest_pods(making->manifest)) {
        cli_message("there is no pod in the manifests");
        return STATUS_MONITOR_ERROR;
    }
    for (unsigned i = 0; !ret && i < husk_manifest_pods(making->manifest); i++)
        ret = making_create(making, i, &err);
    if (ret)
        cli_error(&err);
    return ret ? STATUS_MONITOR_ERROR : 0;
}

static int start_all(struct making *making)
{
    struct husk_error err = {0};
    json_t *name;
    size_t i;

    json_array_foreach(making->names, i, name)
    {
        if (making_start(making, json_string_value(name), &err)) {
            cli_error(&err);
            return STATUS_MONITOR_ERROR;
        }
    }
    return 0;
}

static int pull_all(struct making *making)
{
    int status = 0;

    for (unsigned i = 0; !status && i < husk_manifest_pods(making->manifest); i++)
        status = pods_pull(making->manifest, i, making->options->quiet);
    return status;
}

static int await_all(struct making *making)
{
    int status = 0;
    json_t *name;
    size_t i;

    json_array_foreach(making->names, i, name)
    {
        if (!status)
            status = making_await_up(making, json_string_value(name));
    }
    return status;
}

static void print_names(const struct making *making)
{
    json_t *name;
    size_t i;

    json_array_foreach(making->names, i, name)
    {
        puts(json_string_value(name));
    }
    fflush(stdout);
}

/* --wait: also their probes have said so. */
static int await_ready(const struct run *run, struct making *making)
{
    json_t *name;
    size_t i;

    json_array_foreach(making->names, i, name)
    {
        struct husk_error err = {0};
        int ret = husk_pod_wait(making->pods, json_string_value(name), HUSK_POD_READY,
                                run->timeout_s < 0 ? -1 : run->timeout_s * 1000, &err);

        if (ret) {
            cli_error(&err);
            return ret == -ETIMEDOUT ? STATUS_TIMEOUT : STATUS_MONITOR_ERROR;
        }
    }
    return 0;
}

/* ---- in the foreground ---- */

/* The end of all; the status is that of the first pod that has failed. */
static int await_end(struct making *making)
{
    int status = STATUS_OK;
    json_t *name;
    size_t i;

    json_array_foreach(making->names, i, name)
    {
        const char *text = json_string_value(name);
        json_t *pod = NULL;

        /* One that was to remove itself says no more than that it has ended. */
        if (!husk_pod_wait(making->pods, text, HUSK_POD_ENDED, -1, NULL) && !status &&
            !pods_get(making->pods, text, &pod, NULL))
            status = pod_end_status(pod, STATUS_MONITOR_ERROR);
        json_decref(pod);
    }
    return status;
}

static void stop_all(struct making *making, int64_t grace_s)
{
    json_t *name;
    size_t i;

    json_array_foreach(making->names, i, name)
    {
        husk_pod_stop(making->pods, json_string_value(name), grace_s, NULL);
    }
}

static int follow_all(struct making *making, struct followed_list *list)
{
    struct husk_pod_log_options wants = HUSK_POD_LOG_OPTIONS_INIT;
    int number;

    wants.follow = true;
    /* A first signal stops them, a second one at once. */
    for (unsigned times = 0; (number = followed_run(list, making->pods, &wants, making->signals));
         times++) {
        if (number < 0)
            return STATUS_MONITOR_ERROR;
        stop_all(making, times ? 0 : -1);
        if (number == SIGPIPE) /* nobody reads any more */
            return 128 + SIGPIPE;
    }
    return STATUS_OK;
}

/* What they write may have a name before it: there is more than one of them. */
static int attach_all(struct making *making)
{
    struct followed_list list = {.all = NULL};
    struct husk_error err = {0};
    json_t *name;
    size_t i;
    int status = 0;

    json_array_foreach(making->names, i, name)
    {
        if (!status && followed_add_pod(&list, making->pods, json_string_value(name), true, &err))
            status = STATUS_MONITOR_ERROR;
    }
    if (status)
        cli_error(&err);
    if (list.count == 1)
        list.all[0].print.prefix = NULL;
    if (!status)
        status = follow_all(making, &list);
    followed_release(&list);
    return status ? status : await_end(making);
}

static int start_and_wait(const struct run *run, struct making *making)
{
    int status = start_all(making);

    if (!status && !run->detach)
        status = await_all(making);
    if (status) {
        making_undo(making, making->interrupted != 0);
        return status;
    }
    if (run->attach)
        return attach_all(making);
    print_names(making);
    return run->wait ? await_ready(run, making) : STATUS_OK;
}

static int run_files(const struct run *run, char **files, unsigned count)
{
    struct making making;
    int status = making_begin(&making, &run_syntax, &run->options, files, count);

    if (!status && !run->detach)
        status = pull_all(&making);
    if (!status) {
        making.signals = pods_open_signals();
        status = making.signals < 0 ? STATUS_MONITOR_ERROR : create_all(&making);
        if (status)
            making_undo(&making, true);
    }
    if (!status)
        status = start_and_wait(run, &making);
    making_end(&making);
    return status;
}

int verb_run(int argc, char **argv)
{
    struct run run = {.timeout_s = -1};
    char **words;
    unsigned count;
    int status = pod_options_parse(&run_syntax, &run, argc, argv, &words, &count);

    if (!status && run.detach && (run.attach || run.wait))
        status = pod_usage(&run_syntax, "-d: waits for nothing: not with -a or --wait");
    if (!status && run.options.dry_run)
        status = making_check(&run_syntax, &run.options, words, count);
    else if (!status)
        status = run_files(&run, words, count);
    pod_list_release(&run.options.files);
    pod_list_release(&run.options.publish);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}

int verb_create(int argc, char **argv)
{
    struct run run = {.timeout_s = -1};
    struct making making = {.signals = -1};
    char **words;
    unsigned count;
    int status = pod_options_parse(&create_syntax, &run, argc, argv, &words, &count);

    if (!status && run.options.dry_run) {
        status = making_check(&create_syntax, &run.options, words, count);
    } else if (!status) {
        status = making_begin(&making, &create_syntax, &run.options, words, count);
        if (!status) {
            status = create_all(&making);
            if (status)
                making_undo(&making, true);
            else
                print_names(&making);
        }
        making_end(&making);
    }
    pod_list_release(&run.options.files);
    pod_list_release(&run.options.publish);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}
