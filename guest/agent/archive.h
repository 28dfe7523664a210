// SPDX-License-Identifier: Apache-2.0
/*
 * Files of a container as a tar archive, in and out (husk/agent.h, "archive.put", "archive.get").
 *
 * Done by a process of its own: in the container's mount and user namespace, so that paths mean
 * what they mean inside, and in its cgroup, which pays for it; but in the agent's pid namespace,
 * where the container cannot get hold of it. Archive, paths and files are hostile. Every path is
 * resolved below one directory (inroot.h): for "put" the one that was named, so that neither ".."
 * nor a link, of the archive or of the container, leads anywhere else.
 */
#ifndef HUSK_GUEST_AGENT_ARCHIVE_H
#define HUSK_GUEST_AGENT_ARCHIVE_H

#include <stdbool.h>

#include "base/error.h"

#define ARCHIVE_DEPTH_MAX 256 /* directories in each other */

struct archive {
    bool put;
    const char *path; /* in the container's root */
    bool create;      /* put: make the directory, and those above it */
    bool follow;      /* get: the path's last part, if it is a link */
    bool content;     /* get: files' bytes, and what is in a directory */
};

/* In the process: give up all rights but those over files. */
int archive_limit_rights(struct husk_error *err);

/* Find the place; *out is the caller's. -ENOENT, -EINVAL (no directory, for "put"), -errno. */
int archive_open(const struct archive *archive, int *out, struct husk_error *err);

/* From `in` or to `out`; what goes wrong is a line on `complaint`. Blocks. 0 or -errno. */
int archive_run(const struct archive *archive, int place, int in, int out, int complaint);

/* Parts of archive_run(). */
int archive_put(int place, int in, struct husk_error *err);
int archive_get(const struct archive *archive, int place, int out, struct husk_error *err);

#endif
