// SPDX-License-Identifier: Apache-2.0
/* From a supervisor to the container's program: see begin.h. */
#include "cli/pod/begin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/pod/archive_container.h"
#include "pod/spec/spec.h"

static int copy_volume(const struct archive_place *place, const struct spec_volume *volume,
                       struct husk_error *err)
{
    const char *name = strrchr(volume->destination, '/');
    char *directory;
    int ret;

    if (volume->kind == SPEC_VOLUME_DIRECTORY)
        return archive_put_path(place, volume->source, volume->destination, NULL, err);
    if (volume->kind != SPEC_VOLUME_FILE || !name)
        return 0;
    directory = strndup(volume->destination, (size_t)(name - volume->destination) + 1);
    ret = directory ? archive_put_path(place, volume->source, directory, name + 1, err)
                    : error_set(err, ENOMEM, volume->source, "cannot be copied", NULL);
    free(directory);
    return ret;
}

static int copy_volumes(const struct beginning *beginning, struct husk_error *err)
{
    struct archive_place place = archive_container(beginning->client);
    struct spec spec;
    int ret = spec_load(beginning->record->spec, beginning->record->name, &spec, err);

    if (ret)
        return ret;
    for (unsigned i = 0; !ret && i < spec.volume_count; i++)
        ret = copy_volume(&place, &spec.volumes[i], err);
    spec_clear(&spec);
    return ret;
}

int beginning_open(struct beginning *beginning, int fd, bool fresh, struct husk_error *err)
{
    int ret = fd < 0 ? fd : control_client_open(fd, &beginning->client, err);

    if (ret || !fresh)
        return ret;
    ret = copy_volumes(beginning, err);
    if (ret) {
        control_client_call(beginning->client, "stop", json_pack("{s:i}", "grace_ms", 0), NULL,
                            NULL);
        control_client_close(beginning->client);
        beginning->client = NULL;
    }
    return ret;
}

int beginning_detached(struct beginning *beginning)
{
    struct control_message answer = {.status = 0};
    struct husk_error err = {0};

    if (control_client_call(beginning->client, "start", NULL, &answer, &err)) {
        int status = answer.status ? answer.status : STATUS_OURS;

        cli_error(&err);
        /* Over when it says so: with --rm the name is free then. */
        control_client_call(beginning->client, "wait", NULL, NULL, NULL);
        return status;
    }
    control_message_clear(&answer);
    return STATUS_OK;
}

/* "attach" is refused when all is over already, as when a machine cannot have what it is to have:
 * to "start" is then answered why. */
static int report_early_end(struct beginning *beginning, const struct husk_error *attach)
{
    struct control_message answer = {.status = 0};
    struct husk_error err = *attach;
    int status = STATUS_OURS;

    if (err.code == EBUSY) {
        if (!control_client_call(beginning->client, "start", NULL, &answer, &err))
            err = *attach;
        status = answer.status ? answer.status : STATUS_OURS;
        control_message_clear(&answer);
        control_client_call(beginning->client, "wait", NULL, NULL, NULL);
    }
    cli_error(&err);
    return status;
}

int beginning_attached(struct beginning *beginning)
{
    const struct container_spec *record = beginning->record;
    struct session *session = &beginning->session;
    struct control_message answer;
    struct husk_error err = {0};
    int ret;

    session_container_begin(session, &beginning->peer, beginning->client, NULL);
    session->name = record->name;
    session->terminal = pod_has_terminal(record);
    session->input = beginning->input && record->stdin_mode != CONTAINER_STDIN_NONE;
    session->proxy = beginning->sig_proxy;
    session->start = session->owns = true;
    ret = control_client_call(beginning->client, "attach",
                              json_pack("{s:b, s:b}", "stdin", session->input, "wait", 1), &answer,
                              &err);
    if (!ret) {
        ret = session_container_streams(session, &answer, &err);
        control_message_clear(&answer);
    }
    return ret ? report_early_end(beginning, &err) : session_run(session);
}

void beginning_release(struct beginning *beginning)
{
    session_close(&beginning->session);
    session_container_clear(&beginning->peer);
    control_client_close(beginning->client);
}
