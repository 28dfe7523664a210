// SPDX-License-Identifier: Apache-2.0
/*
 * Files into a container and out of it, as tar archives that its supervisor passes on: of a
 * container of `husk run` (archive_container.h), or of one in a pod.
 *
 * What comes out of a container is hostile: only files, directories, links and FIFOs are made,
 * below the directory that was asked for and never through a link, without rights of set-user-id
 * programs.
 */
#ifndef HUSK_CLI_POD_ARCHIVE_H
#define HUSK_CLI_POD_ARCHIVE_H

#include <stdbool.h>

#include "husk/error.h"

/* What is wanted of a container. */
struct archive_request {
    const char *path; /* in it */
    bool put;         /* into the directory `path`, which is made when it is not there; else out */
    bool content;     /* out: with what is in the files; else a link is followed, too */
};

struct archive_ops {
    /* Begins. *process is for wait(); *data and *errors are blocking stream sockets, the caller's.
     */
    int (*open)(void *peer, const struct archive_request *request, void **process, int *data,
                int *errors, struct husk_error *err);
    /* Until the container's side has ended; frees the process in any case. */
    int (*wait)(void *peer, void *process, int *status, struct husk_error *err);
};

/* A container that is asked. */
struct archive_place {
    const struct archive_ops *ops;
    void *peer;
};

struct archive_stream {
    const struct archive_place *place; /* borrowed */
    const char *path;                  /* in the container, for messages; borrowed */
    void *process;
    bool put;
    int data, errors; /* -1: closed */
};

/* Begins. */
int archive_put_open(const struct archive_place *place, const char *path,
                     struct archive_stream *out, struct husk_error *err);
int archive_get_open(const struct archive_place *place, const char *path, bool content,
                     struct archive_stream *out, struct husk_error *err);

/* The end of what goes in, or of what is read of what comes out. Waits until the container's side
 * has ended, and returns what it has to say: 0 or -errno. Closes the stream in every case. */
int archive_close(struct archive_stream *stream, struct husk_error *err);

/* The same after copying has ended with `ret`: what the other side says of a failure is nearer to
 * its cause than that it went away. */
int archive_finish(struct archive_stream *stream, int ret, struct husk_error *err);

/* Copies a file or directory of this host into the directory of the container, as `name` (NULL:
 * what is in it). */
int archive_put_path(const struct archive_place *place, const char *source, const char *directory,
                     const char *name, struct husk_error *err);

/* As `cp` does: into the target where that is a directory, else as it; "-" is an archive on
 * standard output or input (copy.c). `path` is the container's. */
int archive_copy_out(const struct archive_place *place, const char *path, const char *target,
                     struct husk_error *err);
int archive_copy_in(const struct archive_place *place, const char *source, const char *path,
                    struct husk_error *err);

/* Writes an archive of the file or directory `source`, which is called `name` in it (NULL: of what
 * is in the directory). Blocks. -EPIPE when the other side has ended, whose reason is the better
 * one. */
int archive_pack(int fd, const char *source, const char *name, struct husk_error *err);

/* Unpacks an archive into the directory `target`: its first entry as `name`, and what is below it.
 */
int archive_unpack(int fd, const char *target, const char *name, struct husk_error *err);

/* Whether the first entry is a directory. -ENODATA when there is none. */
int archive_first_is_directory(int fd, bool *directory);

#endif
