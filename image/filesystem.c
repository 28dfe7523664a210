// SPDX-License-Identifier: Apache-2.0
/* Which file systems there are, and what is the same for all: see filesystem.h. */
#include "image/filesystem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

static const struct {
    const char *type;
    int (*open)(const struct image_source *source, struct image_filesystem **out);
} kinds[] = {
    {"ext2", image_ext_open},
    {"ext3", image_ext_open},
    {"ext4", image_ext_open},
    {"vfat", image_fat_open},
};

bool image_filesystem_known(const char *type)
{
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (!strcmp(kinds[i].type, type))
            return true;
    }
    return false;
}

int image_filesystem_open(const struct image_source *source, const char *type,
                          struct image_filesystem **out)
{
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (!strcmp(kinds[i].type, type))
            return kinds[i].open(source, out);
    }
    return -EOPNOTSUPP;
}

void image_filesystem_close(struct image_filesystem *fs)
{
    if (fs)
        fs->ops->close(fs);
}

int image_file_size(struct image_filesystem *fs, const char *path, uint64_t *size)
{
    return fs->ops->size(fs, path, size);
}

struct listing {
    image_entry_fn each;
    void *arg;
    unsigned left;
};

static bool count_entry(void *arg, const char *name)
{
    struct listing *listing = arg;

    if (!strcmp(name, ".") || !strcmp(name, ".."))
        return true;
    return listing->left-- > 0 && listing->each(listing->arg, name);
}

int image_list(struct image_filesystem *fs, const char *path, image_entry_fn each, void *arg)
{
    struct listing listing = {.each = each, .arg = arg, .left = IMAGE_ENTRIES_MAX};

    return fs->ops->list(fs, path, count_entry, &listing);
}

/* What an implementation hands out is held against the size that it named before. */
struct bounded {
    image_write_fn write;
    void *arg;
    uint64_t left;
};

static int write_bounded(void *arg, const void *bytes, size_t len)
{
    struct bounded *bounded = arg;

    if (len > bounded->left)
        return -EIO;
    bounded->left -= len;
    return bounded->write(bounded->arg, bytes, len);
}

int image_file_read(struct image_filesystem *fs, const char *path, uint64_t max,
                    image_write_fn write, void *arg)
{
    struct bounded bounded = {.write = write, .arg = arg};
    int ret = image_file_size(fs, path, &bounded.left);

    if (ret)
        return ret;
    if (bounded.left > max)
        return -EFBIG;
    ret = fs->ops->read(fs, path, write_bounded, &bounded);
    return !ret && bounded.left ? -EIO : ret;
}

struct text {
    char *bytes;
    size_t len;
};

static int append_text(void *arg, const void *bytes, size_t len)
{
    struct text *text = arg;

    memcpy(text->bytes + text->len, bytes, len);
    for (size_t i = 0; i < len; i++) {
        if (!text->bytes[text->len + i])
            text->bytes[text->len + i] = ' ';
    }
    text->len += len;
    return 0;
}

int image_file_text(struct image_filesystem *fs, const char *path, char **out)
{
    struct text text = {0};
    uint64_t size;
    int ret = image_file_size(fs, path, &size);

    if (ret)
        return ret;
    if (size > IMAGE_TEXT_MAX)
        return -EFBIG;
    text.bytes = malloc((size_t)size + 1);
    if (!text.bytes)
        return -ENOMEM;
    ret = image_file_read(fs, path, size, append_text, &text);
    if (ret) {
        free(text.bytes);
        return ret;
    }
    text.bytes[text.len] = '\0';
    *out = text.bytes;
    return 0;
}
