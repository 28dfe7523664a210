// SPDX-License-Identifier: Apache-2.0
/* Modules into an archive, by libarchive: see module_archive.h. */
#include "pod/machine/module_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/error.h"

#define MODULE_BYTES_MAX (64u << 20)

static const char cannot_collect[] = "cannot collect the kernel's modules";

/* A file, or with bytes NULL a directory. */
static int add(struct archive *out, const char *path, const void *bytes, size_t len,
               struct husk_error *err)
{
    struct archive_entry *entry = archive_entry_new();
    int ret = entry ? 0 : -ENOMEM;

    if (entry) {
        archive_entry_set_pathname(entry, path);
        archive_entry_set_filetype(entry, bytes ? AE_IFREG : AE_IFDIR);
        archive_entry_set_perm(entry, bytes ? 0644 : 0755);
        archive_entry_set_size(entry, (la_int64_t)len);
        if (archive_write_header(out, entry) != ARCHIVE_OK ||
            (len && archive_write_data(out, bytes, len) != (la_ssize_t)len))
            ret = -EIO;
    }
    archive_entry_free(entry);
    if (ret == -EIO)
        return error_set(err, EIO, path, cannot_collect, "%s", archive_error_string(out));
    return ret ? error_set(err, -ret, path, cannot_collect, NULL) : 0;
}

/* The file behind its compression, of whichever kind; *bytes is the caller's. */
static int read_module(const char *path, char **bytes, size_t *len, struct husk_error *err)
{
    struct archive *in = archive_read_new();
    struct archive_entry *entry;
    size_t room = 1u << 20;
    la_ssize_t n = -1;

    *len = 0;
    *bytes = malloc(room);
    if (in && *bytes && archive_read_support_filter_all(in) >= ARCHIVE_WARN &&
        archive_read_support_format_raw(in) == ARCHIVE_OK &&
        archive_read_open_filename(in, path, 65536) == ARCHIVE_OK &&
        archive_read_next_header(in, &entry) == ARCHIVE_OK) {
        while ((n = archive_read_data(in, *bytes + *len, room - *len)) > 0) {
            *len += (size_t)n;
            if (*len == room) {
                char *more = room < MODULE_BYTES_MAX ? realloc(*bytes, room * 2) : NULL;

                n = -1;
                if (!more)
                    break;
                *bytes = more;
                room *= 2;
            }
        }
    }
    if (n < 0)
        error_set(err, EIO, path, cannot_collect, "%s",
                  in && archive_error_string(in) ? archive_error_string(in) : "it is too big");
    archive_read_free(in);
    if (n == 0)
        return 0;
    free(*bytes);
    *bytes = NULL;
    return -EIO;
}

static int add_module(struct archive *out, const char *tree, const char *path, FILE *list,
                      struct husk_error *err)
{
    char source[PATH_MAX], name[MODULE_NAME_BYTES], target[MODULE_NAME_BYTES + 16];
    char *bytes;
    size_t len;
    int ret;

    if ((size_t)snprintf(source, sizeof(source), "%s/%s", tree, path) >= sizeof(source))
        return error_set(err, ENAMETOOLONG, tree, cannot_collect, NULL);
    ret = read_module(source, &bytes, &len, err);
    if (ret)
        return ret;
    module_name(path, name);
    snprintf(target, sizeof(target), "modules/%s.ko", name);
    fprintf(list, "/%s\n", target);
    ret = add(out, target, bytes, len, err);
    free(bytes);
    return ret;
}

static int write_archive(struct archive *out, const char *tree, const struct module_list *modules,
                         struct husk_error *err)
{
    char *text = NULL;
    size_t len = 0;
    FILE *list = open_memstream(&text, &len);
    int ret = list ? add(out, "modules", NULL, 0, err)
                   : error_set(err, ENOMEM, tree, cannot_collect, NULL);

    for (unsigned i = 0; !ret && i < modules->count; i++)
        ret = add_module(out, tree, modules->paths[i], list, err);
    if (list && fclose(list) && !ret)
        ret = error_set(err, ENOMEM, tree, cannot_collect, NULL);
    if (!ret)
        ret = add(out, "modules.list", text, len, err);
    free(text);
    return ret;
}

int module_archive_write(const char *tree, const struct module_list *list, int fd,
                         struct husk_error *err)
{
    struct archive *out = archive_write_new();
    int ret = 0;

    if (!out)
        return error_set(err, ENOMEM, tree, cannot_collect, NULL);
    if (archive_write_set_format_cpio_newc(out) != ARCHIVE_OK ||
        archive_write_add_filter_none(out) != ARCHIVE_OK ||
        archive_write_open_fd(out, fd) != ARCHIVE_OK)
        ret = error_set(err, EIO, tree, cannot_collect, "%s", archive_error_string(out));
    if (!ret)
        ret = write_archive(out, tree, list, err);
    if (!ret && archive_write_close(out) != ARCHIVE_OK)
        ret = error_set(err, EIO, tree, cannot_collect, "%s", archive_error_string(out));
    archive_write_free(out);
    return ret;
}
