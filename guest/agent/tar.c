// SPDX-License-Identifier: Apache-2.0
/* Tar archives: reading. See tar.h; writing is in tar_write.c. No state but the caller's. */
#include "guest/agent/tar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "guest/agent/tar_header.h"

#define EXTENSION_MAX  65536u /* bytes of a pax header or a long name */
#define EXTENSIONS_MAX 8      /* before one entry */

/* What headers before the entry's own said of it. */
struct extension {
    bool has_size, has_uid, has_gid, has_mtime;
    uint64_t size;
    uint32_t uid, gid;
    int64_t mtime;
    char *path, *link; /* "": not said */
};

static int invalid(struct husk_error *err, const char *why)
{
    return error_set(err, EINVAL, "the archive", "is not valid", "%s", why);
}

static int get(struct tar_reader *reader, void *buf, size_t len, struct husk_error *err)
{
    int ret = reader->source(reader->arg, buf, len);

    if (ret == -ENODATA)
        return error_set(err, ENODATA, "the archive", "is cut off", "%s", "");
    return ret ? error_set(err, -ret, "the archive", "cannot be read", NULL) : 0;
}

/* Octal digits with blanks around them, or GNU's base 256. */
static bool read_number(const char *field, size_t size, uint64_t *out)
{
    const unsigned char *at = (const unsigned char *)field;
    uint64_t value = 0;
    size_t i = 0;

    if (at[0] & 0x80) {
        value = at[0] & 0x7f;
        for (i = 1; i < size; i++) {
            if (value >> 55)
                return false;
            value = value << 8 | at[i];
        }
        *out = value;
        return true;
    }
    while (i < size && at[i] == ' ')
        i++;
    for (; i < size && at[i] >= '0' && at[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(at[i] - '0');
    for (; i < size; i++) {
        if (at[i] != ' ' && at[i] != '\0')
            return false;
    }
    *out = value;
    return true;
}

/* ustar: the sum of the header's bytes, its own field as blanks. */
static bool sum_is_right(const struct tar_header *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    uint64_t said, sum = 0;

    for (size_t i = 0; i < sizeof(*header); i++) {
        bool own = i >= offsetof(struct tar_header, checksum) &&
                   i < offsetof(struct tar_header, checksum) + sizeof(header->checksum);

        sum += own ? ' ' : bytes[i];
    }
    return read_number(header->checksum, sizeof(header->checksum), &said) && said == sum;
}

static bool is_zero(const struct tar_header *header)
{
    const char *bytes = (const char *)header;

    for (size_t i = 0; i < sizeof(*header); i++) {
        if (bytes[i])
            return false;
    }
    return true;
}

size_t tar_padding(uint64_t size)
{
    return (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

ssize_t tar_read(struct tar_reader *reader, void *buf, size_t len, struct husk_error *err)
{
    int ret;

    if (len > reader->left)
        len = (size_t)reader->left;
    if (len == 0)
        return 0;
    ret = get(reader, buf, len, err);
    if (ret)
        return ret;
    reader->left -= len;
    return (ssize_t)len;
}

static int pass_over(struct tar_reader *reader, struct husk_error *err)
{
    char ignored[4096];
    ssize_t got;
    int ret;

    while ((got = tar_read(reader, ignored, sizeof(ignored), err)) > 0)
        ;
    if (got < 0)
        return (int)got;
    ret = get(reader, ignored, reader->padding, err);
    reader->padding = 0;
    return ret;
}

/* ---- pax headers ---- */

/* Digits, of mtime with a sign and a fraction, which is dropped. */
static bool read_decimal(const char *text, bool is_time, uint64_t max, int64_t *out)
{
    bool negative = is_time && *text == '-';
    uint64_t value = 0;

    text += negative;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (value > (max - (uint64_t)(*text - '0')) / 10)
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
    }
    if (is_time && *text == '.')
        text += 1 + strspn(text + 1, "0123456789");
    *out = negative ? -(int64_t)value : (int64_t)value;
    return *text == '\0';
}

static int keep_text(char *to, const char *value, size_t len, struct husk_error *err)
{
    if (len > TAR_PATH_MAX)
        return invalid(err, "a path is too long");
    if (strlen(value) != len)
        return invalid(err, "a path has a zero byte");
    memcpy(to, value, len + 1);
    return 0;
}

/* An empty value takes nothing back here: it means what the header's own field says. */
static int keep_record(struct extension *extension, const char *key, const char *value, size_t len,
                       struct husk_error *err)
{
    int64_t number = 0;

    if (!strncmp(key, "GNU.sparse.", 11))
        return error_set(err, ENOTSUP, "the archive", "has a sparse file", "%s", "");
    if (!*value)
        return 0;
    if (!strcmp(key, "path"))
        return keep_text(extension->path, value, len, err);
    if (!strcmp(key, "linkpath"))
        return keep_text(extension->link, value, len, err);
    if (!strcmp(key, "size")) {
        extension->has_size = read_decimal(value, false, INT64_MAX, &number);
        extension->size = (uint64_t)number;
        return extension->has_size ? 0 : invalid(err, "a size is no number");
    }
    if (!strcmp(key, "uid")) {
        extension->has_uid = read_decimal(value, false, TAR_ID_MAX, &number);
        extension->uid = (uint32_t)number;
        return extension->has_uid ? 0 : invalid(err, "a uid is none");
    }
    if (!strcmp(key, "gid")) {
        extension->has_gid = read_decimal(value, false, TAR_ID_MAX, &number);
        extension->gid = (uint32_t)number;
        return extension->has_gid ? 0 : invalid(err, "a gid is none");
    }
    if (!strcmp(key, "mtime")) {
        extension->has_mtime = read_decimal(value, true, INT64_MAX, &extension->mtime);
        return extension->has_mtime ? 0 : invalid(err, "a time is none");
    }
    return 0;
}

/* pax, "pax Header Block": "%d %s=%s\n", <length>, <keyword>, <value>. */
static int read_records(struct extension *extension, char *text, size_t len, struct husk_error *err)
{
    while (len > 0) {
        size_t record = 0, digits = 0;
        char *key, *value;
        int ret;

        for (; digits < len && digits < 6 && text[digits] >= '0' && text[digits] <= '9'; digits++)
            record = record * 10 + (size_t)(text[digits] - '0');
        if (digits == 0 || record <= digits + 1 || record > len || text[digits] != ' ' ||
            text[record - 1] != '\n')
            return invalid(err, "a pax header is malformed");
        text[record - 1] = '\0';
        key = text + digits + 1;
        value = memchr(key, '=', record - digits - 1);
        if (!value)
            return invalid(err, "a pax header is malformed");
        *value++ = '\0';
        /* Values of the keywords that are used are texts; others may be anything. */
        ret = keep_record(extension, key, value, (size_t)(text + record - 1 - value), err);
        if (ret)
            return ret;
        text += record;
        len -= record;
    }
    return 0;
}

/* A header that is about the next one, or about all ('g'), of which nothing is used. */
static int read_extension(struct tar_reader *reader, char type, struct extension *extension,
                          struct husk_error *err)
{
    size_t len = (size_t)reader->left;
    char *text;
    int ret;

    if (reader->left > EXTENSION_MAX)
        return invalid(err, "a header is too long");
    if (type == 'g')
        return 0;
    text = calloc(1, len + 1);
    if (!text)
        return error_set(err, ENOMEM, "the archive", "cannot be read", NULL);
    ret = len ? get(reader, text, len, err) : 0;
    reader->left = 0;
    if (!ret && type == 'x')
        ret = read_records(extension, text, len, err);
    else if (!ret)
        ret = keep_text(type == 'L' ? extension->path : extension->link, text, strlen(text), err);
    free(text);
    return ret;
}

/* ---- entries ---- */

/* ustar: with a prefix, which the older formats do not have. */
static void join_name(const struct tar_header *header, char *out)
{
    int name = (int)strnlen(header->name, sizeof(header->name));
    int prefix = memcmp(header->magic, "ustar", 6) != 0
                     ? 0
                     : (int)strnlen(header->prefix, sizeof(header->prefix));

    snprintf(out, TAR_PATH_MAX + 1, "%.*s%s%.*s", prefix, header->prefix, prefix ? "/" : "", name,
             header->name);
}

static int set_type(const struct tar_header *header, struct tar_entry *entry,
                    struct husk_error *err)
{
    size_t len = strlen(entry->path);

    switch (header->type) {
    case '\0':
    case '0':
    case '7': /* "contiguous": to be treated as a regular file */
        /* Older than ustar: a directory is a file whose name ends so. */
        entry->type = len && entry->path[len - 1] == '/' ? TAR_DIRECTORY : TAR_FILE;
        return 0;
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
        entry->type = (enum tar_type)header->type;
        return 0;
    default:
        return error_set(err, ENOTSUP, entry->path, "is of an unknown kind", "type 0x%02x",
                         (unsigned char)header->type);
    }
}

static int read_numbers(const struct tar_header *header, const struct extension *extension,
                        struct tar_entry *entry, struct husk_error *err)
{
    uint64_t mode, uid, gid, mtime, major = 0, minor = 0;

    if (!read_number(header->mode, sizeof(header->mode), &mode) ||
        !read_number(header->uid, sizeof(header->uid), &uid) ||
        !read_number(header->gid, sizeof(header->gid), &gid) ||
        !read_number(header->mtime, sizeof(header->mtime), &mtime))
        return invalid(err, "a header has a field that is no number");
    if (extension->has_uid)
        uid = extension->uid;
    if (extension->has_gid)
        gid = extension->gid;
    if (uid > TAR_ID_MAX || gid > TAR_ID_MAX)
        return invalid(err, "an owner is out of range");
    if (mtime > INT64_MAX)
        mtime = 0;
    if (entry->type == TAR_CHARACTER_DEVICE || entry->type == TAR_BLOCK_DEVICE) {
        if (!read_number(header->major, sizeof(header->major), &major) ||
            !read_number(header->minor, sizeof(header->minor), &minor) || major > UINT32_MAX ||
            minor > UINT32_MAX)
            return invalid(err, "a device has no number");
    }
    entry->mode = (mode_t)(mode & 07777);
    entry->uid = (uint32_t)uid;
    entry->gid = (uint32_t)gid;
    entry->mtime = extension->has_mtime ? extension->mtime : (int64_t)mtime;
    entry->major = (unsigned)major;
    entry->minor = (unsigned)minor;
    return 0;
}

static int read_entry(struct tar_reader *reader, const struct tar_header *header,
                      const struct extension *extension, struct tar_entry *entry,
                      struct husk_error *err)
{
    bool is_link;
    int ret;

    if (!entry->path[0])
        join_name(header, entry->path);
    if (!entry->path[0])
        return invalid(err, "an entry has no name");
    ret = set_type(header, entry, err);
    if (!ret)
        ret = read_numbers(header, extension, entry, err);
    if (ret)
        return ret;
    is_link = entry->type == TAR_HARD_LINK || entry->type == TAR_SYMLINK;
    if (is_link && !entry->link[0])
        snprintf(entry->link, sizeof(entry->link), "%.*s",
                 (int)strnlen(header->link, sizeof(header->link)), header->link);
    if (is_link && !entry->link[0])
        return invalid(err, "a link leads nowhere");
    if (!is_link)
        entry->link[0] = '\0';
    /* ustar: other kinds have no bytes, whatever their size field says. */
    if (entry->type != TAR_FILE) {
        reader->left = 0;
        reader->padding = 0;
    }
    entry->size = reader->left;
    return 0;
}

static int take_header(struct tar_reader *reader, const struct tar_header *header,
                       const struct extension *extension, bool is_entry, struct husk_error *err)
{
    uint64_t size;

    if (!sum_is_right(header))
        return invalid(err, "a header's checksum is wrong");
    if (!read_number(header->size, sizeof(header->size), &size))
        return invalid(err, "a size is no number");
    if (is_entry && extension->has_size)
        size = extension->size;
    if (size > INT64_MAX)
        return invalid(err, "a size is out of range");
    reader->left = size;
    reader->padding = (unsigned)tar_padding(size);
    return 0;
}

int tar_next(struct tar_reader *reader, struct tar_entry *entry, struct husk_error *err)
{
    struct extension extension = {.path = entry->path, .link = entry->link};
    struct tar_header header;

    entry->path[0] = entry->link[0] = '\0';
    for (int i = 0; i <= EXTENSIONS_MAX; i++) {
        bool is_entry;
        int ret = pass_over(reader, err);

        if (!ret)
            ret = get(reader, &header, sizeof(header), err);
        if (ret)
            return ret;
        if (is_zero(&header))
            return i ? invalid(err, "it ends behind a pax header") : 0;
        is_entry = header.type == '\0' || !strchr("xgLK", header.type);
        ret = take_header(reader, &header, &extension, is_entry, err);
        if (!ret)
            ret = is_entry ? read_entry(reader, &header, &extension, entry, err)
                           : read_extension(reader, header.type, &extension, err);
        if (ret)
            return ret;
        if (is_entry)
            return 1;
    }
    return invalid(err, "too many headers for one entry");
}
