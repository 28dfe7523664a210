// SPDX-License-Identifier: Apache-2.0
/* The image of a container: see image.h. */
#include "cli/pod/image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"

/* Runs `husk-oci image pull NAME`: its progress and messages are on our standard error. */
static int pull(const char *name, bool quiet, struct husk_error *err)
{
    char path[PATH_MAX];
    const char *program = oci_program_find(path, sizeof(path));
    char *const words[] = {"image",
                           "pull",
                           quiet ? "--quiet" : "--",
                           quiet ? "--" : (char *)name,
                           quiet ? (char *)name : NULL,
                           NULL};
    posix_spawn_file_actions_t actions;
    int ret, status = 0;
    pid_t pid;

    ret = posix_spawn_file_actions_init(&actions);
    if (ret)
        return error_set(err, ret, program, "cannot be started", NULL);
    /* What it says of the image on standard output is not what the container's command says. */
    ret = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (!ret)
        ret = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!ret)
        ret = posix_spawn(&pid, program, &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (ret)
        return error_set(err, ret, program, "cannot be started", NULL);
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return error_set(err, errno, program, "cannot be waited for", NULL);
    }
    if (WIFSIGNALED(status))
        return error_set(err, EINTR, name, "has not been pulled", "signal %d ended that",
                         WTERMSIG(status));
    return status ? -ECHILD : 0;
}

static int find(const char *name, struct pod_image *out, struct husk_error *err)
{
    char path[PATH_MAX];
    int ret = image_store_default(path, sizeof(path), err);

    if (!ret)
        ret = image_store_open(path, false, &out->store, err);
    if (!ret)
        ret = image_store_find(out->store, name, &out->record, err);
    return ret;
}

static int read_config(struct pod_image *out, struct husk_error *err)
{
    char *bytes;
    size_t len;
    int ret = image_store_get_blob(out->store, &out->record.config, &bytes, &len, err);

    if (ret)
        return ret;
    ret = image_config_parse(bytes, len, out->record.name, &out->config, err);
    free(bytes);
    return ret;
}

int pod_image_get(const char *name, enum pull_policy policy, bool quiet, struct pod_image *out,
                  struct husk_error *err)
{
    struct reference reference;
    int ret = -ENOENT;

    memset(out, 0, sizeof(*out));
    if (policy != PULL_ALWAYS)
        ret = find(name, out, err);
    /* Digits that no image's ID begins with are a name like any other. */
    if (ret == -ENOENT && policy != PULL_NEVER) {
        image_store_close(out->store);
        out->store = NULL;
        if (err)
            memset(err, 0, sizeof(*err)); /* that it is not here is no error any more */
        ret = reference_parse(name, &reference, err);
        if (!ret)
            ret = pull(name, quiet, err);
        if (!ret)
            ret = find(name, out, err);
    }
    if (!ret)
        ret = read_config(out, err);
    if (ret)
        pod_image_release(out);
    return ret;
}

void pod_image_release(struct pod_image *image)
{
    image_config_clear(&image->config);
    image_store_close(image->store);
    image->store = NULL;
}

json_t *pod_image_note(const struct pod_image *image)
{
    const struct image_record *record = &image->record;
    json_t *layers = json_array();

    for (unsigned i = 0; layers && i < record->layer_count; i++) {
        if (json_array_append_new(layers, json_string(record->layers[i].diff_id.text))) {
            json_decref(layers);
            return NULL;
        }
    }
    return json_pack("{s:s, s:s, s:s, s:o}", "name", record->name, "manifest",
                     record->manifest.text, "config", record->config.text, "layers", layers);
}
