// SPDX-License-Identifier: Apache-2.0
/*
 * Parsing entries of the Boot Loader Specification: UAPI.1 version 1, "Type #1 Boot Loader
 * Specification Entries", "Sorting", "Boot counting". Pure text work.
 */
#include "image/bls.h"

#include <string.h>
#include <strings.h>

#include "image/version.h"

#define BLANKS " \t"

/* "NAME+LEFT-DONE.conf": the counter is not part of the name. */
static void split_name(const char *name, struct bls_entry *entry)
{
    size_t len = strlen(name);
    const char *plus;

    if (len > 5 && !strcmp(name + len - 5, ".conf"))
        len -= 5;
    plus = memrchr(name, '+', len);
    if (plus) {
        size_t digits = strspn(plus + 1, "0123456789");
        size_t rest = len - (size_t)(plus + 1 - name) - digits;

        if (digits > 0 && (rest == 0 || plus[1 + digits] == '-')) {
            entry->exhausted = strspn(plus + 1, "0") == digits;
            len = (size_t)(plus - name);
        }
    }
    if (len > IMAGE_NAME_MAX)
        len = IMAGE_NAME_MAX;
    text_copy(entry->id, sizeof(entry->id), name, len);
}

static bool is_x86_64(const char *value)
{
    return !strcasecmp(value, "x64") || !strcasecmp(value, "x86_64") ||
           !strcasecmp(value, "x86-64");
}

/* Options of several lines are one line; so are several files of one line, as GRUB has them. */
static bool add_options(const struct environment *env, const char *value, struct bls_entry *entry)
{
    char expanded[IMAGE_OPTIONS_MAX];

    return environment_expand(env, value, expanded, sizeof(expanded)) == 0 &&
           text_append_word(entry->choice.options, sizeof(entry->choice.options), expanded);
}

static bool add_initrds(const struct environment *env, const char *value, struct bls_entry *entry)
{
    char expanded[IMAGE_OPTIONS_MAX];
    const char *at = expanded;

    if (environment_expand(env, value, expanded, sizeof(expanded)))
        return false;
    for (at += strspn(at, BLANKS); *at; at += strspn(at, BLANKS)) {
        size_t len = strcspn(at, BLANKS);

        if (entry->choice.initrd_count == IMAGE_INITRDS_MAX ||
            !text_copy(entry->choice.initrds[entry->choice.initrd_count++], IMAGE_PATH_MAX, at,
                       len))
            return false;
        at += len;
    }
    return true;
}

static bool add_field(const struct environment *env, const char *key, const char *value,
                      struct bls_entry *entry)
{
    size_t len = strlen(value);

    if (!strcmp(key, "linux"))
        return text_copy(entry->choice.linux_path, sizeof(entry->choice.linux_path), value, len);
    if (!strcmp(key, "initrd"))
        return add_initrds(env, value, entry);
    if (!strcmp(key, "options"))
        return add_options(env, value, entry);
    if (!strcmp(key, "version"))
        return text_copy(entry->version, sizeof(entry->version), value, len);
    if (!strcmp(key, "sort-key"))
        return text_copy(entry->sort_key, sizeof(entry->sort_key), value, len);
    if (!strcmp(key, "architecture"))
        return is_x86_64(value);
    return true; /* keys that are not known are to be ignored */
}

void bls_parse(const char *name, const char *text, const struct environment *env,
               struct bls_entry *entry)
{
    const char *line;
    size_t len;

    memset(entry, 0, sizeof(*entry));
    split_name(name, entry);
    entry->usable = true;
    while (text_line(&text, &line, &len)) {
        char key[32], value[IMAGE_OPTIONS_MAX];
        const char *end = line + len;
        size_t key_len;

        while (line < end && strchr(BLANKS, *line))
            line++;
        while (line < end && strchr(BLANKS, end[-1]))
            end--;
        if (line == end || *line == '#')
            continue;
        key_len = strcspn(line, BLANKS "\r\n");
        if (key_len >= (size_t)(end - line) || !text_copy(key, sizeof(key), line, key_len))
            continue;
        line += key_len + strspn(line + key_len, BLANKS);
        if (!text_copy(value, sizeof(value), line, (size_t)(end - line)) ||
            !add_field(env, key, value, entry)) {
            entry->usable = false;
            return;
        }
    }
    entry->usable = entry->choice.linux_path[0] != '\0';
}

/* UAPI.1, "Sorting". Machine ids are not compared: there is one machine on a disk. */
int bls_compare(const struct bls_entry *a, const struct bls_entry *b)
{
    int order;

    if (a->exhausted != b->exhausted)
        return a->exhausted ? 1 : -1;
    if (!a->sort_key[0] != !b->sort_key[0])
        return a->sort_key[0] ? -1 : 1;
    if (a->sort_key[0]) {
        order = strcmp(a->sort_key, b->sort_key);
        if (!order)
            order = version_compare(b->version, a->version);
        if (order)
            return order;
    }
    return version_compare(b->id, a->id);
}

bool bls_loader_default(const char *text, char *out, size_t size)
{
    static const char key[] = "default";
    const char *line;
    size_t len;

    out[0] = '\0';
    while (text_line(&text, &line, &len)) {
        size_t skip = sizeof(key) - 1;

        if (len <= skip || strncmp(line, key, skip) != 0 || !strchr(BLANKS, line[skip]))
            continue;
        while (skip < len && strchr(BLANKS, line[skip]))
            skip++;
        while (len > skip && strchr(BLANKS, line[len - 1]))
            len--;
        return text_copy(out, size, line + skip, len - skip);
    }
    return true;
}
