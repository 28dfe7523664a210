// SPDX-License-Identifier: Apache-2.0
/*
 * Hostile tar archives, read to their end. What comes out is within the bounds of tar.h, whatever
 * goes in, and an entry that is written again is read as the same.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/tar.h"

#define ENTRIES_MAX 1000

struct source {
    const uint8_t *data;
    size_t size;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *arg, void *buf, size_t len)
{
    struct source *source = arg;

    if (len > source->size)
        return -ENODATA;
    memcpy(buf, source->data, len);
    source->data += len;
    source->size -= len;
    return 0;
}

static void require(int condition)
{
    if (!condition)
        abort();
}

static void check(const struct tar_entry *entry)
{
    static struct tar_entry again;
    static uint8_t header[TAR_HEADER_MAX];
    struct source source = {.data = header};
    struct tar_reader reader = {.source = take, .arg = &source};
    struct husk_error err;
    int is_link = entry->type == TAR_SYMLINK || entry->type == TAR_HARD_LINK;

    require(entry->path[0] && strlen(entry->path) <= TAR_PATH_MAX);
    require(is_link == (entry->link[0] != '\0') && strlen(entry->link) <= TAR_PATH_MAX);
    require(entry->mode <= 07777 && entry->uid <= TAR_ID_MAX && entry->gid <= TAR_ID_MAX);
    require(entry->size <= INT64_MAX && (entry->type == TAR_FILE || !entry->size));
    source.size = tar_encode(entry, header);
    require(source.size <= sizeof(header));
    require(tar_next(&reader, &again, &err) == 1);
    require(!strcmp(again.path, entry->path) && !strcmp(again.link, entry->link));
    require(again.uid == entry->uid && again.gid == entry->gid && again.mode == entry->mode &&
            again.mtime == entry->mtime && again.size == entry->size);
    /* Older than ustar: a file whose name ends so is a directory. */
    require(again.type == entry->type);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tar_entry entry;
    struct source source = {.data = data, .size = size};
    struct tar_reader reader = {.source = take, .arg = &source};
    struct husk_error err = {.code = 0};
    char bytes[300];
    int ret = 1;

    for (int i = 0; i < ENTRIES_MAX && ret > 0; i++) {
        ret = tar_next(&reader, &entry, &err);
        if (ret > 0) {
            check(&entry);
            if (tar_read(&reader, bytes, sizeof(bytes), &err) < 0)
                break;
        }
    }
    require(ret >= 0 || err.code == -ret);
    return 0;
}
