// SPDX-License-Identifier: Apache-2.0
/*
 * husk run IMAGE: make a container, start its supervisor, and, unless detached, be its input and
 * output until it ends. Foreground and background are the same container with the same supervisor.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/pod/archive_container.h"
#include "cli/pod/image.h"
#include "cli/pod/pod.h"
#include "cli/pod/record.h"
#include "cli/pod/run_options.h"
#include "cli/pod/session_container.h"
#include "pod/spec/spec.h"
#include "pod/store/spawn.h"

#define NAME_TRIES 10

struct making {
    struct pod_run_options options;
    struct pod_image image;
    struct container_spec record;
    struct entry_store *store;
    struct entry *container;
    struct control_client *client;
    struct session session;
    struct session_container peer;
};

/* What -v wants copied goes in before the program starts. */
static int copy_volumes(struct making *making, struct husk_error *err)
{
    struct archive_place place = archive_container(making->client);
    struct spec spec;
    int ret = spec_load(making->record.spec, making->record.name, &spec, err);

    if (ret)
        return ret;
    for (unsigned i = 0; !ret && i < spec.volume_count; i++) {
        const struct spec_volume *volume = &spec.volumes[i];
        const char *name = strrchr(volume->destination, '/');

        if (volume->kind == SPEC_VOLUME_DIRECTORY) {
            ret = archive_put_path(&place, volume->source, volume->destination, NULL, err);
        } else if (volume->kind == SPEC_VOLUME_FILE && name) {
            char *directory =
                strndup(volume->destination, (size_t)(name - volume->destination) + 1);

            ret = directory ? archive_put_path(&place, volume->source, directory, name + 1, err)
                            : error_set(err, ENOMEM, volume->source, "cannot be copied", NULL);
            free(directory);
        }
    }
    spec_clear(&spec);
    return ret;
}

/* One that was made and not started leaves nothing. */
static void give_up(struct making *making)
{
    control_client_call(making->client, "stop", json_pack("{s:i}", "grace_ms", 0), NULL, NULL);
    control_client_close(making->client);
    making->client = NULL;
    if (pod_has_ended(making->container, -ESRCH))
        entry_remove(making->store, making->container, NULL);
}

/* A container under a name of its own: one of ours that is taken is tried again with others. */
static int create(struct making *making)
{
    struct husk_error err = {0};
    int ret = pod_store(true, &making->store, &err);

    for (unsigned i = 0; !ret && i < NAME_TRIES; i++) {
        int status;

        container_spec_clear(&making->record);
        status = pod_record_make(&making->options, &making->image, &making->record);
        if (status)
            return status;
        ret = container_create(making->store, &making->record, &making->container, &err);
        if (ret != -EEXIST || making->options.name)
            break;
    }
    if (!ret) {
        int fd = entry_spawn(making->container, secure_getenv("HUSK_SUPERVISOR"), &err);

        ret = fd < 0 ? fd : control_client_open(fd, &making->client, &err);
        if (ret) /* not even begun: nobody wants it */
            entry_remove(making->store, making->container, NULL);
    }
    if (!ret && making->options.volumes.count) {
        ret = copy_volumes(making, &err);
        if (ret)
            give_up(making);
    }
    if (ret)
        cli_error(&err);
    return ret ? STATUS_OURS : 0;
}

static int run_detached(struct making *making)
{
    struct control_message answer = {.status = 0};
    struct husk_error err = {0};

    if (control_client_call(making->client, "start", NULL, &answer, &err)) {
        int status = answer.status ? answer.status : STATUS_OURS;

        cli_error(&err);
        /* Over when it says so: with --rm the name is free then. */
        control_client_call(making->client, "wait", NULL, NULL, NULL);
        return status;
    }
    control_message_clear(&answer);
    printf("%s\n", making->record.id);
    return STATUS_OK;
}

static int run_attached(struct making *making)
{
    struct session *session = &making->session;
    struct control_message answer;
    struct husk_error err = {0};
    int ret;

    session_container_begin(session, &making->peer, making->client, NULL);
    session->name = making->record.name;
    session->terminal = making->options.tty;
    session->input = making->options.interactive;
    session->proxy = making->options.sig_proxy;
    session->start = session->owns = true;
    ret = control_client_call(making->client, "attach",
                              json_pack("{s:b, s:b}", "stdin", session->input, "wait", 1), &answer,
                              &err);
    if (!ret) {
        ret = session_container_streams(session, &answer, &err);
        control_message_clear(&answer);
    }
    if (ret) {
        cli_error(&err);
        return STATUS_OURS;
    }
    return session_run(session);
}

static int check(const struct pod_run_options *options)
{
    if (options->tty && options->interactive && !options->detach && !isatty(STDIN_FILENO))
        return pod_usage(&pod_run_syntax, "-t with -i: standard input is no terminal");
    return 0;
}

static int run(struct making *making)
{
    const struct pod_run_options *options = &making->options;
    struct husk_error err = {0};
    int status = check(options);

    if (status)
        return status;
    if (options->detach_keys)
        detach_keys_parse(options->detach_keys, &making->session.relay.filter);
    if (pod_image_get(options->image, options->pull, options->quiet, &making->image, &err)) {
        if (err.code)
            cli_error(&err);
        return STATUS_OURS;
    }
    status = create(making);
    /* The supervisor holds the layers from now on. */
    if (!status)
        status = options->detach ? run_detached(making) : run_attached(making);
    return status;
}

int pod_run(int argc, char **argv)
{
    struct making *making = calloc(1, sizeof(*making));
    int status;

    if (!making) {
        cli_message("%s", error_text(ENOMEM));
        return STATUS_OURS;
    }
    session_init(&making->session);
    status = pod_run_options_parse(&making->options, argc, argv);
    if (!status)
        status = run(making);
    session_close(&making->session);
    session_container_clear(&making->peer);
    control_client_close(making->client);
    entry_close(making->container);
    entry_store_close(making->store);
    container_spec_clear(&making->record);
    pod_image_release(&making->image);
    pod_run_options_release(&making->options);
    free(making);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}
