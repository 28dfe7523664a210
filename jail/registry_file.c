// SPDX-License-Identifier: Apache-2.0
/*
 * The text of an entry, parsed strictly: see registry_file.h and docs/formats/registry.md. The
 * bytes are hostile: whoever may write this user's files wrote them. No state.
 */
#include "jail/registry_file.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "base/parse.h"
#include "jail/path.h"

static const char *const kind_names[] = {
    [REGISTRY_CGROUP] = "cgroup",
    [REGISTRY_SOCKET] = "socket",
    [REGISTRY_DIRECTORY] = "directory",
    [REGISTRY_TREE] = "tree",
};

const char *registry_kind_name(enum registry_kind kind)
{
    return kind_names[kind];
}

bool registry_is_entry_name(const char *name)
{
    return !strncmp(name, "vm-", 3) && strspn(name + 3, "0123456789abcdef") == 16 && !name[19];
}

/* Cut the next word off, up to a blank or the end. */
static char *next_word(char **at)
{
    char *word = *at;
    size_t len = strcspn(word, " ");

    *at = word + len + (word[len] == ' ');
    word[len] = '\0';
    return word;
}

/* Without the 0x that parse_u64() takes, too. */
static int parse_decimal(const char *text, uint64_t max, uint64_t *out)
{
    if (strspn(text, "0123456789") != strlen(text))
        return -EINVAL;
    return parse_u64(text, 0, max, out) ? -EINVAL : 0;
}

bool registry_is_resolved(const char *path)
{
    if (strlen(path) >= PATH_BYTES_MAX || path[0] != '/')
        return false;
    while (*path) {
        size_t len = strcspn(++path, "/");

        if (!len || (len == 1 && path[0] == '.') || (len == 2 && !memcmp(path, "..", 2)))
            return false;
        path += len;
    }
    return true;
}

/* "+SLOT KIND PATH" */
static int parse_record(char *rest, struct registry_item *item)
{
    const char *kind = next_word(&rest);

    if (item->used || !registry_is_resolved(rest))
        return -EINVAL;
    for (unsigned i = 0; i < ARRAY_SIZE(kind_names); i++) {
        if (!strcmp(kind, kind_names[i])) {
            *item =
                (struct registry_item){.used = true, .kind = (enum registry_kind)i, .path = rest};
            return 0;
        }
    }
    return -EINVAL;
}

/* "=SLOT DEVICE INODE" */
static int parse_made(char *rest, struct registry_item *item)
{
    const char *device = next_word(&rest);

    if (!item->used || item->made || parse_decimal(device, UINT64_MAX, &item->device) ||
        parse_decimal(rest, UINT64_MAX, &item->inode))
        return -EINVAL;
    item->made = true;
    return 0;
}

static int parse_line(char *line, struct registry_item items[REGISTRY_SLOTS])
{
    char *rest = line + 1;
    uint64_t slot;

    if (!line[0] || parse_decimal(next_word(&rest), REGISTRY_SLOTS - 1, &slot))
        return -EINVAL;
    switch (line[0]) {
    case '+':
        return parse_record(rest, &items[slot]);
    case '=':
        return parse_made(rest, &items[slot]);
    case '-':
        if (!items[slot].used || rest[0])
            return -EINVAL;
        items[slot].used = false;
        return 0;
    default:
        return -EINVAL;
    }
}

int registry_parse(char *text, size_t len, struct registry_item items[REGISTRY_SLOTS])
{
    size_t at = sizeof(REGISTRY_HEADER) - 1;
    char *end;
    int ret;

    memset(items, 0, REGISTRY_SLOTS * sizeof(items[0]));
    if (len < at || memcmp(text, REGISTRY_HEADER, at) != 0)
        return -EPROTONOSUPPORT;
    /* The second line is for people. */
    end = memchr(text + at, '\n', len - at);
    if (!end)
        return 0;
    if (strncmp(text + at, "id ", 3) != 0)
        return -EINVAL;
    for (at = (size_t)(end - text) + 1; (end = memchr(text + at, '\n', len - at));
         at = (size_t)(end - text) + 1) {
        *end = '\0';
        for (const char *byte = text + at; byte < end; byte++) {
            if ((unsigned char)*byte < 0x20 || *byte == 0x7f)
                return -EINVAL;
        }
        ret = parse_line(text + at, items);
        if (ret)
            return ret;
    }
    return 0;
}
