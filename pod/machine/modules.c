// SPDX-License-Identifier: Apache-2.0
/* Modules into an archive, by libarchive: see modules.h. */
#include "pod/machine/modules.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"

#define MODULE_BYTES_MAX (64u << 20)

static const char cannot_collect[] = "cannot collect the kernel's modules";

/* ---- which ---- */

/* "kernel/fs/erofs/erofs.ko.xz" is "erofs"; a dash is as good as an underscore (kmod). */
static void module_name(const char *path, char name[MODULE_NAME_BYTES])
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    const char *end = strstr(base, ".ko");
    size_t len = end ? (size_t)(end - base) : strlen(base);

    if (len >= MODULE_NAME_BYTES)
        len = MODULE_NAME_BYTES - 1;
    memcpy(name, base, len);
    name[len] = '\0';
    for (char *at = name; *at; at++)
        *at = (char)(*at == '-' ? '_' : *at);
}

static FILE *open_index(const char *tree, const char *file, struct husk_error *err)
{
    char path[PATH_MAX];
    FILE *index;

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", tree, file) >= sizeof(path)) {
        error_set(err, ENAMETOOLONG, tree, cannot_collect, NULL);
        return NULL;
    }
    index = fopen(path, "re");
    if (!index)
        error_set(err, errno, path, cannot_collect, NULL);
    return index;
}

/* The line of `index` whose module is `name`, in *line without its newline; 1 or 0. */
static int find_line(FILE *index, const char *name, char **line, size_t *size)
{
    char wanted[MODULE_NAME_BYTES], found[MODULE_NAME_BYTES];

    module_name(name, wanted);
    rewind(index);
    while (getline(line, size, index) > 0) {
        size_t path = strcspn(*line, ":\n");
        char end = (*line)[path];

        (*line)[strcspn(*line, "\n")] = '\0';
        (*line)[path] = '\0';
        module_name(*line, found);
        if (!strcmp(found, wanted)) {
            if (end == ':')
                (*line)[path] = ':';
            return 1;
        }
    }
    return 0;
}

static int append(struct module_list *list, const char *path, struct husk_error *err)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (!strcmp(list->paths[i], path))
            return 0;
    }
    if (list->count == MODULES_MAX)
        return error_set(err, E2BIG, path, cannot_collect, "more than %u are needed", MODULES_MAX);
    list->paths[list->count] = strdup(path);
    if (!list->paths[list->count])
        return error_set(err, ENOMEM, path, cannot_collect, NULL);
    list->count++;
    return 0;
}

/* "PATH: NEEDED …", of which the last is to be loaded first (depmod(8)). */
static int append_line(struct module_list *list, char *line, struct husk_error *err)
{
    char *needed = strchr(line, ':'), *last;
    int ret = 0;

    if (!needed)
        return append(list, line, err);
    *needed++ = '\0';
    while (!ret && (last = strrchr(needed, ' '))) {
        if (last[1])
            ret = append(list, last + 1, err);
        *last = '\0';
    }
    return ret ? ret : append(list, line, err);
}

static int read_list(FILE *index, FILE *builtin, const char *tree, const char *const *names,
                     struct module_list *out, struct husk_error *err)
{
    char *line = NULL;
    size_t size = 0;
    int ret = 0;

    for (; !ret && *names; names++) {
        if (find_line(index, *names, &line, &size))
            ret = append_line(out, line, err);
        else if (!find_line(builtin, *names, &line, &size))
            ret = error_set(err, ENOENT, tree, cannot_collect, "it has no module %s", *names);
    }
    free(line);
    return ret;
}

int module_list_read(const char *tree, const char *const *names, struct module_list *out,
                     struct husk_error *err)
{
    FILE *index = open_index(tree, "modules.dep", err);
    FILE *builtin = index ? open_index(tree, "modules.builtin", err) : NULL;
    int ret = builtin ? 0 : -errno;

    out->count = 0;
    if (builtin)
        ret = read_list(index, builtin, tree, names, out, err);
    if (index)
        fclose(index);
    if (builtin)
        fclose(builtin);
    if (ret)
        module_list_clear(out);
    return ret;
}

void module_list_clear(struct module_list *list)
{
    while (list->count)
        free(list->paths[--list->count]);
}

/* ---- for a device ---- */

/* "alias PATTERN MODULE" (depmod(8)). */
static bool is_alias_line(char *line, const char *modalias, char name[MODULE_NAME_BYTES])
{
    char *save = NULL, *word = strtok_r(line, " \n", &save);
    const char *pattern = word && !strcmp(word, "alias") ? strtok_r(NULL, " \n", &save) : NULL;
    const char *module = pattern ? strtok_r(NULL, " \n", &save) : NULL;

    if (!module || fnmatch(pattern, modalias, 0) != 0)
        return false;
    module_name(module, name);
    return true;
}

/* "MODULE.alias=PATTERN" (Documentation/kbuild/kbuild.rst, modules.builtin.modinfo). */
static bool is_builtin_entry(const char *entry, const char *modalias)
{
    const char *pattern = strstr(entry, ".alias=");

    return pattern && fnmatch(pattern + strlen(".alias="), modalias, 0) == 0;
}

int module_for_device(const char *tree, const char *modalias, char name[MODULE_NAME_BYTES],
                      struct husk_error *err)
{
    FILE *aliases = open_index(tree, "modules.alias", err), *builtin;
    bool found = false;
    char *line = NULL;
    size_t size = 0;

    if (!aliases)
        return -errno;
    while (!found && getline(&line, &size, aliases) > 0)
        found = is_alias_line(line, modalias, name);
    fclose(aliases);
    builtin = found ? NULL : open_index(tree, "modules.builtin.modinfo", NULL);
    while (builtin && !found && getdelim(&line, &size, '\0', builtin) > 0) {
        found = is_builtin_entry(line, modalias);
        name[0] = '\0';
    }
    if (builtin)
        fclose(builtin);
    free(line);
    return found ? 0
                 : error_set(err, ENOENT, tree, cannot_collect, "it has no driver of %s", modalias);
}

/* ---- the archive ---- */

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
