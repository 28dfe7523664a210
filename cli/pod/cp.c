// SPDX-License-Identifier: Apache-2.0
/* husk cp: files into a container and out of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "cli/pod/archive.h"
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

/* The last part of a path, the caller's to free; NULL when memory is short. "." and the like, which
 * name nothing, stay. */
static char *last_part(const char *path)
{
    size_t len = strlen(path);
    const char *slash;

    while (len > 1 && path[len - 1] == '/')
        len--;
    slash = memrchr(path, '/', len);
    if (slash && len > 1) {
        len -= (size_t)(slash + 1 - path);
        path = slash + 1;
    }
    return strndup(path, len);
}

/* All but the last part; "/" or "." when there is nothing before it. */
static char *directory_part(const char *path)
{
    size_t len = strlen(path);
    const char *slash;

    while (len > 1 && path[len - 1] == '/')
        len--;
    slash = memrchr(path, '/', len);
    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* Bytes as they are. */
static int pass_on(int from, int to, struct husk_error *err)
{
    char block[65536];
    ssize_t n;
    int ret = 0;

    while (!ret && (n = read(from, block, sizeof(block))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        ret = n < 0 ? -errno : write_full(to, block, (size_t)n);
    }
    return ret ? error_set(err, -ret, "the archive", "cannot be passed on", NULL) : 0;
}

/* Whether `path` is a directory of the container; one that is not there is none. */
static bool is_directory(struct control_client *client, const char *path)
{
    struct archive_stream stream;
    bool directory = false;

    if (archive_get_open(client, path, false, &stream, NULL))
        return false;
    if (archive_first_is_directory(stream.data, &directory))
        directory = false;
    archive_close(&stream, NULL);
    return directory;
}

static int receive(struct control_client *client, const char *path, const char *target,
                   const char *name, struct husk_error *err)
{
    struct archive_stream stream;
    struct stat st;
    int ret;

    if (strcmp(target, "-") != 0 && (stat(target, &st) < 0 || !S_ISDIR(st.st_mode)))
        return error_set(err, ENOENT, target, "cannot be copied to", "there is no such directory");
    ret = archive_get_open(client, path, true, &stream, err);
    if (ret)
        return ret;
    ret = name ? archive_unpack(stream.data, target, name, err)
               : pass_on(stream.data, STDOUT_FILENO, err);
    return archive_finish(&stream, ret, err);
}

static int copy_out(struct control_client *client, const char *path, const char *target,
                    struct husk_error *err)
{
    struct stat st;
    bool into = stat(target, &st) == 0 && S_ISDIR(st.st_mode);
    char *directory, *name;
    int ret;

    if (!strcmp(target, "-"))
        return receive(client, path, "-", NULL, err);
    directory = into ? strdup(target) : directory_part(target);
    name = last_part(into ? path : target);
    if (directory && name)
        ret = receive(client, path, directory, name[0] == '/' ? "." : name, err);
    else
        ret = error_set(err, ENOMEM, path, "cannot be copied", NULL);
    free(directory);
    free(name);
    return ret;
}

static int copy_archive_in(struct control_client *client, const char *path, struct husk_error *err)
{
    struct archive_stream stream;
    int ret = archive_put_open(client, path, &stream, err);

    return ret ? ret : archive_finish(&stream, pass_on(STDIN_FILENO, stream.data, err), err);
}

static int copy_in(struct control_client *client, const char *source, const char *path,
                   struct husk_error *err)
{
    char *directory, *name;
    bool into;
    int ret;

    if (!strcmp(source, "-"))
        return copy_archive_in(client, path, err);
    into = is_directory(client, path);
    directory = into ? strdup(path) : directory_part(path);
    name = last_part(into ? source : path);
    ret = directory && name ? archive_put_path(client, source, directory, name, err)
                            : error_set(err, ENOMEM, source, "cannot be copied", NULL);
    free(directory);
    free(name);
    return ret;
}

int pod_cp(int argc, char **argv)
{
    struct entry_store *store;
    struct entry *container;
    struct control_client *client = NULL;
    struct husk_error err = {0};
    char **words, *from, *to;
    unsigned count;
    int status = pod_options_parse(&syntax, NULL, argc, argv, &words, &count);

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
    if (pod_connect(container, &client, &err) ||
        (from ? copy_out(client, from, words[1], &err) : copy_in(client, words[0], to, &err))) {
        cli_error(&err);
        status = STATUS_MONITOR_ERROR;
    }
    control_client_close(client);
    entry_close(container);
    entry_store_close(store);
    return status;
}
