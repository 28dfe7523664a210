// SPDX-License-Identifier: Apache-2.0
/* Tar archives: writing. See tar.h. What does not fit into a ustar header goes before it in a pax
 * header. No state. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "guest/agent/tar.h"
#include "guest/agent/tar_header.h"

#define RECORDS_MAX (TAR_HEADER_MAX - 2 * TAR_BLOCK)
#define OCTAL_MAX   07777777u       /* seven digits */
#define SIZE_MAX_12 077777777777ull /* eleven */

struct records {
    char text[RECORDS_MAX];
    size_t len;
};

_Static_assert(RECORDS_MAX > 2 * TAR_PATH_MAX + 512, "both paths and the numbers fit");

/* The length counts its own digits. */
static void add(struct records *records, const char *key, const char *value)
{
    size_t base = strlen(key) + strlen(value) + 3, len = base + 1;

    for (size_t digits = 1, limit = 10; len >= limit; digits++, limit *= 10)
        len = base + digits + 1;
    records->len += (size_t)snprintf(records->text + records->len, RECORDS_MAX - records->len,
                                     "%zu %s=%s\n", len, key, value);
}

static void add_number(struct records *records, const char *key, int64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%lld", (long long)value);
    add(records, key, text);
}

static void put_octal(char *field, size_t size, uint64_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%0*llo", (int)size - 1, (unsigned long long)value);
    memcpy(field, text, size);
}

static bool fits(struct records *records, const char *key, uint64_t value, uint64_t max)
{
    if (value <= max)
        return true;
    add_number(records, key, (int64_t)value);
    return false;
}

static bool is_ascii(const char *text)
{
    for (; *text; text++) {
        if (*text & 0x80)
            return false;
    }
    return true;
}

static void put_text(struct records *records, const char *key, const char *value, char *field,
                     size_t size)
{
    size_t len = strlen(value);

    if (len > size)
        add(records, key, value);
    memcpy(field, value, len < size ? len : size);
}

static void finish(struct tar_header *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    unsigned sum = 0;

    memcpy(header->magic, "ustar", 6);
    memcpy(header->version, "00", 2);
    memset(header->checksum, ' ', sizeof(header->checksum));
    for (size_t i = 0; i < sizeof(*header); i++)
        sum += bytes[i];
    put_octal(header->checksum, sizeof(header->checksum) - 1, sum);
}

/* Everything but names; what does not fit is 0 there. */
static void put_numbers(struct records *records, const struct tar_entry *entry,
                        struct tar_header *header)
{
    bool is_time = entry->mtime >= 0 && (uint64_t)entry->mtime <= SIZE_MAX_12;

    put_octal(header->mode, sizeof(header->mode), entry->mode & 07777);
    put_octal(header->uid, sizeof(header->uid),
              fits(records, "uid", entry->uid, OCTAL_MAX) ? entry->uid : 0);
    put_octal(header->gid, sizeof(header->gid),
              fits(records, "gid", entry->gid, OCTAL_MAX) ? entry->gid : 0);
    put_octal(header->size, sizeof(header->size),
              fits(records, "size", entry->size, SIZE_MAX_12) ? entry->size : 0);
    if (!is_time)
        add_number(records, "mtime", entry->mtime);
    put_octal(header->mtime, sizeof(header->mtime), is_time ? (uint64_t)entry->mtime : 0);
    put_octal(header->major, sizeof(header->major), entry->major & OCTAL_MAX);
    put_octal(header->minor, sizeof(header->minor), entry->minor & OCTAL_MAX);
}

size_t tar_encode(const struct tar_entry *entry, uint8_t *out)
{
    struct tar_header header = {.type = (char)entry->type};
    struct records records = {.len = 0};
    size_t len = 0;

    /* pax: names are UTF-8, unless it is said that they are what they are. */
    if (!is_ascii(entry->path) || !is_ascii(entry->link))
        add(&records, "hdrcharset", "BINARY");
    put_text(&records, "path", entry->path, header.name, sizeof(header.name));
    put_text(&records, "linkpath", entry->link, header.link, sizeof(header.link));
    put_numbers(&records, entry, &header);
    finish(&header);
    if (records.len) {
        struct tar_header before = {.type = 'x', .name = "pax"};

        put_numbers(&(struct records){.len = 0}, &(struct tar_entry){.size = records.len}, &before);
        finish(&before);
        memcpy(out, &before, TAR_BLOCK);
        memcpy(out + TAR_BLOCK, records.text, records.len);
        len = TAR_BLOCK + records.len;
        memset(out + len, 0, tar_padding(records.len));
        len += tar_padding(records.len);
    }
    memcpy(out + len, &header, TAR_BLOCK);
    return len + TAR_BLOCK;
}
