// SPDX-License-Identifier: Apache-2.0
/*
 * A registry's entry with hostile contents: whatever is accepted names only whole, absolute paths
 * of known kinds, and what a registry would write for it is read back as the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jail/path.h"
#include "jail/registry_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
    if (!holds)
        abort();
}

static void check_item(const struct registry_item *item)
{
    demand(item->path[0] == '/' && strlen(item->path) < PATH_BYTES_MAX);
    demand(!strstr(item->path, "/../") && !strstr(item->path, "//") && !strchr(item->path, '\n'));
    demand(item->kind == REGISTRY_CGROUP || item->kind == REGISTRY_SOCKET ||
           item->kind == REGISTRY_DIRECTORY || item->kind == REGISTRY_TREE);
    demand(item->made || (!item->device && !item->inode));
}

/* The shortest entry that says the same. */
static size_t write_again(const struct registry_item *items, char *text, size_t size)
{
    size_t len = (size_t)snprintf(text, size, REGISTRY_HEADER "id again\n");

    for (unsigned slot = 0; slot < REGISTRY_SLOTS; slot++) {
        if (!items[slot].used)
            continue;
        len += (size_t)snprintf(text + len, size - len, "+%u %s %s\n", slot,
                                registry_kind_name(items[slot].kind), items[slot].path);
        if (items[slot].made)
            len += (size_t)snprintf(text + len, size - len, "=%u %llu %llu\n", slot,
                                    (unsigned long long)items[slot].device,
                                    (unsigned long long)items[slot].inode);
    }
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct registry_item items[REGISTRY_SLOTS], again[REGISTRY_SLOTS];
    char *text, *copy;
    size_t len;

    if (size > REGISTRY_FILE_BYTES_MAX)
        return -1;
    text = malloc(size + 1);
    copy = malloc(2 * REGISTRY_FILE_BYTES_MAX);
    if (!text || !copy)
        abort();
    memcpy(text, data, size);
    if (registry_parse(text, size, items) == 0) {
        for (unsigned slot = 0; slot < REGISTRY_SLOTS; slot++) {
            if (items[slot].used)
                check_item(&items[slot]);
        }
        len = write_again(items, copy, 2 * REGISTRY_FILE_BYTES_MAX);
        demand(registry_parse(copy, len, again) == 0);
        for (unsigned slot = 0; slot < REGISTRY_SLOTS; slot++) {
            demand(items[slot].used == again[slot].used);
            if (items[slot].used)
                demand(items[slot].made == again[slot].made &&
                       items[slot].kind == again[slot].kind &&
                       items[slot].device == again[slot].device &&
                       items[slot].inode == again[slot].inode &&
                       !strcmp(items[slot].path, again[slot].path));
        }
    }
    free(copy);
    free(text);
    return 0;
}
