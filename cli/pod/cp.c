// SPDX-License-Identifier: Apache-2.0
/* husk cp: files into a container and out of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/pod/archive_container.h"
#include "cli/pod/pod.h"

static const struct pod_option options[] = {{0, NULL, false, NULL, 0}};

static const struct pod_syntax syntax = {
    .command = "cp",
    .help =
        "husk cp CONTAINER:PATH TARGET|-\n"
        "husk cp SOURCE|- CONTAINER:PATH\n"
        "\n"
        "Copy a file or directory out of a container that runs, or into it: into PATH or TARGET\n"
        "where that is a directory, else as it. A path of this host that has a ':' before its\n"
        "first '/' is written ./PATH. - is a tar archive on standard output, or on standard\n"
        "input, which is unpacked in the directory PATH.\n"
        "\n"
        "Owners are kept on the way in; on the way out everything becomes yours.\n"
        "\n"
        "Exit status: 0 done; 119 usage error; 125 failure: what was copied before stays.\n",
    .wants = "what to copy and where to, one of them CONTAINER:PATH",
    .least = 2,
    .most = 2,
    .options = options,
};

/* The path behind "CONTAINER:", with the ':' made the end of the container's name; NULL when it is
 * a path of this host. */
static char *split(char *word)
{
    size_t len = strcspn(word, ":/");

    if (word[len] != ':' || len == 0)
        return NULL;
    word[len] = '\0';
    return word + len + 1;
}

int pod_cp(int argc, char **argv)
{
    struct entry_store *store;
    struct entry *container;
    struct control_client *client = NULL;
    struct husk_error err = {0};
    char **words, *from, *to;
    unsigned count;
    int ret, status = pod_options_parse(&syntax, NULL, argc, argv, &words, &count);

    if (status)
        return status == POD_HELP_SHOWN ? STATUS_OK : status;
    from = split(words[0]);
    to = split(words[1]);
    if (!from == !to || (from && from[0] != '/') || (to && to[0] != '/'))
        return pod_usage(&syntax, "wants %s, with an absolute PATH", syntax.wants);
    if (pod_find(words[from ? 0 : 1], &store, &container, &err)) {
        cli_error(&err);
        return STATUS_MONITOR_ERROR;
    }
    ret = pod_connect(container, &client, &err);
    if (!ret) {
        struct archive_place place = archive_container(client);

        ret = from ? archive_copy_out(&place, from, words[1], &err)
                   : archive_copy_in(&place, words[0], to, &err);
    }
    if (ret) {
        cli_error(&err);
        status = STATUS_MONITOR_ERROR;
    }
    control_client_close(client);
    entry_close(container);
    entry_store_close(store);
    return status;
}
