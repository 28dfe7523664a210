// SPDX-License-Identifier: Apache-2.0
/*
 * Tar archives, read and written one entry at a time (POSIX.1-2017, pax, "pax Interchange Format"
 * and "ustar Interchange Format"; of GNU tar long names and large numbers, which it describes in
 * its manual, "Basic Tar Format"). The archive is hostile: numbers, lengths and texts are checked
 * here, once; what a path may mean is the caller's to decide.
 */
#ifndef HUSK_GUEST_AGENT_TAR_H
#define HUSK_GUEST_AGENT_TAR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define TAR_BLOCK    512
#define TAR_PATH_MAX 4095
#define TAR_ID_MAX   (UINT32_MAX - 1)
#define TAR_HEADER_MAX \
    (28u * TAR_BLOCK) /* of one entry that is written: a pax header, and its own */

enum tar_type {
    TAR_FILE = '0',
    TAR_HARD_LINK = '1',
    TAR_SYMLINK = '2',
    TAR_CHARACTER_DEVICE = '3',
    TAR_BLOCK_DEVICE = '4',
    TAR_DIRECTORY = '5',
    TAR_FIFO = '6',
};

struct tar_entry {
    char path[TAR_PATH_MAX + 1]; /* neither empty nor checked in any other way */
    char link[TAR_PATH_MAX + 1]; /* of links; not empty */
    enum tar_type type;
    mode_t mode; /* at most 07777 */
    uint32_t uid, gid;
    int64_t mtime;         /* seconds since 1970 */
    uint64_t size;         /* of files; 0 for others; at most INT64_MAX */
    unsigned major, minor; /* of devices */
};

/* All of `len` bytes: 0, -ENODATA when the stream ends before, -errno. */
typedef int (*tar_source_fn)(void *arg, void *buf, size_t len);

struct tar_reader {
    tar_source_fn source;
    void *arg;
    uint64_t left;    /* of the entry's bytes */
    unsigned padding; /* behind them */
};

/*
 * The next entry; what is left of the former is passed over. 1; 0 at the mark of the end; -errno
 * with err filled: -EINVAL (not an archive, damaged), -ENODATA (cut off), -ENOTSUP (a kind of entry
 * that is not known), or the source's.
 */
int tar_next(struct tar_reader *reader, struct tar_entry *entry, struct husk_error *err);

/* Up to `len` bytes of the entry: how many, 0 at its end, -errno with err filled. */
ssize_t tar_read(struct tar_reader *reader, void *buf, size_t len, struct husk_error *err);

/* The entry as bytes, up to where its file's would come: how many, at most TAR_HEADER_MAX. */
size_t tar_encode(const struct tar_entry *entry, uint8_t *out);

/* How many zero bytes come behind a file's. */
size_t tar_padding(uint64_t size);

#endif
