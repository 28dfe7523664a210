// SPDX-License-Identifier: Apache-2.0
/* Copying as `cp` does, where one side is a container: see archive.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "cli/pod/archive.h"

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
static bool is_directory(const struct archive_place *place, const char *path)
{
    struct archive_stream stream;
    bool directory = false;

    if (archive_get_open(place, path, false, &stream, NULL))
        return false;
    if (archive_first_is_directory(stream.data, &directory))
        directory = false;
    archive_close(&stream, NULL);
    return directory;
}

static int receive(const struct archive_place *place, const char *path, const char *target,
                   const char *name, struct husk_error *err)
{
    struct archive_stream stream;
    struct stat st;
    int ret;

    if (strcmp(target, "-") != 0 && (stat(target, &st) < 0 || !S_ISDIR(st.st_mode)))
        return error_set(err, ENOENT, target, "cannot be copied to", "there is no such directory");
    ret = archive_get_open(place, path, true, &stream, err);
    if (ret)
        return ret;
    ret = name ? archive_unpack(stream.data, target, name, err)
               : pass_on(stream.data, STDOUT_FILENO, err);
    return archive_finish(&stream, ret, err);
}

int archive_copy_out(const struct archive_place *place, const char *path, const char *target,
                     struct husk_error *err)
{
    struct stat st;
    bool into = stat(target, &st) == 0 && S_ISDIR(st.st_mode);
    char *directory, *name;
    int ret;

    if (!strcmp(target, "-"))
        return receive(place, path, "-", NULL, err);
    directory = into ? strdup(target) : directory_part(target);
    name = last_part(into ? path : target);
    if (directory && name)
        ret = receive(place, path, directory, name[0] == '/' ? "." : name, err);
    else
        ret = error_set(err, ENOMEM, path, "cannot be copied", NULL);
    free(directory);
    free(name);
    return ret;
}

static int copy_archive_in(const struct archive_place *place, const char *path,
                           struct husk_error *err)
{
    struct archive_stream stream;
    int ret = archive_put_open(place, path, &stream, err);

    return ret ? ret : archive_finish(&stream, pass_on(STDIN_FILENO, stream.data, err), err);
}

int archive_copy_in(const struct archive_place *place, const char *source, const char *path,
                    struct husk_error *err)
{
    char *directory, *name;
    bool into;
    int ret;

    if (!strcmp(source, "-"))
        return copy_archive_in(place, path, err);
    into = is_directory(place, path);
    directory = into ? strdup(path) : directory_part(path);
    name = last_part(into ? source : path);
    ret = directory && name ? archive_put_path(place, source, directory, name, err)
                            : error_set(err, ENOMEM, source, "cannot be copied", NULL);
    free(directory);
    free(name);
    return ret;
}
