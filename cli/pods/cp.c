// SPDX-License-Identifier: Apache-2.0
/* husk pod cp: files into a container of a pod and out of it. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "cli/pod/archive.h"
#include "cli/pods/pods.h"

struct cp {
    struct pods_scope scope;
    const char *container; /* -c, or of the word; NULL: the default */
    struct husk_pods *pods;
    char *name; /* of the pod */
};

static const struct pod_option options[] = {
    SCOPE_NAMESPACE(struct cp),
    {'c', "container", true, pod_set_text, offsetof(struct cp, container)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax syntax = {
    .command = "pod cp",
    .help =
        "husk pod cp [OPTION...] POD[:CONTAINER]:PATH TARGET|-\n"
        "husk pod cp [OPTION...] SOURCE|- POD[:CONTAINER]:PATH\n"
        "\n"
        "Copy a file or directory out of a container that runs, or into it: into PATH or TARGET\n"
        "where that is a directory, else as it. PATH is absolute; POD may be NAMESPACE/NAME. A\n"
        "path of this host with \":/\" in it is written absolute, or ./PATH. - is a tar archive "
        "on\n"
        "standard output, or on standard input, which is unpacked in the directory PATH.\n"
        "\n"
        "  -c, --container NAME   default: the pod's annotation\n"
        "                         kubectl.kubernetes.io/default-container, or its first\n"
        "  -n, --namespace NAME   default: default\n"
        "\n"
        "Owners are kept on the way in; on the way out everything becomes yours.\n"
        "\n"
        "Exit status: 0 done; 119 usage error; 125 failure: what was copied before stays.\n",
    .wants = "what to copy and where to, one of them POD[:CONTAINER]:PATH",
    .least = 2,
    .most = 2,
    .options = options,
};

/* The path of a word that names a container, with the ':' before it made the end of the word; NULL
 * for a path of this host. */
static char *split(char *word)
{
    char *colon = word[0] == '/' || word[0] == '.' ? NULL : strstr(word, ":/");

    if (!colon || colon == word)
        return NULL;
    *colon = '\0';
    return colon + 1;
}

/* ---- the other side ---- */

static int open_archive(void *peer, const struct archive_request *request, void **process,
                        int *data, int *errors, struct husk_error *err)
{
    struct husk_pod_archive_options wants = HUSK_POD_ARCHIVE_OPTIONS_INIT;
    const struct cp *cp = peer;
    struct husk_pod_process *made;
    int fds[3], ret;

    wants.container = cp->container;
    wants.path = request->path;
    wants.put = request->put;
    wants.follow = wants.names_only = !request->content;
    ret = husk_pod_archive(cp->pods, cp->name, &wants, &made, fds, err);
    if (ret)
        return ret;
    *process = made;
    *data = fds[request->put ? 0 : 1];
    *errors = fds[2];
    close_fd(&fds[request->put ? 1 : 0]);
    return 0;
}

static int wait_for(void *peer, void *process, int *status, struct husk_error *err)
{
    int ret = husk_pod_process_wait(process, -1, status, err);

    husk_pod_process_free(process);
    return ret;
}

static const struct archive_ops ops = {.open = open_archive, .wait = wait_for};

static int copy(struct cp *cp, char *word, const char *path, const char *other, bool out)
{
    struct archive_place place = {.ops = &ops, .peer = cp};
    struct husk_error err = {0};
    char *container = strchr(word, ':');
    int ret = 0;

    if (container) {
        *container = '\0';
        if (cp->container)
            return pod_usage(&syntax, "-c: the container is named twice");
        cp->container = container + 1;
    }
    cp->name = scope_name(&cp->scope, word);
    cp->pods = cp->name ? pods_open_all() : NULL;
    if (!cp->pods)
        return STATUS_MONITOR_ERROR;
    ret = out ? archive_copy_out(&place, path, other, &err)
              : archive_copy_in(&place, other, path, &err);
    if (ret)
        cli_error(&err);
    return ret ? STATUS_MONITOR_ERROR : STATUS_OK;
}

int verb_cp(int argc, char **argv)
{
    struct cp cp = {.container = NULL};
    char **words, *from, *to;
    unsigned count;
    int status = pod_options_parse(&syntax, &cp, argc, argv, &words, &count);

    if (status)
        return status == POD_HELP_SHOWN ? STATUS_OK : status;
    from = split(words[0]);
    to = split(words[1]);
    if (!from == !to)
        return pod_usage(&syntax, "wants %s, with an absolute PATH", syntax.wants);
    status =
        from ? copy(&cp, words[0], from, words[1], true) : copy(&cp, words[1], to, words[0], false);
    husk_pods_close(cp.pods);
    free(cp.name);
    return status;
}
