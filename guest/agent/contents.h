// SPDX-License-Identifier: Apache-2.0
/*
 * What is in a volume (husk/agent.h, "volume.directory" to "volume.usage"): containers may have
 * filled it with anything, and change it at any moment. Every path is resolved below its root
 * (inroot.h). The volume is a directory's descriptor; errors name the path.
 */
#ifndef HUSK_GUEST_AGENT_CONTENTS_H
#define HUSK_GUEST_AGENT_CONTENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "guest/agent/inroot.h"

#define CONTENTS_DEPTH_MAX 256

struct contents_write {
    const char *path;
    const char *link; /* a symbolic link with this text, or NULL */
    const void *data;
    size_t len;
    bool append;
    struct inroot_new file, directories;
};

/* -EINVAL: no relative path, or one with "..". */
int contents_check_path(const char *path, struct husk_error *err);

int contents_directory(int volume, const char *path, const struct inroot_new *as,
                       struct husk_error *err);
int contents_write(int volume, const struct contents_write *write, struct husk_error *err);

/* At most max bytes from the beginning, or the end, of a regular file into buf. */
int contents_read(int volume, const char *path, bool tail, void *buf, size_t max, size_t *len,
                  uint64_t *size, struct husk_error *err);

/* These take as long as they take. */
int contents_delete(int volume, const char *path, struct husk_error *err);
/* "used_bytes" and "used_inodes" of all that is in it. */
int contents_count(int volume, uint64_t *bytes, uint64_t *inodes, struct husk_error *err);

#endif
